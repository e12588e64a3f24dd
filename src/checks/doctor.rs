//! What may be wrong on this machine and in this repository, as a table of named checks: behind `doctor`.
//!
//! Each check names what was looked at, in every case: a thing that is well is said to be so, with the facts that show
//! it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::Row;
use crate::checks::hook::Runner;
use crate::error::Error;
use crate::hint::{Here, Hint};
use crate::journal::Replay;
use crate::token::Scopes;

mod gitlab;
mod machine;
mod repository;
#[cfg(test)]
mod tests;

/// How a thing that was looked at is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// Worth knowing, and nothing to do.
    Note,
    /// Not looked at, and why.
    Skipped,
    /// Works now, and will not for long or not everywhere.
    Warning,
    /// Does not work.
    Wrong,
}

impl Grade {
    /// Whether somebody has to do something.
    #[must_use]
    pub fn needs_care(self) -> bool {
        self >= Self::Warning
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it belongs to: `git`, `policy`, `keys` …
    pub topic: &'static str,
    /// Name of the check.
    pub check: &'static str,
    /// How it is.
    pub grade: Grade,
    /// What was seen.
    pub says: String,
    /// The command, or the change, that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<Hint>,
}

impl Finding {
    /// The same for somebody who stands `here`.
    #[must_use]
    pub fn at(self, here: &Here) -> Self {
        Self { mend: self.mend.map(|mend| mend.at(here)), ..self }
    }
}

/// What a check says before the table gives it its name.
struct Said {
    grade: Grade,
    says: String,
    mend: Option<Hint>,
}

impl Said {
    fn new(grade: Grade, says: impl Into<String>) -> Self {
        Self { grade, says: says.into(), mend: None }
    }

    fn ok(says: impl Into<String>) -> Self {
        Self::new(Grade::Ok, says)
    }

    fn note(says: impl Into<String>) -> Self {
        Self::new(Grade::Note, says)
    }

    fn skipped(says: impl Into<String>) -> Self {
        Self::new(Grade::Skipped, says)
    }

    fn warning(says: impl Into<String>, mend: impl Into<Hint>) -> Self {
        Self { mend: Some(mend.into()), ..Self::new(Grade::Warning, says) }
    }

    fn wrong(says: impl Into<String>, mend: impl Into<Hint>) -> Self {
        Self { mend: Some(mend.into()), ..Self::new(Grade::Wrong, says) }
    }

    /// An error as it would have stopped a command, in one line with its first hint.
    fn of_error(error: &Error) -> Self {
        let mut says = error.message().to_owned();
        for cause in error.causes() {
            says += &format!(": {cause}");
        }
        Self { grade: Grade::Wrong, says, mend: error.hints().first().cloned() }
    }
}

/// Everything that was looked at. Nothing in it is secret.
#[derive(Debug)]
pub struct Observed {
    /// This machine's clock.
    pub now: Timestamp,
    /// The repository, or why there is none.
    pub repository: Result<Repository, Error>,
    /// The age identities.
    pub keys: Keys,
    /// The instances that profiles name, in their order.
    pub instances: Vec<Instance>,
    /// Origins that the user has approved for this clone.
    pub approvals: Result<Vec<String>, Error>,
    /// This machine.
    pub machine: Machine,
}

/// A repository and what is in it.
#[derive(Debug)]
pub struct Repository {
    /// Its root.
    pub root: String,
    /// The branch by its short name; none when detached.
    pub branch: Option<String>,
    /// `a merge`, `a rebase` …
    pub in_progress: Option<&'static str>,
    /// The remote branch that counts, `None` without a remote; or why it cannot be told, and what tells.
    pub upstream: Result<Option<String>, (String, String)>,
    /// What would stop a commit.
    pub commit: Result<(), Error>,
    /// Profiles, locks, templates, policy and secrets files that differ from HEAD, each as a writer would refuse it.
    pub uncommitted: Vec<Error>,
    /// Who runs the pre-commit hook.
    pub hook: Hook,
    /// Whether there is a policy.
    pub has_policy: bool,
    /// What helps with the tokens of a person, by environment and user (`devmode/ana`).
    pub own: BTreeMap<String, Hint>,
    /// What `provision check` found: how many findings, and the first of them.
    pub check: Result<(usize, Option<String>), Error>,
    /// Names of the environments; those that cannot be read with the reason.
    pub environments: Vec<(String, Option<Error>)>,
    /// Those of them that are for each developer alone.
    pub personal: Vec<String>,
    /// The secrets files, and whether one of our identities is among their readers.
    pub files: Vec<File>,
    /// As the locks say.
    pub tokens: Vec<Row>,
    /// Tokens that lack scopes of the profile, as the locks say.
    pub lacking: Vec<Lacking>,
    /// Interrupted runs: environment, and what they left, or why that cannot be told.
    pub journals: Vec<(String, Result<Replay, Error>)>,
    /// A file that has a pipeline run `provision`.
    pub scheduled: Option<String>,
}

/// A token that may do less than its profile asks for.
#[derive(Debug)]
pub struct Lacking {
    /// Its environment.
    pub environment: String,
    /// Key of its entry.
    pub key: String,
    /// What it lacks.
    pub scopes: Vec<String>,
}

/// A secrets file, looked at without opening it.
#[derive(Debug)]
pub struct File {
    /// The first environment that names it.
    pub environment: String,
    /// Relative to the root.
    pub path: String,
    /// Whether one of our identities is among its readers.
    pub ours: bool,
    /// How many can read it.
    pub readers: usize,
    /// It belongs to one person, and to somebody else where it is not ours.
    pub personal: bool,
}

/// Who runs the pre-commit hook of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Ours.
    Ours,
    /// Nobody.
    None,
    /// Another script or framework, at this path.
    Other {
        /// Where it is.
        path: String,
        /// Which of the two.
        runner: Runner,
        /// Whether it runs `provision check`.
        checks: bool,
    },
    /// Cannot be told.
    Unknown(String),
}

