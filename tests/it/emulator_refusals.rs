//! Every refusal of the embedded GitLab: status and body, exactly (reference: GitLab's `lib/api/`).

use serde_json::{Value, json};

use crate::emulator::{GROUP, Lab, PROJECT};

/// A seed with somebody at every height.
const SEED: &str = "
users:
  - { username: root, name: Root, admin: true }
  - { username: owner, name: Olive Owner }
  - { username: maintainer, name: Max Maintainer }
  - { username: developer, name: Dev Developer }
  - { username: stranger, name: Sam Stranger }
groups:
  - { path: alithya-csna, members: { owner: owner, maintainer: maintainer, developer: developer } }
  - { path: open, visibility: public }
projects:
  - { path: alithya-csna/backstage }
tokens:
  - { label: operator, user: owner, name: o, scopes: [api] }
  - { label: admin, user: root, name: a, scopes: [api] }
  - { label: maintainer, user: maintainer, name: m, scopes: [api] }
  - { label: developer, user: developer, name: d, scopes: [api] }
  - { label: stranger, user: stranger, name: s, scopes: [api] }
  - { label: reader, user: owner, name: r, scopes: [read_api] }
  - { label: git, user: owner, name: g, scopes: [read_repository] }
  - { label: profile, user: owner, name: p, scopes: [read_user] }
  - { label: revoked, user: owner, name: v, scopes: [api], revoked: true }
  - { label: expired, user: owner, name: e, scopes: [api], expires_at: 2026-11-21 }
  - { label: bot, group: alithya-csna, role: owner, name: Bot, scopes: [api] }
  - { label: small-bot, group: alithya-csna, role: developer, name: Small Bot, scopes: [api] }
  - { label: project-bot, project: alithya-csna/backstage, role: owner, name: Project Bot, scopes: [api] }
";

fn message(text: &str) -> Value {
    json!({"message": text})
}

fn error(text: &str) -> Value {
    json!({"error": text})
}

fn bearer(text: &str) -> Value {
    json!({"error": "invalid_token", "error_description": text})
}

fn scope(scope: &str) -> Value {
    let text = "The request requires higher privileges than provided by the access token.";
    json!({"error": "insufficient_scope", "error_description": text, "scope": scope})
}

/// who, method, path, body, status, reply
type Row = (&'static str, &'static str, String, Option<Value>, u16, Value);

fn check(lab: &Lab, rows: Vec<Row>) {
    for (who, method, path, body, status, reply) in rows {
        let answer = lab.send(who, method, &path, body.clone());
        let case = format!("{who}: {method} {path} {}", body.unwrap_or_default());
        assert_eq!((answer.status, answer.json()), (status, reply), "{case}");
        assert_eq!(answer.headers["content-type"], "application/json", "{case}");
    }
}

fn label_id(lab: &Lab, name: &str) -> u64 {
    let state = lab.running.state();
    let rows = state["tokens"].as_array().unwrap().clone();
    rows.iter().find(|row| row["name"] == name).unwrap()["id"].as_u64().unwrap()
}

#[test]
fn credentials_that_do_not_hold() {
    let lab = Lab::seeded(SEED);
    let revoked = "Token was revoked. You have to re-authorize from the user.";
    let expired = "Token is expired. You can either do re-authorization or token refresh.";
    let own = || "/personal_access_tokens/self".to_owned();
    check(
        &lab,
        vec![
            ("", "GET", "/version".into(), None, 401, message("401 Unauthorized")),
            ("glpat-unknown", "GET", "/version".into(), None, 401, message("401 Unauthorized")),
            ("revoked", "GET", own(), None, 401, bearer(revoked)),
            ("expired", "GET", own(), None, 401, bearer(expired)),
            ("git", "GET", "/version".into(), None, 403, scope("read_user api read_api")),
            ("git", "GET", GROUP.into(), None, 403, scope("api read_api")),
            ("profile", "GET", "/groups/101".into(), None, 403, scope("api read_api")),
            ("reader", "POST", GROUP.into(), Some(json!({})), 403, scope("api read_api")),
            ("reader", "DELETE", format!("{GROUP}/1"), None, 403, scope("api read_api")),
            ("reader", "POST", format!("{}/rotate", own()), None, 403, scope("api self_rotate api read_api")),
        ],
    );
    for who in ["git", "profile", "reader"] {
        assert_eq!(lab.get(who, "/personal_access_tokens/self").status, 200, "any scope opens self: {who}");
    }
    assert_eq!(lab.get("profile", "/user").status, 200);
    assert!(lab.get("revoked", "/version").headers["www-authenticate"].contains("invalid_token"));
}

