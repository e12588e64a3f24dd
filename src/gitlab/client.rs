//! One GitLab instance with one credential: requests, repetition where it is safe, pages, and the server's clock.
//!
//! GET and DELETE are repeated, POST never (a POST mints, and its outcome may be unknown). How many requests run at
//! once is the caller's business.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::credential::Credential;
use super::errors::{Call, ErrorKind, GitLabError, Subject};
use super::paging::{self, PAGE_LIMIT, PER_PAGE};
use super::refusal::{classify, clean, foreign};
use super::transport::{Headers, Method, Request, Response, SendError, Transport};
use super::wire;
use crate::instance::Instance;

/// Waits before the second, third and fourth attempt, where the server does not ask for more.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

/// A longer `Retry-After` is not waited for: the error says how long it is.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Talks to one instance with one credential.
pub struct Client {
    transport: Rc<dyn Transport>,
    instance: Instance,
    credential: Rc<Credential>,
    server_time: Cell<Option<Timestamp>>,
}

impl Client {
    /// A client of `instance`. Nothing is sent yet; a credential of another origin is refused with the first request.
    #[must_use]
    pub fn new(transport: Rc<dyn Transport>, instance: Instance, credential: Rc<Credential>) -> Self {
        Self { transport, instance, credential, server_time: Cell::new(None) }
    }

    /// The instance that it talks to.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The credential that it acts with.
    #[must_use]
    pub fn credential(&self) -> &Rc<Credential> {
        &self.credential
    }

    /// The server's clock (`Date`) in its latest reply that was a success, or a refusal of the token in GitLab's own form; to
    /// the second, and `None` before the first one. What a proxy answers in its place says nothing about GitLab's time.
    #[must_use]
    pub fn server_time(&self) -> Option<Timestamp> {
        self.server_time.get()
    }

