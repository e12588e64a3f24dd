//! What opens a page for a person here, and opening one.

use std::path::PathBuf;

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

/// Opens a page in a browser, in the background. Returns whether a program took it; what it then does is not waited for.
/// Without a display only what BROWSER names is started: other programs would take over the terminal.
#[must_use]
pub fn open(variables: &Variables, page: &Url) -> bool {
    let has_display =
        cfg!(target_os = "macos") || variables.wsl || variables.display || variables.browser.is_some();
    let Some(program) = find(variables).filter(|_| has_display) else { return false };
    program::start(&program, &[page.as_str()])
}
