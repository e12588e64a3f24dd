//! age: who may open a file (recipients), and with what (identities). The data key is wrapped once for each recipient,
//! as an armored age file with one stanza (age/keysource.go of sops; age-encryption.org/v1).

mod identities;
mod identity;
mod outside;
mod recipient;
#[cfg(test)]
mod tests;

use std::fmt;

pub(super) use identities::Failure;
pub use identities::{Identities, IdentitySource, generate_identity, with_passphrase};
pub use outside::{Alone, Outside, OutsideError};
pub use recipient::{Recipient, RecipientError};

/// Why a source gives no identity. Never a part of its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A line of it is no identity: nothing in it is used, as with stock sops.
    #[error("{source_name}, line {line}: not an age identity ({reason})")]
    NotAnIdentity {
        /// The name the text was given under.
        source_name: String,
        /// Line in it, from 1.
        line: usize,
        /// What is wrong with the line.
        reason: &'static str,
    },
    /// It cannot be read.
    #[error("cannot read {source_name}: {reason}")]
    Unreadable {
        /// Its name.
        source_name: String,
        /// What the operating system says.
        reason: String,
    },
    /// A key stands in the place of a path, as where a variable of CI is not of the type File.
    #[error("{variable} holds a key, and not the path of a file")]
    IsKey {
        /// The variable.
        variable: &'static str,
    },
}

/// An identity that was seen and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The name its text was given under.
    pub source_name: String,
    /// What it is, with its article.
    pub kind: &'static str,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used: it holds {}", self.source_name, self.kind)
    }
}

/// Why a stanza that names one of our keys does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// It is no age file for that key.
    #[error("its `enc` does not decrypt with that key")]
    DoesNotOpen,
    /// It holds something that is not a 32-byte key.
    #[error("its `enc` does not hold a data key")]
    NotADataKey,
}
