//! A reply as the routes make it: status, headers, body. The server adds what every reply has.

use serde_json::Value;

/// One reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

/// What stands in a reply.
#[derive(Debug)]
pub(super) enum Body {
    Empty,
    Json(Value),
    Text(String),
    Html(String),
}

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(super) fn created(body: Value) -> Self {
        Self::json(201, body)
    }

    pub(super) fn no_content() -> Self {
        Self { status: 204, headers: Vec::new(), body: Body::Empty }
    }

    pub(super) fn html(status: u16, text: &str) -> Self {
        Self { status, headers: Vec::new(), body: Body::Html(text.to_owned()) }
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Body {
    /// The bytes and their content type; `None` for no body.
    pub(super) fn into_bytes(self) -> Option<(&'static str, Vec<u8>)> {
        match self {
            Self::Empty => None,
            Self::Json(value) => Some(("application/json", value.to_string().into_bytes())),
            Self::Text(text) => Some(("text/plain", text.into_bytes())),
            Self::Html(text) => Some(("text/html; charset=utf-8", text.into_bytes())),
        }
    }
}
