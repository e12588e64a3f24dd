//! What a run is going to do, decided beforehand as data that can be printed, serialised and compared.
//!
//! A planner is a pure function of what is wanted (the profile), what is (`observed`) and the time. `apply` does what
//! a plan says and decides nothing.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::sops;
use crate::token::{Owner, Record, Role, Scopes, TokenId};

pub mod access;
pub mod adopt;
pub mod at_gitlab;
pub mod deliver;
pub mod health;
pub mod message;
pub mod observed;
pub mod pasted;
pub mod provision;
pub mod recover;
pub mod rekey;
pub mod request;
pub mod retire;
pub mod review;

/// What a run does to one environment, in order. Empty `steps`: all is as it should be.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The environment.
    pub environment: String,
    /// Address of its GitLab.
    pub gitlab: String,
    /// GitLab's time when it was planned.
    pub at: Timestamp,
    /// What will be done, in this order.
    pub steps: Vec<Step>,
    /// Entries that need nothing.
    pub healthy: Vec<Healthy>,
    /// What a person should know before saying yes, and nothing is done about.
    pub notes: Vec<Note>,
    /// Marks of requests without a reply that may still be committed at GitLab.
    pub watched: Vec<String>,
}

/// An entry that needs nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Healthy {
    /// Key of the entry.
    pub key: String,
    /// Its current token.
    pub id: TokenId,
    /// Its end, as GitLab says.
    pub expires: Option<Date>,
}

/// One effect, or a group of effects that only make sense together.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Revoke a token of our own that an interrupted run made and nobody can use.
    Withdraw {
        /// Key of the entry that it was meant for.
        key: String,
        /// Whose it is.
        owner: Owner,
        /// GitLab's number.
        id: TokenId,
        /// The mark in its description, which must still be there.
        mark: String,
        /// Why it is of no use.
        why: String,
    },
    /// Make a token at GitLab.
    Mint(Mint),
    /// Take a personal token that a person makes in GitLab's form: there is no API for it.
    Paste(Mint),
    /// Use the token that an interrupted run made and recorded.
    Finish {
        /// Key of the entry.
        key: String,
        /// Whose it is.
        owner: Owner,
        /// What GitLab answered to the interrupted run.
        record: Record,
        /// Its mark.
        mark: String,
        /// The token that it takes the place of.
        replaces: Option<TokenId>,
    },
    /// Render an entry's slots again from the value that one of them still holds.
    Render {
        /// Key of the entry.
        key: String,
        /// Its current token.
        id: TokenId,
        /// The slot whose value is the token.
        from: observed::Slot,
    },
    /// Revoke a superseded token whose overlap is over.
    Retire(Retire),
    /// Bring a file of the work tree back to what HEAD has: an interrupted run replaced it, and nothing of that is
    /// wanted any more.
    Restore {
        /// Its path.
        path: String,
    },
    /// Write a secrets file.
    Write(Write),
    /// Write the lock.
    Lock {
        /// Its path.
        path: String,
        /// Superseded tokens that have ended, and leave it.
        ended: Vec<TokenId>,
    },
    /// Commit exactly these paths.
    Commit {
        /// Relative to the repository root.
        paths: Vec<String>,
    },
    /// Push what earlier runs committed for this environment and the remote does not have.
    Push {
        /// Where to: `main at origin`.
        to: String,
        /// How many commits go there, whoever made them.
        commits: u64,
    },
}

/// A token to be made.
#[derive(Debug, Serialize)]
pub struct Mint {
    /// Key of the entry.
    pub key: String,
    /// Whose it will be.
    pub owner: Owner,
    /// The name that GitLab shows.
    pub name: String,
    /// For group and project tokens.
    pub role: Option<Role>,
    /// What it may do.
    pub scopes: Scopes,
    /// The expiry to ask for.
    pub expires: AskedExpiry,
    /// The current token, which lives on until its overlap is over.
    pub replaces: Option<TokenId>,
    /// Why it is made.
    pub because: Vec<Reason>,
}

/// The expiry that a mint asks for.
#[derive(Clone, Debug, Serialize)]
pub struct AskedExpiry {
    /// As it stands in the profile.
    pub written: String,
    /// First day on which the token no longer works; `None`: never.
    pub date: Option<Date>,
    /// Whether an earlier date is taken where GitLab says that this one is too far away (`max` only).
    pub or_earlier: bool,
}

/// A token to be revoked, with all that must still be true of it.
#[derive(Clone, Debug, Serialize)]
pub struct Retire {
    /// Key of the entry that it belonged to.
    pub key: String,
    /// GitLab's number.
    pub id: TokenId,
    /// Whose it is.
    pub owner: Owner,
    /// Its name, which must still be the same.
    pub name: String,
    /// When it was made, which must still be the same.
    pub created: Timestamp,
    /// The mark in its description, which must still be there.
    pub mark: String,
    /// When the overlap ended.
    pub due_since: Timestamp,
}

/// A secrets file to be written.
#[derive(Debug, Serialize)]
pub struct Write {
    /// Its path.
    pub file: String,
    /// Name of its template.
    pub template: String,
    /// Whether it is made anew from the template.
    pub create: bool,
    /// How many can read it.
    pub readers: usize,
    /// The leaves that are set.
    pub leaves: Vec<sops::Path>,
}

