//! The filters of templates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};
use zeroize::Zeroizing;

/// Their names.
pub(super) const FILTERS: [&str; 3] = ["b64encode", "docker_auth", "tojson"];

pub(super) fn add(engine: &mut Environment<'_>) {
    engine.add_filter("b64encode", b64encode);
    engine.add_filter("docker_auth", docker_auth);
    engine.add_filter("tojson", tojson);
}

/// Base64 with padding (RFC 4648 §4).
fn b64encode(value: &Value) -> Result<String, Error> {
    let text = text(value)?;
    Ok(STANDARD.encode(text.as_bytes()))
}

/// JSON; a token is a string.
fn tojson(value: &Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    serde_json::to_string(value).map_err(|_| Error::from(ErrorKind::BadSerialization))
}

/// The content of `DOCKER_AUTH_CONFIG` for one registry: `{"auths":{"<host>":{"auth":"<base64 of user:value>"}}}`
/// (docker/cli `cli/config/types.AuthConfig`). GitLab takes any user name beside a token.
fn docker_auth(value: &Value, host: &str, user: &str) -> Result<String, Error> {
    let text = text(value)?;
    let pair = Zeroizing::new(format!("{user}:{}", *text));
    let auth = STANDARD.encode(pair.as_bytes());
    Ok(serde_json::json!({ "auths": { host: { "auth": auth } } }).to_string())
}

fn text(value: &Value) -> Result<Zeroizing<String>, Error> {
    if value.is_undefined() {
        Err(ErrorKind::UndefinedError.into())
    } else {
        Ok(Zeroizing::new(value.to_string()))
    }
}
