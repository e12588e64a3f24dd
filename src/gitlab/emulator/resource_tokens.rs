//! Group and project access tokens (`lib/api/resource_access_tokens.rb` of GitLab). The statuses are not uniform:
//! the same lack of rights is 401 on reading, 400 on creating and revoking, 401 on rotating.

use serde_json::Value;

use super::access::{Opens, Word};
use super::filter::Filter;
use super::mint::Wish;
use super::paging;
use super::present;
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::Params;
use super::route::{Answer, Call, Route};
use super::scopes;
use super::state::{Resource, Token, TokenOwner};
use crate::secret::Secret;
use crate::token::Role;

pub(super) fn route(method: &str, segments: &[&str]) -> Option<Route> {
    let [plural, id, "access_tokens", rest @ ..] = segments else { return None };
    let word = Word::from_plural(plural)?;
    let id = (*id).to_owned();
    match (method, rest) {
        ("GET", []) => Route::new(Opens::Api, move |call| list(call, word, &id)),
        ("POST", []) => Route::new(Opens::Api, move |call| create(call, word, &id)),
        ("POST", ["self", "rotate"]) => {
            Route::new(Opens::SelfRotate, move |call| rotate_self(call, word, &id))
        }
        (_, [token, rest @ ..]) => {
            let token = (*token).to_owned();
            match (method, rest) {
                ("GET", []) => Route::new(Opens::Api, move |call| show(call, word, &id, &token)),
                ("DELETE", []) => Route::new(Opens::Api, move |call| revoke(call, word, &id, &token)),
                ("POST", ["rotate"]) => Route::new(Opens::Api, move |call| rotate(call, word, &id, &token)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The token of this resource with this number; anything else is simply not found.
fn find<'a>(call: &'a Call<'_>, resource: Resource, id: &str) -> Option<&'a Token> {
    let token = call.gitlab.tokens.get(&id.parse().ok()?)?;
    (token.owner == TokenOwner::Resource(resource)).then_some(token)
}

fn list(call: &mut Call<'_>, word: Word, id: &str) -> Answer {
    let filter = Filter::read(call.request)?;
    let resource = call.gitlab.find_resource(call.caller, word, id)?;
    if !call.gitlab.may_read_tokens(call.caller, resource) {
        return Err(Refusal::Unauthorized);
    }
    let owner = TokenOwner::Resource(resource);
    let tokens = filter.apply(call.gitlab.tokens.values().filter(|token| token.owner == owner), call.now);
    let rows = tokens.into_iter().map(|token| present::token(call.gitlab, token, call.now)).collect();
    paging::page(call.request, rows)
}

fn show(call: &mut Call<'_>, word: Word, id: &str, token: &str) -> Answer {
    let resource = call.gitlab.find_resource(call.caller, word, id)?;
    if !call.gitlab.may_read_tokens(call.caller, resource) {
        return Err(Refusal::Unauthorized);
    }
    let token = find(call, resource, token).ok_or(Refusal::NotFound(word.token()))?;
    Ok(Reply::ok(present::token(call.gitlab, token, call.now)))
}

fn create(call: &mut Call<'_>, word: Word, id: &str) -> Answer {
    let levels: Vec<u8> =
        Role::ALL.into_iter().filter(|role| *role != Role::MinimalAccess).map(Role::access_level).collect();
    let mut params = Params::new(&call.request.params);
    let wish = Wish {
        name: params.required_text("name"),
        description: params.text("description"),
        scopes: params.required_list("scopes", &scopes::of_bots(&call.gitlab.settings), false),
        expires_at: params.date("expires_at"),
    };
    let level = params.level("access_level", &levels);
    params.finish()?;
    let role = level.and_then(Role::from_access_level).unwrap_or(Role::Maintainer);

    let resource = call.gitlab.find_resource(call.caller, word, id)?;
    if !call.gitlab.may_manage_tokens(call.caller, resource) {
        let word = resource.word();
        return bad_request(format!("User does not have permission to create {word} access token"));
    }
    if !call.gitlab.encompasses(call.caller, resource, role) {
        return bad_request("Access level of the token contains permissions not held by the creating user");
    }
    let minted = call.gitlab.mint_resource(resource, role, wish, call.now, call.random);
    let (id, value) = minted.map_err(Refusal::BadRequest)?;
    Ok(Reply::created(shown_once(call, id, &value)))
}

fn revoke(call: &mut Call<'_>, word: Word, id: &str, token: &str) -> Answer {
    let resource = call.gitlab.find_resource(call.caller, word, id)?;
    let token = find(call, resource, token).ok_or(Refusal::NotFound(word.token()))?;
    let (token, bot) = (token.id, token.user);
    if !call.gitlab.may_read_tokens(call.caller, resource) {
        let name = |user| call.gitlab.users.get(&user).map_or("", |user| user.name.as_str());
        return bad_request(format!("{} cannot delete {}", name(call.caller.user), name(bot)));
    }
    call.gitlab.revoke(token);
    Ok(Reply::no_content())
}

fn rotate(call: &mut Call<'_>, word: Word, id: &str, token: &str) -> Answer {
    let mut params = Params::new(&call.request.params);
    let expires_at = params.date("expires_at");
    params.finish()?;
    let resource = call.gitlab.find_resource(call.caller, word, id)?;
    let may = call.gitlab.may_manage_tokens(call.caller, resource);
    let found = find(call, resource, token).filter(|_| may).map(|token| token.id);
    let Some(id) = found else {
        // Only administrators are told whether the token exists.
        let admin = call.gitlab.is_admin(call.caller);
        return Err(if admin { Refusal::NotFound("") } else { Refusal::Unauthorized });
    };
    let revoked = call.gitlab.tokens.get(&id).is_some_and(|token| token.revoked);
    let role = call.gitlab.tokens.get(&id).and_then(|token| call.gitlab.role_of(token));
    if !revoked && !role.is_none_or(|role| call.gitlab.encompasses(call.caller, resource, role)) {
        return bad_request("Not eligible to rotate tokens with permissions not held by the user");
    }
    let rotated = call.gitlab.rotate(id, expires_at, call.now, call.random);
    let (id, value) = rotated.map_err(Refusal::BadRequest)?;
    Ok(Reply::ok(shown_once(call, id, &value)))
}

fn rotate_self(call: &mut Call<'_>, word: Word, id: &str) -> Answer {
    let mut params = Params::new(&call.request.params);
    let expires_at = params.date("expires_at");
    params.finish()?;
    if !call.gitlab.users.get(&call.caller.user).is_some_and(|user| user.bot) {
        return Err(Refusal::MethodNotAllowed);
    }
    let resource = call.gitlab.find_resource(call.caller, word, id)?;
    let own =
        call.gitlab.own_token(call.caller).filter(|token| token.owner == TokenOwner::Resource(resource));
    let own = own.ok_or(Refusal::Unauthorized)?.id;
    let rotated = call.gitlab.rotate(own, expires_at, call.now, call.random);
    let (id, value) = rotated.map_err(Refusal::BadRequest)?;
    Ok(Reply::ok(shown_once(call, id, &value)))
}

fn shown_once(call: &Call<'_>, id: u64, value: &Secret) -> Value {
    let body =
        call.gitlab.tokens.get(&id).map_or(Value::Null, |token| present::token(call.gitlab, token, call.now));
    present::with_value(body, value)
}

fn bad_request<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::BadRequest(reason.into()))
}
