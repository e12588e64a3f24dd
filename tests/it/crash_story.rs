//! The order of effects in runs where nothing goes wrong: what is done before what is a promise. All stories are in one
//! snapshot, to be read as a whole.

use std::fmt::Write as _;

use crate::support::scenarios::{
    Scenario, first_mint, first_mint_pushed, first_mint_requested, into_an_existing_file, pruning,
    rendering_again, replacement, replacement_requested, retirement, retirement_pushed, revocation,
    revocation_pushed, rotation, rotation_in_place, rotation_pushed_without_an_overlap,
    rotation_without_an_overlap, two_tokens, without_a_commit,
};

const STORIES: [(&str, Scenario); 18] = [
    ("a first mint", first_mint),
    ("a mint into an existing file", into_an_existing_file),
    ("a replacement", replacement),
    ("two tokens at once", two_tokens),
    ("the retirement of a superseded token", retirement),
    ("a slot rendered from another", rendering_again),
    ("a first mint that is pushed", first_mint_pushed),
    ("a first mint for a merge request", first_mint_requested),
    ("a replacement for a merge request", replacement_requested),
    ("a retirement that is pushed", retirement_pushed),
    ("a run without a commit", without_a_commit),
    ("a rotation", rotation),
    ("a rotation in place", rotation_in_place),
    ("a rotation without an overlap", rotation_without_an_overlap),
    ("a rotation without an overlap that is pushed", rotation_pushed_without_an_overlap),
    ("a revocation", revocation),
    ("a revocation that is pushed", revocation_pushed),
    ("a pruning", pruning),
];

#[test]
fn each_run_has_its_effects_in_this_order() {
    let mut told = String::new();
    for (name, scenario) in STORIES {
        writeln!(told, "# {name}").unwrap();
        for (_, effect) in scenario().whole_run().story() {
            writeln!(told, "{effect}").unwrap();
        }
        told.push('\n');
    }
    insta::assert_snapshot!(told);
}
