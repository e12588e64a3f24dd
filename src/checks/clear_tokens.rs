//! Texts in the clear that look like GitLab tokens.

use super::finding::{Spot, line_of};

/// Prefixes of GitLab's tokens (docs.gitlab.com/security/tokens, "Token prefixes"). The old runner registration tokens
/// (`GR1348941…`) are left out: they have no separator, and could stand in any base64.
const PREFIXES: [&str; 14] = [
    "glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-",
    "glsoat-", "glffct-", "glwt-", "glrat-",
];

/// The shortest random part; older tokens have exactly this many characters.
const LENGTH: usize = 20;

/// Fewer different characters make a placeholder.
const VARIETY: usize = 6;

/// A finding for each.
pub(super) fn spots(path: &str, text: &str) -> Vec<Spot> {
    let spot = |(at, prefix)| {
        let what = format!("looks like a GitLab token in the clear ({prefix}…)");
        let mend = "take it out, and revoke it at GitLab: whoever has the repository has it";
        Spot::new(path, line_of(text, at), what, mend)
    };
    find(text).into_iter().map(spot).collect()
}

/// Where something looks like a token: its first byte, and its prefix. Nothing else of it is ever shown.
#[must_use]
pub(super) fn find(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("gl") {
        let rest = &text[at..];
        let Some(prefix) = PREFIXES.into_iter().find(|prefix| rest.starts_with(prefix)) else { continue };
        let is_inside_word =
            text[..at].ends_with(|char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-');
        if !is_inside_word && is_random(&rest[prefix.len()..]) {
            found.push((at, prefix));
        }
    }
    found
}

fn is_random(rest: &str) -> bool {
    let body = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte));
    let mut seen: Vec<u8> = body.collect();
    let length = seen.len();
    seen.sort_unstable();
    seen.dedup();
    length >= LENGTH && seen.len() >= VARIETY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_wherever_they_stand() {
        let token = "aB3dE5gH7jK9mN1pQ3sT";
        for text in [
            format!("k: glpat-{token}"),
            format!("# glpat-{token}"),
            format!("url: https://oauth2:gldt-{token}@gitlab.com"),
            format!("\"glpat-{token}.01.0z1x2c3v4\""),
            format!("glrt-t1_{token}"),
        ] {
            assert_eq!(find(&text).len(), 1, "{text}");
        }
    }

    #[test]
    fn placeholders_and_words_are_not_tokens() {
        let inside = "anglpat-aB3dE5gH7jK9mN1pQ3sT";
        for text in ["glpat-…", "glpat-xxxxxxxxxxxxxxxxxxxx", "glpat-short", inside, "global-state"] {
            assert_eq!(find(text), [], "{text}");
        }
    }
}
