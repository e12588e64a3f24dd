//! Opening a file: the data key is unwrapped, every value is decrypted and the MAC verified before anybody sees one.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::yaml::{Kind, Node, Position};

use super::encrypted::Encrypted;
use super::format::Format;
use super::keys::{Identities, Outside, OutsideError, UnwrapError};
use super::locked::LockedOut;
use super::names::Names;
use super::path::{LeafPath, Path};
use super::reader::Reader;
use super::readers::{Entry, Share};
use super::scalar::ScalarError;
use super::shamir::ShamirError;
use super::value::{Cipher, DataKey, Plain, PlainRef, Type, ValueError};
use super::values::{Known, Values};

/// Where a value stands that is not in the file yet.
const START: Position = Position { line: 1, column: 1 };

/// Why a file does not open. A value is never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Nothing at hand opens the file.
    #[error("{0}")]
    LockedOut(Box<LockedOut>),
    /// The file names one of our keys, but what stands there is not for it.
    #[error("{}", self.sentence(&Names::default()))]
    Unwrap {
        /// Our own public key.
        recipient: Box<Reader>,
        /// What is wrong.
        reason: UnwrapError,
    },
    /// The shares of the data key do not go together.
    #[error("the groups of keys do not open the file together: {reason}")]
    Shares {
        /// What is wrong.
        reason: ShamirError,
    },
    /// What would open the file needs a program or an answer.
    #[error("{}", self.sentence(&Names::default()))]
    Outside {
        /// For whom the entry is, where that is known.
        of: Option<Box<Reader>>,
        /// What is missing.
        error: OutsideError,
    },
    /// An encrypted value.
    #[error("{position}: {path} {reason}")]
    Value {
        /// Where in the file.
        position: Position,
        /// The leaf.
        path: Path,
        /// What is wrong.
        reason: ValueError,
    },
    /// A value in the clear.
    #[error("{position}: {path} {reason}")]
    Scalar {
        /// Where in the file.
        position: Position,
        /// The leaf.
        path: Path,
        /// What is wrong.
        reason: ScalarError,
    },
    /// The file has no MAC.
    #[error("the file has no MAC, so nothing shows that it is complete and unchanged")]
    NoMac,
    /// The MAC itself does not decrypt.
    #[error("the MAC of the file {reason}")]
    Mac {
        /// What is wrong.
        reason: ValueError,
    },
    /// Values were changed, added, removed or moved without the key.
    #[error(
        "the MAC of the file does not match: a value was changed, added, removed or moved by other means than sops"
    )]
    MacMismatch,
}

impl OpenError {
    /// What it says, with the names that a policy has for keys.
    #[must_use]
    pub fn sentence(&self, names: &Names) -> String {
        match self {
            Self::LockedOut(locked) => locked.sentences(names).join("; "),
            Self::Unwrap { recipient, reason } => {
                format!("the entry of {} is damaged: {reason}", names.label(recipient))
            }
            Self::Outside { of: Some(of), error } => format!("the entry of {}: {error}", names.label(of)),
            Self::Outside { of: None, error } => error.to_string(),
            other => other.to_string(),
        }
    }
}

/// A file whose MAC was verified, and the changes that wait for [`Opened::seal`].
pub struct Opened {
    pub(super) file: Encrypted,
    /// The data key itself, to be wrapped for new readers.
    pub(super) key: DataKey,
    /// What each group of readers opens, as far as we opened it.
    pub(super) shares: Vec<Option<Share>>,
    pub(super) cipher: Cipher,
    /// The values of the file, without the changes.
    pub(super) values: Values,
    /// What wraps it for readers that need a program.
    pub(super) outside: Arc<dyn Outside>,
    pub(super) changes: Vec<(Path, Change)>,
}

/// What shall happen to a leaf.
pub(super) enum Change {
    Set(Zeroizing<Vec<u8>>),
    Remove,
}

impl Change {
    pub(super) fn is_removal(&self) -> bool {
        matches!(self, Self::Remove)
    }
}

/// Shows the file's readers, nothing of its content.
impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("recipients", &self.file.recipients()).finish_non_exhaustive()
    }
}

impl Encrypted {
    /// Whether one of the identities may open the file, as far as that can be told without asking for anything.
    #[must_use]
    pub fn may_be_opened_by(&self, identities: &Identities) -> bool {
        let may = |entry: &Entry| match &entry.reader {
            Reader::Age(recipient) => identities.may_open(recipient),
            // The key service knows.
            Reader::Other(reader) => reader.service_key().is_some(),
        };
        let readers = &self.metadata.readers;
        readers.groups.iter().filter(|group| group.entries.iter().any(may)).count() >= readers.threshold
    }

