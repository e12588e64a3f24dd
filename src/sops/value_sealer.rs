//! Values by themselves, each a document of its own, for a journal.

use jiff::Timestamp;

use crate::secret::Secret;

use super::draft::Draft;
use super::format::Format;
use super::keys::Outside;
use super::path::Path;
use super::policy::Rule;
use super::readers::Readers;
use super::seal::{SealError, Sealed, last_modified};
use super::value::DataKey;

/// Path of the only leaf of what a [`ValueSealer`] makes.
#[must_use]
pub fn value_path() -> Path {
    Path::of_keys(["value"])
}

/// Seals values for the readers of a rule. Its data key is wrapped for all of them when it is made, so that whatever may
/// refuse that (a program that is missing, a service that cannot be reached) has done so before there is a value to lose.
pub struct ValueSealer {
    rule: Rule,
    key: DataKey,
    readers: Readers,
}

impl ValueSealer {
    /// For the readers of `rule`, whatever that selects in files. `now` is when the data key was wrapped.
    ///
    /// # Errors
    /// [`SealError`]: nobody to encrypt for, a reader that it cannot be wrapped for, no random bytes.
    pub fn new(rule: &Rule, outside: &dyn Outside, now: Timestamp) -> Result<Self, SealError> {
        let (rule, key) = (rule.for_a_value(), DataKey::generate()?);
        let readers = Readers::wrap(&key, &rule, outside, &last_modified(now))?;
        Ok(Self { rule, key, readers })
    }

    /// One value as a document of its own, `value: ENC[…]`. Asks nobody anything. It opens with [`Encrypted::open`], and the
    /// value is at [`value_path`].
    ///
    /// # Errors
    /// [`SealError`]: an empty value, no random bytes.
    ///
    /// [`Encrypted::open`]: super::Encrypted::open
    pub fn seal(&self, value: &Secret, now: Timestamp) -> Result<Sealed, SealError> {
        let unsound = |error: &dyn std::error::Error| SealError::unsound(error.to_string());
        let mut draft = Draft::parse(Format::Yaml, "value:\n").map_err(|error| unsound(&error))?;
        let value = Secret::new(value.expose().to_owned());
        draft.set(&value_path(), value).map_err(|error| unsound(&error))?;
        draft.seal_with(&self.key, &self.readers, &self.rule, now, &[value_path()])
    }
}

/// Shows for whom it seals, and no key.
impl std::fmt::Debug for ValueSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValueSealer").field("readers", &self.readers).finish_non_exhaustive()
    }
}
