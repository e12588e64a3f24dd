//! The routes of group, project and personal access tokens: create, read, verify, revoke.
//!
//! Sources: GitLab's lib/api/resource_access_tokens.rb, lib/api/personal_access_tokens.rb and lib/api/users.rb.

use std::rc::Rc;

use jiff::civil::Date;
use serde_json::{Value, json};
use url::Url;

use super::client::Client;
use super::credential::{Credential, ValueError};
use super::errors::{Action, ErrorKind, GitLabError, Subject};
use super::looks::{Looks, are_alike, look_at};
use super::transport::Method;
use super::wire;
use crate::instance::Instance;
use crate::secret::Secret;
use crate::token::{Kind, Minted, Owner, Record, Role, Scopes, TokenId};

/// What a new token shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintRequest {
    /// Shown in GitLab; need not be unique.
    pub name: String,
    /// At most 255 characters; carries the mark. GitLab before 17.7 drops it: see the record that comes back.
    pub description: String,
    /// Sent as a JSON array; this route takes no comma-separated text.
    pub scopes: Scopes,
    /// Needed for groups and projects, where GitLab's default would be Maintainer; not sent for people.
    pub role: Option<Role>,
    /// First day (UTC) on which it no longer works; `None` asks for a token that never expires, which an instance may
    /// turn into its own maximum: compare the reply.
    pub expires_at: Option<Date>,
}

/// How a DELETE ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// GitLab withdrew the token now.
    Done,
    /// It was revoked before, or GitLab knows no such token any more (it forgets inactive ones after some weeks).
    AlreadyGone,
}

/// GitLab's page where a person makes a personal token, with the fields filled in. It takes no expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalTokenForms {
    /// GitLab 18.9 and later.
    pub current: Url,
    /// GitLab 18.8 and earlier.
    pub before_18_9: Url,
}

/// The addresses of the form for the token of `request`.
#[must_use]
pub fn personal_token_forms(instance: &Instance, request: &MintRequest) -> PersonalTokenForms {
    let scopes = request.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    let filled_in = |path: &str| {
        let mut url = instance.page(path);
        url.query_pairs_mut()
            .append_pair("name", &request.name)
            .append_pair("description", &request.description)
            .append_pair("scopes", &scopes);
        url
    };
    PersonalTokenForms {
        current: filled_in("-/user_settings/personal_access_tokens/legacy/new"),
        before_18_9: filled_in("-/user_settings/personal_access_tokens"),
    }
}

impl Client {
    /// Makes a token for `owner`, with its expiry and role said explicitly. The request is sent exactly once.
    ///
    /// # Errors
    /// [`GitLabError::is_outcome_unknown`] tells whether a token may exist nevertheless. For a personal token without
    /// administrator's rights the error names the pre-filled form.
    pub async fn create(&self, owner: &Owner, request: &MintRequest) -> Result<Minted, GitLabError> {
        let subject = tokens_of(owner, Action::Create);
        let url = self.instance().api(collection(owner).iter().map(String::as_str));
        let mut body = json!({
            "name": request.name,
            "description": request.description,
            "scopes": request.scopes,
            "expires_at": request.expires_at,
        });
        match (owner.kind, request.role) {
            (Kind::Personal, _) => {}
            (Kind::Group | Kind::Project, Some(role)) => {
                body["access_level"] = Value::from(role.access_level());
            }
            (Kind::Group | Kind::Project, None) => {
                let kind = ErrorKind::Invalid { problems: vec!["access_level is missing".to_owned()] };
                return Err(self.refused(Method::Post, &url, &subject, kind));
            }
        }
        let minted = self.post(url, body, &subject, wire::parse_minted).await;
        minted.map_err(|error| match (owner.kind, error.kind()) {
            (Kind::Personal, ErrorKind::Forbidden) => {
                let forms = personal_token_forms(self.instance(), request);
                let (form, form_before_18_9) = (forms.current.into(), forms.before_18_9.into());
                error.with_kind(ErrorKind::AdministratorOnly { form, form_before_18_9 })
            }
            _ => error,
        })
    }

