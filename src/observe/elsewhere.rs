//! Tokens of a lock that GitLab describes as minted for another environment: a lock is text that anybody can write who can
//! commit, and name, time and mark of a token are public.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::journal::{environment_in, mark_in};
use crate::lock::{FOLDER, Lock};
use crate::plan::observed::Live;
use crate::repo::{Head, RelPath, Repository};
use crate::token::TokenId;

/// The active tokens whose description names another environment than `environment`, and which. An environment that was
/// renamed hands its tokens on: those whose mark git's history has in the lock of the other name are not among them.
///
/// # Errors
/// Where the history cannot be read.
pub fn minted(
    environment: &str,
    lock_path: &RelPath,
    live: &BTreeMap<TokenId, Live>,
    repo: &Repository,
    head: &Head,
) -> Result<BTreeMap<TokenId, String>> {
    let mut elsewhere = BTreeMap::new();
    for (id, live) in live {
        let Live::Known(record) = live else { continue };
        let Some(text) = record.description.as_deref().filter(|_| record.active) else { continue };
        let (Some(other), Some(mark)) = (environment_in(text), mark_in(text)) else { continue };
        if other != environment && !has_had(mark, &of(other, environment, lock_path), repo, head)? {
            elsewhere.insert(*id, other.to_owned());
        }
    }
    Ok(elsewhere)
}

/// The path that this lock has where its environment is called `other`: `environments/locks/qa.yaml` or, of a user,
/// `environments/locks/qa/ana.yaml`.
fn of(other: &str, environment: &str, lock_path: &RelPath) -> String {
    let path = lock_path.as_str();
    let rest = path
        .strip_prefix(FOLDER)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.strip_prefix(environment));
    rest.map_or_else(|| path.to_owned(), |rest| format!("{FOLDER}/{other}{rest}"))
}

fn has_had(mark: &str, path: &str, repo: &Repository, head: &Head) -> Result<bool> {
    let (Some(commit), Ok(path)) = (head.commit, RelPath::new(path)) else { return Ok(false) };
    for revision in repo.first_parent_content(commit, &path)? {
        let text = revision?.content.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let Ok(lock) = Lock::read(path.as_str(), &text) else { continue };
        if lock.tokens.values().any(|entry| entry.mark.as_deref() == Some(mark)) {
            return Ok(true);
        }
    }
    Ok(false)
}
