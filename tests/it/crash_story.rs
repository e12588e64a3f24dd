//! The order of effects in runs where nothing goes wrong: what is done before what is a promise.

use crate::support::scenarios::{
    Scenario, first_mint, first_mint_pushed, into_an_existing_file, rendering_again, replacement,
    replacement_requested, retirement, rotation, rotation_in_place, rotation_without_an_overlap, two_tokens,
    without_a_commit,
};

fn story(scenario: Scenario) -> String {
    let told: Vec<String> = scenario().whole_run().story().into_iter().map(|(_, what)| what).collect();
    told.join("\n")
}

#[test]
fn a_first_mint() {
    insta::assert_snapshot!(story(first_mint), @r"
    GET /groups/alithya-csna
    journal begins: empty
    journal: intent backstage
    POST /groups/N/access_tokens
    journal: minted
    GET /personal_access_tokens/self
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    journal ends
    ");
}

#[test]
fn a_mint_into_an_existing_file() {
    insta::assert_snapshot!(story(into_an_existing_file), @r"
    GET /groups/alithya-csna
    journal begins: empty
    journal: intent backstage
    POST /groups/N/access_tokens
    journal: minted
    GET /personal_access_tokens/self
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    journal ends
    ");
}

#[test]
fn a_replacement() {
    insta::assert_snapshot!(story(replacement), @r"
    GET /groups/N/access_tokens/N
    journal begins: empty
    journal: intent backstage
    POST /groups/N/access_tokens
    journal: minted
    GET /personal_access_tokens/self
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    journal ends
    ");
}

#[test]
fn two_tokens_at_once() {
    insta::assert_snapshot!(story(two_tokens), @r"
    GET /groups/alithya-csna
    journal begins: empty
    journal: intent backstage
    POST /groups/N/access_tokens
    journal: intent mirror
    journal: minted
    POST /groups/N/access_tokens
    journal: minted
    GET /personal_access_tokens/self
    GET /personal_access_tokens/self
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    journal ends
    ");
}

#[test]
fn the_retirement_of_a_superseded_token() {
    insta::assert_snapshot!(story(retirement), @r"
    GET /groups/N/access_tokens/N
    GET /groups/N/access_tokens/N
    GET /personal_access_tokens/self
    journal begins: empty
    GET /groups/N/access_tokens/N
    DELETE /groups/N/access_tokens/N
    journal: writing environments/locks/qa.yaml
    write environments/locks/qa.yaml
    commit environments/locks/qa.yaml
    journal ends
    ");
}

#[test]
fn a_slot_rendered_from_another() {
    insta::assert_snapshot!(story(rendering_again), @r"
    GET /groups/N/access_tokens/N
    journal begins: empty
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    journal ends
    ");
}

#[test]
fn a_first_mint_that_is_pushed() {
    insta::assert_snapshot!(story(first_mint_pushed), @r"
    look at origin
    open the worktree qa
    GET /groups/alithya-csna
    rehearse the push of main to origin
    journal begins: empty
    journal: intent backstage
    POST /groups/N/access_tokens
    journal: minted
    GET /personal_access_tokens/self
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    journal: pushing main to origin
    push main to origin
    journal ends
    move the branch on
    close the worktree qa
    ");
}

#[test]
fn a_replacement_for_a_merge_request() {
    insta::assert_snapshot!(story(replacement_requested), @r"
    look at origin
    open the worktree qa
    GET /groups/N/access_tokens/N
    rehearse the push of provision/qa to origin
    journal begins: empty
    journal: intent backstage
    POST /groups/N/access_tokens
    journal: minted
    GET /personal_access_tokens/self
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    journal: pushing provision/qa to origin
    push provision/qa to origin
    journal ends
    close the worktree qa
    ");
}

#[test]
fn a_run_without_a_commit() {
    insta::assert_snapshot!(story(without_a_commit), @r"
    GET /groups/alithya-csna
    journal begins: empty
    journal: intent backstage
    POST /groups/N/access_tokens
    journal: minted
    GET /personal_access_tokens/self
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    journal ends
    ");
}

#[test]
fn a_rotation() {
    insta::assert_snapshot!(story(rotation), @r"
    GET /groups/N/access_tokens/N
    journal begins: empty
    journal: intent backstage
    POST /groups/N/access_tokens
    journal: minted
    GET /personal_access_tokens/self
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    journal ends
    ");
}

#[test]
fn a_rotation_in_place() {
    insta::assert_snapshot!(story(rotation_in_place), @r"
    GET /groups/N/access_tokens/N
    GET /personal_access_tokens/self
    journal begins: empty
    GET /groups/N/access_tokens/N
    journal: intent backstage
    POST /groups/N/access_tokens/N/rotate
    journal: minted
    GET /personal_access_tokens/self
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    journal ends
    ");
}

#[test]
fn a_rotation_without_an_overlap() {
    insta::assert_snapshot!(story(rotation_without_an_overlap), @r"
    GET /groups/N/access_tokens/N
    GET /personal_access_tokens/self
    journal begins: empty
    journal: intent backstage
    POST /groups/N/access_tokens
    journal: minted
    GET /personal_access_tokens/self
    journal: retiring the old backstage
    journal: writing secrets/qa.sops.yaml environments/locks/qa.yaml
    write secrets/qa.sops.yaml
    write environments/locks/qa.yaml
    commit secrets/qa.sops.yaml environments/locks/qa.yaml
    GET /groups/N/access_tokens/N
    DELETE /groups/N/access_tokens/N
    journal ends
    ");
}
