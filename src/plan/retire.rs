//! Which superseded tokens are to be revoked now.
//!
//! The lock is a note, not an order: what counts as superseded is read from the lock upstream, and what GitLab says of
//! the token must agree with the note in every point before it is touched.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::observed::{Live, Observed};
use super::{Note, Retire};
use crate::journal::carries;
use crate::lock;
use crate::profile::Environment;
use crate::token::{Record, TokenId};

/// What is to be said and done about the superseded tokens of an environment.
#[derive(Debug, Default)]
pub(super) struct Retirement {
    /// To be revoked now.
    pub(super) due: Vec<Retire>,
    /// Ended already: their note can leave the lock.
    pub(super) ended: BTreeSet<TokenId>,
    /// What a person should know.
    pub(super) notes: Vec<Note>,
}

pub(super) fn plan(environment: &Environment, observed: &Observed) -> Retirement {
    let mut retirement = Retirement::default();
    let mut waits_for_upstream = false;
    for token in &environment.tokens {
        let Some(entry) = observed.lock.tokens.get(&token.key) else { continue };
        for old in &entry.superseded {
            let Some(Live::Known(record)) = observed.live.get(&old.id) else {
                retirement.ended.insert(old.id);
                continue;
            };
            if !record.active {
                retirement.ended.insert(old.id);
                continue;
            }
            let Some(&since) = observed.superseded_since.get(&old.id) else {
                waits_for_upstream = true;
                continue;
            };
            let over = token.overlap_ends(since);
            match verdict(old, record, observed, since, over, token.overlap) {
                Verdict::Later => retirement.notes.push(Note::info(format!(
                    "superseded token {} of {} lives until {over}",
                    old.id, token.key
                ))),
                Verdict::InUse(used) => retirement.notes.push(Note::attention(format!(
                    "superseded token {} of {} is still in use (last at {used}): not retired",
                    old.id, token.key
                ))),
                Verdict::Refuse(why) => retirement.notes.push(Note::attention(format!(
                    "superseded token {} of {} is not retired: {why}",
                    old.id, token.key
                ))),
                Verdict::Due(mark) => retirement.due.push(Retire {
                    key: token.key.clone(),
                    id: old.id,
                    owner: old.owner.clone(),
                    name: old.name.clone(),
                    created: old.created,
                    mark,
                    due_since: over,
                }),
            }
        }
    }
    if waits_for_upstream {
        retirement.notes.push(waiting(observed));
    }
    retirement
}

fn waiting(observed: &Observed) -> Note {
    match &observed.upstream_unknown {
        Some(why) => Note::attention(format!("superseded tokens are not retired: {why}")),
        None => Note::info("superseded tokens live on until their successors are upstream"),
    }
}

enum Verdict {
    Later,
    InUse(Timestamp),
    Refuse(String),
    Due(String),
}

fn verdict(
    old: &lock::Superseded,
    record: &Record,
    observed: &Observed,
    since: Timestamp,
    over: Timestamp,
    overlap: jiff::Span,
) -> Verdict {
    let mark = match ours(old, record, observed) {
        Ok(mark) => mark,
        Err(why) => return Verdict::Refuse(why),
    };
    if observed.now < over {
        return Verdict::Later;
    }
    // A use before the successor was upstream says nothing; a use within the last overlap says that somebody
    // has not taken the successor yet.
    let quiet_since = before(observed.now, overlap);
    match record.last_used_at {
        Some(used) if used > since && used > quiet_since => Verdict::InUse(used),
        _ => Verdict::Due(mark),
    }
}

/// The mark, where lock and GitLab agree that the token is ours to withdraw.
fn ours(old: &lock::Superseded, record: &Record, observed: &Observed) -> Result<String, String> {
    if observed.operator == Some(old.id) {
        return Err("it is the token that this run acts with".to_owned());
    }
    if observed.current_anywhere.contains(&old.id) {
        return Err("a lock names it as a current token".to_owned());
    }
    if record.name != old.name {
        return Err(format!("at GitLab its name is \"{}\", not \"{}\"", record.name, old.name));
    }
    if record.created_at != old.created {
        return Err(format!("at GitLab it was made at {}, not at {}", record.created_at, old.created));
    }
    let Some(mark) = &old.mark else {
        return Err("it has no mark, so it cannot be proved to be ours".to_owned());
    };
    match &record.description {
        Some(description) if carries(description, mark) => Ok(mark.clone()),
        _ => Err("at GitLab its description does not have the lock's mark".to_owned()),
    }
}

fn before(time: Timestamp, span: jiff::Span) -> Timestamp {
    utc(time).checked_sub(span).map_or(Timestamp::MIN, |earlier| earlier.timestamp())
}

fn utc(time: Timestamp) -> Zoned {
    time.to_zoned(TimeZone::UTC)
}
