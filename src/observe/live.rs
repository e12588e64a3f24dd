//! What GitLab says of the tokens that a lock names.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::gitlab::client::Client;
use crate::gitlab::errors::GitLabError;
use crate::gitlab::owners::User;
use crate::lock::Lock;
use crate::plan::observed::Live;
use crate::token::{Known, Owner, TokenId};

/// How many requests are under way at once.
pub const CONCURRENCY: usize = 8;

/// Below this many ids of one owner, each is asked for by itself; above, one list answers for all that are active.
const LIST_FROM: usize = 3;

/// Who can be told of the tokens of a lock: of personal ones GitLab speaks to their user and to administrators only.
#[derive(Debug)]
pub struct Audience(Option<User>);

impl Audience {
    /// Asks who we are where one of these locks, by their users, is somebody's own.
    ///
    /// # Errors
    /// Where GitLab refuses or cannot be reached.
    pub async fn of<'a>(
        client: &Client,
        users: impl IntoIterator<Item = Option<&'a str>>,
    ) -> Result<Self, GitLabError> {
        let personal = users.into_iter().any(|user| user.is_some());
        Ok(Self(if personal { Some(client.whoami().await?) } else { None }))
    }

    /// Whether this user's lock is our own, or all of ours.
    #[must_use]
    pub fn has_as_own(&self, user: Option<&str>) -> bool {
        user.is_none() || self.0.as_ref().is_some_and(|me| me.username.as_deref() == user)
    }

    /// Whether GitLab tells us of this user's lock.
    #[must_use]
    pub fn is_told(&self, user: Option<&str>) -> bool {
        self.has_as_own(user) || self.0.as_ref().is_some_and(|me| me.is_admin == Some(true))
    }
}

/// GitLab's record of every id in the lock, current and superseded, and of those that an interrupted run was to revoke.
///
/// # Errors
/// Where GitLab refuses or cannot be reached; a token that it does not know is not an error.
pub async fn records(
    client: &Client,
    lock: &Lock,
    retiring: &[(String, Known)],
) -> Result<BTreeMap<TokenId, Live>, GitLabError> {
    let mut by_owner: BTreeMap<&Owner, BTreeSet<TokenId>> = BTreeMap::new();
    for entry in lock.tokens.values() {
        by_owner.entry(&entry.owner).or_default().insert(entry.id);
        for old in &entry.superseded {
            by_owner.entry(&old.owner).or_default().insert(old.id);
        }
    }
    for (_, token) in retiring {
        by_owner.entry(&token.owner).or_default().insert(token.id);
    }
    let mut live = BTreeMap::new();
    let mut singly = Vec::new();
    for (owner, ids) in by_owner {
        if ids.len() >= LIST_FROM {
            let listed = client.list_active(owner).await?;
            live.extend(listed.into_iter().filter(|r| ids.contains(&r.id)).map(|r| (r.id, Live::Known(r))));
        }
        singly.extend(ids.into_iter().filter(|id| !live.contains_key(id)).map(|id| (owner, id)));
    }
    let asked: Vec<(TokenId, Live)> = stream::iter(singly)
        .map(|(owner, id)| async move {
            let record = client.get(owner, id).await?;
            Ok::<_, GitLabError>((id, record.map_or(Live::Gone, Live::Known)))
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    live.extend(asked);
    Ok(live)
}
