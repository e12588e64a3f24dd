//! What is wrong with a repository's secrets files and the files that say what they should be, as a table of named
//! checks. Nothing here needs a key or the network.

use std::collections::{BTreeMap, BTreeSet};

use crate::lock::{Lock, LockError, digest};
use crate::profile::{Environment, ProfileError};
use crate::sops::{DocumentError, Encrypted, Path, Policy, PolicyError};
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
    /// The policy below the root that is nearer to it, so that the one at the root says nothing about it either.
    pub nested: Option<String>,
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

/// The files that say what secrets files should be.
#[derive(Debug, Default)]
pub struct Own {
    /// `.sops.yaml`.
    pub policy: Option<Source<Result<Policy, PolicyError>>>,
    /// Where its rules stand, and which paths they match.
    pub rules: Vec<PathRule>,
    /// Profiles.
    pub profiles: Vec<Source<Result<Environment, ProfileError>>>,
    /// Templates.
    pub templates: Vec<Source<Result<Template, TemplateError>>>,
    /// Locks.
    pub locks: Vec<Source<Result<Lock, LockError>>>,
}

impl Own {
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

/// What is left of a secrets file once it was looked at: there may be thousands.
#[derive(Debug)]
pub struct Judged {
    /// Relative to the repository root.
    pub path: String,
    pub(super) personal: bool,
    pub(super) nested: Option<String>,
    /// Digests of those leaves that locks remember and the file has; `None` where it cannot be read.
    pub(super) leaves: Option<BTreeMap<Path, String>>,
    findings: Vec<Finding>,
}

/// Looks at secrets files one by one, on any thread, and in the end at everything together.
pub struct Judge<'o> {
    own: &'o Own,
    /// The leaves that locks remember, by file.
    remembered: BTreeMap<&'o str, BTreeSet<&'o Path>>,
}

impl<'o> Judge<'o> {
    /// By what these files say.
    #[must_use]
    pub fn by(own: &'o Own) -> Self {
        let mut remembered: BTreeMap<&str, BTreeSet<&Path>> = BTreeMap::new();
        let locks = own.locks.iter().filter_map(|source| source.read.as_ref().ok());
        for (file, slots) in locks.flat_map(|lock| lock.tokens.values()).flat_map(|entry| &entry.slots) {
            remembered.entry(file).or_default().extend(slots.keys());
        }
        Self { own, remembered }
    }

    /// What is wrong with one secrets file.
    #[must_use]
    pub fn file(&self, file: &File) -> Judged {
        let findings = CHECKS.iter().flat_map(|check| match check.find {
            Find::InFile(find) | Find::Anywhere(_, find) => check.named(find(self.own, file)),
            Find::InOwn(_) => Vec::new(),
        });
        let leaves = file.parsed.as_ref().ok().map(|encrypted| {
            let wanted = self.remembered.get(file.path.as_str()).into_iter().flatten();
            let there = wanted.filter_map(|path| Some(((*path).clone(), digest(encrypted.leaf(path)?))));
            there.collect()
        });
        Judged {
            path: file.path.clone(),
            personal: file.personal,
            nested: file.nested.clone(),
            leaves,
            findings: findings.collect(),
        }
    }

    /// Everything that is wrong, by file and line. `files` are in the order of their paths.
    #[must_use]
    pub fn findings(&self, files: &mut [Judged]) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            files.iter_mut().flat_map(|file| std::mem::take(&mut file.findings)).collect();
        findings.extend(CHECKS.iter().flat_map(|check| match check.find {
            Find::InOwn(find) | Find::Anywhere(find, _) => check.named(find(self.own, files)),
            Find::InFile(_) => Vec::new(),
        }));
        findings.sort();
        findings
    }
}

/// Where a check looks.
#[derive(Clone, Copy)]
enum Find {
    InOwn(fn(&Own, &[Judged]) -> Vec<Spot>),
    InFile(fn(&Own, &File) -> Vec<Spot>),
    Anywhere(fn(&Own, &[Judged]) -> Vec<Spot>, fn(&Own, &File) -> Vec<Spot>),
}

/// One check: its name in reports, how bad its findings are, and what finds them.
pub struct Check {
    /// Stable, for Code Quality reports.
    pub name: &'static str,
    severity: Severity,
    find: Find,
}

impl Check {
    fn named(&self, spots: Vec<Spot>) -> Vec<Finding> {
        spots.into_iter().map(|spot| spot.named(self.name, self.severity)).collect()
    }
}

/// Finds readers whom the policy has and a file has not yet: nobody reads who should not.
pub const MISSING_READERS: &str = "recipients-missing";

/// Finds locks whose environment has no profile: nothing looks after their tokens.
pub const LOCK_UNLISTED: &str = "lock-unlisted";
/// Finds slots that do not hold what their lock remembers.
pub const LOCK_AGREES: &str = "lock-agrees";

/// All checks, in the order in which they are explained.
pub const CHECKS: [Check; 18] = [
    Check { name: "policy-readable", severity: Severity::Critical, find: Find::InOwn(own_files::policy) },
    Check {
        name: "policy-hidden-rule",
        severity: Severity::Minor,
        find: Find::InOwn(own_files::hidden_rules),
    },
    Check { name: "policy-nested", severity: Severity::Major, find: Find::InOwn(own_files::nested) },
    Check { name: "profile-valid", severity: Severity::Major, find: Find::InOwn(own_files::profiles) },
    Check { name: "template-valid", severity: Severity::Major, find: Find::InOwn(own_files::templates) },
    Check { name: "lock-readable", severity: Severity::Major, find: Find::InOwn(own_files::locks) },
    Check { name: LOCK_UNLISTED, severity: Severity::Major, find: Find::InOwn(own_files::unlisted_locks) },
    Check { name: "file-encrypted", severity: Severity::Blocker, find: Find::InFile(secrets::not_encrypted) },
    Check { name: "file-readable", severity: Severity::Critical, find: Find::InFile(secrets::not_readable) },
    Check { name: "file-untracked", severity: Severity::Major, find: Find::InFile(secrets::tracked) },
    Check { name: "value-encrypted", severity: Severity::Blocker, find: Find::InFile(secrets::clear_values) },
    Check { name: "value-clear", severity: Severity::Minor, find: Find::InFile(secrets::stray_ciphertext) },
    Check { name: "mac-present", severity: Severity::Critical, find: Find::InFile(secrets::no_mac) },
    Check { name: "recipients", severity: Severity::Critical, find: Find::InFile(secrets::recipients) },
    Check { name: MISSING_READERS, severity: Severity::Major, find: Find::InFile(secrets::missing_readers) },
    Check { name: "rule", severity: Severity::Major, find: Find::InFile(secrets::rule) },
    Check { name: LOCK_AGREES, severity: Severity::Major, find: Find::InOwn(own_files::slots) },
    Check {
        name: "clear-token",
        severity: Severity::Blocker,
        find: Find::Anywhere(own_files::clear_tokens, secrets::clear_tokens),
    },
];

/// Whether a check is about what `rekey` mends, or about what keeps it from comparing a file with the policy.
#[must_use]
pub fn is_about_readers(check: &str) -> bool {
    let others = ["policy-readable", "policy-hidden-rule", "file-readable", "recipients", "rule"];
    check == MISSING_READERS || others.contains(&check)
}

#[cfg(test)]
#[path = "repository_tests.rs"]
mod tests;
