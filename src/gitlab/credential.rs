//! Where the operator's credential comes from, and the one origin that it is bound to.
//!
//! Resolution is pure: the environment, the terminal and files are looked at elsewhere and given in [`Sources`].

use super::routable::{Wholeness, wholeness};
use crate::instance::{Instance, InstanceError, Origin};
use crate::secret::Secret;

/// What the token that glab keeps is called in messages.
pub(super) const GLAB: &str = "glab";
/// What an approval is called in messages.
const APPROVAL: &str = "provision trust";

/// How a credential is presented (GitLab's doc/api/rest/authentication).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `PRIVATE-TOKEN: …`, for every token that GitLab stores as a personal access token.
    PrivateToken,
    /// `Authorization: Bearer …`, for OAuth access tokens.
    Bearer,
    /// Not at all.
    None,
}

/// A token that we act with, bound to the only origin that may see it.
#[derive(Debug)]
pub struct Credential {
    origin: Origin,
    secret: Secret,
    source: String,
    bound_by: String,
    scheme: Scheme,
}

/// What is wrong with the text of a credential, before anybody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Nothing, or white space alone.
    #[error("it is empty")]
    Empty,
    /// White space, a control character or a non-ASCII character in the middle: two lines, or a wrong file.
    #[error("it contains white space or characters that no token has; it must be the token alone")]
    NotAToken,
    /// The checksum of a routable token does not match.
    #[error("its checksum does not match: was it pasted whole?")]
    Damaged,
}

impl Credential {
    /// Binds `value`, without the white space around it, to `origin`. `source` says in messages where it came from,
    /// such as `GITLAB_TOKEN`. An OAuth access token (64 hexadecimal digits) is presented as bearer.
    ///
    /// # Errors
    /// [`ValueError`] where the text cannot be a token.
    pub fn new(origin: Origin, value: &Secret, source: impl Into<String>) -> Result<Self, ValueError> {
        let secret = value.trimmed();
        let text = secret.expose();
        if text.is_empty() {
            return Err(ValueError::Empty);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ValueError::NotAToken);
        }
        let is_oauth = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let scheme = if is_oauth { Scheme::Bearer } else { Scheme::PrivateToken };
        Ok(Self { origin, secret, source: source.into(), bound_by: String::new(), scheme })
    }

    /// Nobody's: a request with it carries no token.
    #[must_use]
    pub fn nobody(origin: Origin) -> Self {
        let secret = Secret::new(String::new());
        Self { origin, secret, source: "nobody".to_owned(), bound_by: String::new(), scheme: Scheme::None }
    }

    /// The only origin that may see it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The value, for the header of a request and for nothing else.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Where it came from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What says that it belongs to its origin, such as `GITLAB_HOST`; empty for a token that was made here.
    #[must_use]
    pub fn bound_by(&self) -> &str {
        &self.bound_by
    }

    fn bound_by_what(mut self, what: &str) -> Self {
        self.bound_by = what.to_owned();
        self
    }

    /// How it is presented.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
}

/// What there is to choose from, read elsewhere. Empty environment variables count as not set, but for an empty
/// GITLAB_TOKEN, which is usually a mistake worth naming.
#[derive(Debug, Default)]
pub struct Sources {
    /// The content of `--token-file` or `--token-stdin`, where one was given.
    pub given: Option<Given>,
    /// GITLAB_TOKEN
    pub token: Option<Secret>,
    /// GITLAB_HOST: a host, or the base URL of an instance.
    pub host: Option<String>,
    /// CI_SERVER_URL, which GitLab sets in its jobs.
    pub ci_server_url: Option<String>,
    /// What glab keeps for the wanted instance, where it was asked; looked at only where nothing else is given.
    pub glab: Option<Secret>,
    /// Origins that the user has approved for this repository (`provision trust`).
    pub approved: Vec<String>,
    /// Whether somebody can be asked: a terminal, and not a CI job.
    pub can_ask: bool,
}

/// A credential that an option gave for this run.
#[derive(Debug)]
pub struct Given {
    /// The content as read.
    pub value: Secret,
    /// The option as written: `--token-stdin`, `--token-file FILE`.
    pub option: String,
}

