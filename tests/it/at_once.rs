//! Many runs at once: sixteen in one clone, eight clones of one remote. Whoever reads meanwhile finds whole files and a
//! credential that lives.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use provision::lock::Lock;

use crate::support::lab::{Lab, Said};
use crate::support::team::{Clone, Held, Team};
use crate::support::watch::{
    LOCK, SECRETS, State, agreeing, at_head, at_remote, current, live_one_in, watched,
};

fn live(lab: &Lab) -> BTreeSet<u64> {
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    live.map(|token| token["id"].as_u64().unwrap()).collect()
}

/// The current token of an environment that was never replaced is the only one that lives.
#[track_caller]
fn one_lives(lab: &Lab, lock: &str) {
    assert_eq!(live(lab), [current(lock)].into(), "{lock}");
}

fn started(mut command: std::process::Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn said(child: Child) -> Said {
    Said::of(&child.wait_with_output().unwrap())
}

/// No lock, journal or worktree is left in a clone.
#[track_caller]
fn nothing_is_left(lab: &Lab, clone: &Path) {
    let git = clone.join(".git");
    for place in [git.clone(), git.join("refs/heads"), git.join("provision")] {
        for entry in fs::read_dir(place).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.ends_with(".lock") && !name.ends_with(".journal"), "{name} is left");
        }
    }
    let worktrees = lab.git(["-C", clone.to_str().unwrap(), "worktree", "list"]);
    assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
    assert_eq!(lab.git(["-C", clone.to_str().unwrap(), "status", "--porcelain"]), "");
}

/// Another scope than before, so that the token has to be replaced.
fn another_scope(lab: &Lab) {
    let profile = lab.read("environments/qa.yaml");
    let (from, to) = if profile.contains("[read_api, ") {
        ("[read_api, ", "[")
    } else {
        ("scopes: [", "scopes: [read_api, ")
    };
    lab.write("environments/qa.yaml", &profile.replace(from, to));
    lab.commit_all("another scope");
}

/// Each of the two files is whole at any moment. They are written one after the other, so the two may differ.
fn whole(lab: &Lab) -> impl Fn(&State) -> bool {
    |(file, lock): &State| {
        Lock::read(LOCK, std::str::from_utf8(lock).unwrap()).unwrap();
        live_one_in(lab, file).is_some()
    }
}

fn in_the_work_tree(lab: &Lab) -> Option<State> {
    Some((fs::read(lab.repo().join(SECRETS)).ok()?, fs::read(lab.repo().join(LOCK)).ok()?))
}

#[test]
fn sixteen_runs_in_one_clone_mint_once() {
    let lab = Lab::new();
    let runs: Vec<Child> = (0..16).map(|_| started(lab.command(["--env", "qa", "--yes"]))).collect();
    let said: Vec<Said> = runs.into_iter().map(|run| said(run).ok()).collect();
    assert_eq!(said.iter().filter(|said| said.out.contains("backstage is healthy")).count(), 15);
    assert_eq!(lab.minted().len(), 1);
    one_lives(&lab, &lab.read(LOCK));
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    nothing_is_left(&lab, &lab.repo());
}

#[test]
fn whoever_reads_files_or_head_during_replacements_finds_whole_states_and_a_live_token() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let replace = || {
        for _ in 0..3 {
            another_scope(&lab);
            let runs: Vec<Child> = (0..4).map(|_| started(lab.command(["--env", "qa", "--yes"]))).collect();
            for run in runs {
                said(run).ok();
            }
        }
    };
    let files = AtomicUsize::new(0);
    let commits = watched(
        || at_head(&lab),
        agreeing(&lab),
        || files.store(watched(|| in_the_work_tree(&lab), whole(&lab), replace), Ordering::SeqCst),
    );
    assert!(commits >= 2 && files.into_inner() >= 2, "nobody has looked");
    assert_eq!(lab.minted().len(), 4);
    nothing_is_left(&lab, &lab.repo());
}

/// Eight clones of one remote, each of whose runs has minted before the first of them pushes.
fn eight_at_once(lab: &Lab, team: &Team, way: &str) -> Vec<Clone> {
    let clones: Vec<Clone> = (0..8).map(|number| team.another_clone(&format!("clone{number}"))).collect();
    let held: Vec<Held> = clones.iter().map(|clone| clone.hold_next_push(lab)).collect();
    let command = |clone: &Clone| started(clone.command(lab, &["--env", "qa", way, "--yes"]));
    let runs: Vec<Child> = clones.iter().map(command).collect();
    held.iter().for_each(Held::wait);
    drop(held);
    let said: Vec<Said> = runs.into_iter().map(|run| said(run).ok()).collect();
    assert_eq!(said.iter().filter(|said| said.out.contains("pushed to")).count(), 1, "{said:?}");
    clones
}

#[test]
fn eight_clones_that_push_at_once_keep_one_token_and_agree() {
    let lab = Lab::new();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    let first = current(&lab.read(LOCK));
    another_scope(&lab);
    lab.git(["push", "-q"]);

    let seen = watched(
        || at_remote(&team),
        agreeing(&lab),
        || {
            let clones = eight_at_once(&lab, &team, "--push");
            assert_eq!(lab.minted().len(), 9);
            let lock = team.show("main", LOCK);
            assert_eq!(live(&lab), [first, current(&lock)].into(), "{lock}");
            for clone in &clones {
                assert_eq!(clone.git(&lab, &["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
                nothing_is_left(&lab, clone.folder());
            }
        },
    );
    assert!(seen >= 2, "nobody has looked");
}

#[test]
fn eight_clones_that_open_the_same_merge_request_keep_one_token() {
    let lab = Lab::new();
    let team = Team::of(&lab);
    let clones = eight_at_once(&lab, &team, "--mr");
    assert_eq!(lab.minted().len(), 8);
    one_lives(&lab, &team.show("provision/qa", LOCK));
    for clone in &clones {
        assert_eq!(clone.git(&lab, &["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
        nothing_is_left(&lab, clone.folder());
        let again = Said::of(&clone.command(&lab, &["--env", "qa", "--mr", "--yes"]).output().unwrap()).ok();
        assert!(again.out.contains("backstage is healthy"), "{}", again.out);
    }
    assert_eq!(lab.minted().len(), 8);
}
