//! What is, as far as a planner needs to know it: no values, no handles, no way to find out more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::Readers;
use crate::journal::{Intent, Retiring};
use crate::lock::Lock;
use crate::sops;
use crate::token::{Known, Owner, Record, TokenId};

/// Everything that one environment's plan is made from, besides the profile itself.
#[derive(Debug)]
pub struct Observed {
    /// GitLab's own time where it was asked, else this machine's.
    pub now: Timestamp,
    /// The token that we act with: never withdrawn, whatever a lock says.
    pub operator: Option<TokenId>,
    /// The lock as it stands at HEAD.
    pub lock: Lock,
    /// Where the lock is, relative to the repository root.
    pub lock_path: String,
    /// Entries that have another key in the profile than in the lock at HEAD: the old one and the new one, which `lock`
    /// has already.
    pub moved: Vec<(String, String)>,
    /// Files that the lock names, and that are neither wanted nor there.
    pub gone: BTreeSet<String>,
    /// Tokens of the environment that no lock of any branch names, where they were looked for.
    pub orphans: Vec<Orphan>,
    /// Owner of each entry of the profile, by its key.
    pub owners: BTreeMap<String, Owner>,
    /// GitLab's record of every id that the lock names.
    pub live: BTreeMap<TokenId, Live>,
    /// The secrets files in the order of the profile.
    pub files: Vec<FileState>,
    /// Entries whose value can be read from a slot here, and from which one. Filled only where some slot of the
    /// entry does not agree with the lock.
    pub at_hand: BTreeMap<String, Slot>,
    /// What an interrupted run left in the journal.
    pub pending: Vec<Pending>,
    /// Files of the work tree that stand as an interrupted run left them, and not as HEAD has them.
    pub left: Vec<String>,
    /// The lock as it stands upstream; empty where nothing can be said about that.
    pub upstream: Lock,
    /// Since when each superseded token is superseded upstream.
    pub superseded_since: BTreeMap<TokenId, Timestamp>,
    /// Tokens without a mark, made by hand, whose value git's history still has: the superseded ones, and where current ones
    /// may be revoked, those too.
    pub by_value: BTreeSet<TokenId>,
    /// Tokens that GitLab describes as minted for another environment, and for which; an earlier name of this one does not
    /// count as another.
    pub minted_elsewhere: BTreeMap<TokenId, String>,
    /// Why nothing can be said about upstream, where that is so.
    pub upstream_unknown: Option<String>,
    /// Ids that are current in any lock of the repository, here or upstream.
    pub current_anywhere: BTreeSet<TokenId>,
    /// Those of them that are current in the lock of another environment or user.
    pub current_elsewhere: BTreeMap<TokenId, OtherLock>,
    /// Tokens that an interrupted run was about to revoke.
    pub retiring: Vec<Retiring>,
    /// What the locks of all branches have of those tokens and of their successors.
    pub branches: Branches,
    /// Whether GitLab makes personal tokens by API for whoever runs this: for administrators only.
    pub personal_by_api: bool,
    /// Readers that the policy at HEAD has and upstream's has not.
    pub new_readers: Vec<String>,
    /// Whether what this run commits is upstream when it ends.
    pub arrives_upstream: bool,
}

/// The lock of another environment or user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherLock {
    /// Its path.
    pub path: String,
    /// Whether it is so upstream only: the work tree has it no more, or not yet.
    pub upstream: bool,
}

impl fmt::Display for OtherLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.upstream { f.write_str(" upstream") } else { Ok(()) }
    }
}

/// What the locks of all branches of this clone, its own and its remotes', have of some tokens.
#[derive(Clone, Debug, Default)]
pub struct Branches {
    /// Where a token is the current one: `environments/locks/qa.yaml on main`.
    pub current: BTreeMap<TokenId, String>,
    /// The tokens that one of them names.
    pub named: BTreeSet<TokenId>,
}

