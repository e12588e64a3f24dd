//! What the locks of all branches of this clone name, its own and those of its remotes as last fetched: a token that one of
//! them names has a user.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::instance::Instance;
use crate::lock::{self, Lock, LockError};
use crate::plan::observed::Branches;
use crate::repo::{ObjectId, Repository};
use crate::token::TokenId;

/// The tokens of one GitLab.
#[derive(Debug, Default)]
pub(super) struct EveryLock {
    /// Where a token is current: `environments/locks/qa.yaml on main`.
    current: BTreeMap<TokenId, String>,
    pub(super) named: BTreeSet<TokenId>,
    /// Commit, text, and why it cannot be read.
    pub(super) unreadable: Vec<(ObjectId, String, LockError)>,
}

impl EveryLock {
    /// Reads them.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(super) fn of(repo: &Repository, instance: &Instance) -> Result<Self> {
        let mut commits: BTreeMap<ObjectId, String> = BTreeMap::new();
        for branch in repo.branches()? {
            let name = branch.name.strip_prefix("refs/heads/").or(branch.name.strip_prefix("refs/remotes/"));
            commits.entry(branch.commit).or_insert_with(|| name.unwrap_or(&branch.name).to_owned());
        }
        if let Some(commit) = repo.head()?.commit {
            commits.entry(commit).or_insert_with(|| "HEAD".to_owned());
        }
        let mut every = Self::default();
        let mut read = BTreeSet::new();
        for (commit, branch) in commits {
            for path in repo.files_at(commit, lock::FOLDER)? {
                let Some(bytes) = repo.content_at(commit, &path)? else { continue };
                if !read.insert(bytes.clone()) {
                    continue;
                }
                let text = String::from_utf8_lossy(&bytes).into_owned();
                match Lock::read(path.as_str(), &text) {
                    Ok(lock) => every.add(&lock, instance, &format!("{path} on {branch}")),
                    Err(error) => every.unreadable.push((commit, text, error)),
                }
            }
        }
        Ok(every)
    }

    fn add(&mut self, lock: &Lock, instance: &Instance, place: &str) {
        for id in lock.current_at(instance) {
            self.current.entry(id).or_insert_with(|| place.to_owned());
        }
        self.named.extend(lock.ids_at(instance));
    }

    /// Whether one names this token. One that cannot be read names every number that stands in it.
    pub(super) fn names(&self, id: TokenId) -> bool {
        let id_text = id.to_string();
        let stands_in =
            |text: &str| text.split(|char: char| !char.is_ascii_digit()).any(|number| number == id_text);
        self.named.contains(&id) || self.unreadable.iter().any(|(_, text, _)| stands_in(text))
    }

    /// What is to be known of the tokens that an interrupted run was about to revoke, and of their successors.
    pub(super) fn about(&self, ids: impl Iterator<Item = TokenId>) -> Branches {
        let mut branches = Branches::default();
        for id in ids.filter(|id| self.names(*id)) {
            branches.named.insert(id);
            branches.current.extend(self.current.get(&id).map(|place| (id, place.clone())));
        }
        branches
    }
}
