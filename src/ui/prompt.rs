//! Questions. They are asked on a terminal only; each has a flag that answers it.
//!
//! An answer is a line, as everywhere in a shell: nothing moves the cursor or takes the terminal out of its mode, so that
//! questions of any length stay readable on narrow and dumb terminals, an Enter behind an answer is part of it, and Ctrl-C
//! is a signal.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Ui, interrupt, to_stderr};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// Held while a question stands on the terminal: files are opened on all cores, and two of them may need an answer.
static ASKING: Mutex<()> = Mutex::new(());

/// Whether the last question was a hidden one: what is pasted there may bring a newline of its own, and the Enter behind it
/// answers no other question.
static HIDDEN: AtomicBool = AtomicBool::new(false);

fn turn() -> MutexGuard<'static, ()> {
    ASKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for a yes; the default is no, and the end of input is a no.
///
/// # Errors
/// Without a terminal: `flag` would have answered. Declined: as an interruption before any effect.
pub fn confirm(ui: Ui, question: &str, flag: &str) -> Result<()> {
    if !ui.interactive {
        return Err(Error::new(Kind::Usage, "this needs a yes, and there is no terminal to ask on")
            .hint(format!("add {flag} to go ahead without being asked")));
    }
    let _turn = turn();
    match yes_or_no(&format!("{question} [y/N] "), Some(false))? {
        Some(true) => Ok(()),
        _ => Err(declined()),
    }
}

/// Asks for a line of text, with a default that Enter takes.
///
/// # Errors
/// Without a terminal: `flag` would have answered. At the end of input: as an interruption.
pub fn text(ui: Ui, question: &str, default: Option<&str>, flag: &str) -> Result<String> {
    if !ui.interactive {
        return default.map(str::to_owned).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{question}: not given, and there is no terminal to ask on"))
                .hint(format!("add {flag}"))
        });
    }
    let _turn = turn();
    let question = match default {
        Some(default) => format!("{question} [{default}]: "),
        None => format!("{question}: "),
    };
    loop {
        let answer = line(&question)?.ok_or_else(declined)?;
        match (answer.as_str(), default) {
            ("", Some(default)) => return Ok(default.to_owned()),
            ("", None) => {}
            _ => return Ok(answer),
        }
    }
}

/// Why a secret was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// There is nobody to ask.
    NoTerminal,
    /// Interrupted, or the end of input.
    NotGiven,
}

/// Asks for a passphrase, a PIN and the like; what is typed is not shown.
///
/// # Errors
/// [`SecretError`].
pub fn secret(ui: Ui, question: &str) -> Result<Secret, SecretError> {
    if !ui.interactive {
        return Err(SecretError::NoTerminal);
    }
    let _turn = turn();
    to_stderr(&format!("{question}: "));
    let answer = interrupt::while_hidden(hidden_line);
    to_stderr("\n");
    HIDDEN.store(true, Ordering::SeqCst);
    answer.ok().flatten().map(Secret::new).ok_or(SecretError::NotGiven)
}

/// A line that the terminal does not show; `None` at the end of input. What was typed before the question is no answer to it.
#[cfg(unix)]
fn hidden_line() -> io::Result<Option<String>> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let shown = tcgetattr(io::stdin())?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    tcsetattr(io::stdin(), OptionalActions::Flush, &shown)?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok((read? > 0).then_some(line))
}

#[cfg(not(unix))]
fn hidden_line() -> io::Result<Option<String>> {
    console::Term::stderr().read_secure_line().map(Some)
}

/// Drops what was typed since a hidden question.
fn drop_what_waits() {
    #[cfg(unix)]
    if HIDDEN.swap(false, Ordering::SeqCst) {
        // Where that cannot be done the answer is taken as it comes.
        let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
    }
}

/// Asks to choose one of two; `None` without a terminal, or when nothing is chosen.
#[must_use]
pub fn choose(ui: Ui, question: &str, yes: &str, no: &str) -> Option<bool> {
    if !ui.interactive {
        return None;
    }
    let _turn = turn();
    yes_or_no(&format!("{question} (y: {yes}, n: {no}) "), None).ok()?
}

/// Asks until the answer is one; `default` is that of an empty line. `None` at the end of input.
fn yes_or_no(question: &str, default: Option<bool>) -> Result<Option<bool>> {
    while let Some(answer) = line(question)? {
        let answer = if answer.is_empty() { default } else { meant(&answer) };
        if answer.is_some() {
            return Ok(answer);
        }
        to_stderr("y or n?\n");
    }
    Ok(None)
}

fn meant(answer: &str) -> Option<bool> {
    match answer.to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

/// The answer without white space around it; `None` at the end of input.
fn line(question: &str) -> Result<Option<String>> {
    drop_what_waits();
    to_stderr(question);
    let mut answer = String::new();
    let broken =
        |error: io::Error| Error::new(Kind::Failed, "cannot ask on this terminal").because(error.to_string());
    if io::stdin().read_line(&mut answer).map_err(broken)? == 0 {
        to_stderr("\n");
        return Ok(None);
    }
    Ok(Some(answer.trim().to_owned()))
}

fn declined() -> Error {
    interrupt::error("declined")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_for_yes_and_no_are_taken_as_such() {
        for (answer, meaning) in [
            ("y", Some(true)),
            ("YES", Some(true)),
            ("n", Some(false)),
            ("No", Some(false)),
            ("yep", None),
            ("j", None),
        ] {
            assert_eq!(meant(answer), meaning, "{answer}");
        }
    }
}
