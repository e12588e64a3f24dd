//! What is planned for tokens that an interrupted run was about to revoke.

use super::*;
use crate::journal::Retiring;
use crate::plan::observed::{Elsewhere, OtherLock, Outcome, Pending};
use crate::plan::options::End;
use crate::plan::{Once, Why};
use crate::token::Known;

/// Token 42.
pub(super) fn known() -> Known {
    let record = record(42);
    let known = serde_json::json!({
        "id": 42, "owner": acme(), "name": record.name, "created": record.created_at, "mark": "pv-1",
    });
    serde_json::from_value(known).unwrap()
}

/// A run was about to revoke token 42 after the commit that has token 50 in its place.
fn retiring(mut observed: Observed) -> Observed {
    let token = known();
    observed.live.insert(token.id, Live::Known(record(42)));
    let (key, successor) = ("backstage".to_owned(), Some(TokenId(50)));
    let because = Why::NoOverlap { once: Once::Committed };
    observed.retiring = vec![Retiring { key, gitlab: None, token, successor, because }];
    observed
}

/// The lock of another branch has 42 as the current one.
fn used_elsewhere(mut observed: Observed) -> Observed {
    observed.branches.current.insert(TokenId(42), "environments/locks/qa.yaml on origin/main".to_owned());
    observed
}

fn because(mut observed: Observed, because: Why) -> Observed {
    observed.retiring[0].because = because;
    observed
}

fn replaced() -> Observed {
    let mut observed = healthy();
    observed.lock.tokens.insert("backstage".to_owned(), entry(50));
    observed.live.insert(TokenId(50), Live::Known(record(50)));
    observed.current_anywhere = BTreeSet::from([TokenId(50)]);
    retiring(observed)
}

#[test]
fn what_an_interrupted_run_was_about_to_revoke_is_revoked_where_no_lock_names_it() {
    assert_eq!(verbs(&planned(&replaced())), ["then revoke 42"]);
    let mut ended = replaced();
    ended.live.insert(TokenId(42), Live::Gone);
    assert!(planned(&ended).is_empty());
}

#[test]
fn what_cannot_be_revoked_yet_is_not_forgotten_but_where_it_is_undone() {
    let without_a_commit = Options { commit: false, ..Options::default() };
    let mut elsewhere = replaced();
    let dev = OtherLock { path: "environments/locks/dev.yaml".to_owned(), upstream: false };
    elsewhere.current_elsewhere.insert(TokenId(42), dev);
    let cases = [
        (retiring(healthy()), Options::default(), "the lock here has it as the current one"),
        (replaced(), without_a_commit, "a run that commits revokes it"),
        (elsewhere, Options::default(), "environments/locks/dev.yaml names it as a current token too"),
    ];
    for (observed, options, why) in cases {
        let plan = plan(&environment(PROFILE), &observed, &options).unwrap();
        assert!(plan.is_empty() && plan.needs_attention());
        assert_eq!(plan.still_to_revoke, observed.retiring);
        assert!(plan.notes[0].text.contains(why), "{:?}", plan.notes);
    }
    let abandon = Options { abandon: true, ..Options::default() };
    let plan = plan(&environment(PROFILE), &retiring(healthy()), &abandon).unwrap();
    assert!(plan.is_empty() && plan.still_to_revoke.is_empty() && !plan.needs_attention());
}

#[test]
fn a_token_whose_successor_was_never_committed_is_not_revoked() {
    let undone = |renew| {
        let mut observed = used_elsewhere(retiring(fresh()));
        observed.pending =
            vec![Pending { elsewhere: Some(Elsewhere::Branch), ..recovery::pending(recovery::recorded()) }];
        let options = Options { renew, ..Options::default() };
        plan(&environment(PROFILE), &observed, &options).unwrap()
    };
    for renew in [Renew::Nothing, Renew::Unhealthy] {
        let plan = undone(renew);
        assert!(verbs(&plan)[0].starts_with("withdraw 50"), "{:?}", verbs(&plan));
        assert_eq!(plan.at_once().count(), 0, "{:?}", verbs(&plan));
        assert!(plan.still_to_revoke.is_empty() && !plan.needs_attention());
    }
}

#[test]
fn what_was_to_be_revoked_is_that_token_and_not_its_successor() {
    let wider = PROFILE.replace("[read_api]", "[read_api, read_repository]");
    let plan = plan(&environment(&wider), &replaced(), &Options::default()).unwrap();
    assert!(verbs(&plan)[0].starts_with("mint backstage in place of 50"), "{:?}", verbs(&plan));
    let ends: Vec<_> = plan.at_once().map(|retire| retire.token.id).collect();
    assert_eq!(ends, [TokenId(42)]);
}

