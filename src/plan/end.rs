//! Entries that end: their tokens are revoked now, their slots are blanked, and they leave the lock.

use std::collections::{BTreeMap, BTreeSet};

use super::observed::{Leaf, Live, Observed};
use super::options::{End, Options};
use super::retire::{Stands, ours};
use super::{Note, Plan, PlanError, Retire, Revoke, Step, Why};
use crate::lock;
use crate::profile::Environment;
use crate::sops;
use crate::token::{Known, TokenId};

/// The entries that end in this run: those of the lock, and those whose first token an interrupted run has made.
pub(super) fn entries(environment: &Environment, observed: &Observed, options: &Options) -> BTreeSet<String> {
    let locked = observed.lock.tokens.keys();
    let in_profile = |key: &String| environment.token(key).is_some();
    match &options.end {
        End::Nothing => BTreeSet::new(),
        End::Pruned => locked.filter(|key| !in_profile(key)).cloned().collect(),
        End::These(chosen) => {
            let begun = observed.pending.iter().map(|pending| &pending.intent.key);
            let all = locked.chain(begun);
            all.filter(|key| chosen.has(key)).cloned().collect()
        }
    }
}

/// What a person should know of entries that the profile has no more, and that stay; and of those that end and that it
/// still has.
pub(super) fn left_behind(environment: &Environment, observed: &Observed, options: &Options) -> Vec<Note> {
    let name = &environment.name;
    if options.end != End::Nothing {
        let stays = entries(environment, observed, options);
        let stays = stays.into_iter().filter(|key| environment.token(key).is_some());
        return stays
            .map(|key| {
                Note::info(format!(
                    "the profile still has {key}: the next provision --env {name} makes a new token for it"
                ))
            })
            .collect();
    }
    let gone = observed.lock.tokens.iter().filter(|(key, _)| environment.token(key).is_none());
    let profile = &environment.path;
    gone.map(|(key, entry)| {
        if environment.is_unlisted {
            return Note::attention(format!(
                "{profile} is not there, and token {} of {key} is still in {}: provision revoke --env {name} ends it; where \
                 {name} was renamed, rename its lock too",
                entry.id, observed.lock_path
            ));
        }
        Note::attention(format!(
            "{key} is no longer in the profile, and its token {} is still in the lock: provision --env {name} --prune \
             revokes it",
            entry.id
        ))
    })
    .collect()
}

/// Plans the revocations of `keys`.
///
/// # Errors
/// Where a token cannot be proved to be ours, or a slot takes another token too.
pub(super) fn plan(
    keys: &BTreeSet<String>,
    why: &Why,
    observed: &Observed,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    for key in keys {
        let Some(entry) = observed.lock.tokens.get(key) else { continue };
        let current = (entry.id, entry.known(), Stands::Current);
        // Upstream's lock may still have one of them as current. It ends with the entry, as the current one does.
        let superseded = entry.superseded.iter().map(|old| (old.id, old.known(), Stands::Pressing));
        for (id, known, stands) in superseded.chain([current]) {
            if let Some(Live::OutOfSight) = observed.live.get(&id) {
                plan.notes.push(Note::attention(format!(
                    "token {id} of {key} is not revoked: this credential is not shown the tokens of its owner"
                )));
            }
            if let Some(token) = revocable(key, id, known, stands, observed)? {
                let value = observed.at_hand.get(key).filter(|_| id == entry.id).cloned();
                let retire = Retire { key: key.clone(), token, because: why.clone() };
                plan.steps.push(Step::Revoke(Revoke { retire, value }));
            }
        }
    }
    Ok(())
}

/// What must stay true of the token until it is revoked; `None` where it has ended already.
fn revocable(
    key: &str,
    id: TokenId,
    known: Known,
    stands: Stands,
    observed: &Observed,
) -> Result<Option<Known>, PlanError> {
    let record = match observed.live.get(&id) {
        Some(Live::Known(record)) if record.active => record,
        _ => return Ok(None),
    };
    ours(known, record, observed, stands).map(Some).map_err(|why| PlanError::NotRevoked {
        key: key.to_owned(),
        id,
        why,
        elsewhere: observed.current_elsewhere.get(&id).cloned(),
    })
}

/// The leaves of each file that are blanked: the slots of the entries that end, and what the lock remembers as their slots
/// where the template has them no more and nobody has changed them.
pub(super) fn blanks(
    keys: &BTreeSet<String>,
    observed: &Observed,
) -> Result<BTreeMap<String, Vec<sops::Path>>, PlanError> {
    let mut blanks: BTreeMap<String, Vec<sops::Path>> = BTreeMap::new();
    for file in observed.files.iter().filter(|file| file.exists) {
        let mut leaves = Vec::new();
        for slot in
            file.slots.iter().filter(|slot| slot.leaf != Leaf::Missing && !slot.tokens.is_disjoint(keys))
        {
            if let Some(other) = slot.tokens.iter().find(|key| is_kept(key, keys, &observed.lock)) {
                return Err(PlanError::SharedSlot {
                    file: file.path.clone(),
                    path: slot.path.clone(),
                    other: other.clone(),
                });
            }
            leaves.push(slot.path.clone());
        }
        leaves.extend(
            file.former.iter().filter(|former| keys.contains(&former.key)).map(|former| former.path.clone()),
        );
        if !leaves.is_empty() {
            blanks.insert(file.path.clone(), leaves);
        }
    }
    Ok(blanks)
}

fn is_kept(key: &str, ending: &BTreeSet<String>, lock: &lock::Lock) -> bool {
    !ending.contains(key) && lock.tokens.contains_key(key)
}
