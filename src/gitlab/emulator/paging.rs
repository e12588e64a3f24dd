//! Offset pagination: `page`, `per_page`, and the headers (`doc/api/rest/_index.md` of GitLab).

use serde_json::Value;
use url::form_urlencoded;

use super::refusal::Refusal;
use super::reply::Reply;
use super::request::{Params, Request};

const DEFAULT: usize = 20;
const MAX: usize = 100;
/// Above this many rows GitLab no longer counts.
const COUNTED: usize = 10_000;

/// One page of `rows` as a 200.
///
/// # Errors
/// 400 where `page` or `per_page` is no number or below one.
pub(super) fn page(request: &Request, rows: Vec<Value>) -> Result<Reply, Refusal> {
    let mut params = Params::new(&request.params);
    let page = params.integer("page").unwrap_or(1);
    let per_page = params.integer("per_page").unwrap_or(DEFAULT as i64);
    params.finish()?;
    let positive = |name: &str, number: i64| {
        usize::try_from(number)
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| Refusal::Invalid(vec![format!("{name} does not have a valid value")]))
    };
    let page = positive("page", page)?;
    let per_page = positive("per_page", per_page)?.min(MAX);
    let total = rows.len();
    let pages = total.div_ceil(per_page).max(1);
    let next = (page < pages).then(|| page + 1);
    let previous = (page > 1).then(|| page - 1);
    let rows: Vec<Value> =
        rows.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();

    let counted = total <= COUNTED;
    let mut links: Vec<String> = Vec::new();
    let mut link = |rel: &str, to: Option<usize>| {
        links.extend(to.map(|to| format!(r#"<{}>; rel="{rel}""#, url(request, to, per_page))));
    };
    link("prev", previous);
    link("next", next);
    link("first", Some(1));
    link("last", counted.then_some(pages));
    let text = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
    let mut reply = Reply::ok(Value::Array(rows))
        .with("link", links.join(", "))
        .with("x-page", page.to_string())
        .with("x-per-page", per_page.to_string())
        .with("x-next-page", text(next))
        .with("x-prev-page", text(previous));
    if counted {
        reply = reply.with("x-total", total.to_string()).with("x-total-pages", pages.to_string());
    }
    Ok(reply)
}

/// The address of another page: the same query with `page` and `per_page` set.
fn url(request: &Request, page: usize, per_page: usize) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (key, value) in &request.query {
        if !matches!(key.as_str(), "page" | "per_page" | "private_token" | "access_token") {
            query.append_pair(key, value);
        }
    }
    query.append_pair("page", &page.to_string()).append_pair("per_page", &per_page.to_string());
    format!("{}/api/v4{}?{}", request.base, request.path, query.finish())
}
