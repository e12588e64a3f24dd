//! Interruptions that need more than one thing to go wrong, or that somebody acts upon in between.

use provision::commands::Exit;
use provision::error::Kind;

use crate::support::desk::{Desk, End, id};
use crate::support::fault::{Effect, Fault};
use crate::support::faulty::Faulty;
use crate::support::lab::Lab;
use crate::support::scenarios::{
    Scenario, first_mint, one_more_slot, replacement, retirement, rotation_without_an_overlap, two_tokens,
};

/// The first effect of a recorded run that begins so.
fn number(scenario: Scenario, begins: &str) -> usize {
    let story = scenario().whole_run().story();
    let found = story.iter().position(|(_, what)| what.starts_with(begins));
    found.unwrap_or_else(|| panic!("{begins} is not in {story:?}"))
}

fn gone_at(desk: &Desk, number: usize, fault: Fault) {
    let end = desk.run(&desk.effects(Some((number, fault))));
    assert!(matches!(end, End::Gone), "{end:?}");
}

fn mints(effects: &Faulty) -> usize {
    effects.story().iter().filter(|(effect, _)| *effect == Effect::Mint).count()
}

#[test]
fn a_mint_that_arrives_late_is_withdrawn_and_the_one_made_meanwhile_stays() {
    let desk = first_mint();
    let late = desk.effects(Some((number(first_mint, "POST"), Fault::Late)));
    let end = desk.run(&late);
    assert!(matches!(&end, End::Failed(error) if error.kind() == Kind::HalfWay), "{end:?}");
    assert_eq!(desk.ours().len(), 0);

    desk.whole_run();
    let current = desk.ours();
    assert_eq!(current.len(), 1);
    desk.block_on(late.arrive());
    assert_eq!(desk.ours().len(), 2);

    let head = desk.head();
    desk.whole_run();
    assert_eq!(desk.ours(), current);
    assert_eq!(desk.head(), head, "a withdrawal changes no file");
    desk.all_is_well();
}

#[test]
fn a_request_without_a_reply_is_watched_for_an_hour_and_no_longer() {
    let desk = first_mint();
    desk.run(&desk.effects(Some((number(first_mint, "POST"), Fault::Late))));
    desk.whole_run();
    desk.lab.gitlab.advance(jiff::SignedDuration::from_mins(59));
    desk.whole_run();
    assert!(desk.journal().exists());
    desk.lab.gitlab.advance(jiff::SignedDuration::from_mins(1));
    desk.whole_run();
    assert!(!desk.journal().exists());
}

#[test]
fn a_full_disk_after_the_mint_is_half_way_and_the_next_run_uses_the_same_token() {
    for begins in ["journal: writing", "write secrets", "write environments", "commit"] {
        let desk = first_mint();
        let end = desk.run(&desk.effects(Some((number(first_mint, begins), Fault::Fail))));
        assert!(matches!(&end, End::Failed(error) if error.kind() == Kind::HalfWay), "{begins}: {end:?}");
        let minted = desk.ours();
        assert_eq!(minted.len(), 1);
        assert_eq!(mints(&desk.whole_run()), 0, "{begins}");
        assert_eq!(desk.ours(), minted);
        desk.all_is_well();
    }
}

#[test]
fn a_journal_that_cannot_be_written_stops_the_run_before_anything_is_sent() {
    let desk = first_mint();
    let effects = desk.effects(Some((number(first_mint, "journal begins"), Fault::Fail)));
    let end = desk.run(&effects);
    assert!(matches!(&end, End::Failed(error) if error.kind() == Kind::Failed), "{end:?}");
    assert_eq!(mints(&effects), 0);
}

#[test]
fn gitlabs_no_to_one_token_does_not_lose_another_that_was_recorded_before() {
    let desk = two_tokens();
    let story = two_tokens().whole_run().story();
    let second = story.iter().rposition(|(effect, _)| *effect == Effect::Mint).unwrap();
    gone_at(&desk, second, Fault::DieBefore);
    let recorded = desk.ours();
    assert_eq!(recorded.len(), 1);

    desk.lab.gitlab.add_fault("POST /groups/*/access_tokens x1 403".parse().unwrap());
    let end = desk.run(&desk.effects(None));
    assert!(matches!(end, End::Failed(_)), "{end:?}");
    assert_eq!(desk.ours(), recorded);
    desk.whole_run();
    assert!(desk.ours().is_superset(&recorded));
    desk.all_is_well();
}

