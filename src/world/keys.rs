//! What keys need of the machine and of the person: key commands, passphrases, plugins of age, key services.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::plugin::{IdentityPluginV1, RecipientPluginV1, ResolveError};
use age::secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::Variables;
use super::service::Services;
use crate::secret::Secret;
use crate::sops::{Outside, OutsideError, Recipient, ServiceKey};
use crate::ui::{Ui, prompt};

/// The programs of this machine, and the person at the terminal.
pub struct Keys {
    ui: Ui,
    /// What plugins were answered, once that has opened something: a second file needs no second answer. An answer that
    /// did not work is not given again, as a hardware key counts wrong ones.
    answers: Arc<Mutex<Answers>>,
    /// Held while a plugin runs: two would ask on one terminal, and for the same PIN. In it, identities for which a wrong
    /// answer was given, with what their plugin said: nobody is asked again for the next file.
    plugins: Mutex<Vec<(Secret, OutsideError)>>,
    services: Services,
}

type Answers = BTreeMap<String, SecretString>;

impl Keys {
    /// Asks on the terminal of `ui`, where it has one; `directory` is where the run is, and near it its policy.
    #[must_use]
    pub fn new(ui: Ui, variables: &Variables, directory: PathBuf) -> Self {
        let services = Services::new(variables, directory);
        Self { ui, answers: Arc::default(), plugins: Mutex::default(), services }
    }

    fn person(&self) -> Person {
        Person { ui: self.ui, answers: Arc::clone(&self.answers), given: Arc::default() }
    }
}

fn failed(reason: impl std::fmt::Display) -> OutsideError {
    OutsideError::Failed { reason: format!("{reason}") }
}

fn no_plugin(error: ResolveError) -> OutsideError {
    match error {
        ResolveError::MissingPlugin { binary_name } => OutsideError::NoProgram { program: binary_name },
        other => failed(other),
    }
}

impl Outside for Keys {
    /// Runs the command without a shell; its standard error and input stay the user's, so that it can ask.
    #[expect(clippy::disallowed_methods, reason = "key commands are started here and nowhere else")]
    fn key_command(&self, command: &str, wanted: Option<&Recipient>) -> Result<Secret, OutsideError> {
        let words = shlex::split(command).ok_or_else(|| failed("its quotes are not closed"))?;
        let (program, arguments) = words.split_first().ok_or_else(|| failed("it names no program"))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::inherit()).stderr(Stdio::inherit());
        if let Some(wanted) = wanted {
            command.env("SOPS_AGE_RECIPIENT", wanted.to_string());
        }
        let output = command.output().map_err(|error| failed(format!("cannot start {program}: {error}")))?;
        let printed = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(failed(format!("{program} ended with {}", output.status)));
        }
        match str::from_utf8(&printed) {
            Ok(text) => Ok(Secret::new(text.to_owned())),
            Err(_) => Err(failed(format!("{program} printed something that is not text"))),
        }
    }

    fn passphrase(&self, of: &str) -> Result<Secret, OutsideError> {
        prompt::secret(self.ui, &format!("Passphrase of {of}")).map_err(|error| match error {
            prompt::SecretError::NoTerminal => {
                OutsideError::NoTerminal { what: format!("the passphrase of {of}") }
            }
            prompt::SecretError::NotGiven => failed(format!("no passphrase was given for {of}")),
        })
    }

    fn plugin_wrap(&self, recipient: &str, data: &[u8]) -> Result<String, OutsideError> {
        let recipient: age::plugin::Recipient = recipient.parse().map_err(failed)?;
        let name = recipient.plugin().to_owned();
        let _turn = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let plugin = RecipientPluginV1::new(&name, &[recipient], &[], self.person()).map_err(no_plugin)?;
        wrap(&plugin, data).map_err(|error| match error {
            age::EncryptError::Io(error) => plugin_broke_off(&name, &error),
            error => plugin_failed(&name, &error),
        })
    }

    fn plugin_unwrap(&self, identity: &Secret, armored: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        let mut refused = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = refused.iter().find(|(known, _)| known.expose() == identity.expose()) {
            return Err(error.clone());
        }
        let person = self.person();
        let opened = unwrap(identity, armored, &person);
        match &opened {
            Ok(_) => person.remember(),
            Err(error) if person.has_answered() => {
                refused.push((Secret::new(identity.expose().to_owned()), error.clone()));
            }
            Err(_) => {}
        }
        opened
    }

    fn is_in_policy(&self, key: &ServiceKey) -> bool {
        self.services.trusted(key).is_some()
    }

    fn service_encrypt(&self, key: &ServiceKey, data: &[u8]) -> Result<String, OutsideError> {
        self.services.encrypt(key, data)
    }

    fn service_decrypt(&self, key: &ServiceKey, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        self.services.decrypt(key, wrapped)
    }
}

