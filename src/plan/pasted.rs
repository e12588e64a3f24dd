//! Whether a personal token that a person made in GitLab's form is the one that the plan asks for.

use super::{AskedExpiry, Mint};
use crate::profile::scope::implied;
use crate::token::{Owner, Record, Scopes, TokenId};

/// What a token is asked for to be.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Key of the entry.
    pub key: &'a str,
    /// The name that GitLab shows.
    pub name: &'a str,
    /// What it may do.
    pub scopes: &'a Scopes,
    /// Until when.
    pub expires: &'a AskedExpiry,
    /// Whose it is; `None` where only the token itself can tell.
    pub owner: Option<&'a Owner>,
    /// The token that it takes the place of.
    pub replaces: Option<TokenId>,
}

impl<'a> Asked<'a> {
    /// As the plan has it.
    #[must_use]
    pub fn by(mint: &'a Mint) -> Self {
        Self {
            key: &mint.key,
            name: &mint.name,
            scopes: &mint.scopes,
            expires: &mint.expires,
            owner: Some(&mint.owner),
            replaces: mint.replaces,
        }
    }
}

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

/// Compares GitLab's record of the token, asked with the token itself, with what is wanted. What a scope beyond those that
/// were asked for implies is not missing: who accepts the one has the others.
#[must_use]
pub fn compare(asked: &Asked<'_>, record: &Record) -> Difference {
    let mut found = Difference::default();
    if !record.active || record.revoked {
        found.wrong.push("it is revoked or expired".to_owned());
    }
    if let Some(owner) = asked.owner.filter(|owner| record.user_id != owner.id) {
        found
            .wrong
            .push(format!("it belongs to user {}, and {} is user {}", record.user_id, owner.path, owner.id));
    }
    if asked.replaces == Some(record.id) {
        found.wrong.push(format!("it is token {}, the one to be replaced", record.id));
    }
    if record.name != asked.name {
        found
            .wrong
            .push(format!("its name is \"{}\", and the profile asks for \"{}\"", record.name, asked.name));
    }
    let missing = missing(asked.scopes, &record.scopes);
    if !missing.is_empty() {
        found.wrong.push(format!("it lacks {}", listed(&missing)));
    }
    let extra: Scopes = record.scopes.difference(asked.scopes).cloned().collect();
    if !extra.is_empty() {
        found.more.push(format!("it also has {}", listed(&extra)));
    }
    compare_end(asked.expires, record, &mut found);
    found
}

/// Whether a token with these scopes is as the profile wants it, apart from what a person has accepted beyond that.
#[must_use]
pub fn are_as_accepted(scopes: &Scopes, wanted: &Scopes, accepted: &Scopes) -> bool {
    scopes.difference(wanted).eq(accepted.difference(wanted)) && missing(wanted, scopes).is_empty()
}

/// The wanted scopes that a token has neither by name nor by what it has beyond them.
#[must_use]
pub fn missing(wanted: &Scopes, scopes: &Scopes) -> Scopes {
    let has = |one: &&String| {
        scopes.contains(*one) || scopes.difference(wanted).any(|more| implied(more).contains(&one.as_str()))
    };
    wanted.iter().filter(|one| !has(one)).cloned().collect()
}

/// The form takes no expiry, so the person chooses it: a shorter life is renewed sooner, a longer one is more than was
/// asked for. `max` leaves the choice.
fn compare_end(asked: &AskedExpiry, record: &Record, found: &mut Difference) {
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
    use crate::token::Kind;

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
        let found = compare(&Asked::by(&mint(Some("2027-11-21"), true)), &record(change));
        assert_eq!(found.more, [""; 0]);
        found.wrong
    }

    fn more(mint: &Mint, change: impl FnOnce(&mut Record)) -> Vec<String> {
        let found = compare(&Asked::by(mint), &record(change));
        assert_eq!(found.wrong, [""; 0]);
        found.more
    }

    #[test]
    fn a_token_as_it_was_asked_for_differs_in_nothing_whatever_end_was_chosen_for_max() {
        let mint = mint(Some("2027-11-21"), true);
        assert_eq!(compare(&Asked::by(&mint), &record(|_| ())), Difference::default());
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
    fn what_a_scope_implies_that_was_not_asked_for_is_not_missing() {
        let max = mint(Some("2027-11-21"), true);
        assert_eq!(more(&max, |token| token.scopes = scopes(&["api"])), ["it also has api"]);
        // The ones that were asked for are each asked for themselves.
        assert_eq!(wrong(|token| token.scopes = scopes(&["read_api"])), ["it lacks read_user"]);
        let wanted = scopes(&["read_api", "k8s_proxy"]);
        let found = compare(
            &Asked { scopes: &wanted, ..Asked::by(&max) },
            &record(|token| token.scopes = scopes(&["api"])),
        );
        assert_eq!(found.wrong, ["it lacks k8s_proxy"]);
    }

    #[test]
    fn what_was_accepted_is_as_it_should_be_and_no_more_than_that() {
        let wanted = scopes(&["read_api", "read_user"]);
        let none = Scopes::new();
        assert!(are_as_accepted(&wanted, &wanted, &none));
        assert!(are_as_accepted(&scopes(&["api"]), &wanted, &scopes(&["api"])));
        for (scopes_of_token, accepted) in [
            (scopes(&["read_api"]), none.clone()),
            (scopes(&["api", "read_api", "read_user"]), none),
            (scopes(&["read_api"]), scopes(&["api"])),
            (scopes(&["sudo"]), scopes(&["sudo"])),
        ] {
            assert!(!are_as_accepted(&scopes_of_token, &wanted, &accepted), "{scopes_of_token:?}");
        }
    }

    #[test]
    fn a_shorter_life_is_worth_a_note() {
        let mint = mint(None, false);
        let found = compare(&Asked::by(&mint), &record(|_| ()));
        assert_eq!((found.wrong.len(), found.more.len(), found.notes.len()), (0, 0, 1));
    }
}
