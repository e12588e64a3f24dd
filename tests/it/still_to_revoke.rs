//! A token that is to be revoked and is not: it is said, it is not forgotten, and it goes as soon as that can be.

use std::io::Write as _;
use std::process::Stdio;

use jiff::SignedDuration;

use crate::support::lab::{Lab, Said};
use crate::support::program::script;
use crate::support::team::Team;

const SECRETS: &str = "secrets/qa.sops.yaml";
const LEAKED: [&str; 5] = ["rotate", "--leaked", "--env", "qa", "--yes"];

fn lab() -> Lab {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab
}

fn leaked(lab: &Lab, value: &str) -> Said {
    let mut command = lab.command(LEAKED);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
    Said::of(&child.wait_with_output().unwrap())
}

fn lives(lab: &Lab, token: usize) -> bool {
    lab.minted()[token]["active"] == true
}

fn has_journal(lab: &Lab) -> bool {
    lab.repo().join(".git/provision/qa.journal").exists()
}

#[test]
fn a_superseded_token_that_leaked_and_is_not_revoked_is_no_success() {
    for fault in ["DELETE * 403", "DELETE * 500"] {
        let lab = lab();
        let value = lab.value(SECRETS, "GITLAB_TOKEN");
        lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
        lab.fault(fault);
        let said = leaked(&lab, &value).refused(4, "leaked, and still works");
        assert!(said.err.contains("provision resume --env qa"), "{}", said.err);
        assert!(lives(&lab, 0));
        lab.gitlab.clear_faults();
        leaked(&lab, &value).ok();
        assert_eq!((lives(&lab, 0), lives(&lab, 1)), (false, true));
    }
}

#[test]
fn a_superseded_token_that_is_not_revoked_needs_attention() {
    let lab = lab();
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    lab.gitlab.advance(SignedDuration::from_hours(25));
    lab.fault("DELETE * 403");
    lab.provision(["--env", "qa", "--yes"]).refused(3, "is not revoked");
    assert!(lives(&lab, 0));
    lab.gitlab.clear_faults();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(!lives(&lab, 0));
}

#[test]
fn a_run_without_a_commit_revokes_nothing_that_head_holds() {
    let lab = lab();
    let hook = lab.repo().join(".git/hooks/pre-commit");
    script(&hook, "#!/bin/sh\nexit 1\n");
    lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--force", "--yes"])
        .refused(4, "git commit failed");
    std::fs::remove_file(hook).unwrap();
    let said = lab.provision(["--env", "qa", "--no-commit", "--yes"]);
    let said = said.refused(3, "was to be revoked by an interrupted run, and is not yet");
    assert!(said.err.contains("the lock here has it as the current one"), "{}", said.err);
    assert!(lives(&lab, 0) && has_journal(&lab));
    lab.commit_all("by hand");
    lab.gitlab.advance(SignedDuration::from_mins(5));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!((lives(&lab, 0), lives(&lab, 1)), (false, true));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(!has_journal(&lab));
}

#[test]
fn a_leaked_token_is_remembered_where_the_lock_of_another_branch_still_has_it() {
    let lab = lab();
    let value = lab.value(SECRETS, "GITLAB_TOKEN");
    lab.fault("DELETE * 403");
    leaked(&lab, &value).refused(4, "is replaced, but not revoked yet");
    lab.gitlab.clear_faults();
    lab.git(["checkout", "-q", "-b", "other", "HEAD~1"]);
    lab.provision(["resume", "--yes"]).refused(3, "was to be revoked by an interrupted run, and is not yet");
    assert!(lives(&lab, 0) && has_journal(&lab));
    // What the hint of the run that stopped says.
    lab.git(["checkout", "-q", "main"]);
    leaked(&lab, &value).ok();
    assert_eq!((lives(&lab, 0), lives(&lab, 1)), (false, true));
    assert!(!has_journal(&lab));
    lab.provision(["--env", "qa", "--yes"]).ok();
}

/// A rotation that was committed on main and revoked nothing yet; on a branch from before it.
fn on_a_branch_behind() -> Lab {
    let lab = lab();
    lab.fault("DELETE * 403");
    lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--force", "--yes"])
        .refused(4, "not revoked yet");
    lab.gitlab.clear_faults();
    lab.git(["checkout", "-q", "-b", "other", "HEAD~1"]);
    lab
}

