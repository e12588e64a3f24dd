//! A new repository that takes nothing from the user's configuration: for the demo.
#![expect(clippy::disallowed_methods, reason = "the configuration of a repository that is being made")]

use std::io::Write as _;
use std::path::Path;

use super::Repository;
use super::error::{Doing, RepoError};

/// What such a repository is configured with: a committer of its own, no signing, no hooks of the user's.
const CONFIG: &str = "\
[user]
\tname = provision demo
\temail = demo@localhost
[commit]
\tgpgSign = false
[core]
\thooksPath = no-hooks
";

impl Repository {
    /// Makes a repository in `dir`, which must exist, with the branch `main`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn init_for_demo(dir: &Path) -> Result<Self, RepoError> {
        let git = gix::init(dir).doing("make a repository")?;
        let config = git.git_dir().join("config");
        let write =
            |text: &str| std::fs::OpenOptions::new().append(true).open(&config)?.write_all(text.as_bytes());
        let head = git.git_dir().join("HEAD");
        write(CONFIG)
            .and_then(|()| std::fs::write(head, "ref: refs/heads/main\n"))
            .map_err(|source| RepoError::Io { doing: "configure", path: config.clone(), source })?;
        Self::discover(dir)
    }

    /// Ids and subjects of the newest commits, newest first, following first parents.
    ///
    /// # Errors
    /// When HEAD or a commit cannot be read.
    pub fn recent(&self, count: usize) -> Result<Vec<(String, String)>, RepoError> {
        let mut recent = Vec::new();
        let mut next = self.head()?.commit;
        while let Some(id) = next.filter(|_| recent.len() < count) {
            let commit = self.git.find_commit(id).doing("read a commit")?;
            let message = commit.message().doing("read a commit")?;
            recent
                .push((commit.short_id().doing("read a commit")?.to_string(), message.summary().to_string()));
            next = commit.parent_ids().next().map(gix::Id::detach);
        }
        Ok(recent)
    }
}
