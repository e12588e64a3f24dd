//! From a request to its reply: find the route, authenticate, act. Pure: state, request, time and random bytes come
//! in, a reply goes out. A further kind of credential is a further file with a `route` function, named in [`find`].

use jiff::Timestamp;

use super::access::{Caller, Door, Opens};
use super::mint::Random;
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::Request;
use super::state::GitLab;
use super::{branches, directory, merge_requests, personal_tokens, repository, resource_tokens};
use crate::secret::Secret;

/// What a route works with.
pub(super) struct Call<'a> {
    pub(super) gitlab: &'a mut GitLab,
    pub(super) request: &'a Request,
    pub(super) now: Timestamp,
    pub(super) random: &'a Random,
    pub(super) caller: Caller,
}

/// What a route ends with.
pub(super) type Answer = Result<Reply, Refusal>;

/// One route: the scopes that open it and what it does.
pub(super) struct Route {
    opens: Opens,
    act: Box<dyn FnOnce(&mut Call<'_>) -> Answer>,
}

impl Route {
    pub(super) fn new(opens: Opens, act: impl FnOnce(&mut Call<'_>) -> Answer + 'static) -> Option<Self> {
        Some(Self { opens, act: Box::new(act) })
    }
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

fn find(method: &str, segments: &[&str]) -> Option<Route> {
    resource_tokens::route(method, segments)
        .or_else(|| personal_tokens::route(method, segments))
        .or_else(|| repository::route(method, segments))
        .or_else(|| branches::route(method, segments))
        .or_else(|| merge_requests::route(method, segments))
        .or_else(|| directory::route(method, segments))
}

/// Whom a handled request came from: for the log.
pub(super) struct Handled {
    pub(super) reply: Reply,
    pub(super) user: Option<u64>,
}

/// Handles one request. Routing comes before authentication and authentication before validation, as in Grape.
pub(super) fn handle(gitlab: &mut GitLab, request: &Request, now: Timestamp, random: &Random) -> Handled {
    let mut user = None;
    let reply =
        answer(gitlab, request, now, random, &mut user).unwrap_or_else(|refusal| refusal.into_reply(now));
    Handled { reply, user }
}

fn answer(
    gitlab: &mut GitLab,
    request: &Request,
    now: Timestamp,
    random: &Random,
    user: &mut Option<u64>,
) -> Answer {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let Some(route) = find(&request.method, &segments) else {
        let elsewhere = METHODS.iter().any(|method| find(method, &segments).is_some());
        return Err(if elsewhere { Refusal::NoMethod } else { Refusal::NoRoute });
    };
    let door =
        Door { opens: route.opens, reading: request.method == "GET", rotating: is_rotation(&request.path) };
    let value = request.credential.as_ref().map(Secret::expose);
    let caller = gitlab.authenticate(value, now, door)?;
    *user = Some(caller.user);
    (route.act)(&mut Call { gitlab, request, now, random, caller })
}

/// GitLab's pattern for reuse detection: `access_tokens/(\d+|self)/rotate$`.
fn is_rotation(path: &str) -> bool {
    let mut segments = path.rsplit('/');
    let last = [segments.next(), segments.next(), segments.next()];
    let [Some("rotate"), Some(id), Some(list)] = last else { return false };
    list.ends_with("access_tokens")
        && (id == "self" || (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rotate_routes_look_for_reuse() {
        assert!(is_rotation("/groups/7/access_tokens/12/rotate"));
        assert!(is_rotation("/personal_access_tokens/self/rotate"));
        assert!(!is_rotation("/personal_access_tokens/self"));
        assert!(!is_rotation("/groups/7/access_tokens/x1/rotate"));
        assert!(!is_rotation("/rotate"));
    }
}