    /// GET.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        url: Url,
        subject: &Subject,
    ) -> Result<T, GitLabError> {
        self.read_as(&self.credential, url, subject).await
    }

    /// GET with a credential other than the operator's: a token that is asked about itself.
    pub(super) async fn read_as<T: DeserializeOwned>(
        &self,
        credential: &Rc<Credential>,
        url: Url,
        subject: &Subject,
    ) -> Result<T, GitLabError> {
        let request = self.request(Method::Get, url, credential, None, subject)?;
        let response = self.call(&request, subject).await?;
        wire::parse(&response.body).map_err(|what| self.unexpected(&request, subject, &response, what))
    }

    /// POST, once. `read` makes something of the body; where it cannot, the outcome is unknown.
    pub(super) async fn post<T>(
        &self,
        url: Url,
        body: Value,
        subject: &Subject,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, GitLabError> {
        let request = self.request(Method::Post, url, &self.credential, Some(body), subject)?;
        let response = self.call(&request, subject).await?;
        read(&response.body).map_err(|what| self.unexpected(&request, subject, &response, what))
    }

    /// DELETE.
    pub(super) async fn remove(&self, url: Url, subject: &Subject) -> Result<(), GitLabError> {
        self.remove_as(&self.credential, url, subject).await
    }

    /// DELETE with a credential other than the operator's: a token that withdraws itself.
    pub(super) async fn remove_as(
        &self,
        credential: &Rc<Credential>,
        url: Url,
        subject: &Subject,
    ) -> Result<(), GitLabError> {
        let request = self.request(Method::Delete, url, credential, None, subject)?;
        self.call(&request, subject).await.map(drop)
    }

    /// Every page of a list.
    pub(super) async fn read_list<T: DeserializeOwned>(
        &self,
        first: Url,
        subject: &Subject,
    ) -> Result<Vec<T>, GitLabError> {
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        let mut url = first;
        url.query_pairs_mut().append_pair("per_page", &PER_PAGE.to_string());
        loop {
            let request = self.request(Method::Get, url.clone(), &self.credential, None, subject)?;
            let response = self.call(&request, subject).await?;
            let odd = |what: &str| self.unexpected(&request, subject, &response, what.to_owned());
            let page: Vec<T> = wire::parse(&response.body).map_err(|what| odd(&what))?;
            let is_full = page.len() >= PER_PAGE;
            entries.extend(page);
            seen.insert(url.clone());
            let Some(link) = &response.headers.link else {
                // A proxy that drops the header must not make a list look shorter than it is.
                return if is_full {
                    Err(odd("a full page of a list without a Link header"))
                } else {
                    Ok(entries)
                };
            };
            match paging::next(link, &url) {
                None => return Ok(entries),
                Some(next) if seen.contains(&next) => return Err(odd("a list whose pages lead in a circle")),
                Some(_) if seen.len() >= PAGE_LIMIT => return Err(odd("a list that does not end")),
                Some(next) => url = next,
            }
        }
    }

    fn request(
        &self,
        method: Method,
        url: Url,
        credential: &Rc<Credential>,
        body: Option<Value>,
        subject: &Subject,
    ) -> Result<Request, GitLabError> {
        let path = url.path().to_owned();
        Request::new(method, url, credential.clone(), body).map_err(|refused| {
            let call = self.whereabouts(method, &path, credential, subject);
            GitLabError::new(call, ErrorKind::WrongOrigin { wanted: refused.wanted }, None, String::new())
        })
    }

    /// Sends, and finds out what a bare 401 of the token routes means: GitLab answers so to a good token whose user may
    /// not manage tokens (lib/api/resource_access_tokens.rb), which only the token itself can tell apart.
    async fn call(&self, request: &Request, subject: &Subject) -> Result<Response, GitLabError> {
        let error = match self.exchange(request, subject).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let ambiguous = *error.kind() == ErrorKind::TokenUnknown && matches!(subject, Subject::Tokens { .. });
        if !ambiguous {
            return Err(error);
        }
        let url = self.instance.api(["personal_access_tokens", "self"]);
        let own = self.request(Method::Get, url, &self.credential, None, &Subject::Operator)?;
        match self.exchange(&own, &Subject::Operator).await {
            Ok(_) => Err(error.with_kind(ErrorKind::Forbidden)),
            Err(verdict) if verdict.condemns_credential() => Err(verdict),
            Err(_) => Err(error),
        }
    }

    /// Sends once, or repeatedly where that is safe, until there is a successful JSON reply or an error.
    async fn exchange(&self, request: &Request, subject: &Subject) -> Result<Response, GitLabError> {
        let mut pauses = PAUSES.iter();
        loop {
            let outcome = self.transport.send(request.clone()).await;
            let asked_for = match &outcome {
                _ if request.method() == Method::Post => None,
                Ok(response) if matches!(response.status, 429 | 502 | 503 | 504) => {
                    Some(response.headers.wanted_pause().unwrap_or_default())
                }
                Err(SendError::NotSent(_) | SendError::Unknown(_)) => Some(Duration::ZERO),
                Ok(_) | Err(SendError::TooLarge) => None,
            };
            match asked_for
                .filter(|pause| *pause <= LONGEST_PAUSE)
                .and_then(|pause| Some(pause.max(*pauses.next()?)))
            {
                Some(pause) => self.transport.pause(pause).await,
                None => return self.settle(request, subject, outcome),
            }
        }
    }

    fn settle(
        &self,
        request: &Request,
        subject: &Subject,
        outcome: Result<Response, SendError>,
    ) -> Result<Response, GitLabError> {
        let response = match outcome {
            Ok(response) => response,
            Err(error) => return Err(self.no_reply(request, subject, error)),
        };
        let status = response.status;
        let (kind, said) = if (200..300).contains(&status) {
            match foreign(&response.headers, &response.body) {
                Some(what) if status != 204 => (ErrorKind::NotGitLab { what }, String::new()),
                _ => {
                    self.server_time.set(response.headers.date.or(self.server_time.get()));
                    return Ok(response);
                }
            }
        } else {
            let (headers, body) = without_secret(&response, request.credential().secret().expose());
            let (kind, said) = classify(status, &headers, &body);
            if matches!(kind, ErrorKind::TokenUnknown | ErrorKind::TokenExpired | ErrorKind::TokenRevoked) {
                self.server_time.set(response.headers.date.or(self.server_time.get()));
            }
            (kind, said)
        };
        Err(self.failed(request, subject, kind, Some(status), said))
    }

    fn no_reply(&self, request: &Request, subject: &Subject, error: SendError) -> GitLabError {
        let is_get = request.method() == Method::Get;
        let kind = match error {
            SendError::NotSent(reason) => ErrorKind::Unreachable { reason: clean(&reason) },
            SendError::Unknown(reason) if is_get => ErrorKind::Unreachable { reason: clean(&reason) },
            SendError::Unknown(reason) => ErrorKind::OutcomeUnknown { because: clean(&reason) },
            SendError::TooLarge => ErrorKind::UnexpectedReply { what: SendError::TooLarge.to_string() },
        };
        self.failed(request, subject, kind, None, String::new())
    }

    fn unexpected(
        &self,
        request: &Request,
        subject: &Subject,
        response: &Response,
        what: String,
    ) -> GitLabError {
        let kind = ErrorKind::UnexpectedReply { what };
        self.failed(request, subject, kind, Some(response.status), String::new())
    }

    fn failed(
        &self,
        request: &Request,
        subject: &Subject,
        kind: ErrorKind,
        status: Option<u16>,
        said: String,
    ) -> GitLabError {
        let call = self.whereabouts(request.method(), request.url().path(), request.credential(), subject);
        GitLabError::new(call, kind, status, said)
    }

    /// An error of ours, before anything was sent.
    pub(super) fn refused(
        &self,
        method: Method,
        url: &Url,
        subject: &Subject,
        kind: ErrorKind,
    ) -> GitLabError {
        let call = self.whereabouts(method, url.path(), &self.credential, subject);
        GitLabError::new(call, kind, None, String::new())
    }

    fn whereabouts(&self, method: Method, path: &str, credential: &Credential, subject: &Subject) -> Call {
        Call {
            method,
            path: path.to_owned(),
            instance: self.instance.clone(),
            source: credential.source().to_owned(),
            subject: subject.clone(),
        }
    }
}

/// A proxy's error page may repeat the request's headers: the credential is taken out before anything is read.
fn without_secret(response: &Response, secret: &str) -> (Headers, Vec<u8>) {
    let mut headers = response.headers.clone();
    if secret.is_empty() {
        return (headers, response.body.to_vec());
    }
    headers.location = headers.location.map(|location| location.replace(secret, "…"));
    let body = String::from_utf8_lossy(&response.body).replace(secret, "…");
    (headers, body.into_bytes())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
