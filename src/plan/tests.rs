//! A world that agrees with its profile, one thing changed, and the plan that follows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::date;

use super::deliver::Waiting;
use super::observed::{FileState, Leaf, Live, Observed, Slot, SlotState};
use super::options::{Options, Overlap, Renew};
use super::provision::plan;
use super::{Plan, PlanError, Readers, Step};
use crate::journal::description;
use crate::lock::{self, Lock};
use crate::profile::Environment;
use crate::sops;
use crate::token::{Kind, Owner, Record, Role, Scopes, TokenId};

mod by_hand;
mod recovery;
mod retiring;

const PROFILE: &str = "\
secrets: { file: secrets/qa.sops.yaml, template: backstage.yaml }
tokens:
  backstage:
    kind: group
    group: acme
    name: Backstage
    role: developer
    scopes: [read_api]
";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn environment(text: &str) -> Environment {
    Environment::read("qa", "environments/qa.yaml", text).unwrap()
}

fn acme() -> Owner {
    Owner { kind: Kind::Group, id: 7, path: "acme".to_owned() }
}

fn path(key: &str) -> sops::Path {
    sops::Path::of_keys([key])
}

fn record(id: u64) -> Record {
    Record {
        id: TokenId(id),
        name: "Backstage".to_owned(),
        description: Some(description("qa", "backstage", "pv-1")),
        scopes: Scopes::from(["read_api".to_owned()]),
        user_id: 99,
        created_at: at("2026-11-21T08:00:00Z"),
        expires_at: Some(date(2027, 11, 21)),
        last_used_at: None,
        active: true,
        revoked: false,
        access_level: Some(30),
    }
}

fn entry(id: u64) -> lock::Entry {
    let record = record(id);
    lock::Entry {
        id: record.id,
        gitlab: "https://gitlab.com".parse().unwrap(),
        owner: acme(),
        name: record.name,
        role: Some(Role::Developer),
        scopes: record.scopes,
        created: record.created_at,
        expires: record.expires_at,
        requested: "max".to_owned(),
        mark: Some("pv-1".to_owned()),
        accepted: Scopes::new(),
        slots: BTreeMap::from([("secrets/qa.sops.yaml".to_owned(), BTreeMap::new())]),
        superseded: Vec::new(),
    }
}

fn file(leaf: Leaf) -> FileState {
    FileState {
        former: Vec::new(),
        path: "secrets/qa.sops.yaml".to_owned(),
        template: "backstage.yaml".to_owned(),
        exists: true,
        commit: true,
        readers: Readers::default(),
        differences: Vec::new(),
        slots: vec![SlotState {
            path: path("GITLAB_TOKEN"),
            tokens: BTreeSet::from(["backstage".to_owned()]),
            leaf,
        }],
        stale: Vec::new(),
    }
}

/// Token 42 was minted on 2026-11-21 and all agrees with the profile.
fn healthy() -> Observed {
    Observed {
        moved: Vec::new(),
        gone: BTreeSet::new(),
        orphans: Vec::new(),
        by_value: BTreeSet::new(),
        minted_elsewhere: BTreeMap::new(),
        now: at("2026-12-01T12:00:00Z"),
        operator: Some(TokenId(1)),
        lock: Lock { tokens: BTreeMap::from([("backstage".to_owned(), entry(42))]) },
        lock_path: "environments/locks/qa.yaml".to_owned(),
        owners: BTreeMap::from([("backstage".to_owned(), acme())]),
        live: BTreeMap::from([(TokenId(42), Live::Known(record(42)))]),
        files: vec![file(Leaf::Agrees)],
        at_hand: BTreeMap::new(),
        pending: Vec::new(),
        left: Vec::new(),
        upstream: Lock::default(),
        superseded_since: BTreeMap::new(),
        upstream_unknown: None,
        current_anywhere: BTreeSet::from([TokenId(42)]),
        current_elsewhere: BTreeMap::new(),
        retiring: Vec::new(),
        branches: super::observed::Branches::default(),
        new_readers: Vec::new(),
        arrives_upstream: false,
        personal_by_api: true,
    }
}

/// Nothing was minted yet.
fn fresh() -> Observed {
    let mut observed = healthy();
    observed.lock = Lock::default();
    observed.live.clear();
    observed.files[0].exists = false;
    observed.files[0].slots[0].leaf = Leaf::Missing;
    observed
}

/// Token 41 was superseded by 42 on 2026-11-21, upstream since then.
fn superseded() -> Observed {
    let mut observed = healthy();
    let old = lock::Entry { id: TokenId(41), created: at("2025-11-22T08:00:00Z"), ..entry(41) }.supersede();
    observed.lock.tokens.get_mut("backstage").unwrap().superseded = vec![old];
    let old = Record { created_at: at("2025-11-22T08:00:00Z"), ..record(41) };
    observed.live.insert(TokenId(41), Live::Known(old));
    observed.superseded_since.insert(TokenId(41), at("2026-11-21T09:00:00Z"));
    observed
}

