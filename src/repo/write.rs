//! Files replaced whole, or not at all, and flushed to the disk.
//!
//! A reader sees the old bytes or the new. A file that exists keeps its mode and owner; access control lists,
//! extended attributes and hard links are not kept.
#![expect(clippy::disallowed_methods, reason = "this is the place where files are written")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::signals::{self, Litter};

/// Who may read a file that did not exist before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewFile {
    /// As the user's umask has it (0666 less the umask, which is 0644 for most).
    Ordinary,
    /// The owner alone (0600).
    Private,
}

/// Replaces `path` with `bytes`, or creates it. Directories above are created. A symlink in its place is
/// kept, and its target replaced.
///
/// # Errors
/// The file is as it was, and no temporary file is left. Only a failure to flush the directory comes after
/// the change.
pub fn replace(path: &Path, bytes: &[u8], new: NewFile) -> io::Result<()> {
    sync_directory(&replace_in_directory(path, bytes, new)?)
}

/// Files that are replaced one by one, on any thread, and the directories that have to be flushed for all of them in
/// the end.
#[derive(Default)]
pub struct Batch {
    directories: Mutex<BTreeSet<PathBuf>>,
}

impl Batch {
    /// Replaces `path` as [`replace`] does, but for the flush of its directory.
    ///
    /// # Errors
    /// The file is as it was, and no temporary file is left.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let directory = replace_in_directory(path, bytes, NewFile::Ordinary)?;
        self.directories.lock().unwrap_or_else(PoisonError::into_inner).insert(directory);
        Ok(())
    }

    /// Flushes the directories: what was replaced stays so.
    ///
    /// # Errors
    /// When one cannot be flushed; its files are replaced, and may be the old ones again after a loss of power.
    pub fn flush(self) -> io::Result<()> {
        let directories = self.directories.into_inner().unwrap_or_else(PoisonError::into_inner);
        directories.iter().try_for_each(|directory| sync_directory(directory))
    }
}

/// Replaces the file; its bytes are flushed, its name is not. The directory that it is in.
fn replace_in_directory(path: &Path, bytes: &[u8], new: NewFile) -> io::Result<PathBuf> {
    let target = behind_links(path)?;
    let directory = directory_of(&target);
    create_directories(&directory, new)?;
    let old = match fs::symlink_metadata(&target) {
        Ok(metadata) if metadata.is_file() => Some(metadata),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut staged = Staged::new(&target, if old.is_some() { NewFile::Private } else { new })?;
    staged.file().write_all(bytes)?;
    if let Some(metadata) = &old {
        keep_mode_and_owner(staged.file(), metadata)?;
    }
    staged.file().sync_all()?;
    staged.persist(&target)?;
    Ok(directory)
}

/// Creates `path` for the owner alone (0600), with `bytes`.
///
/// # Errors
/// Also when it exists: nothing is replaced.
pub fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = directory_of(path);
    create_directories(&directory, NewFile::Private)?;
    let mut staged = Staged::new(path, NewFile::Private)?;
    staged.file().write_all(bytes)?;
    staged.file().sync_all()?;
    staged.persist_new(path)?;
    sync_directory(&directory)
}

/// Appends `line` and a line feed in one write, flushed. The file is created for the owner alone (0600), in a
/// directory of the owner's alone (0700).
///
/// # Errors
/// After an error the file may end in a part of the line; the next append begins a new one.
pub fn append_durable(path: &Path, line: &[u8]) -> io::Result<()> {
    let directory = directory_of(path);
    create_directories(&directory, NewFile::Private)?;
    let is_new = !path.exists();
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let mut whole = Vec::with_capacity(line.len() + 2);
    if is_torn(&mut file)? {
        whole.push(b'\n');
    }
    whole.extend_from_slice(line);
    whole.push(b'\n');
    file.write_all(&whole)?;
    file.sync_all()?;
    if is_new { sync_directory(&directory) } else { Ok(()) }
}

