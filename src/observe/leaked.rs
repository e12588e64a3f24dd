//! Which token a value in the wrong hands is: asked of GitLab with the value itself.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{environments, interrupted, live};
use crate::error::{Error, Kind, Result};
use crate::gitlab::client::Client;
use crate::gitlab::errors::{ErrorKind, GitLabError};
use crate::instance::Instance;
use crate::journal::Retiring;
use crate::lock::{Entry, Lock};
use crate::plan::observed::Live;
use crate::profile::Environment;
use crate::repo::Repository;
use crate::secret::Secret;
use crate::token::{Record, TokenId};

/// What GitLab says of a value.
#[derive(Debug)]
pub enum Answer {
    /// It works, and a lock names it, or a journal as one that is still to be revoked.
    Lives {
        /// Name of the environment whose it is.
        environment: String,
        /// GitLab's number.
        id: TokenId,
        /// Key of the entry whose current token it is; `None`: it was replaced before.
        key: Option<String>,
        /// When GitLab had last seen it used before we asked with it, which is a use too.
        last_used: Option<Timestamp>,
    },
    /// Nobody can use it any more.
    Ended {
        /// In GitLab's words: `was revoked`, `has expired`.
        how: &'static str,
    },
}

/// Finds the token in the locks of `environments`, all of which are of the instance of `client`, or in a journal.
///
/// # Errors
/// Where GitLab does not know it, or it is in no lock that this run could change, and no journal.
pub async fn find(
    value: &Secret,
    environments: &[Environment],
    repo: &Repository,
    client: &Client,
) -> Result<Answer> {
    let mut locks = environments::locks(repo)?;
    locks.retain(|(name, _, _)| environments.iter().any(|environment| environment.name == *name));
    let begun = begun(client.instance(), repo)?;
    let last_uses = last_uses(&locks, &begun, client).await?;
    let record = match client.verify(value, "the leaked token").await {
        Ok(record) => record,
        Err(error) => return ended(error),
    };
    let id = record.id;
    let last_used = last_uses.get(&id).copied().unwrap_or(record.last_used_at);
    // Where a lock has it as current it is still in use, and lives on until that has a successor.
    let instance = client.instance();
    locks.retain(|(_, _, lock)| lock.ids_at(instance).any(|named| named == id));
    let named =
        locks.into_iter().min_by_key(|(_, _, lock)| lock.current_at(instance).all(|named| named != id));
    let Some((environment, user, lock)) = named else {
        let found = begun
            .iter()
            .find(|(_, retiring)| retiring.token.id == id)
            .ok_or_else(|| of_no_lock(&record, client));
        return found.map(|(environment, _)| Answer::Lives {
            environment: environment.clone(),
            id,
            key: None,
            last_used,
        });
    };
    if let Some(user) = user
        && client.whoami().await?.username.as_deref() != Some(user.as_str())
    {
        return Err(Error::new(Kind::Refused, format!("token {id} is {user}'s, of {environment}"))
            .because("what is in a personal file can be replaced by its owner only")
            .hint(format!("{user} runs: provision rotate --env {environment} --leaked")));
    }
    let is_current = |entry: &Entry| entry.token() == (instance, id);
    let key = lock.tokens.into_iter().find(|(_, entry)| is_current(entry)).map(|(key, _)| key);
    Ok(Answer::Lives { environment, id, key, last_used })
}

/// Whether the value works, in words; `None`: nobody can use it any more.
pub async fn still_works(value: &Secret, client: &Client) -> Option<&'static str> {
    match client.verify(value, "the leaked token").await {
        Ok(_) => Some("still works"),
        Err(error) if matches!(error.kind(), ErrorKind::TokenRevoked | ErrorKind::TokenExpired) => None,
        Err(_) => Some("may still work"),
    }
}

/// A token that an interrupted run was about to revoke, and its environment.
type Begun = (String, Retiring);

/// Those of all journals, also of environments that have another name by now.
fn begun(instance: &Instance, repo: &Repository) -> Result<Vec<Begun>> {
    let mut begun = Vec::new();
    for name in interrupted::environments(repo)? {
        let tokens = interrupted::replay(repo, &name)?.retiring;
        let here =
            tokens.into_iter().filter(|begun| begun.gitlab.as_ref().is_none_or(|gitlab| gitlab == instance));
        begun.extend(here.map(|retiring| (name.clone(), retiring)));
    }
    Ok(begun)
}

/// When each token of the locks and journals was last used, before the question with the value counts as a use.
async fn last_uses(
    locks: &[(String, Option<String>, Lock)],
    begun: &[Begun],
    client: &Client,
) -> Result<BTreeMap<TokenId, Option<Timestamp>>> {
    let begun: Vec<Retiring> = begun.iter().map(|(_, retiring)| retiring.clone()).collect();
    let mut last_uses = BTreeMap::new();
    let (none, of_journals) = ([].as_slice(), Lock::default());
    let locks = locks.iter().map(|(_, _, lock)| (lock, none)).chain([(&of_journals, begun.as_slice())]);
    for (lock, begun) in locks {
        for (id, live) in live::records(client, lock, begun, live::is_hidden).await? {
            if let Live::Known(record) = live {
                last_uses.insert(id, record.last_used_at);
            }
        }
    }
    Ok(last_uses)
}

fn ended(error: GitLabError) -> Result<Answer> {
    match error.kind() {
        ErrorKind::TokenRevoked => Ok(Answer::Ended { how: "was revoked" }),
        ErrorKind::TokenExpired => Ok(Answer::Ended { how: "has expired" }),
        ErrorKind::TokenUnknown => Err(Error::from(error)
            .of_kind(Kind::Refused)
            .hint_instead("look whether all of it was given, and whether it is of another GitLab")),
        _ => Err(error.into()),
    }
}

fn of_no_lock(record: &Record, client: &Client) -> Error {
    let Record { id, name, .. } = record;
    let what = format!("token {id} (\"{name}\") of {} works, and no lock here names it", client.instance());
    Error::new(Kind::Refused, what)
        .because("only tokens that were minted from a profile can be replaced and revoked from here")
        .hint("its owner revokes it at GitLab, under Access tokens")
}
