//! What the lock says after a run.

use super::*;
use crate::plan::next_lock::{Next, Stored, Successor};
use crate::plan::{Once, Retire, TakesOver, Why, Write};

/// What token 50 is made as, with another mark than that of 42.
fn fifty() -> Record {
    Record {
        description: Some(description("qa", "backstage", "pv-9")),
        created_at: at("2026-12-01T12:00:00Z"),
        scopes: Scopes::from(["read_api".to_owned(), "read_user".to_owned()]),
        ..record(50)
    }
}

const LIVING: TakesOver = TakesOver::Living { replaces: TokenId(42) };

struct Case {
    before: Lock,
    plan: Plan,
    active: BTreeSet<TokenId>,
    record: Record,
    takes_over: TakesOver,
    retired: Vec<TokenId>,
    owner: Owner,
    environment: Environment,
    slot: sops::Path,
    tokens: BTreeSet<String>,
}

/// Token 42, which lives, gets the successor 50.
fn replaced() -> Case {
    let mut plan = planned(&healthy());
    plan.steps.clear();
    Case {
        before: healthy().lock,
        plan,
        active: [TokenId(42)].into(),
        record: fifty(),
        takes_over: LIVING,
        retired: Vec::new(),
        owner: acme(),
        environment: environment(PROFILE),
        slot: path("GITLAB_TOKEN"),
        tokens: BTreeSet::from(["backstage".to_owned()]),
    }
}

impl Case {
    fn next<'a>(&'a self, overlap: Option<&'a str>) -> Next<'a> {
        let (file, digest) = ("secrets/qa.sops.yaml", "abc".to_owned());
        let successor = Successor {
            key: "backstage",
            owner: &self.owner,
            record: &self.record,
            mark: "pv-9",
            takes_over: self.takes_over,
            overlap,
        };
        Next {
            plan: &self.plan,
            environment: &self.environment,
            before: &self.before,
            active: &self.active,
            fresh: vec![successor],
            stored: vec![Stored { file, path: &self.slot, tokens: &self.tokens, digest }],
            retired: &self.retired,
            ended: &[],
            removed: &[],
        }
    }

    fn entry(&self, overlap: Option<&str>) -> lock::Entry {
        self.next(overlap).lock().tokens.remove("backstage").unwrap()
    }
}

fn noted(entry: &lock::Entry) -> Vec<(u64, Option<&str>)> {
    entry.superseded.iter().map(|old| (old.id.0, old.overlap.as_deref())).collect()
}

#[test]
fn a_successor_takes_the_entry_and_the_token_that_lives_on_is_noted_with_its_overlap() {
    let entry = replaced().entry(Some("48h"));
    assert_eq!((entry.id, entry.mark.as_deref()), (TokenId(50), Some("pv-9")));
    assert_eq!(entry.accepted, Scopes::from(["read_user".to_owned()]), "what it has beyond the profile");
    let slots = BTreeMap::from([(path("GITLAB_TOKEN"), "abc".to_owned())]);
    assert_eq!(entry.slots, BTreeMap::from([("secrets/qa.sops.yaml".to_owned(), slots)]));
    assert_eq!(noted(&entry), [(42, Some("48h"))]);
}

#[test]
fn a_token_that_is_dead_already_is_not_noted() {
    let mut dead = replaced();
    dead.active.clear();
    assert_eq!(noted(&dead.entry(None)), []);
    let rotated = TakesOver::Rotated { rotates: TokenId(42) };
    let in_place = Case { takes_over: rotated, record: record(50), ..replaced() };
    let entry = in_place.entry(None);
    assert_eq!((noted(&entry), entry.mark.as_deref()), (vec![], Some("pv-1")), "the mark is handed on");
}

#[test]
fn a_mark_that_gitlab_did_not_keep_is_not_in_the_lock() {
    let nothing_kept = Case { record: Record { description: None, ..fifty() }, ..replaced() };
    assert_eq!(nothing_kept.entry(None).mark, None);
}

#[test]
fn what_is_revoked_right_after_the_commit_is_remembered_by_the_journal_or_by_the_lock() {
    let mut at_once = replaced();
    let known = at_once.before.tokens["backstage"].known();
    let because = Why::NoOverlap { once: Once::Committed };
    let retire = Retire { key: "backstage".to_owned(), token: known, because };
    at_once.plan.steps = vec![Step::RetireAtOnce(retire.clone())];
    let announced = at_once.next(None).announced();
    assert_eq!((announced[0].token.id, announced[0].successor), (TokenId(42), Some(TokenId(50))));
    assert_eq!(noted(&at_once.entry(None)), []);

    // Made by hand, and its value was never here: nothing else would find it again.
    let entry = at_once.before.tokens.get_mut("backstage").unwrap();
    (entry.mark, entry.slots) = (None, BTreeMap::new());
    let token = entry.known();
    at_once.plan.steps = vec![Step::RetireAtOnce(Retire { token, ..retire })];
    assert!(at_once.next(None).announced().is_empty());
    assert_eq!(noted(&at_once.entry(Some("48h"))), [(42, Some("0s"))]);
}

#[test]
fn what_was_retired_leaves_and_a_blanked_slot_is_forgotten() {
    let mut case = replaced();
    case.before = superseded().lock;
    case.retired = vec![TokenId(41)];
    assert_eq!(noted(&case.entry(None)), [(42, None)]);
    let blanked = path("OLD");
    let slots = BTreeMap::from([(blanked.clone(), "def".to_owned())]);
    let mut other = entry(60);
    other.slots = BTreeMap::from([("secrets/qa.sops.yaml".to_owned(), slots)]);
    case.before.tokens.insert("other".to_owned(), other);
    case.plan.steps = vec![Step::Write(Write {
        file: "secrets/qa.sops.yaml".to_owned(),
        template: "backstage.yaml".to_owned(),
        create: false,
        readers: Readers::default(),
        leaves: Vec::new(),
        blank: vec![blanked],
    })];
    let lock = case.next(None).lock();
    assert!(lock.tokens["other"].slots["secrets/qa.sops.yaml"].is_empty());
}
