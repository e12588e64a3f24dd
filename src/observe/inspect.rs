//! Reads what `check` decides on: secrets files, policy, profiles, templates and locks, of the work tree or the index.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::finding::Finding;
use crate::checks::nested::NestedPolicies;
use crate::checks::repository::{File, Judge, Judged, Own as OwnFiles, Source};
use crate::checks::rules::{PathRule, covers};
use crate::cores;
use crate::error::Result;
use crate::lock::Lock;
use crate::profile::{Environment, Recipients, SecretsFile};
use crate::repo::{RelPath, Repository, Tracked};
use crate::template::Template;

use super::{POLICY, secrets};

/// How many secrets files are in memory at once.
const AT_ONCE: usize = 256;

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

    /// The bytes of a file; in the work tree also of one that git does not track, or that a sparse checkout leaves out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match (self.of, self.tracked.get(name)) {
            (Of::Index, Some(file)) => Ok(self.repo.staged_content(file)?),
            (Of::Index, None) => Ok(None),
            (Of::WorkTree, Some(file)) => Ok(self.repo.tracked_content(file)?),
            (Of::WorkTree, None) => Ok(self.repo.work_tree_content(&RelPath::new(name)?)?),
        }
    }

    /// What HEAD has of the file, to compare with: as stored, where the index is meant; as git would check it out, where the
    /// work tree is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn at_head(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = RelPath::new(name)?;
        Ok(match self.of {
            Of::Index => self.repo.stored_at_head(&path)?,
            Of::WorkTree => self.repo.content_at_head(&path)?,
        })
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.content(name)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Whether bytes are, or once were, a SOPS file: by the two words that every one has, and the second where it can be the
/// name of the block.
#[must_use]
pub fn has_metadata(bytes: &[u8]) -> bool {
    let found = |needle: &'static [u8]| {
        bytes.windows(needle.len()).enumerate().filter(move |(_, window)| *window == needle).map(|(at, _)| at)
    };
    let mut named = found(b"sops").map(|at| (&bytes[..at], &bytes[at + 4..]));
    named.any(|(before, after)| names_block(before, after)) && found(b"lastmodified").next().is_some()
}

