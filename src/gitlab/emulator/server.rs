//! The listener: loopback only, on a thread of its own, so that synchronous programs can use it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::oneshot;

use super::clock::{Clock, http_date};
use super::control;
use super::faults::{Effect, Faults, Rule};
use super::mint::Random;
use super::refusal::Refusal;
use super::reply::Reply;
use super::seed::{ADMIN, OPERATOR, Seed, SeedError};
use super::service::{Incoming, Service};
use super::throttle::Throttle;
use super::value::hex;
use super::wire::{Scissors, Wires};
use crate::secret::Secret;

/// The largest body that is read.
const MAX_BODY: usize = 1 << 20;
/// What precedes every route of GitLab's.
const API: &str = "/api/v4";

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

#[derive(Debug)]
struct Shared {
    service: Mutex<Service>,
    /// Told after each request.
    changed: Condvar,
    root: String,
    base: String,
    latency: Duration,
}

impl Shared {
    fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let router = Router::new().fallback(respond).with_state(shared);
    let service = router.into_make_service_with_connect_info::<Scissors>();
    tokio::select! {
        _ = axum::serve(Wires(listener), service) => {}
        _ = stopped => {}
    }
}

/// getrandom's error is a `std::error::Error` only with a feature that nothing else here needs.
fn no_entropy(error: getrandom::Error) -> io::Error {
    io::Error::other(error.to_string())
}

/// Random bytes from the operating system.
fn draw() -> io::Result<Random> {
    let mut random = Random::default();
    getrandom::fill(&mut random.value).map_err(no_entropy)?;
    getrandom::fill(&mut random.bot).map_err(no_entropy)?;
    Ok(random)
}

async fn respond(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let method = parts.method.as_str().to_owned();
    let path = parts.uri.path().to_owned();
    let below_root = path.strip_prefix(shared.root.as_str());
    if let Some(path) = below_root.unwrap_or(&path).strip_prefix("/_emulator") {
        let bytes = to_bytes(body, MAX_BODY).await.unwrap_or_default();
        let mut service = shared.service();
        let reply = control::handle(&mut service, &method, path, &bytes);
        let now = service.clock.now();
        return finish(reply, now, None);
    }
    let api = below_root.and_then(|path| path.strip_prefix(API)).map(str::to_owned);
    let Some(path) = api else {
        // Outside of the API, GitLab is pages for people.
        let reply = Reply::html(404, "<!DOCTYPE html>\n<html><body><h1>404</h1></body></html>\n");
        return finish(reply, shared.service().clock.now(), None);
    };
    let effect = shared.service().faults.take(&method, &path);
    if effect == Some(Effect::Refuse) {
        return close(&shared, &scissors, &method, &path, effect.as_ref());
    }
    let read = to_bytes(body, MAX_BODY).await.ok().filter(|_| effect != Some(Effect::Cut));
    // A body that never came whole is not acted upon.
    let Some(bytes) = read else {
        return close(&shared, &scissors, &method, &path, effect.as_ref());
    };
    // A task of its own: what was asked is done even when the client has gone meanwhile.
    let task = tokio::spawn({
        let (shared, effect) = (shared.clone(), effect.clone());
        async move {
            let delay = if let Some(Effect::Delay(delay)) = effect { delay } else { Duration::ZERO };
            tokio::time::sleep(delay + shared.latency).await;
            let random = draw()?;
            let incoming = Incoming {
                method: &method,
                uri: &parts.uri,
                path: &path,
                headers: &parts.headers,
                body: &bytes,
                base: &shared.base,
            };
            let mut service = shared.service();
            let reply = service.answer(&incoming, &random, effect.as_ref());
            shared.changed.notify_all();
            Ok::<_, io::Error>(finish(reply, service.clock.now(), Some((&scissors, effect.as_ref()))))
        }
    });
    match task.await {
        Ok(Ok(response)) => response,
        _ => {
            let now = shared.service().clock.now();
            finish(Refusal::Crash.into_reply(now), now, None)
        }
    }
}

/// Closes the connection without a reply.
fn close(
    shared: &Shared,
    scissors: &Scissors,
    method: &str,
    path: &str,
    effect: Option<&Effect>,
) -> Response<Body> {
    shared.service().note(method, path, None, None, effect);
    shared.changed.notify_all();
    scissors.cut();
    Response::new(Body::empty())
}

/// The reply as HTTP, with the headers that every reply has, and with the faults that happen on the way back.
fn finish(reply: Reply, now: Timestamp, fault: Option<(&Scissors, Option<&Effect>)>) -> Response<Body> {
    let body = reply.body.into_bytes();
    let length = body.as_ref().map_or(0, |(_, bytes)| bytes.len());
    match fault {
        Some((scissors, Some(Effect::LoseReply))) => scissors.cut(),
        Some((scissors, Some(Effect::Truncate))) => scissors.cut_body_after(length / 2),
        _ => {}
    }
    let (content_type, bytes) = match body {
        Some((content_type, bytes)) => (Some(content_type), bytes),
        None => (None, Vec::new()),
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut id = [0; 16];
    // Without random bytes the request id is all zeros, which harms nothing.
    let _ = getrandom::fill(&mut id);
    let always =
        [("date", http_date(now)), ("x-request-id", hex(&id)), ("cache-control", "no-store".to_owned())];
    for (name, value) in reply.headers.into_iter().chain(always) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}
