//! Somebody who can read a file, whatever the type of the key.

use std::fmt;

use super::keys::Recipient;
use super::other::OtherReader;

/// Keys up to this length, in characters, are shown as they are.
const SHORT: usize = 24;

/// Somebody who can read a file, as the file or the policy knows them: by a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    /// Somebody whom we encrypt for by ourselves.
    Age(Recipient),
    /// Somebody with a key of another type.
    Other(OtherReader),
}

impl Reader {
    /// Whether both stand for the same key, however it is written.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Age(one), Self::Age(two)) => one == two,
            (Self::Other(one), Self::Other(two)) => one.is_same_key(two),
            _ => false,
        }
    }

    /// Whether this names a version of the key, and `other` leaves it open.
    pub(super) fn is_version_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(one), Self::Other(two)) => one.has_version() && !two.has_version(),
            _ => false,
        }
    }

    /// What the key is, in the words of those who use it.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Age(recipient) => recipient.kind(),
            Self::Other(reader) => reader.family(),
        }
    }

    /// The key, cut to what tells it from others: for people to look at. Fingerprints of PGP keep their last 16 digits,
    /// as in gpg.
    #[must_use]
    pub fn short(&self) -> String {
        match self {
            Self::Age(recipient) => short_key(recipient.as_str()),
            Self::Other(reader) if reader.kind == "pgp" => {
                let digits = reader.id.replace(' ', "");
                let start = digits.char_indices().rev().nth(15).map_or(0, |(at, _)| at);
                format!("pgp {}", &digits[start..])
            }
            Self::Other(reader) => reader.to_string(),
        }
    }
}

/// As sops knows them: the key in full.
impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(recipient) => recipient.fmt(f),
            Self::Other(reader) => reader.fmt(f),
        }
    }
}

impl From<Recipient> for Reader {
    fn from(recipient: Recipient) -> Self {
        Self::Age(recipient)
    }
}

impl From<OtherReader> for Reader {
    fn from(reader: OtherReader) -> Self {
        Self::Other(reader)
    }
}

/// The first and the last characters; of an SSH key also its type, as all keys of a type begin in the same way.
fn short_key(key: &str) -> String {
    let (kind, key) = key.rsplit_once(' ').map_or(("", key), |(kind, key)| (kind, key));
    let first: String = key.chars().take(if kind.is_empty() { 12 } else { 0 }).collect();
    let length = key.chars().count();
    let last: String = key.chars().skip(length.saturating_sub(8)).collect();
    match (kind, length) {
        ("", ..=SHORT) => key.to_owned(),
        ("", _) => format!("{first}…{last}"),
        (kind, _) => format!("{kind} …{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_enough_to_be_looked_at() {
        let age = |text: &str| Reader::Age(text.parse().unwrap()).short();
        let other = |kind: &str, id: &str| Reader::Other(OtherReader::unknown(kind, id)).short();
        assert_eq!(
            age("age1h0fy9xvzweel2lyf8rr033e53jv6ayjuumpzxxpvmk2m29mplqjqp5tpms"),
            "age1h0fy9xvz…jqp5tpms"
        );
        assert_eq!(
            age(
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKysRXLSoC4oeoQrsLeX0v9nI4iI86Y5zarU+ZVbcz7f ana@laptop"
            ),
            "ssh-ed25519 …+ZVbcz7f"
        );
        assert_eq!(other("pgp", "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4"), "pgp 3D16CEE4A27381B4");
        assert_eq!(other("pgp", "AB"), "pgp AB");
        assert_eq!(other("kms", "arn:aws:kms:x:1:key/k"), "kms arn:aws:kms:x:1:key/k");
        assert_eq!(other("age", "age1pq1x"), "age age1pq1x");
    }
}
