//! What a reviewer should know of a change to an environment: the merge request's text, made from what the branch had
//! and what it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Span;

use super::request::{RequestText, code};
use crate::lock::{Entry, Lock};
use crate::profile::scope::implied;
use crate::token::{Role, TokenId};

/// What the change is made from.
#[derive(Debug)]
pub struct Review {
    /// The environment.
    pub environment: String,
    /// The lock of the branch that the request is for.
    pub before: Lock,
    /// The lock with the change.
    pub after: Lock,
    /// How long a superseded token lives, by entry.
    pub overlaps: BTreeMap<String, Span>,
    /// What the profile says that an entry was called, by entry.
    pub moved: BTreeMap<String, String>,
    /// Who reads each secrets file.
    pub readers: Vec<Readers>,
}

/// Who reads a secrets file.
#[derive(Debug)]
pub struct Readers {
    /// Its path.
    pub file: String,
    /// Its recipients so far; `None`: there is no such file yet.
    pub before: Option<Vec<String>>,
    /// Its recipients with the change.
    pub after: Option<Vec<String>>,
}

/// How it is known what an entry was.
#[derive(Clone, Copy)]
enum ToldBy {
    Token,
    FormerKey,
    Key,
}

/// An entry of the lock with the change, and what it was before.
struct Changed<'a> {
    key: &'a str,
    new: &'a Entry,
    old: Option<(&'a str, &'a Entry)>,
}

impl Changed<'_> {
    fn is_renamed(&self) -> bool {
        self.old.is_some_and(|(key, _)| key != self.key)
    }

    fn has_another_token(&self) -> bool {
        self.old.is_none_or(|(_, old)| old.id != self.new.id)
    }

    /// The token that has, or will have, no value that works, whether this is merged or not.
    fn ended(&self) -> Option<TokenId> {
        let (_, old) = self.old.filter(|_| self.has_another_token())?;
        let lives_on = self.new.superseded.iter().any(|superseded| superseded.id == old.id);
        (!lives_on).then_some(old.id)
    }
}

impl Review {
    /// The request's text.
    #[must_use]
    pub fn text(&self) -> RequestText {
        let changed = self.changed();
        let removed = self.removed(&changed);
        let mut warnings = Vec::new();
        let mut paragraphs = Vec::new();
        for entry in changed.iter().filter(|entry| entry.is_renamed() || entry.has_another_token()) {
            let growth = entry.old.map(|(_, old)| growth(old, entry.new)).unwrap_or_default();
            warnings.extend(growth.iter().map(|what| format!("**ESCALATION** {}: {what}", code(entry.key))));
            paragraphs.push(self.entry(entry));
        }
        paragraphs.extend(removed.iter().map(|(key, old)| {
            vec![format!("**{}** goes: token {} is revoked, or has ended by itself", code(key), old.id)]
        }));
        let readers: Vec<String> = self.readers.iter().flat_map(Readers::changes).collect();
        if !readers.is_empty() {
            paragraphs.push(readers);
        }
        let retired = self.retired();
        if !retired.is_empty() {
            paragraphs.push(vec![format!(
                "Revoked, or ended by themselves, and no longer in the lock: token {}",
                retired.join(", ")
            )]);
        }
        let ended: Vec<TokenId> =
            changed.iter().filter_map(Changed::ended).chain(removed.iter().map(|(_, old)| old.id)).collect();
        paragraphs.extend(self.closing(&changed, &ended));
        if !warnings.is_empty() {
            paragraphs.insert(0, warnings);
        }
        RequestText { title: self.title(&changed, &removed), lines: paragraphs.join(&String::new()) }
    }

