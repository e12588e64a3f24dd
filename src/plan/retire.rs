//! Which superseded tokens are to be revoked now.
//!
//! The lock is a note, not an order: what counts as superseded is read from the lock upstream, and what GitLab says of
//! the token must agree with the note in every point before it is touched.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use super::observed::{Live, Observed};
use super::options::Options;
use super::{Note, Once, Retire, Step, Why};
use crate::journal::minted_for;
use crate::lock;
use crate::profile::{Environment, Token, expiry};
use crate::token::{Known, Record, TokenId};

/// What is to be said and done about the superseded tokens of an environment.
#[derive(Debug, Default)]
pub(super) struct Retirement {
    /// To be revoked now.
    pub(super) due: Vec<Step>,
    /// Ended already: their note can leave the lock.
    pub(super) ended: BTreeSet<TokenId>,
    /// What a person should know.
    pub(super) notes: Vec<Note>,
}

/// Entries that are `ending` are looked after elsewhere.
pub(super) fn plan(
    environment: &Environment,
    observed: &Observed,
    options: &Options,
    ending: &BTreeSet<String>,
) -> Retirement {
    let mut retirement = Retirement::default();
    let mut waits_for_upstream = false;
    let today = utc(observed.now).date();
    for token in environment.tokens.iter().filter(|token| !ending.contains(&token.key)) {
        let Some(entry) = observed.lock.tokens.get(&token.key) else { continue };
        for old in &entry.superseded {
            let record = match observed.live.get(&old.id) {
                Some(Live::Known(record)) if record.active => record,
                Some(Live::OutOfSight) if old.expires.is_none_or(|end| end > today) => {
                    retirement.notes.push(out_of_sight(&token.key, old));
                    continue;
                }
                _ => {
                    retirement.ended.insert(old.id);
                    continue;
                }
            };
            let verdict = verdict(old, entry, token, record, observed, options);
            let (id, key) = (old.id, &token.key);
            match verdict {
                Verdict::NotUpstream => waits_for_upstream = true,
                Verdict::Later(until) => retirement
                    .notes
                    .push(Note::info(format!("superseded token {id} of {key} lives until {until}"))),
                Verdict::InUse(used) => retirement.notes.push(Note::attention(format!(
                    "superseded token {id} of {key} is still in use (last at {used}): not retired"
                ))),
                Verdict::Refuse(why) => retirement
                    .notes
                    .push(Note::attention(format!("superseded token {id} of {key} is not retired: {why}"))),
                Verdict::Due(token, because) => {
                    retirement.due.push(Step::Retire(Retire { key: key.clone(), token, because }));
                }
            }
        }
    }
    if waits_for_upstream {
        retirement.notes.push(waiting(observed));
    }
    retirement
}

fn out_of_sight(key: &str, old: &lock::Superseded) -> Note {
    let (id, owner) = (old.id, &old.owner);
    let end = old.expires.map_or_else(String::new, |end| format!(", and ends by itself on {end}"));
    Note::attention(format!(
        "superseded token {id} of {key} is not retired: this credential is shown no {} {}{end}",
        owner.kind, owner.path
    ))
}

fn waiting(observed: &Observed) -> Note {
    match &observed.upstream_unknown {
        Some(why) => Note::attention(format!("superseded tokens are not retired: {why}")),
        None => Note::info("superseded tokens live on until their successors are upstream"),
    }
}

enum Verdict {
    NotUpstream,
    Later(Timestamp),
    InUse(Timestamp),
    Refuse(String),
    Due(Known, Why),
}