#[test]
fn routes_that_do_not_exist() {
    let lab = Lab::seeded(SEED);
    check(
        &lab,
        vec![
            ("operator", "GET", "/nope".into(), None, 404, error("404 Not Found")),
            ("", "GET", "/groups/1/nope/x".into(), None, 404, error("404 Not Found")),
            ("operator", "PUT", GROUP.into(), None, 405, error("405 Not Allowed")),
            ("operator", "DELETE", "/version".into(), None, 405, error("405 Not Allowed")),
        ],
    );
}

#[test]
fn what_the_caller_cannot_see_is_not_found() {
    let lab = Lab::seeded(SEED);
    let wish = || Some(json!({"name": "n", "scopes": ["api"]}));
    check(
        &lab,
        vec![
            ("stranger", "GET", GROUP.into(), None, 404, message("404 Group Not Found")),
            ("stranger", "POST", GROUP.into(), wish(), 404, message("404 Group Not Found")),
            ("stranger", "GET", PROJECT.into(), None, 404, message("404 Project Not Found")),
            ("stranger", "GET", "/groups/101".into(), None, 404, message("404 Group Not Found")),
            ("operator", "GET", "/groups/alithya".into(), None, 404, message("404 Group Not Found")),
            ("operator", "GET", "/projects/1".into(), None, 404, message("404 Project Not Found")),
            ("operator", "GET", format!("{GROUP}/1"), None, 404, message("404 group Access Token Not Found")),
            ("operator", "GET", format!("{GROUP}/x"), None, 404, message("404 group Access Token Not Found")),
            (
                "operator",
                "DELETE",
                format!("{PROJECT}/1"),
                None,
                404,
                message("404 project Access Token Not Found"),
            ),
        ],
    );
    assert_eq!(lab.get("stranger", "/groups/open").status, 200, "a public group is seen by all");
}

#[test]
fn a_role_too_low_is_told_in_four_ways() {
    let lab = Lab::seeded(SEED);
    let (bot, small, project) =
        (label_id(&lab, "Bot"), label_id(&lab, "Small Bot"), label_id(&lab, "Project Bot"));
    let wish = || Some(json!({"name": "n", "scopes": ["api"]}));
    let denied = |what: &str| {
        message(&format!("400 Bad request - User does not have permission to create {what} access token"))
    };
    let above =
        "400 Bad request - Access level of the token contains permissions not held by the creating user";
    let beyond = "400 Bad request - Not eligible to rotate tokens with permissions not held by the user";
    let owner = || Some(json!({"name": "n", "scopes": ["api"], "access_level": 50}));
    check(
        &lab,
        vec![
            ("maintainer", "GET", GROUP.into(), None, 401, message("401 Unauthorized")),
            ("developer", "GET", PROJECT.into(), None, 401, message("401 Unauthorized")),
            ("developer", "GET", format!("{GROUP}/{bot}"), None, 401, message("401 Unauthorized")),
            ("maintainer", "POST", GROUP.into(), wish(), 400, denied("group")),
            ("developer", "POST", PROJECT.into(), wish(), 400, denied("project")),
            ("stranger", "POST", "/groups/open/access_tokens".into(), wish(), 400, denied("group")),
            ("bot", "POST", GROUP.into(), wish(), 400, denied("group")),
            ("maintainer", "POST", PROJECT.into(), owner(), 400, message(above)),
            ("maintainer", "POST", format!("{PROJECT}/{project}/rotate"), None, 400, message(beyond)),
            ("developer", "POST", format!("{GROUP}/{small}/rotate"), None, 401, message("401 Unauthorized")),
            ("operator", "POST", format!("{GROUP}/1/rotate"), None, 401, message("401 Unauthorized")),
            ("bot", "POST", format!("{GROUP}/{small}/rotate"), None, 401, message("401 Unauthorized")),
            ("admin", "POST", format!("{GROUP}/1/rotate"), None, 404, message("404 Not Found")),
            (
                "developer",
                "DELETE",
                format!("{GROUP}/{bot}"),
                None,
                400,
                message("400 Bad request - Dev Developer cannot delete Bot"),
            ),
            (
                "operator",
                "GET",
                "/personal_access_tokens?user_id=1".into(),
                None,
                401,
                message("401 Unauthorized"),
            ),
            (
                "admin",
                "GET",
                "/personal_access_tokens?user_id=99".into(),
                None,
                404,
                message("404 Not Found"),
            ),
        ],
    );
    assert_eq!(lab.row(project)["revoked"], false, "a refused rotation changes nothing");
    assert_eq!(lab.get("bot", GROUP).status, 200, "an owner's bot may read");
    assert_eq!(lab.post("maintainer", PROJECT, wish().unwrap()).status, 201);
}

