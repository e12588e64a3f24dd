//! What a person does on GitLab's pages: following the printed address, looking at what is filled in, sending the form, and
//! copying the token.

use url::{Url, form_urlencoded};

use super::gitlab::run;
use super::lab::Lab;

/// The operator of the built-in seed.
pub(crate) const MAUDE: &str = "maude";
/// A developer, who owns nothing.
pub(crate) const DEV: &str = "dev";

/// The form as it is filled in.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    name: String,
    description: String,
    scopes: Vec<String>,
    expires_at: String,
}

impl Form {
    /// The first one whose address stands in `said`, as GitLab shows it.
    #[track_caller]
    pub(crate) fn in_text(said: &str) -> Self {
        let address =
            said.split_whitespace().find(|word| word.contains("/-/user_settings/personal_access_tokens"));
        let address = Url::parse(address.unwrap_or_else(|| panic!("no form in {said}"))).unwrap();
        let (status, page) = visit(&address, None);
        assert_eq!(status, 200, "{address}: {page}");
        let field = |name: &str| {
            let start = page.find(&format!("name=\"personal_access_token[{name}]\"")).unwrap();
            value_behind(&page[start..])
        };
        let boxes = page.split("name=\"personal_access_token[scopes][]\"").skip(1);
        let ticked = boxes.filter(|rest| rest[..rest.find('>').unwrap()].ends_with(" checked"));
        Self {
            name: field("name"),
            description: field("description"),
            scopes: ticked.map(value_behind).collect(),
            expires_at: field("expires_at"),
        }
    }

    /// One of the shipped devmode, without our mark.
    pub(crate) fn by_heart() -> Self {
        Self {
            name: "Backstage (localhost)".to_owned(),
            description: String::new(),
            scopes: Vec::new(),
            expires_at: String::new(),
        }
        .with("scopes", "read_user,read_api,read_repository,write_repository")
    }

    /// The person changes a field.
    pub(crate) fn with(&self, field: &str, value: &str) -> Self {
        let mut form = self.clone();
        match field {
            "name" => form.name = value.to_owned(),
            "description" => form.description = value.to_owned(),
            "scopes" => form.scopes = value.split(',').map(str::to_owned).collect(),
            "expires_at" => form.expires_at = value.to_owned(),
            other => panic!("no field {other}"),
        }
        form
    }

    /// The token that `user` gets.
    #[track_caller]
    pub(crate) fn submit(&self, lab: &Lab, user: &str) -> String {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("user", user)
            .append_pair("personal_access_token[name]", &self.name)
            .append_pair("personal_access_token[description]", &self.description)
            .append_pair("personal_access_token[expires_at]", &self.expires_at);
        for scope in &self.scopes {
            body.append_pair("personal_access_token[scopes][]", scope);
        }
        let address = format!("{}/-/user_settings/personal_access_tokens", lab.gitlab.url());
        let (_, page) = visit(&Url::parse(&address).unwrap(), Some(body.finish()));
        let shown = page.find("id=\"created-personal-access-token\"");
        value_behind(&page[shown.unwrap_or_else(|| panic!("no token in {page}"))..])
    }
}

/// What the first `value="…"` holds.
fn value_behind(text: &str) -> String {
    let (_, rest) = text.split_once("value=\"").unwrap();
    let (value, _) = rest.split_once('"').unwrap();
    value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// A page, as a browser without a session gets it.
pub(crate) fn visit(address: &Url, body: Option<String>) -> (u16, String) {
    run(async {
        let browser = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = match body {
            None => browser.get(address.clone()),
            Some(body) => browser
                .post(address.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body),
        };
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    })
}
