//! The user's git repository: what it holds, the lock of one writer at a time, files written atomically, and
//! one commit with exactly our paths.
//!
//! It does things and decides nothing. The commit is made with gix behind the guards that each have a test in
//! `tests/it/git_commit*.rs`, and handed to the user's `git` where gix cannot do what git would.

mod branches;
mod commit;
mod content;
mod durable;
mod error;
mod fingerprint;
mod forward;
mod guards;
mod handover;
mod history;
mod hooks;
mod index;
mod index_lock;
mod inherited;
mod init;
mod linked;
pub mod lock;
mod native;
mod past;
mod path;
mod preflight;
mod program;
mod promised;
pub mod read;
mod remnant;
mod remote;
mod sharing;
pub mod signals;
mod standing;
mod tracked;
mod upstream;
mod verify;
pub mod write;

use std::path::{Path, PathBuf};

use crate::hint::Here;

pub use branches::Branch;
pub use commit::{By, CommitRequest, Committed, FileChange};
pub use content::Difference;
pub use error::{CommitError, RepoError};
use error::{Doing, why};
pub use fingerprint::Fingerprint;
pub use gix::ObjectId;
pub use history::{FirstParent, Revision};
pub use hooks::HookState;
pub use past::{PastCommit, PastFiles};
pub use path::{BadPath, RelPath};
pub use remote::{Heads, PushRequest, Pushed, RemoteError};
pub use standing::Standing;
pub use tracked::Tracked;
pub use upstream::{Chosen, Upstream};

/// An opened repository with a worktree, owned by the user or trusted through `safe.directory`.
#[derive(Clone)]
pub struct Repository {
    git: gix::Repository,
    root: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    /// Found through `GIT_DIR` or `GIT_WORK_TREE`, so a `git` we start must be told where it is.
    from_environment: bool,
    /// Where the one who asked stands in it.
    here: Here,
    /// Where this is a worktree of ours: what it takes over from the user's.
    linked: Option<linked::Linked>,
}

/// What HEAD names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The commit; none on a branch without commits.
    pub commit: Option<ObjectId>,
    /// The branch by its full name (`refs/heads/main`); none when detached.
    pub branch: Option<String>,
}

impl Repository {
    /// The repository of `dir`: the one that `GIT_DIR` names, else the one at `dir` or above it.
    ///
    /// # Errors
    /// When there is none, it is bare, it belongs to another user and `safe.directory` does not name it, or
    /// it cannot be read.
    pub fn discover(dir: &Path) -> Result<Self, RepoError> {
        let git = open(dir)?;
        if git.git_dir_trust() != gix::sec::Trust::Full {
            return Err(RepoError::NotOwned { git_dir: real(git.git_dir())? });
        }
        let git_dir = real(git.git_dir())?;
        let storage = git.config_snapshot().string("extensions.refStorage");
        if storage.is_some_and(|name| name.starts_with(b"reftable")) {
            return Err(RepoError::Reftable { git_dir });
        }
        let common_dir = real(git.common_dir())?;
        let Some(workdir) = git.workdir() else { return Err(RepoError::Bare { git_dir }) };
        let root = real(workdir)?;
        let from_environment = is_from_environment();
        let here = here(dir, &root);
        Ok(Self { root, git_dir, common_dir, from_environment, here, linked: None, git })
    }

    /// The worktree's root, absolute and without symlinks.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the one who asked stands in it; at the root, where that is somewhere else. In a worktree of ours: where they stand
    /// in their own.
    #[must_use]
    pub fn here(&self) -> &Here {
        &self.here
    }

    /// The git directory of this worktree.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The git directory that all worktrees of the repository share.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The name of a linked worktree (below `worktrees/` in the common git directory); none for the main one.
    #[must_use]
    pub fn worktree_id(&self) -> Option<String> {
        let linked = self.git_dir.strip_prefix(self.common_dir.join("worktrees")).ok()?;
        Some(linked.to_string_lossy().into_owned())
    }