#[test]
fn wishes_that_grape_or_the_model_refuse() {
    let lab = Lab::seeded(SEED);
    let post = |body: Value, reply: Value| ("operator", "POST", GROUP.to_owned(), Some(body), 400, reply);
    let bad = |text: &str| message(&format!("400 Bad request - {text}"));
    let mut rows = vec![
        post(json!({}), error("name is missing, scopes is missing")),
        post(json!({"name": "n", "scopes": "api"}), error("scopes is invalid")),
        post(json!({"name": "n", "scopes": ["api", "apo"]}), error("scopes does not have a valid value")),
        post(json!({"name": "n", "scopes": []}), bad("Scopes can't be blank")),
        post(json!({"name": "", "scopes": ["api"]}), bad("Name can't be blank")),
        post(
            json!({"name": "n", "scopes": ["api"], "access_level": 35}),
            error("access_level does not have a valid value"),
        ),
        post(
            json!({"name": "n", "scopes": ["api"], "access_level": 5}),
            error("access_level does not have a valid value"),
        ),
        post(
            json!({"name": "n", "scopes": ["api"], "access_level": "dev"}),
            error("access_level is invalid"),
        ),
        post(json!({"name": "n", "scopes": ["api"], "expires_at": "soon"}), error("expires_at is invalid")),
        post(
            json!({"name": "n", "scopes": ["api"], "expires_at": "2027-11-22"}),
            bad("Expires at must be before 2027-11-21"),
        ),
        post(
            json!({"name": "n", "scopes": ["api"], "description": "d".repeat(256)}),
            bad("Description is too long (maximum is 255 characters)"),
        ),
    ];
    for scope in ["read_user", "sudo", "admin_mode", "read_service_ping"] {
        rows.push(post(json!({"name": "n", "scopes": [scope]}), error("scopes does not have a valid value")));
    }
    check(&lab, rows);
    let headers = [("private-token", lab.running.operator_token())];
    let headers = [("private-token", headers[0].1.expose()), ("content-type", "application/json")];
    let broken = lab.raw("POST", &format!("/api/v4{GROUP}"), &headers, "{\"name\":");
    assert_eq!(broken.status, 400);
    let none: Vec<Value> =
        serde_json::from_str(&lab.get("operator", "/groups/101/access_tokens?search=n").text).unwrap();
    assert!(none.is_empty(), "nothing was made: {none:?}");
    let users = lab.get("admin", "/users").json();
    assert_eq!(users.as_array().unwrap().len(), 8, "no bot was left behind: {users}");
}

#[test]
fn what_is_accepted_at_the_edges() {
    let lab = Lab::seeded(SEED);
    for body in [
        json!({"name": "n", "scopes": ["api"], "expires_at": "2027-11-21"}),
        json!({"name": "n", "scopes": ["api"], "description": "d".repeat(255)}),
        json!({"name": "n", "scopes": ["api"], "access_level": "30"}),
        json!({"name": "n", "scopes": ["mcp"], "surprise": true}),
        json!({"name": "n", "scopes": ["api"], "expires_at": null}),
    ] {
        let made = lab.post("operator", GROUP, body.clone());
        assert_eq!(made.status, 201, "{body}: {}", made.text);
    }
    let past =
        lab.post("operator", GROUP, json!({"name": "n", "scopes": ["api"], "expires_at": "2026-11-01"}));
    assert_eq!((past.status, &past.json()["active"]), (201, &json!(false)), "born expired");
}

#[test]
fn personal_wishes_of_an_administrator_fail_with_422() {
    let lab = Lab::seeded(SEED);
    let rows = vec![
        (
            "admin",
            "POST",
            "/users/2/personal_access_tokens".to_owned(),
            json!({"name": "n", "scopes": ["sudo"]}),
            422,
            message("Scopes can only contain available scopes"),
        ),
        (
            "admin",
            "POST",
            "/users/2/personal_access_tokens".to_owned(),
            json!({"name": "n", "scopes": ["api"], "expires_at": "2028-01-01"}),
            422,
            message("Expires at must be before 2027-11-21"),
        ),
        (
            "admin",
            "POST",
            "/users/99/personal_access_tokens".to_owned(),
            json!({"name": "n", "scopes": ["api"]}),
            404,
            message("404 User Not Found"),
        ),
    ];
    check(&lab, rows.into_iter().map(|(a, b, c, d, e, f)| (a, b, c, Some(d), e, f)).collect());
}

