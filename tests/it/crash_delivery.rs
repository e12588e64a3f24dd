//! The same for runs that deliver: every effect broken, the push among them.

use crate::crash::{broken_again_during_recovery, broken_at_every_effect};
use crate::support::scenarios::{
    first_mint_pushed, first_mint_requested, replacement_pushed, replacement_requested, retirement_pushed,
};

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
