//! What is planned for the things that an interrupted run left.

use super::*;
use crate::journal::Intent;
use crate::plan::observed::{Outcome, Pending};

pub(super) fn pending(outcome: Outcome) -> Pending {
    Pending {
        intent: Intent {
            mark: "pv-9".to_owned(),
            at: at("2026-12-01T11:30:00Z"),
            key: "backstage".to_owned(),
            gitlab: "https://gitlab.com".parse().unwrap(),
            owner: acme(),
            name: "Backstage".to_owned(),
            scopes: Scopes::from(["read_api".to_owned()]),
            access_level: Some(30),
            requested: "max".to_owned(),
            sent: None,
            worktree: None,
            branch: Some("refs/heads/main".to_owned()),
            way: None,
            planned_on: None,
            overlap: None,
            rotates: None,
        },
        outcome,
        same_ground: true,
        out_of_reach: None,
        given_up: false,
    }
}

/// What GitLab answered to the mint of [`pending`].
fn minted(id: u64, mark: &str) -> Record {
    Record { description: Some(description("qa", "backstage", mark)), ..record(id) }
}

pub(super) fn recorded() -> Outcome {
    Outcome::Recorded { record: minted(50, "pv-9"), opens: true, committed: false }
}

/// The same from before GitLab 17.7, or of a token that a person has made without our description.
fn without_a_mark(opens: bool) -> Outcome {
    let record = Record { description: None, ..record(50) };
    Outcome::Recorded { record, opens, committed: false }
}

#[test]
fn a_recorded_value_is_used_where_all_is_as_it_was_planned() {
    let mut observed = fresh();
    observed.pending = vec![pending(recorded())];
    assert_eq!(verbs(&planned(&observed))[0], "finish with 50");
}

#[test]
fn what_was_pushed_to_a_remote_that_is_gone_is_used_or_left_to_a_person() {
    let mut observed = fresh();
    let pushed = || Pending { out_of_reach: Some("origin".to_owned()), ..pending(recorded()) };
    observed.pending = vec![pushed()];
    assert_eq!(verbs(&planned(&observed))[0], "finish with 50");
    observed.pending = vec![Pending { same_ground: false, ..pushed() }];
    let error = plan(&environment(PROFILE), &observed, &Options::default()).unwrap_err();
    assert!(matches!(&error, PlanError::OutOfReach { id: TokenId(50), .. }), "{error}");
    let abandon = Options { abandon: true, ..Options::resume(None) };
    let undone = plan(&environment(PROFILE), &observed, &abandon).unwrap();
    assert_eq!(verbs(&undone)[0], "withdraw 50: the interrupted run is undone");
}

#[test]
fn a_recorded_value_is_withdrawn_where_anything_else_holds() {
    type Change = fn(&mut Pending);
    let changes: [(Change, &str); 4] = [
        (|p| p.same_ground = false, "branch, worktree or lock are not those it was planned on"),
        (
            |p| {
                let record = minted(50, "pv-9");
                p.outcome = Outcome::Recorded { record, opens: false, committed: false };
            },
            "no identity here opens its recorded value",
        ),
        (|p| p.intent.name = "Portal".to_owned(), "the profile asks for something else now"),
        (|p| p.intent.key = "gone".to_owned(), "its entry needs no new token any more"),
    ];
    for (change, why) in changes {
        let mut observed = fresh();
        let mut left = pending(recorded());
        change(&mut left);
        observed.pending = vec![left];
        let verbs = verbs(&planned(&observed));
        assert_eq!(verbs[0], format!("withdraw 50: {why}"));
        assert_eq!(verbs[1], "mint backstage: it does not exist yet");
    }
}

#[test]
fn a_run_that_had_committed_leaves_nothing_to_do() {
    let mut observed = healthy();
    observed.pending = vec![pending(Outcome::Recorded { record: record(42), opens: true, committed: false })];
    assert!(planned(&observed).is_empty());
}

