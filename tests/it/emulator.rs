//! The embedded GitLab over plain HTTP: what its own tests share, and the life of a token of each kind.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use provision::gitlab::emulator::{Config, Emulator, Running, Seed, Time};
use serde_json::{Value, json};

/// An emulator whose clock stands at 2026-11-21T08:00:00Z, and a client.
pub(crate) struct Lab {
    pub(crate) running: Running,
    http: Http,
}

/// One reply.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn token(&self) -> String {
        self.json()["token"].as_str().unwrap_or_else(|| panic!("no token: {}", self.text)).to_owned()
    }

    pub(crate) fn id(&self) -> u64 {
        self.json()["id"].as_u64().unwrap_or_else(|| panic!("no id: {}", self.text))
    }
}

/// A client that keeps no connection, so that one test's broken one is not another request's.
pub(crate) struct Http {
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Http {
    pub(crate) fn new() -> Self {
        static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
        let build = || {
            let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
            builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { client: CLIENT.get_or_init(build).clone(), runtime }
    }

    pub(crate) fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        self.runtime.block_on(async {
            let mut request = self.client.request(method.parse().unwrap(), url);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = request.body(body.unwrap_or_default()).send().await?;
            let status = response.status().as_u16();
            let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
                (name.to_string(), value.to_str().unwrap().to_owned())
            };
            let headers = response.headers().iter().map(header).collect();
            Ok(Answer { status, headers, text: response.text().await? })
        })
    }
}

pub(crate) const NOW: &str = "2026-11-21T08:00:00Z";

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn seeded(yaml: &str) -> Self {
        Self::with(|config| config.seed = Some(Seed::parse(yaml).unwrap()))
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { time: Time::Frozen(NOW.parse().unwrap()), ..Config::default() };
        change(&mut config);
        Self { running: Emulator::start(config).unwrap(), http: Http::new() }
    }

    /// The value of a seeded token; a text that is no label is taken as a value itself.
    fn value(&self, who: &str) -> String {
        self.running.token(who).map_or_else(|| who.to_owned(), |value| value.expose().to_owned())
    }

    pub(crate) fn try_send(
        &self,
        who: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let value = self.value(who);
        let mut headers = vec![("content-type", "application/json")];
        if !value.is_empty() {
            headers.push(("private-token", &value));
        }
        let url = format!("{}/api/v4{path}", self.running.url());
        self.http.send(method, &url, &headers, body.map(|body| body.to_string()))
    }

    pub(crate) fn send(&self, who: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.try_send(who, method, path, body).unwrap()
    }

    pub(crate) fn get(&self, who: &str, path: &str) -> Answer {
        self.send(who, "GET", path, None)
    }

    pub(crate) fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.send(who, "POST", path, Some(body))
    }

    pub(crate) fn delete(&self, who: &str, path: &str) -> Answer {
        self.send(who, "DELETE", path, None)
    }

    /// Any request, under the server's root.
    pub(crate) fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let url = format!("{}{path}", self.running.url());
        self.http.send(method, &url, headers, Some(body.to_owned())).unwrap()
    }

    /// Makes a group token and gives its number and value.
    pub(crate) fn mint(&self, scopes: &[&str]) -> (u64, String) {
        let answer = self.post("operator", GROUP, json!({"name": "t", "scopes": scopes, "access_level": 30}));
        assert_eq!(answer.status, 201, "{}", answer.text);
        (answer.id(), answer.token())
    }

    /// The row of a token in `/_emulator/state`.
    pub(crate) fn row(&self, id: u64) -> Value {
        let state = self.running.state();
        let rows = state["tokens"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no token {id}")).clone()
    }
}

pub(crate) const GROUP: &str = "/groups/alithya-csna/access_tokens";
pub(crate) const PROJECT: &str = "/projects/alithya-csna%2Fbackstage/access_tokens";

