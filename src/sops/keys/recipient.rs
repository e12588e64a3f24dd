//! age recipients: for whom a data key is wrapped.

use std::fmt;
use std::str::FromStr;

use super::outside::{Outside, OutsideError};

/// An age recipient: a native one (`age1…`, X25519), an SSH public key, or one of a plugin (`age1name1…`). Two are
/// equal when their keys are, however they are spelled and whatever comment an SSH key has.
#[derive(Clone)]
pub struct Recipient {
    key: Key,
    /// Bech32 in lower case, or type and key of SSH without a comment.
    canonical: String,
    /// The canonical form, with the comment of an SSH key, which stock sops keeps and compares.
    written: String,
}

#[derive(Clone)]
enum Key {
    Native(age::x25519::Recipient),
    // An RSA key is much larger than the others.
    Ssh(Box<age::ssh::Recipient>),
    Plugin { name: String },
}

impl Recipient {
    pub(super) fn native(key: age::x25519::Recipient) -> Self {
        let text = key.to_string();
        Self { key: Key::Native(key), written: text.clone(), canonical: text }
    }

    pub(super) fn ssh(key: age::ssh::Recipient) -> Self {
        let text = key.to_string();
        Self { key: Key::Ssh(Box::new(key)), written: text.clone(), canonical: text }
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// The comment of an SSH key.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        self.written.strip_prefix(&self.canonical)?.strip_prefix(' ')
    }

    /// The name of the plugin that it belongs to; the program is `age-plugin-NAME`.
    #[must_use]
    pub fn plugin(&self) -> Option<&str> {
        match &self.key {
            Key::Plugin { name } => Some(name),
            Key::Native(_) | Key::Ssh(_) => None,
        }
    }

    /// Whether it is an SSH public key.
    #[must_use]
    pub fn is_ssh(&self) -> bool {
        matches!(self.key, Key::Ssh(_))
    }

    /// What it is, in the words of age.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.key {
            Key::Native(_) => "age",
            Key::Ssh(_) => "ssh",
            Key::Plugin { .. } => "age plugin",
        }
    }

    /// The data key, or a share of it, as an armored age file for this recipient.
    pub(in super::super) fn wrap(&self, data: &[u8], outside: &dyn Outside) -> Result<String, OutsideError> {
        let failed = |error: age::EncryptError| OutsideError::Failed { reason: error.to_string() };
        match &self.key {
            Key::Native(key) => age::encrypt_and_armor(key, data).map_err(failed),
            Key::Ssh(key) => age::encrypt_and_armor(&**key, data).map_err(failed),
            Key::Plugin { .. } => outside.plugin_wrap(&self.canonical, data),
        }
    }
}

/// As sops writes it into a file: with the comment of an SSH key.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
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
        self.canonical.cmp(&other.canonical)
    }
}

impl std::hash::Hash for Recipient {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
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
        let upper = text.to_ascii_uppercase();
        if upper.contains("AGE-SECRET-KEY-") || upper.contains("AGE-PLUGIN-") || upper.contains("PRIVATE KEY")
        {
            return Err(RecipientError::SecretKey);
        }
        let invalid = |reason| RecipientError::Invalid { text: text.to_owned(), reason };
        if text.starts_with("ssh-") {
            return ssh(text, invalid);
        }
        if text.starts_with("age1pq1") {
            let kind = "a post-quantum age recipient";
            return Err(RecipientError::Unsupported { text: text.to_owned(), kind });
        }
        // Bech32 has its separator behind the name: age1<plugin>1….
        let lower = text.to_ascii_lowercase();
        if lower.strip_prefix("age1").is_some_and(|rest| rest.contains('1')) {
            let key: age::plugin::Recipient = lower.parse().map_err(invalid)?;
            let key = Key::Plugin { name: key.plugin().to_owned() };
            return Ok(Self { key, written: lower.clone(), canonical: lower });
        }
        text.parse().map(Self::native).map_err(invalid)
    }
}

/// Type, key, and perhaps a comment, on one line (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
fn ssh(text: &str, invalid: impl Fn(&'static str) -> RecipientError) -> Result<Recipient, RecipientError> {
    use age::ssh::ParseRecipientKeyError as Error;
    if text.chars().any(char::is_control) {
        return Err(invalid("it has more than one line"));
    }
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let key = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    let mut recipient = match key.parse() {
        Ok(key) => Recipient::ssh(key),
        Err(Error::RsaModulusTooSmall) => return Err(invalid("an RSA key with fewer than 2048 bits")),
        Err(Error::RsaModulusTooLarge) => return Err(invalid("an RSA key with more than 4096 bits")),
        Err(_) => return Err(invalid("only ssh-ed25519 and ssh-rsa keys can be used")),
    };
    if recipient.canonical != key {
        return Err(invalid("its key is not in the form of OpenSSH"));
    }
    recipient.written = words.join(" ");
    Ok(recipient)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSH: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKysRXLSoC4oeoQrsLeX0v9nI4iI86Y5zarU+ZVbcz7f";

    fn native() -> String {
        age::x25519::Identity::generate().to_public().to_string()
    }

    #[test]
    fn recipients_are_equal_by_key_not_by_spelling() {
        let public = native();
        let lower: Recipient = public.parse().unwrap();
        let upper: Recipient = format!("  {}\n", public.to_uppercase()).parse().unwrap();
        assert_eq!(lower, upper);
        assert_eq!(upper.to_string(), public);
    }

    #[test]
    fn an_ssh_key_is_the_same_whatever_its_comment_which_is_kept() {
        let bare: Recipient = SSH.parse().unwrap();
        let ana: Recipient = format!("{SSH} ana@laptop: #1").parse().unwrap();
        assert_eq!(bare, ana);
        assert_eq!(ana.to_string(), format!("{SSH} ana@laptop: #1"));
        assert_eq!(ana.as_str(), SSH);
        assert!(ana.is_ssh());
    }

    #[test]
    fn a_plugin_is_known_by_its_recipient() {
        let text = "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t";
        let recipient: Recipient = text.parse().unwrap();
        assert_eq!(recipient.plugin(), Some("yubikey"));
        assert_eq!(recipient.to_string(), text);
    }

    #[test]
    fn what_is_no_recipient_is_refused_with_its_reason() {
        let kind = |text: &str| text.parse::<Recipient>().unwrap_err();
        assert!(matches!(kind("age1pq1xxxx"), RecipientError::Unsupported { .. }));
        for text in ["age1nonsense", "ssh-ed25519 AAAA me", "ssh-dss AAAAB3NzaC1kc3M= me", "age1yubikey1qqq"]
        {
            assert!(matches!(kind(text), RecipientError::Invalid { .. }), "{text}");
        }
        assert!(matches!(kind(&format!("{SSH} a\nb")), RecipientError::Invalid { .. }));
    }

    #[test]
    fn a_secret_key_among_recipients_is_not_repeated_in_the_error() {
        for private in
            ["AGE-SECRET-KEY-1CANARY", "age-plugin-x-1CANARY", "-----BEGIN OPENSSH PRIVATE KEY-----"]
        {
            let error = private.parse::<Recipient>().unwrap_err();
            assert_eq!(error, RecipientError::SecretKey);
            assert!(!error.to_string().contains("CANARY"));
        }
    }
}