    /// Unwraps the data key with the first identity that the file names, and verifies the MAC.
    ///
    /// # Errors
    /// [`OpenError`]: no identity, a value or the MAC that is wrong, or a MAC that is not there.
    pub fn open(self, identities: &Identities) -> Result<Opened, OpenError> {
        let unlocked = self.unlock(identities)?;
        let key = unlocked.key;
        let cipher = Cipher::new(&key);
        let (file, values) = match self.verify(&cipher, None) {
            // Versions of sops disagree about large integers of JSON in the clear; the MAC says which one wrote it.
            Err(OpenError::MacMismatch) if self.format() == Format::Json => {
                let exact = self.with_exact_integers(true);
                let values = exact.verify(&cipher, None)?;
                (exact, values)
            }
            verified => verified.map(|values| (self, values))?,
        };
        let outside = Arc::clone(identities.outside());
        Ok(Opened { file, key, shares: unlocked.shares, cipher, values, outside, changes: Vec::new() })
    }

    /// Compares the MAC of the values with the one that the file has. Values that are `known` are not decrypted again.
    pub(super) fn verify(&self, cipher: &Cipher, known: Option<Known<'_>>) -> Result<Values, OpenError> {
        let mac = self.metadata.mac.ok_or(OpenError::NoMac)?;
        let stored = self.document.tree().node(mac).as_str().unwrap_or_default();
        let stored = cipher
            .decrypt(stored, &self.metadata.last_modified_seconds)
            .map_err(|reason| OpenError::Mac { reason })?;
        let values = Values::of(self, cipher, known)?;
        // sops compares the digests as texts; both were computed from what is in the file, so no timing matters.
        if *stored.bytes == *values.mac(self).as_bytes() { Ok(values) } else { Err(OpenError::MacMismatch) }
    }

    /// The value of a leaf that is encrypted, or not; `None` for null, which sops neither encrypts nor hashes.
    pub(super) fn value(
        &self,
        cipher: &Cipher,
        path: LeafPath<'_>,
        node: Node<'_>,
        encrypted: bool,
    ) -> Result<Option<Plain>, OpenError> {
        if !encrypted {
            return self.document.scalar(node).map_err(|reason| OpenError::Scalar {
                position: node.position(),
                path: path.to_path(),
                reason,
            });
        }
        let error = |reason| OpenError::Value { position: node.position(), path: path.to_path(), reason };
        let text = match node.kind() {
            Kind::Scalar(text, _) => text,
            _ => "",
        };
        if node.tag().is_none() && !text.is_empty() {
            match cipher.decrypt(text, &path.additional_data()) {
                Err(ValueError::NotEncrypted) => {}
                decrypted => return decrypted.map(Some).map_err(error),
            }
        }
        // What is nothing that sops would have written as a string cannot be a ciphertext.
        match self.document.scalar(node) {
            Ok(None) => Ok(None),
            Ok(Some(plain)) if plain.kind == Type::Str => {
                cipher.decrypt(text, &path.additional_data()).map(Some).map_err(error)
            }
            _ => Err(error(ValueError::NotEncrypted)),
        }
    }
}

impl Opened {
    /// The file as it was opened, without the changes that wait.
    #[must_use]
    pub fn file(&self) -> &Encrypted {
        &self.file
    }

    /// The value at `path` as text (numbers and booleans as sops writes them), with the changes that wait; `None` where
    /// there is no leaf, or null.
    ///
    /// # Errors
    /// The value is not text.
    pub fn get(&self, path: &Path) -> Result<Option<Secret>, OpenError> {
        let Some(bytes) = self.get_bytes(path)? else { return Ok(None) };
        match str::from_utf8(&bytes) {
            Ok(text) => Ok(Some(Secret::new(text.to_owned()))),
            Err(_) => Err(OpenError::Value {
                position: self.file.document.leaf(path).map_or(START, Node::position),
                path: path.clone(),
                reason: ValueError::NotText,
            }),
        }
    }

    /// The same as bytes: what a binary file holds under `["data"]` need not be text.
    ///
    /// # Errors
    /// The value cannot be read; never for a file that was opened.
    pub fn get_bytes(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, OpenError> {
        if let Some((_, change)) = self.changes.iter().find(|(changed, _)| changed == path) {
            return Ok(match change {
                Change::Set(value) => Some(value.clone()),
                Change::Remove => None,
            });
        }
        Ok(self.value(path).map(|value| Zeroizing::new(value.bytes.to_owned())))
    }

    /// The value that the leaf at `path` has in the file; `None` where there is no leaf, or null.
    pub(super) fn value(&self, path: &Path) -> Option<PlainRef<'_>> {
        self.values.get(self.file.document.index_of(path)?)
    }
}
