//! Looking up groups, projects, members, users, and the instance itself.

use serde_json::{Value, json};

use super::access::{Opens, Word};
use super::paging;
use super::present;
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::Params;
use super::route::{Answer, Call, Route};
use super::state::Resource;

pub(super) fn route(method: &str, segments: &[&str]) -> Option<Route> {
    if method != "GET" {
        return None;
    }
    match segments {
        ["version"] => Route::new(Opens::ReadUser, version),
        ["metadata"] => Route::new(Opens::ReadUser, metadata),
        ["user"] => Route::new(Opens::ReadUser, current_user),
        ["users"] => Route::new(Opens::ReadUser, users),
        ["users", id] => {
            let id = (*id).to_owned();
            Route::new(Opens::ReadUser, move |call| user(call, &id))
        }
        [plural, id] => {
            let (word, id) = (Word::from_plural(plural)?, (*id).to_owned());
            Route::new(Opens::Api, move |call| resource(call, word, &id))
        }
        [plural, id, "members", "all", user] => {
            let (word, id, user) = (Word::from_plural(plural)?, (*id).to_owned(), (*user).to_owned());
            Route::new(Opens::Api, move |call| member(call, word, &id, &user))
        }
        _ => None,
    }
}

/// Names no real commit: the revision is that of an emulator.
const REVISION: &str = "00000000000";

fn version(call: &mut Call<'_>) -> Answer {
    Ok(Reply::ok(json!({"version": call.gitlab.settings.version, "revision": REVISION})))
}

fn metadata(call: &mut Call<'_>) -> Answer {
    let version = &call.gitlab.settings.version;
    Ok(Reply::ok(json!({
        "version": version,
        "revision": REVISION,
        "kas": {"enabled": false, "externalUrl": null, "externalK8sProxyUrl": null, "version": null},
        "enterprise": version.ends_with("-ee"),
    })))
}

fn current_user(call: &mut Call<'_>) -> Answer {
    let user = call.gitlab.users.get(&call.caller.user).ok_or(Refusal::Unauthorized)?;
    Ok(Reply::ok(present::current_user(user, &call.request.base)))
}

fn users(call: &mut Call<'_>) -> Answer {
    let mut params = Params::new(&call.request.params);
    let username = params.text("username");
    params.finish()?;
    let base = &call.request.base;
    let rows: Vec<Value> = match username {
        Some(name) => {
            call.gitlab.user_by_name(&name).into_iter().map(|user| present::user(user, base)).collect()
        }
        None => call.gitlab.users.values().map(|user| present::user(user, base)).collect(),
    };
    paging::page(call.request, rows)
}

fn user(call: &mut Call<'_>, id: &str) -> Answer {
    let id: u64 = id.parse().map_err(|_| Refusal::Invalid(vec!["id is invalid".to_owned()]))?;
    let user = call.gitlab.users.get(&id).ok_or(Refusal::NotFound("User"))?;
    Ok(Reply::ok(present::user(user, &call.request.base)))
}

fn resource(call: &mut Call<'_>, word: Word, id: &str) -> Answer {
    let base = &call.request.base;
    let body = match call.gitlab.find_resource(call.caller, word, id)? {
        Resource::Group(id) => {
            call.gitlab.groups.get(&id).map(|group| present::group(call.gitlab, group, base))
        }
        Resource::Project(id) => {
            call.gitlab.projects.get(&id).map(|project| present::project(call.gitlab, project, base))
        }
    };
    Ok(Reply::ok(body.ok_or(Refusal::RecordNotFound)?))
}

fn member(call: &mut Call<'_>, word: Word, id: &str, user: &str) -> Answer {
    let user: u64 = user.parse().map_err(|_| Refusal::Invalid(vec!["user_id is invalid".to_owned()]))?;
    let resource = call.gitlab.find_resource(call.caller, word, id)?;
    let member = call.gitlab.membership(user, resource).ok_or(Refusal::RecordNotFound)?;
    let user = call.gitlab.users.get(&user).ok_or(Refusal::RecordNotFound)?;
    Ok(Reply::ok(present::member(member, user, &call.request.base)))
}
