//! Whether two files have the same data key, told with the key of one of them.

use sha2::{Digest as _, Sha256};

use super::encrypted::Encrypted;
use super::open::Opened;
use super::value::ValueError;

/// What a file shows of its data key to whoever has one: its MAC, which is encrypted under it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyTrace {
    mac: Option<Box<str>>,
    last_modified_seconds: Box<str>,
}

/// The digest of what one reader opens. Files that have one in common have the data key in common.
pub type Wrapped = [u8; 32];

impl Encrypted {
    /// The trace of the file's data key.
    #[must_use]
    pub fn key_trace(&self) -> KeyTrace {
        let mac = self.metadata.mac.and_then(|mac| self.document.tree().node(mac).as_str());
        KeyTrace {
            mac: mac.map(Into::into),
            last_modified_seconds: self.metadata.last_modified_seconds.as_str().into(),
        }
    }

    /// What its readers open, each as a digest.
    #[must_use]
    pub fn wrapped(&self) -> Vec<Wrapped> {
        let entries = self.metadata.readers.entries();
        entries.map(|entry| Sha256::digest(entry.wrapped.as_bytes()).into()).collect()
    }
}

impl Opened {
    /// Whether the file that left this trace may have the data key of this one. It has another one for certain only where
    /// its MAC is whole and is not encrypted under this one's.
    #[must_use]
    pub fn may_share_data_key(&self, trace: &KeyTrace) -> bool {
        let Some(mac) = &trace.mac else { return true };
        let tried = self.cipher.decrypt(mac, &trace.last_modified_seconds);
        !matches!(tried, Err(ValueError::NotAuthentic))
    }
}
