//! What a module's error means for a person: its kind (exit code) and the way out, all in one place.

use crate::environ::EnvironError;
use crate::environ::quote::QuoteError;
use crate::error::{Error, Kind, word};
use crate::gitlab::credential::CredentialError;
use crate::gitlab::errors::{ErrorKind, GitLabError};
use crate::hint::Hint;
use crate::lock::LockError;
use crate::plan::at_gitlab::Protected;
use crate::plan::deliver::{DeliverError, Way};
use crate::plan::invocation::Verb;
use crate::plan::options::{Chosen, Options, Renew};
use crate::plan::{PlanError, Regain};
use crate::profile::ProfileError;
use crate::readership::admission::AdmissionError;
use crate::repo::lock::LockError as RepoLockError;
use crate::repo::{BadPath, CommitError, RemoteError, RepoError};
use crate::template::TemplateError;
use crate::template::disjoint::OverlapError;
use crate::token::TokenId;

mod engine;

pub(crate) use engine::cannot_open;

fn with_hint(kind: Kind, error: &(dyn std::error::Error + 'static), hint: Option<impl Into<Hint>>) -> Error {
    let error = Error::from_source(kind, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

impl From<GitLabError> for Error {
    fn from(error: GitLabError) -> Self {
        let kind = match error.kind() {
            ErrorKind::OutcomeUnknown { .. } => Kind::HalfWay,
            ErrorKind::Unreachable { .. } | ErrorKind::RateLimited { .. } | ErrorKind::ServerError => {
                Kind::Unreachable
            }
            ErrorKind::NotGitLab { .. } | ErrorKind::UnexpectedReply { .. } | ErrorKind::Conflict => {
                Kind::Failed
            }
            ErrorKind::Redirected { .. } | ErrorKind::WrongOrigin { .. } => Kind::Refused,
            ErrorKind::TokenUnknown
            | ErrorKind::TokenExpired
            | ErrorKind::TokenRevoked
            | ErrorKind::ImpersonationOff
            | ErrorKind::DpopRequired
            | ErrorKind::InsufficientScope { .. }
            | ErrorKind::Forbidden
            | ErrorKind::AdministratorOnly { .. }
            | ErrorKind::NotFound
            | ErrorKind::NoSuchRoute
            | ErrorKind::Invalid { .. }
            | ErrorKind::ExpiryTooFar { .. }
            | ErrorKind::NotPermittedToCreate
            | ErrorKind::AccessLevelTooHigh
            | ErrorKind::LimitReached
            | ErrorKind::MethodNotAllowed
            | ErrorKind::PreconditionFailed
            | ErrorKind::Unprocessable => Kind::NotAllowed,
        };
        with_hint(kind, &error, error.hint())
    }
}

impl From<CredentialError> for Error {
    fn from(error: CredentialError) -> Self {
        let kind = match error {
            CredentialError::BoundElsewhere { .. } | CredentialError::Unbound { .. } => Kind::Refused,
            CredentialError::Missing { .. }
            | CredentialError::Value { .. }
            | CredentialError::Binding { .. } => Kind::NotAllowed,
        };
        with_hint(kind, &error, Some(error.hint()))
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        let kind = match error {
            PlanError::Expiry { .. } | PlanError::NoSuchToken { .. } => Kind::Usage,
            PlanError::Undecided { .. } | PlanError::OutOfReach { .. } => Kind::HalfWay,
            PlanError::PolicyDiffers { .. }
            | PlanError::NotOurs { .. }
            | PlanError::OtherOwner { .. }
            | PlanError::NotRevoked { .. }
            | PlanError::SharedSlot { .. }
            | PlanError::Awaited { .. }
            | PlanError::Elsewhere { .. } => Kind::Refused,
        };
        let explained = Self::from_source(kind, &error);
        match error {
            PlanError::PolicyDiffers { file, .. } => {
                explained.hint(Hint::from("bring it into line first: provision rekey ").path(file))
            }
            PlanError::NotOurs { key, .. } | PlanError::OtherOwner { key, .. } => explained.hint(format!(
                "restore the lock from git, or take {key} out of it to have a new token minted; nothing was touched"
            )),
            PlanError::NotRevoked { elsewhere: Some(lock), .. } if lock.upstream => explained.hint(format!(
                "{} is not so here: git pull, then git push what is committed here, and run the same command again",
                lock.path
            )),
            PlanError::NotRevoked { key, elsewhere: Some(lock), .. } => explained
                .hint(format!("take it out of the lock that has it wrongly, {key} here or {lock}, and commit that")),
            PlanError::NotRevoked { key, .. } => explained
                .hint(format!("revoke it at GitLab, take {key} out of the lock, and commit that")),
            PlanError::SharedSlot { other, .. } => {
                explained.hint(format!("revoke {other} with it, or give each a slot of its own in the template"))
            }
            PlanError::Expiry { .. } => explained.hint("change `expires` in the profile"),
            PlanError::Awaited { file, leaf, key } => {
                let what = match leaf {
                    Some(_) => format!("put the value of {key} into its own slot"),
                    None => "make the file with the values that you have".to_owned(),
                };
                explained
                    .hint(Hint::from(format!("{what}, and commit it: sops edit ")).path(file))
                    .hint(format!("or replace {key} as well: name it with --token too"))
            }
            PlanError::Elsewhere { environment, file, keys } => {
                let rotate = Options {
                    verb: Verb::Rotate,
                    renew: Renew::Now(keys.into_iter().collect()),
                    ..Options::default()
                };
                explained
                    .hint(format!("bring {file} here from where {environment} was made"))
                    .hint(format!("or replace them: {}", rotate.command(&environment)))
            }
            PlanError::OutOfReach { environment, id, remote, .. } => {
                let remote = word(&remote);
                let abandon = Options { abandon: true, ..Options::resume(None) };
                explained
                    .hint(format!("bring the remote back, and run the same command again: git remote add {remote} URL"))
                    .hint(format!("or undo that run, which revokes token {id}: {}", abandon.command(&environment)))
            }
            PlanError::NoSuchToken { known, .. } => explained.hint(format!("there are: {}", known.join(", "))),
            PlanError::Undecided { environment, key, successor, way, regain, .. } => {
                let explained = regained(explained, &environment, way, regain);
                undecided(explained, &environment, key, successor, way)
            }
        }
    }
}

/// The way that loses nothing, which comes before those that do.
fn regained(error: Error, environment: &str, way: Option<Way>, regain: Option<Regain>) -> Error {
    let options = Options::resume(way);
    let resume = options.command(environment);
    let keep = match regain {
        None => return error,
        Some(Regain::ThatWay) => format!("go on the way that run went: {resume}"),
        Some(Regain::OnBranch(branch)) => {
            format!("go on where it was begun: git switch {}, and there: {resume}", word(&branch))
        }
        Some(Regain::InWorktree(root)) => {
            let command =
                resume.to_string().replacen("provision", &format!("provision -C {}", word(&root)), 1);
            format!("go on where it was begun: {command}")
        }
        Some(Regain::WithKey) => {
            format!("go on with an age identity that opens the secrets file: {resume}")
        }
    };
    error.hint(format!("to keep its value, {keep}"))
}

/// The commands between which a person has to choose.
fn undecided(
    error: Error,
    environment: &str,
    key: String,
    successor: Option<TokenId>,
    way: Option<Way>,
) -> Error {
    let renew = Renew::Now(Chosen::from_iter([key]));
    let rotate = Options { verb: Verb::Rotate, renew, force: true, way, ..Options::default() };
    let abandon = Options { abandon: true, ..Options::resume(None) };
    let (rotate, abandon) = (rotate.command(environment), abandon.command(environment));
    match successor {
        Some(id) => error
            .hint(format!("to keep its bot user, rotate token {id} in its turn: {rotate}"))
            .hint(format!("or revoke token {id}, and have a new one made by the next run: {abandon}")),
        None => error
            .hint("run the same command again in an hour: it is settled by then")
            .hint(format!("to rotate it at once, which ends it either way: {rotate}"))
            .hint(format!("to leave it as it is, and take the risk that it dies within the hour: {abandon}")),
    }
}

impl From<AdmissionError> for Error {
    fn from(error: AdmissionError) -> Self {
        let start = Self::from_source(Kind::Refused, &error);
        match &error {
            AdmissionError::TooWide { .. } => start.hint(
                "give those files a rule of their own above it; or name them too, with --env or --file",
            ),
            AdmissionError::Policy(_) => start.hint("add a creation rule for the file, and commit it"),
        }
    }
}

impl From<ProfileError> for Error {
    fn from(error: ProfileError) -> Self {
        Self::from_source(Kind::Usage, &error)
    }
}

impl From<TemplateError> for Error {
    fn from(error: TemplateError) -> Self {
        Self::from_source(Kind::Usage, &error)
    }
}

impl From<BadPath> for Error {
    fn from(error: BadPath) -> Self {
        Self::from_source(Kind::Usage, &error)
    }
}

impl From<RepoError> for Error {
    fn from(error: RepoError) -> Self {
        let kind = match error {
            RepoError::NotARepository { .. } | RepoError::Io { .. } | RepoError::Git { .. } => Kind::Failed,
            RepoError::Bare { .. }
            | RepoError::NotOwned { .. }
            | RepoError::Reftable { .. }
            | RepoError::Open { .. }
            | RepoError::InProgress { .. }
            | RepoError::BadPath(_)
            | RepoError::OutsideRepository { .. }
            | RepoError::LeavesRepository { .. }
            | RepoError::SameFile { .. }
            | RepoError::NotAFile { .. }
            | RepoError::Conflicted { .. }
            | RepoError::Ignored { .. }
            | RepoError::OutsideSparse { .. }
            | RepoError::Skipped { .. }
            | RepoError::FromEnvironment
            | RepoError::InOtherRepository { .. }
            | RepoError::NoIdentity { .. }
            | RepoError::Signing { .. }
            | RepoError::Locked { .. }
            | RepoError::NotWritable { .. }
            | RepoError::NeedsGit { .. }
            | RepoError::Filter { .. } => Kind::Refused,
        };
        with_hint(kind, &error, error.hint())
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        with_hint(Kind::HalfWay, &error, error.hint())
    }
}

impl From<RemoteError> for Error {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Here(error) => error.into(),
            RemoteError::Unreachable { .. } => {
                Self::from_source(Kind::Unreachable, &error).hint("git's own message is above")
            }
            RemoteError::NoPushOptions { .. } => {
                Self::from_source(Kind::Refused, &error).hint("run with --push instead")
            }
            RemoteError::NotAllowed { .. } => Self::from_source(Kind::NotAllowed, &error)
                .hint("git's own message is above; what git may do there is its own matter, not GITLAB_TOKEN's"),
            RemoteError::Overtaken { .. } => {
                Self::from_source(Kind::Unreachable, &error).hint("run the same command again")
            }
            RemoteError::Declined { .. } => {
                Self::from_source(Kind::Refused, &error).hint("what the remote says about it is above")
            }
            RemoteError::Unknown { .. } => Self::from_source(Kind::HalfWay, &error)
                .hint("git's own message, or that of its pre-push hook, is above")
                .hint("run the same command again: it looks at the remote first, and goes on from what it finds"),
        }
    }
}

impl From<DeliverError> for Error {
    fn from(error: DeliverError) -> Self {
        let start = Self::from_source(Kind::Refused, &error);
        error.hints().into_iter().fold(start, Self::hint)
    }
}

impl From<Protected> for Error {
    fn from(error: Protected) -> Self {
        Self::from_source(Kind::Refused, &error)
            .hint("run again with --mr: it opens a merge request instead")
            .hint("or work on a branch of your own: git switch --create NAME")
    }
}

impl From<RepoLockError> for Error {
    fn from(error: RepoLockError) -> Self {
        match error {
            RepoLockError::Held { .. } => {
                Self::from_source(Kind::Unreachable, &error).hint("wait for it to end, then run again")
            }
            RepoLockError::Io { .. } => Self::from_source(Kind::Failed, &error).hint(
                "the folder provision in the git directory must be writable; nothing is done without it",
            ),
        }
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        with_hint(Kind::Refused, &error, error.hint())
    }
}

impl From<OverlapError> for Error {
    fn from(error: OverlapError) -> Self {
        Self::from_source(Kind::Usage, &error)
    }
}

impl From<EnvironError> for Error {
    fn from(error: EnvironError) -> Self {
        let kind = match error {
            EnvironError::Dangerous { .. } | EnvironError::Collision { .. } => Kind::Refused,
            EnvironError::Name { .. }
            | EnvironError::Mapping { .. }
            | EnvironError::Nameless { .. }
            | EnvironError::Missing { .. }
            | EnvironError::SeveralFiles { .. }
            | EnvironError::TwoMeanings { .. }
            | EnvironError::NotALeaf { .. }
            | EnvironError::Document { .. }
            | EnvironError::Nul { .. }
            | EnvironError::Locate(_) => Kind::Usage,
        };
        let hint = match &error {
            EnvironError::Collision { another: Some((name, place)), .. } => {
                format!("give one of them another name: --map {name}={}", word(place))
            }
            EnvironError::Collision { .. } => "give one of them another name: --map NAME=PATH".to_owned(),
            EnvironError::Nameless { .. } => {
                "give it a name: --map NAME=PATH, or leave it out with --only".to_owned()
            }
            EnvironError::Dangerous { name, .. } => {
                format!(
                    "if the program needs it: --map {name}=PATH; else --only takes the values that you want"
                )
            }
            EnvironError::Missing { .. } => "provision show lists the keys".to_owned(),
            EnvironError::SeveralFiles { exactly: [first, second], .. } => {
                format!("say which one: {} or {}", word(first), word(second))
            }
            EnvironError::TwoMeanings { text, .. } => {
                format!("as a path it is {}", word(format!("[{}]", serde_json::Value::from(text.as_str()))))
            }
            EnvironError::NotALeaf { .. } => "name one of the values in it".to_owned(),
            EnvironError::Document { .. } => "name the values that you want with --only".to_owned(),
            EnvironError::Nul { .. } => {
                "leave it out with --only; provision show --reveal prints it".to_owned()
            }
            EnvironError::Name { .. } | EnvironError::Mapping { .. } | EnvironError::Locate(_) => {
                return Self::from_source(kind, &error);
            }
        };
        Self::from_source(kind, &error).hint(hint)
    }
}

impl From<QuoteError> for Error {
    fn from(error: QuoteError) -> Self {
        let hint = match &error {
            QuoteError::NotText { .. } => "provision exec gives it to a program as it is",
            QuoteError::Disputed { .. } => "--format json and --format sh take every text",
        };
        Self::from_source(Kind::Refused, &error).hint(hint)
    }
}
