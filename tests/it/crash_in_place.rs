//! GitLab's rotate kills the old token in the same moment as it makes the new one, so a lost reply loses both. Broken at
//! every effect, a run ends well by itself, or stops and says what a person can choose; whatever is chosen ends well.

use provision::error::Kind;
use provision::plan::options::{Chosen, Options, Renew};

use crate::support::desk::{Desk, End};
use crate::support::faulty::{Effect, Fault};
use crate::support::scenarios::rotation_in_place;

/// What a person answers where nothing else can decide.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// `provision rotate --force`
    Rotate,
    /// `provision resume --abandon`
    Abandon,
}

fn broken_at_every_effect(choice: Choice) -> usize {
    let story = rotation_in_place().whole_run().story();
    let mut undecided = 0;
    for (number, (effect, what)) in story.iter().enumerate() {
        let late = (*effect == Effect::Mint).then_some(Fault::Late);
        for fault in effect.faults().iter().copied().chain(late) {
            eprintln!("{fault:?} at {number}: {what}");
            let desk = rotation_in_place();
            let broken = desk.effects(Some((number, fault)));
            desk.run(&broken);
            desk.plain();
            if recovers(&desk) {
                desk.all_is_well();
                continue;
            }
            undecided += 1;
            decided(&desk, choice);
            if fault == Fault::Late {
                desk.block_on(broken.try_arrive());
            }
            desk.plain();
            desk.whole_run();
            desk.all_is_well();
        }
    }
    undecided
}

/// A plain run; it may only fail by asking for a decision, and changes nothing then.
fn recovers(desk: &Desk) -> bool {
    let before = desk.untouched();
    match desk.run(&desk.effects(None)) {
        End::Done(_) => true,
        End::Failed(error) if error.message().starts_with("it is not decided") => {
            assert_eq!(error.kind(), Kind::HalfWay);
            assert!(error.hints().iter().any(|hint| hint.contains("--abandon")), "{:?}", error.hints());
            assert_eq!(desk.untouched(), before);
            false
        }
        end => panic!("{end:?}"),
    }
}

fn decided(desk: &Desk, choice: Choice) {
    desk.wanted.replace(match choice {
        Choice::Rotate => Options { renew: Renew::Now(Chosen::new()), force: true, ..Options::default() },
        Choice::Abandon => Options { renew: Renew::Nothing, abandon: true, ..Options::default() },
    });
    desk.whole_run();
}

#[test]
fn a_person_who_keeps_the_bot_user_gets_a_token_that_works() {
    assert!(broken_at_every_effect(Choice::Rotate) > 2);
}

#[test]
fn a_person_who_gives_it_up_gets_a_token_that_works() {
    assert!(broken_at_every_effect(Choice::Abandon) > 2);
}

#[test]
fn a_rotation_keeps_the_bot_user_and_the_mark_and_leaves_one_live_token() {
    let desk = rotation_in_place();
    desk.whole_run();
    let minted = desk.lab.minted();
    assert_eq!(minted.len(), 2);
    assert_eq!(minted[0]["user_id"], minted[1]["user_id"]);
    assert_eq!(minted[0]["description"], minted[1]["description"]);
    assert_eq!((minted[0]["active"].as_bool(), minted[1]["active"].as_bool()), (Some(false), Some(true)));
    desk.plain();
    assert!(desk.plan().unwrap().is_empty());
    desk.head_is_live();
}
