//! What the client asks of HTTP and nothing more: one request, one reply, one pause.
//!
//! A [`Request`] can be made only for a URL of its credential's origin, so that no transport, real or fake, ever
//! sees a credential on its way to another host.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::credential::Credential;
use crate::instance::Origin;

/// The largest reply that is read, in bytes. A page of a hundred tokens has some 60 KiB.
pub const REPLY_LIMIT: usize = 10 * 1024 * 1024;

/// Sends requests. Futures need not be `Send`: the program runs on one thread.
pub trait Transport {
    /// Sends `request` once, without following redirects and without repeating it.
    ///
    /// # Errors
    /// [`SendError::NotSent`] only where the request certainly did not reach the server.
    fn send(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, SendError>>;

    /// Waits for at least this long; the real one adds a little at random so that clients do not march in step.
    fn pause(&self, at_least: Duration) -> LocalBoxFuture<'_, ()>;
}

/// The methods that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Changes nothing; may be repeated.
    Get,
    /// Mints. Never repeated.
    Post,
    /// Withdraws; may be repeated.
    Delete,
}

impl Method {
    /// As it goes over the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A URL that does not belong to the origin that a credential is bound to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a credential for {bound_to} was not sent to {wanted}")]
pub struct WrongOrigin {
    /// Where the credential belongs.
    pub bound_to: Origin,
    /// Where it would have gone: an origin, or a URL scheme that has none.
    pub wanted: String,
}

/// One request with the credential that goes with it, both of one origin.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    url: Url,
    credential: Rc<Credential>,
    body: Option<Value>,
}

impl Request {
    /// A request to `url` that carries `credential`.
    ///
    /// # Errors
    /// [`WrongOrigin`] where scheme, host or port differ; nothing has been sent then.
    pub fn new(
        method: Method,
        url: Url,
        credential: Rc<Credential>,
        body: Option<Value>,
    ) -> Result<Self, WrongOrigin> {
        let origin = Origin::of(&url);
        if origin.as_ref() != Some(credential.origin()) {
            let wanted = origin.map_or_else(|| format!("{}:", url.scheme()), |origin| origin.to_string());
            return Err(WrongOrigin { bound_to: credential.origin().clone(), wanted });
        }
        Ok(Self { method, url, credential, body })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The URL; always of the credential's origin.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What authenticates the request.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The JSON body; holds no secret.
    #[must_use]
    pub fn body(&self) -> Option<&Value> {
        self.body.as_ref()
    }
}

/// The headers of a reply that we look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// The server's clock.
    pub date: Option<Timestamp>,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
    /// When the rate limit's window ends.
    pub rate_limit_reset: Option<Timestamp>,
    /// Neighbouring pages of a list (RFC 8288).
    pub link: Option<String>,
    /// Where a redirect would lead.
    pub location: Option<String>,
    /// The media type of the body.
    pub content_type: Option<String>,
}

impl Headers {
    /// How long the server wants to be left alone after a 429: `Retry-After`, else until the limit's window ends.
    #[must_use]
    pub fn wanted_pause(&self) -> Option<Duration> {
        let until_reset = || Duration::try_from(self.rate_limit_reset?.duration_since(self.date?)).ok();
        self.retry_after.or_else(until_reset)
    }

    /// Reads the headers through `get`, which gives the text of a header by its lower-case name.
    #[must_use]
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let date = get("date").and_then(http_date);
        let owned = |name: &str| get(name).map(ToOwned::to_owned);
        Self {
            date,
            retry_after: get("retry-after").and_then(|text| retry_after(text, date)),
            rate_limit_reset: get("ratelimit-reset")
                .and_then(|text| text.trim().parse().ok())
                .and_then(|second| Timestamp::from_second(second).ok()),
            link: owned("link"),
            location: owned("location"),
            content_type: owned("content-type"),
        }
    }
}

/// An HTTP date (RFC 9110 §5.6.7), in its one current form.
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text.trim()).ok().map(|date| date.timestamp())
}

/// Seconds, or a date that is read against the server's own clock (RFC 9110 §10.2.3).
fn retry_after(text: &str, now: Option<Timestamp>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(text)?.duration_since(now?);
    Some(Duration::try_from(until).unwrap_or_default())
}

