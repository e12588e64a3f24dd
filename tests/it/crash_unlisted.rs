//! The tokens of an environment without a profile are revoked by its lock alone, and the run is broken at every effect: the
//! same command goes on to the end, by what HEAD and the journal still have.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use clap::Parser as _;
use provision::cli::Cli;
use provision::commands::{self, Exit};
use provision::error::Error;
use provision::ui::Ui;
use provision::world::World;

use crate::support::desk::{Desk, LOCK};
use crate::support::faulty::{Faulty, Gone};

fn scene() -> Desk {
    let desk = Desk::new();
    desk.whole_run();
    desk.lab.git(["rm", "--quiet", "environments/qa.yaml"]);
    desk.lab.git(["commit", "--quiet", "--message", "no qa any more"]);
    desk
}

/// `None`: it died.
fn revoke(desk: &Desk, effects: &Rc<Faulty>) -> Option<Result<Exit, Error>> {
    let mut variables = desk.lab.variables();
    variables.gitlab_token = Some(desk.lab.gitlab.operator_token());
    variables.gitlab_host = Some(desk.lab.gitlab.url().to_owned());
    let world = World::new(effects.clone(), variables, desk.lab.repo());
    let cli = Cli::try_parse_from(["provision", "--quiet", "revoke", "--env", "qa", "--yes"]).unwrap();
    let ui = Ui::new(&cli.global, true, true);
    match catch_unwind(AssertUnwindSafe(|| desk.block_on(commands::run(cli, ui, &world)))) {
        Ok(ended) => Some(ended),
        Err(panic) if panic.is::<Gone>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

#[track_caller]
fn is_complete(desk: &Desk, case: &str) {
    assert!(desk.ours().is_empty(), "{case}");
    assert!(!desk.lab.repo().join(LOCK).exists(), "{case}");
    assert_eq!(desk.lab.git(["ls-files", LOCK]), "", "{case}");
    assert_eq!(desk.lab.git(["status", "--porcelain", "--untracked-files=all"]), "", "{case}");
    assert!(!desk.journal().exists(), "{case}");
}

#[test]
fn a_revocation_without_a_profile_broken_at_every_effect() {
    let whole = scene();
    let effects = whole.effects(None);
    assert!(matches!(revoke(&whole, &effects), Some(Ok(Exit::Done))));
    is_complete(&whole, "whole");
    let story = effects.story();
    assert!(story.iter().any(|(_, what)| *what == format!("remove {LOCK}")), "{story:?}");
    for (number, (effect, what)) in story.iter().enumerate() {
        for &fault in effect.faults() {
            let case = format!("{fault:?} at {number}: {what}");
            let desk = scene();
            let first = revoke(&desk, &desk.effects(Some((number, fault))));
            // Where it came to its end there is nothing left to revoke, nor an environment of that name.
            let is_over = desk.ours().is_empty()
                && !desk.journal().exists()
                && desk.lab.git(["ls-tree", "HEAD", LOCK]).is_empty();
            if !is_over {
                let again = revoke(&desk, &desk.effects(None));
                assert!(matches!(again, Some(Ok(Exit::Done))), "{case}: {first:?} then {again:?}");
            }
            is_complete(&desk, &case);
        }
    }
}