/// The age identities that were found.
#[derive(Debug)]
pub struct Keys {
    /// What was read: sources, public keys, and what cannot be used.
    pub read: Result<ReadKeys, Error>,
    /// The default place, and its permission bits where the file is there.
    pub default: Option<(String, Option<u32>)>,
}

/// Identities as far as they may be shown.
#[derive(Clone, Debug, Default)]
pub struct ReadKeys {
    /// Where from.
    pub sources: Vec<String>,
    /// Public keys.
    pub recipients: Vec<String>,
    /// What was seen and cannot be used.
    pub unusable: Vec<String>,
}

/// An instance that profiles name.
#[derive(Debug)]
pub struct Instance {
    /// Its address.
    pub address: String,
    /// The environments that name it.
    pub environments: Vec<String>,
    /// Whether some of their tokens are made by API with the scope `api`.
    pub needs_api: bool,
    /// Where the credential comes from and what binds it, or why there is none to use.
    pub credential: Result<Source, Error>,
    /// What GitLab said; `None` where it was not asked.
    pub asked: Option<Asked>,
    /// Where there is no credential to ask with, and no secret to give away: whether a GitLab answers there, and its clock.
    /// `None` where nothing says yet that it may be asked.
    pub reached: Option<Result<Option<Timestamp>, Error>>,
}

/// Where an operator credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Such as `GITLAB_TOKEN`.
    pub name: String,
    /// What says that it belongs to the instance, such as `GITLAB_HOST`.
    pub bound_by: String,
    /// Where it is the developer's own out of their secrets file: the environment that it is for. It is to mint nothing.
    pub own: Option<String>,
}

/// What GitLab said.
#[derive(Debug)]
pub struct Asked {
    /// The operator's token, or why it could not be asked.
    pub token: Result<Operator, Error>,
    /// GitLab's version, where it says.
    pub version: Option<(u32, u32)>,
    /// GitLab's clock.
    pub time: Option<Timestamp>,
}

/// The operator's own token as GitLab sees it.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// First day on which it no longer works.
    pub expires: Option<jiff::civil::Date>,
}

/// What this machine has.
#[derive(Debug, Default)]
pub struct Machine {
    /// The stock sops and what it says of its version.
    pub sops: Option<(String, Option<String>)>,
    /// glab's path.
    pub glab: Option<String>,
    /// Whether it is Linux inside Windows.
    pub wsl: bool,
    /// Proxy variables that are set, without user names and passwords.
    pub proxies: Vec<(String, String)>,
    /// Files of certificates that are named: by what, which, and why not where it cannot be read.
    pub certificates: Vec<(String, String, Option<String>)>,
    /// The program that opens a page.
    pub browser: Option<String>,
}

struct Check {
    topic: &'static str,
    name: &'static str,
    look: fn(&Observed) -> Vec<Said>,
}

/// All checks, in the order in which they are shown.
const CHECKS: [Check; 25] = [
    Check { topic: "git", name: "repository", look: repository::place },
    Check { topic: "git", name: "commit", look: repository::commit },
    Check { topic: "git", name: "upstream", look: repository::upstream },
    Check { topic: "git", name: "own-files", look: repository::own_files },
    Check { topic: "git", name: "hook", look: repository::hook },
    Check { topic: "policy", name: "policy", look: repository::policy },
    Check { topic: "policy", name: "files", look: repository::check },
    Check { topic: "environments", name: "profiles", look: repository::profiles },
    Check { topic: "environments", name: "tokens", look: repository::tokens },
    Check { topic: "environments", name: "scopes", look: repository::scopes },
    Check { topic: "environments", name: "interrupted", look: repository::interrupted },
    Check { topic: "environments", name: "schedule", look: repository::schedule },
    Check { topic: "keys", name: "identities", look: machine::identities },
    Check { topic: "keys", name: "key-file", look: machine::key_file },
    Check { topic: "keys", name: "readable", look: machine::readable },
    Check { topic: "gitlab", name: "credential", look: gitlab::credential },
    Check { topic: "gitlab", name: "approved", look: gitlab::approved },
    Check { topic: "gitlab", name: "token", look: gitlab::token },
    Check { topic: "gitlab", name: "reached", look: gitlab::reached },
    Check { topic: "gitlab", name: "version", look: gitlab::version },
    Check { topic: "gitlab", name: "clock", look: gitlab::clock },
    Check { topic: "machine", name: "proxy", look: machine::proxy },
    Check { topic: "machine", name: "certificates", look: machine::certificates },
    Check { topic: "machine", name: "programs", look: machine::programs },
    Check { topic: "machine", name: "wsl", look: machine::wsl },
];

/// What every check says.
#[must_use]
pub fn diagnose(observed: &Observed) -> Vec<Finding> {
    let of = |check: &Check| {
        let (topic, name) = (check.topic, check.name);
        let said = (check.look)(observed).into_iter();
        said.map(move |Said { grade, says, mend }| Finding { topic, check: name, grade, says, mend })
    };
    CHECKS.iter().flat_map(of).collect()
}

/// `1 token`, `3 tokens`.
fn count(number: usize, what: &str) -> String {
    match what.strip_suffix('y') {
        _ if number == 1 => format!("1 {what}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {what}s"),
    }
}
