//! The built program, killed by SIGKILL at a place that it always comes to, and run again.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Output, Stdio};

use crate::support::lab::{Lab, Said, said};
use crate::support::program;
use crate::support::proxy::Proxy;

const RUN: [&str; 3] = ["--env", "qa", "--yes"];

/// SIGKILL.
const KILLED: Option<i32> = Some(9);

/// A hook that kills the run that git works for, once, and then lets git go on or not. Its number is in the note of the
/// repository lock.
fn killing_hook(lab: &Lab, name: &str, status: u8) {
    let script = format!(
        "#!/bin/sh\n[ -e .git/killed ] && exit 0\n: > .git/killed\nread -r pid < .git/provision/lock\nkill -9 \"$pid\"\nexit {status}\n"
    );
    let hook = lab.repo().join(".git/hooks").join(name);
    program::script(&hook, &script);
}

/// Ends when git has ended too: it has the same standard error.
fn killed(lab: &Lab) -> Output {
    let output = lab.command(["--env", "qa", "--yes"]).output().unwrap();
    assert_eq!(output.status.signal(), KILLED, "{:?}", Said::of(&output));
    output
}

#[track_caller]
fn ends_well(lab: &Lab, tokens: usize) {
    lab.provision(["--env", "qa", "--yes"]).ok();
    let minted = lab.minted();
    assert_eq!(minted.len(), tokens, "{minted:?}");
    let active: Vec<_> = minted.iter().filter(|token| token["active"] == true).collect();
    assert_eq!(active.len(), 1, "{minted:?}");
    assert!(lab.read("environments/locks/qa.yaml").contains(&format!("id: {}", active[0]["id"])));
    assert_eq!(
        lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN").len(),
        lab.gitlab.operator_token().expose().len()
    );
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert_eq!(lab.git(["fsck", "--strict", "--no-dangling"]), "");
    let again = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(again.out.contains("backstage is healthy"), "{}", again.out);
}

#[test]
fn what_a_killed_run_left_in_one_worktree_is_not_withdrawn_from_another() {
    let lab = Lab::new();
    lab.git(["worktree", "add", "-q", "../other"]);
    killing_hook(&lab, "pre-commit", 1);
    killed(&lab);
    let elsewhere = || {
        let mut command = lab.command(RUN);
        said(command.current_dir(lab.everything().join("other")))
    };
    let refused = elsewhere();
    let refused = refused.refused(4, "an interrupted run left secrets/qa.sops.yaml in another worktree");
    assert!(
        refused.err.contains(&format!("provision -C {} --env qa", lab.repo().display())),
        "{}",
        refused.err
    );
    ends_well(&lab, 1);
}

#[test]
fn where_nothing_is_left_of_a_killed_run_any_worktree_may_go_on() {
    let lab = Lab::new();
    lab.git(["worktree", "add", "-q", "../other"]);
    killing_hook(&lab, "pre-commit", 1);
    killed(&lab);
    lab.git(["restore", "--source=HEAD", "--worktree", "."]);
    lab.git(["clean", "-fdq"]);
    std::fs::remove_file(lab.repo().join(".git/hooks/pre-commit")).unwrap();
    let mut command = lab.command(RUN);
    said(command.current_dir(lab.everything().join("other"))).ok();
    assert_eq!(lab.minted().iter().filter(|token| token["active"] == true).count(), 1);
}

#[test]
fn killed_while_git_commits_and_git_gives_up() {
    let lab = Lab::new();
    killing_hook(&lab, "pre-commit", 1);
    killed(&lab);
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "1");
    ends_well(&lab, 1);
}

#[test]
fn killed_while_git_commits_and_git_goes_on_alone() {
    let lab = Lab::new();
    killing_hook(&lab, "pre-commit", 0);
    killed(&lab);
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    ends_well(&lab, 1);
}

#[test]
fn killed_after_the_commit_and_before_the_journal_is_closed() {
    let lab = Lab::new();
    killing_hook(&lab, "post-commit", 0);
    killed(&lab);
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    ends_well(&lab, 1);
}

#[test]
fn killed_while_the_new_token_is_on_its_way() {
    let lab = Lab::new();
    let mut proxy = Proxy::before(&lab, "POST ");
    let mut run = proxy.command(&lab, &RUN);
    let child = run.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut child = proxy.kills(child);
    assert_eq!(child.wait().unwrap().signal(), KILLED);
    assert_eq!(lab.minted().len(), 1);

    Said::of(&proxy.command(&lab, &RUN).output().unwrap()).ok();
    let minted = lab.minted();
    let active: Vec<bool> = minted.iter().map(|token| token["active"] == true).collect();
    assert_eq!(active, [false, true]);
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn killed_while_the_index_is_locked() {
    let lab = Lab::new();
    let script = "[ -e .git/killed ] && exec cat\n[ -e .git/index.lock ] || exec cat\n: > .git/killed\nread -r pid < .git/provision/lock\nkill -9 \"$pid\"\n";
    std::fs::write(lab.repo().join(".git/filter"), script).unwrap();
    lab.git(["config", "filter.kill.clean", "sh .git/filter"]);
    lab.write(".gitattributes", "secrets/* filter=kill\n");
    lab.git(["add", "-A"]);
    lab.git(["commit", "-q", "--amend", "-m", "base"]);
    killed(&lab);
    assert!(lab.repo().join(".git/index.lock").exists());
    ends_well(&lab, 1);
}

/// The lock that names the token of a run that was killed behind its commit is not where the run has put it.
#[test]
fn a_token_that_any_lock_names_is_not_withdrawn() {
    let renamed = |lab: &Lab| {
        lab.git(["mv", "environments/qa.yaml", "environments/st.yaml"]);
        lab.git(["mv", "environments/locks/qa.yaml", "environments/locks/st.yaml"]);
        lab.git(["commit", "-qm", "Rename"]);
    };
    let on_a_branch_of_another_name = |lab: &Lab| {
        lab.git(["branch", "-m", "work", "works"]);
        lab.git(["checkout", "-q", "main"]);
    };
    let on_a_branch_made_of_it = |lab: &Lab| {
        lab.git(["branch", "-f", "kept", "HEAD"]);
        lab.git(["checkout", "-q", "main"]);
    };
    not_withdrawn(&["status", "-s"], renamed);
    not_withdrawn(&["checkout", "-qb", "work"], on_a_branch_of_another_name);
    not_withdrawn(&["checkout", "-q", "--detach"], on_a_branch_made_of_it);
}

/// `after` is done behind a run that was killed after its commit.
#[track_caller]
fn not_withdrawn(before: &[&str], after: impl Fn(&Lab)) {
    let lab = Lab::new();
    lab.git(before);
    killing_hook(&lab, "post-commit", 0);
    killed(&lab);
    after(&lab);
    lab.provision(["resume", "--env", "qa", "--yes"]);
    assert_eq!(lab.minted()[0]["active"], true, "{before:?}");
    assert!(!lab.repo().join(".git/provision/qa.journal").exists(), "{before:?}");
}
