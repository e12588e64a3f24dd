//! SIGINT and SIGTERM to the built program: the first one ends a run between effects, the second one at once. Nothing
//! stays locked, and the next run goes on.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::support::lab::{Lab, Said};
use crate::support::proxy::Proxy;
use crate::support::team::{Held, Team};

/// Started with every signal as it is by default, whoever started the tests: what is ignored here would stay ignored in
/// the program, but what is handled here is handled by nobody after exec.
fn started(mut command: Command) -> Child {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let always = Arc::new(AtomicBool::new(true));
        flag::register_conditional_shutdown(signal, 128 + signal, always).unwrap();
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn said(child: Child) -> Said {
    Said::of(&child.wait_with_output().unwrap())
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

/// Sends a signal, and returns once the program has said that it was heard.
fn asked(child: &mut Child, name: &str) -> String {
    use std::io::{BufRead as _, BufReader};
    signal(child, name);
    // What else it says before is read too, and given back.
    let mut before = String::new();
    let mut from = BufReader::with_capacity(1, child.stderr.take().unwrap());
    while !before.contains("stopping") {
        assert!(from.read_line(&mut before).unwrap() > 0, "{before}");
    }
    child.stderr = Some(from.into_inner());
    before
}

#[track_caller]
fn nothing_is_locked(lab: &Lab) {
    assert_eq!(lab.git(["worktree", "list"]).lines().count(), 1);
    for lock in ["index.lock", "HEAD.lock", "refs/heads/main.lock"] {
        assert!(!lab.repo().join(".git").join(lock).exists(), "{lock} is left");
    }
    let admin = lab.repo().join(".git/worktrees");
    assert!(!admin.exists() || std::fs::read_dir(admin).unwrap().next().is_none(), "a worktree is left");
    assert!(!lab.repo().join(".git/provision/provision-qa").exists());
}

#[track_caller]
fn ends_well(lab: &Lab, again: Command, minted: usize) {
    let mut again = again;
    let said = Said::of(&again.output().unwrap()).ok();
    let tokens = lab.minted();
    assert_eq!(tokens.len(), minted, "{tokens:?}{}", said.err);
    assert_eq!(tokens.iter().filter(|token| token["active"] == true).count(), 1, "{tokens:?}");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert!(!lab.repo().join(".git/provision/qa.journal").exists());
    nothing_is_locked(lab);
}

const RUN: [&str; 5] = ["--env", "qa", "--yes", "--lock-timeout", "0s"];
const PUSH: [&str; 6] = ["--env", "qa", "--yes", "--lock-timeout", "0s", "--push"];
const MR: [&str; 6] = ["--env", "qa", "--yes", "--lock-timeout", "0s", "--mr"];

#[test]
fn before_any_effect_it_ends_at_once_with_130_and_nothing_changed() {
    let lab = Lab::new();
    let _team = Team::of(&lab);
    let mut proxy = Proxy::before(&lab, "GET /api/v4/groups/");
    lab.git(["push", "-q", "-f"]);
    let before = (lab.head(), lab.git(["status", "--porcelain"]));
    let run = started(proxy.command(&lab, &MR));
    proxy.wait();
    signal(&run, "INT");
    said(run).refused(130, "interrupted; nothing was changed");
    proxy.lose();
    assert_eq!((lab.head(), lab.git(["status", "--porcelain"])), before);
    assert_eq!(lab.minted().len(), 0);
    assert!(!lab.repo().join(".git/provision/qa.journal").exists());
    nothing_is_locked(&lab);
    ends_well(&lab, proxy.command(&lab, &MR), 1);
}

#[test]
fn while_a_token_is_made_it_is_recorded_first_and_used_by_the_next_run() {
    for name in ["INT", "TERM", "HUP"] {
        let lab = Lab::new();
        let mut proxy = Proxy::before(&lab, "POST ");
        let mut run = started(proxy.command(&lab, &RUN));
        proxy.wait();
        asked(&mut run, name);
        proxy.let_go();
        let said = said(run).refused(4, "run the same command again: it goes on from here");
        assert!(said.err.contains("interrupted"), "{}", said.err);
        assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "1");
        nothing_is_locked(&lab);
        ends_well(&lab, proxy.command(&lab, &RUN), 1);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let lab = Lab::new();
    let mut proxy = Proxy::before(&lab, "POST ");
    let mut run = started(proxy.command(&lab, &RUN));
    proxy.wait();
    asked(&mut run, "INT");
    signal(&run, "INT");
    said(run).refused(4, "run the same command again");
    proxy.lose();
    nothing_is_locked(&lab);
    // The reply was lost with the run: that token is withdrawn, and another one made.
    ends_well(&lab, proxy.command(&lab, &RUN), 2);
}

#[test]
fn while_git_commits_the_commit_is_finished_and_the_push_is_left_to_the_next_run() {
    let lab = Lab::new();
    let team = Team::of(&lab);
    let mut held = Held::in_hook(&lab, &lab.repo(), "pre-commit");
    let mut run = started(lab.command(PUSH));
    held.wait();
    asked(&mut run, "INT");
    held.let_go();
    said(run).refused(4, "run the same command again: it goes on from here");
    assert_eq!(team.git(["rev-list", "--count", "main"]), "1");
    nothing_is_locked(&lab);
    ends_well(&lab, lab.command(PUSH), 1);
    assert_eq!(team.git(["rev-list", "--count", "main"]), "2");
}

#[test]
fn between_environments_what_is_done_is_reported() {
    let lab = Lab::new();
    let mut held = Held::in_hook(&lab, &lab.repo(), "post-commit");
    let mut run = started(lab.command(["--env", "dev,qa", "--yes"]));
    held.wait();
    asked(&mut run, "TERM");
    held.let_go();
    let said = said(run).refused(4, "interrupted");
    assert!(said.out.contains("dev: backstage is group token"), "{}", said.out);
    assert_eq!(lab.minted().len(), 1);
    nothing_is_locked(&lab);
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 2);
}
