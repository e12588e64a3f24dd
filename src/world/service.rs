//! Keys that only SOPS's key service works with: which service is asked, and for which keys.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::{Variables, policy, program};
use crate::keyservice::{Client, ClientError, Started, start};
use crate::sops::{OutsideError, Policy, ServiceKey};

/// The key services that SOPS_KEYSERVICE names, each connected to at the first need; behind them a `sops keyservice` of
/// our own, started once a run.
pub(super) struct Services {
    named: Vec<(String, OnceLock<Result<Client, String>>)>,
    own: Option<OnceLock<Result<Started, OutsideError>>>,
    path: Option<OsString>,
    directory: PathBuf,
    policy: OnceLock<Option<Policy>>,
    policy_before: OnceLock<Option<Policy>>,
}

impl Services {
    /// For a run in `directory`, near which its policy is.
    pub(super) fn new(variables: &Variables, directory: PathBuf) -> Self {
        let named = variables.sops_keyservice.iter().map(|address| (address.clone(), OnceLock::new()));
        Self {
            named: named.collect(),
            own: variables.sops_enable_local_keyservice.then(OnceLock::new),
            path: variables.path.clone(),
            directory,
            policy: OnceLock::new(),
            policy_before: OnceLock::new(),
        }
    }

    /// `data` wrapped with a key of the policy.
    pub(super) fn encrypt(&self, key: &ServiceKey, data: &[u8]) -> Result<String, OutsideError> {
        self.ask(key, |client| client.encrypt(key, data))
    }

    /// What is wrapped with a key that stands in a file. A key that no policy has is not asked for: whoever can write a
    /// file could have it sent anywhere.
    pub(super) fn decrypt(
        &self,
        key: &ServiceKey,
        wrapped: &str,
    ) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        let key = self.trusted(key).ok_or(OutsideError::NotInPolicy)?;
        self.ask(&key, |client| client.decrypt(&key, wrapped))
    }

    /// The key as the policy has it; or as the version before it had it, as a file that still needs a rekey has.
    pub(super) fn trusted(&self, key: &ServiceKey) -> Option<ServiceKey> {
        let like = |policy: &Option<Policy>| policy.as_ref()?.service_key_like(key);
        like(self.policy.get_or_init(|| policy::near(&self.directory)))
            .or_else(|| like(self.policy_before.get_or_init(|| policy::before(&self.directory))))
    }

    /// The first answer; where there is none, what each of them said.
    fn ask<T>(
        &self,
        key: &ServiceKey,
        question: impl Fn(&Client) -> Result<T, ClientError>,
    ) -> Result<T, OutsideError> {
        let mut refusals = Vec::new();
        for (address, client) in &self.named {
            let connect = || Client::connect(address).map_err(|error| error.to_string());
            match client.get_or_init(connect).as_ref().map_err(Clone::clone) {
                Ok(client) => match question(client) {
                    Ok(answer) => return Ok(answer),
                    Err(ClientError::Refused { message }) => refusals.push(format!("{address}: {message}")),
                    Err(error) => refusals.push(error.to_string()),
                },
                Err(error) => refusals.push(error),
            }
        }
        if let Some(own) = &self.own {
            match own.get_or_init(|| self.start()) {
                Ok(started) => match question(&started.client) {
                    Ok(answer) => return Ok(answer),
                    Err(error) => match self.missing_program(key, &error.to_string()) {
                        Some(program) => return Err(OutsideError::NoProgram { program }),
                        None => refusals.push(format!("sops: {error}")),
                    },
                },
                Err(error) if refusals.is_empty() => return Err(error.clone()),
                Err(error) => refusals.push(error.to_string()),
            }
        }
        if refusals.is_empty() {
            refusals
                .push("SOPS_ENABLE_LOCAL_KEYSERVICE is false, and SOPS_KEYSERVICE names no other".to_owned());
        }
        Err(OutsideError::Failed { reason: refusals.join("; ") })
    }

    fn start(&self) -> Result<Started, OutsideError> {
        let no_program = || OutsideError::NoProgram { program: "sops".to_owned() };
        let sops = program::find("sops", self.path.as_deref()).ok_or_else(no_program)?;
        start(&sops).map_err(|error| OutsideError::Failed { reason: error.to_string() })
    }

    /// The program that sops did not find. Where it is gpg that was to encrypt, sops repeats nothing but what gpg printed.
    fn missing_program(&self, key: &ServiceKey, message: &str) -> Option<String> {
        let is_silent = matches!(key, ServiceKey::Pgp { .. }) && message.ends_with("with pgp:");
        let has_no_gpg = || program::find("gpg", self.path.as_deref()).is_none();
        missing_program(message).or_else(|| (is_silent && has_no_gpg()).then(|| "gpg".to_owned()))
    }
}

/// The program that sops did not find, in the words of Go's os/exec.
fn missing_program(message: &str) -> Option<String> {
    let (before, _) = message.split_once("\": executable file not found")?;
    before.rsplit_once('"').map(|(_, program)| program.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_that_sops_misses_is_found_in_its_words() {
        let message = "failed: exec: \"gpg\": executable file not found in $PATH";
        assert_eq!(missing_program(message).as_deref(), Some("gpg"));
        assert_eq!(missing_program("no key"), None);
    }

    #[test]
    fn without_a_policy_no_key_of_a_file_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let services = Services::new(&Variables::default(), folder.path().to_owned());
        let key = ServiceKey::Pgp { fingerprint: "AB".to_owned() };
        let error = services.decrypt(&key, "x").unwrap_err();
        assert!(error.to_string().contains("not in .sops.yaml"), "{error}");
    }
}
