//! What is said when a signal ends the run, and the exit code that goes with it.

use std::io::{self, IsTerminal as _};

use super::to_stderr;
use crate::error::Kind;
use crate::repo::signals::{on_signal, stop_between_effects};

/// Before any effect: nothing was changed.
pub fn before_any_effect() {
    on_signal(Box::new(|_| leave("interrupted; nothing was changed", Kind::Interrupted)));
}

/// While effects are under way: what was done is in the journal.
pub fn under_way() {
    on_signal(Box::new(|_| {
        leave("interrupted; run the same command again, it goes on from here", Kind::HalfWay);
    }));
}

/// While effects are under way that a run can stop between: the first signal asks it to.
pub fn between_effects() {
    under_way();
    stop_between_effects(Box::new(|_| {
        to_stderr("\nstopping after what is under way; a second signal stops at once\n");
    }));
}

/// A prompt or a spinner may have hidden the cursor, and a prompt for a secret what is typed.
#[expect(clippy::exit, reason = "a signal handler has no caller to return an exit code to")]
fn leave(message: &str, kind: Kind) {
    echo_again();
    let show_cursor = if io::stderr().is_terminal() { "\x1b[?25h" } else { "" };
    to_stderr(&format!("{show_cursor}\n{message}\n"));
    std::process::exit(i32::from(kind.exit_code()));
}

#[cfg(unix)]
fn echo_again() {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    if let Ok(mut modes) = tcgetattr(&stdin)
        && !modes.local_modes.contains(LocalModes::ECHO)
    {
        modes.local_modes.insert(LocalModes::ECHO);
        // There is nobody left to tell.
        let _ = tcsetattr(&stdin, OptionalActions::Now, &modes);
    }
}

#[cfg(not(unix))]
fn echo_again() {}
