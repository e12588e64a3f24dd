//! What opens a page for a person here.

use std::path::PathBuf;

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
