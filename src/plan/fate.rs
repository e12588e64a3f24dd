//! What becomes of one entry of the profile, and the step that this is.

use jiff::civil::Date;

use super::observed::{Live, Observed, Pending, Slot};
use super::options::Options;
use super::{AskedExpiry, Healthy, Mint, Note, Plan, PlanError, Reason, Step, retire};
use crate::profile::{Environment, Expires, Strategy, Token};
use crate::token::{Kind, Known, Owner, TokenId};

/// What becomes of one entry.
pub(super) enum Fate {
    /// Nothing is wrong with it.
    Healthy,
    /// It is not looked after in this run.
    Left,
    /// Its slots are written again.
    Render(Slot),
    /// It gets a successor.
    Mint(Vec<Reason>),
    /// It gets the one that an interrupted run made.
    Finish(Box<Step>),
    /// It gets one made out of the one whose value an interrupted run lost.
    Rotate(Known),
}

/// One entry of the profile on its way into the plan.
pub(super) struct Entry<'a> {
    pub(super) token: &'a Token,
    pub(super) owner: &'a Owner,
    pub(super) fate: Fate,
    /// Marks of rotations without an answer that another one settles.
    pub(super) settles: Vec<String>,
}

/// Adds it to the plan.
pub(super) fn add(
    entry: &Entry<'_>,
    environment: &Environment,
    observed: &Observed,
    options: &Options,
    today: Date,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    let mint = |because, rotates| mint(environment, entry, because, rotates, observed, options, today);
    let step = match &entry.fate {
        Fate::Left => return Ok(()),
        Fate::Healthy => {
            plan.healthy.extend(healthy(entry, observed));
            return Ok(());
        }
        Fate::Render(from) => render(entry, from, observed),
        Fate::Finish(step) => Some((**step).clone()),
        Fate::Mint(because) => {
            let rotates = rotates(entry, because, observed)?;
            plan.notes.extend(another_bot(entry, rotates.as_ref(), observed));
            Some(mint(because.clone(), rotates)?)
        }
        Fate::Rotate(lost) => Some(mint(vec![Reason::Asked], Some(lost.clone()))?),
    };
    plan.steps.extend(step);
    Ok(())
}

/// The entry's current token, by the lock.
pub(super) fn current(entry: &Entry<'_>, observed: &Observed) -> Option<TokenId> {
    observed.lock.tokens.get(&entry.token.key).map(|entry| entry.id)
}

fn healthy(entry: &Entry<'_>, observed: &Observed) -> Option<Healthy> {
    let id = current(entry, observed)?;
    let expires = match observed.live.get(&id) {
        Some(Live::Known(record)) => record.expires_at,
        _ => None,
    };
    Some(Healthy { key: entry.token.key.clone(), id, expires })
}

fn render(entry: &Entry<'_>, from: &Slot, observed: &Observed) -> Option<Step> {
    let id = current(entry, observed)?;
    Some(Step::Render { key: entry.token.key.clone(), id, from: from.clone() })
}

fn mint(
    environment: &Environment,
    entry: &Entry<'_>,
    because: Vec<Reason>,
    rotates: Option<Known>,
    observed: &Observed,
    options: &Options,
    today: Date,
) -> Result<Step, PlanError> {
    let token = entry.token;
    let date = token.expires.ask(today).map_err(|error| PlanError::Expiry {
        profile: environment.path.clone(),
        key: token.key.clone(),
        why: error.to_string(),
    })?;
    let mint = Mint {
        key: token.key.clone(),
        owner: entry.owner.clone(),
        name: token.name.clone(),
        role: token.role,
        scopes: token.scopes.clone(),
        expires: AskedExpiry {
            written: token.expires_as_written.clone(),
            date: date.date(),
            or_earlier: matches!(token.expires, Expires::Max),
        },
        replaces: current(entry, observed),
        overlap: options.overlap_of(&token.key).map(|overlap| overlap.written.clone()),
        because,
        settles: if rotates.is_some() { entry.settles.clone() } else { Vec::new() },
        rotates,
    };
    let by_hand = mint.rotates.is_none() && mint.owner.kind == Kind::Personal && !observed.personal_by_api;
    Ok(if by_hand { Step::Paste(mint) } else { Step::Mint(mint) })
}

fn another_bot(entry: &Entry<'_>, rotates: Option<&Known>, observed: &Observed) -> Option<Note> {
    let token = entry.token;
    let lost = token.strategy == Strategy::InPlace && rotates.is_none() && current(entry, observed).is_some();
    lost.then(|| {
        Note::info(format!(
            "{} is made anew, with another bot user: GitLab's rotate takes a living token, and changes nothing but its \
             value and its expiry",
            token.key
        ))
    })
}

/// The token that GitLab's rotate takes, where the profile wants that and it would do. A token that is dead, or may die of a
/// request that is still on its way, is never rotated.
fn rotates(entry: &Entry<'_>, because: &[Reason], observed: &Observed) -> Result<Option<Known>, PlanError> {
    let token = entry.token;
    if token.strategy != Strategy::InPlace || !because.iter().all(Reason::is_met_by_rotating) {
        return Ok(None);
    }
    let Some(current) = observed.lock.tokens.get(&token.key) else { return Ok(None) };
    let Some(Live::Known(record)) = observed.live.get(&current.id) else { return Ok(None) };
    let may_die = |pending: &Pending| {
        pending.given_up && pending.intent.rotates.as_ref().is_some_and(|old| old.id == current.id)
    };
    if !record.active || observed.pending.iter().any(may_die) {
        return Ok(None);
    }
    let known = current.known();
    // Its successor is known by the mark that it hands on; its value proves nothing of that one.
    let proved = match known.contradiction(record) {
        Some(why) => Err(why),
        None => retire::ours(known, record, observed, retire::Stands::Current),
    };
    match proved {
        Ok(known) => Ok(Some(known)),
        Err(why) => Err(PlanError::NotOurs { key: token.key.clone(), id: current.id, why }),
    }
}
