//! The emulator without its socket: state, clock, faults, log. One request at a time goes through it.

use axum::http::{HeaderMap, Uri, header};
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded;

use super::clock::Clock;
use super::faults::{Effect, Failure, Faults};
use super::mint::Random;
use super::refusal::Refusal;
use super::reply::{Body, Reply};
use super::request::{self, Request};
use super::route;
use super::state::GitLab;
use super::throttle::Throttle;
use crate::secret::Secret;

/// All that changes.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) gitlab: GitLab,
    pub(super) clock: Clock,
    pub(super) faults: Faults,
    pub(super) log: Vec<Entry>,
    pub(super) throttle: Throttle,
}

/// One line of the log. The path has no query, so no credential can be in it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    method: String,
    path: String,
    /// `null`: no reply was made.
    status: Option<u16>,
    user: Option<String>,
    time: String,
    fault: Option<String>,
}

/// What the server hands over of a request.
pub(super) struct Incoming<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a Uri,
    /// The path behind `/api/v4`.
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// Scheme, host, port and relative root.
    pub(super) base: &'a str,
}

impl Service {
    /// Does what was asked, or what the fault says instead, and logs it.
    pub(super) fn answer(
        &mut self,
        incoming: &Incoming<'_>,
        random: &Random,
        effect: Option<&Effect>,
    ) -> Reply {
        let now = self.clock.now();
        if let Some(reply) = effect.and_then(|effect| instead(effect, now)) {
            self.note(incoming.method, incoming.path, Some(reply.status), None, effect);
            return reply;
        }
        let request = match incoming.read() {
            Ok(request) => request,
            Err(refusal) => {
                let reply = refusal.into_reply(now);
                self.note(incoming.method, incoming.path, Some(reply.status), None, effect);
                return reply;
            }
        };
        let limit = self.gitlab.settings.requests_per_minute;
        let known = request.credential.as_ref().and_then(|value| self.gitlab.token_by_value(value.expose()));
        let counted = known.map(|token| token.user);
        let observed = limit.map(|limit| self.throttle.count(limit, counted, now));
        let (mut reply, user) = match observed.and_then(|observed| observed.refusal(now)) {
            Some(refusal) => (refusal.into_reply(now), None),
            None => {
                let handled = route::handle(&mut self.gitlab, &request, now, random);
                (handled.reply, handled.user)
            }
        };
        if effect == Some(&Effect::Mismatch) {
            self.mint_less(&mut reply);
        }
        if let Some(observed) = observed {
            reply = observed.describe(reply);
        }
        self.note(incoming.method, incoming.path, Some(reply.status), user, effect);
        reply
    }

    /// Adds a line to the log.
    pub(super) fn note(
        &mut self,
        method: &str,
        path: &str,
        status: Option<u16>,
        user: Option<u64>,
        effect: Option<&Effect>,
    ) {
        let user = user.and_then(|id| self.gitlab.users.get(&id)).map(|user| user.username.clone());
        self.log.push(Entry {
            method: method.to_owned(),
            path: path.to_owned(),
            status,
            user,
            time: super::clock::iso(self.clock.now()),
            fault: effect.map(ToString::to_string),
        });
    }

    /// Takes a scope and a day from the token that was just made, in the reply and in the row.
    fn mint_less(&mut self, reply: &mut Reply) {
        let Body::Json(Value::Object(fields)) = &mut reply.body else { return };
        let id = fields.get("id").and_then(Value::as_u64).filter(|_| fields.contains_key("token"));
        let Some(token) = id.and_then(|id| self.gitlab.tokens.get_mut(&id)) else { return };
        token.scopes.pop();
        token.expires_at = token.expires_at.and_then(|date| date.yesterday().ok());
        fields.insert("scopes".to_owned(), token.scopes.clone().into());
        fields.insert("expires_at".to_owned(), token.expires_at.map(|date| date.to_string()).into());
    }
}

/// The reply that a fault gives in place of handling.
fn instead(effect: &Effect, now: jiff::Timestamp) -> Option<Reply> {
    const LOGIN: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form>Sign in</form></body></html>\n";
    const GATEWAY: &str =
        "<html><head><title>502 Bad Gateway</title></head><body>GitLab is not responding</body></html>\n";
    match effect {
        Effect::Status(Failure::Unauthorized) => Some(Refusal::Unauthorized.into_reply(now)),
        Effect::Status(Failure::Forbidden) => Some(Refusal::Forbidden.into_reply(now)),
        Effect::Status(Failure::NotFound) => Some(Refusal::NotFound("").into_reply(now)),
        Effect::Status(Failure::Crash) => Some(Refusal::Crash.into_reply(now)),
        Effect::Status(Failure::BadGateway) => Some(Reply::html(502, GATEWAY)),
        Effect::Throttle(seconds) => Some(Refusal::Throttled(*seconds).into_reply(now)),
        Effect::Html => Some(Reply::html(200, LOGIN)),
        Effect::Redirect(url) => {
            Some(Reply::html(301, "<html><body>Moved</body></html>\n").with("location", url))
        }
        Effect::Refuse
        | Effect::Cut
        | Effect::LoseReply
        | Effect::Delay(_)
        | Effect::Truncate
        | Effect::Mismatch => None,
    }
}

impl Incoming<'_> {
    fn read(&self) -> Result<Request, Refusal> {
        let header = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let query = self.uri.query().unwrap_or_default();
        let mut params = request::form(query);
        let content_type = header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        params.extend(request::body(content_type, self.body)?);
        let bearer = header(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let given = header("private-token").or(bearer).map(str::to_owned);
        let in_query =
            || params.get("private_token").or(params.get("access_token"))?.as_str().map(str::to_owned);
        Ok(Request {
            method: if self.method == "HEAD" { "GET".to_owned() } else { self.method.to_owned() },
            path: self.path.to_owned(),
            segments: request::segments(self.path),
            credential: given.or_else(in_query).filter(|value| !value.is_empty()).map(Secret::new),
            params,
            base: self.base.to_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        })
    }
}