/// Why a token is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// There is none yet.
    New,
    /// GitLab no longer knows the current one.
    Gone,
    /// The current one was revoked.
    Revoked,
    /// The current one has come to its end.
    Expired {
        /// First day on which it no longer worked.
        on: Date,
    },
    /// The current one comes to its end soon.
    Due {
        /// Its end.
        expires: Date,
        /// Since when it counts as due.
        since: Date,
    },
    /// The profile asks for something else than was minted.
    Changed {
        /// Which field.
        field: &'static str,
        /// What was minted.
        was: String,
        /// What the profile asks for.
        wanted: String,
    },
    /// A slot holds no value of this token, and no other slot does.
    ValueLost {
        /// The slot.
        slot: observed::Slot,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("it does not exist yet"),
            Self::Gone => f.write_str("GitLab no longer knows the current one"),
            Self::Revoked => f.write_str("the current one was revoked"),
            Self::Expired { on } => write!(f, "the current one expired on {on}"),
            Self::Due { expires, since } => {
                write!(f, "the current one expires on {expires} and is due since {since}")
            }
            Self::Changed { field, was, wanted } => {
                write!(f, "{field} changes from {was} to {wanted}")
            }
            Self::ValueLost { slot } => {
                write!(f, "its value is no longer in {} {}", slot.file, slot.path)
            }
        }
    }
}

/// Something that a person should know, and nothing is done about.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    /// Whether it makes the exit code 3.
    pub attention: bool,
    /// One sentence.
    pub text: String,
}

impl Note {
    pub(crate) fn info(text: impl Into<String>) -> Self {
        Self { attention: false, text: text.into() }
    }

    pub(crate) fn attention(text: impl Into<String>) -> Self {
        Self { attention: true, text: text.into() }
    }
}

/// Why no plan is made: a rule refuses, and nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A secrets file and the policy disagree; writing to it would be for the wrong readers.
    #[error("{file} does not agree with the policy: {}", differences.join("; "))]
    PolicyDiffers {
        /// The secrets file.
        file: String,
        /// One sentence each.
        differences: Vec<String>,
    },
    /// The lock names a token that is not the one it describes.
    #[error("the lock's token {id} of {key} is another one at GitLab: {why}")]
    NotOurs {
        /// Key of the entry.
        key: String,
        /// The id in the lock.
        id: TokenId,
        /// What differs.
        why: String,
    },
    /// The profile's expiry cannot be asked for today.
    #[error("{profile}: token `{key}`: {why}")]
    Expiry {
        /// Path of the profile.
        profile: String,
        /// Key of the entry.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// The profile wants a kind of change that this version does not make.
    #[error("{key} has `strategy: in-place`, which replaces a token by GitLab's rotate")]
    InPlace {
        /// Key of the entry.
        key: String,
    },
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether a note asks for care.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.notes.iter().any(|note| note.attention)
    }

    /// What a person says yes to, to be compared with another plan: tokens, owners, scopes, files and readers. Whether a
    /// file is made or changed is left out, since another environment may make a file that both share.
    #[must_use]
    pub fn consent(&self) -> Vec<String> {
        let texts = self.steps.iter().map(|step| match step {
            Step::Write(write) => format!("write {} for {}", write.file, write.readers),
            step => serde_json::to_string(step).unwrap_or_default(),
        });
        texts.collect()
    }

    /// Whether this plan does more than another one that a person said yes to: another token, or the revocation of one,
    /// or another file or other readers. Finishing and withdrawing what a run of our own made is never more.
    #[must_use]
    pub fn exceeds(&self, shown: &Self) -> bool {
        let agreed: Vec<String> = shown.steps.iter().filter_map(agreement).collect();
        self.steps.iter().filter_map(agreement).any(|step| !agreed.contains(&step))
    }

    /// The mints, in order.
    pub fn mints(&self) -> impl Iterator<Item = &Mint> {
        self.steps.iter().filter_map(|step| match step {
            Step::Mint(mint) => Some(mint),
            _ => None,
        })
    }

    /// Adds the push of what earlier runs committed and the remote does not have, unless a commit of this run takes it
    /// along. `waiting`: where to, and how many commits.
    pub fn push_waiting(&mut self, waiting: Option<(String, u64)>) {
        let waiting = waiting.filter(|_| !self.commits());
        self.steps.extend(waiting.map(|(to, commits)| Step::Push { to, commits }));
    }

    /// Whether it makes a commit.
    #[must_use]
    pub fn commits(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Commit { .. }))
    }

    /// The tokens to be taken from a person, in order.
    pub fn pastes(&self) -> impl Iterator<Item = &Mint> {
        self.steps.iter().filter_map(|step| match step {
            Step::Paste(mint) => Some(mint),
            _ => None,
        })
    }

    /// The files to be written, in order.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.steps.iter().filter_map(|step| match step {
            Step::Write(write) => Some(write),
            _ => None,
        })
    }
}

/// What of a step a person has to agree to, comparable with that of another plan.
fn agreement(step: &Step) -> Option<String> {
    match step {
        Step::Mint(mint) | Step::Paste(mint) => serde_json::to_string(mint).ok(),
        Step::Retire(retire) => Some(format!("retire {} of {}", retire.id, retire.owner.path)),
        Step::Write(write) => Some(format!("write {} for {}", write.file, write.readers)),
        Step::Push { to, .. } => Some(format!("push to {to}")),
        Step::Withdraw { .. }
        | Step::Finish { .. }
        | Step::Render { .. }
        | Step::Restore { .. }
        | Step::Lock { .. }
        | Step::Commit { .. } => None,
    }
}

#[cfg(test)]
mod tests;
