//! What a command says about going on, and that doing so mends what is left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::lab::Lab;
use crate::support::team::Team;

const SECRETS: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";
const JOURNAL: &str = ".git/provision/qa.journal";

fn live(lab: &Lab) -> Vec<u64> {
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    live.map(|token| token["id"].as_u64().unwrap()).collect()
}

/// Lets `run` fail in this hook.
fn with_failing_hook(lab: &Lab, name: &str, run: impl FnOnce()) {
    let hook = lab.repo().join(".git/hooks").join(name);
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    run();
    fs::remove_file(hook).unwrap();
}

/// A run with --push, of which nobody knows whether its push arrived.
fn interrupted_at_its_push() -> (Lab, Team) {
    let lab = Lab::today();
    let team = Team::of(&lab);
    with_failing_hook(&lab, "pre-push", || {
        lab.provision(["--env", "qa", "--push", "--yes"]).refused(4, "git push to origin failed");
    });
    (lab, team)
}

#[test]
fn the_command_that_goes_on_with_a_push_pushes() {
    let (lab, team) = interrupted_at_its_push();
    let on = "provision resume --env qa --push goes on";
    lab.provision(["status", "--env", "qa"]).refused(3, on);
    assert!(lab.provision(["doctor"]).out.contains(on));
    lab.provision(["resume", "--env", "qa", "--push", "--yes"]).ok();
    assert_eq!((live(&lab).len(), lab.minted().len()), (1, 1));
    assert!(team.show("main", LOCK).contains(&format!("id: {}", live(&lab)[0])));
}

#[test]
fn a_push_to_a_remote_that_is_called_otherwise_now_is_found() {
    let (lab, team) = interrupted_at_its_push();
    lab.git(["remote", "rename", "origin", "company"]);
    lab.provision(["resume", "--env", "qa", "--push", "--yes"]).ok();
    assert_eq!((live(&lab).len(), lab.minted().len()), (1, 1));
    assert!(team.show("main", LOCK).contains(&format!("id: {}", live(&lab)[0])));
}

#[test]
fn a_push_to_a_remote_that_is_gone_is_a_persons_to_decide() {
    let (lab, _team) = interrupted_at_its_push();
    lab.git(["remote", "remove", "origin"]);
    let said = lab.provision(["--env", "qa", "--yes"]).refused(4, "this clone has no remote origin any more");
    assert!(said.err.contains("provision resume --env qa --abandon"), "{}", said.err);
    assert_eq!(live(&lab).len(), 1);
    lab.provision(["resume", "--env", "qa", "--abandon", "--yes"]).ok();
    assert!(live(&lab).is_empty());
    assert!(!lab.repo().join(JOURNAL).exists());
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 1);
}

#[test]
fn a_journal_with_nothing_left_to_do_ends_after_another_environment_was_committed() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.write(JOURNAL, "");
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    assert!(!lab.repo().join(JOURNAL).exists());
}

/// qa with its secrets file kept out of git, and its only token made.
pub(crate) fn kept_out_of_git() -> Lab {
    let lab = Lab::today();
    let profile = lab.read("environments/qa.yaml");
    let kept = "template: backstage.yaml\n  commit: false";
    lab.write("environments/qa.yaml", &profile.replace("template: backstage.yaml", kept));
    lab.write(".gitignore", "/secrets/\n");
    lab.commit_all("kept out of git");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab
}

#[test]
fn a_file_outside_git_that_is_left_with_a_dead_value_is_named_with_what_mends_it() {
    let lab = kept_out_of_git();
    let old = live(&lab);
    with_failing_hook(&lab, "pre-commit", || {
        lab.provision(["rotate", "--env", "qa", "--yes"]).refused(4, "git commit failed");
    });
    let mend = "provision --env qa";
    let said = lab.provision(["resume", "--abandon", "--yes"]).refused(3, SECRETS);
    assert!(said.err.contains(mend), "{}", said.err);
    assert_eq!(live(&lab), old);
    let said = lab.provision(["status"]).refused(3, mend);
    assert!(said.out.contains("differs"), "{}", said.out);
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(!lab.provision(["status", "--env", "qa"]).ok().out.contains("differs"));
    let value = lab.value(SECRETS, "GITLAB_TOKEN");
    crate::rotate::used(&lab, &value);
}

#[test]
fn a_mint_that_is_refused_after_a_withdrawal_is_half_way_and_the_withdrawal_is_told() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    with_failing_hook(&lab, "pre-commit", || {
        lab.provision(["rotate", "--env", "qa", "--yes"]).refused(4, "git commit failed");
    });
    let withdrawn = *live(&lab).last().unwrap();
    lab.git(["restore", "--staged", "--worktree", "."]);
    let profile = lab.read("environments/qa.yaml");
    lab.write("environments/qa.yaml", &profile.replace("read_repository, ", ""));
    lab.git(["commit", "-qam", "less"]);
    lab.gitlab.add_fault("POST /groups/*/access_tokens x1 403".parse().unwrap());
    let said = lab.provision(["--env", "qa", "--yes"]).refused(4, "was not minted");
    let told = format!("token {withdrawn} of an interrupted run is revoked");
    assert!(said.out.contains(&told), "{}{}", said.out, said.err);
    assert!(said.err.contains("run the same command again"), "{}", said.err);
    assert!(!live(&lab).contains(&withdrawn));
    lab.provision(["--env", "qa", "--yes"]).ok();
}
