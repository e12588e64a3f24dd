//! What is wrong with a repository's secrets files and the files that say what they should be, as a table of named
//! checks. Nothing here needs a key or the network.

use crate::lock::{Lock, LockError};
use crate::profile::{Environment, ProfileError};
use crate::sops::{DocumentError, Encrypted, Policy, PolicyError};
use crate::template::{Template, TemplateError};

use super::finding::{Finding, Severity, Spot};
use super::rules::{PathRule, path_rules};
use super::{own_files, secrets};

/// A secrets file, or one that should be.
#[derive(Debug)]
pub struct File {
    /// Relative to the repository root.
    pub path: String,
    /// Its text; bytes that are not UTF-8 replaced.
    pub text: String,
    /// What it is.
    pub parsed: Result<Encrypted, DocumentError>,
    /// It belongs to one person (`recipients: self`), so that the policy says nothing about it.
    pub personal: bool,
    /// git tracks it although a profile says `commit: false`.
    pub should_be_untracked: bool,
}

/// A file that a person writes, or that we write for review.
#[derive(Debug)]
pub struct Source<T> {
    /// Relative to the repository root.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What it says.
    pub read: T,
}

/// All that the checks look at.
#[derive(Debug, Default)]
pub struct Observed {
    /// `.sops.yaml`.
    pub policy: Option<Source<Result<Policy, PolicyError>>>,
    /// Where its rules stand, and which paths they match.
    pub rules: Vec<PathRule>,
    /// Secrets files.
    pub files: Vec<File>,
    /// Profiles.
    pub profiles: Vec<Source<Result<Environment, ProfileError>>>,
    /// Templates.
    pub templates: Vec<Source<Result<Template, TemplateError>>>,
    /// Locks.
    pub locks: Vec<Source<Result<Lock, LockError>>>,
}

impl Observed {
    /// With this policy and nothing else yet.
    #[must_use]
    pub fn with_policy(policy: Option<(String, String)>) -> Self {
        let rules = policy.as_ref().map(|(_, text)| path_rules(text)).unwrap_or_default();
        let policy = policy.map(|(path, text)| {
            let read = Policy::parse(&text);
            Source { path, text, read }
        });
        Self { policy, rules, ..Self::default() }
    }
}

/// One check: its name in reports, how bad its findings are, and what finds them.
pub struct Check {
    /// Stable, for Code Quality reports.
    pub name: &'static str,
    severity: Severity,
    find: fn(&Observed) -> Vec<Spot>,
}

/// Finds readers whom the policy has and a file has not yet: nobody reads who should not.
pub const MISSING_READERS: &str = "recipients-missing";

/// All checks, in the order in which they are explained.
pub const CHECKS: [Check; 16] = [
    Check { name: "policy-readable", severity: Severity::Critical, find: own_files::policy },
    Check { name: "policy-hidden-rule", severity: Severity::Minor, find: own_files::hidden_rules },
    Check { name: "profile-valid", severity: Severity::Major, find: own_files::profiles },
    Check { name: "template-valid", severity: Severity::Major, find: own_files::templates },
    Check { name: "lock-readable", severity: Severity::Major, find: own_files::locks },
    Check { name: "file-encrypted", severity: Severity::Blocker, find: secrets::not_encrypted },
    Check { name: "file-readable", severity: Severity::Critical, find: secrets::not_readable },
    Check { name: "file-untracked", severity: Severity::Major, find: secrets::tracked },
    Check { name: "value-encrypted", severity: Severity::Blocker, find: secrets::clear_values },
    Check { name: "value-clear", severity: Severity::Minor, find: secrets::stray_ciphertext },
    Check { name: "mac-present", severity: Severity::Critical, find: secrets::no_mac },
    Check { name: "recipients", severity: Severity::Critical, find: secrets::recipients },
    Check { name: MISSING_READERS, severity: Severity::Major, find: secrets::missing_readers },
    Check { name: "rule", severity: Severity::Major, find: secrets::rule },
    Check { name: "lock-agrees", severity: Severity::Major, find: own_files::slots },
    Check { name: "clear-token", severity: Severity::Blocker, find: own_files::clear_tokens },
];

/// Whether a check is about what `rekey` mends, or about what keeps it from comparing a file with the policy.
#[must_use]
pub fn is_about_readers(check: &str) -> bool {
    let others = ["policy-readable", "policy-hidden-rule", "file-readable", "recipients", "rule"];
    check == MISSING_READERS || others.contains(&check)
}

/// Everything that is wrong, by file and line.
#[must_use]
pub fn findings(observed: &Observed) -> Vec<Finding> {
    let of = |check: &Check| {
        let (name, severity) = (check.name, check.severity);
        (check.find)(observed).into_iter().map(move |spot| spot.named(name, severity))
    };
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(of).collect();
    findings.sort();
    findings
}

#[cfg(test)]
#[path = "repository_tests.rs"]
mod tests;
