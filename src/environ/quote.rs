//! Variables as text that other programs read: a shell, a reader of `.env` files.

use std::fmt::Write as _;

use zeroize::Zeroizing;

/// Why a value cannot be written. The value is never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// Text in shells and `.env` files is UTF-8.
    #[error("the value of {name} is not text")]
    NotText {
        /// The variable.
        name: String,
    },
    /// Readers of `.env` files disagree about what would have to be written.
    #[error("the value of {name} has {what}, which readers of .env files read in different ways")]
    Disputed {
        /// The variable.
        name: String,
        /// What it has.
        what: &'static str,
    },
}

/// `export NAME='value'`: what sh, dash, bash, zsh and ksh read back byte for byte (POSIX XCU 2.2.2).
///
/// # Errors
/// [`QuoteError`]
pub fn shell(name: &str, value: &[u8]) -> Result<Zeroizing<String>, QuoteError> {
    let text = text(name, value)?;
    let mut line = line(name.len() + text.len() * 2);
    let _ = write!(line, "export {name}='");
    for (index, part) in text.split('\'').enumerate() {
        if index > 0 {
            line.push_str("'\\''");
        }
        line.push_str(part);
    }
    line.push_str("'\n");
    Ok(line)
}

/// `NAME=value`, bare where every reader agrees about it, else in single quotes. There is no one format: sops and
/// `docker run --env-file` know no quotes, node and Python differ about escapes, and Python replaces `${…}` even in single
/// quotes. What has no form that node's dotenv, python-dotenv and a shell read alike is refused.
///
/// # Errors
/// [`QuoteError`]
pub fn dotenv(name: &str, value: &[u8]) -> Result<Zeroizing<String>, QuoteError> {
    let text = text(name, value)?;
    let mut line = line(name.len() + text.len());
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@%+,=".contains(&byte)) {
        let _ = writeln!(line, "{name}={text}");
        return Ok(line);
    }
    if let Some(what) = disputed(text) {
        return Err(QuoteError::Disputed { name: name.to_owned(), what });
    }
    let _ = writeln!(line, "{name}='{text}'");
    Ok(line)
}

fn disputed(text: &str) -> Option<&'static str> {
    if text.contains('\'') {
        return Some("a single quote");
    }
    if text.contains("${") {
        return Some("a dollar sign with a brace");
    }
    if text.contains('\r') {
        return Some("a carriage return");
    }
    (text.contains("\\\\") || text.ends_with('\\')).then_some("a backslash before a backslash or at its end")
}

/// The text of a value.
///
/// # Errors
/// [`QuoteError`]
pub fn text<'v>(name: &str, value: &'v [u8]) -> Result<&'v str, QuoteError> {
    str::from_utf8(value).map_err(|_| QuoteError::NotText { name: name.to_owned() })
}

/// Room for the whole line, so that no copy of a part is left behind in memory.
fn line(room: usize) -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(room * 2 + 32))
}
