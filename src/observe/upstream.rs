//! What upstream knows: since when a token is superseded there, which tokens are current there, which readers its
//! policy has.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::environments;
use crate::error::Result;
use crate::lock::{self, Lock};
use crate::repo::{ObjectId, RelPath, Repository, Upstream};
use crate::token::TokenId;

/// What upstream knows of one environment.
#[derive(Debug, Default)]
pub struct UpstreamView {
    /// Since when each superseded token stands as superseded in the lock upstream.
    pub superseded_since: BTreeMap<TokenId, Timestamp>,
    /// The lock there.
    pub lock: Lock,
    /// Ids that are current in the other locks upstream, with the path of the lock.
    pub others: BTreeMap<TokenId, String>,
    /// Why nothing can be said, where that is so.
    pub unknown: Option<String>,
    /// The policy file there.
    pub policy: Option<String>,
}

/// Looks at upstream's branch, or at HEAD where there is no remote.
///
/// # Errors
/// Where the repository cannot be read.
pub fn look(repo: &Repository, lock_path: &RelPath, policy: &RelPath) -> Result<UpstreamView> {
    let (commit, branch) = match repo.upstream()? {
        Upstream::Head => (repo.head()?.commit, None),
        Upstream::RemoteBranch { commit, reference, .. } => (Some(commit), Some(reference)),
        Upstream::Unknown { why, mend } => {
            return Ok(UpstreamView { unknown: Some(format!("{why}; {mend} tells")), ..Default::default() });
        }
    };
    let Some(commit) = commit else { return Ok(UpstreamView::default()) };
    let lock = read_lock(repo.content_at(commit, lock_path)?.as_deref(), lock_path);
    let mut superseded_since = superseded_since(repo, commit, lock_path, &lock)?;
    if let Some(branch) = branch {
        for (id, arrived) in arrived(repo, &branch, lock_path, superseded(&lock))? {
            superseded_since.entry(id).and_modify(|since| *since = arrived.max(*since));
        }
    }
    Ok(UpstreamView {
        superseded_since,
        lock,
        others: others(repo, commit, lock_path)?,
        unknown: None,
        policy: repo.content_at(commit, policy)?.and_then(|bytes| String::from_utf8(bytes).ok()),
    })
}

/// The locks of other environments and users upstream.
fn others(repo: &Repository, commit: ObjectId, own: &RelPath) -> Result<BTreeMap<TokenId, String>> {
    let mut others = BTreeMap::new();
    for path in repo.files_at(commit, lock::FOLDER)?.iter().filter(|path| *path != own) {
        let lock = read_lock(repo.content_at(commit, path)?.as_deref(), path);
        others.extend(lock.tokens.values().map(|entry| (entry.id, format!("{path} upstream"))));
    }
    Ok(others)
}

/// Ids that are current in another lock than `own`, in the work tree or upstream, with the path of that lock.
///
/// # Errors
/// When a lock of the work tree cannot be read.
pub fn current_elsewhere(
    repo: &Repository,
    own: &RelPath,
    upstream: BTreeMap<TokenId, String>,
) -> Result<BTreeMap<TokenId, String>> {
    let mut elsewhere = upstream;
    for (path, lock) in environments::lock_files(repo)? {
        if path != own.as_str() {
            elsewhere.extend(lock.tokens.values().map(|entry| (entry.id, path.clone())));
        }
    }
    Ok(elsewhere)
}

/// A lock upstream that cannot be read says nothing, and what is not said is not retired.
fn read_lock(bytes: Option<&[u8]>, path: &RelPath) -> Lock {
    bytes
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .and_then(|text| Lock::read(path.as_str(), text).ok())
        .unwrap_or_default()
}

/// The time of the oldest commit, in an unbroken row from the tip, whose lock says that the token is superseded. Where a
/// shallow clone ends, that is its last commit: later than the truth, never earlier.
fn superseded_since(
    repo: &Repository,
    tip: ObjectId,
    path: &RelPath,
    lock: &Lock,
) -> Result<BTreeMap<TokenId, Timestamp>> {
    let mut open = superseded(lock);
    let mut since = BTreeMap::new();
    if open.is_empty() {
        return Ok(since);
    }
    for revision in repo.first_parent_content(tip, path)? {
        let revision = revision?;
        let there = superseded(&read_lock(revision.content.as_deref(), path));
        open.retain(|id| there.contains(id));
        if open.is_empty() {
            break;
        }
        let committed = Timestamp::from_second(revision.committed).unwrap_or(Timestamp::MAX);
        since.extend(open.iter().map(|id| (*id, committed)));
    }
    Ok(since)
}

/// When this clone saw it arrive there: a commit may be made long before it is pushed or merged. Of what was there when the
/// clone was made nothing is known.
fn arrived(
    repo: &Repository,
    branch: &str,
    path: &RelPath,
    mut open: BTreeSet<TokenId>,
) -> Result<BTreeMap<TokenId, Timestamp>> {
    let (mut first, mut arrived) = (BTreeMap::new(), BTreeMap::new());
    if open.is_empty() {
        return Ok(arrived);
    }
    for (commit, seconds) in repo.seen(branch)? {
        // What a branch has left behind may have been collected.
        let Ok(content) = repo.content_at(commit, path) else { break };
        let there = superseded(&read_lock(content.as_deref(), path));
        let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        first.extend(open.intersection(&there).map(|id| (*id, time)));
        arrived.extend(open.difference(&there).filter_map(|id| Some((*id, *first.get(id)?))));
        open.retain(|id| there.contains(id));
        if open.is_empty() {
            break;
        }
    }
    Ok(arrived)
}

fn superseded(lock: &Lock) -> BTreeSet<TokenId> {
    lock.tokens.values().flat_map(|entry| entry.superseded.iter().map(|old| old.id)).collect()
}
