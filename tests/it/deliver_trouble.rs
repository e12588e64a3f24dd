//! What goes wrong around a run, with each way to deliver: it says what happened, the value is neither lost nor in the
//! clear, and the next run goes on with the same token.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

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
fn another_reader_of_the_same_number_is_another_plan() {
    let [carol, dave] = [(); 2].map(|()| provision::sops::generate_identity().1.to_string());
    let lab = Lab::today();
    let policy = lab.read(".sops.yaml").replace(&lab.recipient, &format!("{},{carol}", lab.recipient));
    lab.write(".sops.yaml", &policy);
    lab.commit_all("carol");
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    let ben = team.another_clone("ben");
    let mut held = ben.hold_next_push(&lab);
    let args = ["rotate", "--env", "qa", "--push", "--yes"];
    let late = ben.command(&lab, &args).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    held.wait();
    lab.write(".sops.yaml", &policy.replace(&carol, &dave));
    lab.provision(["rekey", "--with-policy", "--yes"]).ok();
    lab.git(["push", "-q"]);
    held.let_go();
    Said::of(&late.wait_with_output().unwrap())
        .refused(4, "the plan for qa is no longer the one that was shown");
    // Who looks at the new plan may have it.
    let ben = |args: &[&str]| Said::of(&ben.command(&lab, args).output().unwrap());
    ben(&args).ok();
    let live = lab.minted().iter().filter(|token| token["active"] == true).count();
    assert_eq!(live, 2);
    assert!(team.show("main", "secrets/qa.sops.yaml").contains(&dave));
}

#[test]
fn who_was_overtaken_by_somebody_elses_work_is_told_so() {
    let (lab, team) = lab_and_team();
    let ben = team.another_clone("ben");
    let mut held = ben.hold_next_push(&lab);
    let mut late = ben.command(&lab, &["--env", "qa", "--push", "--yes"]);
    let late = late.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    held.wait();
    team.somebody_adds("README.md", "news");
    held.let_go();
    let said = Said::of(&late.wait_with_output().unwrap()).ok();
    assert!(
        said.err.contains("the commit was made anew on what was pushed to main at origin meanwhile"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("what it made counts"), "{}", said.err);
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

#[test]
fn a_shallow_clone_says_that_it_is_one() {
    for (squash, way) in [(true, "--push"), (true, "--mr"), (false, "--push")] {
        let (lab, team) = lab_and_team();
        run(&lab, "--mr").ok();
        if squash {
            team.squash("provision/qa");
        } else {
            team.somebody_adds("README", "more");
        }
        let clone = lab.everything().join("shallow");
        let remote = format!("file://{}", team.remote().display());
        lab.git(["clone", "-q", "--depth", "1", &remote, clone.to_str().unwrap()]);
        let shallow = || {
            let mut command = lab.command(["--env", "qa", "--yes", way]);
            Said::of(&command.current_dir(&clone).output().unwrap())
        };
        let said = shallow().refused(5, "this clone does not have the whole history");
        assert!(said.err.contains("git fetch --unshallow; in GitLab CI, GIT_DEPTH: 0"), "{}", said.err);
        lab.git(["-C", clone.to_str().unwrap(), "fetch", "-q", "--unshallow"]);
        if squash {
            assert!(shallow().ok().out.contains("backstage is healthy"));
        } else {
            shallow().refused(5, "provision/qa of origin has changes that are not in main yet");
        }
        assert_eq!(lab.minted().len(), 1);
    }
}

#[test]
fn a_repository_that_the_environment_names_is_refused_with_the_way_out() {
    let (lab, _team) = lab_and_team();
    let mut command = lab.command(["--env", "qa", "--push", "--yes"]);
    command.env("GIT_DIR", lab.repo().join(".git"));
    let said = Said::of(&command.output().unwrap()).refused(5, "GIT_DIR or GIT_WORK_TREE is set");
    assert!(said.err.contains("-C DIR") && said.err.contains("without --push and --mr"), "{}", said.err);
    assert!(lab.minted().is_empty());
}

#[test]
fn the_setting_of_the_format_that_signs_is_the_one_that_is_named() {
    for (format, setting) in [("ssh", "gpg.ssh.program"), ("openpgp", "gpg.program")] {
        let (lab, _team) = lab_and_team();
        lab.git(["config", "commit.gpgSign", "true"]);
        lab.git(["config", "gpg.format", format]);
        lab.git(["config", "user.signingKey", "nobody"]);
        lab.git(["config", setting, "/nonexistent/signer"]);
        let said = run(&lab, "--no-push").refused(5, "commits are signed here");
        assert!(said.err.contains(&format!("mend {setting} and user.signingKey")), "{}", said.err);
    }
}
