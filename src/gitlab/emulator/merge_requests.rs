//! Merge requests of one project (`lib/api/merge_requests.rb` of GitLab): opened, closed, opened again, merged.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::{Opens, Word};
use super::branches::{code, code_mut, readable};
use super::clock::iso;
use super::code::{MergeRequest, RequestState};
use super::paging;
use super::present;
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::Params;
use super::route::{Answer, Call, Route};
use super::state::Resource;
use crate::token::Role;

const STATES: [&str; 5] = ["opened", "closed", "locked", "merged", "all"];

pub(super) fn route(method: &str, segments: &[&str]) -> Option<Route> {
    let ["projects", id, "merge_requests", rest @ ..] = segments else { return None };
    let id = (*id).to_owned();
    match (method, rest) {
        ("GET", []) => Route::new(Opens::Api, move |call| list(call, &id)),
        ("POST", []) => Route::new(Opens::Api, move |call| open(call, &id)),
        (_, [iid, rest @ ..]) => {
            let iid = (*iid).to_owned();
            match (method, rest) {
                ("GET", []) => Route::new(Opens::Api, move |call| show(call, &id, &iid)),
                ("PUT", []) => Route::new(Opens::Api, move |call| change(call, &id, &iid)),
                ("PUT", ["merge"]) => Route::new(Opens::Api, move |call| merge(call, &id, &iid)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A project whose branches the caller may push to: from Developer on.
fn writable(call: &Call<'_>, id: &str) -> Result<u64, Refusal> {
    let project = call.gitlab.find_resource(call.caller, Word::Project, id)?.id();
    let role = call.gitlab.role_in(call.caller, project).map_or(0, Role::access_level);
    if role >= Role::Developer.access_level() { Ok(project) } else { Err(Refusal::Forbidden) }
}

/// Where a request of this number is in the project.
fn place(call: &Call<'_>, project: u64, iid: &str) -> Result<usize, Refusal> {
    let found = code(call, project)?.requests.iter().position(|request| request.iid.to_string() == iid);
    found.ok_or(Refusal::RecordNotFound)
}

fn list(call: &mut Call<'_>, id: &str) -> Answer {
    let mut params = Params::new(&call.request.params);
    let state = params.choice("state", &STATES).filter(|state| state != "all");
    let source = params.text("source_branch");
    let target = params.text("target_branch");
    let from = params.integer("source_project_id");
    let ascending = params.choice("sort", &["asc", "desc"]).as_deref() == Some("asc");
    params.choice("order_by", &["created_at"]);
    params.finish()?;
    let project = readable(call, id)?;
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    let mut found: Vec<&MergeRequest> = code(call, project)?
        .requests
        .iter()
        .filter(|request| is(&state, request.state.as_str()))
        .filter(|request| is(&source, &request.source) && is(&target, &request.target))
        // Requests from forks are not known here.
        .filter(|_| from.is_none_or(|from| u64::try_from(from) == Ok(project)))
        .collect();
    found.sort_by_key(|request| (request.created_at, request.iid));
    if !ascending {
        found.reverse();
    }
    let rows = found.into_iter().map(|request| shown(call, project, request)).collect();
    paging::page(call.request, rows)
}

fn show(call: &mut Call<'_>, id: &str, iid: &str) -> Answer {
    let project = readable(call, id)?;
    answer(call, project, place(call, project, iid)?)
}

fn answer(call: &Call<'_>, project: u64, at: usize) -> Answer {
    let request = code(call, project)?.requests.get(at).ok_or(Refusal::RecordNotFound)?;
    Ok(Reply::ok(shown(call, project, request)))
}

fn open(call: &mut Call<'_>, id: &str) -> Answer {
    let mut params = Params::new(&call.request.params);
    let (source, target) = (params.required_text("source_branch"), params.required_text("target_branch"));
    let title = params.required_text("title");
    let description = params.text("description");
    params.finish()?;
    let project = writable(call, id)?;
    let (author, created_at) = (call.caller.user, call.now);
    let code = code_mut(call, project)?;
    let same = |one: &&MergeRequest| {
        one.state == RequestState::Opened && (&one.source, &one.target) == (&source, &target)
    };
    if let Some(other) = code.requests.iter().find(same) {
        let text =
            format!("Another open merge request already exists for this source branch: !{}", other.iid);
        return Err(Refusal::Conflict(json!([text])));
    }
    let sha = code.branches.get(&source).cloned();
    let iid = code.requests.len() as u64 + 1;
    code.requests.push(MergeRequest {
        iid,
        title,
        description,
        source,
        target,
        state: RequestState::Opened,
        sha,
        author,
        created_at,
        closed_at: None,
        merged_at: None,
    });
    let at = code.requests.len() - 1;
    answer(call, project, at).map(|reply| Reply { status: 201, ..reply })
}

fn change(call: &mut Call<'_>, id: &str, iid: &str) -> Answer {
    let mut params = Params::new(&call.request.params);
    let event = params.choice("state_event", &["close", "reopen"]);
    let (title, description) = (params.text("title"), params.text("description"));
    params.finish()?;
    if event.is_none() && title.is_none() && description.is_none() {
        let names = "assignee_id, assignee_ids, description, state_event, target_branch, title";
        return Err(Refusal::Invalid(vec![format!(
            "{names} are missing, at least one parameter must be provided"
        )]));
    }
    let project = writable(call, id)?;
    let (at, now) = (place(call, project, iid)?, call.now);
    let code = code_mut(call, project)?;
    let tips = code.branches.clone();
    if let Some(request) = code.requests.get_mut(at) {
        match (event.as_deref(), request.state) {
            (Some("close"), RequestState::Opened) => {
                (request.state, request.closed_at) = (RequestState::Closed, Some(now));
            }
            (Some("reopen"), RequestState::Closed) => {
                (request.state, request.closed_at) = (RequestState::Opened, None);
                request.sha = tips.get(&request.source).cloned().or(request.sha.take());
            }
            _ => {}
        }
        request.title = title.unwrap_or_else(|| request.title.clone());
        request.description = description.or_else(|| request.description.take());
    }
    answer(call, project, at)
}

/// The target branch is moved by git, which is elsewhere: here the request counts as merged.
fn merge(call: &mut Call<'_>, id: &str, iid: &str) -> Answer {
    let project = readable(call, id)?;
    let (at, now) = (place(call, project, iid)?, call.now);
    let role = call.gitlab.role_in(call.caller, project);
    let code = code_mut(call, project)?;
    let target = code.requests.get(at).map(|request| request.target.clone()).unwrap_or_default();
    if !code.may_merge(role, &target) {
        return Err(Refusal::Unauthorized);
    }
    match code.requests.get_mut(at).filter(|request| request.state == RequestState::Opened) {
        Some(request) => (request.state, request.merged_at) = (RequestState::Merged, Some(now)),
        None => return Err(Refusal::MethodNotAllowed),
    }
    answer(call, project, at)
}

/// `Entities::MergeRequestBasic`, without what needs a repository.
fn shown(call: &Call<'_>, project: u64, request: &MergeRequest) -> Value {
    let base = &call.request.base;
    let path = call.gitlab.place(Resource::Project(project)).map_or("", |(path, _)| path);
    let author = call.gitlab.users.get(&request.author).map(|user| present::user(user, base));
    let time = |time: Option<Timestamp>| time.map(iso);
    json!({
        "id": project * 1000 + request.iid,
        "iid": request.iid,
        "project_id": project,
        "title": request.title,
        "description": request.description,
        "state": request.state.as_str(),
        "created_at": iso(request.created_at),
        "updated_at": iso(request.merged_at.or(request.closed_at).unwrap_or(request.created_at)),
        "merged_at": time(request.merged_at),
        "closed_at": time(request.closed_at),
        "target_branch": request.target,
        "source_branch": request.source,
        "author": author,
        "source_project_id": project,
        "target_project_id": project,
        "labels": [],
        "draft": request.title.starts_with("Draft:"),
        "sha": request.sha,
        "merge_commit_sha": null,
        "squash_commit_sha": null,
        "web_url": format!("{base}/{path}/-/merge_requests/{}", request.iid),
        "squash": false,
    })
}