#[test]
fn only_the_named_entry_is_revoked_at_once() {
    let other = "  other: { kind: group, group: acme, name: Other, role: developer, scopes: [read_api] }\n";
    let mut observed = healthy();
    observed.arrives_upstream = true;
    observed.owners.insert("other".to_owned(), acme());
    observed.lock.tokens.insert("other".to_owned(), lock::Entry { name: "Other".to_owned(), ..entry(43) });
    observed.live.insert(TokenId(43), Live::Known(Record { name: "Other".to_owned(), ..record(43) }));
    observed.files[0].slots.push(SlotState {
        path: path("BOTH"),
        tokens: BTreeSet::from(["backstage".to_owned(), "other".to_owned()]),
        leaf: Leaf::Agrees,
    });
    let overlap = || Some(Overlap { written: "0s".to_owned(), span: jiff::Span::new() });
    let leaked = Renew::Leaked { id: TokenId(42), last_used: None };
    let cases =
        [(Renew::Now(BTreeSet::from(["backstage".to_owned()])), overlap(), Some("0s")), (leaked, None, None)];
    for (renew, overlap, said) in cases {
        let options = Options { renew, overlap, ..Options::default() };
        let plan = plan(&environment(&format!("{PROFILE}{other}")), &observed, &options).unwrap();
        let overlaps: Vec<_> =
            plan.mints().map(|mint| (mint.key.as_str(), mint.overlap.as_deref())).collect();
        assert_eq!(overlaps, [("backstage", said), ("other", None)]);
        let ends: Vec<_> = plan.at_once().map(|retire| retire.token.id).collect();
        assert_eq!(ends, [TokenId(42)]);
    }
}

/// The lock has 50 in its place, here and upstream.
fn upstream(mut observed: Observed) -> Observed {
    observed.upstream = observed.lock.clone();
    observed
}

#[test]
fn what_was_to_go_after_a_push_goes_once_its_successor_is_upstream() {
    let pushed = |observed| because(observed, Why::NoOverlap { once: Once::Upstream });
    let resumed = |observed: &Observed| {
        let options = Options { renew: Renew::Nothing, ..Options::default() };
        verbs(&plan(&environment(PROFILE), observed, &options).unwrap())
    };
    let waits = "! token 42 of backstage was to be revoked by an interrupted run, and is not yet: its successor is not known \
                 to be upstream";
    assert_eq!(resumed(&pushed(used_elsewhere(replaced()))), [waits]);
    assert_eq!(resumed(&pushed(upstream(replaced()))), ["then revoke 42"]);
    let arrives = Observed { arrives_upstream: true, ..pushed(replaced()) };
    assert_eq!(resumed(&arrives), ["then revoke 42"]);
    // A later one has come in its place meanwhile.
    let mut later = replaced();
    later.lock.tokens.insert("backstage".to_owned(), entry(60));
    assert_eq!(resumed(&pushed(upstream(later))), ["then revoke 42"]);
    let mut behind = pushed(upstream(replaced()));
    behind.lock = healthy().lock;
    let pull = resumed(&behind);
    assert!(
        pull[0].ends_with("upstream has its successor: git pull, then provision resume --env qa"),
        "{pull:?}"
    );
}

#[test]
fn a_successor_that_was_never_pushed_does_not_end_what_was_to_go_after_a_push() {
    let mut observed = because(retiring(healthy()), Why::NoOverlap { once: Once::Upstream });
    let committed = Outcome::Recorded { record: record(50), opens: true, committed: true };
    observed.pending = vec![Pending { elsewhere: Some(Elsewhere::Branch), ..recovery::pending(committed) }];
    let hint = verbs(&planned(&observed));
    assert!(hint.last().unwrap().ends_with("provision rotate --env qa --token backstage --push"), "{hint:?}");
    observed.now = at("2026-12-01T13:00:00Z");
    let now = Renew::Now(BTreeSet::from(["backstage".to_owned()]));
    let options = Options { renew: now, ..Options::default() };
    let plan = plan(&environment(PROFILE), &observed, &options).unwrap();
    assert!(verbs(&plan)[0].starts_with("mint backstage in place of 42"), "{:?}", verbs(&plan));
    assert_eq!(plan.at_once().count(), 0, "{:?}", verbs(&plan));
    assert_eq!(plan.still_to_revoke, observed.retiring);
}

