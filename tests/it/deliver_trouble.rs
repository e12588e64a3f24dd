//! What goes wrong around a run, with each way to deliver: it says what happened, the value is neither lost nor in the
//! clear, and the next run goes on with the same token.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::canaries::Canaries;
use crate::support::lab::{Lab, Said};
use crate::support::team::Team;

const LOCK: &str = "environments/locks/qa.yaml";
const WAYS: [&str; 3] = ["--no-push", "--push", "--mr"];

fn lab_and_team() -> (Lab, Team) {
    let lab = Lab::new();
    let team = Team::of(&lab);
    (lab, team)
}

fn run(lab: &Lab, way: &str) -> Said {
    lab.provision(["--env", "qa", "--yes"].into_iter().chain(Some(way).filter(|way| *way != "--no-push")))
}

/// Where a run that delivers so puts its lock.
fn delivered(lab: &Lab, team: &Team, way: &str) -> String {
    match way {
        "--push" => team.show("main", LOCK),
        "--mr" => team.show("provision/qa", LOCK),
        _ => lab.git(["show", &format!("HEAD:{LOCK}")]),
    }
}

/// The next run ends well, and of the tokens that were ever made exactly the delivered one lives.
#[track_caller]
fn goes_on(lab: &Lab, team: &Team, way: &str, minted: usize) {
    no_value_is_in_the_clear(lab);
    let said = run(lab, way).ok();
    let tokens = lab.minted();
    assert_eq!(tokens.len(), minted, "{way}: {tokens:?}{}", said.err);
    let live: Vec<_> = tokens.iter().filter(|token| token["active"] == true).collect();
    assert_eq!(live.len(), 1, "{way}: {tokens:?}");
    let lock = delivered(lab, team, way);
    assert!(lock.contains(&format!("id: {}", live[0]["id"])), "{way}: {lock}");
    assert!(!lab.repo().join(".git/provision/qa.journal").exists(), "{way}: the journal is left");
    assert_eq!(lab.git(["worktree", "list"]).lines().count(), 1);
    no_value_is_in_the_clear(lab);
}

/// The prefix of every token's value, and the identity.
#[track_caller]
fn no_value_is_in_the_clear(lab: &Lab) {
    let canaries = Canaries::of(lab, ["glpat-and-whatever-follows".to_owned()]);
    canaries.are_nowhere_in(lab);
    for entry in fs::read_dir(lab.repo().join(".git/provision")).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert!(!fs::read_to_string(&path).unwrap().contains("glpat-"), "{}", path.display());
        }
    }
}

fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_hook_that_refuses_the_commit() {
    for way in WAYS {
        let (lab, team) = lab_and_team();
        let hook = lab.repo().join(".git/hooks/pre-commit");
        script(&hook, "echo 'not today' >&2; exit 1");
        let said = run(&lab, way).refused(4, "git commit failed");
        assert!(
            said.err.contains("not today") && said.err.contains("run the same command again"),
            "{}",
            said.err
        );
        fs::remove_file(hook).unwrap();
        goes_on(&lab, &team, way, 1);
    }
}

#[test]
fn a_signing_program_that_fails() {
    for way in WAYS {
        let (lab, team) = lab_and_team();
        let signer = lab.everything().join("signer");
        script(&signer, "echo 'no card' >&2; exit 2");
        lab.git(["config", "commit.gpgSign", "true"]);
        lab.git(["config", "gpg.program", signer.to_str().unwrap()]);
        let said = run(&lab, way).refused(4, "commits are signed here");
        assert!(said.err.contains("run the same command again"), "{}", said.err);
        lab.git(["config", "commit.gpgSign", "false"]);
        goes_on(&lab, &team, way, 1);
    }
}

#[test]
fn a_branch_that_turns_out_to_be_protected() {
    for (way, then) in [("--push", "--push"), ("--push", "--mr"), ("--mr", "--mr")] {
        let (lab, team) = lab_and_team();
        team.hook(
            "pre-receive",
            "echo 'GitLab: You are not allowed to push code to protected branches'; exit 1",
        );
        let said = run(&lab, way).refused(4, "origin does not take the push");
        assert!(said.err.contains("not allowed to push code to protected branches"), "{}", said.err);
        assert_eq!(way == "--push", said.err.contains("run again with --mr"), "{}", said.err);
        fs::remove_file(team.remote().join("hooks/pre-receive")).unwrap();
        goes_on(&lab, &team, then, 1);
    }
}

#[test]
fn a_remote_that_is_gone() {
    for way in ["--push", "--mr"] {
        let (lab, team) = lab_and_team();
        let away = team.remote().with_extension("away");
        fs::rename(team.remote(), &away).unwrap();
        run(&lab, way).refused(8, "git ls-remote from origin failed");
        assert_eq!(lab.minted().len(), 0);
        fs::rename(&away, team.remote()).unwrap();

        let hook = lab.repo().join(".git/hooks/pre-commit");
        script(&hook, &format!("mv '{}' '{}'", team.remote().display(), away.display()));
        let said = run(&lab, way).refused(4, "git push to origin failed");
        assert!(said.err.contains("run the same command again"), "{}", said.err);
        fs::remove_file(hook).unwrap();
        // Whether the push arrived cannot be seen, so nothing is decided.
        let said = run(&lab, way).refused(8, "git ls-remote from origin failed");
        assert!(!said.err.contains("nothing was changed"), "{}", said.err);
        fs::rename(&away, team.remote()).unwrap();
        goes_on(&lab, &team, way, 1);
    }
}

