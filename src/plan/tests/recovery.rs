//! What is planned for the things that an interrupted run left.

use super::*;
use crate::journal::Intent;
use crate::plan::deliver::Way;
use crate::plan::observed::{Elsewhere, Outcome, Pending};
use crate::plan::{Proof, Regain};

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
        elsewhere: None,
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
    observed.pending = vec![Pending { elsewhere: Some(Elsewhere::Branch), ..pushed() }];
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
        (
            |p| p.elsewhere = Some(Elsewhere::Branch),
            "branch, worktree or lock are not those it was planned on",
        ),
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
fn a_plan_says_in_json_whose_place_a_token_takes() {
    let mut first = fresh();
    first.pending = vec![pending(recorded())];
    let steps = serde_json::to_value(&planned(&first).steps).unwrap();
    assert_eq!((&steps[0]["step"], steps[0].get("replaces")), (&"finish".into(), None), "{steps}");
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
    let plan = plan(&environment(PROFILE), &observed, &options).unwrap();
    let shown = serde_json::to_value(&plan.steps[0]).unwrap();
    assert_eq!((&shown["step"], &shown["rotates"]), (&"finish".into(), &42.into()), "{shown}");
    let verbs = verbs(&plan);
    assert_eq!(verbs[0], "finish with 50");
    assert!(!verbs.iter().any(|verb| verb.starts_with("revoke")), "{verbs:?}");
}

#[test]
fn a_token_that_a_lock_names_is_never_withdrawn() {
    let mut on_another_branch = fresh();
    let recorded = Outcome::Recorded { record: record(50), opens: true, committed: true };
    on_another_branch.pending = vec![Pending { elsewhere: Some(Elsewhere::Branch), ..pending(recorded) }];
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
    observed.pending = vec![Pending { elsewhere: Some(Elsewhere::Branch), ..pending(without_a_mark(true)) }];
    let plan = planned(&observed);
    assert!(matches!(&plan.steps[0], Step::Withdraw { proof: Proof::Value, id: TokenId(50), .. }));
    observed.pending = vec![pending(without_a_mark(false))];
    let plan = planned(&observed);
    assert_eq!(verbs(&plan)[0], "mint backstage: it does not exist yet");
    assert!(plan.notes[0].attention && plan.notes[0].text.contains("revoke it in GitLab"));
}

#[test]
fn a_persons_own_token_without_a_mark_is_theirs_to_end() {
    let mut observed = fresh();
    let mut left = Pending { elsewhere: Some(Elsewhere::Branch), ..pending(without_a_mark(true)) };
    left.intent.owner.kind = Kind::Personal;
    observed.personal_by_api = false;
    observed.pending = vec![left];
    let plan = planned(&observed);
    assert_eq!(verbs(&plan)[0], "mint backstage: it does not exist yet");
    assert!(plan.notes[0].attention && plan.notes[0].text.contains("it is your own"));
}

#[test]
fn what_is_revoked_is_not_finished_first() {
    let two = format!(
        "{PROFILE}  mirror: {{ kind: group, group: acme, name: Backstage, role: developer, scopes: [read_api] }}\n"
    );
    let mut observed = fresh();
    observed.owners.insert("mirror".to_owned(), acme());
    observed.files[0].slots.push(SlotState {
        path: path("MIRROR"),
        tokens: BTreeSet::from(["mirror".to_owned()]),
        leaf: Leaf::Missing,
    });
    observed.files[0].exists = true;
    observed.files[0].slots[0].leaf = Leaf::Differs;
    let mut second =
        pending(Outcome::Recorded { record: minted(51, "pv-10"), opens: true, committed: false });
    second.intent.mark = "pv-10".to_owned();
    second.intent.key = "mirror".to_owned();
    observed.pending = vec![pending(recorded()), second];
    let revoking = |keys: &[&str]| {
        let end = End::These(Chosen::named(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>()));
        let options = Options { renew: Renew::Nothing, end, ..Options::default() };
        verbs(&plan(&environment(&two), &observed, &options).unwrap())
    };
    let withdrawn = |id| format!("withdraw {id}: its entry needs no new token any more");
    let steps = revoking(&["backstage"]);
    let set = "set 1 leaves of secrets/qa.sops.yaml".to_owned();
    assert_eq!(steps[..3], [withdrawn(50), "finish with 51".to_owned(), set]);
    // What stands in its slot is not what was made for it, and stays.
    let steps = revoking(&[]);
    assert_eq!(steps[..2], [withdrawn(50), withdrawn(51)]);
    assert!(!steps.iter().any(|step| step.starts_with("set") || step.starts_with("lock")), "{steps:?}");
}

/// GitLab's rotate was asked for token 42, and gave no answer.
fn unanswered() -> Observed {
    let mut observed = healthy();
    let mut left = pending(Outcome::NotFound);
    left.intent.rotates = Some(retiring::known());
    observed.pending = vec![left];
    observed
}

#[test]
fn a_rotation_without_an_answer_is_settled_by_another_one_and_by_nothing_else() {
    let forced = Options { renew: Renew::Now(Chosen::All), force: true, ..Options::default() };
    let in_place = environment(&format!("{PROFILE}    strategy: in-place\n"));
    let rotated = plan(&in_place, &unanswered(), &forced).unwrap();
    assert_eq!(rotated.mints().next().unwrap().settles, ["pv-9"]);
    assert!(rotated.watched.is_empty());
    // What is made anew leaves the token that the request was about.
    let minted = plan(&environment(PROFILE), &unanswered(), &forced).unwrap();
    assert!(minted.mints().next().unwrap().settles.is_empty());
    assert_eq!(minted.watched, ["pv-9"]);
}

#[test]
fn a_rotation_whose_value_is_under_seal_names_what_it_takes_to_use_it() {
    let mut observed = unanswered();
    let recorded = |opens| Outcome::Recorded { record: minted(50, "pv-1"), opens, committed: false };
    let way = Some(Way::Push);
    let cases = [
        (recorded(false), None, None, Some(Regain::WithKey)),
        (recorded(true), Some(Elsewhere::Branch), None, Some(Regain::OnBranch("main".to_owned()))),
        (recorded(true), Some(Elsewhere::Worktree(None)), way, Some(Regain::ThatWay)),
        (
            recorded(true),
            Some(Elsewhere::Worktree(Some("/there".to_owned()))),
            None,
            Some(Regain::InWorktree("/there".to_owned())),
        ),
        (recorded(true), Some(Elsewhere::Entry), None, None),
    ];
    for (outcome, elsewhere, way, expected) in cases {
        let left = &mut observed.pending[0];
        (left.outcome, left.elsewhere, left.intent.way) = (outcome, elsewhere, way);
        match plan(&environment(PROFILE), &observed, &Options::default()) {
            Err(PlanError::Undecided { regain, successor: Some(TokenId(50)), .. }) => {
                assert_eq!(regain, expected);
            }
            other => panic!("{other:?}"),
        }
    }
}