fn verdict(
    old: &lock::Superseded,
    entry: &lock::Entry,
    token: &Token,
    record: &Record,
    observed: &Observed,
    options: &Options,
) -> Verdict {
    // Commits have the time of the machine that made them, which may be behind GitLab's.
    let since = observed.superseded_since.get(&old.id).map(|since| succeeded(old, entry).max(*since));
    let leaked = leaked(old.id, observed, options);
    // It goes without the successor being upstream: it leaked, or the person said so twice.
    let is_pressing = leaked.is_some() || (options.forces(&token.key) && options.at_once());
    if since.is_none() && !is_pressing {
        return Verdict::NotUpstream;
    }
    let stands = if is_pressing { Stands::Pressing } else { Stands::Superseded };
    let known = match ours(old.known(), record, observed, stands) {
        Ok(known) => known,
        Err(why) => return Verdict::Refuse(why),
    };
    if let Some(leaked) = leaked {
        return Verdict::Due(known, leaked);
    }
    let Some(since) = since else {
        return Verdict::Due(known, Why::NoOverlap { once: Once::Committed });
    };
    let overlap = overlap(old, token, options);
    let over = expiry::overlap_ends(since, overlap);
    if observed.now < over {
        return Verdict::Later(over);
    }
    // A use before the successor was upstream says nothing; a use within the last overlap says that somebody
    // has not taken the successor yet.
    let quiet_since = before(observed.now, overlap);
    match record.last_used_at {
        Some(used) if used > since && used > quiet_since && !options.forces(&token.key) => {
            Verdict::InUse(used)
        }
        _ => Verdict::Due(known, Why::OverlapOver { since: over }),
    }
}

/// When the successor of a superseded token was made, by GitLab's clock.
fn succeeded(old: &lock::Superseded, entry: &lock::Entry) -> Timestamp {
    let between = entry.superseded.iter().map(|other| other.created).filter(|made| *made > old.created);
    between.min().unwrap_or(entry.created)
}

/// Why a token goes that is in the wrong hands: this run is for it, or an interrupted one was.
fn leaked(id: TokenId, observed: &Observed, options: &Options) -> Option<Why> {
    let begun = observed.retiring.iter().find(|begun| begun.token.id == id && begun.is_leaked());
    options.leaked(id).or_else(|| begun.map(|begun| begun.because.clone()))
}

/// What was said for this entry in this run, else when the token was superseded, else what the profile says.
fn overlap(old: &lock::Superseded, token: &Token, options: &Options) -> Span {
    let said = options.overlap_of(&token.key).map(|overlap| overlap.span);
    let noted = || old.overlap.as_deref().and_then(|text| expiry::fixed(text).ok());
    said.or_else(noted).unwrap_or(token.overlap)
}

/// As what the lock has a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// The current one of its entry.
    Current,
    /// A superseded one.
    Superseded,
    /// A superseded one that is not to wait for upstream, whose lock may still have it as current.
    Pressing,
}

/// What must stay true of the token, where lock and GitLab agree that it is ours to withdraw. One without a mark was made by
/// hand: it ends itself, with the value that a slot of its entry holds or has held in git's history.
pub(super) fn ours(
    known: Known,
    record: &Record,
    observed: &Observed,
    stands: Stands,
) -> Result<Known, String> {
    let by_value = known.mark.is_none() && observed.by_value.contains(&known.id);
    let why = untouchable(record.id, observed, stands).or_else(|| match known.contradiction(record) {
        _ if by_value => known.difference(record).or_else(|| mark_of_another(record)),
        Some(why) if known.mark.is_none() => Some(format!(
            "{why}; who has its value ends it with provision rotate --leaked, else revoke it at GitLab"
        )),
        why => why,
    });
    why.map_or(Ok(known), Err)
}

/// A token that `provision` has minted has a mark, which is in the lock of its entry.
fn mark_of_another(record: &Record) -> Option<String> {
    let entry = record.description.as_deref().and_then(minted_for)?;
    Some(format!("at GitLab it was minted by provision for {entry}, and the lock has no mark"))
}

/// Why a token stays, whoever made it.
fn untouchable(id: TokenId, observed: &Observed, stands: Stands) -> Option<String> {
    if observed.operator == Some(id) {
        return Some("it is the token that this run acts with".to_owned());
    }
    if let Some(environment) = observed.minted_elsewhere.get(&id) {
        return Some(format!(
            "at GitLab it was minted for {environment}, and git's history has it in no lock of that name"
        ));
    }
    let is_current = match stands {
        Stands::Current => false,
        Stands::Superseded => observed.current_anywhere.contains(&id),
        Stands::Pressing => observed.lock.tokens.values().any(|entry| entry.id == id),
    };
    if is_current {
        return Some("a lock names it as a current token".to_owned());
    }
    observed.current_elsewhere.get(&id).map(|lock| format!("{lock} names it as a current token too"))
}

fn before(time: Timestamp, span: Span) -> Timestamp {
    utc(time).checked_sub(span).map_or(Timestamp::MIN, |earlier| earlier.timestamp())
}

fn utc(time: Timestamp) -> Zoned {
    time.to_zoned(TimeZone::UTC)
}
