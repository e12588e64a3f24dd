//! The index: locked first, read after, written into the lock, and published last.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gix::bstr::{BStr, BString};
use gix::index::entry::{Flags, Mode, Stage, Stat};
use gix::objs::tree::EntryKind;

use super::error::{Doing, RepoError, why};
use super::path::RelPath;
use super::remnant::Note;
use super::sharing::Sharing;
use super::signals::{self, Litter, Shield};

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

/// `<index>.lock`, where git puts it.
pub(super) fn lock_path(git: &gix::Repository) -> PathBuf {
    let mut lock = git.index_path().into_os_string();
    lock.push(".lock");
    lock.into()
}

/// The index under our lock.
pub(super) struct LockedIndex {
    /// Both are there until the lock is given up.
    held: Option<(gix::lock::File, Litter)>,
    /// Tells a later run whose lock it was, should this one be killed. Wiped after the lock is given up.
    note: Option<Note>,
    pub(super) index: gix::index::File,
}

impl LockedIndex {
    /// Takes the lock, waiting a moment for another git, and reads the index under it.
    pub(super) fn acquire(git: &gix::Repository, sharing: Sharing) -> Result<Self, RepoError> {
        let deadline = Instant::now() + PATIENCE;
        let held = loop {
            match try_lock(git, sharing) {
                Ok(held) => break held,
                Err(error) if !is_held(&error) => return Err(not_lockable(git, &error)),
                Err(_) if Instant::now() >= deadline => {
                    return Err(RepoError::Locked { lock: lock_path(git) });
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        };
        let empty = gix::index::State::new(git.object_hash());
        let index = gix::index::File::from_state(empty, git.index_path());
        // Made before the index is read, so that an error gives the lock up as it should.
        let mut locked = Self { held: Some(held), note: Note::hold(git.git_dir()), index };
        locked.announce(git, None);
        locked.index = read(git)?;
        Ok(locked)
    }

    /// Notes which commit the index is for.
    pub(super) fn announce(&mut self, git: &gix::Repository, commit: Option<gix::ObjectId>) {
        if let Some(note) = &mut self.note {
            note.write(&lock_path(git), commit);
        }
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
        let index = &self.index;
        let Some((lock, _)) = &mut self.held else { return Ok(()) };
        let lock_path = lock.lock_path().to_owned();
        lock.with_mut(|file| {
            let mut out = io::BufWriter::new(file);
            index
                .write_to(&mut out, gix::index::write::Options::default())
                .map_err(|error| io::Error::other(why(&error)))?;
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
        })
        .map_err(|source| RepoError::Io { doing: "write", path: lock_path, source })
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
    pub(super) fn publish(mut self, _shield: &Shield) -> Result<PathBuf, String> {
        let Some((lock, litter)) = self.held.take() else { return Err("its lock is gone".to_owned()) };
        let published = lock.commit().map(|(path, _)| path).map_err(|error| error.error.to_string());
        drop(litter);
        published
    }
}

/// Gives the lock up without a change. Not under a shield of the same thread.
impl Drop for LockedIndex {
    fn drop(&mut self) {
        if let Some((lock, litter)) = self.held.take() {
            let _shield = signals::shield();
            drop(lock);
            drop(litter);
        }
    }
}

fn try_lock(git: &gix::Repository, sharing: Sharing) -> Result<(gix::lock::File, Litter), gix::Error> {
    let _shield = signals::shield();
    let lock = gix::lock::File::acquire_to_update_resource(
        git.index_path(),
        gix::lock::acquire::Fail::Immediately,
        None,
        sharing.for_lock(),
    )?;
    let litter = signals::litter(lock.lock_path());
    Ok((lock, litter))
}

fn not_lockable(git: &gix::Repository, error: &gix::Error) -> RepoError {
    match error.downcast_any_ref::<io::Error>() {
        Some(cause) => RepoError::NotWritable {
            dir: git.git_dir().to_owned(),
            source: io::Error::new(cause.kind(), cause.to_string()),
        },
        None => RepoError::Git { doing: "lock the index".to_owned(), why: why(error) },
    }
}

fn is_held(error: &gix::Error) -> bool {
    error.downcast_any_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
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
