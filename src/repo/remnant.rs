//! The locks that a killed run of ours left on the index and on references, told from those of a git that is at work.
//!
//! Before each lock on the index that we take lies a note: which file the lock will be, and then which commit it is for.
//! The note itself is held under a lock of the system's, which ends with the process. So a note that can be had, and that
//! names the very lock that is there, is the note of a dead run.
#![expect(
    clippy::disallowed_methods,
    reason = "what a dead run left in the git directory is cleared away here"
)]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gix::ObjectId;

use super::error::RepoError;
use super::{Repository, index_lock, native};

/// The longest that taking the locks on references may last: gix waits for each of them.
const TAKING: Duration = Duration::from_secs(2);

/// The note on our lock, wiped when dropped and kept when the process dies.
pub(super) struct Note {
    file: File,
    new_file: PathBuf,
    written: bool,
}

impl Repository {
    /// Ends what a run of ours that was killed while it committed had begun: where HEAD has its commit, its index is
    /// put in place; else its lock on the index is removed. A lock of anybody else is left alone.
    ///
    /// # Errors
    /// When HEAD cannot be read, or the lock cannot be renamed or removed.
    pub fn settle_interrupted_commit(&self) -> Result<(), RepoError> {
        let git = self.fresh()?;
        let lock = index_lock::lock_path(&git);
        let Some(mut note) = lock.exists().then(|| Note::hold(git.git_dir())).flatten() else {
            return Ok(());
        };
        let Some(noted) = note.read() else { return Ok(()) };
        if Identity::of(&lock) != Some(noted.index.clone()) {
            return Ok(());
        }
        let cleared = |path: &Path, done: io::Result<()>| {
            done.map_err(|source| RepoError::Io { doing: "clear away", path: path.to_owned(), source })
        };
        let head = super::head(&git)?;
        for left in native::reference_locks(&git, head.branch.as_deref()) {
            if noted.is_ours(&left) {
                cleared(&left, fs::remove_file(&left))?;
            }
        }
        if noted.commit.is_some() && noted.commit == head.commit.map(|id| id.to_string()) {
            // It was written and flushed before HEAD moved.
            return cleared(&lock, fs::rename(&lock, git.index_path()));
        }
        cleared(&lock, fs::remove_file(&lock))
    }
}

/// What a note says.
struct Noted {
    index: Identity,
    commit: Option<String>,
    /// Locks on references that were held beside it.
    locks: Vec<Identity>,
    /// When it was last written.
    at: SystemTime,
}

impl Noted {
    /// Whether a lock on a reference is one that the dead run held: it was noted; or it has the commit that nobody else
    /// knew; or the run died on its way from saying that it would take the locks to noting them, and this one was made
    /// just then and has nothing in it yet.
    fn is_ours(&self, lock: &Path) -> bool {
        if Identity::of(lock).is_some_and(|identity| self.locks.contains(&identity)) {
            return true;
        }
        let Ok(content) = super::read::text(lock) else { return false };
        if content.is_empty() {
            return self.commit.is_some() && self.locks.is_empty() && self.is_of_that_moment(lock);
        }
        self.commit.as_deref() == Some(content.trim_end())
    }

    fn is_of_that_moment(&self, lock: &Path) -> bool {
        let born = lock.symlink_metadata().and_then(|metadata| metadata.created()).ok();
        // Both are told by the file system's clock.
        let later = born.and_then(|born| born.duration_since(self.at).ok());
        later.is_some_and(|later| later <= TAKING)
    }
}

impl Note {
    /// `None` where another process has it, or no note can be kept: then a killed run's lock stays as git's would.
    pub(super) fn hold(git_dir: &Path) -> Option<Self> {
        let directory = git_dir.join("provision");
        if !directory.is_dir() {
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&directory).ok()?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(directory.join("index-lock")).ok()?;
        file.try_lock().ok()?;
        Some(Self { file, new_file: directory.join("index-lock.new"), written: false })
    }

    /// Where [`announce_new`](Self::announce_new) makes the file.
    pub(super) fn new_file(&self) -> &Path {
        &self.new_file
    }

    /// Makes the file that is to be linked as the lock, and says that it is ours. What a dead run left in its place may be
    /// its lock as well, by another name, so it is not written into.
    pub(super) fn announce_new(&mut self) -> io::Result<File> {
        match fs::remove_file(&self.new_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&self.new_file)?;
        let path = self.new_file.clone();
        self.announce(&path);
        Ok(file)
    }

