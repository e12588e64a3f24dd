//! Everything that can fail in a commit, asked before anything is minted.

use std::path::Path;

use super::error::{RepoError, why};
use super::handover::{self, Need};
use super::index::LockedIndex;
use super::path::RelPath;
use super::sharing::Sharing;
use super::{Repository, guards, head, inherited, native, program, signals};

impl Repository {
    /// Refuses now what [`commit`](Self::commit) would refuse later for these paths, whether they exist yet
    /// or not. Nothing is changed.
    ///
    /// # Errors
    /// The first thing found: an operation in progress, a path that cannot be committed, no identity, no
    /// signing program, a lock, a directory that cannot be written, hooks without a git to run them.
    pub fn preflight(&self, paths: &[RelPath]) -> Result<(), RepoError> {
        signals::watch();
        let git = self.fresh()?;
        guards::refuse_in_progress(&git)?;
        let sharing = Sharing::of(&git)?;
        native::identities(&git)?;
        refuse_unsignable(&git)?;
        refuse_unwritable(&git)?;
        refuse_locked_reference(&git)?;
        // Taking the lock for a moment tells both whether it is free and whether it can be taken.
        let locked = LockedIndex::acquire(&git, sharing)?;
        let resolved = self.resolve_all(paths.iter())?;
        for path in &resolved {
            guards::refuse_path(&git, &locked.index, self.root(), path)?;
            refuse_other_than_file(self.root(), path)?;
            refuse_unwritable_place(self.root(), path)?;
        }
        let need = handover::need(&git, self.users_root(), &locked.index)?;
        drop(locked);
        let has_git = program::find().is_some();
        match need {
            Some(Need::Must(why)) if !has_git => Err(RepoError::NeedsGit { why }),
            Some(_) if has_git => handover::refuse_outside_sparse(self, &git, &resolved),
            _ => Ok(()),
        }
    }
}

fn refuse_other_than_file(root: &Path, path: &RelPath) -> Result<(), RepoError> {
    match path.below(root).symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => Err(RepoError::NotAFile { path: path.clone() }),
        _ => Ok(()),
    }
}

/// The signing program must be there; whether the key is, only signing tells.
fn refuse_unsignable(git: &gix::Repository) -> Result<(), RepoError> {
    let setting = inherited::signing_program(git);
    let failed = |why| RepoError::Signing { why, setting };
    let Some(options) = inherited::signing(git).map_err(|error| failed(why(&error)))? else { return Ok(()) };
    let program = options.program.to_string_lossy().into_owned();
    // A shell line is for the shell to judge.
    let is_plain = !program.contains(char::is_whitespace);
    if is_plain && program::on_path(&program).is_none() {
        return Err(failed(format!("the signing program {program} was not found")));
    }
    Ok(())
}

fn refuse_unwritable(git: &gix::Repository) -> Result<(), RepoError> {
    let objects = git.objects.store_ref().path();
    [git.git_dir(), &git.common_dir().join("refs"), objects].into_iter().try_for_each(writable)
}

/// The file is put into its directory whole; what is not there yet is made in the nearest one that is.
fn refuse_unwritable_place(root: &Path, path: &RelPath) -> Result<(), RepoError> {
    let file = path.below(root);
    file.ancestors().skip(1).find(|directory| directory.is_dir()).map_or(Ok(()), writable)
}

fn writable(dir: &Path) -> Result<(), RepoError> {
    #[cfg(unix)]
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK)
        .map_err(|error| RepoError::NotWritable { dir: dir.to_owned(), source: error.into() })?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

fn refuse_locked_reference(git: &gix::Repository) -> Result<(), RepoError> {
    let branch = head(git)?.branch;
    let locks = native::reference_locks(git, branch.as_deref());
    locks.into_iter().find(|lock| lock.exists()).map_or(Ok(()), |lock| Err(RepoError::Locked { lock }))
}