#[test]
fn a_group_token_is_made_read_rotated_and_revoked() {
    let lab = Lab::new();
    let wish = json!({"name": "Backstage (qa)", "scopes": ["read_api", "read_repository"], "access_level": 30,
                      "expires_at": "2027-06-30", "description": "provision:0f"});
    let made = lab.post("operator", GROUP, wish);
    assert_eq!(made.status, 201);
    let body = made.json();
    let expected = json!({
        "id": body["id"], "name": "Backstage (qa)", "revoked": false, "created_at": "2026-11-21T08:00:00.000Z",
        "description": "provision:0f", "scopes": ["read_api", "read_repository"], "user_id": body["user_id"],
        "last_used_at": null, "active": true, "expires_at": "2027-06-30", "access_level": 30,
        "resource_type": "group", "resource_id": 101, "token": body["token"],
    });
    assert_eq!(body, expected);

    let one = format!("{GROUP}/{}", made.id());
    let mut without_value = expected.clone();
    without_value.as_object_mut().unwrap().remove("token");
    assert_eq!(lab.get("operator", &one).json(), without_value);
    assert_eq!(lab.get("operator", GROUP).json(), json!([without_value]));

    let own = lab.get(&made.token(), "/personal_access_tokens/self");
    assert_eq!((own.status, &own.json()["user_id"]), (200, &body["user_id"]));
    assert_eq!(own.json()["last_used_at"], "2026-11-21T08:00:00.000Z");

    let rotated = lab.post("operator", &format!("{one}/rotate"), json!({"expires_at": "2027-01-15"}));
    assert_eq!(rotated.status, 200);
    let next = rotated.json();
    assert_ne!(next["id"], body["id"]);
    assert_ne!(next["token"], body["token"]);
    for same in ["name", "description", "scopes", "user_id", "access_level", "resource_id"] {
        assert_eq!(next[same], body[same], "{same}");
    }
    assert_eq!(next["expires_at"], "2027-01-15");
    assert_eq!(lab.get("operator", &one).json()["revoked"], true);
    assert_eq!(lab.row(rotated.id())["previous_id"], body["id"]);

    let two = format!("{GROUP}/{}", rotated.id());
    assert_eq!(lab.delete("operator", &two).status, 204);
    assert_eq!(lab.get("operator", &two).json()["active"], false);
    assert_eq!(lab.delete("operator", &two).status, 204, "revoking again changes nothing");
}

#[test]
fn a_project_token_belongs_to_its_project_alone() {
    let lab = Lab::new();
    let made = lab.post("operator", PROJECT, json!({"name": "ci", "scopes": ["api"]}));
    assert_eq!(made.status, 201);
    let body = made.json();
    assert_eq!((&body["access_level"], &body["resource_type"]), (&json!(40), &json!("project")));
    assert_eq!(lab.get("operator", GROUP).json(), json!([]));
    let elsewhere = lab.get("operator", &format!("{GROUP}/{}", made.id()));
    assert_eq!(elsewhere.json(), json!({"message": "404 group Access Token Not Found"}));
    let user = lab.get(&made.token(), "/user").json();
    assert_eq!(user["bot"], true);
    assert!(user["username"].as_str().unwrap().starts_with("project_501_bot_"));
}

#[test]
fn numbers_and_encoded_paths_name_the_same_group_and_project() {
    let lab = Lab::new();
    for (path, id) in [
        ("/groups/alithya-csna%2Fplatform", "/groups/102"),
        ("/projects/alithya-csna%2Fbackstage", "/projects/501"),
    ] {
        let by_path = lab.get("operator", path);
        assert_eq!(by_path.status, 200, "{path}");
        assert_eq!(by_path.json(), lab.get("operator", id).json());
    }
    let group = lab.get("operator", "/groups/102").json();
    assert_eq!(group["full_path"], "alithya-csna/platform");
    assert_eq!(group["parent_id"], 101);
}

#[test]
fn an_administrator_makes_personal_tokens_for_anybody() {
    let lab = Lab::new();
    let dev = lab.get("admin", "/users?username=DEV").json()[0]["id"].as_u64().unwrap();
    let path = format!("/users/{dev}/personal_access_tokens");
    let made =
        lab.post("admin", &path, json!({"name": "Backstage (localhost)", "scopes": "read_user,read_api"}));
    assert_eq!(made.status, 201);
    let body = made.json();
    assert_eq!(body["scopes"], json!(["read_user", "read_api"]));
    assert_eq!(body["expires_at"], "2027-11-21");
    assert_eq!(body["user_id"], dev);
    assert_eq!(body.get("access_level"), None);
    assert_eq!(lab.get(&made.token(), "/user").json()["username"], "dev");

    let refused = lab.post("operator", &path, json!({"name": "n", "scopes": ["api"]}));
    assert_eq!((refused.status, refused.json()), (403, json!({"message": "403 Forbidden"})));
}