/// What resolution came to.
#[derive(Debug)]
pub enum Resolved {
    /// May be used.
    Ready(Credential),
    /// Nothing says which instance the token is for: a person has to say that it belongs to the wanted one.
    NeedsApproval(Unapproved),
}

/// A credential that nobody has bound yet. Only [`Unapproved::approve`] lets it out.
#[derive(Debug)]
pub struct Unapproved(Credential);

impl Unapproved {
    /// The origin that the user is asked about.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Where the token comes from, for the question.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The user has said that the token belongs to [`Unapproved::origin`].
    #[must_use]
    pub fn approve(self) -> Credential {
        self.0.bound_by_what(APPROVAL)
    }
}

/// Why there is no credential for an instance.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No source gave anything.
    #[error("no GitLab token was given for {wanted}")]
    Missing {
        /// The wanted instance.
        wanted: Box<Instance>,
    },
    /// A source gave something that is no token.
    #[error("the token from {source_name} cannot be used: {problem}")]
    Value {
        /// The variable or option.
        source_name: String,
        /// What is wrong with it.
        problem: ValueError,
        /// The wanted instance.
        wanted: Box<Instance>,
    },
    /// The variable that binds the token names another origin.
    #[error(
        "the token from {source_name} is for {bound_to}, as {variable} says, and was not sent to {wanted}"
    )]
    BoundElsewhere {
        /// The variable or option.
        source_name: String,
        /// GITLAB_HOST or CI_SERVER_URL.
        variable: &'static str,
        /// What it names.
        bound_to: String,
        /// What the profile wants.
        wanted: String,
    },
    /// The variable that binds the token is not an address.
    #[error("{variable} does not say which instance the token is for: {problem}")]
    Binding {
        /// GITLAB_HOST or CI_SERVER_URL.
        variable: &'static str,
        /// What is wrong with it.
        problem: InstanceError,
    },
    /// Nothing binds the token, and nobody can be asked.
    #[error("nothing says that the token from {source_name} is for {wanted}, so it was not sent there")]
    Unbound {
        /// The variable or option.
        source_name: String,
        /// What the profile wants.
        wanted: Box<Instance>,
    },
}

impl CredentialError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { wanted } => format!(
                "set GITLAB_HOST={wanted} and GITLAB_TOKEN (or give --token-file FILE or --token-stdin, or log in with \
                 glab auth login); the token needs the scope api (make one at {})",
                wanted.page("-/user_settings/personal_access_tokens")
            ),
            Self::Value { source_name, wanted, .. } if source_name == GLAB => log_in(wanted),
            Self::Value { problem: ValueError::Empty, source_name, .. } if source_name == "GITLAB_TOKEN" => {
                "in CI a protected variable is absent or empty on a branch that is not protected".to_owned()
            }
            Self::Value { problem: ValueError::Empty, source_name, .. } => {
                format!("{source_name} takes the token alone; did the program that gives it fail?")
            }
            Self::Value { .. } => "copy the token again from where it was shown, in one piece".to_owned(),
            Self::BoundElsewhere { wanted, .. } => {
                format!("give a token of {wanted}, and set GITLAB_HOST={wanted} to say so")
            }
            Self::Binding { variable, .. } => {
                format!("set {variable} to a host or a URL such as https://gitlab.example.com")
            }
            Self::Unbound { wanted, source_name } if source_name == GLAB => {
                format!("provision trust lets this repository use {wanted}")
            }
            Self::Unbound { wanted, .. } => {
                format!("set GITLAB_HOST={wanted} if the token belongs there, or run provision trust")
            }
        }
    }
}

/// The command that gives glab a token anew: what it keeps is not pasted anywhere.
pub(super) fn log_in(instance: &Instance) -> String {
    format!("log in again: glab auth login --hostname {}", instance.host())
}

