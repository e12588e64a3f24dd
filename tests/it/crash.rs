//! The run is broken at every effect, in every way that makes sense of the effect, and broken again while the next
//! run recovers. The effects are those of a recorded run, so a new step is covered without a new test.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use provision::error::Kind;

use crate::support::desk::{Desk, End};
use crate::support::fault::{Effect, Fault};
use crate::support::scenarios::{
    Scenario, first_mint, into_an_existing_file, rendering_again, replacement, retirement, two_tokens,
    without_a_commit,
};

/// How many pairs of deaths there are for each one that is tried.
const STRIDE: usize = 31;

/// Breaks the run at each of its effects.
pub(crate) fn broken_at_every_effect(scenario: Scenario) {
    let story = scenario().whole_run().story();
    let mut cases = 0;
    for (number, (effect, what)) in story.iter().enumerate() {
        for &fault in effect.faults() {
            cases += 1;
            told(&format!("{fault:?} at {number}: {what}"), || {
                let desk = scenario();
                broken(&desk, &story, number, fault);
                recovered(&desk);
                // The stock sops reads what our own engine reads.
                if cases == 1 || *effect == Effect::Write && fault == Fault::DieAfter {
                    let read = desk.as_sops_reads_it();
                    assert!(read.contains("GITLAB_TOKEN: glpat-"), "{read}");
                }
            });
        }
    }
    eprintln!("{cases} cases");
}

/// Dies at each effect, and again at effects of the recovery: every so many of these pairs, other ones where CRASH_OFFSET is
/// another number, and all of them where CRASH_STRIDE is 1. A run that delivers starts git a dozen times, so that fewer are
/// tried of them.
pub(crate) fn broken_again_during_recovery(scenario: Scenario) {
    let few = if scenario().delivers.is_some() { 6 * STRIDE } else { STRIDE };
    let number = |name| std::env::var(name).ok().map(|number| number.parse::<usize>().unwrap());
    let stride = number("CRASH_STRIDE").unwrap_or(few);
    let offset = number("CRASH_OFFSET").unwrap_or(0) % stride;
    let story = scenario().whole_run().story();
    let (mut pairs, mut cases) = (0, 0);
    for (number, (effect, what)) in story.iter().enumerate() {
        for &fault in effect.dies().iter().filter(|_| *effect != Effect::Read) {
            let recovery = recovery(scenario, &story, number, fault);
            let seconds = recovery.iter().enumerate().flat_map(|(again, (effect, then))| {
                effect.dies().iter().map(move |second| (again, *second, then))
            });
            for (again, second, then) in seconds {
                pairs += 1;
                if pairs % stride != offset {
                    continue;
                }
                cases += 1;
                told(&format!("{fault:?} at {number}: {what}, then {second:?} at {again}: {then}"), || {
                    let desk = scenario();
                    broken(&desk, &story, number, fault);
                    broken(&desk, &recovery, again, second);
                    recovered(&desk);
                });
            }
        }
    }
    eprintln!("{cases} of {pairs} pairs");
}

/// What a whole run does after one that was broken here.
fn recovery(scenario: Scenario, story: &Story, number: usize, fault: Fault) -> Vec<(Effect, String)> {
    let desk = scenario();
    broken(&desk, story, number, fault);
    if !desk.commit && desk.is_over() { Vec::new() } else { desk.whole_run().story() }
}

/// The effects of a run in which nothing goes wrong.
type Story = [(Effect, String)];

/// A run of which this would be the story, that goes wrong where it is meant to. Whatever HEAD holds lives on, and a failure
/// that claims to have changed nothing has not.
fn broken(desk: &Desk, story: &Story, number: usize, fault: Fault) {
    let before = desk.untouched();
    let effects = desk.effects(Some((number, fault)));
    let end = desk.run(&effects);
    assert_eq!(effects.struck().as_ref(), Some(&story[number]), "another effect is broken: {end:?}");
    assert_eq!(matches!(end, End::Gone), fault.is_death(), "{end:?}");
    let locks_out = desk.locks_out();
    desk.plain();
    if !locks_out {
        desk.head_is_live();
    }
    if let End::Failed(error) = end
        && error.kind() != Kind::HalfWay
    {
        assert_eq!(desk.untouched(), before, "{:?}: {error}", error.kind());
    }
}

fn recovered(desk: &Desk) {
    // A run without a commit that came to its end is refused when it is run again: the files are the user's now.
    if desk.commit || !desk.is_over() {
        desk.whole_run();
    }
    desk.all_is_well();
}

/// Says which case it was when one fails.
fn told(case: &str, check: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(check)) {
        eprintln!("the case was: {case}");
        resume_unwind(panic);
    }
}

#[test]
fn a_first_mint_broken_at_every_effect() {
    broken_at_every_effect(first_mint);
}

#[test]
fn a_mint_into_an_existing_file_broken_at_every_effect() {
    broken_at_every_effect(into_an_existing_file);
}

#[test]
fn a_replacement_broken_at_every_effect() {
    broken_at_every_effect(replacement);
}

#[test]
fn two_tokens_broken_at_every_effect() {
    broken_at_every_effect(two_tokens);
}

#[test]
fn a_retirement_broken_at_every_effect() {
    broken_at_every_effect(retirement);
}

#[test]
fn rendering_again_broken_at_every_effect() {
    broken_at_every_effect(rendering_again);
}

#[test]
fn a_run_without_a_commit_broken_at_every_effect() {
    broken_at_every_effect(without_a_commit);
}

#[test]
fn a_first_mint_broken_again_during_recovery() {
    broken_again_during_recovery(first_mint);
}

#[test]
fn a_mint_into_an_existing_file_broken_again_during_recovery() {
    broken_again_during_recovery(into_an_existing_file);
}

#[test]
fn a_replacement_broken_again_during_recovery() {
    broken_again_during_recovery(replacement);
}

#[test]
fn two_tokens_broken_again_during_recovery() {
    broken_again_during_recovery(two_tokens);
}

#[test]
fn a_retirement_broken_again_during_recovery() {
    broken_again_during_recovery(retirement);
}

#[test]
fn rendering_again_broken_again_during_recovery() {
    broken_again_during_recovery(rendering_again);
}

#[test]
fn a_run_without_a_commit_broken_again_during_recovery() {
    broken_again_during_recovery(without_a_commit);
}
