//! Whose tokens the entries of a profile are, as GitLab's numbers.

use std::collections::BTreeMap;

use super::{Ground, Me};
use crate::error::Result;
use crate::gitlab::client::Client;
use crate::lock::Lock;
use crate::plan::observed::Live;
use crate::plan::{Mint, Plan, PlanError};
use crate::profile::Environment;
use crate::token::{Kind, Owner, TokenId};

/// The owner of each entry: from the lock where it names the same path and its token lives, else asked anew. What is
/// minted for one of them needs [`confirm`].
pub(super) async fn look(
    environment: &Environment,
    user: Option<&Me>,
    lock: &Lock,
    live: &BTreeMap<TokenId, Live>,
    client: &Client,
) -> Result<BTreeMap<String, Owner>> {
    let mut owners = BTreeMap::new();
    let mut asked: BTreeMap<(Kind, &str), Owner> = BTreeMap::new();
    for token in &environment.tokens {
        let owner = match (&token.owner, user) {
            (None, Some(me)) => Owner { kind: Kind::Personal, id: me.id, path: me.name.to_string() },
            (None, None) => continue,
            (Some(path), _) => match known(lock, &token.key, token.kind, path, live) {
                Some(owner) => owner,
                None => match asked.get(&(token.kind, path.as_str())) {
                    Some(owner) => owner.clone(),
                    None => {
                        let owner = client.resolve_owner(token.kind, path).await?;
                        asked.insert((token.kind, path), owner.clone());
                        owner
                    }
                },
            },
        };
        owners.insert(token.key.clone(), owner);
    }
    Ok(owners)
}

fn known(lock: &Lock, key: &str, kind: Kind, path: &str, live: &BTreeMap<TokenId, Live>) -> Option<Owner> {
    let entry = lock.tokens.get(key)?;
    let alive = matches!(live.get(&entry.id), Some(Live::Known(_)));
    (alive && entry.owner.kind == kind && entry.owner.path == path).then(|| entry.owner.clone())
}

/// Asks GitLab for the number of every owner that a plan mints for and that only the lock has told: the request goes by the
/// number, and a person has agreed to the path. A plan that mints nothing asks nothing.
///
/// # Errors
/// Where GitLab has another number, refuses or cannot be reached.
pub async fn confirm(ground: &Ground, plan: &Plan) -> Result<()> {
    let mut asked: BTreeMap<(Kind, &str), u64> = BTreeMap::new();
    for mint in plan.mints().filter(|mint| is_from_the_lock(mint, ground)) {
        let owner = &mint.owner;
        let place = (owner.kind, owner.path.as_str());
        let id = match asked.get(&place) {
            Some(id) => *id,
            None => ground.client.resolve_owner(owner.kind, &owner.path).await?.id,
        };
        asked.insert(place, id);
        if id != owner.id {
            return Err(PlanError::OtherOwner {
                key: mint.key.clone(),
                locked: owner.clone(),
                at_gitlab: id,
            }
            .into());
        }
    }
    Ok(())
}

fn is_from_the_lock(mint: &Mint, ground: &Ground) -> bool {
    let names_owner = ground.environment.token(&mint.key).is_some_and(|token| token.owner.is_some());
    names_owner && ground.lock.tokens.get(&mint.key).is_some_and(|entry| entry.owner == mint.owner)
}
