//! A value that must not be seen: a token, a data key in text form, the content of a leaf.

use std::alloc::System;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;
use zeroizing_alloc::ZeroAlloc;

/// All memory that is freed is overwritten: on their way values pass through parsers, templates, JSON and HTTP, which know
/// nothing of secrets (docs/decisions/0013-freed-memory-is-overwritten.md).
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Text that is never printed, serialised, cloned or compared, and is overwritten when dropped.
///
/// [`Secret::expose`] is the only way in; each call is a place to look at in review.
pub struct Secret(SecretString);

impl Secret {
    /// Takes ownership of `text`; the allocation is overwritten on drop.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// The same text without the white space around it, as a new secret (pasted values end in a newline).
    #[must_use]
    pub fn trimmed(&self) -> Self {
        Self::new(self.expose().trim().to_owned())
    }
}

impl From<Zeroizing<String>> for Secret {
    fn from(mut text: Zeroizing<String>) -> Self {
        Self::new(std::mem::take(&mut text))
    }
}

/// Shows that there is a secret and nothing of it, not even its length.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new("glpat-canary".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
