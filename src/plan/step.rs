//! What a plan is made of: one effect, or a group of effects that only make sense together, each.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Reason, observed};
use crate::sops;
use crate::token::{Known, Owner, Record, Role, Scopes, TokenId};

/// One effect, or a group of effects that only make sense together.
#[derive(Clone, Debug, Serialize)]
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
        /// The mark that the journal knows it by.
        mark: String,
        /// How it is known to be ours.
        proof: Proof,
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
        /// The mark that the journal knows it by.
        mark: String,
        /// The mark in its description.
        carries: String,
        /// The token that it takes the place of.
        #[serde(flatten)]
        takes_over: TakesOver,
        /// How long that one lives on, as it was said for the interrupted run.
        overlap: Option<String>,
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
    /// An entry has another key in the profile now.
    Move {
        /// Its key in the lock.
        from: String,
        /// Its key in the profile.
        to: String,
    },
    /// Revoke a token of an entry that ends, and prove it.
    Revoke(Revoke),
    /// Revoke a superseded token whose overlap is over.
    Retire(Retire),
    /// Revoke a token that was replaced, as the last thing: its successor is where the person wanted it then.
    RetireAtOnce(Retire),
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
        /// Entries that leave it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        removed: Vec<String>,
        /// Files that are gone, and leave it.
        #[serde(skip_serializing_if = "BTreeSet::is_empty")]
        forgotten: BTreeSet<String>,
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

/// What proves that a token which an interrupted run made is ours.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The mark in its description, which must still be there; that of its predecessor where GitLab's rotate made it.
    Mark(String),
    /// It has no mark: the value that the journal has, with which it ends itself.
    Value,
}

/// The token whose place a new one takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TakesOver {
    /// It is the first one of its entry.
    Nothing {},
    /// It lives on until its overlap is over, or something else ends it.
    Living {
        /// GitLab's number.
        replaces: TokenId,
    },
    /// GitLab's rotate made the new one out of it, which ended it.
    Rotated {
        /// GitLab's number.
        rotates: TokenId,
    },
}

impl TakesOver {
    /// The token, whatever becomes of it.
    #[must_use]
    pub fn id(self) -> Option<TokenId> {
        match self {
            Self::Nothing {} => None,
            Self::Living { replaces: id } | Self::Rotated { rotates: id } => Some(id),
        }
    }

    /// The token, where it does not end with this.
    #[must_use]
    pub fn living(self) -> Option<TokenId> {
        self.id().filter(|_| !self.is_rotation())
    }

    /// The token, where it is dead already.
    #[must_use]
    pub fn ended(self) -> Option<TokenId> {
        self.id().filter(|_| self.is_rotation())
    }

    /// Whether GitLab's rotate made the new one.
    #[must_use]
    pub fn is_rotation(self) -> bool {
        matches!(self, Self::Rotated { .. })
    }

    /// Of the lock's current token, and the one that was rotated. That may be another: one whose value was lost.
    pub(super) fn of(current: Option<TokenId>, rotated: Option<&Known>) -> Self {
        match (current, rotated) {
            (None, None) => Self::Nothing {},
            (Some(replaces), None) => Self::Living { replaces },
            (current, Some(rotated)) => Self::Rotated { rotates: current.unwrap_or(rotated.id) },
        }
    }
}

/// A token to be made.
#[derive(Clone, Debug, Serialize)]
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
    /// How long that one lives on, as it was said for this run; `None`: as the profile says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// Made by GitLab's rotate out of this token, which ends with that; `None`: made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotates: Option<Known>,
    /// Why it is made.
    pub because: Vec<Reason>,
    /// Marks of interrupted rotations that are settled when this one is done, and not before.
    #[serde(skip)]
    pub settles: Vec<String>,
}

impl Mint {
    /// The token whose place it takes.
    #[must_use]
    pub fn takes_over(&self) -> TakesOver {
        TakesOver::of(self.replaces, self.rotates.as_ref())
    }
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

/// A token to be revoked.
#[derive(Clone, Debug, Serialize)]
pub struct Retire {
    /// Key of the entry that it belongs, or belonged, to.
    pub key: String,
    /// The token.
    #[serde(flatten)]
    pub token: Known,
    /// Why.
    pub because: Why,
}

/// A token to be revoked whatever becomes of its entry.
#[derive(Clone, Debug, Serialize)]
pub struct Revoke {
    /// Which, and why.
    #[serde(flatten)]
    pub retire: Retire,
    /// The slot where its value can be read, so that it can be tried afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<observed::Slot>,
}

/// Why a token is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// It is superseded, and its overlap is over.
    OverlapOver {
        /// Since when.
        since: Timestamp,
    },
    /// Its successor takes its place without an overlap.
    NoOverlap {
        /// Where that is then.
        once: Once,
    },
    /// Somebody asked for it.
    Asked,
    /// The profile no longer has its entry.
    NotInProfile,
    /// No lock names it: the run that made it is gone.
    Orphan {
        /// When it was made.
        created: Timestamp,
    },
    /// Its value is in the wrong hands.
    Leaked {
        /// When GitLab last saw it used.
        last_used: Option<Timestamp>,
    },
}

/// Where a successor is before the token that it replaces without an overlap is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Once {
    /// Upstream: `--overlap 0s --push`.
    Upstream,
    /// In a commit here: `--overlap 0s --force`.
    Committed,
}

/// A secrets file to be written.
#[derive(Clone, Debug, Serialize)]
pub struct Write {
    /// Its path.
    pub file: String,
    /// Name of its template.
    pub template: String,
    /// Whether it is made anew from the template.
    pub create: bool,
    /// Who can read it.
    pub readers: Readers,
    /// The leaves that are set.
    pub leaves: Vec<sops::Path>,
    /// The leaves that are blanked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blank: Vec<sops::Path>,
}

/// Who can read a secrets file, with keys of whatever type, as the policy writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readers {
    /// The groups of them.
    pub groups: Vec<BTreeSet<String>>,
    /// Of how many groups it takes one reader each.
    pub threshold: usize,
}

impl Readers {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.groups.iter().flatten().collect::<BTreeSet<_>>().len()
    }
}

impl Write {
    /// Whether it gives the leaf its value: a file that is made anew has all of them from its template.
    #[must_use]
    pub fn sets(&self, leaf: &sops::Path) -> bool {
        self.create || self.leaves.contains(leaf)
    }
}