/// GitLab's rotate has made token 50 out of token 42, whose mark it carries.
#[test]
fn the_successor_that_a_run_finishes_is_no_orphan() {
    let mut observed = healthy();
    observed.live.insert(TokenId(42), Live::Gone);
    let mut left = pending(recorded());
    left.intent.rotates = Some(retiring::known());
    observed.pending = vec![left];
    let token = crate::token::Known { id: TokenId(50), ..retiring::known() };
    observed.orphans =
        vec![crate::plan::observed::Orphan { key: "backstage".to_owned(), token, last_used: None }];
    let orphans = Some(jiff::SignedDuration::ZERO);
    let options = Options { renew: Renew::Nothing, orphans, ..Options::default() };
    let verbs = verbs(&plan(&environment(PROFILE), &observed, &options).unwrap());
    assert_eq!(verbs[0], "finish with 50");
    assert!(!verbs.iter().any(|verb| verb.starts_with("revoke")), "{verbs:?}");
}

#[test]
fn a_token_that_a_lock_names_is_never_withdrawn() {
    let mut on_another_branch = fresh();
    let recorded = Outcome::Recorded { record: record(50), opens: true, committed: true };
    on_another_branch.pending = vec![Pending { same_ground: false, ..pending(recorded) }];
    let mut superseded_since = superseded();
    superseded_since.now = at("2026-11-21T12:00:00Z");
    let recorded = Outcome::Recorded { record: record(41), opens: true, committed: false };
    superseded_since.pending = vec![pending(recorded)];
    for observed in [on_another_branch, superseded_since] {
        assert!(!planned(&observed).steps.iter().any(|step| matches!(step, Step::Withdraw { .. })));
    }
}

#[test]
fn what_an_interrupted_run_wrote_is_written_again_or_restored() {
    let mut observed = fresh();
    observed.left = vec!["secrets/qa.sops.yaml".to_owned(), "environments/locks/qa.yaml".to_owned()];
    assert!(!planned(&observed).steps.iter().any(|step| matches!(step, Step::Restore { .. })));
    let mut observed = healthy();
    observed.left = vec!["secrets/qa.sops.yaml".to_owned()];
    assert_eq!(verbs(&planned(&observed)), ["restore secrets/qa.sops.yaml"]);
}

#[test]
fn a_lost_reply_is_withdrawn_by_its_mark_or_watched_for_an_hour() {
    let mut observed = fresh();
    observed.pending = vec![pending(Outcome::Found(record(50)))];
    assert_eq!(verbs(&planned(&observed))[0], "withdraw 50: its value was lost with the reply");
    observed.pending = vec![pending(Outcome::NotFound)];
    let plan = planned(&observed);
    assert_eq!(verbs(&plan)[0], "mint backstage: it does not exist yet");
    assert_eq!(plan.watched, ["pv-9"]);
    observed.now = at("2026-12-01T12:30:00Z");
    let plan = planned(&observed);
    assert!(plan.watched.is_empty());
    assert!(plan.notes[0].text.contains("look for \"Backstage\" of acme"), "{}", plan.notes[0].text);
}

#[test]
fn only_one_of_two_recorded_values_is_used() {
    let mut observed = fresh();
    let record = minted(51, "pv-10");
    let mut second = pending(Outcome::Recorded { record, opens: true, committed: false });
    second.intent.mark = "pv-10".to_owned();
    observed.pending = vec![pending(recorded()), second];
    assert_eq!(
        verbs(&planned(&observed))[..2],
        ["withdraw 51: its entry needs no new token any more", "finish with 50"]
    );
}

#[test]
fn a_recorded_token_without_a_mark_ends_itself_where_its_value_opens_and_is_named_where_not() {
    let mut observed = fresh();
    observed.pending = vec![Pending { same_ground: false, ..pending(without_a_mark(true)) }];
    let plan = planned(&observed);
    assert!(matches!(&plan.steps[0], Step::Withdraw { carries: None, id: TokenId(50), .. }));
    observed.pending = vec![pending(without_a_mark(false))];
    let plan = planned(&observed);
    assert_eq!(verbs(&plan)[0], "mint backstage: it does not exist yet");
    assert!(plan.notes[0].attention && plan.notes[0].text.contains("revoke it in GitLab"));
}

#[test]
fn a_persons_own_token_without_a_mark_is_theirs_to_end() {
    let mut observed = fresh();
    let mut left = Pending { same_ground: false, ..pending(without_a_mark(true)) };
    left.intent.owner.kind = Kind::Personal;
    observed.personal_by_api = false;
    observed.pending = vec![left];
    let plan = planned(&observed);
    assert_eq!(verbs(&plan)[0], "mint backstage: it does not exist yet");
    assert!(plan.notes[0].attention && plan.notes[0].text.contains("it is your own"));
}
