//! The user's branch moved on to what the remote has, work tree and index with it.
//!
//! `git merge --ff-only` does it. A git that is killed meanwhile leaves files as they are at the remote, while branch and
//! index are as they were. Such files are no edits: they stand in nobody's way, and the next move takes them along.

use gix::ObjectId;

use super::content::Difference;
use super::error::RepoError;
use super::path::RelPath;
use super::upstream::Chosen;
use super::{Repository, program};

impl Repository {
    /// The commit of the branch that the current one follows, as last fetched, where that is ahead of HEAD and HEAD has
    /// nothing that it lacks.
    ///
    /// # Errors
    /// When the references cannot be read.
    pub fn ahead_at_remote(&self) -> Result<Option<ObjectId>, RepoError> {
        let (Chosen::One(remote), Some(branch)) = (self.remote()?, self.followed_branch()?) else {
            return Ok(None);
        };
        let there = self.commit_of(&format!("refs/remotes/{remote}/{branch}"))?;
        let (Some(here), Some(there)) = (self.head()?.commit, there) else { return Ok(None) };
        let (ahead, behind) = self.ahead_and_behind(here, there)?;
        Ok((ahead == 0 && behind > 0).then_some(there))
    }

    /// Moves the current branch on to `commit`, work tree and index with it, where that loses nothing: what is staged or
    /// edited in files that it changes stands in the way. It is never stashed meanwhile, whatever `merge.autoStash` says:
    /// what was staged would come back unstaged. `before` is what the remote had before `commit`: a move to it may have been
    /// cut.
    ///
    /// # Errors
    /// When it cannot be done. What was edited and staged is as it was then.
    pub fn fast_forward(&self, before: Option<ObjectId>, commit: ObjectId) -> Result<(), RepoError> {
        let Err(refused) = self.merge(commit) else { return Ok(()) };
        match before {
            Some(before) if self.finish(before)? => self.merge(commit),
            _ if self.finish(commit)? => Ok(()),
            _ => Err(refused),
        }
    }

    /// Ends a move that was cut; whether there was one.
    fn finish(&self, commit: ObjectId) -> Result<bool, RepoError> {
        let moved = self.moved_already(commit)?;
        if moved.is_empty() {
            return Ok(false);
        }
        self.on_index(&["update-index", "--add", "--remove"], &moved)?;
        self.merge(commit).inspect_err(|_| {
            // The files themselves are as they were found.
            let _ = self.on_index(&["reset", "--quiet"], &moved);
        })?;
        Ok(true)
    }

    fn merge(&self, commit: ObjectId) -> Result<(), RepoError> {
        let mut command = program::git(self)?;
        command.args(["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "merge.autoStash=false"]);
        command.args(["merge", "--quiet", "--ff-only", "--no-stat"]).arg(commit.to_string());
        program::quietly(command, "merge --ff-only")
    }

    /// The files that are as `commit` has them, while the index has them as HEAD.
    fn moved_already(&self, commit: ObjectId) -> Result<Vec<RelPath>, RepoError> {
        let Some(head) = self.head()?.commit else { return Ok(Vec::new()) };
        let mut moved = Vec::new();
        for path in self.changed_between(Some(head), commit)? {
            let only_there = matches!(
                self.differs_from_head(&path)?,
                Some(Difference::Unstaged | Difference::Untracked | Difference::Missing)
            );
            if only_there && self.stands_as(commit, &path)? {
                moved.push(path);
            }
        }
        Ok(moved)
    }

    fn on_index(&self, arguments: &[&str], paths: &[RelPath]) -> Result<(), RepoError> {
        let mut command = program::git(self)?;
        command.env("GIT_LITERAL_PATHSPECS", "1").args(arguments).arg("--");
        command.args(paths.iter().map(RelPath::as_str));
        program::quietly(command, "update-index")
    }
}
