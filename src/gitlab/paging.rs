//! Which page comes next: the `Link` header of a list (RFC 8288; GitLab's doc/api/rest, "Pagination").

use url::Url;

/// The most entries that GitLab puts on one page.
pub const PER_PAGE: usize = 100;

/// The most pages that are read of one list. A longer list is an error, never a shorter answer.
pub const PAGE_LIMIT: usize = 1000;

/// The target of `rel="next"` in a Link header, resolved against the page that it came with.
#[must_use]
pub fn next(link: &str, current: &Url) -> Option<Url> {
    let mut rest = link;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let parameters = &after[..after.find('<').unwrap_or(after.len())];
        if parameters.split([';', ',']).any(is_next) {
            return current.join(target.trim()).ok();
        }
        rest = after;
    }
    None
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let relations = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel")
        && relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_of(link: &str) -> Option<String> {
        let current = Url::parse("https://gitlab.example.com/api/v4/groups/7/access_tokens?page=1").unwrap();
        next(link, &current).map(String::from)
    }

    #[test]
    fn next_is_found_wherever_it_stands() {
        let two = "https://gitlab.example.com/api/v4/groups/7/access_tokens?page=2";
        for link in [
            format!("<{two}>; rel=\"next\""),
            format!(
                "<https://a.example/?page=1>; rel=\"first\", <{two}>; rel=\"next\", <https://a.example/?page=9>; rel=\"last\""
            ),
            format!("<https://a.example/?scopes=a,b>; rel=\"prev\",<{two}>;rel=next"),
            format!("<{two}>; title=\"x\"; rel=\"last next\""),
            "</api/v4/groups/7/access_tokens?page=2>; rel=\"next\"".to_owned(),
            "<?page=2>; REL=NEXT".to_owned(),
        ] {
            assert_eq!(next_of(&link).as_deref(), Some(two), "{link}");
        }
    }

    #[test]
    fn a_last_page_has_none() {
        for link in [
            "",
            "<https://a.example/?page=1>; rel=\"first\", <https://a.example/?page=1>; rel=\"last\"",
            "<https://a.example/?page=2>; rel=\"prev\"",
            "<https://a.example/?rel=next>",
            "<https://a.example/",
        ] {
            assert_eq!(next_of(link), None, "{link}");
        }
    }
}
