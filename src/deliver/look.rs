//! What the remote has, and what of it counts for a delivery.

use crate::error::{Error, Kind, Result};
use crate::lock::{self, Lock};
use crate::observe::{self, POLICY};
use crate::plan::deliver::{Compared, DeliverError, On, Ours, Request, Stand, Topic, Way};
use crate::repo::{Chosen, ObjectId, RelPath, Repository};
use crate::world::World;

/// The commits behind a [`Stand`].
pub(super) struct Seen {
    pub(super) head: ObjectId,
    pub(super) target: Option<ObjectId>,
    pub(super) ours: Option<ObjectId>,
}

impl Seen {
    pub(super) fn commit(&self, on: On) -> ObjectId {
        match on {
            On::Head => self.head,
            On::Target => self.target.unwrap_or(self.head),
            On::Ours => self.ours.unwrap_or(self.head),
        }
    }
}

/// The names of what a [`Stand`] compares.
pub(super) struct Place {
    pub(super) remote: String,
    pub(super) target: String,
    pub(super) branch: String,
    /// Whether HEAD names no branch.
    pub(super) detached: bool,
}

impl Place {
    pub(super) fn compared(self, repo: &Repository, seen: &Seen, request: Request) -> Result<Stand> {
        Ok(Stand {
            head: compared(repo, Some(seen.head), seen.target)?,
            ours: our_branch(repo, seen, request)?,
            remote: self.remote,
            target: self.target,
            branch: self.branch,
            detached: self.detached,
        })
    }
}

/// Where nothing can be delivered. Tokens that wait on a branch are named where it is to be given up.
pub(super) fn refused(error: DeliverError, repo: &Repository, seen: &Seen, topic: &Topic) -> Error {
    let closed = matches!(error, DeliverError::Closed { .. });
    let gives_up = closed || matches!(error, DeliverError::Waiting { .. } | DeliverError::OtherPolicy { .. });
    let error = Error::from(error);
    let left = if gives_up { left(repo, seen, topic) } else { Vec::new() };
    if left.is_empty() {
        return error;
    }
    let error = error.hint(format!(
        "where it is given up, its tokens are found by their marks: provision revoke --env {topic} --orphans"
    ));
    if closed { error.because(format!("it left {}, which nobody uses", left.join(", "))) } else { error }
}

/// The tokens that our branch has in the topic's lock, and the target has not.
fn left(repo: &Repository, seen: &Seen, topic: &Topic) -> Vec<String> {
    let lock = |at: Option<ObjectId>| {
        let path = RelPath::new(&format!("{}/{topic}.yaml", lock::FOLDER)).ok()?;
        let bytes = repo.content_at(at?, &path).ok()??;
        Lock::read(path.as_str(), &String::from_utf8_lossy(&bytes)).ok()
    };
    let merged = lock(seen.target).unwrap_or_default();
    let left = lock(seen.ours).unwrap_or_default().tokens;
    let left = left.iter().filter(|(_, entry)| !merged.names(entry.id, &entry.gitlab));
    left.map(|(key, entry)| format!("token {} of {key}", entry.id)).collect()
}

/// Asks the remote for its branches, and tells which of them count.
///
/// # Errors
/// Where there is no remote, it cannot be reached, or it is not clear which branch is meant.
pub(super) fn look(world: &World, repo: &Repository, way: Way, topic: &Topic) -> Result<(Place, Seen)> {
    if let Some(what) = repo.state() {
        return Err(crate::repo::RepoError::InProgress { what }.into());
    }
    let remote = remote(repo, way)?;
    let head = repo.head()?;
    let Some(commit) = head.commit else {
        return Err(Error::new(Kind::Refused, "HEAD has no commit yet: there is nothing to deliver"));
    };
    if way == Way::Push {
        goes_to(&remote, repo)?;
    }
    let followed = repo.followed_branch()?;
    let own = head.branch.as_deref().and_then(|name| name.strip_prefix("refs/heads/"));
    let ours = topic.branch();
    let asked: Vec<&str> = followed.as_deref().into_iter().chain(own).chain([ours.as_str()]).collect();
    let heads = world.effects().look(repo, &remote, &asked)?;
    let default = repo.remembered_default(&remote)?.or_else(|| heads.default.clone());
    let target = target(way, default.as_deref(), followed.as_deref(), own, &remote)?;
    let seen = Seen { head: commit, target: heads.branch(&target), ours: heads.branch(&ours) };
    if way == Way::MergeRequest && seen.target.is_none() {
        return Err(Error::new(Kind::Refused, format!("{remote} has no branch {target} to merge into"))
            .hint(format!("push it first: git push {remote} HEAD:{target}")));
    }
    Ok((Place { remote, target, branch: ours, detached: own.is_none() }, seen))
}

