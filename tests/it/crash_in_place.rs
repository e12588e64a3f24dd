//! GitLab's rotate kills the old token in the same moment as it makes the new one, so a lost reply loses both. Broken at
//! every effect, a run ends well by itself, or stops and says what a person can choose; whatever is chosen ends well.

use provision::error::Kind;
use provision::plan::options::Options;

use crate::support::desk::{Desk, End};
use crate::support::fault::{Effect, Fault};
use crate::support::lab::Lab;
use crate::support::program::script;
use crate::support::scenarios::{one_more_slot, rotating, rotation_in_place};
use crate::support::team::Team;

/// What a person answers where nothing else can decide.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// `provision rotate --force`
    Rotate,
    /// `provision resume --abandon`
    Abandon,
}

fn broken_at_every_effect(choice: Choice) -> usize {
    let story = rotation_in_place().whole_run().story();
    let mut undecided = 0;
    for (number, (effect, what)) in story.iter().enumerate() {
        let late = (*effect == Effect::Mint).then_some(Fault::Late);
        for fault in effect.faults().iter().copied().chain(late) {
            eprintln!("{fault:?} at {number}: {what}");
            let desk = rotation_in_place();
            let broken = desk.effects(Some((number, fault)));
            desk.run(&broken);
            assert_eq!(broken.struck().as_ref(), Some(&story[number]));
            desk.plain();
            if recovers(&desk) {
                desk.all_is_well();
                continue;
            }
            undecided += 1;
            decided(&desk, choice);
            if fault == Fault::Late {
                desk.block_on(broken.try_arrive());
            }
            desk.plain();
            desk.whole_run();
            desk.all_is_well();
        }
    }
    undecided
}

/// A plain run; it may only fail by asking for a decision, and changes nothing then.
fn recovers(desk: &Desk) -> bool {
    let before = desk.untouched();
    match desk.run(&desk.effects(None)) {
        End::Done(_) => true,
        End::Failed(error) if error.message().starts_with("it is not decided") => {
            assert_eq!(error.kind(), Kind::HalfWay);
            assert!(
                error.hints().iter().any(|hint| hint.to_string().contains("--abandon")),
                "{:?}",
                error.hints()
            );
            assert_eq!(desk.untouched(), before);
            false
        }
        end => panic!("{end:?}"),
    }
}

fn decided(desk: &Desk, choice: Choice) {
    desk.wants(match choice {
        Choice::Rotate => Options { force: true, ..rotating() },
        Choice::Abandon => Options { abandon: true, ..Options::resume(None) },
    });
    desk.whole_run();
}

#[test]
fn a_person_who_keeps_the_bot_user_gets_a_token_that_works() {
    assert!(broken_at_every_effect(Choice::Rotate) > 2);
}

#[test]
fn a_person_who_gives_it_up_gets_a_token_that_works() {
    assert!(broken_at_every_effect(Choice::Abandon) > 2);
}

#[test]
fn a_rotation_keeps_the_bot_user_and_the_mark_and_leaves_one_live_token() {
    let desk = rotation_in_place();
    desk.whole_run();
    let minted = desk.lab.minted();
    assert_eq!(minted.len(), 2);
    assert_eq!(minted[0]["user_id"], minted[1]["user_id"]);
    assert_eq!(minted[0]["description"], minted[1]["description"]);
    assert_eq!((minted[0]["active"].as_bool(), minted[1]["active"].as_bool()), (Some(false), Some(true)));
    desk.plain();
    desk.nothing_is_to_do();
    desk.head_is_live();
}

/// GitLab has rotated, the reply is lost, and a person wants the successor rotated in its turn.
fn lost_and_rotated_again() -> Desk {
    let story = rotation_in_place().whole_run().story();
    let mint = story.iter().position(|(effect, _)| *effect == Effect::Mint).unwrap();
    let desk = rotation_in_place();
    desk.run(&desk.effects(Some((mint, Fault::FailAfter))));
    desk.wants(Options { force: true, ..rotating() });
    desk
}

