//! The outside world. Everything that the program does to it goes through [`Effects`], the only thing that is made
//! differently in tests.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::gitlab::transport::Transport;
use crate::journal::Line;
use crate::repo::{
    CommitError, CommitRequest, Committed, Heads, ObjectId, PushRequest, Pushed, RelPath, RemoteError,
    RepoError, Repository, read,
};
use crate::secret::Secret;
use crate::sops::{Alone, Identities, Names, Outside, Sealed};

pub mod approvals;
pub mod browser;
pub mod glab;
pub mod identities;
mod keys;
pub mod policy;
pub mod program;
mod service;
mod system;
mod variables;

pub use keys::Keys;
pub use system::System;
pub use variables::Variables;

/// What may be written into a work tree. There is no variant for text that could hold a secret in the clear: an
/// unsealed draft cannot be written because it cannot be expressed.
#[derive(Debug)]
pub enum Content<'a> {
    /// An encrypted document.
    Sealed(&'a Sealed),
    /// A lock: public facts.
    Lock(&'a str),
    /// The policy.
    Policy(&'a str),
    /// A file of `init`.
    Scaffold(&'a str),
}

impl Content<'_> {
    /// The bytes that will stand in the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Sealed(sealed) => sealed.bytes(),
            Self::Lock(text) | Self::Policy(text) | Self::Scaffold(text) => text.as_bytes(),
        }
    }
}

/// All that is done to the outside, one method an effect. Each returns only when its effect is durable.
pub trait Effects: Transport {
    /// This machine's clock. Decisions about expiry use GitLab's instead, where it was asked.
    fn now(&self) -> Timestamp;

    /// Whether a signal has asked the run to stop between effects.
    fn asked_to_stop(&self) -> bool;

    /// Random bytes from the operating system, for marks.
    ///
    /// # Errors
    /// When the system has none to give.
    fn random(&self, bytes: &mut [u8]) -> io::Result<()>;

    /// Appends one record to a journal (mode 0600) and syncs it.
    ///
    /// # Errors
    /// When it cannot be made durable; the effect that it announces must not happen then.
    fn append_journal(&self, journal: &Path, line: &Line) -> io::Result<()>;

    /// Replaces a journal by these records; a new one is made where there is none.
    ///
    /// # Errors
    /// When it cannot be made durable.
    fn replace_journal(&self, journal: &Path, lines: &[Line]) -> io::Result<()>;

    /// Removes a journal that is no longer needed.
    ///
    /// # Errors
    /// When that cannot be made durable.
    fn remove_journal(&self, journal: &Path) -> io::Result<()>;

    /// Replaces a file of this user's own state, which is for the user alone (mode 0600).
    ///
    /// # Errors
    /// When it cannot be made durable; the file is then as it was.
    fn remember(&self, file: &Path, text: &str) -> io::Result<()>;

    /// Makes a file of age identities (mode 0600, in a folder of mode 0700). The only secret that is ever written in the
    /// clear: it is what opens all others, as age-keygen writes it.
    ///
    /// # Errors
    /// Also when it exists.
    fn make_key_file(&self, file: &Path, identities: &Secret) -> io::Result<()>;

    /// Replaces a file of the work tree as a whole, keeping mode, owner and symlink.
    ///
    /// # Errors
    /// When it cannot be made durable; the file is then as it was.
    fn write(&self, repo: &Repository, path: &RelPath, content: &Content<'_>) -> Result<(), RepoError>;

    /// Replaces files of the work tree, each as a whole, on all cores. `make` gives the nth file its content, or `None`
    /// where it shall stay as it is; it is called on other threads.
    ///
    /// # Errors
    /// When one cannot be made durable. Each file is then what it was or what it was to be.
    fn write_each(
        &self,
        repo: &Repository,
        paths: &[RelPath],
        make: &(dyn Fn(usize) -> Option<Sealed> + Sync),
    ) -> Result<(), RepoError>;

    /// Brings a file of the work tree back to what HEAD has, which may be that there is none.
    ///
    /// # Errors
    /// When that cannot be made durable.
    fn restore(&self, repo: &Repository, path: &RelPath) -> Result<(), RepoError>;

    /// Removes a file of the work tree; one that is not there is removed.
    ///
    /// # Errors
    /// When that cannot be made durable.
    fn remove(&self, repo: &Repository, path: &RelPath) -> Result<(), RepoError>;

    /// Makes one commit of exactly the given paths; `None` where that would change nothing.
    ///
    /// # Errors
    /// See [`CommitError`].
    fn commit(&self, repo: &Repository, request: &CommitRequest) -> Result<Option<Committed>, CommitError>;

    /// Asks a remote what it has, and fetches what is not here; see [`Repository::look`].
    ///
    /// # Errors
    /// When the remote cannot be asked.
    fn look(&self, repo: &Repository, remote: &str, branches: &[&str]) -> Result<Heads, RemoteError>;

    /// Makes a worktree of ours; see [`Repository::open_linked`].
    ///
    /// # Errors
    /// When git cannot make it.
    fn open_worktree(
        &self,
        repo: &Repository,
        name: &str,
        commit: ObjectId,
        remote: &str,
    ) -> Result<Repository, RepoError>;

    /// Removes a worktree of ours.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn close_worktree(&self, repo: &Repository, name: &str) -> Result<(), RepoError>;

    /// Tries a push without pushing; see [`Repository::rehearse_push`].
    ///
    /// # Errors
    /// See [`RemoteError`].
    fn rehearse_push(&self, repo: &Repository, request: &PushRequest) -> Result<(), RemoteError>;

    /// Pushes one commit to one branch of a remote.
    ///
    /// # Errors
    /// See [`RemoteError`].
    fn push(&self, repo: &Repository, request: &PushRequest) -> Result<Pushed, RemoteError>;

    /// Moves the user's branch on to a commit that follows it; see [`Repository::fast_forward`].
    ///
    /// # Errors
    /// When that would lose something of the user's.
    fn fast_forward(
        &self,
        repo: &Repository,
        before: Option<ObjectId>,
        commit: ObjectId,
    ) -> Result<(), RepoError>;
}

/// The outside as one run sees it.
pub struct World {
    effects: Rc<dyn Effects>,
    /// The environment, read once.
    pub variables: Variables,
    /// Where the run was started, or `-C DIR`.
    pub directory: PathBuf,
    outside: Arc<dyn Outside>,
    identities: RefCell<Option<Rc<Identities>>>,
}

impl World {
    /// A world over these effects, in which nobody can be asked for a passphrase and no plugin of age is started.
    #[must_use]
    pub fn new(effects: Rc<dyn Effects>, variables: Variables, directory: PathBuf) -> Self {
        Self { effects, variables, directory, outside: Arc::new(Alone), identities: RefCell::default() }
    }

