//! Texts with secret keys, taken apart: what opens at once, what a plugin opens, and what needs a passphrase first.

use std::sync::OnceLock;

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use zeroize::Zeroizing;

use crate::secret::Secret;

use super::outside::{Outside, OutsideError};
use super::{IdentityError, Recipient, Skipped};

/// Work that a passphrase may cost, as a power of two: what age's own tool accepts (scrypt, some ten seconds).
const MAX_WORK_FACTOR: u8 = 22;

/// An identity file is not longer than this (sops, age/encrypted_keys.go).
const MAX_IDENTITY_FILE: u64 = 16 * 1024 * 1024;

/// What is in one text.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) ready: Vec<(Ready, Recipient)>,
    pub(super) plugins: Vec<Plugin>,
    pub(super) locked: Vec<Locked>,
    pub(super) sealed: Vec<SealedText>,
    pub(super) ssh: Vec<SshText>,
    pub(super) skipped: Vec<Skipped>,
}

/// A key that opens a stanza by itself.
pub(super) enum Ready {
    Native(age::x25519::Identity),
    Ssh(Box<age::ssh::Identity>),
}

impl Ready {
    pub(super) fn as_age(&self) -> &dyn age::Identity {
        match self {
            Self::Native(key) => key,
            Self::Ssh(key) => &**key,
        }
    }
}

/// An identity of a plugin.
pub(super) struct Plugin {
    pub(super) source: String,
    pub(super) name: String,
    pub(super) identity: Secret,
    /// Its recipient, where a comment above it tells, as plugins write it: `# Recipient: age1name1…`.
    pub(super) recipient: Option<Recipient>,
}

impl Plugin {
    /// Whether it may open what is for `recipient`. Recipients `age1tag1…` do not say whose they are.
    pub(super) fn may_open(&self, recipient: &Recipient) -> bool {
        let tagged = matches!(recipient.plugin(), Some("tag" | "tagpq"));
        let own = self.recipient.as_ref().is_none_or(|own| own == recipient);
        tagged || (own && recipient.plugin() == Some(&self.name))
    }
}

/// An SSH key with a passphrase; its public half is in the clear.
pub(super) struct Locked {
    source: String,
    pub(super) recipient: Recipient,
    key: age::ssh::EncryptedKey,
    unlocked: OnceLock<Result<Ready, OutsideError>>,
}

impl Locked {
    /// The key, where its passphrase was given before.
    pub(super) fn unlocked(&self) -> Option<&Ready> {
        self.unlocked.get()?.as_ref().ok()
    }

    /// Asks for the passphrase, once in a run.
    pub(super) fn unlock(&self, outside: &dyn Outside) -> Result<&Ready, OutsideError> {
        let unlocked = self.unlocked.get_or_init(|| {
            let passphrase = outside.passphrase(&format!("the SSH key {}", self.source))?;
            let key = self.key.decrypt(SecretString::from(passphrase.expose().to_owned()));
            let key = key.map_err(|_| wrong_passphrase(&self.source))?;
            Ok(Ready::Ssh(Box::new(key.into())))
        });
        unlocked.as_ref().map_err(Clone::clone)
    }
}

/// An SSH private key that nobody has looked at yet: taking an RSA key apart costs more than opening most files.
pub(super) struct SshText {
    pub(super) source: String,
    text: Zeroizing<String>,
    parsed: OnceLock<Contents>,
}

impl SshText {
    /// One key, or the reason why it cannot be used.
    pub(super) fn contents(&self) -> &Contents {
        self.parsed.get_or_init(|| {
            let mut contents = Contents::default();
            contents.add_ssh(&self.source, &self.text);
            contents
        })
    }
}

/// An identity file that is itself encrypted with a passphrase.
pub(super) struct SealedText {
    source: String,
    bytes: Zeroizing<Vec<u8>>,
    opened: OnceLock<Result<Contents, OutsideError>>,
}

impl SealedText {
    /// What is in it, where its passphrase was given before.
    pub(super) fn opened(&self) -> Option<&Contents> {
        self.opened.get()?.as_ref().ok()
    }

    /// Asks for the passphrase, once in a run.
    pub(super) fn open(&self, outside: &dyn Outside) -> Result<&Contents, OutsideError> {
        self.opened.get_or_init(|| self.decrypt(outside)).as_ref().map_err(Clone::clone)
    }

    fn decrypt(&self, outside: &dyn Outside) -> Result<Contents, OutsideError> {
        use std::io::Read as _;
        let failed = |reason: String| OutsideError::Failed { reason };
        let no_file = |_| failed(format!("{} is a damaged age file", self.source));
        let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(&self.bytes[..])).map_err(no_file)?;
        if !decryptor.is_scrypt() {
            return Err(failed(format!("{} is encrypted, and not with a passphrase", self.source)));
        }
        let passphrase = outside.passphrase(&format!("the identity file {}", self.source))?;
        let mut identity = age::scrypt::Identity::new(SecretString::from(passphrase.expose().to_owned()));
        identity.set_max_work_factor(MAX_WORK_FACTOR);
        let wrong = |_| wrong_passphrase(&self.source);
        let reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(wrong)?;
        let mut text = Zeroizing::new(String::new());
        let read = reader.take(MAX_IDENTITY_FILE).read_to_string(&mut text);
        read.map_err(|_| failed(format!("{} does not hold text", self.source)))?;
        Contents::parse(&self.source, text.as_bytes()).map_err(|error| failed(error.to_string()))
    }
}