/// A token that carries a mark of the environment and that no lock names.
#[derive(Debug)]
pub struct Orphan {
    /// The entry that it was made for, by its description.
    pub key: String,
    /// What must be true of it before it is revoked.
    pub token: Known,
    /// When GitLab last saw it used.
    pub last_used: Option<Timestamp>,
}

/// What GitLab says of an id.
#[derive(Debug)]
pub enum Live {
    /// It knows the token.
    Known(Record),
    /// It does not (deleted long after its end), or not for us.
    Gone,
    /// Its owner is gone, or GitLab does not show this credential the owner's tokens.
    OutOfSight,
}

impl Live {
    /// Whether it works.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Known(record) if record.active)
    }

    /// Whether it works, or cannot be known not to.
    #[must_use]
    pub fn may_live(&self) -> bool {
        self.is_active() || matches!(self, Self::OutOfSight)
    }
}

/// One secrets file as it is.
#[derive(Debug)]
pub struct FileState {
    /// Path relative to the repository root, `{user}` filled in.
    pub path: String,
    /// Name of its template.
    pub template: String,
    /// Whether it is there.
    pub exists: bool,
    /// Whether it belongs into the commit.
    pub commit: bool,
    /// Whom it is, or will be, encrypted for.
    pub readers: Readers,
    /// Where it and the policy differ, one sentence each.
    pub differences: Vec<String>,
    /// The leaves that follow tokens, in the order of the template.
    pub slots: Vec<SlotState>,
    /// Leaves that the lock remembers as slots of entries that the profile has no more, and that are unchanged.
    pub former: Vec<Former>,
    /// With `--sync-template`: other leaves whose value is not the template's.
    pub stale: Vec<sops::Path>,
}

/// A leaf that was a slot.
#[derive(Debug)]
pub struct Former {
    /// Key of the entry in the lock.
    pub key: String,
    /// Where it is in the file.
    pub path: sops::Path,
}

/// One slot of a secrets file.
#[derive(Debug)]
pub struct SlotState {
    /// Where it is in the file.
    pub path: sops::Path,
    /// Keys of the entries that it follows.
    pub tokens: BTreeSet<String>,
    /// The state of its leaf.
    pub leaf: Leaf,
}

/// How the leaf of a slot compares with the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// Its ENC string is the one that the lock remembers.
    Agrees,
    /// It is there, and it is another one.
    Differs,
    /// It is not there.
    Missing,
}

/// A slot by file and path.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Slot {
    /// Path of the secrets file.
    pub file: String,
    /// Where in the file.
    pub path: sops::Path,
}

/// A mint that an interrupted run began.
#[derive(Debug)]
pub struct Pending {
    /// What it was about to do, as it wrote down beforehand.
    pub intent: Intent,
    /// What became of it.
    pub outcome: Outcome,
    /// What of the place that it was planned on is another one here; `None`: nothing.
    pub elsewhere: Option<Elsewhere>,
    /// A remote that its run pushed to, and that this clone has no more: it may be in use there.
    pub out_of_reach: Option<String>,
    /// Whether a person gave it up.
    pub given_up: bool,
}

/// In what a run stands on other ground than the one that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// That one worked in another worktree: the user's, at this path, or one of ours (`None`), which a run that delivers
    /// has.
    Worktree(Option<String>),
    /// On another branch.
    Branch,
    /// The lock has another entry.
    Entry,
}

/// What became of a mint whose run did not end.
#[derive(Debug)]
pub enum Outcome {
    /// The reply was never seen, and GitLab has a token with its mark (of a rotation: a younger one with the mark of the
    /// token that was rotated): its value is lost.
    Found(Record),
    /// The reply was never seen, and GitLab has no such token (yet).
    NotFound,
    /// The value was recorded under seal.
    Recorded {
        /// The facts that came with it.
        record: Record,
        /// Whether an identity here opens the seal.
        opens: bool,
        /// Whether the lock of the branch that it was made on names it.
        committed: bool,
    },
}