    /// Says that the lock that is this file is ours.
    pub(super) fn announce(&mut self, lock: &Path) {
        let Some(Identity(identity)) = Identity::of(lock) else { return };
        self.written = true;
        let wiped = self.file.set_len(0).and_then(|()| self.file.rewind());
        // Without the note nothing is lost but the help.
        let _ = wiped.and_then(|()| self.file.write_all(format!("{identity}\n").as_bytes()));
    }

    /// Says which commit the index in the lock belongs to.
    pub(super) fn for_commit(&mut self, commit: ObjectId) {
        let _ = self.file.write_all(format!("commit {commit}\n").as_bytes());
    }

    /// Says that these locks, where they are there, are ours too.
    pub(super) fn beside(&mut self, locks: &[PathBuf]) {
        let identities = locks.iter().filter_map(|lock| Identity::of(lock));
        let lines: String = identities.map(|Identity(identity)| format!("lock {identity}\n")).collect();
        let _ = self.file.write_all(lines.as_bytes());
    }

    /// `None` where it says nothing; a line that was cut short counts for nothing.
    fn read(&mut self) -> Option<Noted> {
        let mut text = String::new();
        self.file.rewind().and_then(|()| self.file.read_to_string(&mut text)).ok()?;
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let index = Identity(lines.next()?.to_owned());
        let at = self.file.metadata().and_then(|metadata| metadata.modified()).ok()?;
        let mut noted = Noted { index, commit: None, locks: Vec::new(), at };
        for line in lines {
            match line.split_once(' ') {
                Some(("commit", id)) => noted.commit = Some(id.to_owned()),
                Some(("lock", identity)) => noted.locks.push(Identity(identity.to_owned())),
                _ => {}
            }
        }
        Some(noted)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if self.written {
            let _ = self.file.set_len(0);
        }
    }
}

/// What no other file has: device, number, and the moment of its birth.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity(String);

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.symlink_metadata().ok()?;
        let born = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self(format!("{} {}", number(&metadata), born.as_nanos())))
    }
}

