//! Many runs at once: sixteen in one clone, eight clones of one remote. Whoever reads meanwhile finds whole files and a
//! credential that lives.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use provision::lock::Lock;
use provision::repo::{RelPath, Repository};
use provision::secret::Secret;
use provision::sops::{Encrypted, Format, Identities};

use crate::support::desk::sha256;
use crate::support::lab::{Lab, Said};
use crate::support::team::{Clone, Held, Team};

const SECRETS: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";

fn live(lab: &Lab) -> BTreeSet<u64> {
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    live.map(|token| token["id"].as_u64().unwrap()).collect()
}

fn current(lock: &str) -> u64 {
    Lock::read(LOCK, lock).unwrap().tokens["backstage"].id.0
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

/// What somebody reads of the environment: the secrets file and the lock.
type State = (Vec<u8>, Vec<u8>);

/// Looks again and again while `runs` goes on, and once more after it. Returns how many states were seen.
fn watched(
    look: impl Fn() -> Option<State> + Send + Sync,
    check: impl Fn(&State) + Send + Sync,
    runs: impl FnOnce(),
) -> usize {
    let over = AtomicBool::new(false);
    let watch = || {
        let mut seen: Vec<State> = Vec::new();
        loop {
            let last = over.load(Ordering::SeqCst);
            if let Some(state) = look().filter(|state| seen.last() != Some(state)) {
                check(&state);
                seen.push(state);
            }
            if last {
                return seen.len();
            }
        }
    };
    std::thread::scope(|threads| {
        let watcher = threads.spawn(watch);
        runs();
        over.store(true, Ordering::SeqCst);
        watcher.join().unwrap()
    })
}

/// The file opens with a good MAC, and the token in it lives. Returns the token's number.
#[track_caller]
fn opens_and_lives(lab: &Lab, file: &[u8]) -> u64 {
    let identity = Secret::new(lab.identity().to_owned());
    let identities = Identities::parse([("lab".to_owned(), identity)]).unwrap();
    let opened = Encrypted::parse(Format::Yaml, file).unwrap().open(&identities).unwrap();
    let value = opened.get(&r#"["GITLAB_TOKEN"]"#.parse().unwrap()).unwrap().unwrap();
    let state = lab.gitlab.state();
    let hash = sha256(value.expose().as_bytes());
    let found = state["tokens"].as_array().unwrap().iter().find(|token| token["sha256"] == *hash).unwrap();
    assert_eq!(found["active"], true, "{found}");
    found["id"].as_u64().unwrap()
}

/// Each of the two files is whole at any moment. They are written one after the other, so the two may differ.
fn whole(lab: &Lab) -> impl Fn(&State) {
    |(file, lock): &State| {
        opens_and_lives(lab, file);
        Lock::read(LOCK, std::str::from_utf8(lock).unwrap()).unwrap();
    }
}

/// In one commit the two belong together.
fn agreeing(lab: &Lab) -> impl Fn(&State) {
    |(file, lock): &State| {
        assert_eq!(opens_and_lives(lab, file), current(std::str::from_utf8(lock).unwrap()));
    }
}

fn in_the_work_tree(lab: &Lab) -> Option<State> {
    Some((fs::read(lab.repo().join(SECRETS)).ok()?, fs::read(lab.repo().join(LOCK)).ok()?))
}

fn at_head(lab: &Lab) -> Option<State> {
    let repo = Repository::discover(&lab.repo()).unwrap();
    let commit = repo.head().unwrap().commit.unwrap();
    let content = |path| repo.content_at(commit, &RelPath::new(path).unwrap()).unwrap();
    Some((content(SECRETS)?, content(LOCK)?))
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

    // Of one commit: the branch may move on between the two.
    let at_remote = || {
        let commit = team.git(["rev-parse", "main"]);
        Some((team.content(&commit, SECRETS)?, team.content(&commit, LOCK)?))
    };
    let seen = watched(at_remote, agreeing(&lab), || {
        let clones = eight_at_once(&lab, &team, "--push");
        assert_eq!(lab.minted().len(), 9);
        let lock = team.show("main", LOCK);
        assert_eq!(live(&lab), [first, current(&lock)].into(), "{lock}");
        for clone in &clones {
            assert_eq!(clone.git(&lab, &["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
            nothing_is_left(&lab, clone.folder());
        }
    });
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
