//! Starting the embedded GitLab, holding it while it serves, and stopping it. It runs on a thread of its own, so that
//! synchronous programs can use it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::oneshot;

use super::clock::Clock;
use super::control;
use super::faults::{Faults, Rule};
use super::mint::Random;
use super::seed::{ADMIN, OPERATOR, Seed, SeedError};
use super::server::{Shared, draw, serve};
use super::service::Service;
use super::throttle::Throttle;
use crate::secret::Secret;

/// How to start an embedded GitLab. [`Config::default`] takes a free port of 127.0.0.1, the built-in seed and the
/// machine's time.
#[derive(Debug)]
pub struct Config {
    /// Loopback only; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Relative root such as `/gitlab`; empty for none.
    pub root: String,
    /// `None`: [`Seed::built_in`].
    pub seed: Option<Seed>,
    /// The time.
    pub time: Time,
    /// Added to every reply.
    pub latency: Duration,
    /// Rules in force from the start.
    pub faults: Vec<Rule>,
}

/// The emulator's time at the start.
#[derive(Clone, Copy, Debug, Default)]
pub enum Time {
    /// The machine's.
    #[default]
    Machine,
    /// Runs on from here.
    From(Timestamp),
    /// Stands here until moved: what tests want.
    Frozen(Timestamp),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            root: String::new(),
            seed: None,
            time: Time::Machine,
            latency: Duration::ZERO,
            faults: Vec::new(),
        }
    }
}

/// Why the emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It gives tokens away to everybody who asks, so nobody else may reach it.
    #[error("the embedded GitLab listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The seed.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The socket, the thread or the random numbers.
    #[error("cannot listen on {address}")]
    Listen {
        /// As asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

/// The embedded GitLab.
#[derive(Debug)]
pub struct Emulator;

/// An emulator that serves until this is dropped.
#[derive(Debug)]
pub struct Running {
    url: String,
    tokens: BTreeMap<String, Secret>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Binds the address and serves on a thread of its own. When this returns, requests are answered.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: Config) -> Result<Running, StartError> {
        let address = config.listen;
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let listen = |source| StartError::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(listen)?;

        let clock = match config.time {
            Time::Machine => Clock::running(None),
            Time::From(start) => Clock::running(Some(start)),
            Time::Frozen(at) => Clock::frozen(at),
        };
        let seed = config.seed.map_or_else(Seed::built_in, Ok)?;
        let mut drawn = Ok(());
        let mut random = || {
            draw().unwrap_or_else(|error| {
                drawn = Err(error);
                Random::default()
            })
        };
        let (gitlab, tokens) = seed.build(clock.now(), &mut random)?;
        drawn.map_err(listen)?;
        let mut faults = Faults::default();
        for rule in config.faults {
            faults.add(rule);
        }
        let root = config.root.trim_end_matches('/').to_owned();
        let url = format!("http://{bound}{root}");
        let service = Service { gitlab, clock, faults, log: Vec::new(), throttle: Throttle::default() };
        let shared = Arc::new(Shared {
            service: Mutex::new(service),
            changed: Condvar::new(),
            root,
            base: url.clone(),
            latency: config.latency,
        });

        let (stop, stopped) = oneshot::channel();
        let serving = shared.clone();
        let thread = std::thread::Builder::new()
            .name("embedded-gitlab".to_owned())
            .spawn(move || runtime.block_on(serve(listener, serving, stopped)))
            .map_err(listen)?;
        Ok(Running { url, tokens, shared, stop: Some(stop), thread: Some(thread) })
    }
}

impl Running {
    /// Where it serves, with the relative root, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token of the group's owner.
    #[must_use]
    pub fn operator_token(&self) -> Secret {
        self.token(OPERATOR).unwrap_or_else(|| Secret::new(String::new()))
    }

    /// The token of the administrator.
    #[must_use]
    pub fn admin_token(&self) -> Secret {
        self.token(ADMIN).unwrap_or_else(|| Secret::new(String::new()))
    }

    /// The seeded token with this label (the built-in seed has `operator`, `admin` and `developer`).
    #[must_use]
    pub fn token(&self, label: &str) -> Option<Secret> {
        self.tokens.get(label).map(|value| Secret::new(value.expose().to_owned()))
    }

    /// The labels of the seeded tokens.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.tokens.keys().map(String::as_str)
    }

    /// What `GET /_emulator/state` answers.
    #[must_use]
    pub fn state(&self) -> Value {
        control::state(&self.shared.service())
    }

    /// Blocks until `accepts` likes the state, looking again after each request: for what happens after the client
    /// has gone. Returns whether it came to that before `limit` was over.
    #[must_use]
    pub fn wait_until(&self, limit: Duration, mut accepts: impl FnMut(&Value) -> bool) -> bool {
        let service = self.shared.service();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(service, limit, |service| !accepts(&control::state(service)))
            .unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    /// The emulator's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.service().clock.now()
    }

    /// Moves its time forward.
    pub fn advance(&self, by: SignedDuration) {
        self.shared.service().clock.advance(by);
    }

    /// Sets its time.
    pub fn set_time(&self, time: Timestamp) {
        self.shared.service().clock.set(time);
    }

    /// Says what was pushed to a project's repository, which is elsewhere; `None` deletes the branch.
    ///
    /// # Errors
    /// Where there is no such project.
    pub fn pushed(&self, project: &str, branch: &str, commit: Option<&str>) -> Result<(), String> {
        control::pushed(&mut self.shared.service().gitlab, project, branch, commit)
    }

    /// Adds a fault rule behind those in force.
    pub fn add_fault(&self, rule: Rule) {
        self.shared.service().faults.add(rule);
    }

    /// Takes all fault rules away.
    pub fn clear_faults(&self) {
        self.shared.service().faults.clear();
    }
}

/// Stops serving; open connections are closed.
impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
