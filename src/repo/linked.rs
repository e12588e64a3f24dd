//! A worktree of our own for a run that delivers, so that the user's stays as it is.

use super::error::RepoError;
use super::path::{BadPath, RelPath};
use super::{Repository, program, read, signals};
use gix::ObjectId;
use std::path::{Path, PathBuf};

/// What a worktree of ours takes over from the user's.
#[derive(Clone)]
pub(super) struct Linked {
    /// The remote whose default branch is upstream.
    pub(super) remote: String,
    /// The user's root.
    root: PathBuf,
}

impl Repository {
    /// The root of the user's own worktree, also where this is one of ours: what a relative `core.hooksPath`, whose hooks git
    /// need not track, and the relative address of a remote count from.
    pub(super) fn users_root(&self) -> &Path {
        self.linked.as_ref().map_or(&self.root, |linked| &linked.root)
    }

    /// Makes a worktree, detached at `commit`, below the common git directory. One of this name (one component of a path)
    /// that an interrupted run left is made anew. `remote` is what counts as upstream there, where HEAD is on no branch.
    ///
    /// # Errors
    /// When the name is none, or git cannot make it.
    pub fn open_linked(&self, name: &str, commit: ObjectId, remote: &str) -> Result<Self, RepoError> {
        if self.from_environment {
            return Err(RepoError::FromEnvironment);
        }
        let [path, kept] = self.linked_directories(name)?;
        remove(&path)?;
        signals::watch();
        signals::litter_directories([path.clone(), kept]);
        let mut command = program::git(self)?;
        // Whether files of git LFS are fetched, or a hook runs at a checkout, is nothing to a worktree that goes again.
        command.env("GIT_LFS_SKIP_SMUDGE", "1").args(["-c", "core.hooksPath=/dev/null"]);
        command.args(["-c", "advice.detachedHead=false", "worktree", "add", "--quiet", "--force", "--force"]);
        command.args(["--detach", "--"]).arg(&path).arg(commit.to_string());
        program::done(command, "worktree add")?;
        let linked = Linked { remote: remote.to_owned(), root: self.root.clone() };
        Ok(Self { linked: Some(linked), here: self.here.clone(), ..Self::discover(&path)? })
    }

    /// Removes the worktree of this name; there need not be one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn close_linked(&self, name: &str) -> Result<(), RepoError> {
        let directories = self.linked_directories(name)?;
        let [path, _] = &directories;
        if path.exists() {
            let mut command = program::git(self)?;
            command.args(["worktree", "remove", "--force", "--force", "--"]).arg(path);
            program::done(command, "worktree remove")?;
        }
        signals::forget_directories(&directories);
        Ok(())
    }

    /// The worktree, below the folder of our lock and journals, which nobody else can read; and what git keeps about it.
    fn linked_directories(&self, name: &str) -> Result<[PathBuf; 2], RepoError> {
        let folder = RelPath::new(&format!("provision-{name}"))?;
        if folder.directories().next().is_some() {
            let path = folder.to_string();
            return Err(BadPath { path, why: "it is more than the name of one folder" }.into());
        }
        Ok(["provision", "worktrees"].map(|place| folder.below(&self.common_dir().join(place))))
    }

    /// The root of a worktree of the user's, by what [`worktree_id`](Self::worktree_id) calls it; `None` where it is gone.
    #[must_use]
    pub fn root_of_worktree(&self, id: Option<&str>) -> Option<PathBuf> {
        let root = match id {
            None => self.git.main_repo().ok()?.workdir()?.to_owned(),
            Some(id) => {
                let kept = self.common_dir().join("worktrees").join(id);
                let file = kept.join(read::text(&kept.join("gitdir")).ok()?.trim_end());
                file.parent()?.to_owned()
            }
        };
        let root = root.canonicalize().ok()?;
        (!root.starts_with(self.common_dir().join("provision"))).then_some(root)
    }
}

fn remove(path: &Path) -> Result<(), RepoError> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(RepoError::Io { doing: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
