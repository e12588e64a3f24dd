//! `core.sharedRepository`: who else may use what is written into the git directory.

use std::io;
use std::path::Path;

use super::error::{Doing, RepoError};

/// The policy in git's compact encoding: 0 leaves the umask's mode, a positive mode is added, a negative one
/// replaces the permission bits (`adjust_shared_perm` in git's path.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sharing(i32);

impl Sharing {
    pub(super) fn of(git: &gix::Repository) -> Result<Self, RepoError> {
        let config = git.config_snapshot();
        let value = config.plumbing().sections_by_name("core").into_iter().flatten();
        let value = value
            .filter(|section| section.header().subsection_name().is_none())
            .filter_map(|section| section.value_implicit("sharedRepository"))
            .last();
        let Some(value) = value else { return Ok(Self(0)) };
        gix::config::tree::Core::SHARED_REPOSITORY
            .try_into_shared_repository(value)
            .map(Self)
            .doing("read core.sharedRepository")
    }

    /// Gives a file or directory of the git directory its mode. One that belongs to somebody else is left
    /// alone: it has been given its mode by its owner, and git does not fail either.
    pub(super) fn apply(self, path: &Path) -> io::Result<()> {
        match gix::fs::set_shared_repository_permissions(path, self.0) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            done => done,
        }
    }
}