/// Whether a write before this one was cut short: its line must not swallow the next.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Removes `path`, and flushes that it is gone.
///
/// # Errors
/// Also when it does not exist.
pub fn remove_durable(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_directory(&directory_of(path))
}

/// Whether a process that was killed left the temporary file of a write to `target` behind.
#[must_use]
pub fn was_cut_off(target: &Path) -> bool {
    target.with_file_name(staged_name(target)).exists()
}

fn staged_name(target: &Path) -> OsString {
    let mut name = OsString::from(".provision-");
    name.push(target.file_name().unwrap_or_default());
    name.push(".tmp");
    name
}

/// A temporary file beside its target, gone when it is dropped or a signal comes. A process that was killed leaves
/// it behind: its name follows from the target's, so that the next write to the same target clears it away. One
/// writer at a time is what the repository lock is for.
struct Staged {
    file: tempfile::NamedTempFile,
    litter: Litter,
}

impl Staged {
    fn new(target: &Path, new: NewFile) -> io::Result<Self> {
        let _shield = signals::shield();
        let directory = directory_of(target);
        let name = staged_name(target);
        match fs::remove_file(directory.join(&name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(&name).rand_bytes(0);
        // tempfile creates with O_EXCL, and 0600 where nothing else is said. What the system makes of an ordinary
        // new file is its own affair: the umask, a default access control list.
        #[cfg(unix)]
        if new == NewFile::Ordinary {
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        }
        let file = builder.tempfile_in(directory)?;
        let litter = signals::litter(file.path());
        Ok(Self { file, litter })
    }

    fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    fn persist(self, target: &Path) -> io::Result<()> {
        let _shield = signals::shield();
        let persisted = self.file.persist(target).map(drop).map_err(|error| error.error);
        drop(self.litter);
        persisted
    }

    fn persist_new(self, target: &Path) -> io::Result<()> {
        let _shield = signals::shield();
        let persisted = self.file.persist_noclobber(target).map(drop).map_err(|error| error.error);
        drop(self.litter);
        persisted
    }
}

/// What a chain of symlinks at `path` ends in; it need not exist.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..40 {
        match fs::read_link(&at) {
            Ok(target) => at = directory_of(&at).join(target),
            Err(_) => return Ok(at),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "a loop of symlinks"))
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Creates what is missing, and flushes each name into its parent.
fn create_directories(directory: &Path, new: NewFile) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory_of(directory);
    create_directories(&parent, new)?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    if new == NewFile::Private {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    }
    match builder.create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_directory(&parent),
    }
}

#[cfg(unix)]
fn keep_mode_and_owner(file: &File, old: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let own = file.metadata()?;
    let mut mode = old.mode() & 0o7777;
    // The owner first: changing it clears bits of the mode.
    if (own.uid(), own.gid()) != (old.uid(), old.gid())
        && fchown(file, Some(old.uid()), Some(old.gid())).is_err()
    {
        let group_kept = own.gid() == old.gid() || fchown(file, None, Some(old.gid())).is_ok();
        if !group_kept {
            // The bits for the old group would open the file to another.
            mode = for_another_group(mode);
        }
        mode &= 0o1777;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// The mode with no more for the new group than everybody has, and no more than the old group had.
#[cfg(unix)]
fn for_another_group(mode: u32) -> u32 {
    let of_others = (mode & 0o007) << 3;
    mode & !0o070 | mode & of_others
}

#[cfg(not(unix))]
fn keep_mode_and_owner(file: &File, old: &fs::Metadata) -> io::Result<()> {
    file.set_permissions(old.permissions())
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(windows) {
        // Windows cannot open a directory as a file.
        return Ok(());
    }
    File::open(directory)?.sync_all()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn another_group_gets_no_more_than_everybody_and_no_more_than_the_old_one() {
        for (old, new) in [(0o640, 0o600), (0o660, 0o600), (0o664, 0o644), (0o604, 0o604), (0o755, 0o755)] {
            assert_eq!(for_another_group(old), new, "{old:o}");
        }
    }
}
