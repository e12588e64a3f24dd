//! Identities: with what files are opened. Everything is loaded once, and asked for as late as possible.

use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use age::armor::ArmoredReader;
use age::secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::secret::Secret;

use super::identity::{Contents, Plugin, Ready, SealedText, SshText};
use super::outside::{Alone, Outside, OutsideError};
use super::{IdentityError, Recipient, Skipped, UnwrapError};

/// Where identities come from.
#[derive(Debug)]
pub enum IdentitySource {
    /// A text that was read.
    Text {
        /// Its name in messages: a variable, a path.
        name: String,
        /// Lines as in a keys.txt, an SSH private key, or an age file with a passphrase.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// What is there and cannot be read.
    Broken(IdentityError),
    /// A command that prints such a text. It is run when nothing read so far opens a file, and once.
    Command {
        /// The name of its variable.
        name: String,
        /// Its command line.
        command: String,
    },
}

/// Secret keys, and what is to be asked for some of them. One set serves a whole run: each source is read once, each
/// passphrase asked for once, each command run once, however many files and recipients there are.
pub struct Identities {
    outside: Arc<dyn Outside>,
    known: Contents,
    commands: Vec<Command>,
    sources: Vec<String>,
    broken: Vec<IdentityError>,
}

struct Command {
    name: String,
    line: String,
    printed: OnceLock<Result<Contents, OutsideError>>,
}

impl Command {
    fn contents(&self, outside: &dyn Outside, wanted: Option<&Recipient>) -> Result<&Contents, OutsideError> {
        let printed = self.printed.get_or_init(|| {
            let failed = |reason: String| OutsideError::Failed { reason };
            let text = outside
                .key_command(&self.line, wanted)
                .map_err(|error| failed(format!("{}: {error}", self.name)))?;
            Contents::parse(&self.name, text.expose().as_bytes()).map_err(|error| failed(error.to_string()))
        });
        printed.as_ref().map_err(Clone::clone)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.recipients()).finish()
    }
}

/// A new X25519 identity, as the line of a `keys.txt`, and its public key.
#[must_use]
pub fn generate_identity() -> (Secret, Recipient) {
    let identity = age::x25519::Identity::generate();
    let recipient = Recipient::native(identity.to_public());
    (Secret::new(identity.to_string().expose_secret().to_owned()), recipient)
}

/// A file of identities that only a passphrase opens, as `age -p -a` makes it.
///
/// # Errors
/// Where there is no random data to be had.
pub fn with_passphrase(identities: &Secret, passphrase: &Secret) -> Result<Secret, age::EncryptError> {
    let recipient = age::scrypt::Recipient::new(passphrase.expose().to_owned().into());
    age::encrypt_and_armor(&recipient, identities.expose().as_bytes()).map(Secret::new)
}

/// One entry of a file: for whom, and the armored age file.
pub(in super::super) type Entry<'e> = (&'e Recipient, &'e str);

impl Identities {
    /// Reads texts in the form of age's keys.txt, each with the name that errors give it; whatever needs a passphrase
    /// or a plugin is refused when it would be needed.
    ///
    /// # Errors
    /// A text with a line that is no identity.
    pub fn parse<S: Into<String>>(
        texts: impl IntoIterator<Item = (S, Secret)>,
    ) -> Result<Self, IdentityError> {
        let source = |(name, text): (S, Secret)| IdentitySource::Text {
            name: name.into(),
            bytes: Zeroizing::new(text.expose().as_bytes().to_vec()),
        };
        let identities = Self::new(texts.into_iter().map(source), Arc::new(Alone));
        match identities.broken.first() {
            None => Ok(identities),
            Some(error) => Err(error.clone()),
        }
    }

    /// Reads every source but the commands. One that is no good does not void the others, as with stock sops
    /// (age/keysource.go, `loadIdentities`). `outside` is asked for what cannot be known from them, as late as possible.
    pub fn new(sources: impl IntoIterator<Item = IdentitySource>, outside: Arc<dyn Outside>) -> Self {
        let (known, commands, names) = (Contents::default(), Vec::new(), Vec::new());
        let mut identities = Self { outside, known, commands, sources: names, broken: Vec::new() };
        for source in sources {
            let name = match source {
                IdentitySource::Text { name, bytes } => match Contents::parse(&name, &bytes) {
                    Ok(contents) => {
                        identities.add(contents);
                        name
                    }
                    Err(error) => {
                        identities.broken.push(error);
                        continue;
                    }
                },
                IdentitySource::Broken(error) => {
                    identities.broken.push(error);
                    continue;
                }
                IdentitySource::Command { name, command: line } => {
                    let printed = OnceLock::new();
                    identities.commands.push(Command { name: name.clone(), line, printed });
                    name
                }
            };
            identities.sources.push(name);
        }
        identities
    }

    fn add(&mut self, contents: Contents) {
        for (key, recipient) in contents.ready {
            if !self.known.ready.iter().any(|(_, known)| *known == recipient) {
                self.known.ready.push((key, recipient));
            }
        }
        self.known.plugins.extend(contents.plugins);
        self.known.locked.extend(contents.locked);
        self.known.ssh.extend(contents.ssh);
        self.known.sealed.extend(contents.sealed);
        self.known.skipped.extend(contents.skipped);
    }

