//! HTTP for real: reqwest with rustls, for one instance.
//!
//! Redirects are not followed and nothing is repeated here. Certificates are checked with the system's roots and those
//! that are given; HTTPS_PROXY, ALL_PROXY and NO_PROXY are honoured by reqwest itself. This machine is always reached
//! directly: a proxy has another loopback, and plain http to it would show the credential to the network.

use std::error::Error;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Certificate, ClientBuilder};
use url::Url;
use zeroize::Zeroizing;

use super::credential::Scheme;
use super::transport::{Headers, Method, REPLY_LIMIT, Request, Response, SendError, Transport};
use crate::instance::{Instance, Origin};

/// An idle connection is dropped before servers usually do it: a request that meets a closing connection has an unknown
/// outcome.
const IDLE: Duration = Duration::from_secs(10);

/// How to connect. The environment is read elsewhere.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Certificates to trust besides the system's: `--ca-file`, SSL_CERT_FILE, CI_SERVER_TLS_CA_FILE.
    pub extra_roots: Vec<ExtraRoots>,
    /// For address, connection and TLS.
    pub connect_timeout: Duration,
    /// For one request as a whole.
    pub timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            extra_roots: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
        }
    }
}

/// The certificates of a file.
#[derive(Clone, Debug)]
pub struct ExtraRoots(Vec<Certificate>);

impl ExtraRoots {
    /// Reads one or more certificates in PEM. `source` says which file it is, for messages: `--ca-file ca.pem`.
    ///
    /// # Errors
    /// [`HttpError::NotPem`] where there is none.
    pub fn read(source: &str, pem: &[u8]) -> Result<Self, HttpError> {
        match Certificate::from_pem_bundle(pem) {
            Ok(found) if !found.is_empty() => Ok(Self(found)),
            _ => Err(HttpError::NotPem(source.to_owned())),
        }
    }
}

/// Why no connection can be prepared.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The file is not PEM, or holds no certificate.
    #[error("{0} holds no certificate in PEM form")]
    NotPem(String),
    /// TLS cannot be set up: for instance the system has no certificates at all.
    #[error("TLS cannot be set up, for want of usable certificates: {0}")]
    Setup(String),
}

impl HttpError {
    /// What to do about it, where that is known here; see `hints` for what a request ran into.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotPem(_) => Some(
                "give a file with -----BEGIN CERTIFICATE----- in it; DER is turned into PEM by openssl x509 -inform der",
            ),
            Self::Setup(_) => None,
        }
    }
}

/// HTTP/1.1 to one instance.
pub struct HttpTransport {
    client: reqwest::Client,
    origin: Origin,
}

