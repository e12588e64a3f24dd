//! The files that a plan writes, puts back, and commits.

use std::collections::{BTreeMap, BTreeSet};

use super::observed::{FileState, Leaf, Observed, SlotState};
use super::options::Options;
use super::{Note, Plan, PlanError, Step, Write};
use crate::sops;
use crate::token::TokenId;

/// What makes files change.
pub(super) struct Changes<'a> {
    /// Entries whose slots are written.
    pub(super) touched: &'a BTreeSet<&'a str>,
    /// Superseded tokens that have ended by themselves.
    pub(super) ended: BTreeSet<TokenId>,
    /// Entries that leave the lock.
    pub(super) removed: &'a BTreeSet<String>,
    /// By file: leaves that are blanked.
    pub(super) blank: BTreeMap<String, Vec<sops::Path>>,
    /// Files that leave the lock.
    pub(super) forgotten: BTreeSet<String>,
    /// Whether the result is committed.
    pub(super) commit: bool,
}

/// Adds the steps that restore, write and commit.
pub(super) fn plan(changes: Changes<'_>, observed: &Observed, plan: &mut Plan) -> Result<(), PlanError> {
    let mut paths = Vec::new();
    let mut writes = Vec::new();
    for file in &observed.files {
        let follows =
            |slot: &&SlotState| slot.tokens.iter().any(|key| changes.touched.contains(key.as_str()));
        let mut leaves: Vec<_> = file.slots.iter().filter(follows).map(|slot| slot.path.clone()).collect();
        leaves.extend(file.stale.iter().cloned());
        let blank = changes.blank.get(&file.path).cloned().unwrap_or_default();
        if leaves.is_empty() && blank.is_empty() {
            plan.notes.extend(strayed(file, observed, &plan.environment));
            plan.notes.extend(file.differences.iter().map(|difference| {
                Note::attention(format!("{} does not agree with the policy: {difference}", file.path))
            }));
            continue;
        }
        if !file.differences.is_empty() {
            return Err(PlanError::PolicyDiffers {
                file: file.path.clone(),
                differences: file.differences.clone(),
            });
        }
        if file.commit {
            paths.push(file.path.clone());
        }
        writes.push(Step::Write(Write {
            file: file.path.clone(),
            template: file.template.clone(),
            create: !file.exists,
            readers: file.readers.clone(),
            leaves,
            blank,
        }));
    }
    let ended: Vec<TokenId> = changes.ended.into_iter().collect();
    let any = !ended.is_empty()
        || !writes.is_empty()
        || !changes.removed.is_empty()
        || !changes.forgotten.is_empty()
        || !observed.moved.is_empty()
        || plan.steps.iter().any(|step| matches!(step, Step::Retire(_)));
    let written = |path: &String| {
        (any && *path == observed.lock_path)
            || writes.iter().any(|step| matches!(step, Step::Write(write) if write.file == *path))
    };
    let restored = observed.left.iter().filter(|path| !written(path));
    plan.steps.extend(restored.map(|path| Step::Restore { path: path.clone() }));
    plan.steps.extend(writes);
    if any {
        let removed = changes.removed.iter().cloned().collect();
        let forgotten = changes.forgotten;
        plan.steps.push(Step::Lock { path: observed.lock_path.clone(), ended, removed, forgotten });
        paths.push(observed.lock_path.clone());
        if changes.commit {
            plan.steps.push(Step::Commit { paths });
        }
    }
    Ok(())
}

/// A file that git does not keep can be brought back by nothing but another write: whoever undoes a run leaves in it what
/// that one has written.
fn strayed(file: &FileState, observed: &Observed, environment: &str) -> Option<Note> {
    let is_locked = |slot: &SlotState| slot.tokens.iter().any(|key| observed.lock.tokens.contains_key(key));
    let strays = |slot: &&SlotState| slot.leaf == Leaf::Differs && is_locked(slot);
    let slot = file.slots.iter().filter(|_| !file.commit).find(strays)?;
    let mend = Options::default();
    Some(Note::attention(format!(
        "{} {} does not hold what the lock says, and git does not keep that file: {} mends it",
        file.path,
        slot.path,
        mend.command(environment)
    )))
}
