//! The `path_regex` of the policy's rules: which files they cover, and which rules no file ever reaches.

use crate::sops::Pattern;
use crate::yaml::{Node, Tree};

/// One creation rule, as far as paths are concerned.
#[derive(Clone, Debug)]
pub struct PathRule {
    /// Its line in the policy.
    pub line: usize,
    /// `None` matches every file.
    pub pattern: Option<Pattern>,
}

/// The rules of a policy that `Policy::parse` accepts; none of one that it does not.
#[must_use]
pub fn path_rules(policy: &str) -> Vec<PathRule> {
    let Ok(tree) = Tree::parse(policy) else { return Vec::new() };
    let rules = tree.root().and_then(|root| root.get("creation_rules")?.as_sequence());
    let rules = rules.into_iter().flat_map(|rules| rules.items().collect::<Vec<_>>());
    let rules = rules.map(|rule| {
        let regex = rule.get("path_regex").and_then(Node::as_str).filter(|regex| !regex.is_empty());
        PathRule { line: rule.position().line, pattern: regex.and_then(|regex| Pattern::new(regex).ok()) }
    });
    rules.collect()
}

/// The rule for a file: the first that matches.
#[must_use]
pub fn rule_for<'r>(rules: &'r [PathRule], path: &str) -> Option<&'r PathRule> {
    rules.iter().find(|rule| rule.pattern.as_ref().is_none_or(|pattern| pattern.is_match(path)))
}

/// Whether a rule names this file by a `path_regex`; a rule without one says nothing about which files are secret.
#[must_use]
pub fn covers(rules: &[PathRule], path: &str) -> bool {
    rule_for(rules, path).is_some_and(|rule| rule.pattern.is_some())
}

/// Rules that no file reaches, each with the earlier rule that takes all of its files. Only what can be shown is said:
/// the earlier one matches everything, has the same text, or is a literal (with `^` and `$` or without) that every path
/// of the later one must contain at that place.
#[must_use]
pub fn hidden(rules: &[PathRule]) -> Vec<(&PathRule, &PathRule)> {
    let mut hidden = Vec::new();
    for (at, later) in rules.iter().enumerate() {
        if let Some(earlier) = rules[..at].iter().find(|earlier| hides(earlier, later)) {
            hidden.push((later, earlier));
        }
    }
    hidden
}

fn hides(earlier: &PathRule, later: &PathRule) -> bool {
    let Some(earlier) = &earlier.pattern else { return true };
    let Some(later) = &later.pattern else { return false };
    if earlier == later {
        return true;
    }
    let (Some(all), Some(some)) = (Shape::of(earlier.as_str()), Shape::of(later.as_str())) else {
        return false;
    };
    let ([literal], true) = (all.runs.as_slice(), all.exact) else { return false };
    match (all.starts, all.ends) {
        (false, false) => some.runs.iter().any(|run| run.contains(literal.as_str())),
        (true, false) => {
            some.starts && some.runs.first().is_some_and(|run| run.starts_with(literal.as_str()))
        }
        (false, true) => some.ends && some.runs.last().is_some_and(|run| run.ends_with(literal.as_str())),
        (true, true) => some.starts && some.ends && some.exact && some.runs == all.runs,
    }
}

/// What every text that a pattern matches must contain, in order: literals with anything between them.
struct Shape {
    /// The first literal stands at the start of the path.
    starts: bool,
    /// The last literal stands at its end.
    ends: bool,
    /// There is one literal and nothing else.
    exact: bool,
    runs: Vec<String>,
}

