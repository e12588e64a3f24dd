//! What the routes send, and what they make of the replies.

use serde_json::json as value;

use super::*;
use crate::gitlab::fake::{Fake, client, json, now};

const SECRET: &str = "glpat-minted-canary-0123456789";

fn owner(kind: Kind) -> Owner {
    Owner { kind, id: 7, path: "a/b".to_owned() }
}

fn request() -> MintRequest {
    MintRequest {
        name: "Backstage (qa)".to_owned(),
        description: "mark 1".to_owned(),
        scopes: ["read_api".to_owned(), "write_repository".to_owned()].into(),
        role: Some(Role::Developer),
        expires_at: Some("2027-11-21".parse().unwrap()),
    }
}

fn created() -> String {
    format!(
        r#"{{"id":4217,"name":"Backstage (qa)","revoked":false,"created_at":"2026-11-21T10:00:00.123Z",
        "description":"mark 1","scopes":["write_repository","read_api"],"user_id":166,"last_used_at":null,"active":true,
        "expires_at":"2027-11-21","access_level":30,"resource_type":"group","resource_id":7,"token":"{SECRET}"}}"#
    )
}

#[test]
fn a_creation_says_expiry_and_role_and_the_value_comes_back_as_a_secret() {
    for (kind, path) in [(Kind::Group, "groups"), (Kind::Project, "projects")] {
        let fake = Fake::new([json(201, &created())]);
        let minted = now(client(&fake).create(&owner(kind), &request())).unwrap();
        assert_eq!(minted.value.expose(), SECRET);
        assert_eq!(minted.record.id, TokenId(4217));
        assert_eq!(minted.record.access_level, Some(30));
        assert_eq!(fake.lines(), [format!("POST /api/v4/{path}/7/access_tokens")]);
        assert_eq!(
            fake.requests.borrow()[0].body(),
            Some(&value!({
                "name": "Backstage (qa)", "description": "mark 1", "scopes": ["read_api", "write_repository"],
                "expires_at": "2027-11-21", "access_level": 30,
            }))
        );
    }
}

#[test]
fn a_personal_token_has_no_role_and_never_is_sent_as_null() {
    let fake = Fake::new([json(201, &created())]);
    let never = MintRequest { expires_at: None, ..request() };
    now(client(&fake).create(&owner(Kind::Personal), &never)).unwrap();
    assert_eq!(fake.lines(), ["POST /api/v4/users/7/personal_access_tokens"]);
    let requests = fake.requests.borrow();
    let body = requests[0].body().unwrap();
    assert!(body.get("access_level").is_none());
    assert_eq!(body["expires_at"], Value::Null);
}

#[test]
fn a_group_token_without_a_role_is_refused_before_it_is_sent() {
    let fake = Fake::new([]);
    let without = MintRequest { role: None, ..request() };
    let error = now(client(&fake).create(&owner(Kind::Group), &without)).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid { problems: vec!["access_level is missing".to_owned()] });
    assert!(error.is_definite_refusal());
}

