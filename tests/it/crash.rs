//! The run is broken at every effect, in every way that makes sense of the effect, and broken again while the next
//! run recovers. The effects are those of a recorded run, so a new step is covered without a new test.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use jiff::SignedDuration;
use provision::sops::{Draft, Rule};

use crate::support::desk::{Desk, End, SECRETS};
use crate::support::faulty::Effect;

/// A desk just before the run that is looked at.
type Scenario = fn() -> Desk;

fn first_mint() -> Desk {
    Desk::new()
}

fn into_an_existing_file() -> Desk {
    let desk = Desk::new();
    let rule = Rule::own([desk.lab.recipient.parse().unwrap()]);
    let text = "# by hand\nOTHER: kept\nGITLAB_HOST: gitlab.example.com\n";
    let sealed = Draft::parse(text).unwrap().seal(&rule, desk.lab.gitlab.now(), &[]).unwrap();
    desk.lab.write(SECRETS, std::str::from_utf8(sealed.bytes()).unwrap());
    desk.lab.commit_all("by hand");
    desk
}

fn replacement() -> Desk {
    let desk = Desk::new();
    desk.whole_run();
    let profile = desk.lab.read("environments/qa.yaml");
    desk.lab.write("environments/qa.yaml", &profile.replace("[read_api, ", "["));
    desk.lab.commit_all("fewer scopes");
    desk
}

fn two_tokens() -> Desk {
    let desk = Desk::new();
    let profile = desk.lab.read("environments/qa.yaml");
    let second = "  mirror:\n    kind: group\n    group: alithya-csna\n    name: Mirror\n    role: reporter\n    scopes: [read_repository]\n";
    desk.lab.write("environments/qa.yaml", &format!("{profile}{second}"));
    let template = desk.lab.read("templates/backstage.yaml");
    desk.lab.write(
        "templates/backstage.yaml",
        &format!("{template}MIRROR: \"{{{{ tokens.mirror }}}}\"\nBOTH: \"{{{{ tokens.backstage }}}}:{{{{ tokens.mirror }}}}\"\n"),
    );
    desk.lab.commit_all("two tokens");
    desk
}

fn retirement() -> Desk {
    let desk = replacement();
    desk.whole_run();
    desk.lab.gitlab.advance(SignedDuration::from_hours(25));
    desk
}

fn rendering_again() -> Desk {
    let desk = Desk::new();
    desk.whole_run();
    let template = desk.lab.read("templates/backstage.yaml");
    desk.lab.write("templates/backstage.yaml", &format!("{template}TOKEN: \"{{{{ tokens.backstage }}}}\"\n"));
    desk.lab.commit_all("one more slot");
    desk
}

fn without_a_commit() -> Desk {
    let mut desk = Desk::new();
    desk.commit = false;
    desk
}

/// Breaks the run at each of its effects.
fn broken_at_every_effect(scenario: Scenario) {
    let story = scenario().whole_run().story();
    let mut cases = 0;
    for (number, (effect, what)) in story.iter().enumerate() {
        for &fault in effect.faults() {
            cases += 1;
            told(&format!("{fault:?} at {number}: {what}"), || {
                let desk = scenario();
                let end = desk.run(&desk.effects(Some((number, fault))));
                desk.head_is_live();
                // Without a commit a second run refuses: the files are the user's now.
                if desk.commit || !matches!(end, End::Done(_)) {
                    desk.whole_run();
                }
                desk.all_is_well();
            });
        }
    }
    eprintln!("{cases} cases");
}

/// Dies at each effect, and again at each effect of the recovery; every `stride`th pair.
fn broken_again_during_recovery(scenario: Scenario, stride: usize) {
    let story = scenario().whole_run().story();
    let (mut pairs, mut cases) = (0, 0);
    for (number, (effect, what)) in story.iter().enumerate() {
        for &fault in effect.dies().iter().filter(|_| *effect != Effect::Read) {
            let recovery = {
                let desk = scenario();
                desk.run(&desk.effects(Some((number, fault))));
                desk.whole_run().story()
            };
            for (again, (effect, then)) in recovery.iter().enumerate() {
                for &second in effect.dies() {
                    pairs += 1;
                    if pairs % stride != 0 {
                        continue;
                    }
                    cases += 1;
                    told(
                        &format!("{fault:?} at {number}: {what}, then {second:?} at {again}: {then}"),
                        || {
                            let desk = scenario();
                            desk.run(&desk.effects(Some((number, fault))));
                            desk.head_is_live();
                            desk.run(&desk.effects(Some((again, second))));
                            desk.head_is_live();
                            desk.whole_run();
                            desk.all_is_well();
                        },
                    );
                }
            }
        }
    }
    eprintln!("{cases} of {pairs} pairs");
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
    broken_again_during_recovery(first_mint, 1);
}