#[test]
fn a_gitlab_that_is_down_for_an_hour() {
    for way in WAYS {
        let (lab, team) = lab_and_team();
        lab.gitlab.add_fault("* * 502".parse().unwrap());
        run(&lab, way).refused(8, "failed to answer");
        assert_eq!(lab.minted().len(), 0);
        lab.gitlab.clear_faults();

        lab.gitlab.add_fault("GET /personal_access_tokens/self 502".parse().unwrap());
        run(&lab, way).refused(4, "could not be verified");
        lab.gitlab.clear_faults();
        lab.gitlab.add_fault("* * 502".parse().unwrap());
        run(&lab, way).refused(8, "failed to answer");
        lab.gitlab.clear_faults();
        lab.gitlab.advance(jiff::SignedDuration::from_hours(1));
        goes_on(&lab, &team, way, 1);
    }
}

/// The program with files that can grow to so many blocks of 512 bytes: what a full disk does to a write.
fn with_blocks(lab: &Lab, blocks: u32) -> Said {
    let plain = lab.command(["--env", "qa", "--yes"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(plain.get_current_dir().unwrap())
        .env_clear()
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Said::of(&command.output().unwrap())
}

#[test]
fn a_disk_that_takes_nothing_stops_the_run_before_anything_is_minted() {
    let (lab, team) = lab_and_team();
    let said = with_blocks(&lab, 0);
    assert_eq!(said.status, 1, "{}", said.err);
    assert_eq!(lab.minted().len(), 0);
    goes_on(&lab, &team, "--no-push", 1);
}

#[test]
fn a_disk_that_is_full_after_the_mint_leaves_a_token_that_the_next_run_withdraws() {
    let (lab, team) = lab_and_team();
    // Enough for what announces the request, and not for the sealed value.
    let said = with_blocks(&lab, 2).refused(4, "the journal");
    assert!(said.err.contains("File too large"), "{}", said.err);
    assert_eq!(lab.minted().len(), 1);
    goes_on(&lab, &team, "--no-push", 2);
}

/// The program over a work tree that is mounted for reading, beside a git directory that is not.
const READ_ONLY: &str = r#"
set -e
mount --bind "$TREE/.git" "$PLACE"
mount --bind "$TREE" "$TREE"
mount -o remount,ro,bind "$TREE"
mount --bind "$PLACE" "$TREE/.git"
cd "$TREE"
! touch probe 2> /dev/null
touch .git/probe
exec "$@"
"#;

#[test]
fn a_tree_that_cannot_be_written_stops_the_run_before_anything_is_minted() {
    let (lab, team) = lab_and_team();
    let place = tempfile::tempdir().unwrap();
    let plain = lab.command(["--env", "qa", "--yes"]);
    let mounted = |program: &OsStr, args: &[&OsStr]| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", READ_ONLY, "sh"]).arg(program).args(args);
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TREE", lab.repo()).env("PLACE", place.path());
        command.output()
    };
    if !mounted("true".as_ref(), &[]).is_ok_and(|output| output.status.success()) {
        eprintln!("nothing can be mounted here: a tree for reading only was not tried");
        return;
    }
    let args: Vec<&OsStr> = plain.get_args().collect();
    let said = Said::of(&mounted(plain.get_program(), &args).unwrap()).refused(5, "cannot write in");
    assert!(said.err.contains("Read-only file system"), "{}", said.err);
    assert_eq!(lab.minted().len(), 0);
    goes_on(&lab, &team, "--no-push", 1);
}

#[test]
fn a_remote_beside_the_repository_is_reached_by_its_relative_address() {
    for way in ["--push", "--mr"] {
        let (lab, team) = lab_and_team();
        let remote = team.remote();
        let beside = remote.strip_prefix(lab.everything().parent().unwrap()).unwrap();
        lab.git(["remote", "set-url", "origin", &format!("../../{}", beside.display())]);
        lab.git(["push", "-q", "origin", "main"]);
        run(&lab, way).ok();
        goes_on(&lab, &team, way, 1);
    }
}

#[test]
fn a_lock_and_secrets_file_that_are_not_committed_stop_a_delivery() {
    for way in ["--push", "--mr"] {
        let (lab, team) = lab_and_team();
        lab.provision(["--env", "qa", "--no-commit", "--yes"]).ok();
        let said = run(&lab, way).refused(5, "is there, but not committed");
        assert!(said.err.contains(&format!("{way} delivers what is committed")), "{}", said.err);
        assert_eq!(lab.minted().len(), 1, "{way}");
        lab.commit_all("by hand");
        goes_on(&lab, &team, "--push", 1);

        lab.sops(["set", "secrets/qa.sops.yaml", "[\"MINE\"]", "\"edited\""]).ok();
        for verb in [&["rotate", "--env", "qa"][..], &["--env", "qa"]] {
            let said = lab.provision(verb.iter().chain(&[way, "--yes"]));
            said.refused(5, "secrets/qa.sops.yaml has changes that are not committed");
        }
        fs::remove_file(lab.repo().join("secrets/qa.sops.yaml")).unwrap();
        run(&lab, way).refused(5, "was deleted, and the deletion is not committed");
        lab.git(["checkout", "-q", "secrets"]);
        lab.write(LOCK, &(lab.read(LOCK) + "# mine\n"));
        run(&lab, way).refused(5, &format!("{LOCK} has changes that are not committed"));
        assert_eq!(lab.minted().len(), 1, "{way}");
    }
}

#[test]
fn a_personal_file_that_is_not_committed_stops_a_delivery_too() {
    let (lab, _team) = lab_and_team();
    lab.provision_as_admin(["--env", "devmode", "--no-commit", "--yes"]).ok();
    let said = lab.provision_as_admin(["--env", "devmode", "--push", "--yes"]);
    said.refused(5, "is there, but not committed");
    lab.git(["add", "-A"]);
    lab.provision_as_admin(["--env", "devmode", "--push", "--yes"]).refused(5, "not committed");
    assert_eq!(lab.minted().len(), 1);
}
