//! The real world.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use super::{Content, Effects};
use crate::gitlab::transport::{Http, Request, Response, SendError, Transport};
use crate::journal::Line;
use crate::repo::{CommitError, CommitRequest, Committed, RelPath, Repository, write};

/// Effects on this machine and over the network.
pub struct System {
    ca_files: Vec<PathBuf>,
    http: OnceCell<Result<Http, SendError>>,
}

impl System {
    /// `ca_files`: certificates to trust besides the system's. Nothing is opened before the first request.
    #[must_use]
    pub fn new(ca_files: Vec<PathBuf>) -> Self {
        Self { ca_files, http: OnceCell::new() }
    }

    fn http(&self) -> Result<&Http, SendError> {
        self.http.get_or_init(|| Http::new(&self.ca_files)).as_ref().map_err(Clone::clone)
    }
}

impl Transport for System {
    fn send(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, SendError>> {
        match self.http() {
            Ok(http) => http.send(request),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn pause(&self, at_least: Duration) -> LocalBoxFuture<'_, ()> {
        match self.http() {
            Ok(http) => http.pause(at_least),
            Err(_) => Box::pin(std::future::ready(())),
        }
    }
}

impl Effects for System {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
    }

    fn append_journal(&self, journal: &Path, line: &Line) -> io::Result<()> {
        write::append_durable(journal, line.to_text().as_bytes())
    }

    fn replace_journal(&self, journal: &Path, lines: &[Line]) -> io::Result<()> {
        let text: String = lines.iter().map(Line::to_text).collect();
        if text.is_empty() { write::remove(journal) } else { write::create_private(journal, text.as_bytes()) }
    }

    fn write(&self, repo: &Repository, path: &RelPath, content: &Content<'_>) -> io::Result<()> {
        write::replace(repo, path, content.bytes())
    }

    fn commit(&self, repo: &Repository, request: &CommitRequest) -> Result<Committed, CommitError> {
        repo.commit(request)
    }
}
