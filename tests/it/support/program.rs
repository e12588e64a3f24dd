//! Scripts that can be run: hooks, filters, signing programs, stand-ins for programs on the PATH.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes `text`, which begins with `#!`, where it can be run, and makes its folder.
///
/// A child writes it: a process that another thread starts while this one has the file open would inherit that, and
/// what is open for writing cannot be run (ETXTBSY).
pub(crate) fn script(path: &Path, text: &str) {
    assert!(text.starts_with("#!"), "{text:.40}");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut child = Command::new("/bin/sh")
        .args(["-c", r#"cat >"$1" && chmod 755 "$1""#, "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{} cannot be written", path.display());
}

/// The same for the lines of a shell script.
pub(crate) fn shell(path: &Path, lines: &str) {
    script(path, &format!("#!/bin/sh\n{lines}\n"));
}
