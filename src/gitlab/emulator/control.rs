//! `/_emulator/*`: looking inside and moving things. None of it is GitLab's; no token is asked for and no value is
//! ever shown.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::clock::{iso, parse_duration};
use super::core::Core;
use super::faults::Rule;
use super::reply::Reply;
use super::state::{GitLab, Token, TokenOwner};
use crate::token::Role;

/// Handles what follows `/_emulator`.
pub(super) fn handle(core: &mut Core, method: &str, path: &str, body: &[u8]) -> Reply {
    let result = match (method, path) {
        ("GET", "/health") => Ok(json!({"status": "ok"})),
        ("GET", "/state") => Ok(state(core)),
        ("POST", "/clock") => move_clock(core, body),
        ("GET", "/faults") => Ok(json!({"faults": core.faults.list()})),
        ("POST", "/faults") => change_faults(core, body),
        _ => return Reply::json(404, json!({"error": "404 Not Found"})),
    };
    result.map_or_else(|reason| Reply::json(400, json!({"error": reason})), Reply::ok)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    advance: Option<String>,
    set: Option<Timestamp>,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn move_clock(core: &mut Core, body: &[u8]) -> Result<Value, String> {
    match read(body)? {
        ClockChange { advance: Some(by), set: None } => core.clock.advance(parse_duration(&by)?),
        ClockChange { advance: None, set: Some(time) } => core.clock.set(time),
        _ => return Err("give either {\"advance\":\"10d\"} or {\"set\":\"2026-12-01T00:00:00Z\"}".to_owned()),
    }
    Ok(json!({"now": iso(core.clock.now())}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultChange {
    #[serde(default)]
    clear: bool,
    #[serde(default)]
    add: Vec<String>,
}

/// Clears first, then adds. One bad rule, and nothing is changed.
fn change_faults(core: &mut Core, body: &[u8]) -> Result<Value, String> {
    let change: FaultChange = read(body)?;
    let rules: Result<Vec<Rule>, _> = change.add.iter().map(|text| text.parse()).collect();
    let rules = rules.map_err(|error| error.to_string())?;
    if change.clear {
        core.faults.clear();
    }
    for rule in rules {
        core.faults.add(rule);
    }
    Ok(json!({"faults": core.faults.list()}))
}

/// Everything but values.
pub(super) fn state(core: &Core) -> Value {
    let now = core.clock.now();
    let tokens: Vec<Value> = core.gitlab.tokens.values().map(|row| token(&core.gitlab, row, now)).collect();
    json!({"now": iso(now), "tokens": tokens, "requests": core.log, "faults": core.faults.list()})
}

fn token(gitlab: &GitLab, token: &Token, now: Timestamp) -> Value {
    let owner = match token.owner {
        TokenOwner::User(id) => gitlab.users.get(&id).map(|user| user.username.as_str()),
        TokenOwner::Resource(resource) => gitlab.place(resource).map(|(path, _)| path),
    };
    json!({
        "id": token.id,
        "name": token.name,
        "kind": token.owner.kind().as_str(),
        "owner": owner,
        "user_id": token.user,
        "active": token.active(now),
        "revoked": token.revoked,
        "expires_at": token.expires_at.map(|date| date.to_string()),
        "description": token.description,
        "scopes": token.scopes,
        "access_level": gitlab.role_of(token).map(Role::access_level),
        "created_at": iso(token.created_at),
        "last_used_at": token.last_used_at.map(iso),
        "previous_id": token.previous,
        "sha256": token.fingerprint.to_hex(),
    })
}
