//! Unwrapping the data key: with one of our keys, or with one key of each of several groups.

use zeroize::Zeroizing;

use super::encrypted::Encrypted;
use super::keys::{Failure, Identities, OutsideError, Recipient, UnwrapError};
use super::locked::LockedOut;
use super::open::OpenError;
use super::other::ServiceKey;
use super::reader::Reader;
use super::readers::{Group, Share};
use super::shamir;
use super::value::DataKey;

/// The data key, and what each group opened to.
pub(super) struct Unlocked {
    pub(super) key: DataKey,
    pub(super) shares: Vec<Option<Share>>,
}

/// What went wrong on the way.
#[derive(Default)]
struct Trouble {
    /// The first thing that is wrong with something for us.
    failure: Option<OpenError>,
    /// Keys of other types that opened nothing.
    refused: Vec<(Reader, OutsideError)>,
}

impl Encrypted {
    /// Opens as many groups as it takes: with what is in memory first, so that nobody is asked for a group that is not
    /// needed.
    pub(super) fn unlock(&self, identities: &Identities) -> Result<Unlocked, OpenError> {
        let readers = &self.metadata.readers;
        let mut trouble = Trouble::default();
        let in_memory = readers.groups.iter().map(|group| identities.at_hand(&age_entries(group)));
        let mut shares: Vec<Option<Share>> = in_memory.collect();
        for (index, group) in readers.groups.iter().enumerate() {
            if shares.iter().flatten().count() >= readers.threshold {
                break;
            }
            if shares[index].is_none() {
                shares[index] = open_group(group, identities, &mut trouble);
            }
        }
        let opened: Vec<&Share> = shares.iter().flatten().collect();
        if opened.len() < readers.threshold {
            return Err(match trouble.failure {
                Some(failure) => failure,
                None => self.locked_out(identities, opened.len(), trouble.refused),
            });
        }
        let together = match opened.as_slice() {
            [only] if readers.groups.len() == 1 => Share::clone(only),
            shares => shamir::combine(shares).map_err(|reason| OpenError::Shares { reason })?,
        };
        let key = DataKey::from_slice(&together).ok_or_else(|| match readers.entries().next() {
            Some(first) => {
                let recipient = Box::new(first.reader.clone());
                OpenError::Unwrap { recipient, reason: UnwrapError::NotADataKey }
            }
            None => self.locked_out(identities, 0, Vec::new()),
        })?;
        Ok(Unlocked { key, shares })
    }

    fn locked_out(
        &self,
        identities: &Identities,
        opened: usize,
        refused: Vec<(Reader, OutsideError)>,
    ) -> OpenError {
        let with_ssh = self.recipients().into_iter().any(Recipient::is_ssh);
        OpenError::LockedOut(Box::new(LockedOut {
            sources: identities.sources(with_ssh).map(str::to_owned).collect(),
            own: identities.recipients().filter(|own| with_ssh || !own.is_ssh()).cloned().collect(),
            groups: self.groups().into_iter().map(|group| group.into_iter().cloned().collect()).collect(),
            threshold: self.threshold(),
            opened,
            skipped: identities.unusable(with_ssh).collect(),
            refused,
        }))
    }
}

fn age_entries(group: &Group) -> Vec<(&Recipient, &str)> {
    let entries = group.entries.iter().filter_map(|entry| match &entry.reader {
        Reader::Age(recipient) => Some((recipient, entry.wrapped.as_str())),
        Reader::Other(_) => None,
    });
    entries.collect()
}

/// With our identities, then with a key service: the order of stock sops.
fn open_group(group: &Group, identities: &Identities, trouble: &mut Trouble) -> Option<Share> {
    match identities.unwrap(&age_entries(group)) {
        Some(Ok(share)) => return Some(share),
        Some(Err(failure)) => {
            trouble.failure.get_or_insert(failure.into());
        }
        None => {}
    }
    for entry in &group.entries {
        let Reader::Other(reader) = &entry.reader else { continue };
        let Some(key) = reader.service_key() else { continue };
        match identities.outside().service_decrypt(key, &entry.wrapped) {
            Ok(share) => return Some(share),
            Err(error) => trouble.refused.push((entry.reader.clone(), error)),
        }
    }
    None
}

/// What a key service is asked: one key, one share.
impl Identities {
    /// `data` wrapped for a key: here for age, else by the key service outside, which works with keys of the policy.
    ///
    /// # Errors
    /// A plugin or a key service that is needed and does not work.
    pub fn encrypt_for(&self, key: &ServiceKey, data: &[u8]) -> Result<String, OutsideError> {
        match recipient(key) {
            Some(recipient) => recipient.wrap(data, &**self.outside()),
            None if self.outside().is_in_policy(key) => self.outside().service_encrypt(key, data),
            None => Err(OutsideError::NotInPolicy),
        }
    }

    /// What is wrapped for a key, in the same way; `None` where nothing here is for it.
    pub fn decrypt_from(
        &self,
        key: &ServiceKey,
        wrapped: &str,
    ) -> Option<Result<Zeroizing<Vec<u8>>, OpenError>> {
        match recipient(key) {
            Some(recipient) => Some(self.unwrap(&[(&recipient, wrapped)])?.map_err(OpenError::from)),
            None => Some(self.outside().service_decrypt(key, wrapped).map_err(|error| {
                let of = Some(Box::new(Reader::Other(key.clone().into())));
                OpenError::Outside { of, error }
            })),
        }
    }
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Damaged { recipient, reason } => {
                Self::Unwrap { recipient: Box::new(recipient.into()), reason }
            }
            Failure::Outside { of, error } => Self::Outside { of: of.map(|of| Box::new(of.into())), error },
        }
    }
}

fn recipient(key: &ServiceKey) -> Option<Recipient> {
    match key {
        ServiceKey::Age { recipient } => recipient.parse().ok(),
        _ => None,
    }
}
