//! Reads who could read what out of git, and who can out of the work tree.

use std::collections::BTreeSet;
use std::rc::Rc;

use jiff::Timestamp;

use super::{POLICY, inspect, secrets};
use crate::checks::nested::NestedPolicies;
use crate::error::{Error, Result};
use crate::lock::{self, Lock};
use crate::readership::listing::{Present, Together};
use crate::readership::{Fact, History, Moment, Version};
use crate::repo::{ObjectId, Repository};
use crate::sops::{Encrypted, Form, Path, Policy, Reader, Wrapped};

/// The history of all branches that this clone has.
///
/// # Errors
/// Where the clone is shallow: who could read what before can then not be told. Where an object cannot be read.
pub fn history(repo: &Repository) -> Result<History> {
    if repo.is_shallow()? {
        return Err(super::cut_off("who could read what before its first commit cannot be told from it"));
    }
    let mut versions = Versions::default();
    let past = repo.past(|path, blob, bytes| versions.read(path, blob, bytes)).map_err(|error| {
        Error::from(error).hint("a partial clone does not have all files: git fetch --refetch --no-filter")
    })?;
    let mut seen = BTreeSet::new();
    let mut history = History::default();
    let head = repo.head()?.commit;
    for commit in past {
        if Some(commit.commit) == head {
            let locks = commit.files.iter().filter_map(|version| match &version.fact {
                Fact::Lock(lock) => Some((version.path.clone(), lock.clone())),
                _ => None,
            });
            history.locks = locks.collect();
        }
        // The newest of all commits with the same files stands for them.
        if seen.insert(Rc::as_ptr(&commit.files)) {
            history.moments.push(Moment {
                commit: commit.commit.to_string(),
                at: Timestamp::from_second(commit.committed).unwrap_or_default(),
                files: commit.files,
            });
        }
    }
    Ok(history)
}

/// Makes facts of versions. Thousands of them have the same readers and leaves, which are kept once.
#[derive(Default)]
struct Versions {
    readers: BTreeSet<Rc<[Reader]>>,
    leaves: BTreeSet<Rc<[Path]>>,
    wrapped: BTreeSet<Rc<[Wrapped]>>,
}

impl Versions {
    fn read(&mut self, path: &str, blob: ObjectId, bytes: &[u8]) -> Option<Version> {
        let fact = if path == POLICY {
            Fact::Policy(Policy::parse(str::from_utf8(bytes).ok()?).ok()?.names().clone())
        } else if lock::owner(path).is_some() {
            let text = String::from_utf8_lossy(bytes);
            Lock::read(path, &text).map_or(Fact::Unreadable, Fact::Lock)
        } else if !inspect::is_clear_by_design(path) && inspect::is_secrets_file(path, bytes) {
            secrets::parse(path, bytes).map_or(Fact::Unreadable, |file| Fact::Secrets {
                readers: once(&mut self.readers, readers(&file)),
                encrypted: once(&mut self.leaves, encrypted(&file)),
                trace: file.key_trace(),
                wrapped: once(&mut self.wrapped, file.wrapped()),
            })
        } else {
            return None;
        };
        Some(Version { path: path.to_owned(), content: blob.to_string(), fact })
    }
}

fn once<T: Ord>(known: &mut BTreeSet<Rc<[T]>>, list: Vec<T>) -> Rc<[T]> {
    if let Some(known) = known.get(list.as_slice()) {
        return Rc::clone(known);
    }
    let list: Rc<[T]> = list.into();
    known.insert(Rc::clone(&list));
    list
}

/// Everybody who can read a file, as it says.
#[must_use]
pub fn readers(file: &Encrypted) -> Vec<Reader> {
    file.readers().into_iter().cloned().collect()
}

fn together(file: &Encrypted) -> Option<Together> {
    let groups = file.groups();
    let several = groups.len() > 1;
    let groups = groups.into_iter().map(|group| group.into_iter().cloned().collect()).collect();
    several.then(|| Together { threshold: file.threshold(), groups })
}

fn encrypted(file: &Encrypted) -> Vec<Path> {
    let leaves = file.leaves().filter(|leaf| matches!(leaf.form, Form::Encrypted(_)));
    leaves.map(|leaf| leaf.path).collect()
}

/// The tracked secrets files of the work tree.
///
/// # Errors
/// When one cannot be read.
pub fn present(repo: &Repository) -> Result<Vec<Present>> {
    let of_persons = super::rekey::personal(repo)?;
    let mut present = Vec::new();
    let tracked = repo.tracked()?;
    let nested = NestedPolicies::among(tracked.iter().map(|file| file.path.as_str()));
    for file in tracked {
        let path = file.path.as_str();
        if inspect::is_clear_by_design(path) {
            continue;
        }
        let Some(bytes) = repo.tracked_content(&file)? else { continue };
        if inspect::is_secrets_file(path, &bytes) {
            let file = secrets::parse(path, &bytes);
            present.push(Present {
                path: path.to_owned(),
                readers: file.as_ref().map(readers).map_err(ToString::to_string),
                together: file.as_ref().ok().and_then(together),
                nested: nested.over(path).is_some(),
                personal: of_persons.iter().any(|secrets| secrets.matches(path)),
            });
        }
    }
    Ok(present)
}

/// The committed policy.
///
/// # Errors
/// Where there is none, or it is not one.
pub fn policy(repo: &Repository) -> Result<Policy> {
    policy_of(&super::rekey::policy_at_head(repo)?)
}

/// The policy with this text.
///
/// # Errors
/// Where it is not one.
pub fn policy_of(text: &str) -> Result<Policy> {
    Policy::parse(text).map_err(|error| super::unusable_policy(&error).hint(super::MEND_POLICY))
}