#[test]
fn personal_tokens_are_listed_shown_rotated_and_revoked() {
    let lab = Lab::new();
    let mine = lab.get("developer", "/personal_access_tokens").json();
    assert_eq!(mine.as_array().unwrap().len(), 1);
    let id = mine[0]["id"].as_u64().unwrap();
    assert!(lab.get("admin", "/personal_access_tokens").json().as_array().unwrap().len() >= 3);
    assert_eq!(lab.get("operator", &format!("/personal_access_tokens/{id}")).status, 401);
    assert_eq!(lab.get("admin", &format!("/personal_access_tokens/{id}")).json()["id"], id);
    assert_eq!(
        lab.get("admin", "/personal_access_tokens/999999").json(),
        json!({"message": "404 Not Found"})
    );

    let rotated = lab.post("developer", &format!("/personal_access_tokens/{id}/rotate"), json!({}));
    assert_eq!(rotated.status, 200);
    assert_eq!(rotated.json()["expires_at"], "2026-11-28", "one week by default");
    let again = lab.post(
        &rotated.token(),
        "/personal_access_tokens/self/rotate",
        json!({"expires_at": "2027-01-01"}),
    );
    assert_eq!((again.status, &again.json()["expires_at"]), (200, &json!("2027-01-01")));

    let refused = lab.delete("operator", &format!("/personal_access_tokens/{}", again.id()));
    assert_eq!(refused.json(), json!({"message": "400 Bad request - Not permitted to revoke"}));
    let missing = lab.delete("admin", "/personal_access_tokens/999999");
    assert_eq!((missing.status, missing.json()), (404, json!({"message": "404 Not found"})));
    assert_eq!(lab.delete(&again.token(), "/personal_access_tokens/self").status, 204);
    assert_eq!(lab.get(&again.token(), "/user").status, 401);
}

#[test]
fn everybody_makes_harmless_tokens_for_himself() {
    let lab = Lab::new();
    let made = lab.post(
        "developer",
        "/user/personal_access_tokens",
        json!({"name": "k", "scopes": ["self_rotate"]}),
    );
    assert_eq!(made.status, 201);
    let refused =
        lab.post("developer", "/user/personal_access_tokens", json!({"name": "k", "scopes": ["api"]}));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json(), json!({"error": "scopes does not have a valid value"}));
    let rotated = lab.post(&made.token(), "/personal_access_tokens/self/rotate", json!({}));
    assert_eq!(rotated.status, 200);
}

#[test]
fn a_group_token_rotates_itself_and_a_person_does_not() {
    let lab = Lab::new();
    let (id, value) = lab.mint(&["self_rotate"]);
    let rotated = lab.post(&value, &format!("{GROUP}/self/rotate"), json!({}));
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_eq!(rotated.json()["access_level"], 30);
    assert_eq!(lab.row(id)["revoked"], true);
    let person = lab.post("operator", &format!("{GROUP}/self/rotate"), json!({}));
    assert_eq!((person.status, person.json()), (405, json!({"message": "405 Method Not Allowed"})));
}

#[test]
fn members_and_users_are_found() {
    let lab = Lab::new();
    let member = lab.get("operator", "/projects/501/members/all/2").json();
    assert_eq!((&member["username"], &member["access_level"]), (&json!("maude"), &json!(50)));
    assert_eq!(lab.get("operator", "/groups/101/members/all/3").json()["access_level"], 30);
    let stranger = lab.get("operator", "/groups/101/members/all/1");
    assert_eq!((stranger.status, stranger.json()), (404, json!({"message": "404 Not found"})));
    assert_eq!(lab.get("operator", "/users?username=nobody").json(), json!([]));
    assert_eq!(lab.get("operator", "/users/3").json()["username"], "dev");
    assert_eq!(lab.get("operator", "/users/99").json(), json!({"message": "404 User Not Found"}));
    assert_eq!(lab.get("operator", "/user").json().get("is_admin"), None);
    assert_eq!(lab.get("admin", "/user").json()["is_admin"], true);
}

#[test]
fn the_version_is_told_to_who_may_ask() {
    let lab = Lab::new();
    assert_eq!(lab.get("operator", "/version").json()["version"], "19.6.0-ee");
    assert_eq!(lab.get("operator", "/metadata").json()["enterprise"], true);
}

#[test]
fn form_bodies_and_bearer_do_as_well() {
    let lab = Lab::new();
    let value = lab.running.operator_token();
    let bearer = format!("Bearer {}", value.expose());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let body = "name=a+b&scopes[]=read_api&scopes[]=read_repository&access_level=20&expires_at=2027-01-02";
    let made = lab.raw("POST", &format!("/api/v4{GROUP}"), &headers, body);
    assert_eq!(made.status, 201, "{}", made.text);
    let body = made.json();
    assert_eq!(body["scopes"], json!(["read_api", "read_repository"]));
    assert_eq!((&body["name"], &body["access_level"]), (&json!("a b"), &json!(20)));
}

#[test]
fn a_relative_root_serves_there_and_links_stay_inside() {
    let lab = Lab::with(|config| config.root = "/gitlab".to_owned());
    assert!(lab.running.url().ends_with("/gitlab"));
    let list = lab.get("operator", GROUP);
    assert_eq!(list.status, 200);
    assert!(list.headers["link"].contains("/gitlab/api/v4/groups/"));
    let port = lab.running.url().trim_end_matches("/gitlab").to_owned();
    let outside = Http::new().send("GET", &format!("{port}/api/v4/version"), &[], None).unwrap();
    assert_eq!(outside.status, 404);
    assert!(outside.headers["content-type"].starts_with("text/html"));
}
