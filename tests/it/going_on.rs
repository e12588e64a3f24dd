//! What a command says about going on, and that doing so mends what is left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::lab::Lab;
use crate::support::team::Team;

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
fn a_journal_with_nothing_left_to_do_ends_after_another_environment_was_committed() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.write(JOURNAL, "");
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    assert!(!lab.repo().join(JOURNAL).exists());
}