#[cfg(unix)]
fn number(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{} {}", metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn number(metadata: &Metadata) -> String {
    metadata.len().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::Head;

    fn repository() -> (tempfile::TempDir, Repository) {
        let folder = tempfile::tempdir().unwrap();
        gix::init(folder.path()).unwrap();
        let repo = Repository::discover(folder.path()).unwrap();
        (folder, repo)
    }

    /// A run that dies while it holds the lock on the index, for this commit.
    fn dies(repo: &Repository, commit: Option<ObjectId>) {
        let lock = repo.git_dir().join("index.lock");
        fs::write(&lock, "new").unwrap();
        let mut note = Note::hold(repo.git_dir()).unwrap();
        note.announce(&lock);
        if let Some(commit) = commit {
            note.for_commit(commit);
        }
        note.written = false;
    }

    /// HEAD names this commit from now on.
    fn head(repo: &Repository) -> ObjectId {
        let git = gix::open(repo.root()).unwrap();
        let tree = git.empty_tree().id;
        let me =
            gix::actor::SignatureRef { name: "Ana".into(), email: "a@example.com".into(), time: "0 +0000" };
        git.write_object(gix::objs::Tree::empty()).unwrap();
        git.commit_as(me, me, "HEAD", "one", tree, [] as [ObjectId; 0]).unwrap().detach()
    }

    #[test]
    fn the_lock_of_a_dead_run_that_had_not_committed_is_removed() {
        let (_folder, repo) = repository();
        fs::write(repo.git_dir().join("index"), "old").unwrap();
        dies(&repo, None);
        repo.settle_interrupted_commit().unwrap();
        assert!(!repo.git_dir().join("index.lock").exists());
        assert_eq!(fs::read(repo.git_dir().join("index")).unwrap(), b"old");
    }

    #[test]
    fn the_index_of_a_commit_that_was_made_is_put_in_place() {
        let (_folder, repo) = repository();
        let commit = head(&repo);
        assert_eq!(repo.head().unwrap(), Head { commit: Some(commit), ..repo.head().unwrap() });
        dies(&repo, Some(commit));
        repo.settle_interrupted_commit().unwrap();
        assert!(!repo.git_dir().join("index.lock").exists());
        assert_eq!(fs::read(repo.git_dir().join("index")).unwrap(), b"new");
    }

    #[test]
    fn a_run_that_dies_at_any_moment_leaves_no_lock_or_one_that_is_known() {
        let (_folder, repo) = repository();
        fs::write(repo.git_dir().join("index"), "old").unwrap();
        let lock = repo.git_dir().join("index.lock");
        let note_path = repo.git_dir().join("provision/index-lock");

        // Before the link: with no note, with any part of it, with all of it.
        let mut note = Note::hold(repo.git_dir()).unwrap();
        note.announce_new().unwrap();
        let whole = fs::read(&note_path).unwrap();
        let new_file = note.new_file().to_owned();
        note.written = false;
        drop(note);
        for cut in 0..=whole.len() {
            fs::write(&note_path, &whole[..cut]).unwrap();
            repo.settle_interrupted_commit().unwrap();
            assert!(!lock.exists());
        }

        // Behind the link: with a commit that was noted in part, or wholly but never became HEAD.
        for commit in ["", "commit 0123", "commit 0123456789012345678901234567890123456789\n"] {
            for tidied in [false, true] {
                fs::write(&note_path, [&whole, commit.as_bytes()].concat()).unwrap();
                fs::hard_link(&new_file, &lock).unwrap();
                if tidied {
                    fs::rename(&new_file, repo.git_dir().join("kept")).unwrap();
                }
                repo.settle_interrupted_commit().unwrap();
                assert!(!lock.exists(), "{commit:?}");
                if tidied {
                    fs::rename(repo.git_dir().join("kept"), &new_file).unwrap();
                }
            }
        }
        assert_eq!(fs::read(repo.git_dir().join("index")).unwrap(), b"old");
    }

    /// What is left of these locks on HEAD, its branch and the packed references beside the note of a dead run.
    fn left_of(contents: [&str; 3], note_more: impl FnOnce(&mut Note, &[PathBuf])) -> [bool; 3] {
        let (_folder, repo) = repository();
        let git = gix::open(repo.root()).unwrap();
        let locks = native::reference_locks(&git, repo.head().unwrap().branch.as_deref());
        let mut note = Note::hold(repo.git_dir()).unwrap();
        fs::write(repo.git_dir().join("index.lock"), "new").unwrap();
        note.announce(&repo.git_dir().join("index.lock"));
        note.for_commit(COMMIT);
        for (path, content) in locks.iter().zip(contents) {
            fs::write(path, content).unwrap();
        }
        note_more(&mut note, &locks);
        note.written = false;
        drop(note);
        repo.settle_interrupted_commit().unwrap();
        [0, 1, 2].map(|lock| locks[lock].exists())
    }

    const COMMIT: ObjectId = ObjectId::null(gix::hash::Kind::Sha1);

    /// As if the note had last been written so many seconds later than it was.
    fn written_later(note: &Note, seconds: i64) {
        let now = note.file.metadata().unwrap().modified().unwrap();
        let by = Duration::from_secs(seconds.unsigned_abs());
        note.file.set_modified(if seconds < 0 { now - by } else { now + by }).unwrap();
    }

    #[test]
    fn the_locks_on_references_go_that_were_noted_or_that_hold_the_commit() {
        let commit = format!("{COMMIT}\n");
        let others = "0123456789012345678901234567890123456789\n";
        assert_eq!(left_of(["", others, ""], Note::beside), [false; 3]);
        assert_eq!(
            left_of([&commit, others, &commit], |note, _| written_later(note, 60)),
            [false, true, false]
        );
    }

    #[test]
    fn an_empty_lock_goes_only_where_it_was_made_while_the_run_took_its_locks() {
        assert_eq!(left_of(["", "", ""], |_, _| ()), [false; 3]);
        assert_eq!(left_of(["", "", ""], |note, _| written_later(note, 60)), [true; 3]);
        assert_eq!(left_of(["", "", ""], |note, _| written_later(note, -60)), [true; 3]);
        // It had noted its own: this one is somebody else's.
        assert_eq!(left_of(["", "", ""], |note, locks| note.beside(&locks[..1])), [false, true, true]);
    }

    #[test]
    fn the_lock_of_anybody_else_or_of_a_run_that_lives_stays() {
        let (_folder, repo) = repository();
        let lock = repo.git_dir().join("index.lock");
        fs::write(&lock, "git's").unwrap();
        repo.settle_interrupted_commit().unwrap();
        assert!(lock.exists());

        dies(&repo, None);
        fs::remove_file(&lock).unwrap();
        fs::write(&lock, "git's").unwrap();
        repo.settle_interrupted_commit().unwrap();
        assert!(lock.exists());

        let mut alive = Note::hold(repo.git_dir()).unwrap();
        alive.announce(&lock);
        repo.settle_interrupted_commit().unwrap();
        assert!(lock.exists());
    }
}
