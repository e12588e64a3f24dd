//! The lock on the index: git's `<index>.lock`, which says from its first moment whose it is.
//!
//! The file is made beside, noted (`remnant`), and linked to its name whole. A link is refused where a lock is already
//! there, as git's own exclusive creation is. So a run that is killed at any moment leaves no lock, or one that its
//! note knows.
#![expect(clippy::disallowed_methods, reason = "git's lock files are made here")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use gix::ObjectId;

use super::remnant::Note;
use super::sharing::Sharing;
use super::signals::{self, Litter, Shield};

/// `<index>.lock`, where git puts it.
pub(super) fn lock_path(git: &gix::Repository) -> PathBuf {
    let mut lock = git.index_path().into_os_string();
    lock.push(".lock");
    lock.into()
}

/// Ours until it is published or dropped.
pub(super) struct IndexLock {
    lock: PathBuf,
    index: PathBuf,
    file: File,
    /// Until the lock is gone.
    litter: Option<Litter>,
    /// `None` where no note can be kept: a killed run's lock stays then, as git's would.
    note: Option<Note>,
}

impl IndexLock {
    /// # Errors
    /// `AlreadyExists` where anybody holds it; otherwise what keeps the lock from being made.
    pub(super) fn take(git: &gix::Repository, sharing: Sharing) -> io::Result<Self> {
        let lock = lock_path(git);
        let mut note = Note::hold(git.git_dir());
        let shield = signals::shield();
        let linked = note.as_mut().and_then(|note| linked(note, &lock).transpose());
        let file = linked.unwrap_or_else(|| plain(note.as_mut(), &lock))?;
        let litter = Some(signals::litter(&lock));
        drop(shield);
        let held = Self { lock, index: git.index_path(), file, litter, note };
        sharing.apply(&held.lock)?;
        Ok(held)
    }

    /// Where the lock is.
    pub(super) fn path(&self) -> &Path {
        &self.lock
    }

    /// What becomes the index.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Notes which commit the index in the lock is for.
    pub(super) fn announce(&mut self, commit: ObjectId) {
        if let Some(note) = &mut self.note {
            note.for_commit(commit);
        }
    }

    /// Notes that these locks on references are ours too.
    pub(super) fn beside(&mut self, locks: &[PathBuf]) {
        if let Some(note) = &mut self.note {
            note.beside(locks);
        }
    }

    /// Puts what was written in the index's place.
    ///
    /// # Errors
    /// Where it cannot be renamed; the lock is given up then.
    pub(super) fn publish(mut self, _shield: &Shield) -> io::Result<PathBuf> {
        let published = fs::rename(&self.lock, &self.index);
        if published.is_err() {
            let _ = fs::remove_file(&self.lock);
        }
        self.litter = None;
        published.map(|()| self.index.clone())
    }
}

/// Gives the lock up without a change. Not under a shield of the same thread.
impl Drop for IndexLock {
    fn drop(&mut self) {
        if self.litter.is_some() {
            let _shield = signals::shield();
            let _ = fs::remove_file(&self.lock);
            self.litter = None;
        }
    }
}

/// The lock made as the module says; `None` where the file system has no links.
fn linked(note: &mut Note, lock: &Path) -> io::Result<Option<File>> {
    let Ok(file) = note.announce_new() else { return Ok(None) };
    let linked = fs::hard_link(note.new_file(), lock);
    // The lock has its own name by now, or there is none.
    let _ = fs::remove_file(note.new_file());
    match linked {
        Ok(()) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        Err(_) => Ok(None),
    }
}

/// The lock as git makes it.
fn plain(note: Option<&mut Note>, lock: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(lock)?;
    if let Some(note) = note {
        note.announce(lock);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> (tempfile::TempDir, gix::Repository, Sharing) {
        let folder = tempfile::tempdir().unwrap();
        let git = gix::init(folder.path()).unwrap();
        let sharing = Sharing::of(&git).unwrap();
        (folder, git, sharing)
    }

    fn note(git: &gix::Repository) -> String {
        fs::read_to_string(git.git_dir().join("provision/index-lock")).unwrap()
    }

    #[test]
    fn a_lock_is_noted_while_it_is_held_and_leaves_nothing_when_it_is_given_up() {
        let (_folder, git, sharing) = repository();
        let held = IndexLock::take(&git, sharing).unwrap();
        assert!(held.path().exists());
        assert_eq!(note(&git).lines().count(), 1);
        drop(held);
        assert!(!lock_path(&git).exists());
        assert!(!git.git_dir().join("provision/index-lock.new").exists());
        assert_eq!(note(&git), "");
    }

    #[test]
    fn a_lock_that_git_holds_is_left_alone() {
        let (_folder, git, sharing) = repository();
        fs::write(lock_path(&git), "git's").unwrap();
        let refused = IndexLock::take(&git, sharing).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(lock_path(&git)).unwrap(), b"git's");
        assert_eq!(note(&git), "");
    }

    #[test]
    fn where_no_note_can_be_kept_it_is_made_as_git_makes_it() {
        let (_folder, git, sharing) = repository();
        fs::write(git.git_dir().join("provision"), "in the way").unwrap();
        let held = IndexLock::take(&git, sharing).unwrap();
        assert!(IndexLock::take(&git, sharing).is_err());
        held.publish(&signals::shield()).unwrap();
        assert!(!lock_path(&git).exists() && git.index_path().exists());
    }

    #[test]
    fn what_a_dead_run_left_beside_is_not_written_into() {
        let (_folder, git, sharing) = repository();
        let new = git.git_dir().join("provision/index-lock.new");
        fs::create_dir(new.parent().unwrap()).unwrap();
        fs::write(&new, "of a run that died").unwrap();
        let other = git.git_dir().join("the same file");
        fs::hard_link(&new, &other).unwrap();
        drop(IndexLock::take(&git, sharing).unwrap());
        assert_eq!(fs::read(&other).unwrap(), b"of a run that died");
    }
}
