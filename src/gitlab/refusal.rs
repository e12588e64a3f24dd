//! From the status and body of a failed reply to what it means. Pure, and tolerant of every body that GitLab, its
//! throttle and the proxies before it send.

use jiff::civil::Date;
use serde_json::Value;

use super::errors::ErrorKind;
use super::transport::Headers;

/// The most characters of GitLab's own sentence that are kept.
const SAID_LIMIT: usize = 300;

/// What a reply with this status (not 2xx) means, and GitLab's own sentence, which is empty for markup.
pub(super) fn classify(status: u16, headers: &Headers, body: &[u8]) -> (ErrorKind, String) {
    let reply = Reply::read(headers, body);
    let said = clean(&reply.sentence());
    let kind = match status {
        300..=399 => ErrorKind::Redirected { to: redirect_target(headers) },
        429 => ErrorKind::RateLimited { retry_after: headers.wanted_pause() },
        500..=599 => ErrorKind::ServerError,
        408 | 425 | 499 => ErrorKind::UnexpectedReply { what: format!("status {status}") },
        400..=499 => match reply {
            Reply::Json(value) => refusal(status, &value, &said),
            Reply::Html => ErrorKind::NotGitLab { what: format!("an HTML page with status {status}") },
            Reply::Text(_) => ErrorKind::NotGitLab { what: format!("plain text with status {status}") },
            Reply::Empty => ErrorKind::NotGitLab { what: format!("an empty reply with status {status}") },
        },
        _ => ErrorKind::UnexpectedReply { what: format!("status {status}") },
    };
    (kind, said)
}

/// What a successful reply is if it is not JSON; `None` where it may be JSON.
pub(super) fn foreign(headers: &Headers, body: &[u8]) -> Option<String> {
    let html = || Some("an HTML page".to_owned());
    match &headers.content_type {
        Some(kind) if kind.contains("json") => None,
        Some(kind) if kind.contains("html") => html(),
        _ if starts_like_markup(body) => html(),
        Some(kind) => Some(format!("a reply of type {}", clean(kind))),
        None => None,
    }
}

enum Reply {
    Json(Value),
    Html,
    Text(String),
    Empty,
}

impl Reply {
    fn read(headers: &Headers, body: &[u8]) -> Self {
        let is_html = headers.content_type.as_deref().is_some_and(|kind| kind.contains("html"));
        if is_html || starts_like_markup(body) {
            return Self::Html;
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value @ Value::Object(_)) => Self::Json(value),
            _ if body.trim_ascii().is_empty() => Self::Empty,
            _ => Self::Text(String::from_utf8_lossy(&body[..body.len().min(4 * SAID_LIMIT)]).into_owned()),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Json(value) => problems(value).join(", "),
            Self::Text(text) => text.clone(),
            Self::Html | Self::Empty => String::new(),
        }
    }
}

