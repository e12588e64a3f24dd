//! The refusals that come before a commit, and that preflight asks for before anything is minted.

use std::path::Path;

use gix::bstr::BStr;
use gix::index::entry::{Flags, Mode, Stage};

use super::error::{Doing, RepoError};
use super::path::RelPath;

/// What must be finished first. A bisect does not count: git commits during one, too.
pub(super) fn in_progress(git: &gix::Repository) -> Option<&'static str> {
    use gix::state::InProgress;
    match git.state()? {
        // gix looks for a bisect before it looks for a revert.
        InProgress::Bisect => git.path().join("REVERT_HEAD").is_file().then_some("a revert"),
        InProgress::ApplyMailbox | InProgress::ApplyMailboxRebase => Some("git am"),
        InProgress::CherryPick | InProgress::CherryPickSequence => Some("a cherry-pick"),
        InProgress::Merge => Some("a merge"),
        InProgress::Rebase | InProgress::RebaseInteractive => Some("a rebase"),
        InProgress::Revert | InProgress::RevertSequence => Some("a revert"),
    }
}

/// Refuses while an operation is in progress.
pub(super) fn refuse_in_progress(git: &gix::Repository) -> Result<(), RepoError> {
    match in_progress(git) {
        Some(what) => Err(RepoError::InProgress { what }),
        None => Ok(()),
    }
}

/// Refuses a path that cannot be committed as the index and the worktree are.
pub(super) fn refuse_path(
    git: &gix::Repository,
    index: &gix::index::State,
    root: &Path,
    path: &RelPath,
) -> Result<(), RepoError> {
    let name: &BStr = path.as_str().into();
    if [Stage::Base, Stage::Ours, Stage::Theirs]
        .iter()
        .any(|stage| index.entry_by_path_and_stage(name, *stage).is_some())
    {
        return Err(RepoError::Conflicted { path: path.clone() });
    }
    refuse_directories(index, root, path)?;
    match index.entry_by_path(name) {
        Some(entry) if entry.flags.contains(Flags::SKIP_WORKTREE) && !is_sparse(git) => {
            Err(RepoError::Skipped { path: path.clone() })
        }
        Some(entry) if entry.flags.contains(Flags::SKIP_WORKTREE) => {
            Err(RepoError::OutsideSparse { path: path.clone() })
        }
        Some(entry) if entry.mode == Mode::COMMIT => {
            Err(RepoError::InOtherRepository { path: path.clone(), other: path.to_string() })
        }
        Some(_) => Ok(()),
        None if is_ignored(git, index, path)? => Err(RepoError::Ignored { path: path.clone() }),
        None => Ok(()),
    }
}

/// The directories above a path: none may be a submodule, another repository, or collapsed in a sparse index.
fn refuse_directories(index: &gix::index::State, root: &Path, path: &RelPath) -> Result<(), RepoError> {
    for directory in path.directories() {
        let other = || RepoError::InOtherRepository { path: path.clone(), other: directory.to_owned() };
        if index.entry_by_path(directory.into()).is_some_and(|entry| entry.mode == Mode::COMMIT) {
            return Err(other());
        }
        if root.join(directory).join(".git").symlink_metadata().is_ok() {
            return Err(other());
        }
    }
    if is_collapsed(index, path) {
        return Err(RepoError::OutsideSparse { path: path.clone() });
    }
    Ok(())
}

/// Whether this is a sparse checkout; elsewhere `skip-worktree` is a mark that somebody made by hand.
pub(super) fn is_sparse(git: &gix::Repository) -> bool {
    git.config_snapshot().boolean("core.sparseCheckout") == Some(true)
}

/// Whether a sparse index keeps a directory above the path as one entry, whose name ends in a slash.
pub(super) fn is_collapsed(index: &gix::index::State, path: &RelPath) -> bool {
    path.directories().any(|directory| index.entry_by_path(format!("{directory}/").as_str().into()).is_some())
}

/// Whether an ignore rule matches; a tracked file can match one and still be committed.
pub(super) fn is_ignored(
    git: &gix::Repository,
    index: &gix::index::State,
    path: &RelPath,
) -> Result<bool, RepoError> {
    use gix::worktree::stack::state::ignore::Source;
    let mut excludes = git
        .excludes(index, None, Source::WorktreeThenIdMappingIfNotSkipped)
        .doing("read the ignore rules")?;
    let name: &BStr = path.as_str().into();
    let platform = excludes.at_entry(name, Some(Mode::FILE)).doing("read the ignore rules")?;
    Ok(platform.is_excluded())
}
