//! The lock: public facts of the tokens that were minted for one environment, kept beside its profile in git.
//!
//! It holds no secret. It is a note, not an order: whoever acts on it looks at GitLab first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::instance::Instance;
use crate::profile::{Environment, UserName};
use crate::sops::Path;
use crate::token::{Kind, Known, Owner, Role, Scopes, TokenId};

mod file;

/// The format that this version writes, and the newest that it reads.
pub const VERSION: u64 = 1;

/// What was minted for one environment (for a personal one: for one user).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// By the key of the profile's entry.
    pub tokens: BTreeMap<String, Entry>,
}

/// The current token of one entry of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// GitLab's number of the token.
    pub id: TokenId,
    /// Where it lives.
    pub gitlab: Instance,
    /// Kind and owner, resolved when it was minted.
    pub owner: Owner,
    /// The name that GitLab shows.
    pub name: String,
    /// `None` for personal tokens.
    pub role: Option<Role>,
    /// As a set.
    pub scopes: Scopes,
    /// When GitLab made it.
    pub created: Timestamp,
    /// First day (UTC) on which it no longer works; `None`: never expires.
    pub expires: Option<Date>,
    /// `expires` of the profile as it was written when the token was minted.
    pub requested: String,
    /// The random mark in its description; `None` where the instance has no descriptions.
    pub mark: Option<String>,
    /// Scopes beyond those of the profile that a person has accepted with a personal token made by hand.
    pub accepted: Scopes,
    /// Per secrets file: the slots that carry it.
    pub slots: BTreeMap<String, Slots>,
    /// Earlier tokens of this entry that have not been retired, oldest first.
    pub superseded: Vec<Superseded>,
}

/// The slots of one secrets file: path (`["GITLAB_TOKEN"]` in the text) → [`digest`] of the leaf's ENC string.
pub type Slots = BTreeMap<Path, String>;

/// An earlier token of an entry that still has to be retired: what is needed to recognise it before a DELETE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Superseded {
    /// GitLab's number of the token.
    pub id: TokenId,
    /// Where it lives: the entry may have moved to another instance.
    pub gitlab: Instance,
    /// Kind and owner: the entry may have moved to another group.
    pub owner: Owner,
    /// The name that GitLab shows.
    pub name: String,
    /// When GitLab made it.
    pub created: Timestamp,
    /// The random mark in its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// First day (UTC) on which it no longer works; `None`: never expires.
    #[serde(deserialize_with = "file::present")]
    pub expires: Option<Date>,
    /// How long it lives on, where that was said when it was superseded; else the profile says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
}

impl Entry {
    /// What must be true of the token before it is revoked or rotated.
    #[must_use]
    pub fn known(&self) -> Known {
        self.supersede().known()
    }

    /// This entry as one that has been superseded.
    #[must_use]
    pub fn supersede(&self) -> Superseded {
        Superseded {
            id: self.id,
            gitlab: self.gitlab.clone(),
            owner: self.owner.clone(),
            name: self.name.clone(),
            created: self.created,
            mark: self.mark.clone(),
            expires: self.expires,
            overlap: None,
        }
    }

    /// Personal, group or project.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.owner.kind
    }
}

impl Superseded {
    /// As [`Entry::known`].
    #[must_use]
    pub fn known(&self) -> Known {
        Known {
            id: self.id,
            owner: self.owner.clone(),
            name: self.name.clone(),
            created: self.created,
            mark: self.mark.clone(),
        }
    }
}

impl Lock {
    /// Takes out what entries have in these files, where they have slots elsewhere too: one without any waits for its value.
    /// Returns the files of which something went.
    pub fn forget(&mut self, files: &BTreeSet<String>) -> BTreeSet<String> {
        let mut forgotten = BTreeSet::new();
        for entry in self.tokens.values_mut() {
            if entry.slots.keys().all(|file| files.contains(file)) {
                continue;
            }
            entry.slots.retain(|file, _| {
                let stays = !files.contains(file);
                if !stays {
                    forgotten.insert(file.clone());
                }
                stays
            });
        }
        forgotten
    }
}

/// Why a lock cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Not a lock, or not one that this version understands.
    #[error("{path}:{line}:{column}: {message}")]
    Invalid {
        /// The lock's path.
        path: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Written by a newer program.
    #[error(
        "{path}: this lock has version {version}, but this program reads up to version {VERSION}; update provision"
    )]
    Newer {
        /// The lock's path.
        path: String,
        /// The version it names.
        version: u64,
    },
}

impl LockError {
    /// What helps.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid { path, .. } => {
                Some(format!("git log -- {path} shows its commits; bring a good one back, and commit it"))
            }
            Self::Newer { .. } => None,
        }
    }
}

impl Lock {
    /// Reads a lock. `path` is for error texts only.
    ///
    /// # Errors
    /// A newer version, an unknown, missing or repeated field, a value of the wrong form; with its position.
    pub fn read(path: &str, text: &str) -> Result<Self, LockError> {
        file::read(path, text)
    }

    /// Whether it names this token of this instance, as a current or a superseded one.
    #[must_use]
    pub fn names(&self, id: TokenId, at: &Instance) -> bool {
        self.ids_at(at).any(|named| named == id)
    }

    /// Ids of its current tokens at this instance. Another one gives the same numbers to other tokens.
    pub fn current_at(&self, instance: &Instance) -> impl Iterator<Item = TokenId> {
        self.tokens.values().filter(move |entry| entry.gitlab == *instance).map(|entry| entry.id)
    }

    /// Ids of its superseded tokens at this instance.
    pub fn superseded_at(&self, instance: &Instance) -> impl Iterator<Item = TokenId> {
        let superseded = self.tokens.values().flat_map(|entry| &entry.superseded);
        superseded.filter(move |old| old.gitlab == *instance).map(|old| old.id)
    }

    /// Both.
    pub fn ids_at(&self, instance: &Instance) -> impl Iterator<Item = TokenId> {
        self.current_at(instance).chain(self.superseded_at(instance))
    }

    /// The lock as YAML: entries, files, slots and scopes sorted, so that equal locks are equal texts.
    #[must_use]
    pub fn write(&self) -> String {
        file::write(self)
    }
}

/// The folder of all locks.
pub const FOLDER: &str = "environments/locks";

/// Path of an environment's lock, relative to the repository root: one per user where the environment is personal;
/// `None` for a personal environment without a user.
#[must_use]
pub fn path(environment: &Environment, user: Option<&UserName>) -> Option<String> {
    let name = &environment.name;
    if environment.is_personal() {
        return user.map(|user| path_of_user(environment, user.as_str()));
    }
    Some(format!("{FOLDER}/{name}.yaml"))
}

/// The same for a user who is called so.
#[must_use]
pub fn path_of_user(environment: &Environment, user: &str) -> String {
    format!("{FOLDER}/{}/{user}.yaml", environment.name)
}

/// The environment that a lock at this path is of, and the user of a personal one; `None` for what is no lock's path.
#[must_use]
pub fn owner(path: &str) -> Option<(&str, Option<&str>)> {
    let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".yaml")?;
    match name.split_once('/') {
        None => Some((name, None)),
        Some((_, user)) if user.contains('/') => None,
        Some((environment, user)) => Some((environment, Some(user))),
    }
}

/// SHA-256 of a leaf's ENC string, in lower-case hex: says whether a leaf is still the one that was written, without
/// a key.
#[must_use]
pub fn digest(enc: &str) -> String {
    Sha256::digest(enc.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
#[path = "lock/tests.rs"]
mod tests;