/// The credential to use for `wanted`.
///
/// `--token-stdin` and `--token-file` come before GITLAB_TOKEN, and that before what glab keeps. All but the last are bound
/// to GITLAB_HOST, else to CI_SERVER_URL; where neither is set, a person has to approve the instance for this repository,
/// now or beforehand. What glab keeps belongs to its instance, and is used where the person has approved that for this
/// repository. The profile does not count as a binding: a cloned repository could name its own host there. There is no
/// falling through: a source that is there and wrong is an error.
///
/// # Errors
/// [`CredentialError`], which never repeats a value.
pub fn resolve(sources: &Sources, wanted: &Instance) -> Result<Resolved, CredentialError> {
    let credential = match (&sources.given, &sources.token) {
        (Some(given), _) => pasted(wanted, &given.value, &given.option)?,
        (None, Some(token)) => pasted(wanted, token, "GITLAB_TOKEN")?,
        (None, None) => match &sources.glab {
            Some(token) => return approved(sources, wanted, pasted(wanted, token, GLAB)?),
            None => return Err(CredentialError::Missing { wanted: Box::new(wanted.clone()) }),
        },
    };
    match binding(sources)? {
        Some((variable, bound_to)) if bound_to == *wanted.origin() => {
            Ok(Resolved::Ready(credential.bound_by_what(variable)))
        }
        Some((variable, bound_to)) => Err(CredentialError::BoundElsewhere {
            source_name: credential.source,
            variable,
            bound_to: bound_to.to_string(),
            wanted: wanted.origin().to_string(),
        }),
        None => approved(sources, wanted, credential),
    }
}

/// Whether it is settled that a token of the person's may go to `wanted`: by a variable, or by an approval. Where it is not,
/// a person can be asked.
///
/// # Errors
/// A variable names another instance, or nobody can be asked.
pub fn settled(sources: &Sources, wanted: &Instance) -> Result<bool, CredentialError> {
    let source_name = || "your own secrets file or the form".to_owned();
    match binding(sources)? {
        Some((_, bound_to)) if bound_to == *wanted.origin() => Ok(true),
        Some((variable, bound_to)) => Err(CredentialError::BoundElsewhere {
            source_name: source_name(),
            variable,
            bound_to: bound_to.to_string(),
            wanted: wanted.origin().to_string(),
        }),
        None if sources.approved.contains(&wanted.origin().to_string()) => Ok(true),
        None if sources.can_ask => Ok(false),
        None => {
            Err(CredentialError::Unbound { source_name: source_name(), wanted: Box::new(wanted.clone()) })
        }
    }
}

/// `credential`, where the person has approved its origin for this repository, or can be asked to.
fn approved(
    sources: &Sources,
    wanted: &Instance,
    credential: Credential,
) -> Result<Resolved, CredentialError> {
    if sources.approved.contains(&wanted.origin().to_string()) {
        return Ok(Resolved::Ready(credential.bound_by_what(APPROVAL)));
    }
    if sources.can_ask {
        return Ok(Resolved::NeedsApproval(Unapproved(credential)));
    }
    Err(CredentialError::Unbound { source_name: credential.source, wanted: Box::new(wanted.clone()) })
}

fn pasted(wanted: &Instance, value: &Secret, source: &str) -> Result<Credential, CredentialError> {
    let refused = |problem| {
        let wanted = Box::new(wanted.clone());
        CredentialError::Value { source_name: source.to_owned(), problem, wanted }
    };
    let credential = Credential::new(wanted.origin().clone(), value, source).map_err(refused)?;
    match wholeness(credential.secret.expose()) {
        Wholeness::Damaged => Err(refused(ValueError::Damaged)),
        Wholeness::Whole | Wholeness::Unknown => Ok(credential),
    }
}

fn binding(sources: &Sources) -> Result<Option<(&'static str, Origin)>, CredentialError> {
    let named = [("GITLAB_HOST", &sources.host), ("CI_SERVER_URL", &sources.ci_server_url)];
    let set = named.into_iter().find_map(|(variable, value)| {
        let value = value.as_deref()?.trim();
        (!value.is_empty()).then_some((variable, value))
    });
    let Some((variable, value)) = set else { return Ok(None) };
    let instance: Instance =
        value.parse().map_err(|problem| CredentialError::Binding { variable, problem })?;
    Ok(Some((variable, instance.origin().clone())))
}

#[cfg(test)]
#[path = "credential_tests.rs"]
mod tests;
