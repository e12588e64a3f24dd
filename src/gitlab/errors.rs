//! What went wrong at GitLab, as one type: the kind, the status, GitLab's own sentence, and what it was about.

use std::fmt;
use std::time::Duration;

use jiff::civil::Date;

use super::hints;
use super::transport::Method;
use crate::instance::Instance;
use crate::token::{Kind, Owner};

/// What a refusal or a failure means. Sources: lib/api/helpers.rb, lib/api/api_guard.rb and
/// lib/api/resource_access_tokens.rb of GitLab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// 401: no such token, or it is of a kind that this route does not take.
    TokenUnknown,
    /// 401: the token that we act with has expired.
    TokenExpired,
    /// 401: the token that we act with was revoked.
    TokenRevoked,
    /// 401: an impersonation token, on an instance that has impersonation off.
    ImpersonationOff,
    /// 401: the user's requests must carry a DPoP proof.
    DpopRequired,
    /// 403: the token's scopes do not cover the route.
    InsufficientScope {
        /// Any one of these would do.
        needed: Vec<String>,
    },
    /// The token is good, but its user may not do this. GitLab says it with 403, and with 400 or 401 on the routes of
    /// group and project tokens.
    Forbidden,
    /// Making a personal token by API takes an administrator; others open a form.
    AdministratorOnly {
        /// The form, filled in, of GitLab 18.9 and later.
        form: String,
        /// The form, filled in, of earlier versions.
        form_before_18_9: String,
    },
    /// 404: missing, or not visible to the token's user.
    NotFound,
    /// 404 in the form of an API that has no such route: too old, or another program.
    NoSuchRoute,
    /// 400: GitLab refused parameters.
    Invalid {
        /// One sentence per parameter.
        problems: Vec<String>,
    },
    /// 400: the expiry is later than the instance allows.
    ExpiryTooFar {
        /// The latest date that is allowed.
        latest: Date,
    },
    /// 400: the token's user may not create tokens in this group or project, or its plan has none.
    NotPermittedToCreate,
    /// 400: the wanted role is above that of the token's user.
    AccessLevelTooHigh,
    /// 400: no more tokens in this group or project.
    LimitReached,
    /// 405: not with this kind of token.
    MethodNotAllowed,
    /// 409
    Conflict,
    /// 412
    PreconditionFailed,
    /// 422
    Unprocessable,
    /// 429: not handled; may be sent again after a pause.
    RateLimited {
        /// What the server asked for.
        retry_after: Option<Duration>,
    },
    /// 5xx
    ServerError,
    /// Something that is not GitLab's API answered: a login page, a proxy, a firewall.
    NotGitLab {
        /// What came back: "an HTML page".
        what: String,
    },
    /// 3xx: never followed.
    Redirected {
        /// Where to, without the query.
        to: String,
    },
    /// No reply, and nothing can have been changed.
    Unreachable {
        /// The transport's words.
        reason: String,
    },
    /// A POST or DELETE that GitLab may have carried out.
    OutcomeUnknown {
        /// Why it is not known.
        because: String,
    },
    /// The next request would have taken the credential to another origin. It was not sent.
    WrongOrigin {
        /// That origin.
        wanted: String,
    },
    /// GitLab's API answered, but not as its documentation says.
    UnexpectedReply {
        /// What is odd.
        what: String,
    },
}

/// What one request was about, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The token that we act with, or its user.
    Operator,
    /// A token that is asked about itself: one that was just made, or one out of a file.
    Itself,
    /// A path that is being resolved.
    Owner {
        /// Personal, group or project.
        kind: Kind,
        /// As written in the profile.
        path: String,
    },
    /// Tokens of an owner.
    Tokens {
        /// Whose.
        owner: Owner,
        /// To do what.
        action: Action,
    },
}

/// What is done to tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make one.
    Create,
    /// Read one or list them.
    Read,
    /// Withdraw one.
    Revoke,
    /// Replace one in place.
    Rotate,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Revoke => "revoke",
            Self::Rotate => "rotate",
        }
    }
}

/// Where an error happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) instance: Instance,
    pub(super) source: String,
    pub(super) subject: Subject,
}