fn remote(repo: &Repository, way: Way) -> Result<String> {
    let option = way.option();
    match repo.remote()? {
        Chosen::One(remote) => Ok(remote),
        Chosen::None => Err(Error::new(Kind::Usage, format!("there is no remote for {option} to push to"))
            .hint("git remote add origin URL")),
        Chosen::Unknown { why, mend } => {
            let what = format!("{option} cannot tell where to push to");
            Err(Error::new(Kind::Usage, what).because(why).hint(mend))
        }
    }
}

/// Refuses where `git push` would not go to this remote, which is the one that says what is upstream.
fn goes_to(remote: &str, repo: &Repository) -> Result<()> {
    let Some(key) = repo.pushes_elsewhere(remote)? else { return Ok(()) };
    Err(Error::new(Kind::Refused, format!("git push goes elsewhere than to {remote} here"))
        .because(format!("{key} says so, and what counts for everybody is told by {remote}"))
        .hint(format!("run with --mr: its branch goes to {remote}"))
        .hint("or run without --push, and push the commit yourself"))
}

/// A push goes where `git push` would: to the branch that HEAD's branch follows. A merge request is for the default
/// branch. HEAD on no branch, as in CI, stands for the default branch.
fn target(
    way: Way,
    default: Option<&str>,
    followed: Option<&str>,
    own: Option<&str>,
    remote: &str,
) -> Result<String> {
    let found = match (way, followed, own) {
        (Way::Push, Some(followed), _) => Some(followed),
        (Way::Push, None, Some(own)) if default.is_none_or(|default| default == own) => Some(own),
        (Way::Push, None, Some(own)) => {
            return Err(Error::new(Kind::Usage, format!("the branch {own} follows none at {remote}"))
                .hint(format!("git push --set-upstream {remote} {own}"))
                .hint("or run with --mr"));
        }
        (Way::Push, None, None) | (Way::MergeRequest, ..) => default,
    };
    found.map(ToOwned::to_owned).ok_or_else(|| {
        Error::new(Kind::Refused, format!("{remote} has no default branch"))
            .hint(format!("git remote set-head {remote} BRANCH"))
    })
}

fn compared(repo: &Repository, one: Option<ObjectId>, other: Option<ObjectId>) -> Result<Compared> {
    let (Some(one), Some(other)) = (one, other) else { return Ok(Compared::default()) };
    let (ahead, behind) = repo.ahead_and_behind(one, other)?;
    if ahead > 0 && behind > 0 && repo.is_shallow()? && repo.common_commit(one, other)?.is_none() {
        return Err(observe::cut_off("what one branch has of another cannot be told from it"));
    }
    Ok(Compared { ahead, behind })
}

fn our_branch(repo: &Repository, seen: &Seen, request: Request) -> Result<Option<Ours>> {
    let Some(ours) = seen.ours else { return Ok(None) };
    let target = compared(repo, Some(ours), seen.target)?;
    let is_in_target = match seen.target {
        Some(there) => target.ahead == 0 || repo.has_the_changes_of(there, ours)?,
        None => false,
    };
    let head = compared(repo, Some(seen.head), Some(ours))?;
    let lacks_policy = match seen.target {
        Some(there) if target.behind > 0 => has_other_policy(repo, ours, there)?,
        _ => false,
    };
    Ok(Some(Ours { head, target, is_in_target, lacks_policy, request }))
}

/// Whether the policy was changed at the target since our branch left it, and the branch does not have it so.
fn has_other_policy(repo: &Repository, ours: ObjectId, target: ObjectId) -> Result<bool> {
    let path = RelPath::new(POLICY)?;
    let policy = |at: ObjectId| repo.content_at(at, &path);
    let there = policy(target)?;
    let left_at = repo.common_commit(ours, target)?.map(policy).transpose()?;
    Ok(left_at.is_some_and(|left_at| left_at != there) && policy(ours)? != there)
}
