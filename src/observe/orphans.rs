//! Tokens of an environment that nobody has: made by a run whose clone is gone, and in no lock of any branch.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Kind, Result};
use crate::gitlab::client::Client;
use crate::instance::Instance;
use crate::journal::mark_in;
use crate::lock::Lock;
use crate::plan::observed::Orphan;
use crate::repo::{Chosen, Repository};
use crate::token::{Known, Owner, Record, TokenId};
use crate::world::World;

use super::environments;
use super::every_lock::EveryLock;

/// Lists the tokens of all owners that the profile or the lock names, and leaves those that carry a mark of this environment
/// and stand in no lock: not in the work tree, not on a branch here, not on one of the remote, which is asked.
///
/// # Errors
/// Where GitLab or the remote cannot be asked, or a lock cannot be read: a token that it names would be taken for an orphan.
pub async fn find(
    environment: &str,
    owners: &BTreeMap<String, Owner>,
    lock: &Lock,
    client: &Client,
    repo: &Repository,
    world: &World,
) -> Result<Vec<Orphan>> {
    let named = named_anywhere(client.instance(), repo, world)?;
    let mut all: BTreeSet<&Owner> = owners.values().collect();
    for entry in lock.tokens.values() {
        all.insert(&entry.owner);
        all.extend(entry.superseded.iter().map(|old| &old.owner));
    }
    // The path of an owner may have changed since; its number has not.
    let by_id: BTreeMap<_, &Owner> = all.into_iter().map(|owner| ((owner.kind, owner.id), owner)).collect();
    let mut orphans = Vec::new();
    for owner in by_id.into_values() {
        let listed = client.list_active(owner).await?;
        let is_named = |id| named.contains(&id) || lock.names(id, client.instance());
        let unnamed = listed.into_iter().filter(|record| !is_named(record.id));
        orphans.extend(unnamed.filter_map(|record| orphan(environment, owner, record)));
    }
    orphans.sort_by_key(|orphan| orphan.token.id);
    Ok(orphans)
}

/// A token whose description is one of ours for this environment: `provision qa/backstage <mark>`.
fn orphan(environment: &str, owner: &Owner, record: Record) -> Option<Orphan> {
    let description = record.description.as_deref()?;
    let mark = mark_in(description)?.to_owned();
    let entry = description.strip_prefix("provision ")?.split(' ').next()?;
    let (of, key) = entry.split_once('/')?;
    let mark = Some(mark);
    let token =
        Known { id: record.id, owner: owner.clone(), name: record.name, created: record.created_at, mark };
    (of == environment).then(|| Orphan { key: key.to_owned(), token, last_used: record.last_used_at })
}

/// Ids at this instance.
fn named_anywhere(instance: &Instance, repo: &Repository, world: &World) -> Result<BTreeSet<TokenId>> {
    match repo.remote()? {
        Chosen::None => {}
        Chosen::One(remote) => {
            world.effects().look(repo, &remote, &["*"]).map_err(Error::from)?;
        }
        Chosen::Unknown { why, mend } => {
            let what = "it cannot be told which remote has the locks";
            return Err(Error::new(Kind::Usage, what).because(why).hint(mend));
        }
    }
    let every = EveryLock::of(repo, instance)?;
    if let Some((commit, _, error)) = every.unreadable.into_iter().next() {
        return Err(Error::from(error).context(format!("a lock at {commit} cannot be read")));
    }
    let mut named = every.named;
    for (_, lock) in environments::lock_files(repo)? {
        named.extend(lock.ids_at(instance));
    }
    Ok(named)
}
