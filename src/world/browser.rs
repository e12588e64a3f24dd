//! Opening a page for a person.

#![expect(clippy::disallowed_methods, reason = "this is the one place where a browser is started")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use url::Url;

use super::{Variables, program};

/// The program that opens pages: the first of BROWSER that is there, else what the system has for it (`open` on macOS,
/// `wslview` or `explorer.exe` on Windows' Linux, `xdg-open`).
#[must_use]
pub fn find(variables: &Variables) -> Option<PathBuf> {
    let path = variables.path.as_deref();
    let own = variables.browser.as_deref().unwrap_or_default().split(':').filter(|name| !name.is_empty());
    let named = own.filter_map(|name| {
        // A template such as `firefox %s` is a program and its arguments.
        let program = name.split_whitespace().next()?;
        if program.contains('/') {
            Some(PathBuf::from(program)).filter(|path| path.is_file())
        } else {
            program::find(program, path)
        }
    });
    let usual: &[&str] = match () {
        () if cfg!(target_os = "macos") => &["open"],
        () if variables.wsl => &["wslview", "explorer.exe", "xdg-open"],
        () => &["xdg-open"],
    };
    named.chain(usual.iter().filter_map(|name| program::find(name, path))).next()
}

/// Opens `page`; whether a program for it could be started. Its words are not ours to show, and it is not waited for: some
/// browsers stay.
#[must_use]
pub fn open(variables: &Variables, page: &Url) -> bool {
    let Some(program) = find(variables) else { return false };
    Command::new(program)
        .arg(page.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .is_ok()
}
