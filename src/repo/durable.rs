//! Flushing a commit to the disk: gix never does, and git does only in part.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::Write as _;

use super::error::{Doing, RepoError};
use super::sharing::Sharing;

/// Writes a loose object and gives it, and a directory made for it, the repository's modes.
pub(super) fn write_object(
    git: &gix::Repository,
    sharing: Sharing,
    kind: gix::objs::Kind,
    bytes: &[u8],
    id: ObjectId,
) -> Result<(), RepoError> {
    let file = object_path(git, id);
    let directory = file.parent().unwrap_or(&file).to_owned();
    let is_new = !directory.exists();
    git.objects.write_buf_with_known_id(kind, bytes, id).doing("write an object")?;
    let shared = |path: &Path| {
        sharing.apply(path).map_err(|source| RepoError::Io {
            doing: "set the mode of",
            path: path.to_owned(),
            source,
        })
    };
    if is_new {
        shared(&directory)?;
    }
    shared(&file)
}

/// Flushes the loose objects among `ids`, their directories, and the directory of all objects. What is in a
/// pack was flushed when the pack was made.
pub(super) fn sync_objects(git: &gix::Repository, ids: &[ObjectId]) -> Result<(), RepoError> {
    let mut directories = vec![git.objects.store_ref().path().to_owned()];
    for id in ids {
        let path = object_path(git, *id);
        match sync(&path) {
            Ok(()) => directories.extend(path.parent().map(Path::to_owned)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(RepoError::Io { doing: "flush", path, source }),
        }
    }
    directories.sort();
    directories.dedup();
    for path in directories {
        sync(&path).map_err(|source| RepoError::Io { doing: "flush", path, source })?;
    }
    Ok(())
}

fn object_path(git: &gix::Repository, id: ObjectId) -> PathBuf {
    let hex = id.to_string();
    let (directory, name) = hex.split_at(2);
    git.objects.store_ref().path().join(directory).join(name)
}

/// The files that moving HEAD writes.
pub(super) struct RefFiles {
    /// The reference itself: the branch, or HEAD when detached.
    reference: PathBuf,
    /// The reflogs, of the branch and of HEAD.
    logs: Vec<PathBuf>,
    /// Nothing at or above these is made by us.
    bounds: [PathBuf; 2],
}

impl RefFiles {
    pub(super) fn of(git: &gix::Repository, branch: Option<&str>) -> Self {
        let (own, common) = (git.git_dir(), git.common_dir());
        let head_log = own.join("logs/HEAD");
        let (reference, logs) = match branch {
            Some(name) => (common.join(name), vec![head_log, common.join("logs").join(name)]),
            None => (own.join("HEAD"), vec![head_log]),
        };
        Self { reference, logs, bounds: [own.to_owned(), common.to_owned()] }
    }

    /// The directories that do not exist yet and will.
    pub(super) fn missing_directories(&self) -> Vec<PathBuf> {
        let files = self.logs.iter().chain([&self.reference]);
        let above = files.flat_map(|file| file.ancestors().skip(1));
        let ours = above.filter(|directory| !self.bounds.iter().any(|bound| bound.starts_with(directory)));
        let mut missing: Vec<_> = ours.filter(|directory| !directory.exists()).map(Path::to_owned).collect();
        missing.sort();
        missing.dedup();
        missing
    }

    /// Where git puts the new value before it renames it.
    pub(super) fn lock_path(&self) -> PathBuf {
        let mut lock = self.reference.clone().into_os_string();
        lock.push(".lock");
        lock.into()
    }

    /// The reference's content is in its lock file: flushes it and gives it its mode before it is renamed.
    pub(super) fn sync_lock(&self, sharing: Sharing) -> io::Result<()> {
        let lock = self.lock_path();
        sharing.apply(&lock)?;
        sync(&lock)
    }

    /// After the rename: modes of what is new, and the rest flushed.
    pub(super) fn settle(&self, sharing: Sharing, made: &[PathBuf]) -> io::Result<()> {
        for directory in made.iter().filter(|directory| directory.exists()) {
            sharing.apply(directory)?;
            sync_parent(directory)?;
        }
        for log in self.logs.iter().filter(|log| log.exists()) {
            sharing.apply(log)?;
            sync(log)?;
            sync_parent(log)?;
        }
        if self.reference.exists() {
            sync(&self.reference)?;
        }
        sync_parent(&self.reference)
    }
}

/// Flushes the directory that `path` is in, so that its name is on the disk.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => Ok(()),
    }
}

/// Flushes a file or a directory.
#[expect(clippy::disallowed_methods, reason = "nothing is read from it")]
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
