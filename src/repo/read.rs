//! Reading files: regular ones alone. A named pipe or a device in the place of one is an error, and never a wait, but for what
//! people name for themselves.

#![expect(clippy::disallowed_methods, reason = "this is where files are read")]

use std::fs::{self, FileType};
use std::io;
use std::path::Path;

/// What a shell has opened already and hands over by name: `<(command)`, `/dev/stdin`.
const HANDED_OVER: [&str; 3] = ["/dev/fd", "/dev/stdin", "/proc/self/fd"];

/// The bytes of a file.
///
/// # Errors
/// As those of [`fs::read`], and where what is there is no file.
pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    is_file(path)?;
    fs::read(path)
}

/// The bytes of a file of the user's own, which may be a named pipe: some managers of passwords hand keys over so.
///
/// # Errors
/// As those of [`fs::read`], and where what is there is neither.
pub fn from_owner(path: &Path) -> io::Result<Vec<u8>> {
    if is_pipe(path) { fs::read(path) } else { bytes(path) }
}

/// The text of a file.
///
/// # Errors
/// As those of [`fs::read_to_string`], and where what is there is no file.
pub fn text(path: &Path) -> io::Result<String> {
    is_file(path)?;
    fs::read_to_string(path)
}

/// Refuses what is no file, and says what it is. Symlinks are followed.
///
/// # Errors
/// Where nothing is there, or what is there is no file.
pub(super) fn is_file(path: &Path) -> io::Result<()> {
    if HANDED_OVER.iter().any(|open| path.starts_with(open)) {
        return Ok(());
    }
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() { Ok(()) } else { Err(io::Error::other(format!("it is {}, not a file", name(kind)))) }
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

#[cfg(not(unix))]
fn name(kind: FileType) -> &'static str {
    if kind.is_dir() { "a directory" } else { "something else" }
}
