//! What is said when a signal ends the run, and the exit code that goes with it.

use std::collections::BTreeMap;
#[cfg(unix)]
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::to_stderr;
use crate::error::{Error, Kind};
use crate::repo::signals::{Farewell, end_at_once, on_signal, on_signal_otherwise, stop_between_effects};

/// Whether this run has made something that stays, and has said so.
static MADE: AtomicBool = AtomicBool::new(false);

/// Something was made that stays whatever comes, and was reported: what is declined from now on changed nothing *else*.
pub fn something_was_made() {
    MADE.store(true, Ordering::SeqCst);
}

/// The tokens that a person has made for this run and that nothing keeps yet, and the page where each is revoked. They live,
/// whatever becomes of the run.
static MADE_BY_HAND: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

fn made_by_hand() -> MutexGuard<'static, BTreeMap<String, String>> {
    MADE_BY_HAND.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A person has pasted the token of this entry (`devmode/backstage`), made at `page`.
pub fn token_was_pasted(entry: &str, page: String) {
    made_by_hand().insert(entry.to_owned(), page);
}

/// From now on the entry's token is in the journal; or it will not do, and the person was told what to do with it.
pub fn token_is_settled(entry: &str) {
    made_by_hand().remove(entry);
}

/// What is to be said of tokens that were made for nothing, however the run ended.
#[must_use]
pub fn unused_tokens() -> Vec<String> {
    let unused = |(entry, page): (&String, &String)| {
        format!(
            "the token that you made for {entry} is not used: revoke it at {page}, or paste it in the next run"
        )
    };
    made_by_hand().iter().map(unused).collect()
}

/// `declined; nothing was changed`, for whatever the person did in place of an answer.
#[must_use]
pub fn error(what: &str) -> Error {
    Error::new(Kind::Interrupted, unchanged(what))
}

fn unchanged(what: &str) -> String {
    let other = if MADE.load(Ordering::SeqCst) { "else " } else { "" };
    format!("{what}; nothing {other}was changed")
}

/// Before any effect of what the person is asked about.
pub fn before_any_effect() {
    end_at_once();
    on_signal(unchanged_farewell());
}

fn unchanged_farewell() -> Farewell {
    Box::new(|_| leave(&unchanged("interrupted"), Kind::Interrupted))
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

/// A prompt for a secret hides what is typed.
#[expect(clippy::exit, reason = "a signal handler has no caller to return an exit code to")]
fn leave(message: &str, kind: Kind) {
    #[cfg(unix)]
    terminal_as_it_was();
    to_stderr(&format!("\n{message}\n"));
    for unused in unused_tokens() {
        to_stderr(&format!("{unused}\n"));
    }
    std::process::exit(i32::from(kind.exit_code()));
}

/// The modes of the terminal from before a prompt changed them.
#[cfg(unix)]
static AS_IT_WAS: Mutex<Option<rustix::termios::Termios>> = Mutex::new(None);

/// Does `ask`, which hides what is typed. A signal meanwhile gives the terminal back as it is now.
#[cfg(unix)]
pub(super) fn while_hidden<T>(ask: impl FnOnce() -> T) -> T {
    on_signal_otherwise(unchanged_farewell());
    let remember = |modes| *AS_IT_WAS.lock().unwrap_or_else(PoisonError::into_inner) = modes;
    remember(rustix::termios::tcgetattr(io::stdin()).ok());
    let answer = ask();
    remember(None);
    answer
}

#[cfg(not(unix))]
pub(super) fn while_hidden<T>(ask: impl FnOnce() -> T) -> T {
    ask()
}

#[cfg(unix)]
fn terminal_as_it_was() {
    use rustix::termios::{OptionalActions, tcsetattr};
    if let Some(modes) = AS_IT_WAS.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        // There is nobody left to tell.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
    }
}
