//! What GitLab refuses: the text, the exit code, and that nothing is left behind.

use std::fs;

use insta::assert_snapshot;

use crate::support::lab::Lab;

/// The built-in seed with other settings and more tokens.
fn seed(settings: &str, tokens: &str) -> String {
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/src/gitlab/emulator/default_seed.yaml");
    format!("settings: {{ {settings} }}\n{}{tokens}", fs::read_to_string(built_in).unwrap())
}

fn lab_with_token(token: &str) -> Lab {
    Lab::with_seed(Some(&seed("", &format!("  - {{ label: other, name: other, {token} }}\n"))))
}

#[test]
fn a_role_too_low_to_make_tokens_is_refused() {
    let lab = Lab::new();
    assert_snapshot!(lab.refusal(&mut lab.qa_as("developer")), @r#"
        exit 6
        error: backstage was not minted
          because: the token from GITLAB_TOKEN may not create access tokens of the group `alithya-csna` (POST /api/v4/groups/101/access_tokens: 400, "User does not have permission to create group access token")
          hint: the token's user needs the role Owner in `alithya-csna`, and must be a person: tokens of groups and projects cannot create tokens
    "#);
    assert_eq!(lab.made_and_living(), (0, 0));
}

#[test]
fn a_role_above_the_one_of_the_operator_is_refused() {
    let seed = seed("", "  - { label: other, name: other, user: dev, scopes: [api] }\n")
        .replace("    name: Backstage\n", "    name: Backstage\n    members: { dev: maintainer }\n");
    let lab = Lab::with_seed(Some(&seed));
    let profile = lab.read("environments/qa.yaml");
    let profile = profile.replace("kind: group", "kind: project").replace("role: developer", "role: owner");
    lab.write(
        "environments/qa.yaml",
        &profile.replace("group: alithya-csna", "project: alithya-csna/backstage"),
    );
    assert_snapshot!(lab.refusal(&mut lab.qa_as("other")), @r#"
        exit 6
        error: backstage was not minted
          because: the role is above the one that the token from GITLAB_TOKEN has itself: it may not create access tokens of the project `alithya-csna/backstage` (POST /api/v4/projects/501/access_tokens: 400, "Access level of the token contains permissions not held by the creating user")
          hint: lower `role` in the profile, or act with the token of somebody who has that role
    "#);
}

#[test]
fn a_plan_without_group_tokens_is_refused_like_a_role_too_low() {
    let lab = Lab::with_seed(Some(&seed("free_tier: true", "")));
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 6
        error: backstage was not minted
          because: the token from GITLAB_TOKEN may not create access tokens of the group `alithya-csna` (POST /api/v4/groups/101/access_tokens: 400, "User does not have permission to create group access token")
          hint: the token's user needs the role Owner in `alithya-csna`, and must be a person: tokens of groups and projects cannot create tokens
    "#);
}

#[test]
fn a_token_of_a_group_cannot_make_tokens() {
    let lab = lab_with_token("group: alithya-csna, role: owner, scopes: [api]");
    assert_snapshot!(lab.refusal(&mut lab.qa_as("other")), @r#"
        exit 6
        error: backstage was not minted
          because: the token from GITLAB_TOKEN may not create access tokens of the group `alithya-csna` (POST /api/v4/groups/101/access_tokens: 400, "User does not have permission to create group access token")
          hint: the token's user needs the role Owner in `alithya-csna`, and must be a person: tokens of groups and projects cannot create tokens
    "#);
}

#[test]
fn an_operator_token_that_has_expired_is_refused() {
    let lab = lab_with_token("user: maude, scopes: [api], expires_at: 2026-11-25");
    lab.gitlab.advance(jiff::SignedDuration::from_hours(240));
    assert_snapshot!(lab.refusal(&mut lab.qa_as("other")), @r#"
        exit 6
        error: the token from GITLAB_TOKEN has expired (GET /api/v4/groups/alithya-csna: 401, "Token is expired. You can either do re-authorization or token refresh.")
          hint: make a new token with the scope api at [GITLAB]/-/user_settings/personal_access_tokens and give it through GITLAB_TOKEN
    "#);
}

#[test]
fn an_operator_token_that_was_revoked_is_refused() {
    let lab = lab_with_token("user: maude, scopes: [api], revoked: true");
    assert_snapshot!(lab.refusal(&mut lab.qa_as("other")), @r#"
        exit 6
        error: the token from GITLAB_TOKEN was revoked (GET /api/v4/groups/alithya-csna: 401, "Token was revoked. You have to re-authorize from the user.")
          hint: make a new token with the scope api at [GITLAB]/-/user_settings/personal_access_tokens and give it through GITLAB_TOKEN
    "#);
}

#[test]
fn an_operator_token_that_can_only_read_is_refused() {
    let lab = lab_with_token("user: maude, scopes: [read_api]");
    assert_snapshot!(lab.refusal(&mut lab.qa_as("other")), @r#"
        exit 6
        error: backstage was not minted
          because: the token from GITLAB_TOKEN lacks the scope api (POST /api/v4/groups/101/access_tokens: 403, "The request requires higher privileges than provided by the access token.")
          hint: scopes cannot be added to a token: make one with the scope api at [GITLAB]/-/user_settings/personal_access_tokens
    "#);
}

#[test]
fn an_operator_token_that_cannot_even_read_is_refused() {
    let lab = lab_with_token("user: maude, scopes: [read_repository]");
    assert_snapshot!(lab.refusal(&mut lab.qa_as("other")), @r#"
        exit 6
        error: the token from GITLAB_TOKEN lacks the scope api or read_api (GET /api/v4/groups/alithya-csna: 403, "The request requires higher privileges than provided by the access token.")
          hint: scopes cannot be added to a token: make one with the scope api at [GITLAB]/-/user_settings/personal_access_tokens
    "#);
}

#[test]
fn an_operator_token_of_another_instance_is_refused() {
    let lab = Lab::new();
    assert_snapshot!(lab.refusal(lab.qa().env("GITLAB_TOKEN", "glpat-xxxxxxxxxxxxxxxxxxxx")), @r#"
        exit 6
        error: [GITLAB] does not accept the token from GITLAB_TOKEN (GET /api/v4/groups/alithya-csna: 401, "401 Unauthorized")
          hint: check that GITLAB_TOKEN holds a token of [GITLAB], copied whole; a new one, with the scope api, is made at [GITLAB]/-/user_settings/personal_access_tokens
    "#);
}

#[test]
fn max_takes_the_latest_date_that_the_instance_allows() {
    let lab = Lab::with_seed(Some(&seed("max_lifetime: 90", "")));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted()[0]["expires_at"], "2027-02-19");
    assert_eq!(lab.made_and_living(), (1, 1));
    assert!(lab.read("environments/locks/qa.yaml").contains("expires: 2027-02-19"));
    let head = lab.head();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
}

#[test]
fn an_expiry_of_ones_own_is_never_shortened() {
    let lab = Lab::with_seed(Some(&seed("max_lifetime: 90", "")));
    let profile = lab.read("environments/qa.yaml");
    lab.write("environments/qa.yaml", &profile.replace("role:", "expires: 180d\n    role:"));
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 6
        error: backstage was not minted
          because: the expiry is too far away: [GITLAB] allows 2027-02-19 at the latest (POST /api/v4/groups/101/access_tokens: 400, "Expires at must be before 2027-02-19")
          hint: write `expires: 2027-02-19` or `expires: max` in the profile
    "#);
    assert_eq!(lab.made_and_living(), (0, 0));
}
