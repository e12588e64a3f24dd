//! A run that delivers, killed while a git of its own still works.

use std::process::Stdio;
use std::time::Duration;

use provision::repo::lock::{Holder, LockError, RepoLock};

use crate::support::lab::Lab;
use crate::support::team::{Held, Team};

const LOCK: &str = "environments/locks/qa.yaml";
const SECRETS: &str = "secrets/qa.sops.yaml";
const RUN: [&str; 4] = ["--env", "qa", "--push", "--yes"];
const ROTATE: [&str; 5] = ["rotate", "--env", "qa", "--push", "--yes"];

/// No other run begins while it still moves references and files.
#[test]
fn a_git_that_outlives_its_run_holds_the_lock() {
    let (_team, lab) = Team::with_clone();
    let mut push = Held::in_hook(&lab, &lab.repo(), "pre-push");
    let mut run = lab.command(RUN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    push.wait();
    run.kill().unwrap();
    run.wait().unwrap();
    let take = |patience| {
        RepoLock::acquire(&lab.repo().join(".git"), &Holder::this_process("test"), patience, |_| {})
    };
    assert!(matches!(take(Duration::ZERO), Err(LockError::Held { .. })));
    push.let_go();
    drop(take(Duration::from_secs(60)).unwrap());
    lab.provision(RUN).ok();
    assert_eq!(lab.minted().len(), 1);
}

/// As a git leaves it that is killed inside of `merge --ff-only`: some files moved, branch and index not.
#[track_caller]
fn goes_on_where_a_move_was_cut(lab: &Lab, team: &Team, not_moved: &[&str]) {
    lab.git(["update-ref", "refs/heads/main", "HEAD~1"]);
    lab.git(["read-tree", "HEAD"]);
    for path in not_moved {
        lab.git(["restore", path]);
    }
    let before = lab.minted().len();
    lab.provision(ROTATE).ok();
    assert_eq!(lab.minted().len(), before + 1);
    assert_eq!(lab.git(["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn what_a_cut_move_of_the_branch_left_stands_in_nobodys_way() {
    let (team, lab) = Team::with_clone();
    lab.provision(RUN).ok();
    lab.provision(ROTATE).ok();
    for not_moved in [&[][..], &[LOCK], &[SECRETS]] {
        goes_on_where_a_move_was_cut(&lab, &team, not_moved);
    }
}

#[test]
fn new_files_of_a_cut_move_stand_in_nobodys_way() {
    let (team, lab) = Team::with_clone();
    lab.provision(RUN).ok();
    goes_on_where_a_move_was_cut(&lab, &team, &[]);
}

#[test]
fn an_edit_is_no_cut_move() {
    let (_team, lab) = Team::with_clone();
    lab.provision(RUN).ok();
    lab.provision(ROTATE).ok();
    lab.git(["update-ref", "refs/heads/main", "HEAD~1"]);
    lab.git(["read-tree", "HEAD"]);
    lab.write(LOCK, &format!("{}# mine\n", lab.read(LOCK)));
    lab.provision(ROTATE).refused(5, "environments/locks/qa.yaml has changes that are not committed");
}
