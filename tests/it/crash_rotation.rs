//! The same for rotations and revocations.

use crate::crash::{broken_again_during_recovery, broken_at_every_effect};
use crate::support::scenarios::{
    pruning, revocation, revocation_pushed, rotation, rotation_of_a_token_made_by_hand,
    rotation_pushed_without_an_overlap, rotation_without_an_overlap,
};

#[test]
fn a_rotation_broken_at_every_effect() {
    broken_at_every_effect(rotation);
}

#[test]
fn a_rotation_without_an_overlap_broken_at_every_effect() {
    broken_at_every_effect(rotation_without_an_overlap);
}

#[test]
fn a_rotation_without_an_overlap_that_is_pushed_broken_at_every_effect() {
    broken_at_every_effect(rotation_pushed_without_an_overlap);
}

#[test]
fn a_retirement_of_a_token_made_by_hand_broken_at_every_effect() {
    broken_at_every_effect(rotation_of_a_token_made_by_hand);
}

#[test]
fn a_revocation_broken_at_every_effect() {
    broken_at_every_effect(revocation);
}

#[test]
fn a_revocation_that_is_pushed_broken_at_every_effect() {
    broken_at_every_effect(revocation_pushed);
}

#[test]
fn a_pruning_broken_at_every_effect() {
    broken_at_every_effect(pruning);
}

#[test]
fn a_rotation_without_an_overlap_broken_again_during_recovery() {
    broken_again_during_recovery(rotation_without_an_overlap);
}

#[test]
fn a_revocation_broken_again_during_recovery() {
    broken_again_during_recovery(revocation);
}

#[test]
fn a_pruning_broken_again_during_recovery() {
    broken_again_during_recovery(pruning);
}

#[test]
fn a_rotation_without_an_overlap_that_is_pushed_broken_again_during_recovery() {
    broken_again_during_recovery(rotation_pushed_without_an_overlap);
}

#[test]
fn a_revocation_that_is_pushed_broken_again_during_recovery() {
    broken_again_during_recovery(revocation_pushed);
}
