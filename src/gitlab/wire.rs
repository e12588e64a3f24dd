//! GitLab's JSON. Unknown fields are ignored; fields that older versions lack have defaults.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::secret::Secret;
use crate::token::{Minted, Record, TokenId};

/// Reads a reply. The error names the place and never a value: the reply may hold a token.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| {
        let what = if error.is_data() { "JSON of another shape" } else { "no complete JSON" };
        format!("{what} (at line {}, column {})", error.line(), error.column())
    })
}

/// The reply to a creation: the facts, and the value on its own so that no buffer of a flattened struct holds it.
pub(super) fn parse_minted(body: &[u8]) -> Result<Minted, String> {
    let value = parse::<Value>(body)?.token;
    let record = parse::<Token>(body)?.into();
    Ok(Minted { record, value: Secret::new(value) })
}

#[derive(Deserialize)]
struct Value {
    token: String,
}

/// lib/api/entities/personal_access_token.rb and resource_access_token.rb
#[derive(Deserialize)]
pub(super) struct Token {
    id: u64,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    user_id: u64,
    created_at: Timestamp,
    #[serde(default)]
    expires_at: Option<Date>,
    #[serde(default)]
    last_used_at: Option<Timestamp>,
    active: bool,
    revoked: bool,
    #[serde(default)]
    access_level: Option<u8>,
}

impl From<Token> for Record {
    fn from(token: Token) -> Self {
        Self {
            id: TokenId(token.id),
            name: token.name,
            description: token.description.filter(|text| !text.is_empty()),
            scopes: token.scopes.into_iter().collect(),
            user_id: token.user_id,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            active: token.active,
            revoked: token.revoked,
            access_level: token.access_level,
        }
    }
}

/// lib/api/entities/user_public.rb
#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) username: String,
    #[serde(default)]
    pub(super) is_admin: Option<bool>,
    #[serde(default)]
    pub(super) bot: Option<bool>,
}

/// lib/api/entities/group.rb
#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) id: u64,
    pub(super) full_path: String,
}

/// lib/api/entities/project.rb
#[derive(Deserialize)]
pub(super) struct Project {
    pub(super) id: u64,
    pub(super) path_with_namespace: String,
}

/// lib/api/entities/branch.rb
#[derive(Deserialize)]
pub(super) struct Branch {
    pub(super) protected: bool,
    pub(super) can_push: bool,
}

/// lib/api/entities/merge_request_basic.rb
#[derive(Deserialize)]
pub(super) struct MergeRequest {
    pub(super) project_id: u64,
    #[serde(default)]
    pub(super) source_project_id: Option<u64>,
    pub(super) state: String,
    #[serde(default)]
    pub(super) sha: Option<String>,
    pub(super) web_url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"id":58,"name":"n","revoked":false,"created_at":"2021-01-20T22:11:48.151Z","user_id":3,"active":true}"#;

    #[test]
    fn a_record_of_an_old_version_and_one_of_a_newer_are_read() {
        let old = Record::from(parse::<Token>(OLD.as_bytes()).unwrap());
        assert_eq!(old.description, None);
        assert!(old.scopes.is_empty());
        assert_eq!(old.created_at.to_string(), "2021-01-20T22:11:48.151Z");
        let new = r#"{"id":58,"name":"n","revoked":false,"created_at":"2026-01-20T22:11:48.151Z","description":null,
            "scopes":["read_api","of_tomorrow"],"user_id":3,"last_used_at":"2026-02-20T22:11:48.151Z","active":true,
            "expires_at":"2027-01-20","access_level":37,"resource_type":"group","resource_id":7,"last_used_ips":["::1"],
            "granular_scopes":[{"access":"x"}]}"#;
        let new = Record::from(parse::<Token>(new.as_bytes()).unwrap());
        assert_eq!(new.expires_at, Some("2027-01-20".parse().unwrap()));
        assert_eq!(new.access_level, Some(37));
        assert!(new.scopes.contains("of_tomorrow"));
    }

    #[test]
    fn a_reply_that_does_not_fit_is_described_without_its_values() {
        for body in [
            r#"{"token":["glpat-canary"],"id":1}"#,
            r#"{"token":"glpat-canary","id":"glpat-canary"}"#,
            r#"{"token":"glpat-canary"#,
            r#""glpat-canary""#,
        ] {
            let error = parse_minted(body.as_bytes()).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_creation_without_a_value_does_not_fit() {
        assert!(parse_minted(OLD.as_bytes()).is_err());
    }
}
