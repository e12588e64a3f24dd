//! The `path_regex` of the policy's rules: which files they cover.

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

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(patterns: &[&str]) -> Vec<PathRule> {
        let rules = patterns.iter().map(|pattern| format!("- path_regex: '{pattern}'\n  age: x\n"));
        path_rules(&format!("creation_rules:\n{}", rules.collect::<String>()))
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
