//! What is left of a plan where GitLab refused some of its tokens, or revocations: the others are not given up for them.

use std::collections::BTreeSet;

use super::{Plan, Step};
use crate::sops;

/// The tokens that a leaf of a file takes.
pub type Follows<'a> = dyn Fn(&str, &sops::Path) -> BTreeSet<String> + 'a;

/// The entries that stay as they are where GitLab refused `refused`: a leaf takes all of its tokens or none, and so does a
/// file that is made anew.
#[must_use]
pub fn left_out(plan: &Plan, refused: BTreeSet<String>, follows: &Follows<'_>) -> BTreeSet<String> {
    let mut together: Vec<BTreeSet<String>> = Vec::new();
    for write in plan.writes() {
        let leaves = write.leaves.iter().chain(&write.blank).map(|path| follows(&write.file, path));
        if write.create { together.push(leaves.flatten().collect()) } else { together.extend(leaves) }
    }
    let mut out = refused;
    loop {
        let before = out.len();
        for group in &together {
            if !group.is_disjoint(&out) {
                out.extend(group.iter().cloned());
            }
        }
        if out.len() == before {
            return out;
        }
    }
}

/// The plan without these entries; `None` where nothing would be written.
#[must_use]
pub fn without(plan: &Plan, out: &BTreeSet<String>, follows: &Follows<'_>) -> Option<Plan> {
    let mut steps: Vec<Step> = Vec::new();
    for step in &plan.steps {
        match step {
            Step::Mint(mint) | Step::Paste(mint) if out.contains(&mint.key) => {}
            Step::Finish { key, .. } | Step::Render { key, .. } if out.contains(key) => {}
            Step::RetireAtOnce(retire) if out.contains(&retire.key) => {}
            Step::Revoke(revoke) if out.contains(&revoke.retire.key) => {}
            Step::Write(write) => {
                let mut write = write.clone();
                write.leaves.retain(|path| follows(&write.file, path).is_disjoint(out));
                write.blank.retain(|path| follows(&write.file, path).is_disjoint(out));
                if !write.leaves.is_empty() || !write.blank.is_empty() {
                    steps.push(Step::Write(write));
                }
            }
            Step::Lock { path, ended, removed, forgotten } => {
                let removed = removed.iter().filter(|key| !out.contains(*key)).cloned().collect();
                let (path, ended, forgotten) = (path.clone(), ended.clone(), forgotten.clone());
                steps.push(Step::Lock { path, ended, removed, forgotten });
            }
            Step::Commit { paths } => {
                let paths = paths.iter().filter(|path| writes(&steps, path)).cloned().collect();
                steps.push(Step::Commit { paths });
            }
            other => steps.push(other.clone()),
        }
    }
    let any = steps.iter().any(|step| match step {
        Step::Write(_) => true,
        Step::Lock { removed, .. } => !removed.is_empty(),
        _ => false,
    });
    any.then(|| Plan { steps, ..plan.clone() })
}

fn writes(steps: &[Step], path: &str) -> bool {
    steps.iter().any(|step| match step {
        Step::Write(write) => write.file == path,
        Step::Lock { path: lock, .. } => lock == path,
        _ => false,
    })
}
