//! The tokens of an environment without a profile are revoked by its lock alone, and the run is broken at every effect: the
//! same command goes on to the end, by what HEAD and the journal still have.

use std::rc::Rc;

use provision::commands::Exit;

use crate::support::desk::{Desk, End, LOCK};
use crate::support::faulty::Faulty;

fn scene() -> Desk {
    let desk = Desk::new();
    desk.whole_run();
    desk.lab.git(["rm", "--quiet", "environments/qa.yaml"]);
    desk.lab.git(["commit", "--quiet", "--message", "no qa any more"]);
    desk
}

fn revoke(desk: &Desk, effects: &Rc<Faulty>) -> End {
    desk.command(effects, ["revoke", "--env", "qa", "--yes"])
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
    assert!(matches!(revoke(&whole, &effects), End::Done(Exit::Done)));
    is_complete(&whole, "whole");
    let story = effects.story();
    assert!(story.iter().any(|(_, what)| *what == format!("remove {LOCK}")), "{story:?}");
    for (number, (effect, what)) in story.iter().enumerate() {
        for &fault in effect.faults() {
            let case = format!("{fault:?} at {number}: {what}");
            let desk = scene();
            let broken = desk.effects(Some((number, fault)));
            let first = revoke(&desk, &broken);
            assert_eq!(broken.struck().as_ref(), Some(&story[number]));
            assert_eq!(matches!(first, End::Gone), fault.is_death(), "{case}: {first:?}");
            // Where it came to its end there is nothing left to revoke, nor an environment of that name.
            let is_over = desk.ours().is_empty()
                && !desk.journal().exists()
                && desk.lab.git(["ls-tree", "HEAD", LOCK]).is_empty();
            if !is_over {
                let again = revoke(&desk, &desk.effects(None));
                assert!(matches!(again, End::Done(Exit::Done)), "{case}: {first:?} then {again:?}");
            }
            is_complete(&desk, &case);
        }
    }
}
