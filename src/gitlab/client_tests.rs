//! Repetition, paging and the origin rule, counted on a fake transport.

use super::*;
use crate::gitlab::fake::{Fake, client, client_of, credential_for, json, now, typed, with_headers};
use crate::gitlab::tokens::{MintRequest, Revocation};
use crate::token::{Kind, Owner, Role, TokenId};

type Outcome = Result<Response, SendError>;

const USER: &str = r#"{"id":3,"username":"ana","bot":false}"#;

fn group() -> Owner {
    Owner { kind: Kind::Group, id: 7, path: "g".to_owned() }
}

fn request() -> MintRequest {
    MintRequest {
        name: "n".to_owned(),
        description: String::new(),
        scopes: ["api".to_owned()].into(),
        role: Some(Role::Guest),
        expires_at: None,
    }
}

/// Every way in which a request can fail for the moment.
fn troubles() -> Vec<fn() -> Outcome> {
    vec![
        || typed(429, "text/plain", "Retry later"),
        || typed(502, "text/html", "<html>"),
        || json(503, "{}"),
        || json(504, "{}"),
        || Err(SendError::Unknown("connection closed before message completed".to_owned())),
        || Err(SendError::Unknown("no answer in time".to_owned())),
        || Err(SendError::NotSent("connection refused".to_owned())),
    ]
}

#[test]
fn a_post_is_sent_exactly_once_whatever_happens() {
    let mut outcomes = troubles();
    outcomes.push(|| json(500, "{}"));
    outcomes.push(|| with_headers(429, "", &[("retry-after", "1")]));
    for outcome in outcomes {
        let fake = Fake::new([outcome()]);
        assert!(now(client(&fake).create(&group(), &request())).is_err());
        assert_eq!(fake.lines(), ["POST /api/v4/groups/7/access_tokens"]);
        assert!(fake.pauses.borrow().is_empty());
    }
}

#[test]
fn a_get_and_a_delete_outlive_three_troubles() {
    for trouble in troubles() {
        let fake = Fake::new([trouble(), trouble(), trouble(), json(200, USER)]);
        assert_eq!(now(client(&fake).whoami()).unwrap().id, 3);
        assert_eq!(*fake.pauses.borrow(), PAUSES);

        let fake = Fake::new([trouble(), trouble(), trouble(), typed(204, "text/plain", "")]);
        assert_eq!(now(client(&fake).revoke(&group(), TokenId(9))).unwrap(), Revocation::Done);
        assert_eq!(fake.requests.borrow().len(), 4);
    }
}

#[test]
fn a_get_gives_up_after_the_fourth_attempt() {
    for trouble in troubles() {
        let fake = Fake::new((0..4).map(|_| trouble()));
        assert!(now(client(&fake).whoami()).unwrap_err().is_temporary());
        assert_eq!(fake.requests.borrow().len(), 4);
    }
}

#[test]
fn a_refusal_and_a_crash_are_not_asked_again() {
    for outcome in
        [json(401, "{}"), json(403, "{}"), json(404, "{}"), json(500, "{}"), Err(SendError::TooLarge)]
    {
        let fake = Fake::new([outcome]);
        assert!(now(client(&fake).whoami()).is_err());
        assert_eq!(fake.requests.borrow().len(), 1);
    }
}

#[test]
fn a_revocation_whose_reply_was_lost_finds_the_token_gone() {
    let gone = json(404, r#"{"message":"404 group Access Token Not Found"}"#);
    let fake = Fake::new([Err(SendError::Unknown("cut".to_owned())), gone]);
    assert_eq!(now(client(&fake).revoke(&group(), TokenId(9))).unwrap(), Revocation::AlreadyGone);
}

#[test]
fn a_revocation_that_never_gets_a_reply_has_an_unknown_outcome() {
    for trouble in [|| Err(SendError::Unknown("cut".to_owned())), || typed(502, "text/html", "<html>")] {
        let fake = Fake::new((0..4).map(|_| trouble()));
        let error = now(client(&fake).revoke(&group(), TokenId(9))).unwrap_err();
        assert!(error.is_outcome_unknown());
    }
}

#[test]
fn retry_after_is_honoured_up_to_a_minute_and_then_said() {
    let asked = |seconds: &str| {
        with_headers(429, "Retry later", &[("content-type", "text/plain"), ("retry-after", seconds)])
    };
    let fake = Fake::new([asked("30"), asked("60"), asked("0"), json(200, USER)]);
    now(client(&fake).whoami()).unwrap();
    assert_eq!(
        *fake.pauses.borrow(),
        [Duration::from_secs(30), Duration::from_secs(60), Duration::from_secs(1)]
    );

    let fake = Fake::new([asked("61")]);
    let error = now(client(&fake).whoami()).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(61)) });
    assert_eq!(error.said(), "Retry later");
    assert!(fake.pauses.borrow().is_empty());
}

