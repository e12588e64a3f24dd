//! The same for runs that deliver: every effect broken, the push among them.

use crate::crash::{broken_again_during_recovery, broken_at_every_effect};
use crate::support::lab::Lab;
use crate::support::scenarios::{
    first_mint_pushed, first_mint_requested, replacement_pushed, replacement_requested, retirement_pushed,
};
use crate::support::team::Team;

#[test]
fn a_first_mint_that_is_pushed_broken_at_every_effect() {
    broken_at_every_effect(first_mint_pushed);
}

#[test]
fn a_first_mint_for_a_merge_request_broken_at_every_effect() {
    broken_at_every_effect(first_mint_requested);
}

#[test]
fn a_replacement_that_is_pushed_broken_at_every_effect() {
    broken_at_every_effect(replacement_pushed);
}

#[test]
fn a_replacement_for_a_merge_request_broken_at_every_effect() {
    broken_at_every_effect(replacement_requested);
}

#[test]
fn a_retirement_that_is_pushed_broken_at_every_effect() {
    broken_at_every_effect(retirement_pushed);
}

#[test]
fn a_first_mint_that_is_pushed_broken_again_during_recovery() {
    broken_again_during_recovery(first_mint_pushed);
}

#[test]
fn a_first_mint_for_a_merge_request_broken_again_during_recovery() {
    broken_again_during_recovery(first_mint_requested);
}

#[test]
fn a_replacement_that_is_pushed_broken_again_during_recovery() {
    broken_again_during_recovery(replacement_pushed);
}

#[test]
fn a_replacement_for_a_merge_request_broken_again_during_recovery() {
    broken_again_during_recovery(replacement_requested);
}

#[test]
fn a_retirement_that_is_pushed_broken_again_during_recovery() {
    broken_again_during_recovery(retirement_pushed);
}

/// A run that was killed between its push and the end has left the user's branch where it was, with a value that is revoked.
#[test]
fn a_run_with_nothing_to_do_brings_the_clone_up_to_date() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--push", "--yes"]).ok();
    lab.git(["reset", "-q", "--keep", "HEAD~1"]);
    let said = lab.provision(["--env", "qa", "--push", "--dry-run"]).ok();
    assert_ne!(lab.head(), team.git(["rev-parse", "main"]), "{}", said.out);
    let said = lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 2);
    // Where it cannot be moved on, that is said.
    team.somebody_adds("notes.md", "theirs");
    lab.write("notes.md", "mine\n");
    let said = lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    let told = [said.out, said.err].concat();
    assert!(told.contains("main here is behind main at origin"), "{told}");
    assert_eq!(lab.read("notes.md"), "mine\n");
}