#[test]
fn a_branch_whose_lock_still_has_it_gets_a_successor_of_its_own() {
    let lab = on_a_branch_behind();
    lab.provision(["rotate", "--yes", "--env", "qa"]).ok();
    assert_eq!((lives(&lab, 0), has_journal(&lab)), (false, false));
}

#[test]
fn abandoning_a_run_whose_successor_is_committed_forgets_no_token() {
    let lab = on_a_branch_behind();
    lab.provision(["resume", "--abandon", "--env", "qa"])
        .refused(3, "was to be revoked by an interrupted run, and is not yet");
    assert_eq!((lives(&lab, 0), has_journal(&lab)), (true, true));
    lab.git(["checkout", "-q", "main"]);
    lab.provision(["resume", "--env", "qa", "--yes"]).ok();
    assert_eq!((lives(&lab, 0), has_journal(&lab)), (false, false));
}

#[test]
fn a_leak_is_not_forgotten_by_giving_up_what_was_begun() {
    let lab = lab();
    lab.fault("DELETE * 403");
    leaked(&lab, &lab.value(SECRETS, "GITLAB_TOKEN")).refused(4, "not revoked yet");
    lab.gitlab.clear_faults();
    lab.git(["checkout", "-q", "-b", "other", "HEAD~1"]);
    lab.provision(["resume", "--abandon", "--env", "qa"])
        .refused(3, "which leaked, was to be revoked by an interrupted run, and is not yet");
    assert!(lives(&lab, 0) && has_journal(&lab));
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    assert_eq!((lives(&lab, 0), has_journal(&lab)), (false, false));
}

#[test]
fn what_was_pushed_and_not_revoked_is_remembered_by_a_branch_that_is_behind() {
    let lab = Lab::today();
    let _team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    lab.fault("DELETE * 403");
    lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--push", "--yes"])
        .refused(4, "is replaced, but not revoked yet");
    lab.gitlab.clear_faults();
    lab.git(["reset", "-q", "--hard", "HEAD~1"]);
    lab.provision(["--env", "qa", "--yes"])
        .refused(3, "was to be revoked by an interrupted run, and is not yet");
    assert!(lives(&lab, 0) && has_journal(&lab));
    lab.git(["pull", "-q"]);
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!((lives(&lab, 0), lives(&lab, 1)), (false, true));
    assert!(!has_journal(&lab));
}

#[test]
fn a_branch_without_the_lock_undoes_the_rotation_and_leaves_the_token() {
    for abandon in [None, Some("--abandon")] {
        let lab = Lab::today();
        let team = Team::of(&lab);
        lab.git(["branch", "feature"]);
        lab.provision(["--env", "qa", "--push", "--yes"]).ok();
        lab.git(["pull", "-q"]);
        let hook = lab.repo().join(".git/hooks/pre-commit");
        script(&hook, "#!/bin/sh\nexit 1\n");
        lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--force", "--yes"])
            .refused(4, "git commit failed");
        std::fs::remove_file(hook).unwrap();
        lab.git(["checkout", "-q", "-f", "feature"]);
        lab.provision(["resume", "--env", "qa", "--yes"].into_iter().chain(abandon)).ok();
        let current = format!("id: {}", lab.minted()[0]["id"]);
        assert!(team.show("main", "environments/locks/qa.yaml").contains(&current));
        assert_eq!((lives(&lab, 0), lives(&lab, 1), has_journal(&lab)), (true, false, false));
    }
}

#[test]
fn what_was_to_go_after_a_push_does_not_go_after_a_commit() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    lab.git(["pull", "-q"]);
    team.hook("pre-receive", "exit 1");
    lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--push", "--yes"]).refused(4, "");
    lab.provision(["rotate", "--env", "qa", "--token", "backstage", "--yes"]).ok();
    assert_eq!(lab.git(["rev-list", "--count", "origin/main..HEAD"]), "1");
    assert!(lives(&lab, 0));
}

