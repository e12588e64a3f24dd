//! What an earlier run committed here, and nobody has pushed.

use super::Delivery;
use crate::error::Result;
use crate::lock;
use crate::observe::{POLICY, inspect};
use crate::plan::deliver::{On, Waiting, Way};
use crate::repo::{ObjectId, RelPath};

impl Delivery {
    /// What of the user's HEAD waits to be pushed, where the lock of an environment is among what it changes.
    ///
    /// # Errors
    /// Where a commit cannot be read.
    pub fn waiting(&self, lock: &RelPath) -> Result<Option<Waiting>> {
        self.unpushed(|path, _| Ok(path == lock))
    }

    /// The same of all that runs write, for those that have no lock of their own.
    pub(super) fn waiting_files(&self) -> Result<Option<Waiting>> {
        self.unpushed(|path, commits| {
            let name = path.as_str();
            if name == POLICY || lock::owner(name).is_some() {
                return Ok(true);
            }
            for commit in commits {
                let bytes = self.repo.content_at(*commit, path)?;
                if bytes.is_some_and(|bytes| inspect::is_secrets_file(name, &bytes)) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Compares what is pushed to with HEAD: our branch, as long as it is not merged, else the target. `is_ours` is asked
    /// about each file that they do not have alike, and is given both commits.
    fn unpushed(&self, is_ours: impl Fn(&RelPath, &[ObjectId]) -> Result<bool>) -> Result<Option<Waiting>> {
        let unmerged = self.ours.filter(|_| self.way == Way::MergeRequest && self.replaces.is_none());
        let there = unmerged.or(self.target);
        if self.on != On::Head || there == Some(self.base) {
            return Ok(None);
        }
        let both: Vec<ObjectId> = there.into_iter().chain([self.base]).collect();
        let mut files = Vec::new();
        for path in self.repo.changed_between(there, self.base)? {
            if is_ours(&path, &both)? {
                files.push(path.to_string());
            }
        }
        if files.is_empty() {
            return Ok(None);
        }
        let commits = match there {
            Some(there) => self.repo.ahead_and_behind(self.base, there)?.0,
            None => self.repo.commits_up_to(self.base)?,
        };
        Ok(Some(Waiting { to: self.destination(), commits, files }))
    }
}
