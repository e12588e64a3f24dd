//! What a refusal leaves: everything as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fmt, fs};

use super::lab::{Lab, said};

/// All that a refusal must not change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    head: String,
    status: String,
    files: BTreeMap<PathBuf, Bytes>,
    active_tokens: BTreeSet<u64>,
}

/// Shown as text where two states differ.
#[derive(PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

impl State {
    pub(crate) fn of(lab: &Lab) -> Self {
        let mut files = BTreeMap::new();
        collect(&lab.repo(), &mut files);
        let state = lab.gitlab.state();
        let tokens = state["tokens"].as_array().unwrap().iter();
        Self {
            head: lab.git(["rev-parse", "HEAD"]),
            status: lab.git(["status", "--porcelain=v2", "--branch", "--ignored"]),
            files,
            active_tokens: tokens
                .filter(|token| token["active"] == true)
                .map(|token| token["id"].as_u64().unwrap())
                .collect(),
        }
    }
}

impl State {
    /// Whether all but the tokens at GitLab is the same.
    pub(crate) fn differs_by_tokens_only(&self, other: &Self) -> bool {
        (&self.head, &self.status, &self.files) == (&other.head, &other.status, &other.files)
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Bytes>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() && !path.ends_with(".git") {
            collect(&path, files);
        } else if path.is_file() {
            files.insert(path.clone(), Bytes(fs::read(&path).unwrap()));
        }
    }
}

impl Lab {
    /// The status and the whole of stderr of a run that must change nothing, without what differs from run to run.
    #[track_caller]
    pub(crate) fn refusal(&self, command: &mut Command) -> String {
        let before = State::of(self);
        let text = self.failure(command);
        assert_eq!(State::of(self), before, "{text}");
        text
    }

    /// The same of a run that stops half-way.
    #[track_caller]
    pub(crate) fn failure(&self, command: &mut Command) -> String {
        let said = said(command);
        assert_ne!(said.status, 0, "{}{}", said.out, said.err);
        assert_eq!(said.out, "");
        let text = said
            .err
            .replace(self.gitlab.url(), "[GITLAB]")
            .replace(self.everything().to_str().unwrap(), "[DESK]");
        format!("exit {}\n{}", said.status, without_marks(&text))
    }

    /// `provision --env qa --yes`, which says errors only, as the seeded token with this label.
    pub(crate) fn qa_as(&self, label: &str) -> Command {
        let mut command = self.qa();
        command.env("GITLAB_TOKEN", self.gitlab.token(label).unwrap().expose());
        command
    }

    /// `provision --env qa --yes`, which says errors only.
    pub(crate) fn qa(&self) -> Command {
        self.command(["--env", "qa", "--yes", "--quiet"])
    }

    /// Breaks requests at GitLab from now on.
    pub(crate) fn fault(&self, rule: &str) {
        self.gitlab.add_fault(rule.parse().unwrap());
    }

    /// How many tokens the program has made, and how many of them live.
    pub(crate) fn made_and_living(&self) -> (usize, usize) {
        let minted = self.minted();
        (minted.len(), minted.iter().filter(|token| token["active"] == true).count())
    }
}

/// A mark is `pv-` and twenty hexadecimal digits.
fn without_marks(text: &str) -> String {
    let mut parts = text.split("pv-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}[MARK]{}", part.get(20..).unwrap_or_default()))
}
