//! A transport for unit tests: it hands out prepared outcomes and remembers what it was asked.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use zeroize::Zeroizing;

use super::client::Client;
use super::credential::Credential;
use super::transport::{Headers, Request, Response, SendError, Transport};
use crate::instance::Instance;
use crate::secret::Secret;

/// The value of every credential made here; it must never be seen.
pub(super) const CANARY: &str = "glpat-canary-of-the-operator";

/// Prepared outcomes, first come first served. An unexpected request panics.
#[derive(Default)]
pub(super) struct Fake {
    outcomes: RefCell<VecDeque<Result<Response, SendError>>>,
    pub(super) requests: RefCell<Vec<Request>>,
    pub(super) pauses: RefCell<Vec<Duration>>,
}

impl Fake {
    pub(super) fn new(outcomes: impl IntoIterator<Item = Result<Response, SendError>>) -> Rc<Self> {
        Rc::new(Self { outcomes: RefCell::new(outcomes.into_iter().collect()), ..Self::default() })
    }

    /// `METHOD path?query` of every request so far.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |request: &Request| {
            let query = request.url().query().map(|query| format!("?{query}")).unwrap_or_default();
            format!("{} {}{query}", request.method(), request.url().path())
        };
        self.requests.borrow().iter().map(line).collect()
    }
}

impl Transport for Fake {
    fn send(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, SendError>> {
        self.requests.borrow_mut().push(request);
        let outcome = self.outcomes.borrow_mut().pop_front();
        async move { outcome.expect("a request that the test did not expect") }.boxed_local()
    }

    fn pause(&self, at_least: Duration) -> LocalBoxFuture<'_, ()> {
        self.pauses.borrow_mut().push(at_least);
        async {}.boxed_local()
    }
}

/// A reply with a JSON body.
pub(super) fn json(status: u16, body: &str) -> Result<Response, SendError> {
    typed(status, "application/json", body)
}

/// A reply with a body of another type.
pub(super) fn typed(status: u16, content_type: &str, body: &str) -> Result<Response, SendError> {
    with_headers(status, body, &[("content-type", content_type)])
}

/// A JSON reply with these headers too.
pub(super) fn with_headers(status: u16, body: &str, pairs: &[(&str, &str)]) -> Result<Response, SendError> {
    let find = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let headers = Headers::read(|name| find(name).or((name == "content-type").then_some("application/json")));
    Ok(Response { status, headers, body: Zeroizing::new(body.as_bytes().to_vec()) })
}

/// The canary, bound to the instance `base`.
pub(super) fn credential_for(base: &str) -> Rc<Credential> {
    let origin = base.parse::<Instance>().unwrap().origin().clone();
    Rc::new(Credential::new(origin, &Secret::new(CANARY.to_owned()), "GITLAB_TOKEN").unwrap())
}

/// A client of https://gitlab.example.com over `fake`.
pub(super) fn client(fake: &Rc<Fake>) -> Client {
    client_of("https://gitlab.example.com", fake)
}

/// A client of the instance `base` over `fake`.
pub(super) fn client_of(base: &str, fake: &Rc<Fake>) -> Client {
    Client::new(fake.clone(), base.parse().unwrap(), credential_for(base))
}

/// Runs a future that never waits.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the fake transport never waits")
}
