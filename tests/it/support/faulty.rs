//! Effects that go wrong: the real ones, counted and told as a story, with one fault at one of them.

use std::cell::{Cell, RefCell};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::panic::resume_unwind;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use provision::gitlab::transport::{Headers, Request, Response, SendError, Transport};
use provision::journal::Line;
use provision::repo::{
    CommitError, CommitRequest, Committed, Heads, ObjectId, PushRequest, Pushed, RelPath, RemoteError,
    RepoError, Repository,
};
use provision::secret::Secret;
use provision::sops::Sealed;
use provision::world::{Content, Effects, System};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::fault::{Effect, Fault};
use super::story;

/// What unwinds when the process "is gone".
pub(crate) struct Gone;

/// The real effects, until the chosen one. Requests go one after the other, so that the story is always the same.
pub(crate) struct Faulty {
    system: Rc<System>,
    fault: Option<(usize, Fault)>,
    count: Cell<usize>,
    down: Cell<bool>,
    asked: Cell<bool>,
    gone: Cell<bool>,
    line: Mutex<()>,
    story: RefCell<Vec<(Effect, String)>>,
    struck: RefCell<Option<(Effect, String)>>,
    values: RefCell<Vec<String>>,
    late: RefCell<Option<Request>>,
}

impl Faulty {
    pub(crate) fn new(system: &Rc<System>, fault: Option<(usize, Fault)>) -> Rc<Self> {
        Rc::new(Self {
            system: Rc::clone(system),
            fault,
            count: Cell::new(0),
            down: Cell::new(false),
            asked: Cell::new(false),
            gone: Cell::new(false),
            line: Mutex::new(()),
            story: RefCell::default(),
            struck: RefCell::default(),
            values: RefCell::default(),
            late: RefCell::default(),
        })
    }

    /// What was done, in order.
    pub(crate) fn story(&self) -> Vec<(Effect, String)> {
        self.story.borrow().clone()
    }

    /// The effect that went wrong; `None`: the run did not come to it.
    pub(crate) fn struck(&self) -> Option<(Effect, String)> {
        self.struck.borrow().clone()
    }

    /// The values of all tokens that GitLab has handed out here.
    pub(crate) fn values(&self) -> Vec<String> {
        self.values.borrow().clone()
    }

    /// The request that was under way for so long arrives.
    pub(crate) async fn arrive(&self) {
        let request = self.late.borrow_mut().take().unwrap();
        let reply = self.system.send(request).await.unwrap();
        assert_eq!(reply.status, 201);
    }

    /// The same, where GitLab may have a reason to refuse it by now.
    pub(crate) async fn try_arrive(&self) {
        let request = self.late.borrow_mut().take().unwrap();
        self.system.send(request).await.unwrap();
    }

    /// Counts one effect and says what is to go wrong with it.
    fn begin(&self, effect: Effect, what: String) -> Option<Fault> {
        assert!(!self.gone.get(), "a process that is gone did: {what}");
        let number = self.count.get();
        self.count.set(number + 1);
        self.story.borrow_mut().push((effect, what.clone()));
        let fault = self.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        if fault.is_some() {
            self.struck.replace(Some((effect, what)));
        }
        match fault {
            Some(Fault::DieBefore) => self.die(),
            Some(Fault::Asked) => self.asked.set(true),
            _ => {}
        }
        fault
    }

    fn end(&self, fault: Option<Fault>) {
        if fault == Some(Fault::DieAfter) {
            self.die();
        }
    }

    /// Past the panic hook: dying is what is wanted here.
    fn die(&self) -> ! {
        self.gone.set(true);
        resume_unwind(Box::new(Gone))
    }

    fn journalled(
        &self,
        what: String,
        path: &Path,
        bytes: &[u8],
        act: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let fault = self.begin(Effect::Journal, what);
        match fault {
            Some(Fault::Fail) => return Err(full()),
            Some(Fault::FailAfter) => return act().and(Err(full())),
            Some(Fault::Torn | Fault::TornFull) => {
                tear(path, bytes);
                if fault == Some(Fault::Torn) {
                    self.die();
                }
                return Err(full());
            }
            _ => act()?,
        }
        self.end(fault);
        Ok(())
    }

    fn remember(&self, body: &[u8]) {
        if let Ok(body) = serde_json::from_slice::<serde_json::Value>(body)
            && let Some(value) = body["token"].as_str()
        {
            self.values.borrow_mut().push(value.to_owned());
        }
    }