#[test]
fn a_leaked_token_without_a_successor_is_named() {
    let lab = lab();
    let value = lab.value(SECRETS, "GITLAB_TOKEN");
    let keys = lab.home().join(".config/sops/age/keys.txt");
    let cases = [(6, "POST /groups/*/access_tokens 403", false), (7, "GET /none 404", true)];
    for (status, fault, is_locked_out) in cases {
        lab.fault(fault);
        if is_locked_out {
            std::fs::remove_file(&keys).unwrap();
        }
        let id = &lab.minted()[0]["id"];
        let said = leaked(&lab, &value).refused(status, &format!("token {id} leaked, and still works"));
        assert!(said.err.contains("provision revoke --env qa --token backstage"), "{}", said.err);
        assert!(said.err.contains("revoke it at GitLab"), "{}", said.err);
        assert!(lives(&lab, 0));
        lab.gitlab.clear_faults();
    }
}

fn id(lab: &Lab, token: usize) -> String {
    lab.minted()[token]["id"].to_string()
}

#[test]
fn a_token_that_may_not_be_revoked_does_not_hold_up_the_next_environment() {
    let lab = Lab::today();
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    let stays = id(&lab, 0);
    lab.fault(&format!("DELETE */access_tokens/{stays} 403"));
    let rotate = ["rotate", "--env", "dev,qa", "--overlap", "0s", "--force", "--yes"];
    let what = format!("token {stays} of backstage is replaced, but not revoked yet");
    let said = lab.provision(rotate).refused(4, &what);
    assert_eq!((lives(&lab, 0), lives(&lab, 1)), (true, false), "{}", said.err);
    assert!(said.out.contains("qa: backstage is group token"), "{}", said.out);
    for hint in ["managed by its Owners", "provision resume --env dev", "revoke it at GitLab"] {
        assert!(said.err.contains(hint), "{hint}: {}", said.err);
    }
    assert!(!said.err.contains("same command"), "{}", said.err);
    // It is not rotated again for that, and what is due elsewhere is renewed.
    let again = ["rotate", "--env", "dev", "--overlap", "0s", "--force", "--yes"];
    lab.provision(again).refused(4, &what);
    lab.provision(again).refused(4, &what);
    assert_eq!(lab.minted().len(), 4);
    lab.gitlab.advance(SignedDuration::from_hours(24 * 350));
    let said = lab.provision(["rotate", "--all", "--due", "--yes"]).refused(4, &what);
    assert!(said.out.contains("qa: backstage is group token"), "{}", said.out);
    lab.provision(["resume", "--abandon", "--yes"]).refused(4, &what);
    lab.gitlab.clear_faults();
    lab.provision(["resume", "--yes"]).ok();
    assert!(!lives(&lab, 0) && !lab.repo().join(".git/provision/dev.journal").exists());
}

#[test]
fn a_token_that_may_not_be_revoked_does_not_hold_up_the_others_of_its_environment() {
    let lab = Lab::today();
    crate::rotate::many(&lab, 3);
    lab.provision(["--env", "qa", "--yes"]).ok();
    for token in [0, 2] {
        lab.fault(&format!("DELETE */access_tokens/{} 403", id(&lab, token)));
    }
    let rotate = ["rotate", "--env", "qa", "--overlap", "0s", "--force", "--yes"];
    lab.provision(rotate).refused(4, "2 tokens are replaced, but not revoked yet");
    assert_eq!([0, 1, 2].map(|token| lives(&lab, token)), [true, false, true]);
    lab.gitlab.clear_faults();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(!lives(&lab, 0) && !lives(&lab, 2) && !has_journal(&lab));
}

#[test]
fn a_leaked_superseded_token_is_not_forgotten() {
    let lab = lab();
    let value = lab.value(SECRETS, "GITLAB_TOKEN");
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    lab.fault("DELETE * 403");
    let said = leaked(&lab, &value).refused(4, "leaked, and still works");
    assert!(said.err.contains("provision resume --env qa"), "{}", said.err);
    assert!(lives(&lab, 0) && has_journal(&lab));
    lab.provision(["--env", "qa", "--yes"]).refused(4, "not revoked yet");
    lab.provision(["resume", "--abandon", "--yes"]).refused(4, "not revoked yet");
    lab.gitlab.clear_faults();
    lab.provision(["resume", "--yes"]).ok();
    assert_eq!((lives(&lab, 0), lives(&lab, 1), has_journal(&lab)), (false, true, false));
    assert!(!lab.read("environments/locks/qa.yaml").contains("superseded"));
}