#[test]
fn a_missing_token_is_none_and_a_missing_owner_or_route_is_an_error() {
    let missing = ErrorKind::NotFound;
    for (kind, body, error) in [
        (Kind::Group, r#"{"message":"404 group Access Token Not Found"}"#, None),
        (Kind::Project, r#"{"message":"404 project Access Token Not Found"}"#, None),
        (Kind::Personal, r#"{"message":"404 Personal Access Token Not Found"}"#, None),
        (Kind::Personal, r#"{"message":"404 Not found"}"#, None),
        (Kind::Personal, r#"{"message":"404 Not Found"}"#, None),
        (Kind::Group, r#"{"message":"404 Group Not Found"}"#, Some(&missing)),
        (Kind::Project, r#"{"message":"404 Project Not Found"}"#, Some(&missing)),
        (Kind::Group, r#"{"message":"404 Not Found"}"#, Some(&missing)),
        (Kind::Personal, r#"{"message":"404 User Not Found"}"#, Some(&missing)),
        (Kind::Group, r#"{"error":"404 Not Found"}"#, Some(&ErrorKind::NoSuchRoute)),
        (Kind::Personal, r#"{"error":"404 Not Found"}"#, Some(&ErrorKind::NoSuchRoute)),
    ] {
        let fake = Fake::new([json(404, body), json(404, body)]);
        let client = client(&fake);
        let read = now(client.get(&owner(kind), TokenId(9)));
        let revoked = now(client.revoke(&owner(kind), TokenId(9)));
        match error {
            None => {
                assert_eq!(read.unwrap(), None, "{body}");
                assert_eq!(revoked.unwrap(), Revocation::AlreadyGone, "{body}");
            }
            Some(kind) => {
                assert_eq!(read.unwrap_err().kind(), kind, "{body}");
                assert_eq!(revoked.unwrap_err().kind(), kind, "{body}");
            }
        }
    }
}

#[test]
fn a_refused_revocation_of_a_revoked_token_is_no_failure() {
    let refused = || json(400, r#"{"message":"400 Bad request - Failed to find bot user"}"#);
    let gone = || json(404, r#"{"message":"404 group Access Token Not Found"}"#);
    let revoked = created().replace(r#""revoked":false"#, r#""revoked":true"#);
    for (record, is_gone) in [
        (gone(), true),
        (json(200, &revoked), true),
        (json(200, &created()), false),
        (json(500, "{}"), false),
    ] {
        let fake = Fake::new([refused(), record]);
        let ended = now(client(&fake).revoke(&owner(Kind::Group), TokenId(9)));
        if is_gone {
            assert_eq!(ended.unwrap(), Revocation::AlreadyGone);
        } else {
            let problems = vec!["Failed to find bot user".to_owned()];
            assert_eq!(ended.unwrap_err().kind(), &ErrorKind::Invalid { problems });
        }
    }
}

#[test]
fn each_kind_has_its_routes() {
    let paths = |kind: Kind| {
        let record = created();
        let list = format!("[{record}]");
        let fake = Fake::new([json(200, &record), json(200, &list), json(200, &list), json(204, "")]);
        let client = client(&fake);
        now(client.get(&owner(kind), TokenId(9))).unwrap().unwrap();
        assert_eq!(now(client.list_active(&owner(kind))).unwrap().len(), 1);
        assert_eq!(now(client.find_by_mark(&owner(kind), "mark 1")).unwrap().len(), 1);
        now(client.revoke(&owner(kind), TokenId(9))).unwrap();
        fake.lines()
    };
    let of_group = [
        "GET /api/v4/groups/7/access_tokens/9",
        "GET /api/v4/groups/7/access_tokens?state=active&per_page=100",
        "GET /api/v4/groups/7/access_tokens?per_page=100",
        "DELETE /api/v4/groups/7/access_tokens/9",
    ];
    assert_eq!(paths(Kind::Group), of_group);
    assert_eq!(paths(Kind::Project), of_group.map(|line| line.replace("groups", "projects")));
    assert_eq!(
        paths(Kind::Personal),
        [
            "GET /api/v4/personal_access_tokens/9",
            "GET /api/v4/personal_access_tokens?user_id=7&state=active&per_page=100",
            "GET /api/v4/personal_access_tokens?user_id=7&per_page=100",
            "DELETE /api/v4/personal_access_tokens/9",
        ]
    );
}

#[test]
fn verification_uses_the_token_itself_and_blames_the_token_itself() {
    let fake =
        Fake::new([json(200, &created()), json(401, r#"{"message":"401 Unauthorized"}"#), json(500, "{}")]);
    let client = client(&fake);
    let value = Secret::new(SECRET.to_owned());
    assert_eq!(now(client.verify(&value, "the new token")).unwrap().id, TokenId(4217));
    let refused = now(client.verify(&value, "the new token")).unwrap_err();
    assert!(refused.condemns_credential());
    assert!(refused.to_string().starts_with("https://gitlab.example.com does not accept the new token ("));
    let unknown = now(client.verify(&value, "the new token")).unwrap_err();
    assert!(!unknown.condemns_credential() && unknown.is_temporary());
    for request in fake.requests.borrow().iter() {
        assert_eq!(request.credential().secret().expose(), SECRET);
        assert_eq!(request.credential().origin(), client.instance().origin());
    }
}

#[test]
fn a_value_that_cannot_be_a_header_is_not_sent_and_not_shown() {
    let fake = Fake::new([]);
    let value = Secret::new("glpat-canary\r\nX-Evil: 1".to_owned());
    let error = now(client(&fake).verify(&value, "the new token")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert!(!error.condemns_credential());
}

#[test]
fn owners_are_resolved_by_path_with_their_number() {
    let fake = Fake::new([
        json(200, r#"{"id":1,"full_path":"A/b","projects":[]}"#),
        json(200, r#"{"id":2,"path_with_namespace":"a/b"}"#),
        json(200, r#"[{"id":4,"username":"ana-maria"},{"id":3,"username":"Ana"}]"#),
        json(200, "[]"),
        json(404, r#"{"message":"404 Group Not Found"}"#),
    ]);
    let client = client(&fake);
    let resolved = |kind, path| now(client.resolve_owner(kind, path));
    assert_eq!(
        resolved(Kind::Group, "a/b").unwrap(),
        Owner { kind: Kind::Group, id: 1, path: "A/b".to_owned() }
    );
    assert_eq!(resolved(Kind::Project, "a/b").unwrap().id, 2);
    assert_eq!(
        resolved(Kind::Personal, "ana").unwrap(),
        Owner { kind: Kind::Personal, id: 3, path: "Ana".to_owned() }
    );
    assert_eq!(resolved(Kind::Personal, "bo").unwrap_err().kind(), &ErrorKind::NotFound);
    let hidden = resolved(Kind::Group, "a/b").unwrap_err();
    assert!(hidden.hint().unwrap().contains("private group"));
    assert_eq!(
        fake.lines(),
        [
            "GET /api/v4/groups/a%2Fb?with_projects=false",
            "GET /api/v4/projects/a%2Fb",
            "GET /api/v4/users?username=ana",
            "GET /api/v4/users?username=bo",
            "GET /api/v4/groups/a%2Fb?with_projects=false",
        ]
    );
}

#[test]
fn who_we_are_is_asked_of_the_token_where_its_scopes_are_too_narrow() {
    let narrow = r#"{"error":"insufficient_scope","error_description":"x","scope":"api read_api read_user"}"#;
    let fake = Fake::new([
        json(200, r#"{"id":3,"username":"ana","is_admin":true,"bot":false}"#),
        json(403, narrow),
        json(200, &created()),
    ]);
    let client = client(&fake);
    let user = now(client.whoami()).unwrap();
    assert_eq!((user.id, user.username.as_deref(), user.is_admin), (3, Some("ana"), Some(true)));
    let user = now(client.whoami()).unwrap();
    assert_eq!((user.id, user.username, user.is_admin), (166, None, None));
}

#[test]
fn nothing_that_comes_from_a_creation_shows_the_value() {
    let fake = Fake::new([json(201, &created())]);
    let client = client(&fake);
    let minted = now(client.create(&owner(Kind::Group), &request())).unwrap();
    let shown = format!("{minted:?} {:?}", fake.requests.borrow());
    assert!(!shown.contains("canary"), "{shown}");
    for body in [created().replace("\"id\":4217", "\"id\":\"4217\""), created().replace("}", "")] {
        let fake = Fake::new([json(201, &body)]);
        let error =
            now(crate::gitlab::fake::client(&fake).create(&owner(Kind::Group), &request())).unwrap_err();
        assert!(error.is_outcome_unknown());
        assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("canary"));
    }
}
