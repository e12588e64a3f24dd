//! `rotate` and `resume` of the built program.

use jiff::SignedDuration;

use crate::support::lab::{Lab, Said};
use crate::support::team::Team;

const SECRETS: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";

fn lab() -> Lab {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab
}

fn live(lab: &Lab) -> Vec<u64> {
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    live.map(|token| token["id"].as_u64().unwrap()).collect()
}

#[test]
fn a_healthy_token_gets_a_successor_and_is_retired_after_its_overlap() {
    let lab = lab();
    let old = lab.value(SECRETS, "GITLAB_TOKEN");
    let said = lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    assert!(said.out.contains("qa: backstage is group token"), "{}", said.out);
    assert_eq!(live(&lab).len(), 2);
    assert_ne!(lab.value(SECRETS, "GITLAB_TOKEN"), old);
    lab.gitlab.advance(SignedDuration::from_hours(25));
    lab.provision(["rotate", "--env", "qa", "--due", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 1);
    assert!(lab.git(["log", "-1", "--format=%s"]).contains("retire token"));
}

#[test]
fn nothing_is_due_so_nothing_is_done() {
    let lab = lab();
    let head = lab.head();
    let said = lab.provision(["rotate", "--all", "--due", "--yes"]);
    assert_eq!(live(&lab).len(), 1, "{}", said.err);
    assert_eq!(lab.head(), head);
    assert!(said.err.contains("dev") && said.status == 0, "{}{}", said.out, said.err);
}

#[test]
fn without_an_overlap_the_old_token_ends_when_its_successor_is_upstream() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    let said = lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 1, "{}{}", said.out, said.err);
    assert!(team.show("main", LOCK).contains(&format!("id: {}", live(&lab)[0])));
    assert!(!team.show("main", LOCK).contains("superseded:\n"), "{}", team.show("main", LOCK));
}

#[test]
fn a_push_to_another_branch_leaves_the_old_token_until_its_successor_is_upstream() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    lab.git(["checkout", "-q", "-b", "feature"]);
    lab.git(["push", "-q", "-u", "origin", "feature"]);
    lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 2);
    lab.git(["push", "-q", "origin", "feature:main"]);
    lab.git(["checkout", "-q", "main"]);
    lab.git(["pull", "-q"]);
    lab.gitlab.advance(SignedDuration::from_mins(5));
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 1);
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
}

#[test]
fn two_clones_that_rotate_at_once_end_with_the_winners_successor() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    let ben = team.another_clone("ben");
    let mut held = ben.hold_next_push(&lab);
    let args = ["rotate", "--env", "qa", "--push", "--yes"];
    let late = ben.command(&lab, &args).stdout(std::process::Stdio::piped()).spawn().unwrap();
    held.wait();
    lab.provision(args).ok();
    let winner = *live(&lab).last().unwrap();
    held.let_go();
    let said = Said::of(&late.wait_with_output().unwrap()).ok();
    // The first token, which is superseded, and the winner's.
    assert_eq!(live(&lab).len(), 2, "{}", said.out);
    assert!(live(&lab).contains(&winner), "{}", said.out);
    assert!(team.show("main", LOCK).contains(&format!("id: {winner}")));
    assert_eq!(ben.git(&lab, &["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
}

#[test]
fn without_a_journal_there_is_nothing_to_resume() {
    let lab = lab();
    let said = lab.provision(["resume", "--yes"]).ok();
    assert!(said.err.contains("no run was interrupted here"), "{}", said.err);
}

#[test]
fn what_an_interrupted_run_made_is_finished_or_undone() {
    for (flag, left) in [(None, 2), (Some("--abandon"), 1)] {
        let lab = lab();
        let old = lab.value(SECRETS, "GITLAB_TOKEN");
        // The commit fails, so that files and journal are left.
        lab.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n");
        make_executable(&lab, ".git/hooks/pre-commit");
        lab.provision(["rotate", "--env", "qa", "--yes"]).refused(4, "git commit failed");
        std::fs::remove_file(lab.repo().join(".git/hooks/pre-commit")).unwrap();
        let args: Vec<&str> = ["resume", "--yes"].into_iter().chain(flag).collect();
        lab.provision(args).ok();
        assert_eq!(live(&lab).len(), left, "{flag:?}");
        assert_eq!(lab.value(SECRETS, "GITLAB_TOKEN") == old, flag.is_some());
        assert_eq!(lab.git(["status", "--porcelain"]), "");
        assert!(!lab.repo().join(".git/provision/qa.journal").exists());
    }
}

fn make_executable(lab: &Lab, path: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = lab.repo().join(path);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
