//! Whoever reads HEAD, or the remote's default branch, finds a credential that lives: while tokens are rotated, while runs
//! are killed, and while a merge request waits for days.

use std::process::Stdio;
use std::time::Duration;

use jiff::SignedDuration;

use crate::support::lab::Lab;
use crate::support::team::Team;
use crate::support::watch::{LOCK, agreeing, at_head, at_remote, current, watched};

fn live(lab: &Lab) -> usize {
    lab.minted().iter().filter(|token| token["active"] == true).count()
}

/// Starts a run, and kills it so many milliseconds later. Where that falls is up to the machine: whatever it is, it must
/// do no harm.
fn killed_after(lab: &Lab, args: &[&str], milliseconds: u64) {
    let mut command = lab.command(args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _ = lab.gitlab.wait_until(Duration::from_millis(milliseconds), |_| false);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn while_rotations_are_killed() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    let rotate = ["rotate", "--env", "qa", "--push", "--yes", "--overlap", "1h"];
    let rotations = || {
        for after in [20, 40, 80, 120, 160, 200, 260, 320] {
            killed_after(&lab, &rotate, after);
            lab.provision(["rotate", "--env", "qa", "--push", "--yes", "--due"]).ok();
            lab.gitlab.advance(SignedDuration::from_hours(2));
        }
        lab.provision(rotate).ok();
        lab.gitlab.advance(SignedDuration::from_hours(2));
        lab.provision(["rotate", "--env", "qa", "--push", "--yes", "--due"]).ok();
    };
    let heads = watched(
        || at_head(&lab),
        agreeing(&lab),
        || {
            let pushed = watched(|| at_remote(&team), agreeing(&lab), rotations);
            assert!(pushed >= 2, "nobody has looked");
        },
    );
    assert!(heads >= 2, "nobody has looked");
    assert_eq!(live(&lab), 1, "{:?}", lab.minted());
}

#[test]
fn while_a_merge_request_waits_for_days() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    let first = current(&team.show("main", LOCK));
    let days = || {
        lab.provision(["rotate", "--env", "qa", "--mr", "--yes"]).ok();
        for _ in 0..9 {
            lab.gitlab.advance(SignedDuration::from_hours(24));
            lab.provision(["rotate", "--env", "qa", "--due", "--mr", "--yes"]).ok();
            assert_eq!(current(&team.show("main", LOCK)), first);
            assert_eq!(lab.minted().len(), 2);
        }
        team.merge("provision/qa");
        assert_ne!(current(&team.show("main", LOCK)), first);
        lab.gitlab.advance(SignedDuration::from_hours(25));
        lab.provision(["rotate", "--env", "qa", "--due", "--mr", "--yes"]).ok();
        team.merge("provision/qa");
    };
    let seen = watched(|| at_remote(&team), agreeing(&lab), days);
    assert!(seen >= 2, "nobody has looked");
    assert_eq!((live(&lab), lab.minted().len()), (1, 2));
}
