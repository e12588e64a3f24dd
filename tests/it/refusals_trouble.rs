//! A GitLab that does not answer as GitLab does, before and while a token is made.

use insta::assert_snapshot;

use crate::support::lab::Lab;

#[test]
fn a_login_page_instead_of_the_api_is_not_taken_for_an_answer() {
    let lab = Lab::new();
    lab.fault("GET * html");
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 1
        error: what answers at [GITLAB] is not GitLab's API: it sent an HTML page (GET /api/v4/groups/alithya-csna: 200)
          hint: check the address [GITLAB]: GitLab may live below a path (https://host/gitlab), or a proxy or a login page stands before it
    "#);
}

#[test]
fn a_redirect_is_not_followed_with_the_credential() {
    let lab = Lab::new();
    lab.fault("GET * redirect https://login.example.com/?next=secret");
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 5
        error: [GITLAB] answered with a redirect to https://login.example.com/, which is not followed with a credential (GET /api/v4/groups/alithya-csna: 301)
          hint: if the group `alithya-csna` was moved or renamed, write its new path in the profile; else set `gitlab` to the address that GitLab has now
    "#);
}

#[test]
fn a_redirect_of_the_request_that_mints_is_not_followed_either() {
    let lab = Lab::new();
    lab.fault("POST * redirect https://login.example.com/");
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 5
        error: backstage was not minted
          because: [GITLAB] answered with a redirect to https://login.example.com/, which is not followed with a credential (POST /api/v4/groups/101/access_tokens: 301)
          hint: set `gitlab` in the profile to the address that GitLab has now (https, no login page before it)
    "#);
}

#[test]
fn a_limit_of_requests_is_said_with_its_end() {
    let lab = Lab::new();
    lab.fault("GET * 429 90");
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 8
        error: [GITLAB] limits the rate of requests and asks for a pause of 90 s (GET /api/v4/groups/alithya-csna: 429, "Retry later")
          hint: run the command again after 90 s
    "#);
}

#[test]
fn a_limit_of_requests_on_the_mint_leaves_nothing() {
    let lab = Lab::new();
    lab.fault("POST * 429 90");
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 8
        error: backstage was not minted
          because: [GITLAB] limits the rate of requests and asks for a pause of 90 s (POST /api/v4/groups/101/access_tokens: 429, "Retry later")
          hint: run the command again after 90 s
    "#);
    assert_eq!(lab.made_and_living(), (0, 0));
}

#[test]
fn a_server_error_before_anything_was_done_is_for_later() {
    let lab = Lab::new();
    lab.fault("GET * 500");
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 8
        error: [GITLAB] failed to answer: it has trouble of its own (GET /api/v4/groups/alithya-csna: 500, "500 Internal Server Error")
          hint: run the command again later; is [GITLAB] under maintenance?
    "#);
}

#[test]
fn a_token_that_is_not_the_one_asked_for_is_revoked_again() {
    let lab = Lab::new();
    lab.fault("POST * mismatch");
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 5
        error: GitLab made another token than was asked for: its scopes differ: -write_repository; it expires 2027-11-20, not 2027-11-21
          because: token 4204 was revoked again
          hint: change the profile to what the instance allows, or ask its administrator
    "#);
    assert_eq!(lab.made_and_living(), (1, 0));
}

#[test]
fn a_token_that_gitlab_does_not_know_yet_is_kept_for_the_next_run() {
    let lab = Lab::new();
    lab.fault("GET /personal_access_tokens/self x1 401");
    assert_snapshot!(lab.failure(&mut lab.qa()), @r#"
        exit 4
        error: token 4204 of backstage could not be verified
          because: [GITLAB] does not accept the new token (GET /api/v4/personal_access_tokens/self: 401, "401 Unauthorized")
          hint: run the same command again: it looks at GitLab first, and goes on from what it finds
    "#);
    assert_eq!(lab.made_and_living(), (1, 1));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.made_and_living(), (1, 1));
}

#[test]
fn one_token_refused_takes_the_others_back() {
    let lab = Lab::new();
    let profile = lab.read("environments/qa.yaml");
    let (head, token) = profile.split_once("tokens:\n").unwrap();
    let second = token.replace("backstage:", "second:").replace("name: Backstage", "name: Second");
    lab.write("environments/qa.yaml", &format!("{head}tokens:\n{token}{second}"));
    lab.write("templates/backstage.yaml", "A: '{{ tokens.backstage }}'\nB: '{{ tokens.second }}'\n");
    lab.commit_all("two tokens");
    lab.fault("POST /groups/*/access_tokens after 1 403");
    // The two requests go at once, so either may be the one that comes second.
    let refusal = lab.refusal(&mut lab.qa()).replace("backstage was not", "second was not");
    assert_snapshot!(refusal, @r#"
        exit 6
        error: second was not minted
          because: the token from GITLAB_TOKEN may not create access tokens of the group `alithya-csna` (POST /api/v4/groups/101/access_tokens: 403, "403 Forbidden")
          hint: access tokens of a group are managed by its Owners
    "#);
    assert_eq!(lab.made_and_living(), (1, 0));
}

#[test]
fn a_request_that_mints_is_not_sent_again_while_its_outcome_is_unknown() {
    let lab = Lab::new();
    lab.fault("POST * x1 500");
    assert_snapshot!(lab.refusal(&mut lab.qa()), @r#"
        exit 4
        error: the request for backstage had no answer that says how it ended
          because: [GITLAB] may or may not have done it (create access tokens of the group `alithya-csna`): it answered with a server error (POST /api/v4/groups/101/access_tokens: 500, "500 Internal Server Error")
          hint: run the same command again: it looks at GitLab first, and goes on from what it finds
    "#);
    assert_eq!(lab.made_and_living(), (0, 0));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.made_and_living(), (1, 1));
}

#[test]
fn a_token_whose_value_was_lost_with_the_reply_is_withdrawn_by_the_next_run() {
    let lab = Lab::new();
    lab.fault("POST * x1 lose-reply");
    assert_snapshot!(lab.failure(&mut lab.qa()), @r#"
        exit 4
        error: the request for backstage had no answer that says how it ended
          because: [GITLAB] may or may not have done it (create access tokens of the group `alithya-csna`): client error (SendRequest): connection closed before message completed (POST /api/v4/groups/101/access_tokens)
          hint: run the same command again: it looks at GitLab first, and goes on from what it finds
    "#);
    assert_eq!(lab.made_and_living(), (1, 1));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.made_and_living(), (2, 1));
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn a_token_that_could_not_be_verified_is_kept_for_the_next_run() {
    let lab = Lab::new();
    lab.fault("GET /personal_access_tokens/self x1 500");
    assert_snapshot!(lab.failure(&mut lab.qa()), @r#"
        exit 4
        error: token 4204 of backstage could not be verified
          because: [GITLAB] failed to answer: it has trouble of its own (GET /api/v4/personal_access_tokens/self: 500, "500 Internal Server Error")
          hint: run the same command again: it looks at GitLab first, and goes on from what it finds
    "#);
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.made_and_living(), (1, 1));
}

#[test]
fn a_token_that_is_not_what_was_asked_for_is_not_used_by_the_next_run_either() {
    let lab = Lab::new();
    lab.fault("POST * mismatch");
    lab.fault("DELETE * 500");
    let text = lab.failure(&mut lab.qa());
    assert!(text.contains("GitLab made another token than was asked for: its scopes differ"), "{text}");
    assert_eq!(lab.made_and_living(), (1, 1));
    lab.gitlab.clear_faults();
    let text = lab.failure(&mut lab.qa());
    assert!(text.starts_with("exit 4\nerror: GitLab made another token than was asked for"), "{text}");
    assert!(text.contains("was revoked"), "{text}");
    assert_eq!(lab.made_and_living(), (1, 0));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.made_and_living(), (2, 1));
}