    /// All entries of the lock with the change. What an entry was is told by its token, else by what the profile says that
    /// it was called, else by its key.
    fn changed(&self) -> Vec<Changed<'_>> {
        let before = &self.before.tokens;
        let mut changed: Vec<Changed<'_>> =
            self.after.tokens.iter().map(|(key, new)| Changed { key, new, old: None }).collect();
        let mut taken = BTreeSet::new();
        for told_by in [ToldBy::Token, ToldBy::FormerKey, ToldBy::Key] {
            for entry in changed.iter_mut().filter(|entry| entry.old.is_none()) {
                let has_it = |(_, old): &(&String, &Entry)| names(entry.new, old.id);
                let old = match told_by {
                    ToldBy::Token => before.iter().find(has_it),
                    ToldBy::FormerKey => self.moved.get(entry.key).and_then(|key| before.get_key_value(key)),
                    ToldBy::Key => before.get_key_value(entry.key),
                };
                entry.old = old.filter(|(key, _)| taken.insert(*key)).map(|(key, old)| (key.as_str(), old));
            }
        }
        changed
    }

    /// Entries that leave the lock.
    fn removed(&self, changed: &[Changed<'_>]) -> Vec<(&str, &Entry)> {
        let stays = |key: &str| changed.iter().any(|entry| entry.old.is_some_and(|(old, _)| old == key));
        let gone = self.before.tokens.iter().filter(|(key, _)| !stays(key));
        gone.map(|(key, old)| (key.as_str(), old)).collect()
    }

    fn title(&self, changed: &[Changed<'_>], removed: &[(&str, &Entry)]) -> String {
        let of = |is_it: &dyn Fn(&Changed<'_>) -> bool| -> Vec<&str> {
            changed.iter().filter(|entry| is_it(entry)).map(|entry| entry.key).collect()
        };
        let what: Vec<String> = [
            counted("mint", &of(&|entry| entry.old.is_none())),
            counted("replace", &of(&|entry| entry.old.is_some() && entry.has_another_token())),
            counted("rename", &of(&|entry| entry.is_renamed() && !entry.has_another_token())),
            counted("remove", &removed.iter().map(|(key, _)| *key).collect::<Vec<_>>()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let what =
            if what.is_empty() { "bring files and lock up to date".to_owned() } else { what.join(", ") };
        format!("provision({}): {what}", self.environment)
    }

    fn entry(&self, entry: &Changed<'_>) -> Vec<String> {
        let new = entry.new;
        let until = new.expires.map_or_else(|| "never expires".to_owned(), |date| format!("expires {date}"));
        let was = entry.old.filter(|_| entry.is_renamed());
        let was = was.map_or_else(String::new, |(key, _)| format!(" (before: {})", code(key)));
        let mut lines = vec![format!(
            "**{}**{was}: {} token {} {} of {}, {until}",
            code(entry.key),
            new.owner.kind,
            new.id,
            code(&new.name),
            code(&new.owner.path)
        )];
        let old = entry.old.map(|(_, old)| old);
        let role = |entry: &Entry| entry.role.map_or("none", Role::as_str).to_owned();
        let scopes =
            |entry: &Entry| entry.scopes.iter().map(|scope| code(scope)).collect::<Vec<_>>().join(", ");
        lines.push(compared("role", old.map(role), &role(new)));
        lines.push(compared("scopes", old.map(scopes), &scopes(new)));
        if let Some(old) = old.filter(|_| entry.has_another_token()) {
            lines.push(self.end_of(entry.key, old, new));
        }
        lines
    }

    /// When the token that is replaced dies.
    fn end_of(&self, key: &str, old: &Entry, new: &Entry) -> String {
        let Some(superseded) = new.superseded.iter().find(|superseded| superseded.id == old.id) else {
            return format!("in place of token {}, which has ended, or ends with this", old.id);
        };
        let profile = || self.overlaps.get(key).map(|overlap| format!("{overlap:#}"));
        let overlap = superseded.overlap.clone().or_else(profile);
        let mut line = format!(
            "in place of token {}, which is revoked {} after this is merged at the earliest",
            old.id,
            overlap.unwrap_or_else(|| "some time".to_owned())
        );
        if let Some(date) = old.expires {
            let _ = write!(line, ", and expires {date} in any case");
        }
        line
    }

    /// What follows from not merging it.
    fn closing(&self, changed: &[Changed<'_>], ended: &[TokenId]) -> Option<Vec<String>> {
        if !ended.is_empty() {
            let ids = ended.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Some(vec![format!(
                "Token {ids} no longer works, whatever becomes of this request: until it is merged, the branch that it \
                 is for has a value that is of no use, and closing it brings nothing back."
            )]);
        }
        changed.iter().any(Changed::has_another_token).then(|| {
            vec![format!(
                "The new tokens work already. Whoever does not want them closes this request and deletes its branch; \
                 `provision revoke --env {} --orphans` then revokes those that are a day old (`--older-than 0s`: all).",
                self.environment
            )]
        })
    }

    /// Superseded tokens that the lock no longer names at all.
    fn retired(&self) -> Vec<String> {
        let superseded = self.before.tokens.values().flat_map(|entry| entry.superseded.iter());
        superseded
            .filter(|old| !self.after.names(old.id, &old.gitlab))
            .map(|old| old.id.to_string())
            .collect()
    }
}

/// Whether the entry has this token, as its current or a superseded one.
fn names(entry: &Entry, id: TokenId) -> bool {
    entry.id == id || entry.superseded.iter().any(|old| old.id == id)
}

impl Readers {
    fn changes(&self) -> Vec<String> {
        let file = code(&self.file);
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            let Some(after) = &self.after else { return Vec::new() };
            let readers = after.iter().map(|reader| code(reader)).collect::<Vec<_>>().join(", ");
            return vec![format!("{file} is new, for {readers}")];
        };
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|reader| !those.contains(reader)).map(|reader| code(reader)).collect()
        };
        let added =
            only(after, before).into_iter().map(|reader| format!("{file}: **reader added** {reader}"));
        let gone = only(before, after).into_iter().map(|reader| format!("{file}: reader removed {reader}"));
        added.chain(gone).collect()
    }
}

fn counted(verb: &str, keys: &[&str]) -> Option<String> {
    match keys {
        [] => None,
        [only] => Some(format!("{verb} {only}")),
        several => Some(format!("{verb} {} tokens", several.len())),
    }
}

fn compared(what: &str, old: Option<String>, new: &str) -> String {
    match old {
        Some(old) if old != new => format!("{what}: {new} (before: {old})"),
        Some(_) => format!("{what}: {new} (as before)"),
        None => format!("{what}: {new}"),
    }
}

/// In what the new token may do more than the old one.
fn growth(old: &Entry, new: &Entry) -> Vec<String> {
    let mut growth = Vec::new();
    if (old.owner.kind, old.owner.id) != (new.owner.kind, new.owner.id) {
        let shown = |entry: &Entry| format!("{} {}", entry.owner.kind, code(&entry.owner.path));
        growth.push(format!("it is for {} now, and was for {}", shown(new), shown(old)));
    }
    if let (Some(was), Some(is)) = (old.role, new.role)
        && may_do_more(was, is)
    {
        growth.push(format!("its role is {is} now, and was {was}"));
    }
    let had = |scope: &str| {
        old.scopes.contains(scope) || old.scopes.iter().any(|old| implied(old).contains(&scope))
    };
    let added: Vec<String> = new.scopes.iter().filter(|scope| !had(scope)).map(|scope| code(scope)).collect();
    if !added.is_empty() {
        growth.push(format!("it has {} besides", added.join(", ")));
    }
    if new.expires.is_none() && old.expires.is_some() {
        growth.push("it never expires now".to_owned());
    }
    growth
}

/// Planner and Security Manager have rights that their neighbours have not: with them a role is not just more or less.
fn may_do_more(was: Role, is: Role) -> bool {
    let apart = |role: Role| matches!(role, Role::Planner | Role::SecurityManager);
    was != is && (is.access_level() > was.access_level() || apart(is))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::scope::offered;
    use crate::token::{Kind, Owner, Scopes};
    use jiff::ToSpan as _;

    fn entry(id: u64, role: Role, scopes: &[&str]) -> Entry {
        Entry {
            id: TokenId(id),
            gitlab: "https://gitlab.example.com".parse().unwrap(),
            owner: Owner { kind: Kind::Group, id: 7, path: "alithya-csna".to_owned() },
            name: "Backstage (qa)".to_owned(),
            role: Some(role),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            created: "2026-11-21T10:00:00Z".parse().unwrap(),
            expires: Some("2027-11-21".parse().unwrap()),
            requested: "max".to_owned(),
            mark: None,
            accepted: Scopes::new(),
            slots: BTreeMap::new(),
            superseded: Vec::new(),
        }
    }

    fn lock(entry: Option<Entry>) -> Lock {
        Lock { tokens: entry.into_iter().map(|entry| ("backstage".to_owned(), entry)).collect() }
    }

    fn review(before: Option<Entry>, mut after: Entry) -> Review {
        after.superseded.extend(before.as_ref().map(Entry::supersede));
        Review {
            environment: "qa".to_owned(),
            before: lock(before),
            after: lock(Some(after)),
            overlaps: [("backstage".to_owned(), 24.hours())].into(),
            moved: BTreeMap::new(),
            readers: Vec::new(),
        }
    }

    fn shown(review: &Review) -> String {
        let text = review.text();
        format!("{}\n\n{}", text.title, text.lines.join("\n"))
    }

    #[test]
    fn a_new_token() {
        let mut review = review(None, entry(42, Role::Developer, &["read_api", "read_repository"]));
        review.readers = vec![Readers {
            file: "secrets/qa.sops.yaml".to_owned(),
            before: None,
            after: Some(vec!["age1ana".to_owned(), "age1ben".to_owned()]),
        }];
        insta::assert_snapshot!(shown(&review));
    }

    #[test]
    fn a_successor_with_the_same_rights() {
        let scopes = ["read_api", "read_repository"];
        let review = review(Some(entry(41, Role::Developer, &scopes)), entry(42, Role::Developer, &scopes));
        insta::assert_snapshot!(shown(&review));
    }

    #[test]
    fn a_successor_that_may_do_more_and_is_read_by_others() {
        let old = entry(41, Role::Reporter, &["read_api"]);
        let mut new = entry(42, Role::Maintainer, &["api", "read_api"]);
        new.expires = None;
        let mut review = review(Some(old), new);
        review.readers = vec![Readers {
            file: "secrets/qa.sops.yaml".to_owned(),
            before: Some(vec!["age1ana".to_owned(), "age1ben".to_owned()]),
            after: Some(vec!["age1ana".to_owned(), "age1eve".to_owned()]),
        }];
        insta::assert_snapshot!(shown(&review));
    }

    #[test]
    fn an_entry_that_goes_and_a_token_that_was_retired() {
        let mut old = entry(41, Role::Reporter, &["read_api"]);
        old.superseded.push(entry(40, Role::Reporter, &["read_api"]).supersede());
        let mut before = lock(Some(old.clone()));
        before.tokens.insert("gone".to_owned(), entry(7, Role::Guest, &["read_api"]));
        old.superseded.clear();
        let review = Review { before, ..review(None, old) };
        insta::assert_snapshot!(shown(&review));
    }

    #[test]
    fn every_scope_that_the_old_one_does_not_stand_for_is_an_escalation() {
        let mut as_before = Vec::new();
        for was in offered() {
            for is in offered().filter(|is| *is != was) {
                let text =
                    shown(&review(Some(entry(41, Role::Guest, &[was])), entry(42, Role::Guest, &[is])));
                if !text.contains("**ESCALATION**") {
                    as_before.push(format!("{was} -> {is}"));
                }
            }
        }
        let expected = [
            "api -> read_api",
            "api -> read_registry",
            "api -> read_repository",
            "api -> read_user",
            "api -> self_rotate",
            "api -> write_registry",
            "api -> write_repository",
            "read_api -> read_registry",
            "read_api -> read_repository",
            "read_api -> read_user",
        ];
        assert_eq!(as_before, expected);
    }

    #[test]
    fn a_renamed_entry_is_compared_with_what_it_was() {
        let old = entry(41, Role::Developer, &["read_api"]);
        let called = |key: &str, entry: Entry| Lock { tokens: [(key.to_owned(), entry)].into() };
        let moved = [("portal".to_owned(), "backstage".to_owned())];
        let mut replaced = review(Some(old.clone()), entry(42, Role::Owner, &["api"]));
        replaced.after = called("portal", replaced.after.tokens.remove("backstage").unwrap());
        replaced.moved = moved.clone().into();
        let mut in_place = review(None, entry(43, Role::Developer, &["read_api"]));
        in_place.before = lock(Some(old.clone()));
        in_place.after = called("portal", in_place.after.tokens.remove("backstage").unwrap());
        in_place.moved = moved.into();
        let only_renamed = Review {
            before: lock(Some(old.clone())),
            after: called("portal", old),
            ..review(None, entry(1, Role::Guest, &[]))
        };
        insta::assert_snapshot!(
            [replaced, in_place, only_renamed].map(|review| shown(&review)).join("\n\n----\n\n")
        );
    }

    #[test]
    fn what_is_dead_before_the_merge_is_said() {
        let old = entry(41, Role::Developer, &["read_api"]);
        let mut leaked = review(Some(old.clone()), entry(42, Role::Developer, &["read_api"]));
        leaked.after.tokens.get_mut("backstage").unwrap().superseded.clear();
        let revoked =
            Review { before: lock(Some(old)), after: lock(None), ..review(None, entry(1, Role::Guest, &[])) };
        insta::assert_snapshot!([leaked, revoked].map(|review| shown(&review)).join("\n\n----\n\n"));
    }

    #[test]
    fn the_command_in_the_text_is_one() {
        use clap::Parser as _;
        let text = review(None, entry(42, Role::Developer, &["read_api"])).text().lines.join("\n");
        let command = text.split('`').find(|code| code.starts_with("provision ")).unwrap();
        crate::cli::Cli::try_parse_from(command.split(' ')).unwrap();
    }

    #[test]
    fn rights_that_a_stronger_scope_had_already_are_no_growth() {
        let old = entry(41, Role::Maintainer, &["api"]);
        let less = entry(42, Role::Developer, &["read_api", "write_repository", "read_repository"]);
        assert!(growth(&old, &less).is_empty());
        assert_eq!(growth(&less, &old).len(), 2);
        let more = entry(42, Role::Maintainer, &["api", "k8s_proxy"]);
        assert_eq!(growth(&old, &more), ["it has `k8s_proxy` besides"]);
    }

    #[test]
    fn a_role_beside_the_ladder_counts_as_growth() {
        assert!(may_do_more(Role::Developer, Role::SecurityManager));
        assert!(may_do_more(Role::Reporter, Role::Planner));
        assert!(!may_do_more(Role::Owner, Role::Developer));
    }

    #[test]
    fn a_name_cannot_mention_or_mark_up() {
        let mut new = entry(42, Role::Developer, &["read_api"]);
        new.name = "x` @all <b>\n/approve".to_owned();
        let text = review(None, new).text();
        assert!(text.description().contains("`x' @all <b> /approve`"), "{}", text.description());
    }
}