    /// Public keys of all identities that are known without asking, age's before those of SSH, each once.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &Recipient> {
        let mut all: Vec<&Recipient> = Vec::new();
        let ssh = self.known.ssh.iter().map(SshText::contents);
        for contents in std::iter::once(&self.known).chain(ssh) {
            for recipient in contents.publics() {
                if !all.contains(&recipient) {
                    all.push(recipient);
                }
            }
        }
        all.into_iter()
    }

    /// Whether something here may open what is for this recipient, as far as that can be told without asking: what a
    /// command will print, or a passphrase hides, may.
    #[must_use]
    pub fn may_open(&self, recipient: &Recipient) -> bool {
        let printed = |command: &Command| match command.printed.get() {
            Some(Ok(contents)) => contents.may_open(recipient),
            _ => true,
        };
        self.known.may_open(recipient) || self.commands.iter().any(printed)
    }

    /// The person's own recipients, for `recipients: self`: those of the age identities; of SSH keys only where there is
    /// nothing else, as every machine has others of these. What is known from commands and behind passphrases counts,
    /// so that one may be asked for.
    ///
    /// # Errors
    /// A command or a passphrase that is needed and does not work; a source that is no good, as the key that the person
    /// goes by may be in it.
    pub fn own_recipients(&self) -> Result<Vec<Recipient>, OutsideError> {
        if let Some(error) = self.broken.first() {
            let reason = format!("cannot tell which keys are your own: {error}");
            return Err(OutsideError::Failed { reason });
        }
        if self.recipients().all(Recipient::is_ssh) {
            let mut found = Vec::new();
            for command in &self.commands {
                found.extend(command.contents(&*self.outside, None)?.publics().cloned());
            }
            for sealed in &self.known.sealed {
                found.extend(sealed.open(&*self.outside)?.publics().cloned());
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let mut own: Vec<Recipient> = self.recipients().cloned().collect();
        if own.iter().any(|recipient| !recipient.is_ssh()) {
            own.retain(|recipient| !recipient.is_ssh());
        }
        Ok(own)
    }

    /// Names of the sources, in the order in which they were given; SSH keys among them only where `with_ssh`.
    pub fn sources(&self, with_ssh: bool) -> impl Iterator<Item = &str> {
        let is_ssh = |name: &str| self.known.ssh.iter().any(|key| key.source == name);
        self.sources.iter().map(String::as_str).filter(move |name| with_ssh || !is_ssh(name))
    }

    /// Where nothing was read and no command is there: the sources that are no good.
    #[must_use]
    pub fn only_broken(&self) -> &[IdentityError] {
        if self.sources.is_empty() { &self.broken } else { &[] }
    }

    /// What was seen and cannot be used, a sentence each; SSH keys among it only where `with_ssh`.
    pub fn unusable(&self, with_ssh: bool) -> impl Iterator<Item = String> {
        let broken = self.broken.iter().map(ToString::to_string);
        broken.chain(self.skipped(with_ssh).map(ToString::to_string))
    }

    /// Identities of a kind that cannot be used.
    pub(super) fn skipped(&self, with_ssh: bool) -> impl Iterator<Item = &Skipped> {
        let ssh = self.known.ssh.iter().filter(move |_| with_ssh);
        self.known.skipped.iter().chain(ssh.flat_map(|key| &key.contents().skipped))
    }

    /// What does programs and questions for these identities.
    pub(in super::super) fn outside(&self) -> &Arc<dyn Outside> {
        &self.outside
    }

    /// Opens one of the entries of a file. What is in memory comes first; then what commands print, plugins, SSH keys
    /// with a passphrase, identity files with one: of these only what is for one of the entries, as far as that can be
    /// seen. `None` when nothing here is for any of them.
    pub(in super::super) fn unwrap(&self, entries: &[Entry<'_>]) -> Option<Result<Bytes, Failure>> {
        if entries.is_empty() {
            return None;
        }
        let mut attempt = self.attempt(entries);
        if let Some(bytes) = self.by_memory(&mut attempt) {
            return Some(Ok(bytes));
        }
        for command in &self.commands {
            let wanted = entries.first().map(|(recipient, _)| *recipient);
            match command.contents(&*self.outside, wanted) {
                Ok(contents) => {
                    if let Some(bytes) = attempt.in_memory(contents).or_else(|| attempt.by_asking(contents)) {
                        return Some(Ok(bytes));
                    }
                }
                Err(error) => attempt.fail(Failure::Outside { of: None, error }),
            }
        }
        if let Some(bytes) = attempt.by_asking(&self.known) {
            return Some(Ok(bytes));
        }
        attempt.failure.map(Err)
    }

    /// The same with what is in memory only; neither programs nor people are asked.
    pub(in super::super) fn at_hand(&self, entries: &[Entry<'_>]) -> Option<Bytes> {
        self.by_memory(&mut self.attempt(entries))
    }

    fn attempt<'a>(&'a self, entries: &'a [Entry<'a>]) -> Attempt<'a> {
        Attempt { outside: &*self.outside, entries, failure: None }
    }

    fn by_memory(&self, attempt: &mut Attempt<'_>) -> Option<Bytes> {
        let printed = self.commands.iter().filter_map(|command| command.printed.get()?.as_ref().ok());
        std::iter::once(&self.known).chain(printed).find_map(|contents| attempt.in_memory(contents))
    }
}