/// Whether a word is the key of a mapping, an INI section, or the beginning of a dotenv name, by what is around it.
fn names_block(before: &[u8], after: &[u8]) -> bool {
    let (quote, before) = match before.split_last() {
        Some((quote @ (b'"' | b'\''), before)) => (Some(*quote), before),
        _ => (None, before),
    };
    let after = match quote {
        Some(quote) => after.strip_prefix(&[quote]),
        None => Some(after),
    };
    let Some(after) = after else { return false };
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let starts_line = matches!(before.iter().rev().find(|byte| !is_blank(byte)), None | Some(b'\n' | b'\r'));
    let in_flow = matches!(before.trim_ascii_end().last(), Some(b'{' | b','));
    let is_key = after.iter().find(|byte| !is_blank(byte)) == Some(&b':');
    let is_section = before.ends_with(b"[") && after.starts_with(b"]");
    (is_key && (starts_line || in_flow)) || (starts_line && after.starts_with(b"_mac")) || is_section
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

/// Everything that is wrong, by file and line; and the secrets files that were looked at.
#[derive(Debug)]
pub struct Inspected {
    /// What has to be mended.
    pub findings: Vec<Finding>,
    /// Names of the secrets files, and of those that should be.
    pub files: Vec<String>,
}

/// Looks at everything that there are checks for. Of thousands of secrets files a few at a time are kept.
///
/// # Errors
/// When something cannot be read at all; what it says is for the checks to judge.
pub fn inspect(files: &Files<'_>) -> Result<Inspected> {
    let own = own(files)?;
    let judge = Judge::by(&own);
    let profiles = own.profiles.iter().filter_map(|source| source.read.as_ref().ok());
    let of_profiles: Vec<&SecretsFile> = profiles.flat_map(|environment| &environment.secrets).collect();
    let mut names: BTreeSet<&str> = files.names().collect();
    names.extend(named_by_locks(&own));
    let names: Vec<&str> = names.into_iter().filter(|name| Own::of(name).is_none()).collect();
    let nested = NestedPolicies::among(files.names());
    let (tracked, rules) = (&files.tracked, &own.rules);
    let mut judged: Vec<Judged> = Vec::new();
    for some in names.chunks(AT_ONCE) {
        let contents = some.iter().map(|name| files.content(name)).collect::<Result<Vec<_>>>()?;
        let judge_one = |number: usize| {
            let bytes = contents[number].as_deref()?;
            let is_tracked = tracked.contains_key(some[number]);
            let over = nested.over(some[number]);
            file(some[number], bytes, is_tracked, &of_profiles, rules, over).map(|file| judge.file(&file))
        };
        judged.extend(cores::on_all(some.len(), judge_one).into_iter().flatten());
    }
    let findings = judge.findings(&mut judged);
    Ok(Inspected { findings, files: judged.into_iter().map(|file| file.path).collect() })
}

/// Policy, profiles, templates and locks.
fn own(files: &Files<'_>) -> Result<OwnFiles> {
    let policy = files.text(POLICY)?.map(|text| (POLICY.to_owned(), text));
    let mut own = OwnFiles::with_policy(policy);
    for name in files.names() {
        let Some(kind) = Own::of(name) else { continue };
        let Some(text) = files.text(name)? else { continue };
        let path = name.to_owned();
        match kind {
            Own::Profile(environment) => {
                let read = Environment::read(environment, &path, &text);
                own.profiles.push(Source { path, text, read });
            }
            Own::Template(template) => {
                let read = Template::parse(template, &text);
                own.templates.push(Source { path, text, read });
            }
            Own::Lock => {
                let read = Lock::read(&path, &text);
                own.locks.push(Source { path, text, read });
            }
            Own::Policy => {}
        }
    }
    Ok(own)
}

fn named_by_locks(own: &OwnFiles) -> impl Iterator<Item = &str> {
    let locks = own.locks.iter().filter_map(|source| source.read.as_ref().ok());
    let entries = locks.flat_map(|lock| lock.tokens.values());
    entries.flat_map(|entry| entry.slots.keys().map(String::as_str)).filter(|name| RelPath::new(name).is_ok())
}

/// The file, where it is one that the checks look at.
fn file(
    name: &str,
    bytes: &[u8],
    tracked: bool,
    of_profiles: &[&SecretsFile],
    rules: &[PathRule],
    nested: Option<&str>,
) -> Option<File> {
    let profile = of_profiles.iter().find(|secrets| secrets.matches(name));
    let is_meant = profile.is_some() || (nested.is_none() && covers(rules, name));
    if bytes.is_empty() || (tracked && !is_meant && !has_metadata(bytes)) {
        return None;
    }
    let is_whole = bytes.trim_ascii_start().starts_with(b"{");
    if !is_meant && !secrets::is_structured(name) && !is_whole {
        // A text about SOPS files, such as a manual.
        return None;
    }
    Some(File {
        path: name.to_owned(),
        text: String::from_utf8_lossy(bytes).into_owned(),
        parsed: secrets::parse(name, bytes),
        personal: profile.is_some_and(|secrets| secrets.recipients == Recipients::Own),
        nested: nested.map(str::to_owned),
        should_be_untracked: tracked && profile.is_some_and(|secrets| !secrets.commit),
    })
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
            "{\"a\":1,\"sops\":{\"lastmodified\":1}}",
            "{\"sops\" : {\"lastmodified\":1}}",
            "a: b\n'sops':\n    lastmodified: x\n",
            "a: b\nsops :\n    lastmodified: x\n",
            "{a: b, sops: {lastmodified: x}}",
        ] {
            assert!(has_metadata(text.as_bytes()), "{text}");
        }
        for text in [
            "a: b\n",
            "mops:\n  lastmodified: x\n",
            "sops:\n  other: x\n",
            "use sops: lastmodified\n",
            "lastmodified: \"sops\"\n",
        ] {
            assert!(!has_metadata(text.as_bytes()), "{text}");
        }
    }
}
