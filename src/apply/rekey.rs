//! Does a rekey: each file is read again, opened, brought into line with its rule, sealed and replaced by itself, on all
//! cores; what cannot be opened is left as it is. Then the locks follow, and one commit holds everything.
//!
//! Nothing is remembered for the case that the run is broken off: each file is what it was or what it was to be, and the
//! next run sees by the content which of the two.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::explain::cannot_open;
use crate::lock::Lock;
use crate::observe::rekey::{Ground, GroundFile, GroundLock, leaves, readers};
use crate::observe::{POLICY, secrets, uncommitted};
use crate::plan::rekey::{Change, Done, Plan, Skipped, Why};
use crate::repo::{CommitRequest, FileChange, Fingerprint, ObjectId, RelPath, RepoError};
use crate::sops::{Encrypted, Form, Identities, Leaf, Names, OpenError, Path, Policy, Sealed};
use crate::ui::progress::Progress;
use crate::world::{Content, World};

/// What becomes of the files.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// Whether they are committed; else they stay in the work tree.
    pub commit: bool,
    /// Subject of the commit, where there is a better one than that files follow the policy.
    pub subject: Option<&'a str>,
}

/// One file as it is in the end.
struct Written {
    content: Fingerprint,
    /// The digests that locks remember.
    leaves: BTreeMap<Path, String>,
}

/// Does `plan`. A file that turns out not to open, or not to be what was looked at, is left and named in the result.
///
/// # Errors
/// With kind "half-way" once a file was written; with the error's own kind where all is as it was.
pub fn rekey(
    plan: Plan,
    ground: &Ground,
    how: How<'_>,
    world: &World,
    progress: &Progress,
) -> Result<(Done, Option<ObjectId>)> {
    if plan.is_empty() {
        return Ok((
            Done {
                skipped: plan.skipped,
                elsewhere: plan.elsewhere,
                in_line: plan.in_line,
                ..Done::default()
            },
            None,
        ));
    }
    let Plan { changes, skipped, elsewhere, in_line, new_policy, .. } = plan;
    let announced = skipped.len();
    let mut done = Done { skipped, announced, elsewhere, new_policy, in_line, ..Done::default() };
    preflight(&changes, ground, how)?;
    if let Some(text) = &ground.new_policy {
        world.effects().write(&ground.repo, &RelPath::new(POLICY)?, &Content::Policy(text))?;
        unless_asked_to_stop(world)?;
    }
    let written = write(changes, ground, world, progress, &mut done).map_err(half_way)?;
    unless_asked_to_stop(world)?;
    let mut files = locks(&written, ground, world, &mut done).map_err(half_way)?;
    if !how.commit {
        return Ok((done, None));
    }
    unless_asked_to_stop(world)?;
    progress.say("committing");
    if let Some(text) = &ground.new_policy {
        files.push(FileChange::of(RelPath::new(POLICY)?, text.as_bytes()));
    }
    for (path, written) in written {
        let path = ground.files[&path].path.clone();
        files.push(FileChange { path, content: Some(written.content) });
    }
    if files.is_empty() {
        return Ok((done, None));
    }
    let request =
        CommitRequest { message: done.message(how.subject), files, expected_head: ground.head.clone() };
    let committed = world.effects().commit(&ground.repo, &request).map_err(|error| half_way(error.into()))?;
    let commit = committed.map(|committed| {
        done.notes.extend(committed.notes);
        committed.id
    });
    done.commit = commit.map(|id| id.to_string());
    Ok((done, commit))
}

/// Between two effects, once something was written: ends the run where a signal has asked for it.
fn unless_asked_to_stop(world: &World) -> Result<()> {
    if world.effects().asked_to_stop() { Err(super::interrupted(Kind::HalfWay)) } else { Ok(()) }
}

fn half_way(error: Error) -> Error {
    error.of_kind(Kind::HalfWay).hint("mend that and run the same command again: it goes on from here")
}

