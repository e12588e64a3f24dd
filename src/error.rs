//! What a person is told when something stops: the kind (an exit code), what happened, because of what, and the
//! command that helps.

use std::fmt;

use crate::hint::{Here, Hint};

/// Why a run ended without doing all of its work. The number is the exit code, documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Failed, nothing changed.
    Failed = 1,
    /// The command line or a file of the user's says something impossible.
    Usage = 2,
    /// `--check`, `status` and the like found something that needs care.
    Attention = 3,
    /// Stopped half-way, safe: run it again.
    HalfWay = 4,
    /// A safety rule refused.
    Refused = 5,
    /// Not authenticated, or not allowed, at GitLab.
    NotAllowed = 6,
    /// Cannot decrypt.
    CannotDecrypt = 7,
    /// Unreachable: try later.
    Unreachable = 8,
    /// `exec`: the values for the program cannot be had.
    NotStarted = 125,
    /// `exec`: the program is there and cannot be started.
    NotExecutable = 126,
    /// `exec`: there is no such program.
    NoSuchProgram = 127,
    /// Declined or interrupted before any effect.
    Interrupted = 130,
}

/// A path or a name as one word of a command in a hint, as a POSIX shell reads it.
#[must_use]
pub fn word(text: impl fmt::Display) -> String {
    let text = text.to_string();
    // What has a NUL in it can stand in no command.
    shlex::try_quote(&text).map_or_else(|_| text.clone(), Into::into)
}

impl Kind {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// An error as it is shown: one headline, its causes, and hints that name the next command.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    hints: Vec<Hint>,
}

/// The result of everything at the command edge.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind; `message` starts in lower case and has no full stop.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// An error of this kind from a module's own error, with its chain of sources as causes. A source whose text the
    /// error above it has already said is not repeated.
    #[must_use]
    pub fn from_source(kind: Kind, source: &(dyn std::error::Error + 'static)) -> Self {
        let mut error = Self::new(kind, source.to_string());
        let mut next = source.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !error.causes.last().unwrap_or(&error.message).contains(&text) {
                error.causes.push(text);
            }
            next = cause.source();
        }
        error
    }

    /// Adds a way out: a command, or the thing to change.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Stopped half-way, and safe: what helps is the same command.
    #[must_use]
    pub fn go_on(self) -> Self {
        self.of_kind(Kind::HalfWay).hint("run the same command again: it goes on from here")
    }

    /// The same where something has to be mended first.
    #[must_use]
    pub fn mend_and_go_on(self) -> Self {
        self.of_kind(Kind::HalfWay).hint("mend that and run the same command again: it goes on from here")
    }

    /// Puts this way out in the place of all others: what would have helped by itself no longer does.
    #[must_use]
    pub fn hint_instead(mut self, hint: impl Into<Hint>) -> Self {
        self.hints = vec![hint.into()];
        self
    }

    /// The same error for somebody who stands `here`, and types the paths of the ways out from there.
    #[must_use]
    pub fn at(mut self, here: &Here) -> Self {
        self.hints = self.hints.iter().map(|hint| hint.at(here)).collect();
        self
    }

    /// Adds the reason behind the headline.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Puts `context` in front: the old headline becomes the first cause.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.message, context.into());
        self.causes.insert(0, inner);
        self
    }

    /// The same error as another kind (a failure after the first effect is "half-way").
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The headline.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The reasons, outermost first.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// The ways out.
    #[must_use]
    pub fn hints(&self) -> &[Hint] {
        &self.hints
    }
}

/// The headline alone; `ui` shows the rest.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
