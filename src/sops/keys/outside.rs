//! What the engine cannot do by itself, as it starts no program and asks nobody.

use zeroize::Zeroizing;

use crate::secret::Secret;

use super::super::other::ServiceKey;
use super::Recipient;

/// What has to be asked of a person or of another program before a data key is wrapped or opened. The program's shell
/// implements it; the engine calls it as seldom as it can: what is in memory is tried first, a passphrase and a key
/// command are asked for once, and only where something would open with them.
pub trait Outside: Send + Sync {
    /// What a command prints that gives identities. `wanted` is the first recipient of the file that is to be opened,
    /// which sops from 3.12 on tells the command in SOPS_AGE_RECIPIENT.
    ///
    /// # Errors
    /// The command cannot be run, fails, or prints something that is not text.
    fn key_command(&self, command: &str, wanted: Option<&Recipient>) -> Result<Secret, OutsideError>;

    /// The passphrase of a key; `of` says of which one, and where it is.
    ///
    /// # Errors
    /// [`OutsideError::NoTerminal`], or nothing was answered.
    fn passphrase(&self, of: &str) -> Result<Secret, OutsideError>;

    /// `data` as an armored age file, for a recipient of a plugin.
    ///
    /// # Errors
    /// The plugin is not there, or fails.
    fn plugin_wrap(&self, recipient: &str, data: &[u8]) -> Result<String, OutsideError>;

    /// What is in an armored age file, opened by a plugin with one of its identities.
    ///
    /// # Errors
    /// The plugin is not there, or fails, or the file is not for that identity.
    fn plugin_unwrap(&self, identity: &Secret, armored: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError>;

    /// Whether a key of the key service stands in the policy. Whoever serves such keys to others asks here first.
    fn is_in_policy(&self, key: &ServiceKey) -> bool {
        let _ = key;
        false
    }

    /// `data` wrapped with a key that only SOPS's key service can work with. The key is one of the policy.
    ///
    /// # Errors
    /// The key service is not there, or refuses.
    fn service_encrypt(&self, key: &ServiceKey, data: &[u8]) -> Result<String, OutsideError>;

    /// What [`Outside::service_encrypt`] has wrapped. The key is one that stands in a file, which is not authenticated: it
    /// may name any address. Whoever implements this asks nobody for a key that is not in the policy.
    ///
    /// # Errors
    /// The key is not in the policy; the key service is not there, or refuses.
    fn service_decrypt(&self, key: &ServiceKey, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError>;
}

/// Why something outside did not work. Never a part of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// A person would have to answer, and there is none.
    #[error("{what} is needed, and there is no terminal to ask on")]
    NoTerminal {
        /// What had to be asked.
        what: String,
    },
    /// A program is not there.
    #[error("the program {program} is not on the PATH")]
    NoProgram {
        /// Its name.
        program: String,
    },
    /// A file names a key, and no policy does.
    #[error("this key is not in .sops.yaml, so no key service is asked for it")]
    NotInPolicy,
    /// Anything else.
    #[error("{reason}")]
    Failed {
        /// What happened.
        reason: String,
    },
}

impl OutsideError {
    /// The same; what was being tried stands behind it.
    #[must_use]
    pub(super) fn about(self, what: &str) -> Self {
        match self {
            Self::Failed { reason } => Self::Failed { reason: format!("{reason} ({what})") },
            other => other,
        }
    }
}

/// Nothing outside: refuses everything. What needs no program and no answer works with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Alone {
    fn refuse<T>(what: &str) -> Result<T, OutsideError> {
        Err(OutsideError::NoTerminal { what: what.to_owned() })
    }
}

impl Outside for Alone {
    fn key_command(&self, command: &str, _: Option<&Recipient>) -> Result<Secret, OutsideError> {
        Self::refuse(command)
    }

    fn passphrase(&self, of: &str) -> Result<Secret, OutsideError> {
        Self::refuse(&format!("the passphrase of {of}"))
    }

    fn plugin_wrap(&self, recipient: &str, _: &[u8]) -> Result<String, OutsideError> {
        Self::refuse(&format!("the plugin of {recipient}"))
    }

    fn plugin_unwrap(&self, _: &Secret, _: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        Self::refuse("a plugin")
    }

    fn service_encrypt(&self, key: &ServiceKey, _: &[u8]) -> Result<String, OutsideError> {
        Self::refuse(&format!("a key service for {key}"))
    }

    fn service_decrypt(&self, key: &ServiceKey, _: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        Self::refuse(&format!("a key service for {key}"))
    }
}
