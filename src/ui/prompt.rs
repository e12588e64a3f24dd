//! Questions. They are asked on a terminal only; each has a flag that answers it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Ui;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// Held while a question stands on the terminal: files are opened on all cores, and two of them may need an answer.
static ASKING: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    ASKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for a yes; the default is no. Ctrl-C and end of input are a no.
///
/// # Errors
/// Without a terminal: `flag` would have answered. Declined: as an interruption before any effect.
pub fn confirm(ui: Ui, question: &str, flag: &str) -> Result<()> {
    if !ui.interactive {
        return Err(Error::new(Kind::Usage, "this needs a yes, and there is no terminal to ask on")
            .hint(format!("add {flag} to go ahead without being asked")));
    }
    let _turn = turn();
    let answer = dialoguer::Confirm::new().with_prompt(question).default(false).interact_opt();
    match answer {
        Ok(Some(true)) => Ok(()),
        Ok(_) => Err(declined()),
        Err(error) => Err(broken(&error)),
    }
}

/// Asks for a line of text, with a default that Enter takes.
///
/// # Errors
/// Without a terminal: `flag` would have answered.
pub fn text(ui: Ui, question: &str, default: Option<&str>, flag: &str) -> Result<String> {
    if !ui.interactive {
        return default.map(str::to_owned).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{question}: not given, and there is no terminal to ask on"))
                .hint(format!("add {flag}"))
        });
    }
    let _turn = turn();
    let mut input = dialoguer::Input::<String>::new().with_prompt(question);
    if let Some(default) = default {
        input = input.default(default.to_owned());
    }
    input.interact_text().map_err(|error| broken(&error))
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
    let answer = dialoguer::Password::new().with_prompt(question).allow_empty_password(true).interact();
    answer.map(Secret::new).map_err(|_| SecretError::NotGiven)
}

/// Asks to choose one of two; `None` without a terminal, or when nothing is chosen.
#[must_use]
pub fn choose(ui: Ui, question: &str, yes: &str, no: &str) -> Option<bool> {
    if !ui.interactive {
        return None;
    }
    let _turn = turn();
    let prompt = dialoguer::Confirm::new().with_prompt(format!("{question} (y: {yes}, n: {no})"));
    prompt.interact_opt().ok()?
}

fn declined() -> Error {
    Error::new(Kind::Interrupted, "declined; nothing was changed")
}

fn broken(error: &dialoguer::Error) -> Error {
    let dialoguer::Error::IO(error) = error;
    if error.kind() == io::ErrorKind::Interrupted {
        return Error::new(Kind::Interrupted, "interrupted; nothing was changed");
    }
    Error::new(Kind::Failed, "cannot ask on this terminal").because(error.to_string())
}
