//! age: who may open a file (recipients), and with what (identities). The data key is wrapped once for each recipient,
//! as an armored age file with one stanza (age/keysource.go of sops; age-encryption.org/v1).

use std::fmt;
use std::io::Read as _;
use std::str::FromStr;

use age::armor::ArmoredReader;
use zeroize::Zeroizing;

use crate::secret::Secret;

use super::value::DataKey;

/// A native age recipient, `age1…` (X25519). Two are equal when their keys are, however they are spelled.
#[derive(Clone)]
pub struct Recipient {
    key: age::x25519::Recipient,
    /// Bech32 in lower case, the canonical form.
    text: String,
}

impl Recipient {
    fn new(key: age::x25519::Recipient) -> Self {
        let text = key.to_string();
        Self { key, text }
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The data key, wrapped for this recipient.
    pub(super) fn wrap(&self, data_key: &DataKey) -> Result<String, age::EncryptError> {
        age::encrypt_and_armor(&self.key, data_key.as_bytes())
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl PartialOrd for Recipient {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Recipient {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl std::hash::Hash for Recipient {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// A text that is not a recipient we can encrypt for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// An age recipient of another type.
    #[error("`{text}` is {kind}, which is not supported yet")]
    Unsupported {
        /// The recipient.
        text: String,
        /// Its type, with its article.
        kind: &'static str,
    },
    /// Not a recipient at all, or a mistyped one.
    #[error("`{text}` is not an age recipient ({reason})")]
    Invalid {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Somebody put the secret half where the public half belongs.
    #[error("an age secret key stands where a recipient (age1…) belongs")]
    SecretKey,
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        let text = text.trim();
        if text.to_ascii_uppercase().contains("AGE-SECRET-KEY-") {
            return Err(RecipientError::SecretKey);
        }
        let unsupported = |kind| RecipientError::Unsupported { text: text.to_owned(), kind };
        if text.starts_with("ssh-") {
            return Err(unsupported("an SSH key"));
        }
        if text.starts_with("age1pq1") {
            return Err(unsupported("a post-quantum age recipient"));
        }
        match text.parse() {
            Ok(key) => Ok(Self::new(key)),
            // Bech32 has its separator behind the name: age1<plugin>1….
            Err(_) if text.strip_prefix("age1").is_some_and(|rest| rest.contains('1')) => {
                Err(unsupported("a recipient of an age plugin"))
            }
            Err(reason) => Err(RecipientError::Invalid { text: text.to_owned(), reason }),
        }
    }
}

/// Why identities could not be read. Never a part of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}, line {line}: not an age identity ({reason})")]
pub struct IdentityError {
    /// The name the text was given under.
    pub source_name: String,
    /// Line in it, from 1.
    pub line: usize,
    /// What is wrong with the line.
    pub reason: &'static str,
}

/// Secret keys, read once.
pub struct Identities {
    native: Vec<(age::x25519::Identity, Recipient)>,
    sources: Vec<String>,
    skipped: Vec<Skipped>,
}

/// An identity that was seen and cannot be used yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The name its text was given under.
    pub source_name: String,
    /// What it is, with its article.
    pub kind: &'static str,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} is not supported yet", self.kind, self.source_name)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.native.iter().map(|(_, recipient)| recipient)).finish()
    }
}

impl Identities {
    /// Reads texts in the form of age's keys.txt: one identity on a line, `#` comments and blank lines between. Each
    /// comes with the name that errors give it (`SOPS_AGE_KEY`, a path). Identities of types that are not supported
    /// yet are left aside and named by [`Identities::skipped`].
    ///
    /// # Errors
    /// A line that is no identity.
    pub fn parse<S: Into<String>>(
        texts: impl IntoIterator<Item = (S, Secret)>,
    ) -> Result<Self, IdentityError> {
        let mut identities = Self { native: Vec::new(), sources: Vec::new(), skipped: Vec::new() };
        for (source, text) in texts {
            let source = source.into();
            identities.add(&source, &text)?;
            identities.sources.push(source);
        }
        Ok(identities)
    }

    fn add(&mut self, source: &str, text: &Secret) -> Result<(), IdentityError> {
        if let Some(kind) = whole_text(text.expose()) {
            self.skipped.push(Skipped { source_name: source.to_owned(), kind });
            return Ok(());
        }
        for (index, line) in text.expose().lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with("AGE-PLUGIN-") || line.starts_with("AGE-SECRET-KEY-PQ-") {
                let kind = if line.starts_with("AGE-PLUGIN-") {
                    "a plugin identity"
                } else {
                    "a post-quantum identity"
                };
                self.skipped.push(Skipped { source_name: source.to_owned(), kind });
                continue;
            }
            let identity: age::x25519::Identity = line.parse().map_err(|reason| IdentityError {
                source_name: source.to_owned(),
                line: index + 1,
                reason,
            })?;
            let recipient = Recipient::new(identity.to_public());
            if !self.native.iter().any(|(_, known)| *known == recipient) {
                self.native.push((identity, recipient));
            }
        }
        Ok(())
    }

    /// Public keys of the identities, in the order they were read: the reader himself, for `recipients: self`.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &Recipient> {
        self.native.iter().map(|(_, recipient)| recipient)
    }

    /// Names of the texts that were read.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// Identities that were seen and cannot be used yet.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Opens an armored age file that says it is for `recipient`; `None` when that is nobody here.
    pub(super) fn unwrap(
        &self,
        recipient: &Recipient,
        armored: &str,
    ) -> Option<Result<DataKey, UnwrapError>> {
        let (identity, _) = self.native.iter().find(|(_, known)| known == recipient)?;
        Some(unwrap(identity, armored))
    }
}

/// Forms of identity that take a whole text.
fn whole_text(text: &str) -> Option<&'static str> {
    let text = text.trim_start();
    if text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") || text.starts_with("age-encryption.org/") {
        return Some("a passphrase-encrypted identity");
    }
    text.starts_with("-----BEGIN ").then_some("an SSH private key")
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

