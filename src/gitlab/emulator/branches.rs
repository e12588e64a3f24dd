//! Branches and their protection (`lib/api/branches.rb`, `lib/api/protected_branches.rb` of GitLab).

use serde_json::{Value, json};

use super::access::{Opens, Word};
use super::code::{Code, Protected};
use super::paging;
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::Params;
use super::route::{Answer, Call, Route};
use super::state::Resource;
use crate::token::Role;

/// No one, Developer, Maintainer, administrators (`ProtectedRefAccess::ALLOWED_ACCESS_LEVELS`).
const LEVELS: [u8; 4] = [0, 30, 40, 60];

pub(super) fn route(method: &str, segments: &[&str]) -> Option<Route> {
    let ["projects", id, rest @ ..] = segments else { return None };
    let id = (*id).to_owned();
    match (method, rest) {
        ("GET", ["repository", "branches"]) => Route::new(Opens::Api, move |call| list(call, &id)),
        ("GET", ["repository", "branches", name @ ..]) => {
            let name = name.join("/");
            Route::new(Opens::Api, move |call| show(call, &id, &name))
        }
        ("GET", ["protected_branches"]) => Route::new(Opens::Api, move |call| protected(call, &id)),
        ("POST", ["protected_branches"]) => Route::new(Opens::Api, move |call| protect(call, &id)),
        ("GET", ["protected_branches", name]) => {
            let name = (*name).to_owned();
            Route::new(Opens::Api, move |call| show_protected(call, &id, &name))
        }
        ("DELETE", ["protected_branches", name]) => {
            let name = (*name).to_owned();
            Route::new(Opens::Api, move |call| unprotect(call, &id, &name))
        }
        _ => None,
    }
}

/// The number of a project whose code the caller may read. In a private project that begins with Reporter.
pub(super) fn readable(call: &Call<'_>, id: &str) -> Result<u64, Refusal> {
    let project = call.gitlab.find_resource(call.caller, Word::Project, id)?.id();
    let role = call.gitlab.role_in(call.caller, project).map_or(0, Role::access_level);
    let public = call.gitlab.projects.get(&project).is_some_and(|project| project.visibility.is_open());
    if public || role >= Role::Reporter.access_level() { Ok(project) } else { Err(Refusal::Forbidden) }
}

/// The number of a project that the caller administers (`authorize_admin_project`).
fn administered(call: &Call<'_>, id: &str) -> Result<u64, Refusal> {
    let project = call.gitlab.find_resource(call.caller, Word::Project, id)?.id();
    let role = call.gitlab.role_in(call.caller, project).map_or(0, Role::access_level);
    if role >= Role::Maintainer.access_level() { Ok(project) } else { Err(Refusal::Forbidden) }
}

/// What is known of a project's code.
pub(super) fn code<'a>(call: &'a Call<'_>, project: u64) -> Result<&'a Code, Refusal> {
    call.gitlab.projects.get(&project).map(|project| &project.code).ok_or(Refusal::RecordNotFound)
}

pub(super) fn code_mut<'a>(call: &'a mut Call<'_>, project: u64) -> Result<&'a mut Code, Refusal> {
    call.gitlab.projects.get_mut(&project).map(|project| &mut project.code).ok_or(Refusal::RecordNotFound)
}

fn list(call: &mut Call<'_>, id: &str) -> Answer {
    let mut params = Params::new(&call.request.params);
    let search = params.text("search");
    params.finish()?;
    let project = readable(call, id)?;
    let names = code(call, project)?.branches.keys();
    let names = names.filter(|name| search.as_ref().is_none_or(|text| name.contains(text.as_str())));
    let rows = names.map(|name| branch(call, project, name)).collect::<Result<_, _>>()?;
    paging::page(call.request, rows)
}

fn show(call: &mut Call<'_>, id: &str, name: &str) -> Answer {
    let project = readable(call, id)?;
    if !code(call, project)?.branches.contains_key(name) {
        return Err(Refusal::NotFound("Branch"));
    }
    Ok(Reply::ok(branch(call, project, name)?))
}

/// `Entities::Branch`, with what of the commit does not need a repository.
fn branch(call: &Call<'_>, project: u64, name: &str) -> Result<Value, Refusal> {
    let code = code(call, project)?;
    let role = call.gitlab.role_in(call.caller, project);
    let commit = code.branches.get(name);
    let path = call.gitlab.place(Resource::Project(project)).map_or("", |(path, _)| path);
    Ok(json!({
        "name": name,
        "commit": {"id": commit, "short_id": commit.and_then(|id| id.get(..8))},
        "merged": false,
        "protected": code.is_protected(name),
        "developers_can_push": code.is_protected(name) && code.may_push(Some(Role::Developer), name),
        "developers_can_merge": code.is_protected(name) && code.may_merge(Some(Role::Developer), name),
        "can_push": code.may_push(role, name),
        "default": code.default_branch.as_deref() == Some(name),
        "web_url": format!("{}/{path}/-/tree/{name}", call.request.base),
    }))
}

fn protected(call: &mut Call<'_>, id: &str) -> Answer {
    let project = administered(call, id)?;
    paging::page(call.request, code(call, project)?.protected.iter().map(rule).collect())
}

fn show_protected(call: &mut Call<'_>, id: &str, name: &str) -> Answer {
    let project = administered(call, id)?;
    let found = code(call, project)?.protected.iter().find(|rule| rule.name == name);
    Ok(Reply::ok(rule(found.ok_or(Refusal::RecordNotFound)?)))
}

fn protect(call: &mut Call<'_>, id: &str) -> Answer {
    let mut params = Params::new(&call.request.params);
    let name = params.required_text("name");
    let push = params.level("push_access_level", &LEVELS).unwrap_or(40);
    let merge = params.level("merge_access_level", &LEVELS).unwrap_or(40);
    params.finish()?;
    let project = administered(call, id)?;
    let code = code_mut(call, project)?;
    if code.protected.iter().any(|rule| rule.name == name) {
        return Err(Refusal::Conflict(json!(format!("Protected branch '{name}' already exists"))));
    }
    Ok(Reply::created(rule(code.protect(&name, push, merge))))
}

fn unprotect(call: &mut Call<'_>, id: &str, name: &str) -> Answer {
    let project = administered(call, id)?;
    let protected = &mut code_mut(call, project)?.protected;
    let at = protected.iter().position(|rule| rule.name == name).ok_or(Refusal::RecordNotFound)?;
    protected.remove(at);
    Ok(Reply::no_content())
}

/// `Entities::ProtectedBranch`.
fn rule(rule: &Protected) -> Value {
    let level = |level: u8| {
        let text = match level {
            0 => "No one",
            30 => "Developers + Maintainers",
            40 => "Maintainers",
            _ => "Instance admins",
        };
        json!([{"id": rule.id, "access_level": level, "access_level_description": text,
                "deploy_key_id": null, "user_id": null, "group_id": null}])
    };
    json!({
        "id": rule.id,
        "name": rule.name,
        "push_access_levels": level(rule.push),
        "merge_access_levels": level(rule.merge),
        "allow_force_push": false,
    })
}