    /// What HEAD names now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn head(&self) -> Result<Head, RepoError> {
        head(&self.git)
    }

    /// The operation that must be finished before anything else is committed: `a merge`, `a rebase`, … A
    /// bisect is none of them.
    #[must_use]
    pub fn state(&self) -> Option<&'static str> {
        guards::in_progress(&self.git)
    }

    /// The repository-relative name of `path`, which may be absolute or relative to the current directory.
    /// Links on the way to its directory are followed, one in its place is not.
    ///
    /// # Errors
    /// When it is outside the worktree or inside `.git`.
    pub fn relative(&self, path: &Path) -> Result<RelPath, RepoError> {
        let from = std::env::current_dir().map_err(|source| RepoError::Io {
            doing: "find the current directory for",
            path: path.to_owned(),
            source,
        })?;
        path::relative(&self.root, &from, path)
    }

    /// The file that `path` means, with every symlink on the way followed to its target in the repository.
    ///
    /// # Errors
    /// When a symlink leads out of the repository or into `.git`.
    pub fn resolve(&self, path: &RelPath) -> Result<RelPath, RepoError> {
        path::resolve(&self.root, path)
    }

    /// Replaces the file atomically and durably; see [`write::replace`]. Symlinks are followed, and must end
    /// inside the repository.
    ///
    /// # Errors
    /// When the path leaves the repository, or the file cannot be written; it is then as it was.
    pub fn write(&self, path: &RelPath, bytes: &[u8]) -> Result<(), RepoError> {
        let file = self.resolve(path)?.below(&self.root);
        write::replace(&file, bytes, write::NewFile::Ordinary).map_err(|source| RepoError::Io {
            doing: "write",
            path: file,
            source,
        })
    }

    /// Brings the file back to what HEAD has, which may be that there is none. The index is left alone.
    ///
    /// # Errors
    /// When the path leaves the repository, or the file can be neither written nor removed.
    pub fn restore(&self, path: &RelPath) -> Result<(), RepoError> {
        if let Some(bytes) = self.content_at_head(path)? {
            return self.write(path, &bytes);
        }
        self.remove(path)
    }

    /// Removes the file, where there is one. The index is left alone.
    ///
    /// # Errors
    /// When the path leaves the repository, or the file cannot be removed.
    pub fn remove(&self, path: &RelPath) -> Result<(), RepoError> {
        let file = self.resolve(path)?.below(&self.root);
        match write::remove_durable(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| RepoError::Io { doing: "remove", path: file, source }),
        }
    }

    /// The repository read anew: configuration and the time of a commit are those of this moment.
    fn fresh(&self) -> Result<gix::Repository, RepoError> {
        let mut git = self.git.clone();
        git.reload().doing("read the repository again")?;
        Ok(git)
    }
}

fn open(dir: &Path) -> Result<gix::Repository, RepoError> {
    let options = gix::discover::upwards::Options { match_ceiling_dir_or_error: false, ..Default::default() };
    gix::ThreadSafeRepository::discover_with_environment_overrides_opts(dir, options, Default::default())
        .map(|git| git.to_thread_local())
        .map_err(|error| open_error(dir, &error))
}

fn open_error(dir: &Path, error: &gix::Error) -> RepoError {
    if error.downcast_any_ref::<gix::discover::upwards::Error>().is_some() {
        return RepoError::NotARepository { dir: dir.to_owned() };
    }
    RepoError::Open { dir: dir.to_owned(), why: why(error) }
}

fn head(git: &gix::Repository) -> Result<Head, RepoError> {
    let mut head = git.head().doing("read HEAD")?;
    let branch = head.referent_name().map(|name| name.as_bstr().to_string());
    let commit = match head.is_unborn() {
        true => None,
        false => Some(head.peel_to_commit().doing("read the commit of HEAD")?.id),
    };
    Ok(Head { commit, branch })
}

/// The names from `root` to `dir`.
fn here(dir: &Path, root: &Path) -> Here {
    let real = dir.canonicalize().unwrap_or_default();
    let names = real.strip_prefix(root).unwrap_or(Path::new(""));
    Here::new(names.iter().map(|name| name.to_string_lossy()))
}

fn real(path: &Path) -> Result<PathBuf, RepoError> {
    path.canonicalize().map_err(|source| RepoError::Io { doing: "read", path: path.to_owned(), source })
}

#[expect(clippy::disallowed_methods, reason = "these two variables name the repository, as they do for git")]
fn is_from_environment() -> bool {
    ["GIT_DIR", "GIT_WORK_TREE"].iter().any(|name| std::env::var_os(name).is_some())
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("root", &self.root).field("git_dir", &self.git_dir).finish()
    }
}
