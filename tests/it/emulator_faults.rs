//! Faults of the embedded GitLab: what the client meets and what has happened behind its back.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::emulator::{GROUP, Lab};

fn lab(rule: &str) -> Lab {
    Lab::with(|config| config.faults = vec![rule.parse().unwrap()])
}

fn wish() -> Option<Value> {
    Some(
        json!({"name": "mark-1", "scopes": ["read_api", "api"], "access_level": 30, "expires_at": "2027-01-10"}),
    )
}

/// The tokens called `mark-1`.
fn marked(state: &Value) -> Vec<Value> {
    let tokens = state["tokens"].as_array().unwrap();
    tokens.iter().filter(|token| token["name"] == "mark-1").cloned().collect()
}

fn last_request(lab: &Lab) -> Value {
    lab.running.state()["requests"].as_array().unwrap().last().unwrap().clone()
}

#[test]
fn a_lost_reply_leaves_a_token_that_nobody_saw() {
    let lab = lab("POST /groups/*/access_tokens x1 lose-reply");
    assert!(lab.try_send("operator", "POST", GROUP, wish()).is_err());
    assert_eq!(marked(&lab.running.state()).len(), 1);
    let entry = last_request(&lab);
    assert_eq!((&entry["status"], &entry["user"]), (&json!(201), &json!("maude")));
    assert_eq!(entry["fault"], "lose-reply");
    assert_eq!(lab.send("operator", "POST", GROUP, wish()).status, 201, "the rule is used up");
}

#[test]
fn a_cut_or_refused_connection_leaves_nothing() {
    for effect in ["cut", "refuse"] {
        let lab = lab(&format!("POST * {effect}"));
        assert!(lab.try_send("operator", "POST", GROUP, wish()).is_err(), "{effect}");
        assert!(marked(&lab.running.state()).is_empty(), "{effect}");
        assert_eq!(last_request(&lab)["status"], Value::Null);
        assert_eq!(lab.get("operator", GROUP).status, 200, "other requests are left alone");
    }
}