    /// The same world with what keys may need: see [`Keys`].
    #[must_use]
    pub fn with_keys(self, outside: impl Outside + 'static) -> Self {
        Self { outside: Arc::new(outside), ..self }
    }

    /// What wraps a data key for readers that need a program.
    #[must_use]
    pub fn outside(&self) -> &Arc<dyn Outside> {
        &self.outside
    }

    /// The effects.
    #[must_use]
    pub fn effects(&self) -> &dyn Effects {
        &*self.effects
    }

    /// The effects as a way to reach GitLab.
    #[must_use]
    pub fn transport(&self) -> Rc<dyn Transport> {
        Rc::clone(&self.effects) as Rc<dyn Transport>
    }

    /// The age identities of whoever runs this; loaded at the first call. Key commands are run, and passphrases asked
    /// for, once a run and only where something has to be opened with them.
    ///
    /// # Errors
    /// Where all there is are sources that cannot be read, or hold something that is no identity.
    pub fn identities(&self) -> Result<Rc<Identities>> {
        if let Some(identities) = &*self.identities.borrow() {
            return Ok(Rc::clone(identities));
        }
        let sources = identities::read(&self.variables);
        let identities = Rc::new(Identities::new(sources, Arc::clone(&self.outside)));
        if let Some((first, others)) = identities.only_broken().split_first() {
            return Err(others.iter().map(ToString::to_string).fold(first.clone().into(), Error::because));
        }
        *self.identities.borrow_mut() = Some(Rc::clone(&identities));
        Ok(identities)
    }

    /// What the policy near this run calls the readers of files: for messages.
    #[must_use]
    pub fn names_near(&self) -> Names {
        policy::near(&self.directory).map(|policy| policy.names().clone()).unwrap_or_default()
    }

    /// Makes a file of identities, and counts them among those of whoever runs this. A file that is there is never
    /// overwritten.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn make_key_file(&self, file: &Path, identities: &Secret) -> Result<()> {
        self.effects.make_key_file(file, identities).map_err(|error| {
            Error::new(Kind::Failed, format!("cannot make {}", file.display())).because(error.to_string())
        })?;
        self.identities.borrow_mut().take();
        Ok(())
    }

    /// The content of a file that the user named on the command line, as a secret.
    ///
    /// # Errors
    /// When it cannot be read or is not text.
    pub fn read_secret_file(&self, path: &Path) -> Result<Secret> {
        let path = self.directory.join(path);
        read::text(&path).map(Secret::new).map_err(|error| {
            Error::new(Kind::Usage, format!("cannot read the token file {}", path.display()))
                .because(error.to_string())
        })
    }

    /// All of standard input, as a secret.
    ///
    /// # Errors
    /// When it cannot be read or is not text.
    pub fn read_secret_stdin(&self) -> Result<Secret> {
        io::read_to_string(io::stdin())
            .map(Secret::new)
            .map_err(|error| Error::new(Kind::Usage, "cannot read standard input").because(error.to_string()))
    }

    /// A new mark: 80 random bits, `pv-` and 20 hexadecimal digits. Public, and unique for all that matters.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn new_mark(&self) -> Result<String> {
        let mut bytes = [0; 10];
        self.effects.random(&mut bytes).map_err(|error| {
            Error::new(Kind::Failed, "the system gives no random bytes").because(error.to_string())
        })?;
        Ok(bytes.iter().fold("pv-".to_owned(), |mark, byte| format!("{mark}{byte:02x}")))
    }
}
