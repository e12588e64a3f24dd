//! Which rules of the policy have to name somebody, so that they read some files and no others.

use std::collections::BTreeSet;

use crate::sops::{Policy, PolicyError, Rule};
use crate::yaml::Position;

/// Why there are no such rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// No rule is for one of the files, or it cannot be followed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A rule would let them read more.
    #[error("the rule in line {} of .sops.yaml is for {} too", rule.line, others.join(", "))]
    TooWide {
        /// The rule.
        rule: Position,
        /// Files that were not meant.
        others: Vec<String>,
    },
}

/// The rules of the files in `wanted`, none of which is for any other of `files`.
///
/// # Errors
/// [`AdmissionError`].
pub fn rules(
    policy: &Policy,
    wanted: &BTreeSet<String>,
    files: &[String],
) -> Result<Vec<Position>, AdmissionError> {
    let of = |path: &str| policy.rule_for(path).map(Rule::position);
    let mut rules = Vec::new();
    for path in wanted {
        let Some(rule) = of(path)? else { continue };
        if rules.contains(&rule) {
            continue;
        }
        let is_other = |path: &&String| !wanted.contains(*path) && of(path) == Ok(Some(rule));
        let others: Vec<String> = files.iter().filter(is_other).cloned().collect();
        if !others.is_empty() {
            return Err(AdmissionError::TooWide { rule, others });
        }
        rules.push(rule);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::generate_identity;

    #[test]
    fn a_rule_counts_where_it_is_for_wanted_files_alone() {
        let (_, ana) = generate_identity();
        let text = format!(
            "creation_rules:\n  - path_regex: ^qa\n    age: {ana}\n  - path_regex: ^d\n    age: {ana}\n"
        );
        let policy = Policy::parse(&text).unwrap();
        let files = ["qa.yaml", "dev.yaml", "demo.yaml"].map(str::to_owned);
        let of = |wanted: &[&str]| {
            let wanted = wanted.iter().map(|&path| path.to_owned()).collect();
            rules(&policy, &wanted, &files)
                .map(|rules| rules.iter().map(|rule| rule.line).collect::<Vec<_>>())
        };
        assert_eq!(of(&["qa.yaml"]), Ok(vec![2]));
        assert_eq!(of(&["qa.yaml", "dev.yaml", "demo.yaml"]), Ok(vec![4, 2]));
        let others = vec!["demo.yaml".to_owned()];
        assert_eq!(
            of(&["dev.yaml"]),
            Err(AdmissionError::TooWide { rule: Position { line: 4, column: 5 }, others })
        );
        assert!(matches!(of(&["x"]), Err(AdmissionError::Policy(_))));
    }
}
