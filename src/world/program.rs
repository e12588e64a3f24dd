//! Starting the program of `provision exec`: it takes our place.

#![expect(clippy::disallowed_methods, reason = "this is the one place where a program takes our place")]

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Command;

use crate::environ::Assignment;
use crate::environ::guard::is_withheld;

/// Becomes `command` with these variables beside those of our own environment that it may inherit. Without a shell. Returns
/// only where it cannot be started; elsewhere than on Unix, also with its exit status.
///
/// # Errors
/// The system's reason.
pub fn become_program(command: &[OsString], variables: &[Assignment], directory: &Path) -> io::Result<u8> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no command was given"));
    };
    let mut started = Command::new(program);
    started.args(arguments).current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_withheld) {
            started.env_remove(&name);
        }
    }
    for variable in variables {
        started.env(&variable.name, value(&variable.value)?);
    }
    replace(started)
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