    /// Asks GitLab to revoke the token `id` of `owner` and to make its successor, in one go: same user, name, description,
    /// scopes and role, another number and value. The expiry is always said: left out, it would be a week. Sent exactly
    /// once: the token is revoked by then, and a second request could at best fail.
    ///
    /// # Errors
    /// [`GitLabError::is_outcome_unknown`] tells whether the token may be dead, and its successor there, nevertheless.
    pub async fn rotate(
        &self,
        owner: &Owner,
        id: TokenId,
        expires_at: Option<Date>,
    ) -> Result<Minted, GitLabError> {
        let mut url = self.one(owner, id);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push("rotate");
        }
        let body = json!({ "expires_at": expires_at });
        self.post(url, body, &tokens_of(owner, Action::Rotate), wire::parse_minted).await
    }

    /// The token `id` of `owner`, active or not; `None` where GitLab knows none (it forgets inactive ones).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] means that the owner itself is gone or out of sight.
    pub async fn get(&self, owner: &Owner, id: TokenId) -> Result<Option<Record>, GitLabError> {
        let subject = tokens_of(owner, Action::Read);
        match self.read::<wire::Token>(self.one(owner, id), &subject).await {
            Ok(token) => Ok(Some(token.into())),
            Err(error) if is_about_the_token(owner, &error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All tokens of `owner` that are neither revoked nor expired.
    ///
    /// # Errors
    /// [`GitLabError`]; never a shortened list.
    pub async fn list_active(&self, owner: &Owner) -> Result<Vec<Record>, GitLabError> {
        self.tokens_in(owner, Some("active")).await
    }

    /// The tokens of `owner`, active or not, whose description contains `mark`. GitLab searches names only, so the
    /// whole list is read.
    ///
    /// # Errors
    /// [`GitLabError`]; never a shortened list.
    pub async fn find_by_mark(&self, owner: &Owner, mark: &str) -> Result<Vec<Record>, GitLabError> {
        let mut records = self.tokens_in(owner, None).await?;
        records.retain(|record| record.description.as_deref().is_some_and(|text| text.contains(mark)));
        Ok(records)
    }

    /// What GitLab says of the operator's own token. Any scope will do.
    ///
    /// # Errors
    /// [`GitLabError`]
    pub async fn own_token(&self) -> Result<Record, GitLabError> {
        self.read::<wire::Token>(self.own_url(), &Subject::Operator).await.map(Record::from)
    }

    /// Whether a text that somebody put into a file may be shown to GitLab: it looks like a token, or as our own does.
    #[must_use]
    pub fn takes_for_a_token(&self, value: &Secret) -> bool {
        let value = value.trimmed();
        look_at(&value) == Looks::Token || are_alike(self.credential().secret(), &value)
    }

    /// Asks GitLab about a token with the token itself, at the instance's own origin. Any scope will do. `called` is
    /// what error texts call it: "the new token".
    ///
    /// # Errors
    /// [`GitLabError::condemns_credential`] where GitLab does not accept the token; 5xx and the like say nothing of it.
    pub async fn verify(&self, value: &Secret, called: &str) -> Result<Record, GitLabError> {
        let credential = self.credential_of(value, called)?;
        self.read_as::<wire::Token>(&credential, self.own_url(), &Subject::Itself).await.map(Record::from)
    }

    /// Withdraws a token with the token itself, for which any scope will do.
    ///
    /// # Errors
    /// [`GitLabError`]
    pub async fn revoke_itself(&self, value: &Secret, called: &str) -> Result<(), GitLabError> {
        let credential = self.credential_of(value, called)?;
        self.remove_as(&credential, self.own_url(), &Subject::Itself).await
    }

    fn credential_of(&self, value: &Secret, called: &str) -> Result<Rc<Credential>, GitLabError> {
        let credential = Credential::new(self.instance().origin().clone(), value, called);
        credential.map(Rc::new).map_err(|problem: ValueError| {
            let what = format!("the value of {called} cannot be sent: {problem}");
            let kind = ErrorKind::UnexpectedReply { what };
            self.refused(Method::Get, &self.own_url(), &Subject::Itself, kind)
        })
    }

    /// Withdraws the token `id` of `owner`. Repeated where the reply is lost: a second DELETE does no harm.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] means that the owner itself is gone or out of sight.
    pub async fn revoke(&self, owner: &Owner, id: TokenId) -> Result<Revocation, GitLabError> {
        let subject = tokens_of(owner, Action::Revoke);
        match self.remove(self.one(owner, id), &subject).await {
            Ok(()) => Ok(Revocation::Done),
            Err(error) if is_about_the_token(owner, &error) => Ok(Revocation::AlreadyGone),
            // "Failed to find bot user": a token that is revoked already, whose bot user is being deleted.
            Err(error) if matches!(error.kind(), ErrorKind::Invalid { .. }) => {
                match self.get(owner, id).await {
                    Ok(None) => Ok(Revocation::AlreadyGone),
                    Ok(Some(record)) if record.revoked => Ok(Revocation::AlreadyGone),
                    Ok(Some(_)) | Err(_) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn tokens_in(&self, owner: &Owner, state: Option<&str>) -> Result<Vec<Record>, GitLabError> {
        let mut url = match owner.kind {
            Kind::Group | Kind::Project => self.instance().api(collection(owner).iter().map(String::as_str)),
            Kind::Personal => {
                let mut url = self.instance().api(["personal_access_tokens"]);
                url.query_pairs_mut().append_pair("user_id", &owner.id.to_string());
                url
            }
        };
        if let Some(state) = state {
            url.query_pairs_mut().append_pair("state", state);
        }
        let tokens = self.read_list::<wire::Token>(url, &tokens_of(owner, Action::Read)).await?;
        Ok(tokens.into_iter().map(Record::from).collect())
    }

    fn own_url(&self) -> Url {
        self.instance().api(["personal_access_tokens", "self"])
    }

    fn one(&self, owner: &Owner, id: TokenId) -> Url {
        let id = id.to_string();
        match owner.kind {
            Kind::Personal => self.instance().api(["personal_access_tokens", &id]),
            Kind::Group | Kind::Project => {
                let mut segments = collection(owner);
                segments.push(id);
                self.instance().api(segments.iter().map(String::as_str))
            }
        }
    }
}

/// The route that makes tokens of `owner`.
fn collection(owner: &Owner) -> Vec<String> {
    let (plural, tokens) = match owner.kind {
        Kind::Personal => ("users", "personal_access_tokens"),
        Kind::Group => ("groups", "access_tokens"),
        Kind::Project => ("projects", "access_tokens"),
    };
    vec![plural.to_owned(), owner.id.to_string(), tokens.to_owned()]
}

fn tokens_of(owner: &Owner, action: Action) -> Subject {
    Subject::Tokens { owner: owner.clone(), action }
}

/// A 404 of these routes is about the token, unless GitLab names the owner as what it cannot find: `404 Group Not
/// Found`, against `404 group Access Token Not Found`.
fn is_about_the_token(owner: &Owner, error: &GitLabError) -> bool {
    let said = error.said();
    *error.kind() == ErrorKind::NotFound
        && match owner.kind {
            Kind::Personal => !said.contains("User Not Found"),
            Kind::Group | Kind::Project => said.contains("Access Token Not Found"),
        }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
