//! Asks GitLab about the place that a commit is to go to: the project that the remote names at the environment's
//! instance. Where that cannot be told, or GitLab does not tell, nothing is known; nobody else is ever asked.

use crate::error::Result;
use crate::gitlab::client::Client;
use crate::gitlab::errors::GitLabError;
use crate::gitlab::projects::project_at;
use crate::instance::Instance;
use crate::lock::{Entry, Lock};
use crate::observe::Ground;
use crate::plan::at_gitlab::{MergeRequest, current, given_up, refuse_protected};
use crate::plan::deliver::{Request, Way};
use crate::plan::{Note, Plan};
use crate::repo::{Chosen, ObjectId, RelPath, Repository};

/// The project behind a remote, where git's address of it is at this instance.
fn project(client: &Client, repo: &Repository, remote: &str) -> Result<Option<String>> {
    let address = repo.remote_urls(remote)?.into_iter().next();
    Ok(address.and_then(|address| project_at(client.instance(), &address)))
}

/// What GitLab says, as far as it does: whoever may mint need not be allowed to look at this project.
fn told<T>(answer: Result<Option<T>, GitLabError>) -> Option<T> {
    answer.unwrap_or_else(|error| {
        tracing::debug!(%error, "GitLab was asked about the remote's project");
        None
    })
}

async fn requests(
    client: &Client,
    repo: &Repository,
    remote: &str,
    branch: &str,
) -> Result<Option<Vec<MergeRequest>>> {
    let Some(project) = project(client, repo, remote)? else { return Ok(None) };
    Ok(told(client.merge_requests(&project, branch).await))
}

/// What became of the merge request for what our branch holds at the remote.
///
/// # Errors
/// Where the configuration of the remote cannot be read.
pub async fn request(
    client: &Client,
    repo: &Repository,
    remote: &str,
    branch: &str,
    tip: ObjectId,
) -> Result<Request> {
    let found = requests(client, repo, remote, branch).await?;
    Ok(found.map_or(Request::Unknown, |found| current(&found, &tip.to_string())))
}

/// Looks, before anything is minted, whether the commit could be pushed, and at what an earlier merge request left.
/// Nothing is asked for a plan that mints nothing.
///
/// # Errors
/// Where the branch is protected and no way around it was chosen.
pub async fn before_minting(ground: &Ground, plan: &mut Plan) -> Result<()> {
    if plan.mints().chain(plan.pastes()).next().is_none() || !plan.commits() {
        return Ok(());
    }
    let way = ground.delivery.as_ref().map(|delivery| delivery.way());
    if let Some((remote, branch)) = destination(ground)?
        && way != Some(Way::MergeRequest)
        && let Some(project) = project(&ground.client, &ground.repo, &remote)?
    {
        let said = told(ground.client.branch(&project, &branch).await);
        refuse_protected(way, &remote, &branch, said)?;
    }
    plan.notes.extend(given_up_before(ground).await?);
    Ok(())
}

/// Where the commit is meant to go in the end, where that can be told.
fn destination(ground: &Ground) -> Result<Option<(String, String)>> {
    if let Some(delivery) = &ground.delivery {
        let (remote, branch) = delivery.pushes_to();
        return Ok(Some((remote.to_owned(), branch.to_owned())));
    }
    let Chosen::One(remote) = ground.repo.remote()? else { return Ok(None) };
    let own = ground.head.branch.as_deref().and_then(|name| name.strip_prefix("refs/heads/"));
    let branch = ground.repo.followed_branch()?.or_else(|| own.map(str::to_owned));
    Ok(branch.map(|branch| (remote, branch)))
}

/// A merge request that was closed and whose branch is gone may have left tokens that nobody stores any more.
async fn given_up_before(ground: &Ground) -> Result<Vec<Note>> {
    let Some(delivery) = ground.delivery.as_ref().filter(|delivery| !delivery.has_branch()) else {
        return Ok(Vec::new());
    };
    let (remote, _) = delivery.pushes_to();
    let found = requests(&ground.client, &ground.repo, remote, delivery.branch()).await?.unwrap_or_default();
    let Some(closed) = given_up(&found) else { return Ok(Vec::new()) };
    let mut notes = Vec::new();
    for (key, entry) in left(&ground.repo, closed, &ground.lock_path, &ground.lock, ground.client.instance())
    {
        let record = ground.client.get(&entry.owner, entry.id).await?;
        if record.is_some_and(|record| record.active) {
            notes.push(Note::attention(format!(
                "token {} of {key} is left of a merge request that was closed: {}; nobody stores it, so revoke it",
                entry.id, closed.url
            )));
        }
    }
    Ok(notes)
}

/// The entries that a commit of the request brought and this lock does not have, where that commit is still here.
fn left(
    repo: &Repository,
    request: &MergeRequest,
    path: &RelPath,
    lock: &Lock,
    instance: &Instance,
) -> Vec<(String, Entry)> {
    let commit = request.commit.as_ref().and_then(|id| ObjectId::from_hex(id.as_bytes()).ok());
    let Some(Ok(Some(bytes))) = commit.map(|commit| repo.content_at(commit, path)) else {
        return Vec::new();
    };
    let Ok(there) = Lock::read(path.as_str(), &String::from_utf8_lossy(&bytes)) else { return Vec::new() };
    let is_left = |entry: &Entry| entry.gitlab == *instance && !lock.names(entry.id, instance);
    there.tokens.into_iter().filter(|(_, entry)| is_left(entry)).collect()
}
