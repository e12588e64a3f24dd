//! One contract for two servers. It is held against the embedded GitLab always, and against a real one where
//! GITLAB_CONTRACT_URL, GITLAB_CONTRACT_TOKEN (scope `api`, of an owner) and GITLAB_CONTRACT_GROUP (full path) are
//! set, so that anybody who has one can hold the emulator to it. Everything that it makes it revokes.

use serde_json::{Value, json};

use crate::emulator::{Answer, Http, Lab};

struct Target {
    http: Http,
    api: String,
    token: String,
    /// The percent-encoded path of the group's tokens.
    list: String,
    /// Serves while the test runs; `None` where the target is a real GitLab.
    _lab: Option<Lab>,
}

impl Target {
    fn new() -> Self {
        let real = |name: &str| std::env::var(format!("GITLAB_CONTRACT_{name}")).ok();
        let (url, token, group, lab) = match (real("URL"), real("TOKEN"), real("GROUP")) {
            (Some(url), Some(token), Some(group)) => (url, token, group, None),
            (None, None, None) => {
                let lab = Lab::new();
                let token = lab.running.operator_token().expose().to_owned();
                (lab.running.url().to_owned(), token, "alithya-csna".to_owned(), Some(lab))
            }
            _ => panic!(
                "set all of GITLAB_CONTRACT_URL, GITLAB_CONTRACT_TOKEN and GITLAB_CONTRACT_GROUP, or none"
            ),
        };
        let list = format!("/groups/{}/access_tokens", group.replace('/', "%2F"));
        Self {
            http: Http::new(),
            api: format!("{}/api/v4", url.trim_end_matches('/')),
            token,
            list,
            _lab: lab,
        }
    }

    fn send(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let headers = [("private-token", token), ("content-type", "application/json")];
        let url = format!("{}{path}", self.api);
        self.http.send(method, &url, &headers, body.map(ToString::to_string)).unwrap()
    }

    fn mint(&self, wish: &Value) -> Answer {
        self.send(&self.token, "POST", &self.list, Some(wish))
    }

    fn revoke(&self, id: u64) -> Answer {
        self.send(&self.token, "DELETE", &format!("{}/{id}", self.list), None)
    }

    /// The day so many days from the server's today.
    fn day(&self, days: i64) -> String {
        let date = self.send(&self.token, "GET", "/version", None).headers["date"].clone();
        let date = jiff::fmt::rfc2822::parse(&date).unwrap().date();
        date.checked_add(jiff::Span::new().days(days)).unwrap().to_string()
    }
}

#[test]
fn a_token_lives_and_dies_by_the_contract() {
    let gitlab = Target::new();
    let expires_at = gitlab.day(10);
    let wish = json!({"name": "provision contract", "scopes": ["read_repository", "self_rotate"], "access_level": 20,
                      "expires_at": expires_at, "description": "provision contract test"});
    let made = gitlab.mint(&wish);
    assert_eq!(made.status, 201, "{}", made.text);
    let body = made.json();
    for field in ["name", "scopes", "access_level", "expires_at", "description"] {
        assert_eq!(body[field], wish[field], "{field}");
    }
    assert_eq!((&body["active"], &body["revoked"]), (&json!(true), &json!(false)));

    let own = gitlab.send(&made.token(), "GET", "/personal_access_tokens/self", None);
    assert_eq!((own.status, own.id(), &own.json()["user_id"]), (200, made.id(), &body["user_id"]));
    let small = gitlab.send(&made.token(), "GET", "/version", None);
    assert_eq!((small.status, &small.json()["error"]), (403, &json!("insufficient_scope")));

    let list = gitlab.send(&gitlab.token, "GET", &format!("{}?state=active&per_page=1", gitlab.list), None);
    assert_eq!((list.status, list.json().as_array().unwrap().len()), (200, 1));
    assert!(list.headers["link"].contains("rel=\"first\""));

    let rotate = format!("{}/{}/rotate", gitlab.list, made.id());
    let next = gitlab.send(&gitlab.token, "POST", &rotate, Some(&json!({"expires_at": expires_at})));
    assert_eq!(next.status, 200, "{}", next.text);
    assert_ne!(next.id(), made.id());
    assert_eq!(
        (&next.json()["user_id"], &next.json()["description"]),
        (&body["user_id"], &wish["description"])
    );
    let again = gitlab.send(&gitlab.token, "POST", &rotate, Some(&json!({})));
    assert_eq!(
        (again.status, again.json()),
        (400, json!({"message": "400 Bad request - Token already revoked"}))
    );

    assert_eq!(gitlab.revoke(next.id()).status, 204);
    for dead in [&made, &next] {
        let answer = gitlab.send(&dead.token(), "GET", "/personal_access_tokens/self", None);
        let text = "Token was revoked. You have to re-authorize from the user.";
        assert_eq!((answer.status, &answer.json()["error_description"]), (401, &json!(text)));
    }
}

#[test]
fn refusals_follow_the_contract() {
    let gitlab = Target::new();
    for (wish, reply) in [
        (json!({}), json!({"error": "name is missing, scopes is missing"})),
        (
            json!({"name": "n", "scopes": ["nonsense"]}),
            json!({"error": "scopes does not have a valid value"}),
        ),
        (
            json!({"name": "n", "scopes": ["read_user"]}),
            json!({"error": "scopes does not have a valid value"}),
        ),
        (
            json!({"name": "n", "scopes": ["api"], "expires_at": "soon"}),
            json!({"error": "expires_at is invalid"}),
        ),
    ] {
        let answer = gitlab.mint(&wish);
        assert_eq!((answer.status, answer.json()), (400, reply), "{wish}");
    }
    let far = gitlab
        .mint(&json!({"name": "n", "scopes": ["api"], "access_level": 20, "expires_at": gitlab.day(4000)}));
    assert_eq!(far.status, 400, "{}", far.text);
    assert!(far.text.contains("400 Bad request - Expires at must be before "), "{}", far.text);

    let missing = gitlab.revoke(u64::from(u32::MAX));
    assert_eq!(
        (missing.status, missing.json()),
        (404, json!({"message": "404 group Access Token Not Found"}))
    );
    let nowhere = gitlab.send(&gitlab.token, "GET", "/groups/no%2Fsuch%2Fgroup%2F7f3a/access_tokens", None);
    assert_eq!((nowhere.status, nowhere.json()), (404, json!({"message": "404 Group Not Found"})));
    let unknown = gitlab.send("glpat-nobody-has-this-one", "GET", "/personal_access_tokens/self", None);
    assert_eq!((unknown.status, unknown.json()), (401, json!({"message": "401 Unauthorized"})));
}