/// Sends a wish over a connection of its own and hands that back.
fn send_by_hand(lab: &Lab) -> TcpStream {
    let address = lab.running.url().strip_prefix("http://").unwrap();
    let body = wish().unwrap().to_string();
    let token = lab.running.operator_token();
    let (length, token) = (body.len(), token.expose());
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /api/v4{GROUP} HTTP/1.1\r\nhost: {address}\r\nprivate-token: {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream
}

#[test]
fn half_a_body_ends_in_an_error_and_the_token_exists() {
    let lab = lab("POST * truncate");
    assert!(lab.try_send("operator", "POST", GROUP, wish()).is_err());
    assert_eq!(marked(&lab.running.state()).len(), 1);

    let mut reply = Vec::new();
    // The connection may end in a reset; what was read before that stays.
    let _ = send_by_hand(&lab).read_to_end(&mut reply);
    let reply = String::from_utf8(reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 201 Created"), "{head}");
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(body.len(), announced.parse::<usize>().unwrap() / 2);
    assert!(body.starts_with("{\"id\":"));
}

#[test]
fn a_body_that_never_came_whole_is_not_acted_upon() {
    let lab = Lab::new();
    let token = lab.running.operator_token();
    let mut stream = TcpStream::connect(lab.running.url().strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "POST /api/v4/personal_access_tokens/self/rotate HTTP/1.1\r\nhost: x\r\nprivate-token: {}\r\n\
         content-type: application/json\r\ncontent-length: 500\r\n\r\n{{\"expires",
        token.expose()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let handled = |state: &Value| state["requests"].as_array().is_some_and(|requests| !requests.is_empty());
    assert!(lab.running.wait_until(Duration::from_secs(60), handled));
    assert_eq!(last_request(&lab)["status"], Value::Null);
    assert_eq!(lab.get("operator", "/personal_access_tokens/self").status, 200, "it was not rotated");
}

#[test]
fn statuses_come_with_the_bodies_of_the_real_ones() {
    for (effect, status, content_type, body) in [
        ("401", 401, "application/json", r#"{"message":"401 Unauthorized"}"#),
        ("403", 403, "application/json", r#"{"message":"403 Forbidden"}"#),
        ("404", 404, "application/json", r#"{"message":"404 Not Found"}"#),
        ("429 7", 429, "text/plain", "Retry later\n"),
        ("500", 500, "application/json", r#"{"message":"500 Internal Server Error"}"#),
        ("502", 502, "text/html; charset=utf-8", "502 Bad Gateway"),
        ("html", 200, "text/html; charset=utf-8", "Sign in"),
    ] {
        let lab = lab(&format!("POST * {effect}"));
        let answer = lab.send("operator", "POST", GROUP, wish());
        assert_eq!(
            (answer.status, answer.headers["content-type"].as_str()),
            (status, content_type),
            "{effect}"
        );
        assert!(answer.text.contains(body), "{effect}: {}", answer.text);
        assert!(marked(&lab.running.state()).is_empty(), "{effect} does nothing");
    }
}

#[test]
fn a_throttled_client_learns_when_to_come_back() {
    let lab = lab("GET * x1 429 7");
    let answer = lab.get("operator", GROUP);
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!(answer.headers["ratelimit-reset"], "1795248007");
    assert_eq!(answer.headers["ratelimit-resettime"], "Sat, 21 Nov 2026 08:00:07 GMT");
    assert_eq!(lab.get("operator", GROUP).status, 200);
}

#[test]
fn a_redirect_names_its_target() {
    let lab = lab("POST * redirect https://elsewhere.example/api");
    let answer = lab.send("operator", "POST", GROUP, wish());
    assert_eq!((answer.status, answer.headers["location"].as_str()), (301, "https://elsewhere.example/api"));
}

#[test]
fn a_mismatch_is_told_and_true() {
    let lab = lab("POST * x1 mismatch");
    let made = lab.send("operator", "POST", GROUP, wish());
    assert_eq!(
        (made.status, &made.json()["scopes"], &made.json()["expires_at"]),
        (201, &json!(["read_api"]), &json!("2027-01-09"))
    );
    let own = lab.get(&made.token(), "/personal_access_tokens/self").json();
    assert_eq!((&own["scopes"], &own["expires_at"]), (&json!(["read_api"]), &json!("2027-01-09")));
}

#[test]
fn a_delayed_request_commits_after_its_client_has_gone() {
    let lab = lab("POST * delay 20ms");
    drop(send_by_hand(&lab));
    assert!(lab.running.wait_until(Duration::from_secs(60), |state| !marked(state).is_empty()));
}

#[test]
fn rules_are_changed_while_it_runs() {
    let lab = Lab::new();
    let json = [("content-type", "application/json")];
    let set =
        lab.raw("POST", "/_emulator/faults", &json, r#"{"add":["GET /version x1 500","* * after 9 cut"]}"#);
    assert_eq!(set.json(), json!({"faults": ["GET /version x1 500", "* * after 9 cut"]}));
    assert_eq!(lab.get("operator", "/version").status, 500);
    let wrong = lab.raw("POST", "/_emulator/faults", &json, r#"{"clear":true,"add":["GET 500"]}"#);
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["error"], "`GET 500` is not a fault rule: the path `500` must begin with / or *");
    let still = lab.raw("GET", "/_emulator/faults", &[], "");
    assert_eq!(still.json()["faults"].as_array().unwrap().len(), 2, "a bad change changes nothing");
    let cleared = lab.raw("POST", "/_emulator/faults", &json, r#"{"clear":true}"#);
    assert_eq!(cleared.json(), json!({"faults": []}));
}

#[test]
fn the_clock_is_moved_from_outside() {
    let lab = Lab::new();
    let moved = lab.raw("POST", "/_emulator/clock", &[], r#"{"advance":"10d"}"#);
    assert_eq!(moved.json(), json!({"now": "2026-12-01T08:00:00.000Z"}));
    let moved = lab.raw("POST", "/_emulator/clock", &[], r#"{"set":"2027-01-01T00:00:00Z"}"#);
    assert_eq!(moved.headers["date"], "Fri, 01 Jan 2027 00:00:00 GMT");
    for wrong in
        ["{}", r#"{"advance":"soon"}"#, r#"{"advance":"1d","set":"2027-01-01T00:00:00Z"}"#, r#"{"go":1}"#]
    {
        assert_eq!(lab.raw("POST", "/_emulator/clock", &[], wrong).status, 400, "{wrong}");
    }
    assert_eq!(lab.raw("GET", "/_emulator/health", &[], "").json(), json!({"status": "ok"}));
    assert_eq!(lab.raw("GET", "/_emulator/else", &[], "").status, 404);
}

#[test]
fn the_state_shows_everything_but_values() {
    let lab = Lab::new();
    let (id, value) = lab.mint(&["read_api"]);
    let query = format!("/api/v4/version?private_token={value}");
    assert_eq!(lab.raw("GET", &query, &[], "").status, 200);
    let shown = lab.raw("GET", "/_emulator/state", &[], "");
    let row = lab.row(id);
    for (key, expected) in
        [("kind", json!("group")), ("owner", json!("alithya-csna")), ("access_level", json!(30))]
    {
        assert_eq!(row[key], expected, "{key}");
    }
    assert_eq!(row["sha256"].as_str().unwrap().len(), 64);
    for label in ["operator", "admin", "developer"] {
        assert!(!shown.text.contains(lab.running.token(label).unwrap().expose()), "{label}");
    }
    assert!(!shown.text.contains(&value));
    assert!(!format!("{:?}", lab.running).contains(&value));
    let request = last_request(&lab);
    assert_eq!((&request["method"], &request["path"]), (&json!("GET"), &json!("/version")));
}
