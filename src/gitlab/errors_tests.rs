//! Every error body of GitLab, of its throttle and of what stands before it, against what it must mean.

use std::rc::Rc;

use super::*;
use crate::gitlab::client::Client;
use crate::gitlab::fake::{CANARY, Fake, client, client_of, json, now, typed, with_headers};
use crate::gitlab::tokens::MintRequest;
use crate::gitlab::transport::{Response, SendError};
use crate::token::{Role, TokenId};

type Outcome = Result<Response, SendError>;

fn group() -> Owner {
    Owner { kind: Kind::Group, id: 7, path: "alithya-csna".to_owned() }
}

fn owner(kind: Kind) -> Owner {
    Owner { kind, ..group() }
}

fn request() -> MintRequest {
    MintRequest {
        name: "Backstage".to_owned(),
        description: "mark".to_owned(),
        scopes: ["read_api".to_owned()].into(),
        role: Some(Role::Developer),
        expires_at: None,
    }
}

fn create_at(base: &str, kind: Kind, outcome: Outcome) -> GitLabError {
    let fake = Fake::new([outcome]);
    let error = now(client_of(base, &fake).create(&owner(kind), &request())).unwrap_err();
    assert_eq!(fake.requests.borrow().len(), 1);
    error
}

fn create(outcome: Outcome) -> GitLabError {
    create_at("https://gitlab.example.com", Kind::Group, outcome)
}

/// GET /user with this outcome, however often it is asked.
fn whoami(outcome: impl Fn() -> Outcome) -> GitLabError {
    let fake = Fake::new((0..4).map(|_| outcome()));
    now(client(&fake).whoami()).unwrap_err()
}

fn invalid(problems: &[&str]) -> ErrorKind {
    ErrorKind::Invalid { problems: problems.iter().map(|text| (*text).to_owned()).collect() }
}

