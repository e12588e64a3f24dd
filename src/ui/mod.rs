//! Everything that a person sees. Results go to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::cli::{ColorChoice, GlobalArgs};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

pub mod diagnosis;
pub mod form;
pub mod interrupt;
pub mod keys;
pub mod listing;
pub mod plan;
pub mod progress;
pub mod prompt;
pub mod rekey;
pub mod report;
pub mod status;
mod visible;

use visible::visible;

/// How this run talks.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    json: bool,
    quiet: bool,
    /// Nobody watches: results are not printed either.
    unseen: bool,
    color: bool,
    /// Whether a person can be asked.
    pub interactive: bool,
    progress: bool,
}

/// How wide the terminal is that results go to; `None` where they go elsewhere.
#[must_use]
pub fn columns() -> Option<usize> {
    let terminal = console::Term::stdout();
    let size = terminal.is_term().then(|| terminal.size_checked()).flatten();
    size.map(|(_, columns)| usize::from(columns))
}

impl Ui {
    /// From the command line and what standard streams are. `no_color` is the variable NO_COLOR being set and not
    /// empty (no-color.org); `dumb`: the terminal knows no escape sequences.
    #[must_use]
    pub fn new(args: &GlobalArgs, no_color: bool, dumb: bool) -> Self {
        let stderr = io::stderr().is_terminal();
        let color = match args.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => stderr && io::stdout().is_terminal() && !no_color && !dumb,
        };
        Self {
            json: args.json,
            quiet: args.quiet,
            unseen: false,
            color,
            interactive: stderr && io::stdin().is_terminal(),
            progress: stderr && !dumb && !args.quiet && !args.json,
        }
    }

    /// For a command that a program runs within itself: it prints nothing, and asks nobody.
    #[must_use]
    pub fn unseen() -> Self {
        Self { json: false, quiet: true, unseen: true, color: false, interactive: false, progress: false }
    }

    /// Whether results are printed as JSON.
    #[must_use]
    pub fn json(&self) -> bool {
        self.json
    }

    /// Prints a result. A reader that has gone away (a closed pipe) is not an error.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn result(&self, text: &str) -> Result<()> {
        self.bytes(visible(text).as_bytes())
    }

    /// Prints a result as JSON, one document with a newline.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn result_json(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Error::new(Kind::Failed, "cannot make JSON").because(error.to_string()))?;
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Prints a value that was asked for, byte by byte; with a newline behind it only for a person to read.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn secret(&self, bytes: &[u8]) -> Result<()> {
        self.bytes(bytes)?;
        if io::stdout().is_terminal() && !bytes.ends_with(b"\n") { self.bytes(b"\n") } else { Ok(()) }
    }

    /// Prints a file as it is.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn bytes(&self, bytes: &[u8]) -> Result<()> {
        if self.unseen { Ok(()) } else { to_stdout(bytes) }
    }

    /// Prints JSON with values that were asked for, and a newline.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn secret_json(&self, text: &Secret) -> Result<()> {
        self.bytes(text.expose().as_bytes())?;
        self.bytes(b"\n")
    }

    /// Says something beside the result, unless `--quiet`.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            to_stderr(&format!("{text}\n"));
        }
    }

    /// For what a question is about: where one `follows`, quiet or not, nobody can answer it without that.
    #[must_use]
    pub fn before_question(self, follows: bool) -> Self {
        Self { quiet: self.quiet && !(follows && self.interactive), ..self }
    }

    /// Shows an error: the headline, what it was because of, and what to do.
    pub fn error(&self, error: &Error) {
        let label = "error: ";
        let headline = indented(label, error.message());
        let mut text = headline.replacen(label, &self.paint(Style::Bad, label), 1);
        for cause in error.causes() {
            text += &indented("  because: ", cause);
        }
        for hint in error.hints() {
            text += &indented("  hint: ", &hint.to_string());
        }
        if !self.unseen {
            to_stderr(&text);
        }
    }

    /// A note beside the result.
    pub fn note(&self, attention: bool, text: &str) {
        let (style, word) = if attention { (Style::Warn, "attention:") } else { (Style::Dim, "note:") };
        self.say(&format!("{} {text}", self.paint(style, word)));
    }

    /// `text` in a style, where colour is on. Meaning never depends on it.
    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }
}

/// The few styles there are (ANSI SGR).
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// Errors, expired, revoked.
    Bad,
    /// What needs care.
    Warn,
    /// Done, healthy.
    Good,
    /// Headings.
    Bold,
    /// What can be skipped when reading.
    Dim,
}

impl Style {
    const ALL: [Self; 5] = [Self::Bad, Self::Warn, Self::Good, Self::Bold, Self::Dim];

    /// The sequence of a style, or the one that ends it, that `text` begins with.
    fn sequence_at(text: &str) -> Option<&str> {
        let codes = Self::ALL.into_iter().map(Self::code).chain(["0"]);
        let after = text.strip_prefix("\x1b[")?;
        let is_first = |code: &&str| after.strip_prefix(*code).is_some_and(|rest| rest.starts_with('m'));
        codes.into_iter().find(is_first).map(|code| &text[.."\x1b[".len() + code.len() + 1])
    }

    fn code(self) -> &'static str {
        match self {
            Self::Bad => "1;31",
            Self::Warn => "33",
            Self::Good => "32",
            Self::Bold => "1",
            Self::Dim => "2",
        }
    }
}

fn indented(label: &str, text: &str) -> String {
    let mut lines = text.lines();
    let mut out = format!("{label}{}\n", lines.next().unwrap_or_default());
    for line in lines {
        out += &format!("{:width$}{line}\n", "", width = label.len());
    }
    out
}

/// Standard error may be closed; there is nobody left to tell then.
fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(visible(text).as_bytes());
}

fn to_stdout(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Failed, "cannot write to standard output").because(error.to_string()))
        }
        _ => Ok(()),
    }
}