/// Everything that can fail before a file is written.
fn preflight(changes: &[Change], ground: &Ground, how: How<'_>) -> Result<()> {
    ground.repo.settle_interrupted_commit()?;
    if ground.repo.head()? != ground.head {
        return Err(Error::new(Kind::Refused, "HEAD has changed since the plan was made")
            .hint("run the same command again and look at the new plan"));
    }
    let mut paths: Vec<RelPath> =
        changes.iter().filter_map(|change| Some(ground.files.get(&change.file)?.path.clone())).collect();
    let changed: Vec<&str> = changes.iter().map(|change| change.file.as_str()).collect();
    for lock in &ground.locks {
        if names_any(&lock.lock, &changed) {
            own_lock(lock, &changed, ground)?;
            paths.push(lock.path.clone());
        }
    }
    if ground.new_policy.is_some() {
        paths.push(RelPath::new(POLICY)?);
    }
    if how.commit { Ok(ground.repo.preflight(&paths)?) } else { Ok(()) }
}

fn names_any(lock: &Lock, files: &[&str]) -> bool {
    let mut slots = lock.tokens.values().flat_map(|entry| entry.slots.keys());
    slots.any(|file| files.contains(&file.as_str()))
}

/// Refuses a lock with changes of the user's: it may differ from HEAD's in nothing but the digests of these files, as an
/// interrupted run of ours leaves it.
fn own_lock(lock: &GroundLock, files: &[&str], ground: &Ground) -> Result<()> {
    let Some(difference) = ground.repo.differs_from_head(&lock.path)? else { return Ok(()) };
    let bytes = ground.repo.work_tree_content(&lock.path)?.unwrap_or_default();
    let there = Lock::read(lock.path.as_str(), &String::from_utf8_lossy(&bytes));
    let blank = |lock: &Lock| {
        let mut lock = lock.clone();
        for entry in lock.tokens.values_mut() {
            for (_, slots) in entry.slots.iter_mut().filter(|(file, _)| files.contains(&file.as_str())) {
                slots.values_mut().for_each(String::clear);
            }
        }
        lock
    };
    match there {
        Ok(there) if blank(&there) == blank(&lock.lock) => Ok(()),
        _ => Err(uncommitted(&lock.path, difference)),
    }
}

/// Rekeys and writes. What an earlier run has done is only read.
fn write(
    changes: Vec<Change>,
    ground: &Ground,
    world: &World,
    progress: &Progress,
    done: &mut Done,
) -> Result<BTreeMap<String, Written>> {
    let identities = world.identities()?;
    let now = world.effects().now();
    let (files, policy, names) = (&ground.files, &ground.policy, &ground.names);
    let work = Work { files, policy, names, identities: &identities, now };
    let paths: Vec<RelPath> = changes.iter().map(|change| ground.files[&change.file].path.clone()).collect();
    let count = paths.len();
    let outcomes: Mutex<BTreeMap<usize, Result<Written, Why>>> = Mutex::default();
    let finished = AtomicUsize::new(0);
    let read = ground.repo.reader();
    let make = |number: usize| -> Option<Sealed> {
        let change = &changes[number];
        let outcome = work.file(change, &read);
        progress.say(&format!("rekeying {} of {count} files", finished.fetch_add(1, Ordering::Relaxed) + 1));
        let (outcome, sealed) = match outcome {
            Ok((written, sealed)) => (Ok(written), sealed),
            Err(why) => (Err(why), None),
        };
        outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(number, outcome);
        sealed
    };
    world.effects().write_each(&ground.repo, &paths, &make)?;
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut written = BTreeMap::new();
    for (number, change) in changes.into_iter().enumerate() {
        match outcomes.remove(&number) {
            Some(Ok(file)) => {
                written.insert(change.file.clone(), file);
                done.rekeyed.push(change);
            }
            Some(Err(why)) => done.skipped.push(Skipped { file: change.file, why }),
            None => return Err(Error::new(Kind::Failed, format!("{} was not written", change.file))),
        }
    }
    Ok(written)
}