/// One failure at GitLab. Its texts never hold a secret: bodies of successful replies are not repeated, and GitLab's
/// own sentence is bounded, stripped of control characters and searched for the credential.
#[derive(Clone, PartialEq, Eq)]
pub struct GitLabError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    status: Option<u16>,
    said: String,
    call: Call,
}

impl GitLabError {
    pub(super) fn new(call: Call, kind: ErrorKind, status: Option<u16>, said: String) -> Self {
        Self(Box::new(Inner { kind: settle(call.method, kind, status), status, said, call }))
    }

    pub(super) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(super) fn call(&self) -> &Call {
        &self.0.call
    }

    /// What it means.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The status code, where there was a reply.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// GitLab's own sentence; empty where it gave none. At most 300 characters, never markup.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.0.said
    }

    /// What the request was about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.0.call.subject
    }

    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        hints::hint(self)
    }

    /// Whether a POST or DELETE may have been carried out although it failed.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self.0.kind, ErrorKind::OutcomeUnknown { .. })
    }

    /// Whether GitLab's API, or a rule of ours before sending, turned the request down, so that it certainly had no
    /// effect. False where it is not known, and false for 5xx and foreign replies to a GET, which refuse nothing.
    #[must_use]
    pub fn is_definite_refusal(&self) -> bool {
        !matches!(
            self.0.kind,
            ErrorKind::OutcomeUnknown { .. }
                | ErrorKind::ServerError
                | ErrorKind::NotGitLab { .. }
                | ErrorKind::UnexpectedReply { .. }
        )
    }

    /// Whether GitLab says that the token which authenticated the request does not work: unknown, expired, revoked or
    /// switched off. For [`Subject::Itself`], that token.
    #[must_use]
    pub fn condemns_credential(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::TokenUnknown
                | ErrorKind::TokenExpired
                | ErrorKind::TokenRevoked
                | ErrorKind::ImpersonationOff
        )
    }

    /// Whether the same request may well succeed later, with nothing changed on our side.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Unreachable { .. }
                | ErrorKind::RateLimited { .. }
                | ErrorKind::ServerError
                | ErrorKind::Conflict
        )
    }

    fn headline(&self) -> String {
        let Inner { kind, call, .. } = &*self.0;
        let origin = call.instance.origin();
        let token = match call.subject {
            Subject::Itself => call.source.clone(),
            _ => format!("the token from {}", call.source),
        };
        match kind {
            ErrorKind::TokenUnknown => format!("{origin} does not accept {token}"),
            ErrorKind::TokenExpired => format!("{token} has expired"),
            ErrorKind::TokenRevoked => format!("{token} was revoked"),
            ErrorKind::ImpersonationOff => {
                format!("{token} is an impersonation token, and {origin} has impersonation switched off")
            }
            ErrorKind::DpopRequired => format!("{origin} demands a DPoP proof with {token}"),
            ErrorKind::InsufficientScope { needed } if needed.is_empty() => format!("{token} lacks a scope"),
            ErrorKind::InsufficientScope { needed } => {
                format!("{token} lacks the scope {}", needed.join(" or "))
            }
            ErrorKind::Forbidden | ErrorKind::NotPermittedToCreate => {
                format!("{token} may not {}", call.subject.doing())
            }
            ErrorKind::AdministratorOnly { .. } => {
                "only an administrator can create a personal token through GitLab's API".to_owned()
            }
            ErrorKind::NotFound => format!("{} was not found at {origin} with {token}", call.subject.noun()),
            ErrorKind::NoSuchRoute => format!("the API at {} has no such route", call.instance),
            ErrorKind::Invalid { problems } => {
                format!("{origin} refused to {}: {}", call.subject.doing(), problems.join(", "))
            }
            ErrorKind::ExpiryTooFar { latest } => {
                format!("the expiry is too far away: {origin} allows {latest} at the latest")
            }
            ErrorKind::AccessLevelTooHigh => {
                format!(
                    "the role is above the one that {token} has itself: it may not {}",
                    call.subject.doing()
                )
            }
            ErrorKind::LimitReached => {
                format!("{} has as many access tokens as it may have", call.subject.noun())
            }
            ErrorKind::MethodNotAllowed => format!("{origin} does not take this request from {token}"),
            ErrorKind::Conflict => format!("{origin} is busy with another change of {}", call.subject.noun()),
            ErrorKind::PreconditionFailed => format!("{} has changed meanwhile", call.subject.noun()),
            ErrorKind::Unprocessable => format!("{origin} could not {}", call.subject.doing()),
            ErrorKind::RateLimited { retry_after: Some(pause) } => {
                format!("{origin} limits the rate of requests and asks for a pause of {} s", pause.as_secs())
            }
            ErrorKind::RateLimited { retry_after: None } => format!("{origin} limits the rate of requests"),
            ErrorKind::ServerError => format!("{origin} failed to answer: it has trouble of its own"),
            ErrorKind::NotGitLab { what } => {
                format!("what answers at {} is not GitLab's API: it sent {what}", call.instance)
            }
            ErrorKind::Redirected { to } => {
                format!(
                    "{} answered with a redirect to {to}, which is not followed with a credential",
                    call.instance
                )
            }
            ErrorKind::Unreachable { reason } => format!("{origin} could not be reached: {reason}"),
            ErrorKind::OutcomeUnknown { because } => {
                format!("{origin} may or may not have done it ({}): {because}", call.subject.doing())
            }
            ErrorKind::WrongOrigin { wanted } => {
                format!("{token} belongs to {origin} and was not sent to {wanted}")
            }
            ErrorKind::UnexpectedReply { what } => {
                format!("{origin} answered in a way that is not understood: {what}")
            }
        }
    }
}