/// One reply. Its body may hold a new token, so it is overwritten when dropped and never shown.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers that matter.
    pub headers: Headers,
    /// At most [`REPLY_LIMIT`] bytes.
    pub body: Zeroizing<Vec<u8>>,
}

/// Without the body.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The request certainly never reached the server: no address, no connection, no TLS.
    #[error("{0}")]
    NotSent(String),
    /// Anything else: the server may have acted on the request.
    #[error("{0}")]
    Unknown(String),
    /// The server answered with more than [`REPLY_LIMIT`] bytes.
    #[error("the reply is larger than {} MiB", REPLY_LIMIT / 1024 / 1024)]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gitlab::fake::credential_for;

    fn headers(pairs: &[(&str, &'static str)]) -> Headers {
        Headers::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
    }

    #[test]
    fn a_request_cannot_be_made_for_another_scheme_host_or_port() {
        let credential = credential_for("https://gitlab.example.com");
        for url in [
            "http://gitlab.example.com/api/v4/user",
            "https://gitlab.example.com:8443/api/v4/user",
            "https://example.com/api/v4/user",
            "https://gitlab.example.com.evil.example/api/v4/user",
            "file:///etc/passwd",
        ] {
            let url = Url::parse(url).unwrap();
            let refused = Request::new(Method::Get, url.clone(), credential.clone(), None);
            assert!(refused.is_err(), "{url}");
        }
        let own = Url::parse("https://GITLAB.example.com:443/api/v4/user").unwrap();
        assert!(Request::new(Method::Get, own, credential, None).is_ok());
    }

    #[test]
    fn the_wrong_origin_is_named_without_the_path() {
        let credential = credential_for("https://gitlab.example.com");
        let url = Url::parse("https://evil.example/steal?x=1").unwrap();
        let error = Request::new(Method::Get, url, credential, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a credential for https://gitlab.example.com was not sent to https://evil.example"
        );
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_of_the_servers_clock() {
        assert_eq!(headers(&[("retry-after", " 30 ")]).retry_after, Some(Duration::from_secs(30)));
        let dated = headers(&[
            ("date", "Sat, 21 Nov 2026 10:00:00 GMT"),
            ("retry-after", "Sat, 21 Nov 2026 10:00:42 GMT"),
        ]);
        assert_eq!(dated.retry_after, Some(Duration::from_secs(42)));
        let past = headers(&[
            ("date", "Sat, 21 Nov 2026 10:00:00 GMT"),
            ("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT"),
        ]);
        assert_eq!(past.retry_after, Some(Duration::ZERO));
        assert_eq!(headers(&[("retry-after", "soon")]).retry_after, None);
        assert_eq!(headers(&[("retry-after", "-1")]).retry_after, None);
    }

    #[test]
    fn the_servers_clock_and_the_limits_reset_are_read() {
        let read = headers(&[("date", "Sat, 21 Nov 2026 10:00:00 GMT"), ("ratelimit-reset", "1795255260")]);
        assert_eq!(read.date, Some("2026-11-21T10:00:00Z".parse().unwrap()));
        assert_eq!(read.rate_limit_reset, Some(Timestamp::from_second(1_795_255_260).unwrap()));
        assert_eq!(headers(&[("date", "yesterday")]).date, None);
    }

    #[test]
    fn without_retry_after_the_end_of_the_limits_window_counts() {
        let (date, reset) = (("date", "Sat, 21 Nov 2026 10:00:00 GMT"), ("ratelimit-reset", "1795255260"));
        assert_eq!(headers(&[date, reset]).wanted_pause(), Some(Duration::from_secs(60)));
        assert_eq!(
            headers(&[date, reset, ("retry-after", "5")]).wanted_pause(),
            Some(Duration::from_secs(5))
        );
        assert_eq!(headers(&[date, ("ratelimit-reset", "0")]).wanted_pause(), None);
        assert_eq!(headers(&[reset]).wanted_pause(), None);
    }

    #[test]
    fn debug_of_a_response_does_not_show_its_body() {
        let body = Zeroizing::new(b"glpat-canary".to_vec());
        let response = Response { status: 201, headers: Headers::default(), body };
        assert!(!format!("{response:?}").contains("canary"));
    }
}
