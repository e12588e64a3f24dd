//! HTTP: from the socket to [`Service`] and back, with the headers that every reply has and the faults that happen on
//! the way.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::clock::http_date;
use super::control;
use super::faults::Effect;
use super::mint::Random;
use super::pages::{self, Visit};
use super::refusal::Refusal;
use super::reply::Reply;
use super::service::{Incoming, Service};
use super::value::hex;
use super::wire::{Scissors, Wires};

/// The largest body that is read.
const MAX_BODY: usize = 1 << 20;
/// What precedes every route of GitLab's.
const API: &str = "/api/v4";

/// What requests and the owner of the server both hold.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: Mutex<Service>,
    /// Told after each request.
    pub(super) changed: Condvar,
    pub(super) root: String,
    pub(super) base: String,
    pub(super) latency: Duration,
}

impl Shared {
    pub(super) fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until `stopped` is told or dropped.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
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
pub(super) fn draw() -> io::Result<Random> {
    let mut random = Random::default();
    getrandom::fill(&mut random.value).map_err(no_entropy)?;
    getrandom::fill(&mut random.bot).map_err(no_entropy)?;
    Ok(random)
}

/// Each request is a task of its own, from its first byte on: what was asked is done even when the client has gone
/// meanwhile, as hyper would drop a future that belongs to a closed connection.
async fn respond(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response<Body> {
    let task = tokio::spawn(route(shared.clone(), scissors, request));
    task.await.unwrap_or_else(|_| {
        let now = shared.service().clock.now();
        finish(Refusal::Crash.into_reply(now), now, None)
    })
}

/// To the controls, to GitLab's API, or nowhere.
async fn route(shared: Arc<Shared>, scissors: Scissors, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let below_root = path.strip_prefix(shared.root.as_str());
    if let Some(path) = below_root.unwrap_or(path).strip_prefix("/_emulator") {
        let bytes = to_bytes(body, MAX_BODY).await.unwrap_or_default();
        let mut service = shared.service();
        let reply = control::handle(&mut service, parts.method.as_str(), path, &bytes);
        let now = service.clock.now();
        return finish(reply, now, None);
    }
    match below_root.and_then(|path| path.strip_prefix(API)) {
        Some(path) => gitlab(&shared, &scissors, &parts, path, body).await,
        None => people(&shared, &parts, below_root.unwrap_or_default(), body).await,
    }
}

/// Outside of the API, GitLab is pages for people.
async fn people(shared: &Shared, parts: &Parts, path: &str, body: Body) -> Response<Body> {
    let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let mut service = shared.service();
    let now = service.clock.now();
    let Ok(random) = draw() else { return finish(Refusal::Crash.into_reply(now), now, None) };
    let visit = Visit {
        method: parts.method.as_str(),
        path,
        query: parts.uri.query().unwrap_or_default(),
        body: &body,
        root: &shared.root,
    };
    finish(pages::handle(&mut service, &visit, &random), now, None)
}

/// A request for what stands behind `/api/v4`.
async fn gitlab(
    shared: &Shared,
    scissors: &Scissors,
    parts: &Parts,
    path: &str,
    body: Body,
) -> Response<Body> {
    let method = parts.method.as_str();
    let effect = shared.service().faults.take(method, path);
    if effect == Some(Effect::Refuse) {
        return close(shared, scissors, method, path, effect.as_ref());
    }
    let read = to_bytes(body, MAX_BODY).await.ok().filter(|_| effect != Some(Effect::Cut));
    // A body that never came whole is not acted upon.
    let Some(bytes) = read else {
        return close(shared, scissors, method, path, effect.as_ref());
    };
    let delay = if let Some(Effect::Delay(delay)) = effect { delay } else { Duration::ZERO };
    tokio::time::sleep(delay + shared.latency).await;
    let mut service = shared.service();
    let now = service.clock.now();
    let Ok(random) = draw() else { return finish(Refusal::Crash.into_reply(now), now, None) };
    let incoming =
        Incoming { method, uri: &parts.uri, path, headers: &parts.headers, body: &bytes, base: &shared.base };
    let reply = service.answer(&incoming, &random, effect.as_ref());
    shared.changed.notify_all();
    finish(reply, now, Some((scissors, effect.as_ref())))
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