impl HttpTransport {
    /// Prepares connections to `instance`; none is made yet.
    ///
    /// # Errors
    /// [`HttpError::Setup`].
    pub fn new(instance: &Instance, options: &HttpOptions) -> Result<Self, HttpError> {
        let url = instance.api([]);
        let roots = options.extra_roots.iter().flat_map(|roots| roots.0.clone()).collect();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("provision/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .pool_idle_timeout(IDLE);
        let client =
            trusting(builder, &url, roots).build().map_err(|error| HttpError::Setup(chain(&error)))?;
        Ok(Self { client, origin: instance.origin().clone() })
    }

    async fn exchange(&self, request: &Request) -> Result<Response, SendError> {
        // The choice of proxy was made for this origin.
        if Origin::of(request.url()).as_ref() != Some(&self.origin) {
            return Err(SendError::NotSent(format!("this connection is for {} only", self.origin)));
        }
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, request.url().clone());
        if let Some((name, value)) = authentication(request)? {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body() {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let mut reply = builder.send().await.map_err(classify)?;
        let headers = Headers::read(|name| reply.headers().get(name).and_then(|value| value.to_str().ok()));
        let body = read(&mut reply).await?;
        Ok(Response { status: reply.status().as_u16(), headers, body })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, SendError>> {
        async move {
            let started = Instant::now();
            let outcome = self.exchange(&request).await;
            let milliseconds = started.elapsed().as_millis();
            let (method, path) = (request.method(), request.url().path());
            match &outcome {
                Ok(reply) => tracing::debug!(%method, path, status = reply.status, milliseconds, "answered"),
                Err(error) => tracing::debug!(%method, path, %error, milliseconds, "no reply"),
            }
            outcome
        }
        .boxed_local()
    }

    fn pause(&self, at_least: Duration) -> LocalBoxFuture<'_, ()> {
        pause(at_least).boxed_local()
    }
}

/// Waits for at least this long, and up to a quarter longer at random.
pub async fn pause(at_least: Duration) {
    tokio::time::sleep(at_least + jitter(at_least)).await;
}

/// Plain http goes to this machine only (see [`Instance`]) and needs no roots, which take a while to load.
fn trusting(builder: ClientBuilder, url: &Url, roots: Vec<Certificate>) -> ClientBuilder {
    let builder = if is_this_machine(url) { builder.no_proxy() } else { builder };
    if url.scheme() == "http" {
        builder.tls_certs_only([])
    } else {
        builder.https_only(true).tls_certs_merge(roots)
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The header is marked sensitive, so that no debug output of the HTTP library shows it.
fn authentication(request: &Request) -> Result<Option<(HeaderName, HeaderValue)>, SendError> {
    let secret = request.credential().secret().expose();
    let (name, text) = match request.credential().scheme() {
        Scheme::PrivateToken => (HeaderName::from_static("private-token"), Zeroizing::new(secret.to_owned())),
        Scheme::Bearer => (AUTHORIZATION, Zeroizing::new(format!("Bearer {secret}"))),
        Scheme::None => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| SendError::NotSent("the token holds characters that no header may have".to_owned()))?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// Collects the body; each buffer that becomes too small is overwritten, not just freed.
async fn read(reply: &mut reqwest::Response) -> Result<Zeroizing<Vec<u8>>, SendError> {
    let announced = reply.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = Zeroizing::new(Vec::with_capacity(announced.min(REPLY_LIMIT)));
    while let Some(chunk) =
        reply.chunk().await.map_err(|error| SendError::Unknown(chain(&error.without_url())))?
    {
        let length = body.len() + chunk.len();
        if length > REPLY_LIMIT {
            return Err(SendError::TooLarge);
        }
        if length > body.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(length.max(2 * body.capacity())));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Without a connection (address, TCP, proxy tunnel, TLS) no byte of the request was sent. Everything else is unknown.
fn classify(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    let never_sent = error.is_connect() || error.is_builder();
    let reason =
        if error.is_timeout() { format!("no answer in time ({})", chain(&error)) } else { chain(&error) };
    if never_sent { SendError::NotSent(reason) } else { SendError::Unknown(reason) }
}

/// The causes below the library's own general sentence, which says nothing.
fn chain(error: &dyn Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        next = cause.source();
    }
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

/// Up to a quarter of the pause, at random.
fn jitter(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(0);
    pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gitlab::fake::credential_for;

    #[test]
    fn the_header_with_the_token_is_marked_sensitive() {
        let base = "https://gitlab.example.com";
        let url = base.parse::<Instance>().unwrap().api(["user"]);
        let request = Request::new(Method::Get, url, credential_for(base), None).unwrap();
        let (_, value) = authentication(&request).unwrap().unwrap();
        assert!(value.is_sensitive());
    }

    #[test]
    fn a_pause_is_at_least_as_long_as_asked_and_at_most_a_quarter_longer() {
        let pause = Duration::from_secs(60);
        let extra: Vec<Duration> = (0..100).map(|_| jitter(pause)).collect();
        assert!(extra.iter().all(|extra| *extra <= pause / 4));
        assert!(extra.iter().any(|other| *other != extra[0]));
    }

    #[test]
    fn this_machine_is_known_by_its_names_and_addresses() {
        for (url, expected) in [
            ("http://localhost:1/", true),
            ("https://LOCALHOST/", true),
            ("http://127.1.2.3/", true),
            ("http://[::1]/", true),
            ("https://localhost.example/", false),
            ("https://0.0.0.0/", false),
            ("https://gitlab.com/", false),
        ] {
            assert_eq!(is_this_machine(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
