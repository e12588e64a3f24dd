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

/// `command` with an empty environment of its own, as a shell starts it in the foreground: whoever started the tests may
/// ignore signals, and children inherit that. `first` is Perl that is done before.
pub(crate) fn in_foreground(command: &Command, first: &str) -> Command {
    let perl = format!(
        "$SIG{{$_}} = 'DEFAULT' for qw(INT QUIT HUP TERM); {first} exec {{$ARGV[0]}} @ARGV or die $!"
    );
    let mut wrapped = Command::new("perl");
    wrapped.args(["-e", &perl, "--"]).arg(command.get_program()).args(command.get_args());
    wrapped.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

/// The same for the lines of a shell script.
pub(crate) fn shell(path: &Path, lines: &str) {
    script(path, &format!("#!/bin/sh\n{lines}\n"));
}
