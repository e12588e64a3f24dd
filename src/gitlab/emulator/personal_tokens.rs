//! Personal access tokens, and the routes on which any token looks at itself (`lib/api/personal_access_tokens.rb`,
//! `lib/api/personal_access_tokens/`, `lib/api/users.rb` of GitLab). Group and project tokens are rows of the same
//! table, of their bots, so an administrator reaches them here too.

use serde_json::Value;

use super::access::Opens;
use super::filter::Filter;
use super::mint::Wish;
use super::paging;
use super::present;
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::Params;
use super::route::{Answer, Call, Route};
use super::scopes;
use super::state::Token;
use crate::secret::Secret;

pub(super) fn route(method: &str, segments: &[&str]) -> Option<Route> {
    match (method, segments) {
        ("GET", ["personal_access_tokens"]) => Route::new(Opens::Api, list),
        ("GET", ["personal_access_tokens", "self"]) => Route::new(Opens::Any, show_self),
        ("DELETE", ["personal_access_tokens", "self"]) => Route::new(Opens::Any, revoke_self),
        ("POST", ["personal_access_tokens", "self", "rotate"]) => Route::new(Opens::SelfRotate, rotate_self),
        ("GET", ["personal_access_tokens", id]) => with_id(id, show),
        ("DELETE", ["personal_access_tokens", id]) => with_id(id, revoke),
        ("POST", ["personal_access_tokens", id, "rotate"]) => with_id(id, rotate),
        ("POST", ["user", "personal_access_tokens"]) => Route::new(Opens::Api, create_own),
        ("POST", ["users", id, "personal_access_tokens"]) => with_id(id, create_for),
        _ => None,
    }
}

fn with_id(id: &str, act: fn(&mut Call<'_>, &str) -> Answer) -> Option<Route> {
    let id = id.to_owned();
    Route::new(Opens::Api, move |call| act(call, &id))
}

/// A number out of the path.
fn number(name: &str, text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::Invalid(vec![format!("{name} is invalid")]))
}

/// Whether the caller may see and rotate this token: his own, or any for an administrator.
fn may_reach(call: &Call<'_>, token: &Token) -> bool {
    token.user == call.caller.user || call.gitlab.is_admin(call.caller)
}

/// What everybody but an administrator gets in place of "not found".
fn hidden(call: &Call<'_>) -> Refusal {
    if call.gitlab.is_admin(call.caller) { Refusal::NotFound("") } else { Refusal::Unauthorized }
}

fn list(call: &mut Call<'_>) -> Answer {
    let filter = Filter::read(call.request)?;
    let mut params = Params::new(&call.request.params);
    let wanted = params.integer("user_id");
    params.finish()?;
    let admin = call.gitlab.is_admin(call.caller);
    let wanted = wanted.map(|id| u64::try_from(id).unwrap_or(0));
    let user = match wanted {
        Some(id) if !admin && id != call.caller.user => return Err(Refusal::Unauthorized),
        Some(id) if !call.gitlab.users.contains_key(&id) => return Err(Refusal::NotFound("")),
        Some(id) => Some(id),
        None if admin => None,
        None => Some(call.caller.user),
    };
    let tokens = call.gitlab.tokens.values().filter(|token| user.is_none_or(|user| token.user == user));
    let tokens = filter.apply(tokens, call.now);
    let rows = tokens.into_iter().map(|token| present::personal(call.gitlab, token, call.now)).collect();
    paging::page(call.request, rows)
}

fn show(call: &mut Call<'_>, id: &str) -> Answer {
    let id = number("id", id)?;
    let token =
        call.gitlab.tokens.get(&id).filter(|token| may_reach(call, token)).ok_or_else(|| hidden(call))?;
    Ok(Reply::ok(present::personal(call.gitlab, token, call.now)))
}

fn show_self(call: &mut Call<'_>) -> Answer {
    let token = call.gitlab.own_token(call.caller).ok_or(Refusal::Unauthorized)?;
    Ok(Reply::ok(present::personal(call.gitlab, token, call.now)))
}

fn revoke(call: &mut Call<'_>, id: &str) -> Answer {
    let id = number("id", id)?;
    let token = call.gitlab.tokens.get(&id).ok_or(Refusal::RecordNotFound)?;
    if !may_reach(call, token) {
        return Err(Refusal::BadRequest("Not permitted to revoke".to_owned()));
    }
    call.gitlab.revoke(id);
    Ok(Reply::no_content())
}

fn revoke_self(call: &mut Call<'_>) -> Answer {
    call.gitlab.revoke(call.caller.token);
    Ok(Reply::no_content())
}

fn rotate(call: &mut Call<'_>, id: &str) -> Answer {
    let id = number("id", id)?;
    call.gitlab.tokens.get(&id).filter(|token| may_reach(call, token)).ok_or_else(|| hidden(call))?;
    rotate_row(call, id)
}

fn rotate_self(call: &mut Call<'_>) -> Answer {
    rotate_row(call, call.caller.token)
}

fn rotate_row(call: &mut Call<'_>, id: u64) -> Answer {
    let mut params = Params::new(&call.request.params);
    let expires_at = params.date("expires_at");
    params.finish()?;
    let rotated = call.gitlab.rotate(id, expires_at, call.now, call.random);
    let (id, value) = rotated.map_err(Refusal::BadRequest)?;
    Ok(Reply::ok(shown_once(call, id, &value)))
}

/// Everybody, for himself, with the two harmless scopes only.
fn create_own(call: &mut Call<'_>) -> Answer {
    let wish = wish(call, &scopes::SELF_SERVICE)?;
    let minted = call.gitlab.mint_personal(call.caller.user, wish, call.now, call.random);
    let (id, value) = minted.map_err(Refusal::Unprocessable)?;
    Ok(Reply::created(shown_once(call, id, &value)))
}

/// Administrators, for anybody, with all scopes.
fn create_for(call: &mut Call<'_>, id: &str) -> Answer {
    let id = number("user_id", id)?;
    if !call.gitlab.is_admin(call.caller) {
        return Err(Refusal::Forbidden);
    }
    let wish = wish(call, &scopes::of_users(&call.gitlab.settings))?;
    if !call.gitlab.users.contains_key(&id) {
        return Err(Refusal::NotFound("User"));
    }
    let minted = call.gitlab.mint_personal(id, wish, call.now, call.random);
    let (id, value) = minted.map_err(Refusal::Unprocessable)?;
    Ok(Reply::created(shown_once(call, id, &value)))
}

fn wish(call: &Call<'_>, allowed: &[&str]) -> Result<Wish, Refusal> {
    let mut params = Params::new(&call.request.params);
    let wish = Wish {
        name: params.required_text("name"),
        description: params.text("description"),
        scopes: params.required_list("scopes", allowed, true),
        expires_at: params.date("expires_at"),
    };
    params.finish()?;
    Ok(wish)
}

fn shown_once(call: &Call<'_>, id: u64, value: &Secret) -> Value {
    let token = call.gitlab.tokens.get(&id);
    let body = token.map_or(Value::Null, |token| present::personal(call.gitlab, token, call.now));
    present::with_value(body, value)
}