fn unwrap(identity: &age::x25519::Identity, armored: &str) -> Result<DataKey, UnwrapError> {
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes()))
        .map_err(|_| UnwrapError::DoesNotOpen)?;
    let reader = decryptor
        .decrypt(std::iter::once(identity as &dyn age::Identity))
        .map_err(|_| UnwrapError::DoesNotOpen)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    // One byte more than a key has is enough to see that it is none.
    reader.take(33).read_to_end(&mut bytes).map_err(|_| UnwrapError::DoesNotOpen)?;
    DataKey::from_slice(&bytes).ok_or(UnwrapError::NotADataKey)
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn new_identity() -> (String, String) {
        let identity = age::x25519::Identity::generate();
        (identity.to_string().expose_secret().to_owned(), identity.to_public().to_string())
    }

    #[test]
    fn identities_are_read_as_in_keys_txt() {
        let (a, a_public) = new_identity();
        let (b, b_public) = new_identity();
        let text = format!("# created: today\n# public key: {a_public}\n{a}\r\n\n  {b}  \n");
        let identities =
            Identities::parse([("keys.txt", secret(&text)), ("SOPS_AGE_KEY", secret(&a))]).unwrap();
        let publics: Vec<_> = identities.recipients().map(Recipient::as_str).collect();
        assert_eq!(publics, [a_public, b_public]);
        assert_eq!(identities.sources(), ["keys.txt", "SOPS_AGE_KEY"]);
    }

    #[test]
    fn a_line_that_is_no_identity_is_named_without_its_text() {
        let error = Identities::parse([("keys.txt", secret("# c\nAGE-SECRET-KEY-1CANARY\n"))]).unwrap_err();
        assert_eq!((error.line, error.source_name.as_str()), (2, "keys.txt"));
        assert!(!error.to_string().contains("CANARY"));
    }

    #[test]
    fn identities_of_other_types_are_left_aside_and_named() {
        let texts = [
            "AGE-PLUGIN-YUBIKEY-1XX",
            "-----BEGIN OPENSSH PRIVATE KEY-----\n",
            "-----BEGIN AGE ENCRYPTED FILE-----",
        ];
        let identities = Identities::parse(texts.map(|text| ("k", secret(text)))).unwrap();
        let kinds: Vec<_> = identities.skipped().iter().map(|skipped| skipped.kind).collect();
        assert_eq!(kinds, ["a plugin identity", "an SSH private key", "a passphrase-encrypted identity"]);
        assert_eq!(identities.recipients().len(), 0);
    }

    #[test]
    fn recipients_are_equal_by_key_not_by_spelling() {
        let (_, public) = new_identity();
        let lower: Recipient = public.parse().unwrap();
        let upper: Recipient = format!("  {}\n", public.to_uppercase()).parse().unwrap();
        assert_eq!(lower, upper);
        assert_eq!(upper.to_string(), public);
    }

    #[test]
    fn recipients_of_other_types_are_named() {
        let kind = |text: &str| match text.parse::<Recipient>().unwrap_err() {
            RecipientError::Unsupported { kind, .. } => kind,
            other => panic!("{other}"),
        };
        assert_eq!(kind("ssh-ed25519 AAAA me"), "an SSH key");
        assert_eq!(kind("age1pq1xxxx"), "a post-quantum age recipient");
        assert_eq!(
            kind("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t"),
            "a recipient of an age plugin"
        );
        assert!(matches!("age1nonsense".parse::<Recipient>(), Err(RecipientError::Invalid { .. })));
    }

    #[test]
    fn a_secret_key_among_recipients_is_not_repeated_in_the_error() {
        let (private, _) = new_identity();
        let error = private.parse::<Recipient>().unwrap_err();
        assert_eq!(error, RecipientError::SecretKey);
        assert!(!error.to_string().contains(&private));
    }

    #[test]
    fn a_data_key_wrapped_for_a_recipient_opens_with_its_identity_only() {
        let (private, public) = new_identity();
        let recipient: Recipient = public.parse().unwrap();
        let key = DataKey::generate().unwrap();
        let wrapped = recipient.wrap(&key).unwrap();
        let identities = Identities::parse([("k", secret(&private))]).unwrap();
        let opened = identities.unwrap(&recipient, &wrapped).unwrap().unwrap();
        assert_eq!(opened.as_bytes(), key.as_bytes());
        let (other, other_public) = new_identity();
        let others = Identities::parse([("k", secret(&other))]).unwrap();
        assert!(others.unwrap(&recipient, &wrapped).is_none());
        let mislabelled = others.unwrap(&other_public.parse().unwrap(), &wrapped).unwrap();
        assert_eq!(mislabelled.err(), Some(UnwrapError::DoesNotOpen));
    }
}
