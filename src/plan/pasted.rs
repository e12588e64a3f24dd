//! Whether a personal token that a person made in GitLab's form is the one that the plan asks for.

use super::Mint;
use crate::token::{Record, Scopes};

/// What differs between a token that was pasted and the plan, one sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// It cannot take the place of what was asked for.
    pub wrong: Vec<String>,
    /// It may do more, or lives longer, than the profile asks for.
    pub more: Vec<String>,
    /// Worth knowing: it lives shorter.
    pub notes: Vec<String>,
}

/// Compares GitLab's record of the token, asked with the token itself, with what the plan wants.
#[must_use]
pub fn compare(mint: &Mint, record: &Record) -> Difference {
    let mut found = Difference::default();
    if !record.active || record.revoked {
        found.wrong.push("it is revoked or expired".to_owned());
    }
    if record.user_id != mint.owner.id {
        let owner = &mint.owner;
        found
            .wrong
            .push(format!("it belongs to user {}, and {} is user {}", record.user_id, owner.path, owner.id));
    }
    if mint.replaces == Some(record.id) {
        found.wrong.push(format!("it is token {}, the one to be replaced", record.id));
    }
    if record.name != mint.name {
        found
            .wrong
            .push(format!("its name is \"{}\", and the profile asks for \"{}\"", record.name, mint.name));
    }
    let missing: Scopes = mint.scopes.difference(&record.scopes).cloned().collect();
    if !missing.is_empty() {
        found.wrong.push(format!("it lacks {}", listed(&missing)));
    }
    let extra: Scopes = record.scopes.difference(&mint.scopes).cloned().collect();
    if !extra.is_empty() {
        found.more.push(format!("it also has {}", listed(&extra)));
    }
    compare_end(mint, record, &mut found);
    found
}

/// The form takes no expiry, so the person chooses it: a shorter life is renewed sooner, a longer one is more than was
/// asked for. `max` leaves the choice.
fn compare_end(mint: &Mint, record: &Record, found: &mut Difference) {
    let asked = &mint.expires;
    match (asked.date, record.expires_at) {
        _ if asked.or_earlier && record.expires_at.is_some() => {}
        (Some(wanted), None) => found.more.push(format!("it never expires, and {wanted} is asked for")),
        (Some(wanted), Some(got)) if got > wanted => {
            found.more.push(format!("it expires on {got}, and {wanted} is asked for"));
        }
        (wanted, Some(got)) if wanted != Some(got) => {
            let wanted = wanted.map_or_else(|| "no end".to_owned(), |date| date.to_string());
            found.notes.push(format!("it expires on {got}, and {wanted} is asked for: it is renewed sooner"));
        }
        _ => {}
    }
}

fn listed(scopes: &Scopes) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::AskedExpiry;
    use crate::token::{Kind, Owner, TokenId};

    fn mint(date: Option<&str>, or_earlier: bool) -> Mint {
        Mint {
            overlap: None,
            rotates: None,
            key: "backstage".to_owned(),
            owner: Owner { kind: Kind::Personal, id: 7, path: "ana".to_owned() },
            name: "Backstage (localhost)".to_owned(),
            role: None,
            scopes: scopes(&["read_api", "read_user"]),
            expires: AskedExpiry {
                written: "max".to_owned(),
                date: date.map(|date| date.parse().unwrap()),
                or_earlier,
            },
            replaces: Some(TokenId(41)),
            because: Vec::new(),
            settles: Vec::new(),
        }
    }

    fn scopes(names: &[&str]) -> Scopes {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn record(change: impl FnOnce(&mut Record)) -> Record {
        let mut record = Record {
            id: TokenId(42),
            name: "Backstage (localhost)".to_owned(),
            description: None,
            scopes: scopes(&["read_api", "read_user"]),
            user_id: 7,
            created_at: "2026-11-21T08:00:00Z".parse().unwrap(),
            expires_at: Some("2026-12-21".parse().unwrap()),
            last_used_at: None,
            active: true,
            revoked: false,
            access_level: None,
        };
        change(&mut record);
        record
    }

    fn wrong(change: impl FnOnce(&mut Record)) -> Vec<String> {
        let found = compare(&mint(Some("2027-11-21"), true), &record(change));
        assert_eq!(found.more, [""; 0]);
        found.wrong
    }

    fn more(mint: &Mint, change: impl FnOnce(&mut Record)) -> Vec<String> {
        let found = compare(mint, &record(change));
        assert_eq!(found.wrong, [""; 0]);
        found.more
    }

    #[test]
    fn a_token_as_it_was_asked_for_differs_in_nothing_whatever_end_was_chosen_for_max() {
        assert_eq!(compare(&mint(Some("2027-11-21"), true), &record(|_| ())), Difference::default());
    }

    #[test]
    fn what_cannot_take_its_place_is_named_exactly() {
        assert_eq!(wrong(|token| token.user_id = 8), ["it belongs to user 8, and ana is user 7"]);
        assert_eq!(wrong(|token| token.id = TokenId(41)), ["it is token 41, the one to be replaced"]);
        assert_eq!(wrong(|token| token.scopes = scopes(&["read_api"])), ["it lacks read_user"]);
        assert_eq!(wrong(|token| token.active = false), ["it is revoked or expired"]);
        assert_eq!(wrong(|token| token.name = "x".to_owned()).len(), 1);
    }

    #[test]
    fn more_scopes_and_a_longer_life_are_more_than_was_asked_for() {
        let max = mint(Some("2027-11-21"), true);
        assert_eq!(more(&max, |token| _ = token.scopes.insert("api".to_owned())), ["it also has api"]);
        let exact = mint(Some("2026-12-01"), false);
        assert_eq!(more(&exact, |_| ()), ["it expires on 2026-12-21, and 2026-12-01 is asked for"]);
        assert_eq!(more(&exact, |token| token.expires_at = None).len(), 1);
        assert_eq!(more(&max, |token| token.expires_at = None).len(), 1);
    }

    #[test]
    fn a_shorter_life_is_worth_a_note() {
        let found = compare(&mint(None, false), &record(|_| ()));
        assert_eq!((found.wrong.len(), found.more.len(), found.notes.len()), (0, 0, 1));
    }
}
