//! An embedded GitLab whose time stands still, and a client of it that does not wait.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use provision::gitlab::client::Client;
use provision::gitlab::credential::Credential;
use provision::gitlab::emulator::{Config, Emulator, Running, Seed, Time};
use provision::gitlab::http::{HttpOptions, HttpTransport};
use provision::gitlab::transport::{Request, Response, SendError, Transport};
use provision::instance::Instance;
use provision::secret::Secret;

/// What the clock of [`start`] says.
pub(crate) const NOW: &str = "2026-11-21T10:00:00Z";

/// An embedded GitLab with the built-in seed, below the relative root `root`.
pub(crate) fn start(root: &str) -> Running {
    start_with(None, root)
}

/// The same with another seed.
pub(crate) fn start_with(seed: Option<Seed>, root: &str) -> Running {
    let time = Time::Frozen(NOW.parse().unwrap());
    Emulator::start(Config { root: root.to_owned(), seed, time, ..Config::default() }).unwrap()
}

/// One more that begins at this moment.
pub(crate) fn start_at(now: Timestamp) -> Running {
    Emulator::start(Config { time: Time::Frozen(now), ..Config::default() }).unwrap()
}

/// Real HTTP; pauses are noted instead of waited for.
pub(crate) struct Impatient {
    http: HttpTransport,
    pub(crate) pauses: RefCell<Vec<Duration>>,
}

impl Impatient {
    pub(crate) fn new(instance: &Instance) -> Rc<Self> {
        let http = HttpTransport::new(instance, &HttpOptions::default()).unwrap();
        Rc::new(Self { http, pauses: RefCell::default() })
    }
}

impl Transport for Impatient {
    fn send(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, SendError>> {
        self.http.send(request)
    }

    fn pause(&self, at_least: Duration) -> LocalBoxFuture<'_, ()> {
        self.pauses.borrow_mut().push(at_least);
        async {}.boxed_local()
    }
}

/// A client of `gitlab` that acts with `token`.
pub(crate) fn client(gitlab: &Running, token: &Secret) -> Client {
    let instance: Instance = gitlab.url().parse().unwrap();
    client_over(Impatient::new(&instance), gitlab, token)
}

/// The same over a transport that the test looks at.
pub(crate) fn client_over(transport: Rc<Impatient>, gitlab: &Running, token: &Secret) -> Client {
    let instance: Instance = gitlab.url().parse().unwrap();
    let credential = Credential::new(instance.origin().clone(), token, "GITLAB_TOKEN").unwrap();
    Client::new(transport, instance, Rc::new(credential))
}

/// How many requests of this method the emulator has seen below a path that ends so.
pub(crate) fn requests(gitlab: &Running, method: &str, path_end: &str) -> usize {
    let state = gitlab.state();
    let is_one = |entry: &&serde_json::Value| {
        entry["method"] == method && entry["path"].as_str().unwrap().ends_with(path_end)
    };
    state["requests"].as_array().unwrap().iter().filter(is_one).count()
}

/// Runs a future on a runtime of its own.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