#[test]
fn every_refusal_of_a_creation_has_its_kind_and_had_no_effect() {
    let bad = "400 Bad request - ";
    for (status, body, kind) in [
        (400, r#"{"error":"scopes does not have a valid value"}"#.to_owned(), invalid(&["scopes does not have a valid value"])),
        (400, r#"{"error":"name is missing, scopes is missing"}"#.to_owned(), invalid(&["name is missing", "scopes is missing"])),
        (400, r#"{"error":"expires_at is invalid"}"#.to_owned(), invalid(&["expires_at is invalid"])),
        (400, format!(r#"{{"message":"{bad}Something else"}}"#), invalid(&["Something else"])),
        (
            400,
            r#"{"message":{"value":["is invalid"],"key":["(K) has already been taken","is too long"]}}"#.to_owned(),
            invalid(&["value is invalid", "key (K) has already been taken", "key is too long"]),
        ),
        (400, r#"{"message":["one","two"]}"#.to_owned(), invalid(&["one", "two"])),
        (
            400,
            format!(r#"{{"message":"{bad}User does not have permission to create group access token"}}"#),
            ErrorKind::NotPermittedToCreate,
        ),
        (
            400,
            format!(r#"{{"message":"{bad}Access level of the token contains permissions not held by the creating user"}}"#),
            ErrorKind::AccessLevelTooHigh,
        ),
        (400, format!(r#"{{"message":"{bad}Access token limit reached"}}"#), ErrorKind::LimitReached),
        (
            400,
            format!(r#"{{"message":"{bad}Expires at must be before 2027-11-21"}}"#),
            ErrorKind::ExpiryTooFar { latest: "2027-11-21".parse().unwrap() },
        ),
        (
            400,
            r#"{"message":{"expires_at":["must be before 2027-11-21"]}}"#.to_owned(),
            ErrorKind::ExpiryTooFar { latest: "2027-11-21".parse().unwrap() },
        ),
        (403, r#"{"message":"403 Forbidden"}"#.to_owned(), ErrorKind::Forbidden),
        (403, r#"{"message":"403 Forbidden - no"}"#.to_owned(), ErrorKind::Forbidden),
        (
            403,
            r#"{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api self_rotate api read_api"}"#.to_owned(),
            ErrorKind::InsufficientScope { needed: vec!["api".to_owned(), "self_rotate".to_owned()] },
        ),
        (404, r#"{"message":"404 Group Not Found"}"#.to_owned(), ErrorKind::NotFound),
        (404, r#"{"message":"404 Not Found"}"#.to_owned(), ErrorKind::NotFound),
        (404, r#"{"error":"404 Not Found"}"#.to_owned(), ErrorKind::NoSuchRoute),
        (405, r#"{"message":"405 Method Not Allowed"}"#.to_owned(), ErrorKind::MethodNotAllowed),
        (409, r#"{"message":"409 Conflict: Resource lock"}"#.to_owned(), ErrorKind::Conflict),
        (412, r#"{"message":"412 Precondition Failed"}"#.to_owned(), ErrorKind::PreconditionFailed),
        (422, r#"{"message":"no"}"#.to_owned(), ErrorKind::Unprocessable),
        (429, r#"{"message":{"error":"This endpoint has been requested too many times. Try again later."}}"#.to_owned(), ErrorKind::RateLimited { retry_after: None }),
    ] {
        let error = create(json(status, &body));
        assert_eq!(error.kind(), &kind, "{body}");
        assert_eq!(error.status(), Some(status));
        assert!(error.is_definite_refusal() && !error.is_outcome_unknown(), "{body}");
    }
}

#[test]
fn every_401_says_what_became_of_the_token() {
    for (body, kind) in [
        (r#"{"message":"401 Unauthorized"}"#, ErrorKind::TokenUnknown),
        (
            r#"{"error":"invalid_token","error_description":"Token is expired. You can either do re-authorization or token refresh."}"#,
            ErrorKind::TokenExpired,
        ),
        (
            r#"{"error":"invalid_token","error_description":"Token was revoked. You have to re-authorize from the user."}"#,
            ErrorKind::TokenRevoked,
        ),
        (
            r#"{"error":"invalid_token","error_description":"Token is an impersonation token but impersonation was disabled."}"#,
            ErrorKind::ImpersonationOff,
        ),
    ] {
        let error = whoami(|| json(401, body));
        assert_eq!(error.kind(), &kind);
        assert!(error.condemns_credential());
    }
    let error =
        whoami(|| json(401, r#"{"error":"dpop_error","error_description":"DPoP header is missing"}"#));
    assert_eq!(error.kind(), &ErrorKind::DpopRequired);
    assert!(!error.condemns_credential());
}

#[test]
fn a_post_whose_reply_proves_nothing_has_an_unknown_outcome() {
    let html = "<!DOCTYPE html><title>Blocked</title>";
    for outcome in [
        json(500, r#"{"message":"500 Internal Server Error"}"#),
        typed(502, "text/html", html),
        typed(503, "text/html", html),
        typed(520, "text/plain", ""),
        typed(403, "text/html", html),
        typed(200, "text/html", html),
        typed(201, "application/octet-stream", "x"),
        json(201, r#"{"id":7}"#),
        json(201, r#"{"id":7,"token":"glpat-can"#),
        json(408, "{}"),
        with_headers(303, "", &[("location", "https://gitlab.example.com/")]),
        Err(SendError::Unknown("connection reset".to_owned())),
        Err(SendError::TooLarge),
    ] {
        let shown = format!("{outcome:?}");
        let error = create(outcome);
        assert!(error.is_outcome_unknown() && !error.is_definite_refusal(), "{shown}: {error:?}");
        assert!(error.hint().unwrap().contains("run the command again"));
    }
}

#[test]
fn a_post_that_never_left_or_was_turned_away_before_handling_had_no_effect() {
    let moved = [("location", "https://new.example/api/v4/groups?private=1#x")];
    for (outcome, kind) in [
        (
            Err(SendError::NotSent("dns error".to_owned())),
            ErrorKind::Unreachable { reason: "dns error".to_owned() },
        ),
        (typed(429, "text/plain", "Retry later"), ErrorKind::RateLimited { retry_after: None }),
        (
            with_headers(308, "", &moved),
            ErrorKind::Redirected { to: "https://new.example/api/v4/groups".to_owned() },
        ),
    ] {
        let error = create(outcome);
        assert_eq!(error.kind(), &kind);
        assert!(error.is_definite_refusal());
    }
}

#[test]
fn what_is_not_gitlab_is_said_and_its_markup_is_not() {
    for (outcome, what) in [
        (typed(404, "text/html; charset=utf-8", "<html>glpat</html>"), "an HTML page with status 404"),
        (typed(403, "text/plain", "\n <HTML>"), "an HTML page with status 403"),
        (typed(200, "text/html", "<html>Sign in</html>"), "an HTML page"),
        (typed(200, "application/json ", "<html>"), ""),
        (typed(200, "image/png", "x"), "a reply of type image/png"),
        (typed(401, "text/plain", "who are you"), "plain text with status 401"),
        (typed(401, "text/plain", ""), "an empty reply with status 401"),
    ] {
        let fake = Fake::new([outcome]);
        let error = now(client(&fake).whoami()).unwrap_err();
        if what.is_empty() {
            assert!(matches!(error.kind(), ErrorKind::UnexpectedReply { .. }));
        } else {
            assert_eq!(error.kind(), &ErrorKind::NotGitLab { what: what.to_owned() });
            assert!(error.hint().unwrap().contains("below a path"));
        }
        assert!(!error.is_definite_refusal());
        assert!(!error.to_string().contains('<'), "{error}");
    }
}

#[test]
fn a_5xx_to_a_question_refuses_nothing() {
    for status in [500, 502, 503, 504] {
        let error = whoami(|| typed(status, "text/html", "<html>"));
        assert_eq!(error.kind(), &ErrorKind::ServerError);
        assert!(error.is_temporary() && !error.is_definite_refusal() && !error.condemns_credential());
        assert_eq!(error.said(), "");
    }
}

#[test]
fn gitlabs_own_sentence_is_one_bounded_line_that_cannot_steer_a_terminal() {
    let body = format!(r#"{{"message":"403 Forbidden - \u001b[31mred\u0007\u202e\n{}"}}"#, "x".repeat(1000));
    let error = whoami(|| json(403, &body));
    assert!(error.said().starts_with("403 Forbidden - [31mred x"), "{}", error.said());
    assert_eq!(error.said().chars().count(), 300);
    assert!(!error.to_string().chars().any(char::is_control));
}

#[test]
fn the_text_of_an_error_says_what_where_and_because_of_what() {
    let error = create(json(404, r#"{"message":"404 Group Not Found"}"#));
    assert_eq!(
        error.to_string(),
        "the group `alithya-csna` was not found at https://gitlab.example.com with the token from GITLAB_TOKEN \
         (POST /api/v4/groups/7/access_tokens: 404, \"404 Group Not Found\")"
    );
    let error = create(json(400, r#"{"error":"scopes does not have a valid value"}"#));
    assert_eq!(
        error.to_string(),
        "https://gitlab.example.com refused to create access tokens of the group `alithya-csna`: scopes does not have a \
         valid value (POST /api/v4/groups/7/access_tokens: 400, \"scopes does not have a valid value\")"
    );
    assert!(error.hint().unwrap().contains("does not offer one of the scopes for group tokens"));
}

#[test]
fn a_missing_scope_is_named_with_the_way_to_get_it() {
    let error = create(json(403, r#"{"error":"insufficient_scope","error_description":"x","scope":"api"}"#));
    assert!(error.to_string().starts_with("the token from GITLAB_TOKEN lacks the scope api ("));
    assert_eq!(
        error.hint().unwrap(),
        "scopes cannot be added to a token: make one with the scope api at \
         https://gitlab.example.com/-/user_settings/personal_access_tokens"
    );
}

#[test]
fn a_question_may_be_asked_with_any_of_the_named_scopes_once_each() {
    let body =
        r#"{"error":"insufficient_scope","error_description":"x","scope":"read_user api read_api api"}"#;
    let fake = Fake::new([json(403, body)]);
    let error = now(client(&fake).own_token()).unwrap_err();
    assert!(error.to_string().contains("lacks the scope read_user or api or read_api ("), "{error}");
}

#[test]
fn a_group_token_refused_on_gitlab_com_names_what_works_on_free() {
    let body =
        r#"{"message":"400 Bad request - User does not have permission to create group access token"}"#;
    let hint = create_at("https://gitlab.com", Kind::Group, json(400, body)).hint().unwrap();
    for word in [
        "Premium",
        "Owner",
        "project of a paid group",
        "service account (Free since 18.11)",
        "personal token",
    ] {
        assert!(hint.contains(word), "{hint}");
    }
    let own = create(json(400, body)).hint().unwrap();
    assert!(own.contains("Owner in `alithya-csna`") && !own.contains("Premium"), "{own}");
    let body = body.replace("group", "project");
    let project = create_at("https://gitlab.com", Kind::Project, json(400, &body)).hint().unwrap();
    assert!(project.contains("a trial has one") && project.contains("Maintainer or Owner"), "{project}");
}

#[test]
fn a_personal_token_for_others_names_both_forms_filled_in() {
    let refused = json(403, r#"{"message":"403 Forbidden"}"#);
    let error = create_at("https://gitlab.example.com/git", Kind::Personal, refused);
    assert!(error.to_string().starts_with("only an administrator can create a personal token"));
    let hint = error.hint().unwrap();
    let query = "?name=Backstage&description=mark&scopes=read_api";
    let page = "https://gitlab.example.com/git/-/user_settings/personal_access_tokens";
    assert!(hint.contains(&format!("{page}/legacy/new{query} ")), "{hint}");
    assert!(hint.contains(&format!("(before GitLab 18.9: {page}{query})")), "{hint}");
}

#[test]
fn a_401_of_a_token_route_is_laid_at_the_right_door() {
    let unauthorized = || json(401, r#"{"message":"401 Unauthorized"}"#);
    let alive = r#"{"id":1,"name":"n","revoked":false,"created_at":"2026-01-20T22:11:48.151Z","user_id":3,"active":true}"#;
    let revoked = r#"{"error":"invalid_token","error_description":"Token was revoked. You have to re-authorize from the user."}"#;
    for (own, kind) in [
        (json(200, alive), ErrorKind::Forbidden),
        (unauthorized(), ErrorKind::TokenUnknown),
        (json(401, revoked), ErrorKind::TokenRevoked),
        (json(500, "{}"), ErrorKind::TokenUnknown),
    ] {
        let fake = Fake::new([unauthorized(), own]);
        let error = now(client(&fake).get(&group(), TokenId(9))).unwrap_err();
        assert_eq!(error.kind(), &kind);
        assert_eq!(
            fake.lines(),
            ["GET /api/v4/groups/7/access_tokens/9", "GET /api/v4/personal_access_tokens/self"]
        );
    }
    let fake = Fake::new([unauthorized(), json(200, alive)]);
    let error = now(client(&fake).get(&group(), TokenId(9))).unwrap_err();
    assert_eq!(error.hint().unwrap(), "access tokens of a group are managed by its Owners");
}

#[test]
fn a_refused_revocation_is_not_allowed_rather_than_invalid() {
    for (kind, text) in
        [(Kind::Group, "ana cannot delete group_7_bot_x"), (Kind::Personal, "Not permitted to revoke")]
    {
        let fake = Fake::new([json(400, &format!(r#"{{"message":"400 Bad request - {text}"}}"#))]);
        let error = now(client(&fake).revoke(&owner(kind), TokenId(9))).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Forbidden);
    }
}

#[test]
fn every_kind_but_an_odd_reply_has_a_hint() {
    let kinds = [
        ErrorKind::TokenUnknown,
        ErrorKind::TokenExpired,
        ErrorKind::TokenRevoked,
        ErrorKind::ImpersonationOff,
        ErrorKind::DpopRequired,
        ErrorKind::InsufficientScope { needed: Vec::new() },
        ErrorKind::Forbidden,
        ErrorKind::NotFound,
        ErrorKind::NoSuchRoute,
        ErrorKind::ExpiryTooFar { latest: "2027-11-21".parse().unwrap() },
        ErrorKind::NotPermittedToCreate,
        ErrorKind::AccessLevelTooHigh,
        ErrorKind::LimitReached,
        ErrorKind::MethodNotAllowed,
        ErrorKind::Conflict,
        ErrorKind::PreconditionFailed,
        ErrorKind::Unprocessable,
        ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(90)) },
        ErrorKind::ServerError,
        ErrorKind::NotGitLab { what: "x".to_owned() },
        ErrorKind::Redirected { to: "x".to_owned() },
        ErrorKind::Unreachable { reason: "invalid peer certificate: UnknownIssuer".to_owned() },
        ErrorKind::Unreachable { reason: "invalid peer certificate: CaUsedAsEndEntity".to_owned() },
        ErrorKind::Unreachable { reason: "x".to_owned() },
        ErrorKind::OutcomeUnknown { because: "x".to_owned() },
        ErrorKind::WrongOrigin { wanted: "https://x.example".to_owned() },
    ];
    for kind in kinds {
        let error = create(json(403, "{}")).with_kind(kind);
        assert!(error.hint().is_some_and(|hint| !hint.ends_with('.')), "{error:?}");
        assert!(!error.to_string().starts_with(char::is_uppercase));
    }
}

#[test]
fn an_error_page_that_repeats_the_request_does_not_show_the_credential() {
    let echo = |client: &Client| {
        let error = now(client.own_token()).unwrap_err();
        format!("{error} {error:?} {:?}", error.hint())
    };
    for outcome in [
        json(400, &format!(r#"{{"message":"bad header PRIVATE-TOKEN: {CANARY}"}}"#)),
        json(400, &format!(r#"{{"message":{{"{CANARY}":["x"]}}}}"#)),
        json(403, &format!(r#"{{"error":"insufficient_scope","scope":"{CANARY}"}}"#)),
        json(400, &format!(r#"{{"message":"{} {CANARY}"}}"#, "x".repeat(285))),
        typed(400, "text/plain", &format!("PRIVATE-TOKEN: {CANARY}")),
        with_headers(302, "", &[("location", &format!("https://login.example/{CANARY}"))]),
    ] {
        let fake: Rc<Fake> = Fake::new([outcome]);
        let shown = echo(&client(&fake));
        assert!(!shown.contains("glpat-ca"), "{shown}");
    }
}