#[test]
fn a_redirect_is_an_error_and_nothing_follows_it() {
    for status in [301, 302, 303, 307, 308] {
        let fake = Fake::new([with_headers(
            status,
            "",
            &[("location", "https://gitlab.example.com/api/v4/projects/9")],
        )]);
        let error = now(client(&fake).resolve_owner(Kind::Project, "old/path")).unwrap_err();
        assert_eq!(
            error.kind(),
            &ErrorKind::Redirected { to: "https://gitlab.example.com/api/v4/projects/9".to_owned() }
        );
        assert!(error.hint().unwrap().contains("`old/path` was moved"));
        assert_eq!(fake.requests.borrow().len(), 1);
    }
}

#[test]
fn a_credential_of_another_origin_is_refused_before_anything_is_sent() {
    let fake = Fake::new([]);
    let credential = credential_for("https://gitlab.com");
    let client = Client::new(fake.clone(), "https://gitlab.example.com".parse().unwrap(), credential);
    let errors = [
        now(client.whoami()).unwrap_err(),
        now(client.create(&group(), &request())).unwrap_err(),
        now(client.list_active(&group())).unwrap_err(),
        now(client.revoke(&group(), TokenId(9))).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), &ErrorKind::WrongOrigin { wanted: "https://gitlab.example.com".to_owned() });
        assert!(error.is_definite_refusal());
    }
    assert!(fake.requests.borrow().is_empty());
}

fn token(id: u64, description: &str) -> String {
    format!(
        r#"{{"id":{id},"name":"n","description":"{description}","scopes":["api"],"revoked":false,
        "created_at":"2026-01-20T22:11:48.151Z","user_id":3,"active":true,"expires_at":null,"access_level":10}}"#
    )
}

fn page(tokens: &[String], link: &str) -> Outcome {
    with_headers(200, &format!("[{}]", tokens.join(",")), &[("link", link)])
}

#[test]
fn paging_follows_next_and_stops_where_it_is_missing() {
    let base = "https://gitlab.example.com/git";
    let list = format!("{base}/api/v4/groups/7/access_tokens");
    let fake = Fake::new([
        page(&[token(1, ""), token(2, "a mark-x b")], &format!("<{list}?page=2>; rel=\"next\"")),
        page(&[token(3, "mark-x")], &format!("<{list}?page=1>; rel=\"first\"")),
    ]);
    let found = now(client_of(base, &fake).find_by_mark(&group(), "mark-x")).unwrap();
    assert_eq!(found.iter().map(|record| record.id.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        fake.lines(),
        [
            "GET /git/api/v4/groups/7/access_tokens?per_page=100",
            "GET /git/api/v4/groups/7/access_tokens?page=2"
        ]
    );
}

#[test]
fn a_next_page_on_another_origin_is_refused_and_not_asked_for() {
    for next in
        ["https://evil.example/page2", "http://gitlab.example.com/page2", "https://gitlab.example.com:444/"]
    {
        let fake = Fake::new([page(&[token(1, "")], &format!("<{next}>; rel=\"next\""))]);
        let error = now(client(&fake).list_active(&group())).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WrongOrigin { .. }), "{error:?}");
        assert_eq!(fake.lines(), ["GET /api/v4/groups/7/access_tokens?state=active&per_page=100"]);
    }
}

#[test]
fn a_list_that_could_be_cut_short_or_runs_in_a_circle_is_an_error() {
    let full: Vec<String> = (0..100).map(|id| token(id, "")).collect();
    let without_link = json(200, &format!("[{}]", full.join(",")));
    let own = "https://gitlab.example.com/api/v4/groups/7/access_tokens?state=active&per_page=100";
    for outcome in [without_link, page(&[], &format!("<{own}>; rel=\"next\""))] {
        let fake = Fake::new([outcome]);
        let error = now(client(&fake).list_active(&group())).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::UnexpectedReply { .. }), "{error:?}");
    }
}

#[test]
fn the_clock_is_that_of_the_latest_successful_reply() {
    let dated = |status, date| with_headers(status, USER, &[("date", date)]);
    let fake = Fake::new([
        dated(200, "Sat, 21 Nov 2026 10:00:00 GMT"),
        json(200, USER),
        dated(403, "Sat, 21 Nov 2036 10:00:00 GMT"),
        dated(200, "Sat, 21 Nov 2026 10:00:05 GMT"),
    ]);
    let client = client(&fake);
    assert_eq!(client.server_time(), None);
    now(client.whoami()).unwrap();
    now(client.whoami()).unwrap();
    now(client.whoami()).unwrap_err();
    assert_eq!(client.server_time(), Some("2026-11-21T10:00:00Z".parse().unwrap()));
    now(client.whoami()).unwrap();
    assert_eq!(client.server_time(), Some("2026-11-21T10:00:05Z".parse().unwrap()));
}
