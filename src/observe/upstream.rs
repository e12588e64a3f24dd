//! What upstream knows: since when a token is superseded there, which tokens are current there, which readers its
//! policy has.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::environments;
use crate::error::Result;
use crate::instance::Instance;
use crate::lock::{self, Lock};
use crate::plan::observed::OtherLock;
use crate::repo::{ObjectId, RelPath, Repository, Upstream};
use crate::token::TokenId;

/// What upstream knows of one environment.
#[derive(Debug, Default)]
pub struct UpstreamView {
    /// Since when each superseded token stands as superseded in the lock upstream.
    pub superseded_since: BTreeMap<TokenId, Timestamp>,
    /// The lock there, as far as it is of the instance.
    pub lock: Lock,
    /// Ids that are current in the other locks upstream, with the path of the lock.
    pub others: BTreeMap<TokenId, OtherLock>,
    /// Why it cannot be said what is superseded there, where that is so.
    pub unknown: Option<String>,
    /// The policy file there.
    pub policy: Option<String>,
}

/// Looks at upstream's branch, or at HEAD where there is no remote. Ids are those of `instance`.
///
/// # Errors
/// Where the repository cannot be read.
pub fn look(
    repo: &Repository,
    lock_path: &RelPath,
    policy: &RelPath,
    instance: &Instance,
) -> Result<UpstreamView> {
    let (commit, branch) = match repo.upstream()? {
        Upstream::Head => (repo.head()?.commit, None),
        Upstream::RemoteBranch { commit, reference, .. } => (Some(commit), Some(reference)),
        Upstream::Unknown { why, mend } => {
            return Ok(UpstreamView { unknown: Some(format!("{why}; {mend} tells")), ..Default::default() });
        }
    };
    let Some(commit) = commit else { return Ok(UpstreamView::default()) };
    let mut unknown = None;
    let mut lock = newest(repo, commit, lock_path, &mut unknown)?;
    let others = others(repo, commit, lock_path, instance, &mut unknown)?;
    let open = if unknown.is_none() { superseded(&lock, instance) } else { BTreeSet::new() };
    let mut superseded_since = superseded_since(repo, commit, lock_path, open.clone(), instance)?;
    if let Some(branch) = branch {
        for (id, arrived) in arrived(repo, &branch, lock_path, open, instance)? {
            superseded_since.entry(id).and_modify(|since| *since = arrived.max(*since));
        }
    }
    lock.tokens.retain(|_, entry| entry.gitlab == *instance);
    Ok(UpstreamView {
        superseded_since,
        lock,
        others,
        unknown,
        policy: repo.content_at(commit, policy)?.and_then(|bytes| String::from_utf8(bytes).ok()),
    })
}

/// The locks of other environments and users upstream.
fn others(
    repo: &Repository,
    commit: ObjectId,
    own: &RelPath,
    instance: &Instance,
    unknown: &mut Option<String>,
) -> Result<BTreeMap<TokenId, OtherLock>> {
    let mut others = BTreeMap::new();
    for path in repo.files_at(commit, lock::FOLDER)?.iter().filter(|path| *path != own) {
        let lock = newest(repo, commit, path, unknown)?;
        let named = OtherLock { path: path.to_string(), upstream: true };
        others.extend(lock.current_at(instance).map(|id| (id, named.clone())));
    }
    Ok(others)
}

/// The lock at this commit. Where it cannot be read, `unknown` says so, and the last one that could be goes on protecting the
/// tokens that it names.
fn newest(repo: &Repository, commit: ObjectId, path: &RelPath, unknown: &mut Option<String>) -> Result<Lock> {
    for revision in repo.first_parent_content(commit, path)? {
        let Some(content) = revision?.content else { break };
        match Lock::read(path.as_str(), &String::from_utf8_lossy(&content)) {
            Ok(lock) => return Ok(lock),
            Err(error) => {
                unknown.get_or_insert_with(|| format!("the lock upstream cannot be read: {error}"));
            }
        }
    }
    Ok(Lock::default())
}

/// Ids at `instance` that are current in another lock than `own`, in the work tree or upstream, with the path of that lock.
///
/// # Errors
/// When a lock of the work tree cannot be read.
pub fn current_elsewhere(
    repo: &Repository,
    own: &RelPath,
    instance: &Instance,
    upstream: BTreeMap<TokenId, OtherLock>,
) -> Result<BTreeMap<TokenId, OtherLock>> {
    let mut elsewhere = upstream;
    for (path, lock) in environments::lock_files(repo)? {
        if path != own.as_str() {
            let named = OtherLock { path, upstream: false };
            elsewhere.extend(lock.current_at(instance).map(|id| (id, named.clone())));
        }
    }
    Ok(elsewhere)
}

/// An earlier lock that cannot be read says nothing, and what is not said is not retired.
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
    mut open: BTreeSet<TokenId>,
    instance: &Instance,
) -> Result<BTreeMap<TokenId, Timestamp>> {
    let mut since = BTreeMap::new();
    if open.is_empty() {
        return Ok(since);
    }
    for revision in repo.first_parent_content(tip, path)? {
        let revision = revision?;
        let there = superseded(&read_lock(revision.content.as_deref(), path), instance);
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
    instance: &Instance,
) -> Result<BTreeMap<TokenId, Timestamp>> {
    let (mut first, mut arrived) = (BTreeMap::new(), BTreeMap::new());
    if open.is_empty() {
        return Ok(arrived);
    }
    for (commit, seconds) in repo.seen(branch)? {
        // What a branch has left behind may have been collected.
        let Ok(content) = repo.content_at(commit, path) else { break };
        let there = superseded(&read_lock(content.as_deref(), path), instance);
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

fn superseded(lock: &Lock, instance: &Instance) -> BTreeSet<TokenId> {
    lock.superseded_at(instance).collect()
}
