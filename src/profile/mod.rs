//! `environments/*.yaml`: what should exist, as data. Reading them, with positions, is in [`read`].

pub mod expiry;
mod fields;
mod names;
pub mod read;
pub mod schema;
pub mod scope;
pub(crate) mod spelling;

use jiff::Span;
use jiff::civil::Date;

use crate::instance::Instance;
use crate::problem::Problems;
use crate::token::{Kind, Role, Scopes};

pub(crate) use names::is_component;
pub use names::{NameError, USER, UserName, group_path};

/// Everything that is wrong in one profile.
pub type ProfileError = Problems;

/// One environment: one file in `environments/`.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `qa` for `environments/qa.yaml`.
    pub name: String,
    /// The profile's own path, relative to the repository root, with `/`.
    pub path: String,
    /// Where its tokens live.
    pub gitlab: Instance,
    /// The encrypted files that take its tokens; at least one.
    pub secrets: Vec<SecretsFile>,
    /// Its tokens in the order of the profile; at least one, but where the profile is gone.
    pub tokens: Vec<Token>,
    /// Whether it has no profile any more: what is known of it is what its locks remember.
    pub is_unlisted: bool,
}

/// One SOPS-encrypted file of an environment.
#[derive(Clone, Debug)]
pub struct SecretsFile {
    /// Path relative to the repository root, with `/`; may contain `{user}`.
    pub file: String,
    /// Name of its template in `templates/`.
    pub template: String,
    /// Whose keys it is encrypted for.
    pub recipients: Recipients,
    /// `false` keeps the file out of git.
    pub commit: bool,
}

/// Whose keys a secrets file is encrypted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// Those that the policy `.sops.yaml` names.
    Policy,
    /// Only the identities of the person who runs this.
    Own,
}

/// One entry of an environment: a token that should exist.
#[derive(Clone, Debug)]
pub struct Token {
    /// The entry's key in the profile: `backstage`.
    pub key: String,
    /// Personal, group or project.
    pub kind: Kind,
    /// Full path of the group or project; `None` for personal tokens, which belong to whoever runs this.
    pub owner: Option<String>,
    /// The name that GitLab shows.
    pub name: String,
    /// For group and project tokens; always sent, as GitLab's default is Maintainer.
    pub role: Option<Role>,
    /// What it may do.
    pub scopes: Scopes,
    /// How long it should live.
    pub expires: Expires,
    /// `expires` as it stands in the profile (`max` where it does not): what the lock remembers and compares.
    pub expires_as_written: String,
    /// How long before its end it counts as due. Never more than a third of its life (see `Token::due_on`).
    pub renew_before: Span,
    /// How long a superseded token lives after its successor is upstream.
    pub overlap: Span,
    /// The key that it had before, where it was renamed.
    pub moved_from: Option<String>,
    /// How it is replaced.
    pub strategy: Strategy,
}

/// How long a token should live.
#[derive(Clone, Copy, Debug)]
pub enum Expires {
    /// The longest that the instance allows.
    Max,
    /// No end, where the instance allows that.
    Never,
    /// A duration from the day of minting: `90d`, `P1Y`.
    After(Span),
    /// A date: the first day on which it no longer works.
    On(Date),
}

/// How a token is replaced by its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Mint, verify, commit, and retire the old one later.
    Replace,
    /// GitLab's own rotate: keeps the bot user, kills the old value at once.
    InPlace,
}

impl Environment {
    /// Whether each user has tokens, secrets files and a lock of their own (`recipients: self`).
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.secrets.iter().any(|secrets| secrets.recipients == Recipients::Own)
    }

    /// The first of its secrets files that git does not keep (`commit: false`): nothing of the environment can be delivered.
    #[must_use]
    pub fn outside_git(&self) -> Option<&SecretsFile> {
        self.secrets.iter().find(|secrets| !secrets.commit)
    }

    /// The entry with this key.
    #[must_use]
    pub fn token(&self, key: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.key == key)
    }
}

impl SecretsFile {
    /// Its path with `{user}` filled in; `None` where it needs a user and there is none.
    #[must_use]
    pub fn path_for(&self, user: Option<&UserName>) -> Option<String> {
        if !self.file.contains(USER) {
            return Some(self.file.clone());
        }
        user.map(|user| self.file.replacen(USER, user.as_str(), 1))
    }

    /// Whether `path` is this file, of whatever user.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some((before, after)) = self.file.split_once(USER) else { return self.file == path };
        let user = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        user.is_some_and(|user| !user.is_empty() && !user.contains('/'))
    }
}
