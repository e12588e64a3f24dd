//! Files of a project's repository, for programs that read them with a token that was made here (`lib/api/files.rb` of
//! GitLab). There is one branch, `main`, and it is the seed's.

use super::access::{Opens, Word};
use super::refusal::Refusal;
use super::reply::{Body, Reply};
use super::request::Params;
use super::route::{Answer, Call, Route};
use super::state::{Resource, Visibility};
use crate::token::Role;

pub(super) fn route(method: &str, segments: &[&str]) -> Option<Route> {
    let ("GET", ["projects", id, "repository", "files", path, "raw"]) = (method, segments) else {
        return None;
    };
    let (id, path) = ((*id).to_owned(), (*path).to_owned());
    Route::new(Opens::Repository, move |call| raw(call, &id, &path))
}

fn raw(call: &mut Call<'_>, id: &str, path: &str) -> Answer {
    let mut params = Params::new(&call.request.params);
    let commit = params.text("ref").unwrap_or_else(|| "HEAD".to_owned());
    params.finish()?;
    let resource = call.gitlab.find_resource(call.caller, Word::Project, id)?;
    let project = match resource {
        Resource::Project(id) => call.gitlab.projects.get(&id),
        Resource::Group(_) => None,
    };
    let project = project.ok_or(Refusal::NotFound("Project"))?;
    let level = call.gitlab.role(call.caller, resource).map_or(0, Role::access_level);
    if project.visibility == Visibility::Private && level < Role::Reporter.access_level() {
        return Err(Refusal::Forbidden);
    }
    if !["main", "HEAD"].contains(&commit.as_str()) {
        return Err(Refusal::NotFound("Commit"));
    }
    let text = project.files.get(path).ok_or(Refusal::NotFound("File"))?;
    Ok(Reply { status: 200, headers: Vec::new(), body: Body::Text(text.clone()) })
}