#[test]
fn a_no_after_files_were_written_leaves_them_known_as_ours() {
    let desk = first_mint();
    gone_at(&desk, number(first_mint, "commit"), Fault::DieBefore);
    // Its token is revoked by hand meanwhile, and the new one is refused at first.
    let token = desk.lab.minted().pop().unwrap();
    desk.revoke(id(&token));
    desk.lab.gitlab.add_fault("POST /groups/*/access_tokens x1 403".parse().unwrap());
    let end = desk.run(&desk.effects(None));
    assert!(matches!(&end, End::Failed(error) if error.kind() == Kind::NotAllowed), "{end:?}");
    desk.whole_run();
    desk.all_is_well();
}

#[test]
fn a_superseded_token_that_cannot_be_retired_blocks_nothing() {
    let desk = retirement();
    one_more_slot(&desk, "COPY", "{{ tokens.backstage }}");
    desk.lab.gitlab.add_fault("DELETE * 500".parse().unwrap());
    let head = desk.head();
    let end = desk.run(&desk.effects(None));
    assert!(matches!(end, End::Done(Exit::Attention)), "{end:?}");
    assert_ne!(desk.head(), head);
    assert_eq!(desk.ours().len(), 2);

    desk.lab.gitlab.clear_faults();
    desk.whole_run();
    assert_eq!(desk.ours().len(), 1);
    desk.all_is_well();
}

#[test]
fn what_nobody_wants_any_more_is_withdrawn_and_its_files_are_restored() {
    for begins in ["commit", "write environments"] {
        let desk = replacement();
        let before = desk.ours();
        let at = number(replacement, begins);
        gone_at(&desk, at, Fault::DieBefore);
        desk.lab.git(["revert", "--no-edit", "HEAD"]);
        let plan = desk.lab.provision(["--env", "qa", "--dry-run", "--json"]).ok().out;
        for step in ["withdraw", "restore"] {
            assert!(plan.contains(&format!("\"step\": \"{step}\"")), "{plan}");
        }
        desk.whole_run();
        assert_eq!(desk.ours(), before);
        desk.all_is_well();
    }
}

#[test]
fn a_token_that_another_branch_holds_is_not_withdrawn() {
    let desk = first_mint();
    gone_at(&desk, number(first_mint, "journal ends"), Fault::DieBefore);
    desk.lab.git(["checkout", "-q", "-b", "other", "HEAD~1"]);
    desk.whole_run();
    desk.head_is_live();
    desk.lab.git(["checkout", "-q", "main"]);
    desk.head_is_live();
    desk.whole_run();
}

#[test]
fn a_token_that_was_to_be_revoked_is_not_forgotten_on_another_branch() {
    let desk = rotation_without_an_overlap();
    gone_at(&desk, number(rotation_without_an_overlap, "DELETE"), Fault::DieBefore);
    desk.plain();
    desk.lab.git(["checkout", "-q", "-b", "other", "HEAD~1"]);
    desk.whole_run();
    desk.head_is_live();
    assert_eq!((desk.ours().len(), desk.journal().exists()), (2, true));
    desk.lab.git(["checkout", "-q", "main"]);
    desk.whole_run();
    assert_eq!(desk.ours().len(), 1);
    desk.all_is_well();
}

#[test]
fn an_environment_that_fails_leaves_the_ones_before_it_committed() {
    let lab = Lab::new();
    lab.gitlab.add_fault("POST /groups/*/access_tokens after 1 x1 403".parse().unwrap());
    let said = lab.provision(["--env", "dev,qa", "--yes"]).refused(4, "qa");
    assert!(said.out.contains("dev: backstage is group token"), "{}", said.out);
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "3");
    assert_eq!(lab.minted().len(), 2);
}