impl Shape {
    /// `None` where alternatives or flags leave nothing certain.
    fn of(pattern: &str) -> Option<Self> {
        if pattern.contains('|') || pattern.contains("(?") || pattern.contains("\\Q") {
            return None;
        }
        let (starts, body) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
        let (ends, body) = match body.strip_suffix('$') {
            Some(rest) if !rest.ends_with('\\') => (true, rest),
            _ => (false, body),
        };
        let mut runs = vec![String::new()];
        let mut chars = body.chars().peekable();
        let mut depth = 0_usize;
        while let Some(char) = chars.next() {
            let literal = match char {
                '\\' => chars.next().filter(|escaped| !escaped.is_ascii_alphanumeric()),
                '[' => {
                    skip_class(&mut chars)?;
                    None
                }
                '(' => {
                    depth += 1;
                    None
                }
                ')' => {
                    depth = depth.checked_sub(1)?;
                    None
                }
                '.' | '^' | '$' | '*' | '+' | '?' => None,
                '{' => {
                    chars.by_ref().find(|char| *char == '}')?;
                    None
                }
                char => Some(char),
            };
            let repeated = chars.peek().is_some_and(|next| ['*', '+', '?', '{'].contains(next));
            match literal.filter(|_| depth == 0 && !repeated) {
                Some(literal) => runs.last_mut()?.push(literal),
                None => runs.push(String::new()),
            }
        }
        // An empty run at an edge means that something else stands there.
        let starts = starts && !runs.first()?.is_empty();
        let ends = ends && !runs.last()?.is_empty();
        let exact = runs.len() == 1;
        runs.retain(|run| !run.is_empty());
        (!runs.is_empty()).then_some(Self { starts, ends, exact, runs })
    }
}

fn skip_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    chars.next_if_eq(&'^');
    chars.next_if_eq(&']');
    loop {
        match chars.next()? {
            '\\' => drop(chars.next()),
            ']' => return Some(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(patterns: &[&str]) -> Vec<PathRule> {
        let rules = patterns.iter().map(|pattern| format!("- path_regex: '{pattern}'\n  age: x\n"));
        path_rules(&format!("creation_rules:\n{}", rules.collect::<String>()))
    }

    fn is_hidden(earlier: &str, later: &str) -> bool {
        !hidden(&rules(&[earlier, later])).is_empty()
    }

    #[test]
    fn a_rule_behind_one_that_takes_all_its_files_is_hidden() {
        for (earlier, later) in [
            ("", "^a$"),
            ("", ""),
            ("a|b", "a|b"),
            ("secrets/", "^secrets/qa"),
            ("secrets", "^x/[^/]+/secrets/.*$"),
            ("^secrets/", "^secrets/qa/.*\\.yaml$"),
            ("\\.yaml$", "^secrets/[^/]+\\.sops\\.yaml$"),
            ("^a$", "^a$"),
        ] {
            assert!(is_hidden(earlier, later), "{earlier} before {later}");
        }
    }

    #[test]
    fn what_cannot_be_shown_is_not_said() {
        for (earlier, later) in [
            ("^secrets/qa/", "^secrets/"),
            ("^secrets/", "secrets/qa"),
            ("^secrets/qa/", "^secrets/qa?/"),
            ("^ab", "^ab*"),
            ("^a", "^(a|b)"),
            ("^a", "^(?i)a"),
            ("\\.yaml$", "\\.yaml"),
            ("\\.yaml$", "\\.yamlx?$"),
            ("a.b", "axb"),
            ("ab.", "abx"),
            ("^a$", "^ab$"),
            ("b", "(a)b?"),
            ("^secrets/[^/]+$", "^secrets/x$"),
            ("x", ""),
        ] {
            assert!(!is_hidden(earlier, later), "{earlier} before {later}");
        }
    }

    #[test]
    fn a_file_is_covered_by_a_rule_with_a_path_and_the_first_that_matches_decides() {
        let rules = rules(&["^secrets/", "", "^other/"]);
        assert!(covers(&rules, "secrets/qa.yaml"));
        assert!(!covers(&rules, "other/qa.yaml"));
        assert_eq!(rule_for(&rules, "secrets/qa.yaml").unwrap().line, 2);
        assert_eq!(rule_for(&rules, "other/x").unwrap().line, 4);
    }
}
