//! Other programs: where they are, which version they are, and becoming one for `provision exec`.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place where a program is asked for its version, is started beside us, or takes our place"
)]

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::environ::Assignment;
use crate::environ::guard::is_withheld;

/// Where the program `name` is on `path` (the variable PATH).
#[must_use]
pub fn find(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(path?).map(|folder| folder.join(&file)).find(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// The first line that a program prints when asked for its version.
#[must_use]
pub fn version(program: &Path, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

/// Starts a program beside us, without our terminal. Whether it could be started.
#[must_use]
pub fn start(program: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    withhold(&mut command);
    command.spawn().is_ok()
}

/// Becomes `command` with these variables beside those of our own environment that it may inherit. Without a shell. Returns
/// only where it cannot be started; elsewhere than on Unix, also with its exit status.
///
/// # Errors
/// The system's reason.
pub fn become_program(command: &[OsString], variables: &[Assignment], directory: &Path) -> io::Result<u8> {
    let mut started = without_secrets(command, directory)?;
    for variable in variables {
        started.env(&variable.name, value(&variable.value)?);
    }
    replace(started)
}

/// `command`, to be started with our environment, but without keys and operator tokens.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where it names no program.
pub fn without_secrets(command: &[OsString], directory: &Path) -> io::Result<Command> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no command was given"));
    };
    let mut started = Command::new(program);
    started.args(arguments).current_dir(directory);
    withhold(&mut started);
    Ok(started)
}

/// Takes keys and operator tokens out of what it inherits.
fn withhold(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_withheld) {
            command.env_remove(&name);
        }
    }
}

#[cfg(unix)]
fn value(bytes: &[u8]) -> io::Result<&OsStr> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn value(bytes: &[u8]) -> io::Result<&OsStr> {
    let text = str::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    Ok(OsStr::new(text))
}

#[cfg(unix)]
fn replace(mut command: Command) -> io::Result<u8> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec())
}

/// The console sends Ctrl-C to the child as well; its status becomes ours.
#[cfg(not(unix))]
fn replace(mut command: Command) -> io::Result<u8> {
    let status = command.status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