fn planned(observed: &Observed) -> Plan {
    plan(&environment(PROFILE), observed, &Options::default()).unwrap()
}

/// The plan as verbs, reasons and notes: what a reviewer would look at.
fn verbs(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().map(|step| match step {
        Step::Withdraw { id, why, .. } => format!("withdraw {id}: {why}"),
        Step::Mint(mint) => {
            let verb = if mint.rotates.is_some() { "rotate" } else { "mint" };
            let because: Vec<String> = mint.because.iter().map(ToString::to_string).collect();
            let replaces = mint.replaces.map(|id| format!(" in place of {id}")).unwrap_or_default();
            format!("{verb} {}{replaces}: {}", mint.key, because.join("; "))
        }
        Step::Paste(mint) => format!("paste {}", mint.key),
        Step::Finish { record, .. } => format!("finish with {}", record.id),
        Step::Render { key, from, .. } => format!("render {key} from {}", from.path),
        Step::Move { from, to } => format!("{from} is {to}"),
        Step::Revoke(revoke) => format!("revoke {}", revoke.retire.token.id),
        Step::Retire(retire) if retire.token.mark.is_none() => format!("end itself {}", retire.token.id),
        Step::Retire(retire) => format!("retire {}", retire.token.id),
        Step::RetireAtOnce(retire) => format!("then revoke {}", retire.token.id),
        Step::Restore { path } => format!("restore {path}"),
        Step::Write(write) if write.create => format!("create {}", write.file),
        Step::Write(write) => format!("set {} leaves of {}", write.leaves.len(), write.file),
        Step::Lock { ended, .. } => format!("lock, {} ended", ended.len()),
        Step::Commit { paths } => format!("commit {}", paths.join(" ")),
        Step::Push { to, commits } => format!("push {commits} to {to}"),
    });
    let notes =
        plan.notes.iter().map(|note| format!("{}{}", if note.attention { "! " } else { "- " }, note.text));
    steps.chain(notes).collect()
}

const COMMIT: &str = "commit secrets/qa.sops.yaml environments/locks/qa.yaml";

#[test]
fn what_waits_to_be_pushed_is_a_step_unless_a_commit_takes_it_along() {
    let (to, files) = ("main at origin".to_owned(), vec!["environments/locks/qa.yaml".to_owned()]);
    let waiting = Some(Waiting { to, commits: 2, files });
    let mut plan = planned(&healthy());
    plan.push_waiting(waiting.clone());
    assert_eq!(verbs(&plan), ["push 2 to main at origin"]);
    let mut observed = healthy();
    observed.live.insert(TokenId(42), Live::Gone);
    let mut plan = planned(&observed);
    plan.push_waiting(waiting);
    assert!(plan.commits() && !verbs(&plan).iter().any(|verb| verb.starts_with("push")));
}

#[test]
fn a_healthy_environment_needs_nothing_today_and_in_ten_days() {
    let mut observed = healthy();
    assert!(planned(&observed).is_empty());
    observed.now = at("2026-12-11T12:00:00Z");
    let plan = planned(&observed);
    assert!(plan.is_empty() && plan.notes.is_empty());
    assert_eq!(plan.healthy[0].id, TokenId(42));
}

#[test]
fn what_was_never_minted_is_minted_written_and_committed_in_this_order() {
    let plan = planned(&fresh());
    assert_eq!(
        verbs(&plan),
        ["mint backstage: it does not exist yet", "create secrets/qa.sops.yaml", "lock, 0 ended", COMMIT]
    );
    let mint = plan.mints().next().unwrap();
    assert_eq!(mint.expires.date, Some(date(2027, 12, 1)));
    assert!(mint.expires.or_earlier);
}

#[test]
fn a_dead_token_is_replaced_whatever_the_lock_says() {
    for (change, because) in [
        (None, "GitLab no longer knows the current one"),
        (Some(Record { revoked: true, active: false, ..record(42) }), "the current one was revoked"),
        (
            Some(Record { active: false, expires_at: Some(date(2026, 12, 1)), ..record(42) }),
            "the current one expired on 2026-12-01",
        ),
        (
            Some(Record { expires_at: Some(date(2026, 12, 20)), ..record(42) }),
            "the current one expires on 2026-12-20 and is due since 2026-12-11",
        ),
    ] {
        let mut observed = healthy();
        observed.now = at("2026-12-11T12:00:00Z");
        observed.live.insert(TokenId(42), change.map_or(Live::Gone, Live::Known));
        let plan = planned(&observed);
        assert_eq!(verbs(&plan)[0], format!("mint backstage in place of 42: {because}"));
    }
}