/// As `age::encrypt_and_armor`, which panics where a plugin ends before it answers.
fn wrap(plugin: &dyn age::Recipient, data: &[u8]) -> Result<String, age::EncryptError> {
    let encryptor = age::Encryptor::with_recipients(std::iter::once(plugin))?;
    let armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armored)?;
    writer.write_all(data)?;
    let text = writer.finish()?.finish()?;
    String::from_utf8(text).map_err(|error| io::Error::other(error).into())
}

fn unwrap(identity: &Secret, armored: &str, person: &Person) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
    let identity: age::plugin::Identity = identity.expose().parse().map_err(failed)?;
    let name = identity.plugin().to_owned();
    let plugin = IdentityPluginV1::new(&name, &[identity], person.clone()).map_err(no_plugin)?;
    let refused = |error: age::DecryptError| match error {
        age::DecryptError::Io(error) => plugin_broke_off(&name, &error),
        error => plugin_failed(&name, &error),
    };
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes())).map_err(refused)?;
    let reader = decryptor.decrypt(std::iter::once(&plugin as &dyn age::Identity)).map_err(refused)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    reader.take(34).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn plugin_failed(name: &str, error: &dyn std::fmt::Display) -> OutsideError {
    failed(format!("age-plugin-{name}: {}", one_line(&error.to_string())))
}

/// A plugin that has ended is seen at what is written to it, or at what it does not answer.
fn plugin_broke_off(name: &str, error: &io::Error) -> OutsideError {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, UnexpectedEof};
    match error.kind() {
        BrokenPipe | ConnectionAborted | UnexpectedEof => {
            failed(format!("age-plugin-{name} ended before it had answered"))
        }
        _ => plugin_failed(name, error),
    }
}

/// The messages of plugins may have several lines; age puts what they say between marks of text direction.
fn one_line(text: &str) -> String {
    let is_mark = |symbol: char| ('\u{2066}'..='\u{2069}').contains(&symbol);
    let text: String = text.chars().filter(|symbol| !is_mark(*symbol)).collect();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Who answers the questions of one call of a plugin.
#[derive(Clone)]
struct Person {
    ui: Ui,
    answers: Arc<Mutex<Answers>>,
    given: Arc<Mutex<Answers>>,
}

impl Person {
    /// Whether the plugin was told something secret.
    fn has_answered(&self) -> bool {
        !self.given.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What was given has worked.
    fn remember(&self) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).append(&mut given);
    }
}

impl age::Callbacks for Person {
    fn display_message(&self, message: &str) {
        self.ui.note(true, message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        prompt::choose(self.ui, message, yes, no.unwrap_or("no"))
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        prompt::text(self.ui, description, None, "").ok()
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let known = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.get(description) {
            return Some(answer.clone());
        }
        drop(known);
        let answer = SecretString::from(prompt::secret(self.ui, description).ok()?.expose().to_owned());
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(description.to_owned(), SecretString::from(answer.expose_secret().to_owned()));
        Some(answer)
    }
}
