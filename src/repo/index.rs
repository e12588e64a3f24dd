//! The index: locked first (`index_lock`), read after, written into the lock, and published last.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gix::bstr::{BStr, BString};
use gix::index::entry::{Flags, Mode, Stage, Stat};
use gix::objs::tree::EntryKind;

use super::error::{Doing, RepoError, why};
use super::index_lock::{IndexLock, lock_path};
use super::path::RelPath;
use super::sharing::Sharing;
use super::signals::Shield;

/// How long another git may hold the index before we give up.
const PATIENCE: Duration = Duration::from_millis(1500);
const PAUSE: Duration = Duration::from_millis(20);

/// The index as it is, opened without a lock. Empty where there is none yet.
pub(super) fn read(git: &gix::Repository) -> Result<gix::index::File, RepoError> {
    let path = git.index_path();
    if !path.exists() {
        let empty = gix::index::State::new(git.object_hash());
        return Ok(gix::index::File::from_state(empty, path));
    }
    git.open_index().doing("read the index")
}

/// The index under our lock.
pub(super) struct LockedIndex {
    lock: IndexLock,
    pub(super) index: gix::index::File,
}

impl LockedIndex {
    /// Takes the lock, waiting a moment for another git, and reads the index under it.
    pub(super) fn acquire(git: &gix::Repository, sharing: Sharing) -> Result<Self, RepoError> {
        let deadline = Instant::now() + PATIENCE;
        let lock = loop {
            match IndexLock::take(git, sharing) {
                Ok(lock) => break lock,
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(RepoError::NotWritable { dir: git.git_dir().to_owned(), source: error });
                }
                Err(_) if Instant::now() >= deadline => {
                    return Err(RepoError::Locked { lock: lock_path(git) });
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        };
        Ok(Self { lock, index: read(git)? })
    }

    /// Notes which commit the index is for.
    pub(super) fn announce(&mut self, commit: gix::ObjectId) {
        self.lock.announce(commit);
    }

    /// Notes that these locks on references are ours too.
    pub(super) fn beside(&mut self, locks: &[PathBuf]) {
        self.lock.beside(locks);
    }

    /// Makes the entry of `path` say what was committed. `None` takes it out.
    pub(super) fn record(&mut self, path: &RelPath, file: Option<&Staged>) {
        let name: &BStr = path.as_str().into();
        let Some(file) = file else {
            self.index.remove_entries(|_, entry, _| entry == name);
            return;
        };
        if let Some(entry) = self.index.entry_mut_by_path_and_stage(name, Stage::Unconflicted) {
            entry.id = file.id;
            entry.stat = file.stat;
            entry.mode = file.mode();
            entry.flags.remove(Flags::INTENT_TO_ADD);
            if !entry.flags.contains(Flags::SKIP_WORKTREE) {
                entry.flags.remove(Flags::EXTENDED);
            }
            return;
        }
        self.displace(name);
        self.index.dangerously_push_entry(file.stat, file.id, Flags::empty(), file.mode(), name);
        self.index.sort_entries();
    }

    /// A file takes the place of a directory, or a directory the place of a file.
    fn displace(&mut self, name: &BStr) {
        let mut directory = BString::from(name);
        directory.push(b'/');
        self.index.remove_entries(|_, entry, _| {
            entry.starts_with(directory.as_slice())
                || (name.starts_with(entry) && name.get(entry.len()) == Some(&b'/'))
        });
    }

    /// Writes the new index into the lock file, flushed; nobody sees it before [`publish`](Self::publish).
    pub(super) fn write(&mut self, git: &gix::Repository) -> Result<(), RepoError> {
        // gix writes the cache of trees back as it was: the next commit of git's would restore old content
        // (GitoxideLabs/gitoxide issue 2421).
        self.index.remove_tree();
        self.smudge_racy(git)?;
        let mut out = io::BufWriter::new(self.lock.file());
        let written = self.index.write_to(&mut out, gix::index::write::Options::default());
        let written = written.map_err(|error| io::Error::other(why(&error)));
        written
            .and_then(|_| out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all())
            .map_err(|source| RepoError::Io { doing: "write", path: self.lock.path().to_owned(), source })
    }

    /// As git does on each write: an entry as young as the index itself gets the size 0, so that an edit of
    /// the same length in the same moment is still seen.
    fn smudge_racy(&mut self, git: &gix::Repository) -> Result<(), RepoError> {
        let read_at = self.index.timestamp();
        let options = git.stat_options().doing("read the configuration of the index")?;
        for entry in self.index.entries_mut() {
            if entry.stat.size != 0 && !entry.mode.is_submodule() && entry.stat.is_racy(read_at, options) {
                entry.stat.size = 0;
            }
        }
        Ok(())
    }

    /// Puts the written index in place. The caller holds the shield: the reference has just moved.
    pub(super) fn publish(self, shield: &Shield) -> io::Result<PathBuf> {
        self.lock.publish(shield)
    }
}

/// A file as it goes into the commit.
pub(super) struct Staged {
    pub(super) id: gix::ObjectId,
    pub(super) stat: Stat,
    pub(super) executable: bool,
}

impl Staged {
    pub(super) fn kind(&self) -> EntryKind {
        if self.executable { EntryKind::BlobExecutable } else { EntryKind::Blob }
    }

    fn mode(&self) -> Mode {
        if self.executable { Mode::FILE_EXECUTABLE } else { Mode::FILE }
    }
}
