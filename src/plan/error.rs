//! Why no plan is made.

use super::deliver::Way;
use super::observed::OtherLock;
use std::collections::BTreeSet;

use crate::sops;
use crate::token::{Owner, TokenId};

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
    #[error("the lock's token {id} of {key} is another one: {why}")]
    NotOurs {
        /// Key of the entry.
        key: String,
        /// The id in the lock.
        id: TokenId,
        /// What differs.
        why: String,
    },
    /// The lock has another number for an owner than GitLab: what is minted would be somebody else's.
    #[error(
        "the lock's {} {} of {key} is number {}, and at GitLab it is number {at_gitlab}",
        locked.kind, locked.path, locked.id
    )]
    OtherOwner {
        /// Key of the entry.
        key: String,
        /// As the lock has it.
        locked: Owner,
        /// Its number at GitLab.
        at_gitlab: u64,
    },
    /// A token that is to be revoked cannot be proved to be the one that is meant.
    #[error("token {id} of {key} is not revoked: {why}")]
    NotRevoked {
        /// Key of the entry.
        key: String,
        /// The token.
        id: TokenId,
        /// What speaks against it.
        why: String,
        /// Another lock that has it as current.
        elsewhere: Option<OtherLock>,
    },
    /// A slot would be blanked that takes another token too.
    #[error("{file} {path} takes {other} too")]
    SharedSlot {
        /// The secrets file.
        file: String,
        /// The slot.
        path: sops::Path,
        /// The entry that stays.
        other: String,
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
    /// A leaf, or a file that would be made, takes the values of tokens that nobody has asked to replace, and that were
    /// never here.
    #[error("{}", awaited(.leaf, .file, .key))]
    Awaited {
        /// The secrets file.
        file: String,
        /// The leaf that has to be written, and whose values it takes; `None`: the file is not there yet.
        leaf: Option<(sops::Path, BTreeSet<String>)>,
        /// Key of the entry that was only listed.
        key: String,
    },
    /// A file that git does not keep is not here, and its tokens live: it is where they were made.
    #[error("{file}, which git does not keep, is not here, and its tokens are in use: {}", keys.join(", "))]
    Elsewhere {
        /// The environment.
        environment: String,
        /// The secrets file.
        file: String,
        /// Keys of the entries whose values are in it.
        keys: Vec<String>,
    },
    /// GitLab's rotate was asked for and did not answer; or it answered, and what it said can be used nowhere.
    #[error("it is not decided what becomes of {key}: {why}")]
    Undecided {
        /// The environment.
        environment: String,
        /// Key of the entry.
        key: String,
        /// What is known.
        why: String,
        /// The successor, where GitLab has one.
        successor: Option<TokenId>,
        /// How the run that asked for it was to deliver its commit.
        way: Option<Way>,
        /// How its value can still be used, where that was recorded.
        regain: Option<Regain>,
    },
    /// An interrupted run has pushed a token that is not to be used here.
    #[error(
        "whether token {id} of {key} is in use cannot be seen: an interrupted run pushed it to {remote}, and this clone has \
         no remote {remote} any more"
    )]
    OutOfReach {
        /// The environment.
        environment: String,
        /// Key of the entry.
        key: String,
        /// The token.
        id: TokenId,
        /// What the remote was called.
        remote: String,
    },
    /// What was named on the command line is not there.
    #[error("{environment} has no token {key}")]
    NoSuchToken {
        /// The environment.
        environment: String,
        /// As it was named.
        key: String,
        /// Those that there are.
        known: Vec<String>,
    },
}

/// What it takes to use a value that an interrupted run recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regain {
    /// A run that delivers as that one did.
    ThatWay,
    /// A run on this branch.
    OnBranch(String),
    /// A run in this worktree.
    InWorktree(String),
    /// An identity that opens it.
    WithKey,
}

fn awaited(leaf: &Option<(sops::Path, BTreeSet<String>)>, file: &str, key: &str) -> String {
    match leaf {
        Some((path, takes)) => {
            let takes = takes.iter().map(String::as_str).collect::<Vec<_>>().join(" and ");
            format!("{file} {path} takes {takes}, and the value of {key} was never here")
        }
        None => {
            format!("{file} is not there yet, and the value of {key}, which it takes too, was never here")
        }
    }
}
