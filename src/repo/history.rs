//! The first-parent history of one file.

use gix::ObjectId;

use super::error::{Doing, RepoError};
use super::path::RelPath;
use super::{Repository, program};

/// How many commits [`Repository::content_before`] looks at.
const LOOK_BACK: usize = 200;

/// One commit of the history, and the file in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The commit.
    pub commit: ObjectId,
    /// When it was committed, in seconds since 1970 (UTC).
    pub committed: i64,
    /// The file as stored in the commit, before any checkout filter; `None` when the commit has no such file.
    pub content: Option<Vec<u8>>,
}

/// Commits from the newest, each followed by its first parent.
pub struct FirstParent<'a> {
    repo: &'a Repository,
    path: RelPath,
    next: Option<ObjectId>,
    reached_boundary: bool,
}

impl Repository {
    /// The file at `from` and at each of its first-parent ancestors, newest first. It ends at the root or
    /// where a shallow clone ends; [`FirstParent::is_cut_off`] tells which.
    ///
    /// # Errors
    /// When the path leaves the repository.
    pub fn first_parent_content(&self, from: ObjectId, path: &RelPath) -> Result<FirstParent<'_>, RepoError> {
        let path = self.resolve(path)?;
        Ok(FirstParent { repo: self, path, next: Some(from), reached_boundary: false })
    }

    /// The newest content on that way which is another than `now` (`None`: than at `from`), within 200 commits. `None`
    /// where there is none, or the file was not there.
    ///
    /// # Errors
    /// When the path leaves the repository, or an object cannot be read.
    pub fn content_before(
        &self,
        from: ObjectId,
        path: &RelPath,
        mut now: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, RepoError> {
        for revision in self.first_parent_content(from, path)?.take(LOOK_BACK) {
            let Some(content) = revision?.content else { break };
            if *now.get_or_insert_with(|| content.clone()) != content {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }
}

impl Repository {
    /// How many commits `one` has that `other` has not, and the other way round. (0, 0): they are the same.
    ///
    /// # Errors
    /// When git cannot tell, because a commit is not here.
    pub fn ahead_and_behind(&self, one: ObjectId, other: ObjectId) -> Result<(u64, u64), RepoError> {
        if one == other {
            return Ok((0, 0));
        }
        let mut command = program::git(self)?;
        command.args(["rev-list", "--count", "--left-right"]).arg(format!("{one}...{other}")).arg("--");
        let counts = program::printed(command).and_then(|text| {
            let (ahead, behind) = text.trim().split_once('\t')?;
            Some((ahead.parse().ok()?, behind.parse().ok()?))
        });
        let doing = || format!("compare the commits {one} and {other}");
        counts.ok_or_else(|| RepoError::Git { doing: doing(), why: "git rev-list does not tell".to_owned() })
    }

    /// How many commits there are up to this one, with it: as far as the clone has them.
    ///
    /// # Errors
    /// When git cannot tell, because it is not here.
    pub fn commits_up_to(&self, commit: ObjectId) -> Result<u64, RepoError> {
        let mut command = program::git(self)?;
        command.args(["rev-list", "--count"]).arg(commit.to_string()).arg("--");
        program::printed(command).and_then(|text| text.trim().parse().ok()).ok_or_else(|| RepoError::Git {
            doing: format!("count the commits up to {commit}"),
            why: "git rev-list does not tell".to_owned(),
        })
    }

    /// The commit here from which both have gone on; `None` where there is none.
    ///
    /// # Errors
    /// When there is no git.
    pub fn common_commit(&self, one: ObjectId, other: ObjectId) -> Result<Option<ObjectId>, RepoError> {
        let mut command = program::git(self)?;
        command.args(["merge-base", "--"]).args([one.to_string(), other.to_string()]);
        let printed = program::printed(command);
        Ok(printed.and_then(|line| ObjectId::from_hex(line.trim().as_bytes()).ok()))
    }

    /// Whether merging `other` into `one` would change nothing: its changes are there already, as after a squashed
    /// merge. A git older than 2.38 cannot tell, and says no.
    ///
    /// # Errors
    /// When there is no git, or `one` cannot be read.
    pub fn has_the_changes_of(&self, one: ObjectId, other: ObjectId) -> Result<bool, RepoError> {
        let mut command = program::git(self)?;
        command
            .args(["merge-tree", "--write-tree", "--no-messages"])
            .args([one.to_string(), other.to_string()]);
        let Some(merged) = program::printed(command) else { return Ok(false) };
        let tree = self.git.find_commit(one).and_then(|commit| Ok(commit.tree_id()?.detach()));
        let tree = tree.doing(format!("read commit {one}"))?;
        Ok(ObjectId::from_hex(merged.trim().as_bytes()).is_ok_and(|merged| merged == tree))
    }
}

impl FirstParent<'_> {
    /// Whether the history went on where it ended here, because the clone is shallow. Known once the iterator
    /// is at its end.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.reached_boundary
    }

    fn revision(&mut self, id: ObjectId) -> Result<Revision, RepoError> {
        let git = &self.repo.git;
        let doing = || format!("read commit {id}");
        let commit = git.find_commit(id).doing(doing())?;
        let committed = commit.time().doing(doing())?.seconds;
        let parent = commit.parent_ids().next().map(gix::Id::detach);
        let content = self.repo.blob_at(id, &self.path)?;
        if parent.is_some() && is_boundary(git, id)? {
            self.reached_boundary = true;
        } else {
            self.next = parent;
        }
        Ok(Revision { commit: id, committed, content })
    }
}

impl Iterator for FirstParent<'_> {
    type Item = Result<Revision, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.next.take()?;
        Some(self.revision(id))
    }
}

/// A boundary commit names parents that the clone does not have.
fn is_boundary(git: &gix::Repository, id: ObjectId) -> Result<bool, RepoError> {
    let shallow = git.shallow_commits().doing("read the shallow boundary")?;
    Ok(shallow.is_some_and(|commits| commits.iter().any(|boundary| *boundary == id)))
}