/// What every file is rekeyed with, on any thread.
struct Work<'a> {
    files: &'a BTreeMap<String, GroundFile>,
    policy: &'a Policy,
    names: &'a [Names],
    identities: &'a Identities,
    now: Timestamp,
}

impl Work<'_> {
    /// The file as it will be, and what has to be written for that.
    fn file(
        &self,
        change: &Change,
        read: &impl Fn(&RelPath) -> Result<Option<Vec<u8>>, RepoError>,
    ) -> Result<(Written, Option<Sealed>), Why> {
        let file = &self.files[&change.file];
        let because = |error: &dyn std::fmt::Display| Why::Because { reason: error.to_string() };
        let bytes = read(&file.path).map_err(|error| because(&error))?.unwrap_or_default();
        let content = Fingerprint::of(&bytes);
        if content != file.content {
            return Err(because(&"it has changed since the plan was made"));
        }
        let encrypted = secrets::parse(&change.file, &bytes).map_err(|error| because(&error))?;
        if change.done {
            let leaves = leaves(&encrypted, Some(file.leaves.keys()));
            return Ok((Written { content, leaves }, None));
        }
        let sealed = self.sealed(file, encrypted)?;
        let leaves = leaves(sealed.file(), Some(file.leaves.keys()));
        let content = Fingerprint::of(sealed.bytes());
        Ok((Written { content, leaves }, Some(sealed)))
    }

    /// Opened, which verifies the MAC, and sealed for the readers whom the policy names.
    fn sealed(&self, file: &GroundFile, encrypted: Encrypted) -> Result<Sealed, Why> {
        let because = |error: &dyn std::fmt::Display| Why::Because { reason: error.to_string() };
        let rule = self.policy.rule_for(file.path.as_str()).map_err(|error| because(&error))?;
        let readers = readers(&encrypted, self.names);
        // Of the leaves that locks remember, somebody may have emptied one by hand.
        let is_encrypted = |leaf: &Leaf<'_>| matches!(leaf.form, Form::Encrypted(_));
        let slots = encrypted.leaves().filter(is_encrypted).map(|leaf| leaf.path);
        let slots: Vec<Path> = slots.filter(|path| file.leaves.contains_key(path)).collect();
        let opened = encrypted.open(self.identities).map_err(|error| match error {
            OpenError::LockedOut(locked) if locked.refused.is_empty() => Why::CannotOpen { readers },
            other => {
                let names = self.names.first().cloned().unwrap_or_default();
                let reason = other.sentence(&names);
                Why::DoesNotOpen { reason, hints: cannot_open(other, &names).hints().to_vec() }
            }
        })?;
        let rekeyed = opened.rekey(rule, self.now, &slots).map_err(|error| because(&error))?;
        Ok(rekeyed.sealed)
    }
}

/// Writes the locks that remember leaves of these files with their new digests.
fn locks(
    written: &BTreeMap<String, Written>,
    ground: &Ground,
    world: &World,
    done: &mut Done,
) -> Result<Vec<FileChange>> {
    let mut changes = Vec::new();
    for GroundLock { path, lock } in &ground.locks {
        let mut new = lock.clone();
        for entry in new.tokens.values_mut() {
            for (file, slots) in &mut entry.slots {
                let Some(written) = written.get(file) else { continue };
                for (leaf, digest) in slots {
                    let before = ground.files[file].leaves.get(leaf);
                    // What did not agree before is left for `check` to find.
                    if let (Some(now), true) = (written.leaves.get(leaf), before == Some(digest)) {
                        digest.clone_from(now);
                    }
                }
            }
        }
        if new == *lock {
            continue;
        }
        let text = new.write();
        world.effects().write(&ground.repo, path, &Content::Lock(&text))?;
        done.locks.push(path.to_string());
        changes.push(FileChange::of(path.clone(), text.as_bytes()));
    }
    Ok(changes)
}
