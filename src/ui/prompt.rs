//! Questions. They are asked on a terminal only; each has a flag that answers it.
//!
//! An answer is a line, as everywhere in a shell: nothing moves the cursor or takes the terminal out of its mode, so that
//! questions of any length stay readable on narrow and dumb terminals, an Enter behind an answer is part of it, and Ctrl-C
//! is a signal.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use console::Term;

use super::{Ui, interrupt, to_stderr};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// Held while a question stands on the terminal: files are opened on all cores, and two of them may need an answer.
static ASKING: Mutex<()> = Mutex::new(());

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
    let answer = interrupt::while_hidden(|| Term::stderr().read_secure_line());
    answer.map(Secret::new).map_err(|_| SecretError::NotGiven)
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