/// The data key, or a share of it.
pub(in super::super) type Bytes = Zeroizing<Vec<u8>>;

/// Why something that is for us did not open.
pub(in super::super) enum Failure {
    /// The entry of this recipient is not what it says.
    Damaged { recipient: Recipient, reason: UnwrapError },
    /// A program or an answer was needed.
    Outside { of: Option<Recipient>, error: OutsideError },
}

struct Attempt<'a> {
    outside: &'a dyn Outside,
    entries: &'a [Entry<'a>],
    /// The first thing that went wrong.
    failure: Option<Failure>,
}

impl Attempt<'_> {
    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// With keys that need nothing more, those among them that were asked for before.
    fn in_memory(&mut self, contents: &Contents) -> Option<Bytes> {
        let ready = contents.ready.iter().map(|(key, own)| (key, own));
        let unlocked = contents.locked.iter().filter_map(|key| Some((key.unlocked()?, &key.recipient)));
        let keys: Vec<(&Ready, &Recipient)> = ready.chain(unlocked).collect();
        for (recipient, armored) in self.entries {
            let own = keys.iter().find(|(_, own)| own == recipient);
            if let Some(bytes) = own.and_then(|(key, _)| self.with(key, recipient, armored)) {
                return Some(bytes);
            }
        }
        for key in self.ssh_of(contents) {
            if let Some(bytes) = self.in_memory(key.contents()) {
                return Some(bytes);
            }
        }
        contents.sealed.iter().filter_map(SealedText::opened).find_map(|inner| self.in_memory(inner))
    }

    /// SSH keys, where one of the entries is for an SSH key.
    fn ssh_of<'c>(&self, contents: &'c Contents) -> &'c [SshText] {
        if self.entries.iter().any(|(recipient, _)| recipient.is_ssh()) { &contents.ssh } else { &[] }
    }

    fn with(&mut self, key: &Ready, recipient: &Recipient, armored: &str) -> Option<Bytes> {
        match unwrap(key.as_age(), armored) {
            Ok(bytes) => Some(bytes),
            Err(reason) => {
                self.fail(Failure::Damaged { recipient: recipient.clone(), reason });
                None
            }
        }
    }

    /// With plugins and passphrases, where something is for them.
    fn by_asking(&mut self, contents: &Contents) -> Option<Bytes> {
        for plugin in &contents.plugins {
            if let Some(bytes) = self.with_plugin(plugin) {
                return Some(bytes);
            }
        }
        for locked in &contents.locked {
            for (recipient, armored) in self.entries.iter().filter(|(one, _)| **one == locked.recipient) {
                match locked.unlock(self.outside) {
                    Ok(key) => {
                        if let Some(bytes) = self.with(key, recipient, armored) {
                            return Some(bytes);
                        }
                    }
                    Err(error) => {
                        self.fail(Failure::Outside { of: Some(Recipient::clone(recipient)), error });
                    }
                }
            }
        }
        for key in self.ssh_of(contents) {
            if let Some(bytes) = self.by_asking(key.contents()) {
                return Some(bytes);
            }
        }
        for sealed in contents.sealed.iter().filter(|_| !self.entries.is_empty()) {
            match sealed.open(self.outside) {
                Ok(inner) => {
                    if let Some(bytes) = self.in_memory(inner).or_else(|| self.by_asking(inner)) {
                        return Some(bytes);
                    }
                }
                Err(error) => self.fail(Failure::Outside { of: None, error }),
            }
        }
        None
    }

    fn with_plugin(&mut self, plugin: &Plugin) -> Option<Bytes> {
        for (recipient, armored) in self.entries.iter().filter(|(one, _)| plugin.may_open(one)) {
            match self.outside.plugin_unwrap(&plugin.identity, armored) {
                Ok(bytes) => return Some(bytes),
                Err(error) => {
                    let error = error.about(&format!("the identity in {}", plugin.source));
                    self.fail(Failure::Outside { of: Some(Recipient::clone(recipient)), error });
                }
            }
        }
        None
    }
}

fn unwrap(identity: &dyn age::Identity, armored: &str) -> Result<Bytes, UnwrapError> {
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes()))
        .map_err(|_| UnwrapError::DoesNotOpen)?;
    let reader = decryptor.decrypt(std::iter::once(identity)).map_err(|_| UnwrapError::DoesNotOpen)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    // A key has 32 bytes and a share 33: one more is enough to see that it is neither.
    reader.take(34).read_to_end(&mut bytes).map_err(|_| UnwrapError::DoesNotOpen)?;
    Ok(bytes)
}
