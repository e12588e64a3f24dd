//! The real world.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use super::{Content, Effects, Variables};
use crate::cores;
use crate::error::{Error, Kind, Result};
use crate::gitlab::http::{ExtraRoots, HttpOptions, HttpTransport, pause};
use crate::gitlab::transport::{Request, Response, SendError, Transport};
use crate::instance::{Instance, InstanceError, Origin};
use crate::journal::Line;
use crate::repo::{
    CommitError, CommitRequest, Committed, Heads, ObjectId, PushRequest, Pushed, RelPath, RemoteError,
    RepoError, Repository, read, signals, write,
};
use crate::secret::Secret;
use crate::sops::Sealed;

/// Effects on this machine and over the network.
pub struct System {
    options: HttpOptions,
    connections: RefCell<BTreeMap<Origin, Rc<HttpTransport>>>,
}

impl System {
    /// Reads the certificates that are to be trusted besides the system's: `--ca-file`, and CI_SERVER_TLS_CA_FILE in
    /// GitLab CI. Nothing else is opened before the first request.
    ///
    /// # Errors
    /// When one of these files cannot be read, or holds no certificate.
    pub fn new(ca_file: Option<&Path>, variables: &Variables, directory: &Path) -> Result<Self> {
        let mut options = HttpOptions::default();
        let given = ca_file.map(|path| ("--ca-file", path));
        let ci = variables.ci_server_tls_ca_file.as_deref().map(|path| ("CI_SERVER_TLS_CA_FILE", path));
        for (name, path) in given.into_iter().chain(ci) {
            let source = format!("{name} {}", path.display());
            let pem = read::bytes(&directory.join(path)).map_err(|error| {
                Error::new(Kind::Usage, format!("cannot read {source}")).because(error.to_string())
            })?;
            let roots = ExtraRoots::read(&source, &pem).map_err(|error| {
                error.hint().into_iter().fold(Error::from_source(Kind::Usage, &error), Error::hint)
            })?;
            options.extra_roots.push(roots);
        }
        Ok(Self { options, connections: RefCell::default() })
    }

    /// The connections to the origin of `request`; there is one set of them for each.
    fn connection(&self, request: &Request) -> Result<Rc<HttpTransport>, SendError> {
        let not_sent = |error: &dyn std::fmt::Display| SendError::NotSent(error.to_string());
        let origin = request.credential().origin();
        if let Some(connection) = self.connections.borrow().get(origin) {
            return Ok(Rc::clone(connection));
        }
        let instance: Instance =
            origin.to_string().parse().map_err(|error: InstanceError| not_sent(&error))?;
        let connection =
            Rc::new(HttpTransport::new(&instance, &self.options).map_err(|error| not_sent(&error))?);
        self.connections.borrow_mut().insert(origin.clone(), Rc::clone(&connection));
        Ok(connection)
    }
}

impl Transport for System {
    fn send(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, SendError>> {
        Box::pin(async move { self.connection(&request)?.send(request).await })
    }

    fn pause(&self, at_least: Duration) -> LocalBoxFuture<'_, ()> {
        Box::pin(pause(at_least))
    }
}

impl Effects for System {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn asked_to_stop(&self) -> bool {
        signals::asked_to_stop()
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
    }

    fn append_journal(&self, journal: &Path, line: &Line) -> io::Result<()> {
        write::append_durable(journal, line.to_text().trim_end().as_bytes())
    }

    fn replace_journal(&self, journal: &Path, lines: &[Line]) -> io::Result<()> {
        let text: String = lines.iter().map(Line::to_text).collect();
        write::replace(journal, text.as_bytes(), write::NewFile::Private)
    }

    fn remove_journal(&self, journal: &Path) -> io::Result<()> {
        write::remove_durable(journal)
    }

    fn remember(&self, file: &Path, text: &str) -> io::Result<()> {
        write::replace(file, text.as_bytes(), write::NewFile::Private)
    }

    fn make_key_file(&self, file: &Path, identities: &Secret) -> io::Result<()> {
        write::create_private(file, identities.expose().as_bytes())
    }

    fn write(&self, repo: &Repository, path: &RelPath, content: &Content<'_>) -> Result<(), RepoError> {
        repo.write(path, content.bytes())
    }

    fn write_each(
        &self,
        repo: &Repository,
        paths: &[RelPath],
        make: &(dyn Fn(usize) -> Option<Sealed> + Sync),
    ) -> Result<(), RepoError> {
        let files = paths.iter().map(|path| Ok(repo.resolve(path)?.below(repo.root())));
        let files = files.collect::<Result<Vec<_>, RepoError>>()?;
        let batch = write::Batch::default();
        let done = cores::on_all_waiting(files.len(), |number| match make(number) {
            Some(sealed) => batch.replace(&files[number], sealed.bytes()),
            None => Ok(()),
        });
        let failed = |path: &Path, source| RepoError::Io { doing: "write", path: path.to_owned(), source };
        for (path, done) in files.iter().zip(done) {
            done.map_err(|source| failed(path, source))?;
        }
        batch.flush().map_err(|source| failed(repo.root(), source))
    }

    fn restore(&self, repo: &Repository, path: &RelPath) -> Result<(), RepoError> {
        repo.restore(path)
    }

    fn remove(&self, repo: &Repository, path: &RelPath) -> Result<(), RepoError> {
        repo.remove(path)
    }

    fn commit(&self, repo: &Repository, request: &CommitRequest) -> Result<Option<Committed>, CommitError> {
        repo.commit(request)
    }

    fn look(&self, repo: &Repository, remote: &str, branches: &[&str]) -> Result<Heads, RemoteError> {
        repo.look(remote, branches)
    }

    fn open_worktree(
        &self,
        repo: &Repository,
        name: &str,
        commit: ObjectId,
        remote: &str,
    ) -> Result<Repository, RepoError> {
        repo.open_linked(name, commit, remote)
    }

    fn close_worktree(&self, repo: &Repository, name: &str) -> Result<(), RepoError> {
        repo.close_linked(name)
    }

    fn rehearse_push(&self, repo: &Repository, request: &PushRequest) -> Result<(), RemoteError> {
        repo.rehearse_push(request)
    }

    fn push(&self, repo: &Repository, request: &PushRequest) -> Result<Pushed, RemoteError> {
        repo.push(request)
    }

    fn fast_forward(
        &self,
        repo: &Repository,
        before: Option<ObjectId>,
        commit: ObjectId,
    ) -> Result<(), RepoError> {
        repo.fast_forward(before, commit)
    }
}
