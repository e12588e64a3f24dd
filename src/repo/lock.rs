//! One writer at a time in one clone.
#![expect(clippy::disallowed_methods, reason = "this is the place where the repository lock is taken")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(50);
/// A note longer than this is not ours.
const NOTE_LIMIT: u64 = 4096;

/// Who holds the lock, as the holder has written it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Process id on its host.
    pub pid: Option<u32>,
    /// Host name.
    pub host: String,
    /// What it was started to do.
    pub command: String,
}

/// The lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run has it.
    #[error("another provision is at work in this repository: {holder}")]
    Held {
        /// Which.
        holder: Holder,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The locks that this process holds, by the common git directory of their repositories.
static HELD: Mutex<BTreeMap<PathBuf, File>> = Mutex::new(BTreeMap::new());

fn held() -> MutexGuard<'static, BTreeMap<PathBuf, File>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The standard input of a git that we start: the lock's file, where we hold it, and nothing otherwise. Git reads neither.
/// A git that outlives us, because we are killed, so holds the lock until it ends: no other run begins while it still
/// moves references and files.
pub(super) fn for_child(common_dir: &Path) -> Stdio {
    let file = held().get(common_dir).and_then(|file| file.try_clone().ok());
    file.map_or_else(Stdio::null, Stdio::from)
}

/// The lock, held until this is dropped or the process and every git that it has started end, however they end.
#[derive(Debug)]
pub struct RepoLock {
    file: File,
    common_dir: PathBuf,
}

impl RepoLock {
    /// Takes `<common_dir>/provision/lock`, waiting up to `timeout` for another run. `on_wait` is called
    /// once, when the wait begins. `me` is what others are told meanwhile.
    ///
    /// # Errors
    /// [`LockError::Held`] when the time is up.
    pub fn acquire(
        common_dir: &Path,
        me: &Holder,
        timeout: Duration,
        on_wait: impl FnOnce(&Holder),
    ) -> Result<Self, LockError> {
        let directory = common_dir.join("provision");
        let path = directory.join("lock");
        let failed = |source| LockError::Io { path: path.clone(), source };
        create_directory(&directory).map_err(failed)?;
        let mut file = open(&path).map_err(failed)?;
        let deadline = Instant::now() + timeout;
        let mut on_wait = Some(on_wait);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            let holder = read_note(&mut file);
            if Instant::now() >= deadline {
                return Err(LockError::Held { holder });
            }
            if let Some(on_wait) = on_wait.take() {
                on_wait(&holder);
            }
            std::thread::sleep(PAUSE);
        }
        write_note(&mut file, me).map_err(failed)?;
        held().insert(common_dir.to_owned(), file.try_clone().map_err(failed)?);
        Ok(Self { file, common_dir: common_dir.to_owned() })
    }
}

impl Drop for RepoLock {
    fn drop(&mut self) {
        held().remove(&self.common_dir);
        // The note says who holds the lock; nobody does. The lock itself goes with the file.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

impl Holder {
    /// This process, doing `command`.
    #[must_use]
    pub fn this_process(command: impl Into<String>) -> Self {
        Self { pid: Some(std::process::id()), host: host_name(), command: command.into() }
    }
}

/// The host's name where a file tells it, else a word that says so.
fn host_name() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let found = files.iter().find_map(|file| super::read::text(Path::new(file)).ok());
    found.map_or_else(|| "this host".to_owned(), |name| name.trim().to_owned())
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.pid, self.command.is_empty()) {
            (Some(pid), false) => write!(f, "{} (process {pid} on {})", self.command, self.host),
            (Some(pid), true) => write!(f, "process {pid} on {}", self.host),
            (None, _) => f.write_str("a process that left no note"),
        }
    }
}

/// The owner's alone, unless the git directory is one that its group writes in (`core.sharedRepository`).
fn create_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => share_as_parent(directory, 0o2070),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    if !is_new {
        super::read::is_file(path)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if is_new {
        share_as_parent(path, 0o060)?;
    }
    Ok(file)
}

/// Adds those of `bits` that the directory above has, if its group writes there.
#[cfg(unix)]
fn share_as_parent(path: &Path, bits: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Some(parent) = path.parent() else { return Ok(()) };
    let above = parent.metadata()?.permissions().mode();
    if above & 0o020 == 0 {
        return Ok(());
    }
    let own = path.metadata()?.permissions().mode() & 0o7777;
    fs::set_permissions(path, fs::Permissions::from_mode(own | above & bits))
}

#[cfg(not(unix))]
fn share_as_parent(_path: &Path, _bits: u32) -> io::Result<()> {
    Ok(())
}

fn write_note(file: &mut File, holder: &Holder) -> io::Result<()> {
    let pid = holder.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let line = |text: &str| text.replace(char::is_control, " ");
    let note = format!("{pid}\n{}\n{}\n", line(&holder.host), line(&holder.command));
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(note.as_bytes())
}

/// What is there; a note that is being written just now may be short.
fn read_note(file: &mut File) -> Holder {
    let mut note = String::new();
    let read = file.rewind().and_then(|()| file.take(NOTE_LIMIT).read_to_string(&mut note));
    if read.is_err() {
        return Holder::default();
    }
    let mut lines = note.lines().map(|line| line.replace(char::is_control, " "));
    let pid = lines.next().and_then(|pid| pid.parse().ok());
    Holder { pid, host: lines.next().unwrap_or_default(), command: lines.next().unwrap_or_default() }
}
