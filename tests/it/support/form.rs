//! What a person does on GitLab's pages: making a personal token in the form, as its fields are filled in.

use std::collections::BTreeMap;

use provision::gitlab::tokens::MintRequest;
use provision::token::{Kind, Owner};
use url::Url;

use super::gitlab::{client, run};
use super::lab::Lab;

/// The operator of the built-in seed.
pub(crate) const MAUDE: u64 = 2;
/// A developer, who owns nothing.
pub(crate) const DEV: u64 = 3;

/// A form whose fields are filled in.
#[derive(Clone)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// The first one whose address stands in `said`.
    #[track_caller]
    pub(crate) fn in_text(said: &str) -> Self {
        let address =
            said.split_whitespace().find(|word| word.contains("/-/user_settings/personal_access_tokens"));
        let address = Url::parse(address.unwrap_or_else(|| panic!("no form in {said}"))).unwrap();
        Self(address.query_pairs().into_owned().collect())
    }

    /// One of the shipped devmode, without our mark.
    pub(crate) fn by_heart() -> Self {
        let fields = [
            ("name", "Backstage (localhost)"),
            ("description", ""),
            ("scopes", "read_user,read_api,read_repository,write_repository"),
        ];
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    /// The person changes a field.
    pub(crate) fn with(&self, field: &str, value: &str) -> Self {
        let mut form = self.clone();
        form.0.insert(field.to_owned(), value.to_owned());
        form
    }

    /// The token that `user` gets.
    pub(crate) fn submit(&self, lab: &Lab, user: u64) -> String {
        let request = MintRequest {
            name: self.0["name"].clone(),
            description: self.0["description"].clone(),
            scopes: self.0["scopes"].split(',').map(str::to_owned).collect(),
            role: None,
            expires_at: None,
        };
        let owner = Owner { kind: Kind::Personal, id: user, path: String::new() };
        let admin = client(&lab.gitlab, &lab.gitlab.admin_token());
        run(admin.create(&owner, &request)).unwrap().value.expose().to_owned()
    }
}
