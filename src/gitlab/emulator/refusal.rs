//! Every way in which GitLab says no: status and body, exactly.
//!
//! From `lib/api/helpers.rb`, `lib/api/api.rb`, `lib/api/api_guard.rb` and `doc/api/rest/authentication.md`. The
//! bodies are not uniform, and clients must cope with that, so the emulator keeps each as it is.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::clock::http_date;
use super::reply::{Body, Reply};

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400 from Grape's validation; several problems are joined.
    Invalid(Vec<String>),
    /// 400 from a service or a model.
    BadRequest(String),
    /// 401: no token, an unknown one, or a route that hides behind it.
    Unauthorized,
    /// 401: the token's day has come.
    Expired,
    /// 401: the token was revoked.
    Revoked,
    /// 403: the token has none of these scopes.
    InsufficientScope(Vec<&'static str>),
    /// 403.
    Forbidden,
    /// 404 that names what was not found: `404 Group Not Found`. Empty: `404 Not Found`.
    NotFound(&'static str),
    /// 404 from ActiveRecord, with a lower-case `f`.
    RecordNotFound,
    /// 404: there is no such route.
    NoRoute,
    /// 405: the route exists, but not for this method.
    NoMethod,
    /// 405: the wrong sort of credential for this route.
    MethodNotAllowed,
    /// 409; the message is text or a list, as the route has it.
    Conflict(Value),
    /// 422 with the text of a service.
    Unprocessable(String),
    /// 429 from Rack::Attack; the number is seconds to wait.
    Throttled(u64),
    /// 500.
    Crash,
}

const EXPIRED: &str = "Token is expired. You can either do re-authorization or token refresh.";
const REVOKED: &str = "Token was revoked. You have to re-authorize from the user.";
const HIGHER: &str = "The request requires higher privileges than provided by the access token.";

impl Refusal {
    /// The reply, `now` being the server's time (429 names the time at which to come back).
    pub(super) fn into_reply(self, now: Timestamp) -> Reply {
        match self {
            Self::Invalid(problems) => Reply::json(400, json!({"error": problems.join(", ")})),
            Self::BadRequest(reason) => message(400, format!("400 Bad request - {reason}")),
            Self::Unauthorized => message(401, "401 Unauthorized"),
            Self::Expired => bearer(401, "invalid_token", EXPIRED),
            Self::Revoked => bearer(401, "invalid_token", REVOKED),
            Self::InsufficientScope(scopes) => Reply::json(
                403,
                json!({"error": "insufficient_scope", "error_description": HIGHER, "scope": scopes.join(" ")}),
            ),
            Self::Forbidden => message(403, "403 Forbidden"),
            Self::NotFound("") => message(404, "404 Not Found"),
            Self::NotFound(what) => message(404, format!("404 {what} Not Found")),
            Self::RecordNotFound => message(404, "404 Not found"),
            Self::NoRoute => Reply::json(404, json!({"error": "404 Not Found"})),
            Self::NoMethod => Reply::json(405, json!({"error": "405 Not Allowed"})),
            Self::MethodNotAllowed => message(405, "405 Method Not Allowed"),
            Self::Conflict(text) => message(409, text),
            Self::Unprocessable(text) => message(422, text),
            Self::Throttled(seconds) => throttled(seconds, now),
            Self::Crash => message(500, "500 Internal Server Error"),
        }
    }
}

fn message(status: u16, text: impl Into<Value>) -> Reply {
    Reply::json(status, json!({"message": text.into()}))
}

/// The shape of rack-oauth2, with the challenge that it adds.
fn bearer(status: u16, error: &str, description: &str) -> Reply {
    let challenge = format!(
        r#"Bearer realm="Protected by OAuth 2.0", error="{error}", error_description="{description}""#
    );
    Reply::json(status, json!({"error": error, "error_description": description}))
        .with("www-authenticate", challenge)
}

/// Plain text and Rack::Attack's headers; `RateLimit-Reset` is a Unix time, not seconds to go
/// (`doc/administration/settings/user_and_ip_rate_limits.md`).
fn throttled(seconds: u64, now: Timestamp) -> Reply {
    let wait = i64::try_from(seconds).unwrap_or(i64::MAX);
    let reset = now.as_second().saturating_add(wait);
    let reset_time = Timestamp::from_second(reset).unwrap_or(now);
    Reply { status: 429, headers: Vec::new(), body: Body::Text("Retry later\n".to_owned()) }
        .with("retry-after", seconds.to_string())
        .with("ratelimit-limit", "60")
        .with("ratelimit-name", "throttle_authenticated_api")
        .with("ratelimit-observed", "61")
        .with("ratelimit-remaining", "0")
        .with("ratelimit-reset", reset.to_string())
        .with("ratelimit-resettime", http_date(reset_time))
}
