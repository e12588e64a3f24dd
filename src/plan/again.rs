//! A rotation that a run has just done, and that is asked for again because the run did not come to its end: it is not done
//! twice.

use jiff::Timestamp;

use super::fate::{Entry, Fate, current};
use super::observed::{Observed, Outcome, Pending};
use super::options::Options;
use super::recover::is_young;
use super::{Note, Reason};
use crate::journal::WATCH;

/// Whether a run that was just broken off was this very rotation, and has given the entry its current token.
pub(super) fn was_asked_for(
    pending: &Pending,
    entry: &Entry<'_>,
    observed: &Observed,
    options: &Options,
) -> bool {
    let Outcome::Recorded { record, .. } = &pending.outcome else { return false };
    is_rotation(entry, options) && is_young(pending, observed) && current(entry, observed) == Some(record.id)
}

/// When the current token of an entry that is to be rotated was made, where a run has just done that, and has yet to revoke the
/// one before.
pub(super) fn just_made(entry: &Entry<'_>, observed: &Observed, options: &Options) -> Option<Timestamp> {
    let locked = observed.lock.tokens.get(&entry.token.key).filter(|_| is_rotation(entry, options))?;
    let is_successor = observed.retiring.iter().any(|begun| begun.successor == Some(locked.id));
    let is_young = observed.now.duration_since(locked.created) < WATCH;
    (is_successor && is_young).then_some(locked.created)
}

fn is_rotation(entry: &Entry<'_>, options: &Options) -> bool {
    let is_asked = matches!(&entry.fate, Fate::Mint(because) if because.as_slice() == [Reason::Asked]);
    is_asked && options.renew.chooses(&entry.token.key)
}

/// What is said of it.
pub(super) fn has_successor(key: &str, at: Timestamp) -> Note {
    Note::info(format!("{key} has the successor that an interrupted run made at {at}"))
}
