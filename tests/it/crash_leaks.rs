//! Nothing secret is on disk, in output, in an argument or in a git object, however a run ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::canaries::Canaries;
use crate::support::desk::End;
use crate::support::fault::{Effect, Fault};
use crate::support::lab::{Lab, Said};
use crate::support::program;
use crate::support::scenarios::{
    Scenario, replacement, revocation, rotation_in_place, rotation_pushed_without_an_overlap, two_tokens,
};
use crate::support::team::Team;

/// Runs broken at every effect: right after it, before anything could have been cleared away.
fn nowhere_after_every_effect(scenario: Scenario) {
    let story = scenario().whole_run().story();
    for (number, (effect, what)) in story.iter().enumerate() {
        if *effect == Effect::Read {
            continue;
        }
        let fault = match effect {
            Effect::Mint | Effect::Revoke => Fault::FailAfter,
            Effect::Journal | Effect::Write => Fault::Torn,
            _ => Fault::DieAfter,
        };
        let desk = scenario();
        let file = "secrets/qa.sops.yaml";
        let old = desk.lab.repo().join(file).exists().then(|| desk.lab.value(file, "GITLAB_TOKEN"));
        let broken = desk.effects(Some((number, fault)));
        desk.run(&broken);
        assert_eq!(broken.struck().as_ref(), Some(&story[number]));
        let seen: Vec<String> = old.into_iter().chain(broken.values()).collect();
        let canaries = Canaries::of(&desk.lab, seen.clone());
        canaries.are_nowhere_in(&desk.lab);
        if matches!(desk.look(), End::Failed(_)) {
            // Only a person decides what becomes of it: crash_in_place.
            continue;
        }
        let whole = desk.whole_run();
        assert!(!seen.is_empty() || !whole.values().is_empty(), "{what}");
        Canaries::of(&desk.lab, whole.values()).are_nowhere_in(&desk.lab);
        canaries.are_nowhere_in(&desk.lab);
    }
}

#[test]
fn no_secret_is_on_disk_wherever_a_replacement_is_broken() {
    nowhere_after_every_effect(replacement);
}

#[test]
fn no_secret_is_on_disk_wherever_a_run_for_two_tokens_is_broken() {
    nowhere_after_every_effect(two_tokens);
}

#[test]
fn no_secret_is_on_disk_wherever_a_rotation_in_place_is_broken() {
    nowhere_after_every_effect(rotation_in_place);
}

#[test]
fn no_secret_is_on_disk_wherever_a_revocation_is_broken() {
    nowhere_after_every_effect(revocation);
}

#[test]
fn no_secret_is_on_disk_wherever_a_rotation_that_is_pushed_is_broken() {
    nowhere_after_every_effect(rotation_pushed_without_an_overlap);
}

fn verbosely(lab: &Lab) -> Command {
    let temp = lab.everything().join("tmp");
    fs::create_dir_all(&temp).unwrap();
    let mut command = lab.command(["-vv", "--env", "qa", "--yes"]);
    command.env("TMPDIR", temp);
    command
}

fn says_nothing(canaries: &Canaries, said: &Said) {
    assert!(!canaries.are_in(said.out.as_bytes()) && !canaries.are_in(said.err.as_bytes()));
}

#[test]
fn no_secret_is_in_the_output_at_the_highest_verbosity() {
    for fault in [
        None,
        Some("POST * x1 lose-reply"),
        Some("POST * x1 truncate"),
        Some("POST * x1 mismatch"),
        Some("GET /personal_access_tokens/self x1 500"),
        Some("GET /personal_access_tokens/self x1 html"),
        Some("* * x1 401"),
    ] {
        let lab = Lab::new();
        if let Some(fault) = fault {
            lab.gitlab.add_fault(fault.parse().unwrap());
        }
        let first = Said::of(&verbosely(&lab).output().unwrap());
        assert!(first.err.contains("answered"), "not verbose: {}", first.err);
        assert_eq!(first.status == 0, fault.is_none(), "{fault:?}: {}", first.err);
        let second = Said::of(&verbosely(&lab).output().unwrap()).ok();
        let canaries = Canaries::of(&lab, [lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN")]);
        says_nothing(&canaries, &first);
        says_nothing(&canaries, &second);
        canaries.are_nowhere_in(&lab);
    }
}

#[test]
fn no_secret_is_in_a_system_call_that_writes_or_starts_something() {
    let lab = Lab::new();
    // With a hook, so that git is started as well.
    hook(&lab, "#!/bin/sh\nexit 0\n");
    looks_into_the_system_calls(&lab, &[], "commit");
}

#[test]
fn no_secret_is_in_a_system_call_of_a_run_that_pushes() {
    let lab = Lab::new();
    let _team = Team::of(&lab);
    looks_into_the_system_calls(&lab, &["--push"], "push");
}

/// What the program and those it starts, git's `verb` among them, ask the system for: writes, programs, names of files.
/// What goes into a socket is for GitLab.
fn looks_into_the_system_calls(lab: &Lab, way: &[&str], verb: &str) {
    // Beside the lab: what strace writes down holds the requests too.
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let plain = verbosely(lab);
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-s", "100000", "-e"])
        .arg("trace=write,pwrite64,writev,pwritev,sendto,sendmsg,execve,openat,mkdir,rename,link,symlink")
        .arg("-o")
        .arg(&trace)
        .arg(plain.get_program())
        .args(plain.get_args())
        .args(way)
        .current_dir(plain.get_current_dir().unwrap())
        .env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    match command.output() {
        Ok(output) if output.status.success() => {}
        refused => {
            eprintln!("strace does not run here, only the files were looked at: {refused:?}");
            return;
        }
    }
    let canaries = Canaries::of(lab, [lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN")]);
    let (sent, written): (Vec<String>, Vec<String>) =
        lines(&trace).into_iter().partition(|line| line.contains("<socket:[") || line.contains("<TCP:["));
    assert!(sent.iter().any(|line| canaries.are_in(line.as_bytes())), "the trace does not show what it must");
    assert!(written.iter().any(|line| line.contains("execve(") && line.contains(verb)));
    for line in written {
        assert!(!canaries.are_in(line.as_bytes()), "a secret is in a call of {line:.60}");
    }
}

fn lines(trace: &Path) -> Vec<String> {
    let text = String::from_utf8_lossy(&fs::read(trace).unwrap()).into_owned();
    text.lines().map(ToOwned::to_owned).collect()
}

fn hook(lab: &Lab, script: &str) {
    let hook = lab.repo().join(".git/hooks/pre-commit");
    program::script(&hook, script);
}
