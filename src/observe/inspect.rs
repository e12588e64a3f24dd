//! Reads what `check` decides on: secrets files, policy, profiles, templates and locks, of the work tree or the index.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::repository::{File, Observed, Source};
use crate::checks::rules::{PathRule, covers};
use crate::error::Result;
use crate::lock::Lock;
use crate::profile::{Environment, Recipients, SecretsFile};
use crate::repo::{RelPath, Repository, Tracked};
use crate::template::Template;

use super::{POLICY, secrets};

/// Which state of the files is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// What lies in the work tree.
    WorkTree,
    /// What the next commit would hold.
    Index,
}

/// The tracked files in one state.
pub struct Files<'r> {
    repo: &'r Repository,
    of: Of,
    tracked: BTreeMap<String, Tracked>,
}

impl<'r> Files<'r> {
    /// Reads the index.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(repo: &'r Repository, of: Of) -> Result<Self> {
        let tracked = repo.tracked()?.into_iter().map(|file| (file.path.to_string(), file)).collect();
        Ok(Self { repo, of, tracked })
    }

    /// Names of all tracked files, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tracked.keys().map(String::as_str)
    }

    /// The bytes of a file; in the work tree also of one that git does not track.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match (self.of, self.tracked.get(name)) {
            (Of::Index, Some(file)) => Ok(self.repo.staged_content(file)?),
            (Of::Index, None) => Ok(None),
            (Of::WorkTree, _) => Ok(self.repo.work_tree_content(&RelPath::new(name)?)?),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.content(name)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Whether bytes are, or once were, a SOPS file: the two words that every one has, and its block at the start of a line.
#[must_use]
pub fn has_metadata(bytes: &[u8]) -> bool {
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let starts_block = |line: &[u8]| {
        ["sops:", "sops_mac", "[sops]", "\"sops\":"].iter().any(|start| line.starts_with(start.as_bytes()))
    };
    has(b"lastmodified")
        && bytes.split(|byte| *byte == b'\n').any(|line| starts_block(line.trim_ascii_start()))
}

/// Whether a file has to do with the tool itself, and is in the clear whatever the policy's rules match.
#[must_use]
pub fn is_clear_by_design(name: &str) -> bool {
    Own::of(name).is_some()
}

/// Whether a file of this name with these bytes is a SOPS file, and not a text about one.
#[must_use]
pub fn is_secrets_file(name: &str, bytes: &[u8]) -> bool {
    has_metadata(bytes) && (secrets::is_structured(name) || bytes.trim_ascii_start().starts_with(b"{"))
}

/// Reads everything that the checks need.
///
/// # Errors
/// When something cannot be read at all; what it says is for the checks to judge.
pub fn observe(files: &Files<'_>) -> Result<Observed> {
    let policy = files.text(POLICY)?.map(|text| (POLICY.to_owned(), text));
    let mut observed = Observed::with_policy(policy);
    let mut names: BTreeSet<String> = files.names().map(str::to_owned).collect();
    for name in &names {
        let Some(kind) = Own::of(name) else { continue };
        let Some(text) = files.text(name)? else { continue };
        let path = name.clone();
        match kind {
            Own::Profile(environment) => {
                let read = Environment::read(environment, &path, &text);
                observed.profiles.push(Source { path, text, read });
            }
            Own::Template(template) => {
                let read = Template::parse(template, &text);
                observed.templates.push(Source { path, text, read });
            }
            Own::Lock => {
                let read = Lock::read(&path, &text);
                observed.locks.push(Source { path, text, read });
            }
            Own::Policy => {}
        }
    }
    let environments: Vec<&Environment> =
        observed.profiles.iter().filter_map(|source| source.read.as_ref().ok()).collect();
    let of_profiles: Vec<&SecretsFile> =
        environments.iter().flat_map(|environment| &environment.secrets).collect();
    names.extend(named_by_locks(&observed));
    let mut found = Vec::new();
    for name in names.iter().filter(|name| Own::of(name).is_none()) {
        let tracked = files.tracked.contains_key(name);
        found.extend(file(files, name, tracked, &of_profiles, &observed.rules)?);
    }
    observed.files = found;
    Ok(observed)
}

fn named_by_locks(observed: &Observed) -> Vec<String> {
    let locks = observed.locks.iter().filter_map(|source| source.read.as_ref().ok());
    let entries = locks.flat_map(|lock| lock.tokens.values());
    entries.flat_map(|entry| entry.slots.keys().cloned()).filter(|name| RelPath::new(name).is_ok()).collect()
}

/// The file, where it is one that the checks look at.
fn file(
    files: &Files<'_>,
    name: &str,
    tracked: bool,
    of_profiles: &[&SecretsFile],
    rules: &[PathRule],
) -> Result<Option<File>> {
    let profile = of_profiles.iter().find(|secrets| secrets.matches(name));
    let Some(bytes) = files.content(name)?.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    if tracked && profile.is_none() && !covers(rules, name) && !has_metadata(&bytes) {
        return Ok(None);
    }
    let is_whole = bytes.trim_ascii_start().starts_with(b"{");
    if profile.is_none() && !covers(rules, name) && !secrets::is_structured(name) && !is_whole {
        // A text about SOPS files, such as a manual.
        return Ok(None);
    }
    let parsed = secrets::parse(name, &bytes);
    Ok(Some(File {
        path: name.to_owned(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
        parsed,
        personal: profile.is_some_and(|secrets| secrets.recipients == Recipients::Own),
        should_be_untracked: tracked && profile.is_some_and(|secrets| !secrets.commit),
    }))
}

/// A file that is in the clear by design, whatever the policy's rules match.
enum Own<'n> {
    Policy,
    Profile(&'n str),
    Lock,
    Template(&'n str),
}

impl<'n> Own<'n> {
    fn of(name: &'n str) -> Option<Self> {
        if name == POLICY {
            return Some(Self::Policy);
        }
        if let Some(template) = name.strip_prefix("templates/") {
            return Some(Self::Template(template));
        }
        let environment = name.strip_prefix("environments/")?.strip_suffix(".yaml")?;
        match environment.split_once('/') {
            None => Some(Self::Profile(environment)),
            Some(("locks", _)) => Some(Self::Lock),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_seen_in_every_format_and_not_in_texts_about_it() {
        for text in [
            "a: b\nsops:\n    lastmodified: x\n",
            "{\n\t\"a\": 1,\n\t\"sops\": {\"lastmodified\": 1}}",
            "A=1\nsops_lastmodified=x\nsops_mac=ENC\n",
            "a=1\n[sops]\nlastmodified=x\n",
        ] {
            assert!(has_metadata(text.as_bytes()), "{text}");
        }
        for text in
            ["a: b\n", "mops:\n  lastmodified: x\n", "sops:\n  other: x\n", "use sops: lastmodified\n"]
        {
            assert!(!has_metadata(text.as_bytes()), "{text}");
        }
    }
}