#[test]
fn a_leak_is_remembered_where_its_successor_was_never_committed() {
    let mut observed = because(retiring(fresh()), Why::Leaked { last_used: None });
    observed.pending =
        vec![Pending { elsewhere: Some(Elsewhere::Branch), ..recovery::pending(recovery::recorded()) }];
    for abandon in [false, true] {
        let options = Options { renew: Renew::Nothing, abandon, ..Options::default() };
        let plan = plan(&environment(PROFILE), &observed, &options).unwrap();
        assert_eq!(plan.at_once().count(), 0, "{:?}", verbs(&plan));
        assert!(plan.needs_attention());
        assert_eq!(plan.still_to_revoke, observed.retiring);
    }
    let mut again = because(retiring(healthy()), Why::Leaked { last_used: None });
    again.pending = observed.pending;
    let now = Renew::Now(BTreeSet::from(["backstage".to_owned()]));
    let plan = plan(&environment(PROFILE), &again, &Options { renew: now, ..Options::default() }).unwrap();
    let ends: Vec<_> = plan.at_once().map(|retire| retire.because.clone()).collect();
    assert_eq!(ends, [Why::Leaked { last_used: None }]);
}

#[test]
fn what_a_lock_upstream_still_has_as_current_is_revoked_before_a_push_only_where_that_was_chosen() {
    let mut forced = replaced();
    forced.current_anywhere.insert(TokenId(42));
    forced.upstream = healthy().lock;
    assert_eq!(verbs(&planned(&forced)), ["then revoke 42"]);
    let pushed = because(forced, Why::NoOverlap { once: Once::Upstream });
    assert!(planned(&pushed).is_empty());
}

#[test]
fn an_overlap_never_begins_before_its_successor_was_made() {
    let mut observed = superseded();
    // This machine's clock is days behind GitLab's.
    observed.superseded_since.insert(TokenId(41), at("2026-11-19T08:00:00Z"));
    observed.now = at("2026-11-21T09:00:00Z");
    assert_eq!(
        verbs(&planned(&observed)),
        ["- superseded token 41 of backstage lives until 2026-11-22T08:00:00Z"]
    );
    // A later successor does not prolong it.
    let between = lock::Entry { created: at("2026-11-20T06:00:00Z"), ..entry(43) }.supersede();
    observed.live.insert(TokenId(43), Live::Gone);
    observed.lock.tokens.get_mut("backstage").unwrap().superseded.push(between);
    assert!(verbs(&planned(&observed)).contains(&"retire 41".to_owned()), "{:?}", verbs(&planned(&observed)));
}

#[test]
fn a_successor_that_was_replaced_in_its_turn_is_not_undone() {
    let mut observed = because(retiring(healthy()), Why::NoOverlap { once: Once::Upstream });
    observed.lock.tokens.insert("backstage".to_owned(), entry(60));
    observed.live.insert(TokenId(60), Live::Known(record(60)));
    observed.current_anywhere = BTreeSet::from([TokenId(60)]);
    let dead = Record { active: false, ..record(50) };
    let outcome = Outcome::Recorded { record: dead, opens: true, committed: false };
    observed.pending = vec![recovery::pending(outcome)];
    assert_eq!(verbs(&planned(&upstream(observed))), ["then revoke 42"]);
}

#[test]
fn abandoning_a_run_that_had_arrived_forgets_no_token() {
    for mut observed in [retiring(healthy()), used_elsewhere(retiring(fresh()))] {
        observed.branches.named.insert(TokenId(50));
        let abandon = Options { abandon: true, renew: Renew::Nothing, ..Options::default() };
        let plan = plan(&environment(PROFILE), &observed, &abandon).unwrap();
        assert_eq!(plan.still_to_revoke, observed.retiring);
        assert!(plan.needs_attention());
    }
}

#[test]
fn what_was_replaced_is_revoked_also_when_its_successor_has_ended() {
    for once in [Once::Committed, Once::Upstream] {
        let mut observed = because(retiring(fresh()), Why::NoOverlap { once });
        observed.current_anywhere.clear();
        let options = Options { renew: Renew::Nothing, ..Options::default() };
        let free = plan(&environment(PROFILE), &observed, &options).unwrap();
        assert_eq!(verbs(&free), ["then revoke 42"]);
        let waits = plan(&environment(PROFILE), &used_elsewhere(observed), &options).unwrap();
        assert_eq!((waits.at_once().count(), waits.still_to_revoke.len()), (0, 1));
    }
}

#[test]
fn what_this_plan_revokes_is_not_said_to_live_on() {
    let observed = retiring(healthy());
    let end = End::These(BTreeSet::from(["backstage".to_owned()]));
    let options = Options { renew: Renew::Nothing, end, ..Options::default() };
    let said = verbs(&plan(&environment(PROFILE), &observed, &options).unwrap());
    assert!(said.iter().all(|line| !line.contains("interrupted run")), "{said:?}");
}
