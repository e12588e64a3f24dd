//! Which rules of the policy have to name somebody, so that they read some files and no others.

use std::collections::BTreeSet;

use crate::sops::{Policy, PolicyError};
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
    let of = |path: &str| policy.rule_with_other_readers(path).map(|rule| rule.position());
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