#[test]
fn each_changed_field_is_named_with_both_values() {
    for (from, to, because) in [
        (
            "[read_api]",
            "[read_api, read_repository]",
            "scopes changes from read_api to read_api, read_repository",
        ),
        ("developer", "reporter", "role changes from developer to reporter"),
        ("name: Backstage", "name: Portal", "name changes from Backstage to Portal"),
        ("role:", "expires: 90d\n    role:", "expires changes from max to 90d"),
    ] {
        let environment = environment(&PROFILE.replace(from, to));
        let plan = plan(&environment, &healthy(), &Options::default()).unwrap();
        assert_eq!(verbs(&plan)[0], format!("mint backstage in place of 42: {because}"));
    }
}

#[test]
fn a_move_to_another_group_shows_both_and_a_renamed_group_is_no_move() {
    let mut observed = healthy();
    let moved = Owner { kind: Kind::Group, id: 8, path: "umbrella".to_owned() };
    observed.owners.insert("backstage".to_owned(), moved);
    assert_eq!(
        verbs(&planned(&observed))[0],
        "mint backstage in place of 42: owner changes from group acme to group umbrella"
    );
    let renamed = Owner { path: "acme-corp".to_owned(), ..acme() };
    observed.owners.insert("backstage".to_owned(), renamed);
    assert!(planned(&observed).is_empty());
}

#[test]
fn a_lost_slot_is_rendered_from_another_one_or_minted_anew() {
    let mut observed = healthy();
    observed.files[0].slots[0].leaf = Leaf::Missing;
    assert_eq!(
        verbs(&planned(&observed))[0],
        "mint backstage in place of 42: its value is no longer in secrets/qa.sops.yaml [\"GITLAB_TOKEN\"]"
    );
    let from = Slot { file: "secrets/qa.sops.yaml".to_owned(), path: path("COPY") };
    observed.at_hand.insert("backstage".to_owned(), from);
    assert_eq!(
        verbs(&planned(&observed)),
        ["render backstage from [\"COPY\"]", "set 1 leaves of secrets/qa.sops.yaml", "lock, 0 ended", COMMIT]
    );
}

#[test]
fn a_leaf_of_two_tokens_takes_the_healthy_one_along() {
    let two = format!(
        "{PROFILE}  mirror:\n    kind: group\n    group: acme\n    name: Mirror\n    role: developer\n    scopes: [read_api]\n"
    );
    let mut observed = healthy();
    observed.owners.insert("mirror".to_owned(), acme());
    observed.files[0].slots.push(SlotState {
        path: path("BOTH"),
        tokens: BTreeSet::from(["backstage".to_owned(), "mirror".to_owned()]),
        leaf: Leaf::Missing,
    });
    let from = Slot { file: "secrets/qa.sops.yaml".to_owned(), path: path("GITLAB_TOKEN") };
    observed.at_hand.insert("backstage".to_owned(), from);
    let plan = plan(&environment(&two), &observed, &Options::default()).unwrap();
    assert_eq!(
        verbs(&plan)[..2],
        ["render backstage from [\"GITLAB_TOKEN\"]", "mint mirror: it does not exist yet"]
    );
}

#[test]
fn a_file_for_other_readers_than_the_policy_names_is_never_written() {
    let mut observed = healthy();
    observed.files[0].differences = vec!["age1mallory is not in the policy".to_owned()];
    assert_eq!(
        verbs(&planned(&observed)),
        ["! secrets/qa.sops.yaml does not agree with the policy: age1mallory is not in the policy"]
    );
    observed.live.insert(TokenId(42), Live::Gone);
    let error = plan(&environment(PROFILE), &observed, &Options::default()).unwrap_err();
    assert!(matches!(error, PlanError::PolicyDiffers { .. }));
}

#[test]
fn a_lock_that_describes_another_token_stops_everything() {
    let foreign = [
        Record { name: "Deploys".to_owned(), ..record(42) },
        Record { created_at: at("2020-01-01T00:00:00Z"), ..record(42) },
        Record { description: Some("somebody's".to_owned()), ..record(42) },
    ];
    for record in foreign {
        let mut observed = healthy();
        observed.live.insert(TokenId(42), Live::Known(record));
        let error = plan(&environment(PROFILE), &observed, &Options::default()).unwrap_err();
        assert!(matches!(error, PlanError::NotOurs { .. }), "{error}");
    }
}

