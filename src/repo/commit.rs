//! One commit with exactly the given paths.

use std::collections::HashSet;

use gix::ObjectId;

use super::error::{CommitError, RepoError};
use super::fingerprint::Fingerprint;
use super::handover::{self, Need};
use super::index::LockedIndex;
use super::path::RelPath;
use super::sharing::Sharing;
use super::{Head, Repository, guards, native, program, signals};

/// What one file must be in the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// The file; symlinks are followed to their target inside the repository.
    pub path: RelPath,
    /// What the file in the worktree holds, before git's filters; `None` when the file is gone and its
    /// removal is to be recorded.
    pub content: Option<Fingerprint>,
}

impl FileChange {
    /// The file at `path`, which was written with `bytes`.
    #[must_use]
    pub fn of(path: RelPath, bytes: &[u8]) -> Self {
        Self { path, content: Some(Fingerprint::of(bytes)) }
    }
}

/// A commit to make.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// Subject, blank line, body, trailers. It ends in one line feed whatever is given.
    pub message: String,
    /// Every file of the commit, and no other.
    pub files: Vec<FileChange>,
    /// What HEAD was when the work was planned; anything else refuses.
    pub expected_head: Head,
}

/// Who made the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// We, with gix.
    Gix,
    /// The user's `git`.
    Git,
}

/// A commit that HEAD names and the disk holds.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its id.
    pub id: ObjectId,
    /// Who made it.
    pub by: By,
    /// What the user may want to know, such as why `git` was started.
    pub notes: Vec<String>,
}

/// A change whose path has been resolved.
pub(super) struct Change {
    pub(super) path: RelPath,
    pub(super) content: Option<Fingerprint>,
}

impl Repository {
    /// Commits exactly the files of `request`. Everything else that is staged or unstaged stays as it is.
    ///
    /// Objects, reference, reflog and index are flushed to the disk when it returns. `Ok(None)`: HEAD holds
    /// these files already, nothing was done.
    ///
    /// # Errors
    /// A refusal leaves HEAD, index and references as they were. [`CommitError::commit`] names the commit
    /// that exists in spite of an error.
    pub fn commit(&self, request: &CommitRequest) -> Result<Option<Committed>, CommitError> {
        signals::watch();
        let git = self.fresh()?;
        guards::refuse_in_progress(&git)?;
        let changes = self.resolve_changes(request)?;
        let sharing = Sharing::of(&git)?;
        let locked = LockedIndex::acquire(&git, sharing)?;
        let mut notes = Vec::new();
        match handover::need(&git, self.users_root(), &locked.index)? {
            Some(Need::Must(why) | Need::Better(why)) if program::find().is_some() => {
                drop(locked);
                return handover::commit(self, &git, sharing, request, &changes, &why);
            }
            Some(Need::Must(why)) => return Err(RepoError::NeedsGit { why }.into()),
            Some(Need::Better(what)) => {
                notes.push(format!("committed without git, which is not on the PATH; {what} is not kept"));
            }
            None => {}
        }
        native::commit(self, &git, locked, sharing, request, &changes, notes)
    }

    fn resolve_changes(&self, request: &CommitRequest) -> Result<Vec<Change>, RepoError> {
        let paths = self.resolve_all(request.files.iter().map(|file| &file.path))?;
        let contents = request.files.iter().map(|file| file.content);
        Ok(paths.into_iter().zip(contents).map(|(path, content)| Change { path, content }).collect())
    }

    /// The paths with their symlinks followed; two names of one file are refused.
    pub(super) fn resolve_all<'a>(
        &self,
        paths: impl Iterator<Item = &'a RelPath>,
    ) -> Result<Vec<RelPath>, RepoError> {
        let resolved = paths.map(|path| Ok((path, self.resolve(path)?)));
        let resolved = resolved.collect::<Result<Vec<(&RelPath, RelPath)>, RepoError>>()?;
        let mut known = HashSet::with_capacity(resolved.len());
        if let Some((path, real)) = resolved.iter().find(|(_, real)| !known.insert(real)) {
            return Err(RepoError::SameFile { first: (*path).clone(), second: real.clone() });
        }
        drop(known);
        Ok(resolved.into_iter().map(|(_, real)| real).collect())
    }
}

/// Refuses when HEAD is not what the plan saw.
pub(super) fn refuse_moved_head(git: &gix::Repository, expected: &Head) -> Result<(), CommitError> {
    let found = super::head(git)?;
    if found == *expected {
        return Ok(());
    }
    Err(CommitError::HeadMoved { was: describe(expected), is: describe(&found) })
}

fn describe(head: &Head) -> String {
    let commit =
        head.commit.map_or_else(|| "without a commit".to_owned(), |id| id.to_hex_with_len(12).to_string());
    match &head.branch {
        Some(branch) => format!("{commit} on {}", branch.strip_prefix("refs/heads/").unwrap_or(branch)),
        None => format!("{commit}, detached"),
    }
}

/// The message as it is stored.
pub(super) fn stored_message(message: &str) -> String {
    format!("{}\n", message.trim_end())
}
