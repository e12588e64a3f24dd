//! `/_emulator/*`: looking inside and moving things. None of it is GitLab's; no token is asked for and no value is
//! ever shown.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::clock::{iso, parse_duration};
use super::faults::Rule;
use super::reply::Reply;
use super::service::Service;
use super::state::{GitLab, Token, TokenOwner};
use crate::token::Role;

/// Handles what follows `/_emulator`.
pub(super) fn handle(service: &mut Service, method: &str, path: &str, body: &[u8]) -> Reply {
    let result = match (method, path) {
        ("GET", "/health") => Ok(json!({"status": "ok"})),
        ("GET", "/state") => Ok(state(service)),
        ("POST", "/push") => push(service, body),
        ("POST", "/clock") => move_clock(service, body),
        ("GET", "/faults") => Ok(json!({"faults": service.faults.list()})),
        ("POST", "/faults") => change_faults(service, body),
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

fn move_clock(service: &mut Service, body: &[u8]) -> Result<Value, String> {
    match read(body)? {
        ClockChange { advance: Some(by), set: None } => service.clock.advance(parse_duration(&by)?),
        ClockChange { advance: None, set: Some(time) } => service.clock.set(time),
        _ => return Err("give either {\"advance\":\"10d\"} or {\"set\":\"2026-12-01T00:00:00Z\"}".to_owned()),
    }
    Ok(json!({"now": iso(service.clock.now())}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    project: String,
    branch: String,
    /// `null`: the branch was deleted.
    commit: Option<String>,
}

/// There is no git in here: whoever has the repository says what was pushed to it.
fn push(service: &mut Service, body: &[u8]) -> Result<Value, String> {
    let Push { project, branch, commit } = read(body)?;
    pushed(&mut service.gitlab, &project, &branch, commit.as_deref())?;
    Ok(json!({"project": project, "branch": branch, "commit": commit}))
}

/// Moves or deletes a branch of a project.
pub(super) fn pushed(
    gitlab: &mut GitLab,
    project: &str,
    branch: &str,
    commit: Option<&str>,
) -> Result<(), String> {
    let id = gitlab.project(project).map(|project| project.id);
    let found = id.and_then(|id| gitlab.projects.get_mut(&id));
    let found = found.ok_or_else(|| format!("there is no project `{project}`"))?;
    found.code.pushed(branch, commit.map(str::to_owned));
    Ok(())
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
fn change_faults(service: &mut Service, body: &[u8]) -> Result<Value, String> {
    let change: FaultChange = read(body)?;
    let rules: Result<Vec<Rule>, _> = change.add.iter().map(|text| text.parse()).collect();
    let rules = rules.map_err(|error| error.to_string())?;
    if change.clear {
        service.faults.clear();
    }
    for rule in rules {
        service.faults.add(rule);
    }
    Ok(json!({"faults": service.faults.list()}))
}

/// Everything but values.
pub(super) fn state(service: &Service) -> Value {
    let now = service.clock.now();
    let tokens: Vec<Value> =
        service.gitlab.tokens.values().map(|row| token(&service.gitlab, row, now)).collect();
    json!({"now": iso(now), "tokens": tokens, "requests": service.log, "faults": service.faults.list()})
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