#[test]
fn a_rotation_with_a_stale_token_kills_the_family() {
    let lab = Lab::new();
    let (id, first) = lab.mint(&["api"]);
    let one = format!("{GROUP}/{id}");
    let second = lab.post("operator", &format!("{one}/rotate"), json!({}));
    let again = lab.post("operator", &format!("{one}/rotate"), json!({}));
    assert_eq!((again.status, again.json()), (400, message("400 Bad request - Token already revoked")));
    assert_eq!(lab.row(second.id())["active"], true, "asking with a good token harms nobody");

    assert_eq!(lab.get(&first, "/personal_access_tokens/self").status, 401);
    assert_eq!(lab.row(second.id())["active"], true, "a stale token on another route harms nobody");

    let stale = lab.post(&first, "/personal_access_tokens/self/rotate", json!({}));
    assert_eq!((stale.status, &stale.json()["error"]), (401, &json!("invalid_token")));
    assert_eq!(lab.row(second.id())["revoked"], true);
    assert_eq!(lab.get(&second.token(), "/personal_access_tokens/self").status, 401);
}

/// Puts settings before the seed.
fn with_settings(settings: &str) -> Lab {
    Lab::seeded(&format!("settings: {{ {settings} }}{SEED}"))
}

#[test]
fn the_free_tier_has_no_group_or_project_tokens() {
    let lab = with_settings("free_tier: true");
    let wish = Some(json!({"name": "n", "scopes": ["api"]}));
    let denied = "400 Bad request - User does not have permission to create group access token";
    check(
        &lab,
        vec![
            ("operator", "POST", GROUP.into(), wish, 400, message(denied)),
            ("operator", "GET", GROUP.into(), None, 401, message("401 Unauthorized")),
        ],
    );
    assert_eq!(lab.get("operator", "/groups/101").status, 200);
}

#[test]
fn settings_change_what_is_valid() {
    let lab = with_settings("container_registry: false, dependency_proxy: false, max_lifetime: 30");
    for scope in ["read_registry", "write_virtual_registry"] {
        let refused = lab.post("operator", GROUP, json!({"name": "n", "scopes": [scope]}));
        assert_eq!(refused.json(), error("scopes does not have a valid value"));
    }
    let far =
        lab.post("operator", GROUP, json!({"name": "n", "scopes": ["api"], "expires_at": "2026-12-22"}));
    assert_eq!(far.json(), message("400 Bad request - Expires at must be before 2026-12-21"));

    let lab = with_settings("require_expiry: false");
    assert_eq!(
        lab.post("operator", GROUP, json!({"name": "n", "scopes": ["api"]})).json()["expires_at"],
        Value::Null
    );

    let lab = with_settings("version: 17.6.2-ee, token_prefix: corp-");
    let made = lab.post("operator", GROUP, json!({"name": "n", "scopes": ["api"], "description": "mark"}));
    assert_eq!(made.json().get("description"), None);
    assert!(made.token().starts_with("corp-"));
    assert_eq!(lab.get("operator", "/version").json()["version"], "17.6.2-ee");

    let lab = with_settings("admin_mode: true");
    let plain = lab.post("admin", "/users/2/personal_access_tokens", json!({"name": "n", "scopes": ["api"]}));
    assert_eq!(plain.status, 403, "without the scope admin_mode an administrator is a normal user");
}

#[test]
fn requests_above_the_limit_are_told_to_come_back() {
    let lab = with_settings("requests_per_minute: 2");
    let first = lab.get("operator", "/version");
    assert_eq!((first.status, first.headers["ratelimit-remaining"].as_str()), (200, "1"));
    assert_eq!(lab.get("operator", "/version").status, 200);
    let third = lab.get("operator", "/version");
    assert_eq!((third.status, third.text.as_str()), (429, "Retry later\n"));
    assert_eq!(third.headers["content-type"], "text/plain");
    assert_eq!(third.headers["retry-after"], "60");
    assert_eq!(third.headers["ratelimit-reset"], "1795248060");
    assert_eq!(third.headers["ratelimit-resettime"], "Sat, 21 Nov 2026 08:01:00 GMT");
    assert_eq!(lab.get("developer", "/version").status, 200, "each user has a count of his own");
    lab.running.advance(jiff::SignedDuration::from_secs(60));
    assert_eq!(lab.get("operator", "/version").status, 200);
}
