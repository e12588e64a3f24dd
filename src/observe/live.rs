//! What GitLab says of the tokens that a lock names.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::gitlab::client::Client;
use crate::gitlab::errors::{ErrorKind, GitLabError};
use crate::journal::Retiring;
use crate::lock::Lock;
use crate::plan::observed::Live;
use crate::token::{Owner, TokenId};

/// How many requests are under way at once.
pub const CONCURRENCY: usize = 8;

/// Below this many ids of one owner, each is asked for by itself; above, one list answers for all that are active.
const LIST_FROM: usize = 3;

/// GitLab's record of every id in the lock, current and superseded, and of those that an interrupted run was to revoke.
/// Where an owner's tokens cannot be looked at, for a reason that `may_miss` takes, they are [`Live::OutOfSight`].
///
/// # Errors
/// Where GitLab refuses or cannot be reached; a token that it does not know is not an error.
pub async fn records(
    client: &Client,
    lock: &Lock,
    retiring: &[Retiring],
    may_miss: fn(&ErrorKind) -> bool,
) -> Result<BTreeMap<TokenId, Live>, GitLabError> {
    let mut by_owner: BTreeMap<&Owner, BTreeSet<TokenId>> = BTreeMap::new();
    for entry in lock.tokens.values() {
        by_owner.entry(&entry.owner).or_default().insert(entry.id);
        for old in &entry.superseded {
            by_owner.entry(&old.owner).or_default().insert(old.id);
        }
    }
    for Retiring { token, .. } in retiring {
        by_owner.entry(&token.owner).or_default().insert(token.id);
    }
    let mut live = BTreeMap::new();
    let mut singly = Vec::new();
    for (owner, ids) in by_owner {
        if ids.len() >= LIST_FROM {
            match client.list_active(owner).await {
                Ok(listed) => {
                    let ours = listed.into_iter().filter(|record| ids.contains(&record.id));
                    live.extend(ours.map(|record| (record.id, Live::Known(record))));
                }
                Err(error) if may_miss(error.kind()) => {
                    live.extend(ids.iter().map(|id| (*id, Live::OutOfSight)));
                }
                Err(error) => return Err(error),
            }
        }
        singly.extend(ids.into_iter().filter(|id| !live.contains_key(id)).map(|id| (owner, id)));
    }
    let asked: Vec<(TokenId, Live)> = stream::iter(singly)
        .map(|(owner, id)| async move {
            match client.get(owner, id).await {
                Ok(record) => Ok((id, record.map_or(Live::Gone, Live::Known))),
                Err(error) if may_miss(error.kind()) => Ok((id, Live::OutOfSight)),
                Err(error) => Err(error),
            }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    live.extend(asked);
    Ok(live)
}

/// Whether the tokens of an owner are nothing that this credential is shown: somebody else's, or those of a group that is
/// gone.
#[must_use]
pub fn is_hidden(error: &ErrorKind) -> bool {
    matches!(error, ErrorKind::NotFound | ErrorKind::Forbidden)
}