#[test]
fn a_forced_rotation_that_is_not_sent_forgets_nothing() {
    let story = lost_and_rotated_again().whole_run().story();
    for (number, (effect, what)) in story.iter().enumerate() {
        for fault in effect.faults() {
            eprintln!("{fault:?} at {number}: {what}");
            let desk = lost_and_rotated_again();
            let broken = desk.effects(Some((number, *fault)));
            desk.run(&broken);
            assert_eq!(broken.struck().as_ref(), Some(&story[number]));
            desk.plain();
            if !recovers(&desk) {
                decided(&desk, Choice::Rotate);
                desk.plain();
                desk.whole_run();
            }
            desk.all_is_well();
        }
    }
}

#[test]
fn a_forced_rotation_that_gitlab_refuses_forgets_nothing_where_another_token_is_made() {
    const TWO: &str =
        "  other: { kind: group, group: alithya-csna, name: Other, role: reporter, scopes: [read_api] }\n";
    let desk = lost_and_rotated_again();
    desk.edit("environments/qa.yaml", |profile| profile + TWO);
    one_more_slot(&desk, "OTHER", "{{ tokens.other }}");
    desk.lab.gitlab.add_fault("POST */rotate x1 403".parse().unwrap());
    let said = desk.lab.provision(["rotate", "--env", "qa", "--force", "--yes"]);
    said.refused(4, "1 token was not made");
    desk.lab.provision(["--env", "qa", "--yes"]).refused(4, "it is not decided what becomes of backstage");
    decided(&desk, Choice::Abandon);
    desk.plain();
    desk.whole_run();
    desk.all_is_well();
}

/// backstage, rotated in place by a run whose push the remote has declined; the value is under seal.
fn declined() -> (Lab, Team) {
    let lab = Lab::today();
    lab.write("environments/qa.yaml", &(lab.read("environments/qa.yaml") + "    strategy: in-place\n"));
    lab.commit_all("in place");
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    team.hook("pre-receive", "exit 1");
    lab.provision(["rotate", "--env", "qa", "--push", "--yes"]).refused(4, "does not take the push");
    std::fs::remove_file(team.remote().join("hooks/pre-receive")).unwrap();
    (lab, team)
}

#[test]
fn a_rotation_whose_push_was_declined_names_the_way_that_loses_nothing() {
    let (lab, team) = declined();
    let said = lab.provision(["--env", "qa", "--yes"]).refused(4, "it is not decided");
    let first = said.err.lines().find(|line| line.contains("hint:")).unwrap();
    let command = "provision resume --env qa --push";
    assert!(first.contains("to keep its value") && first.ends_with(command), "{}", said.err);
    lab.provision(command.split(' ').skip(1).chain(["--yes"])).ok();
    let minted = lab.minted();
    assert_eq!((minted.len(), minted[1]["active"] == true), (2, true));
    let lock = team.show("main", "environments/locks/qa.yaml");
    assert!(lock.contains(&format!("id: {}", minted[1]["id"])), "{lock}");
}

#[test]
fn a_rotation_whose_commit_failed_names_the_branch_where_it_goes_on() {
    let lab = Lab::today();
    lab.write("environments/qa.yaml", &(lab.read("environments/qa.yaml") + "    strategy: in-place\n"));
    lab.commit_all("in place");
    lab.provision(["--env", "qa", "--yes"]).ok();
    let hook = lab.repo().join(".git/hooks/pre-commit");
    script(&hook, "#!/bin/sh\nexit 1\n");
    lab.provision(["rotate", "--env", "qa", "--yes"]).refused(4, "git commit failed");
    std::fs::remove_file(hook).unwrap();
    lab.git(["checkout", "-q", "-f", "-b", "feature"]);
    let said = lab.provision(["--env", "qa", "--yes"]).refused(4, "it is not decided");
    let first = said.err.lines().find(|line| line.contains("hint:")).unwrap();
    assert!(first.ends_with("git switch main, and there: provision resume --env qa"), "{}", said.err);
    lab.git(["switch", "-q", "main"]);
    lab.provision(["resume", "--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 2);
}