fn starts_like_markup(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// A 4xx in GitLab's own form.
fn refusal(status: u16, body: &Value, said: &str) -> ErrorKind {
    let code = body.get("error").and_then(Value::as_str).unwrap_or_default();
    match status {
        401 => unauthorized(code, said),
        403 if code == "insufficient_scope" => ErrorKind::InsufficientScope { needed: needed_scopes(body) },
        403 => ErrorKind::Forbidden,
        // What exists not is said under `message`, what the router does not know under `error`.
        404 if code == "404 Not Found" => ErrorKind::NoSuchRoute,
        404 => ErrorKind::NotFound,
        405 => ErrorKind::MethodNotAllowed,
        409 => ErrorKind::Conflict,
        412 => ErrorKind::PreconditionFailed,
        422 => expiry_too_far(said).unwrap_or(ErrorKind::Unprocessable),
        _ => bad_request(body, said),
    }
}

/// lib/api/api_guard.rb tells the cases apart by their descriptions only.
fn unauthorized(code: &str, said: &str) -> ErrorKind {
    match code {
        "dpop_error" => ErrorKind::DpopRequired,
        "invalid_token" if said.contains("expired") => ErrorKind::TokenExpired,
        "invalid_token" if said.contains("revoked") => ErrorKind::TokenRevoked,
        "invalid_token" if said.contains("impersonation") => ErrorKind::ImpersonationOff,
        _ => ErrorKind::TokenUnknown,
    }
}

fn needed_scopes(body: &Value) -> Vec<String> {
    let scopes = body.get("scope").and_then(Value::as_str).unwrap_or_default();
    let mut needed = Vec::new();
    for scope in scopes.split_whitespace().map(clean) {
        if !needed.contains(&scope) {
            needed.push(scope);
        }
    }
    needed
}

/// The texts of app/services/resource_access_tokens/{create,revoke}_service.rb and of the token's model.
fn bad_request(body: &Value, said: &str) -> ErrorKind {
    if let Some(kind) = expiry_too_far(said) {
        return kind;
    }
    if said.contains("does not have permission to create") {
        return ErrorKind::NotPermittedToCreate;
    }
    if said.contains("Access level of the token contains permissions not held") {
        return ErrorKind::AccessLevelTooHigh;
    }
    if said.contains("token limit reached") {
        return ErrorKind::LimitReached;
    }
    if said.contains(" cannot delete ") || said.contains("Not permitted to revoke") {
        return ErrorKind::Forbidden;
    }
    ErrorKind::Invalid { problems: problems(body).iter().map(|problem| clean(problem)).collect() }
}

/// "Expires at must be before 2027-11-21": the check is `expires_at > max`, so the date itself is allowed.
fn expiry_too_far(said: &str) -> Option<ErrorKind> {
    let (before, after) = said.split_once("must be before ")?;
    if !before.to_ascii_lowercase().contains("expires") {
        return None;
    }
    let latest: Date = after.get(..10)?.parse().ok()?;
    Some(ErrorKind::ExpiryTooFar { latest })
}

/// GitLab's sentences, one per problem, in each of the forms that its API uses.
fn problems(body: &Value) -> Vec<String> {
    for key in ["error_description", "message", "error"] {
        match body.get(key) {
            Some(Value::String(text)) => {
                let text = text.strip_prefix("400 Bad request - ").unwrap_or(text);
                return if key == "error" {
                    text.split(", ").map(ToOwned::to_owned).collect()
                } else {
                    vec![text.to_owned()]
                };
            }
            Some(Value::Object(fields)) => {
                return fields.iter().flat_map(|(name, texts)| of_field(name, texts)).collect();
            }
            Some(Value::Array(texts)) => {
                return texts.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
            }
            _ => {}
        }
    }
    Vec::new()
}

/// `{"value":["is invalid"]}` of the models, and `{"error":"…"}` of the application limits.
fn of_field(name: &str, texts: &Value) -> Vec<String> {
    let sentence = |text: &str| match name {
        "error" | "base" => text.to_owned(),
        name => format!("{name} {text}"),
    };
    match texts {
        Value::String(text) => vec![sentence(text)],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).map(sentence).collect(),
        _ => vec![name.to_owned()],
    }
}

/// Where a redirect leads, without query and fragment, which may hold what is not for a terminal.
fn redirect_target(headers: &Headers) -> String {
    let location = headers.location.as_deref().unwrap_or("an address that it does not name");
    let end = location.find(['?', '#']).unwrap_or(location.len());
    clean(&location[..end])
}

/// One line for a terminal: no control characters, no characters that turn the direction of text, bounded.
pub(super) fn clean(text: &str) -> String {
    let visible = text.chars().map(|char| if char.is_whitespace() { ' ' } else { char }).filter(|char| {
        let turns =
            matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !char.is_control() && !turns
    });
    let kept: String = visible.take(SAID_LIMIT).collect();
    kept.trim().to_owned()
}