/// The headline, then the request with the status and GitLab's own sentence.
impl fmt::Display for GitLabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { status, said, call, .. } = &*self.0;
        write!(f, "{} ({} {}", self.headline(), call.method, call.path)?;
        match status {
            Some(status) if said.is_empty() => write!(f, ": {status})"),
            Some(status) => write!(f, ": {status}, \"{said}\")"),
            None => f.write_str(")"),
        }
    }
}

impl fmt::Debug for GitLabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitLabError").field("kind", &self.0.kind).field("text", &self.to_string()).finish()
    }
}

impl std::error::Error for GitLabError {}

impl Subject {
    fn noun(&self) -> String {
        match self {
            Self::Operator => "the user of this token".to_owned(),
            Self::Itself => "the token itself".to_owned(),
            Self::Owner { kind: Kind::Personal, path } => format!("the user `{path}`"),
            Self::Owner { kind, path } => format!("the {kind} `{path}`"),
            Self::Tokens { owner: Owner { kind: Kind::Personal, path, .. }, .. } => {
                format!("the user `{path}`")
            }
            Self::Tokens { owner, .. } => format!("the {} `{}`", owner.kind, owner.path),
        }
    }

    fn doing(&self) -> String {
        match self {
            Self::Operator => "say whose token this is".to_owned(),
            Self::Itself => "ask the token about itself".to_owned(),
            Self::Owner { .. } => format!("look at {}", self.noun()),
            Self::Tokens { action, .. } => format!("{} access tokens of {}", action.as_str(), self.noun()),
        }
    }
}

/// What a reply means for this method. Where a POST or DELETE failed in a way that does not prove that nothing happened, it may have happened. A page
/// from a firewall counts: some look at replies, and may have stopped the one that brought the token.
fn settle(method: Method, kind: ErrorKind, status: Option<u16>) -> ErrorKind {
    if method == Method::Get {
        return kind;
    }
    let because = match &kind {
        // GitLab names the scopes of the route, whether or not they open it for this method.
        ErrorKind::InsufficientScope { needed } => {
            let writing = needed.iter().filter(|scope| !scope.starts_with("read_")).cloned();
            return ErrorKind::InsufficientScope { needed: writing.collect() };
        }
        ErrorKind::ServerError => "it answered with a server error".to_owned(),
        ErrorKind::NotGitLab { what } => format!("{what} came back instead of an answer"),
        ErrorKind::UnexpectedReply { what } => what.clone(),
        ErrorKind::Redirected { to } if matches!(status, Some(302 | 303)) => {
            format!("the answer is a redirect to {to}, as some servers send after the deed")
        }
        _ => return kind,
    };
    ErrorKind::OutcomeUnknown { because }
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