    async fn exchange(&self, request: Request) -> Result<Response, SendError> {
        let _turn = self.line.lock().await;
        let (effect, what) = story::request(&request);
        let fault = self.begin(effect, what);
        let refused = || Err(SendError::NotSent("connection refused".to_owned()));
        match fault {
            Some(Fault::Down) => self.down.set(true),
            Some(Fault::Fail) => return refused(),
            Some(Fault::Crash) => return Ok(crashed()),
            Some(Fault::Late) => {
                *self.late.borrow_mut() = Some(request);
                return Err(SendError::Unknown("connection reset by peer".to_owned()));
            }
            _ => {}
        }
        if self.down.get() {
            return refused();
        }
        let reply = self.system.send(request).await?;
        self.remember(&reply.body);
        self.end(fault);
        if fault == Some(Fault::FailAfter) {
            return Err(SendError::Unknown("connection reset by peer".to_owned()));
        }
        Ok(reply)
    }
}

fn crashed() -> Response {
    let headers = Headers { content_type: Some("application/json".to_owned()), ..Headers::default() };
    Response {
        status: 500,
        headers,
        body: Zeroizing::new(br#"{"message":"500 Internal Server Error"}"#.to_vec()),
    }
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

/// The first half of `bytes` gets to the end of the file.
fn tear(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(&bytes[..bytes.len() / 2]).unwrap();
}

impl Transport for Faulty {
    fn send(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, SendError>> {
        self.exchange(request).boxed_local()
    }

    fn pause(&self, _at_least: Duration) -> LocalBoxFuture<'_, ()> {
        async {}.boxed_local()
    }
}

impl Effects for Faulty {
    fn now(&self) -> Timestamp {
        self.system.now()
    }

    fn asked_to_stop(&self) -> bool {
        self.asked.get()
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.system.random(bytes)
    }

    fn append_journal(&self, journal: &Path, line: &Line) -> io::Result<()> {
        let bytes = line.to_text();
        let act = || self.system.append_journal(journal, line);
        self.journalled(format!("journal: {}", story::line(line)), journal, bytes.as_bytes(), act)
    }

    /// A replacement is whole or not at all: what tears is the temporary file beside it.
    fn replace_journal(&self, journal: &Path, lines: &[Line]) -> io::Result<()> {
        let names: Vec<String> = lines.iter().map(story::line).collect();
        let act = || self.system.replace_journal(journal, lines);
        let what =
            format!("journal begins: {}", if names.is_empty() { "empty".into() } else { names.join(", ") });
        self.journalled(what, &litter(journal), b"{\"record\":\"in", act)
    }

    fn remove_journal(&self, journal: &Path) -> io::Result<()> {
        let fault = self.begin(Effect::JournalEnd, "journal ends".to_owned());
        if fault == Some(Fault::Fail) {
            return Err(full());
        }
        self.system.remove_journal(journal)?;
        self.end(fault);
        if fault == Some(Fault::FailAfter) { Err(full()) } else { Ok(()) }
    }

    fn remember(&self, file: &Path, text: &str) -> io::Result<()> {
        self.system.remember(file, text)
    }

    fn make_key_file(&self, file: &Path, identities: &Secret) -> io::Result<()> {
        self.system.make_key_file(file, identities)
    }

    fn write(&self, repo: &Repository, path: &RelPath, content: &Content<'_>) -> Result<(), RepoError> {
        let failed = || RepoError::Io { doing: "write", path: path.below(repo.root()), source: full() };
        let fault = self.begin(Effect::Write, format!("write {path}"));
        match fault {
            Some(Fault::Fail) => return Err(failed()),
            Some(Fault::Torn) => {
                tear(&litter(&path.below(repo.root())), content.bytes());
                self.die();
            }
            _ => self.system.write(repo, path, content)?,
        }
        self.end(fault);
        if fault == Some(Fault::FailAfter) { Err(failed()) } else { Ok(()) }
    }

    fn write_each(
        &self,
        repo: &Repository,
        paths: &[RelPath],
        make: &(dyn Fn(usize) -> Option<Sealed> + Sync),
    ) -> Result<(), RepoError> {
        let failed = || RepoError::Io { doing: "write", path: repo.root().to_owned(), source: full() };
        let fault = self.begin(Effect::Write, format!("write {} files", paths.len()));
        match fault {
            Some(Fault::Fail) => return Err(failed()),
            Some(Fault::Torn) => {
                // Half of the files are replaced; one more is on its way.
                let half = paths.len().div_ceil(2);
                self.system.write_each(repo, paths, &|number| make(number).filter(|_| number < half))?;
                if let Some(next) = paths.get(half) {
                    tear(&litter(&next.below(repo.root())), b"half of a file");
                }
                self.die();
            }
            _ => self.system.write_each(repo, paths, make)?,
        }
        self.end(fault);
        if fault == Some(Fault::FailAfter) { Err(failed()) } else { Ok(()) }
    }

    fn restore(&self, repo: &Repository, path: &RelPath) -> Result<(), RepoError> {
        let failed = || RepoError::Io { doing: "write", path: path.below(repo.root()), source: full() };
        let fault = self.begin(Effect::Write, format!("restore {path}"));
        match fault {
            Some(Fault::Fail) => return Err(failed()),
            Some(Fault::Torn) => {
                tear(&litter(&path.below(repo.root())), b"half of a file");
                self.die();
            }
            _ => self.system.restore(repo, path)?,
        }
        self.end(fault);
        if fault == Some(Fault::FailAfter) { Err(failed()) } else { Ok(()) }
    }

    fn remove(&self, repo: &Repository, path: &RelPath) -> Result<(), RepoError> {
        let failed = || RepoError::Io { doing: "remove", path: path.below(repo.root()), source: full() };
        let fault = self.begin(Effect::Remove, format!("remove {path}"));
        if fault == Some(Fault::Fail) {
            return Err(failed());
        }
        self.system.remove(repo, path)?;
        self.end(fault);
        if fault == Some(Fault::FailAfter) { Err(failed()) } else { Ok(()) }
    }

    fn commit(&self, repo: &Repository, request: &CommitRequest) -> Result<Option<Committed>, CommitError> {
        let failed = || RepoError::Git { doing: "write the commit".into(), why: full().to_string() }.into();
        let paths: Vec<&str> = request.files.iter().map(|file| file.path.as_str()).collect();
        let fault = self.begin(Effect::Commit, format!("commit {}", paths.join(" ")));
        if fault == Some(Fault::Fail) {
            return Err(failed());
        }
        let committed = self.system.commit(repo, request)?;
        self.end(fault);
        if fault == Some(Fault::FailAfter) { Err(failed()) } else { Ok(committed) }
    }

    fn look(&self, repo: &Repository, remote: &str, branches: &[&str]) -> Result<Heads, RemoteError> {
        let fault = self.begin(Effect::Prepare, format!("look at {remote}"));
        if fault == Some(Fault::Fail) {
            return Err(no_remote(remote));
        }
        let heads = self.system.look(repo, remote, branches)?;
        self.end(fault);
        Ok(heads)
    }

    fn open_worktree(
        &self,
        repo: &Repository,
        name: &str,
        commit: ObjectId,
        remote: &str,
    ) -> Result<Repository, RepoError> {
        let fault = self.begin(Effect::Prepare, format!("open the worktree {name}"));
        if fault == Some(Fault::Fail) {
            return Err(no_git());
        }
        let linked = self.system.open_worktree(repo, name, commit, remote)?;
        self.end(fault);
        Ok(linked)
    }

    fn close_worktree(&self, repo: &Repository, name: &str) -> Result<(), RepoError> {
        let fault = self.begin(Effect::Prepare, format!("close the worktree {name}"));
        if fault == Some(Fault::Fail) {
            return Err(no_git());
        }
        self.system.close_worktree(repo, name)?;
        self.end(fault);
        Ok(())
    }

    fn rehearse_push(&self, repo: &Repository, request: &PushRequest) -> Result<(), RemoteError> {
        let PushRequest { remote, branch, .. } = request;
        let fault = self.begin(Effect::Prepare, format!("rehearse the push of {branch} to {remote}"));
        if fault == Some(Fault::Fail) {
            return Err(no_remote(remote));
        }
        self.system.rehearse_push(repo, request)?;
        self.end(fault);
        Ok(())
    }

    fn push(&self, repo: &Repository, request: &PushRequest) -> Result<Pushed, RemoteError> {
        let PushRequest { remote, branch, .. } = request;
        let lost = || RemoteError::Unknown { remote: remote.clone(), status: "exit status 128".to_owned() };
        let fault = self.begin(Effect::Push, format!("push {branch} to {remote}"));
        if fault == Some(Fault::Fail) {
            return Err(lost());
        }
        let pushed = self.system.push(repo, request)?;
        self.end(fault);
        if fault == Some(Fault::FailAfter) { Err(lost()) } else { Ok(pushed) }
    }

    fn fast_forward(
        &self,
        repo: &Repository,
        before: Option<ObjectId>,
        commit: ObjectId,
    ) -> Result<(), RepoError> {
        let fault = self.begin(Effect::FastForward, "move the branch on".to_owned());
        if fault == Some(Fault::Fail) {
            return Err(no_git());
        }
        self.system.fast_forward(repo, before, commit)?;
        self.end(fault);
        if fault == Some(Fault::FailAfter) { Err(no_git()) } else { Ok(()) }
    }
}

fn no_remote(remote: &str) -> RemoteError {
    let status = "exit status 128".to_owned();
    RemoteError::Unreachable { command: "ls-remote", remote: remote.to_owned(), status }
}

fn no_git() -> RepoError {
    RepoError::Git { doing: "run git".to_owned(), why: "exit status 128".to_owned() }
}

/// Where a write leaves its temporary file when the process is killed.
fn litter(path: &Path) -> std::path::PathBuf {
    path.with_file_name(format!(".provision-{}.tmp", path.file_name().unwrap().to_str().unwrap()))
}