fn wrong_passphrase(source: &str) -> OutsideError {
    OutsideError::Failed { reason: format!("this is not the passphrase of {source}") }
}

impl Contents {
    /// The public halves of what is in it, as far as they are known without asking.
    pub(super) fn publics(&self) -> impl Iterator<Item = &Recipient> {
        let ready = self.ready.iter().map(|(_, recipient)| recipient);
        let plugins = self.plugins.iter().filter_map(|plugin| plugin.recipient.as_ref());
        ready.chain(plugins).chain(self.locked.iter().map(|key| &key.recipient))
    }

    /// Whether something in it may open what is for this recipient; what a passphrase hides may.
    pub(super) fn may_open(&self, recipient: &Recipient) -> bool {
        let ssh = self.ssh.iter().filter(|_| recipient.is_ssh());
        self.publics().any(|own| own == recipient)
            || self.plugins.iter().any(|plugin| plugin.may_open(recipient))
            || self.sealed.iter().any(|sealed| sealed.opened().is_none_or(|inner| inner.may_open(recipient)))
            || ssh.into_iter().any(|key| key.contents().may_open(recipient))
    }

    /// Reads a text in any of the forms that sops takes: lines as in age's keys.txt, an SSH private key, or an age file
    /// with a passphrase around one of these.
    pub(super) fn parse(source: &str, bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut contents = Self::default();
        let start = bytes.trim_ascii_start();
        if start.starts_with(b"age-encryption.org/")
            || start.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
        {
            contents.sealed.push(SealedText {
                source: source.to_owned(),
                bytes: Zeroizing::new(start.to_vec()),
                opened: OnceLock::new(),
            });
            return Ok(contents);
        }
        if start.starts_with(b"-----BEGIN ") {
            let text = str::from_utf8(bytes).map_err(|_| not_an_identity(source, 1, "not text"))?;
            let text = Zeroizing::new(format!("{}\n", text.trim()));
            contents.ssh.push(SshText { source: source.to_owned(), text, parsed: OnceLock::new() });
            return Ok(contents);
        }
        contents.add_lines(source, bytes)?;
        Ok(contents)
    }

    /// A key that cannot be used is no error: every `~/.ssh` is looked into, whatever is there.
    fn add_ssh(&mut self, source: &str, text: &str) {
        let mut skip = |kind| self.skipped.push(Skipped { source_name: source.to_owned(), kind });
        let Ok(key) = age::ssh::Identity::from_buffer(text.as_bytes(), None) else {
            return skip("a private key that is not in a form of OpenSSH");
        };
        let recipient = match age::ssh::Recipient::try_from(key.clone()) {
            Ok(recipient) => Recipient::ssh(recipient),
            Err(_) => return skip(unsupported(&key)),
        };
        match key {
            age::ssh::Identity::Encrypted(key) => {
                let unlocked = OnceLock::new();
                self.locked.push(Locked { source: source.to_owned(), recipient, key, unlocked });
            }
            key => self.ready.push((Ready::Ssh(Box::new(key)), recipient)),
        }
    }

    fn add_lines(&mut self, source: &str, bytes: &[u8]) -> Result<(), IdentityError> {
        let mut announced = None;
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let error = |reason| not_an_identity(source, index + 1, reason);
            let line = line.trim_ascii();
            // A comment may be in any encoding.
            let is_comment = line.is_empty() || line.starts_with(b"#");
            let line = match str::from_utf8(line) {
                Ok(line) => line,
                Err(_) if is_comment => "",
                Err(_) => return Err(error("not text")),
            };
            if is_comment {
                announced = line.split_ascii_whitespace().find_map(|word| word.parse().ok()).or(announced);
            } else if line.starts_with("AGE-PLUGIN-") {
                let identity: age::plugin::Identity = line.parse().map_err(error)?;
                let recipient = announced
                    .take()
                    .filter(|recipient: &Recipient| recipient.plugin() == Some(identity.plugin()));
                self.plugins.push(Plugin {
                    source: source.to_owned(),
                    name: identity.plugin().to_owned(),
                    identity: Secret::new(line.to_owned()),
                    recipient,
                });
            } else if line.starts_with("AGE-SECRET-KEY-PQ-") {
                let kind = "a post-quantum identity";
                self.skipped.push(Skipped { source_name: source.to_owned(), kind });
            } else {
                // sops from 3.13 on takes several keys on one line.
                for word in line.split_ascii_whitespace() {
                    let identity: age::x25519::Identity = word.parse().map_err(error)?;
                    let recipient = Recipient::native(identity.to_public());
                    self.ready.push((Ready::Native(identity), recipient));
                }
                announced = None;
            }
        }
        Ok(())
    }
}

fn not_an_identity(source: &str, line: usize, reason: &'static str) -> IdentityError {
    IdentityError::NotAnIdentity { source_name: source.to_owned(), line, reason }
}

fn unsupported(key: &age::ssh::Identity) -> &'static str {
    use age::ssh::UnsupportedKey;
    match key {
        age::ssh::Identity::Unsupported(UnsupportedKey::EncryptedPem) => {
            "an SSH key with a passphrase in the old PEM form (ssh-keygen -p -o -f FILE brings it into the new one)"
        }
        age::ssh::Identity::Unsupported(UnsupportedKey::EncryptedSsh(_)) => {
            "an SSH key encrypted with a cipher that is not supported"
        }
        age::ssh::Identity::Unsupported(UnsupportedKey::Hardware(_)) => "an SSH key on a security key",
        _ => "an SSH key of a type that age cannot use",
    }
}
