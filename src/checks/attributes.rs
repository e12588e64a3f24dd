//! The policy's path expressions as patterns of `.gitattributes` (gitattributes(5), gitignore(5)).

/// A pattern that matches what `regex` does, or somewhat more; `None` where there is none. Known are literals, `[^/]+`
/// and `.*` with their quantifiers, `^` and `$`.
#[must_use]
pub fn pattern(regex: &str) -> Option<String> {
    let (anchored, body) = regex.strip_prefix('^').map_or((false, regex), |rest| (true, rest));
    let (ends, mut rest) = match body.strip_suffix('$') {
        Some(body) if !body.ends_with('\\') => (true, body),
        _ => (false, body),
    };
    let mut glob = String::new();
    while let Some(char) = rest.chars().next() {
        let wild = ["[^/]*", "[^/]+"].into_iter().find(|wild| rest.starts_with(wild));
        let any = [".*", ".+"].into_iter().find(|any| rest.starts_with(any));
        let (piece, length) = match (wild, any, char) {
            (Some(wild), _, _) => ("*".to_owned(), wild.len()),
            // Any folders, and then any name.
            (_, Some(any), _) if glob.is_empty() || glob.ends_with('/') => ("**/*".to_owned(), any.len()),
            (_, _, '\\') => {
                let escaped = rest[1..].chars().next().filter(char::is_ascii_punctuation)?;
                (escaped.to_string(), 1 + escaped.len_utf8())
            }
            (_, _, char) if char.is_alphanumeric() || "/-_".contains(char) => {
                (char.to_string(), char.len_utf8())
            }
            _ => return None,
        };
        rest = &rest[length..];
        glob.push_str(&piece);
    }
    // A quantifier or a glob character that came in as a literal would change the meaning.
    if glob.is_empty() || glob.contains(['?', '[', ']', '\\', '"', ' ', '!', '#']) {
        return None;
    }
    if !ends {
        glob.push_str(if glob.ends_with('/') { "**" } else { return None });
    }
    if anchored {
        return Some(format!("/{glob}"));
    }
    // Not anchored: the expression may be found in the middle of a name, too.
    let middle = if glob.starts_with(['/', '*']) { "" } else { "*" };
    Some(format!("**/{middle}{}", glob.trim_start_matches("**/").trim_start_matches('/')))
}

/// `text` with the lines that it lacks behind its last; `None` where it has them all. Every byte of it stays.
#[must_use]
pub fn with_lines(text: &str, lines: &[String]) -> Option<String> {
    let missing: Vec<&String> = lines.iter().filter(|line| !text.lines().any(|is| is == **line)).collect();
    if missing.is_empty() {
        return None;
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut new = text.to_owned();
    if !new.is_empty() && !new.ends_with('\n') {
        new.push_str(newline);
    }
    for line in missing {
        new.push_str(line);
        new.push_str(newline);
    }
    Some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_expressions_become_patterns() {
        for (regex, wanted) in [
            (r"^secrets/[^/]+\.sops\.yaml$", "/secrets/*.sops.yaml"),
            (r"^secrets/.*\.yaml$", "/secrets/**/*.yaml"),
            (r"^secrets/", "/secrets/**"),
            (r"\.sops\.yaml$", "**/*.sops.yaml"),
            (r".*\.enc\.json$", "**/*.enc.json"),
            (r"^a/[^/]+/b\.yaml$", "/a/*/b.yaml"),
        ] {
            assert_eq!(pattern(regex).as_deref(), Some(wanted), "{regex}");
        }
    }

    #[test]
    fn others_have_none() {
        for regex in ["", "^(a|b)/", "a?", "^a[bc]$", "^secrets", r"^a\d$", "a{2}$", r"^a b$", r"\*$ "] {
            assert_eq!(pattern(regex), None, "{regex}");
        }
    }

    #[test]
    fn lines_are_appended_once_and_nothing_else_changes() {
        let lines = ["b".to_owned(), "c".to_owned()];
        assert_eq!(with_lines("a\nb", &lines).as_deref(), Some("a\nb\nc\n"));
        assert_eq!(with_lines("a\r\n", &lines).as_deref(), Some("a\r\nb\r\nc\r\n"));
        assert_eq!(with_lines("", &lines).as_deref(), Some("b\nc\n"));
        assert_eq!(with_lines("c\n b\nb\n", &lines), None);
    }
}