#[test]
fn a_superseded_token_is_retired_once_its_overlap_is_over() {
    assert_eq!(
        verbs(&planned(&superseded())),
        ["retire 41", "lock, 0 ended", "commit environments/locks/qa.yaml"]
    );
    let mut observed = superseded();
    observed.now = at("2026-11-22T08:59:59Z");
    assert_eq!(
        verbs(&planned(&observed)),
        ["- superseded token 41 of backstage lives until 2026-11-22T09:00:00Z"]
    );
}

#[test]
fn without_a_commit_nothing_is_retired() {
    let plan =
        plan(&environment(PROFILE), &superseded(), &Options { commit: false, ..Options::default() }).unwrap();
    assert!(plan.is_empty());
}

#[test]
fn what_is_not_superseded_upstream_is_not_retired() {
    let mut observed = superseded();
    observed.superseded_since.clear();
    assert_eq!(
        verbs(&planned(&observed)),
        ["- superseded tokens live on until their successors are upstream"]
    );
    observed.upstream_unknown = Some("origin has no known default branch".to_owned());
    assert_eq!(
        verbs(&planned(&observed)),
        ["! superseded tokens are not retired: origin has no known default branch"]
    );
}

#[test]
fn a_token_in_use_is_reported_and_kept() {
    let mut observed = superseded();
    let used = at("2026-12-01T11:00:00Z");
    let Some(Live::Known(old)) = observed.live.get_mut(&TokenId(41)) else { panic!() };
    old.last_used_at = Some(used);
    assert_eq!(
        verbs(&planned(&observed)),
        [format!("! superseded token 41 of backstage is still in use (last at {used}): not retired")]
    );
}

#[test]
fn what_is_said_of_one_token_is_not_said_of_the_superseded_ones_of_another() {
    let other = "  other: { kind: group, group: acme, name: Other, role: developer, scopes: [read_api] }\n";
    let environment = environment(&format!("{PROFILE}{other}"));
    let mut observed = superseded();
    observed.now = at("2026-11-21T12:00:00Z");
    observed.owners.insert("other".to_owned(), acme());
    let hurried = |renew| {
        let overlap = Some(Overlap { written: "0s".to_owned(), span: jiff::Span::new() });
        let options = Options { renew, overlap, force: true, ..Options::default() };
        verbs(&plan(&environment, &observed, &options).unwrap())
    };
    let only = |key: &str| BTreeSet::from([key.to_owned()]);
    for renew in [Renew::Now(only("other")), Renew::Due(only("other"))] {
        let steps = hurried(renew);
        assert!(!steps.contains(&"retire 41".to_owned()), "{steps:?}");
        assert!(steps.iter().any(|step| step.contains("41 of backstage lives until")), "{steps:?}");
    }
    let steps = hurried(Renew::Due(only("backstage")));
    assert!(steps.contains(&"retire 41".to_owned()), "{steps:?}");
}

#[test]
fn an_old_use_does_not_keep_a_token() {
    let mut observed = superseded();
    let Some(Live::Known(old)) = observed.live.get_mut(&TokenId(41)) else { panic!() };
    old.last_used_at = Some(at("2026-11-21T10:00:00Z"));
    assert_eq!(verbs(&planned(&observed))[0], "retire 41");
}

#[test]
fn a_superseded_id_that_is_somebody_elses_is_left_alone() {
    type Change = fn(&mut Observed);
    let changes: [(Change, &str); 5] = [
        (|o| o.operator = Some(TokenId(41)), "it is the token that this run acts with"),
        (|o| o.current_anywhere.extend([TokenId(41)]), "a lock names it as a current token"),
        (
            |o| edit(o, |r| r.name = "Deploys".to_owned()),
            "at GitLab its name is \"Deploys\", not \"Backstage\"",
        ),
        (
            |o| edit(o, |r| r.created_at = Timestamp::UNIX_EPOCH),
            "at GitLab it was made at 1970-01-01T00:00:00Z, not at 2025-11-22T08:00:00Z",
        ),
        (|o| edit(o, |r| r.description = None), "at GitLab its description does not have the lock's mark"),
    ];
    for (change, why) in changes {
        let mut observed = superseded();
        change(&mut observed);
        assert_eq!(
            verbs(&planned(&observed)),
            [format!("! superseded token 41 of backstage is not retired: {why}")]
        );
    }
}

fn edit(observed: &mut Observed, change: fn(&mut Record)) {
    let Some(Live::Known(old)) = observed.live.get_mut(&TokenId(41)) else { panic!() };
    change(old);
}

#[test]
fn a_superseded_token_that_has_ended_leaves_the_lock() {
    let mut observed = superseded();
    observed.live.insert(TokenId(41), Live::Gone);
    assert_eq!(verbs(&planned(&observed)), ["lock, 1 ended", "commit environments/locks/qa.yaml"]);
}
