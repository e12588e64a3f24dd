//! The plan of `provision --env NAME`: what is missing, changed, lost or at its end is made anew; nothing else is
//! touched.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::observed::{FileState, Leaf, Live, Observed, Slot, SlotState};
use super::recover::{Recovery, decide};
use super::{AskedExpiry, Healthy, Mint, Note, Plan, PlanError, Reason, Step, Write, health, retire};
use crate::profile::{Environment, Expires, Strategy, Token};
use crate::token::{Kind, Owner, TokenId};

/// What the person who runs it chose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether the result is committed. Without a commit nothing is retired either.
    pub commit: bool,
}

/// What becomes of one entry.
enum Fate {
    Healthy,
    Render(Slot),
    Mint(Vec<Reason>),
}

struct Entry<'a> {
    token: &'a Token,
    owner: &'a Owner,
    fate: Fate,
}

/// Plans one environment.
///
/// # Errors
/// Where a safety rule refuses; see [`PlanError`].
pub fn plan(environment: &Environment, observed: &Observed, options: Options) -> Result<Plan, PlanError> {
    let today = observed.now.to_zoned(TimeZone::UTC).date();
    let mut plan = Plan {
        environment: environment.name.clone(),
        gitlab: environment.gitlab.to_string(),
        at: observed.now,
        steps: Vec::new(),
        healthy: Vec::new(),
        notes: Vec::new(),
        watched: Vec::new(),
    };
    let mut entries = judge(environment, observed, today)?;
    provide_values(&mut entries, observed);
    let mut finishes = recover(&entries, observed, &mut plan);
    for entry in &entries {
        match (&entry.fate, finishes.remove(&entry.token.key)) {
            (Fate::Healthy, _) => plan.healthy.extend(healthy(entry, observed)),
            (Fate::Render(from), _) => plan.steps.extend(render(entry, from, observed)),
            (Fate::Mint(_), Some(finish)) => plan.steps.push(finish),
            (Fate::Mint(because), None) => {
                plan.steps.push(mint(environment, entry, because, observed, today)?);
            }
        }
    }
    let ended = retire(environment, observed, options, &mut plan);
    write(&entries, observed, ended, options, &mut plan)?;
    plan.notes.extend(
        observed
            .new_readers
            .iter()
            .map(|reader| Note::info(format!("{reader} is a reader in this policy and not in upstream's"))),
    );
    Ok(plan)
}

/// Judges each entry by its own life and its own slots.
fn judge<'a>(
    environment: &'a Environment,
    observed: &'a Observed,
    today: Date,
) -> Result<Vec<Entry<'a>>, PlanError> {
    let mut entries = Vec::new();
    for token in &environment.tokens {
        let Some(owner) = observed.owners.get(&token.key) else { continue };
        let entry = observed.lock.tokens.get(&token.key);
        let live = entry.and_then(|entry| observed.live.get(&entry.id));
        let reasons = health::reasons(token, owner, entry, live, today)?;
        if token.strategy == Strategy::InPlace && matches!(reasons.as_slice(), [Reason::Due { .. }]) {
            return Err(PlanError::InPlace { key: token.key.clone() });
        }
        let fate = if reasons.is_empty() { slots_fate(token, observed) } else { Fate::Mint(reasons) };
        entries.push(Entry { token, owner, fate });
    }
    Ok(entries)
}

fn slots_fate(token: &Token, observed: &Observed) -> Fate {
    let lost = slots(observed)
        .find(|(_, slot)| slot.leaf != Leaf::Agrees && slot.tokens.contains(&token.key))
        .map(|(file, slot)| Slot { file: file.path.clone(), path: slot.path.clone() });
    lost.map_or(Fate::Healthy, |slot| from_hand(token, observed, slot))
}

fn from_hand(token: &Token, observed: &Observed, lost: Slot) -> Fate {
    match observed.at_hand.get(&token.key) {
        Some(from) => Fate::Render(from.clone()),
        None => Fate::Mint(vec![Reason::ValueLost { slot: lost }]),
    }
}

/// A leaf that follows several tokens needs the values of all of them as soon as one of them is written.
fn provide_values(entries: &mut [Entry<'_>], observed: &Observed) {
    loop {
        let written: BTreeSet<&str> = touched(entries);
        let needed = slots(observed).find_map(|(file, slot)| {
            let is_written = slot.tokens.iter().any(|key| written.contains(key.as_str()));
            let lacks = slot.tokens.iter().find(|key| !written.contains(key.as_str()));
            let slot = Slot { file: file.path.clone(), path: slot.path.clone() };
            lacks.filter(|_| is_written).map(|key| (key.clone(), slot))
        });
        let Some((key, slot)) = needed else { return };
        let Some(entry) = entries.iter_mut().find(|entry| entry.token.key == key) else { return };
        entry.fate = from_hand(entry.token, observed, slot);
    }
}

fn touched<'a>(entries: &[Entry<'a>]) -> BTreeSet<&'a str> {
    entries
        .iter()
        .filter(|entry| !matches!(entry.fate, Fate::Healthy))
        .map(|entry| entry.token.key.as_str())
        .collect()
}

fn slots(observed: &Observed) -> impl Iterator<Item = (&FileState, &SlotState)> {
    observed.files.iter().flat_map(|file| file.slots.iter().map(move |slot| (file, slot)))
}

/// Plans withdrawals, and returns the tokens of an interrupted run that can be used, by entry.
fn recover(entries: &[Entry<'_>], observed: &Observed, plan: &mut Plan) -> BTreeMap<String, Step> {
    let mut finishes = BTreeMap::new();
    for pending in &observed.pending {
        let wanted = entries
            .iter()
            .filter(|entry| matches!(entry.fate, Fate::Mint(_)))
            .find(|entry| entry.token.key == pending.intent.key && !finishes.contains_key(&entry.token.key))
            .map(|entry| (entry.token, entry.owner));
        match decide(pending, wanted, observed) {
            Recovery::Finish(step) => {
                finishes.insert(pending.intent.key.clone(), step);
            }
            Recovery::Withdraw(step) => plan.steps.push(step),
            Recovery::Watch(note) => {
                plan.notes.push(note);
                plan.watched.push(pending.intent.mark.clone());
            }
            Recovery::Forget(note) => plan.notes.extend(note),
            Recovery::Done => {}
        }
    }
    finishes
}

fn current(entry: &Entry<'_>, observed: &Observed) -> Option<TokenId> {
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
    because: &[Reason],
    observed: &Observed,
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
        because: because.to_vec(),
    };
    let by_hand = mint.owner.kind == Kind::Personal && !observed.personal_by_api;
    Ok(if by_hand { Step::Paste(mint) } else { Step::Mint(mint) })
}

/// Plans retirements; returns the superseded tokens that have ended by themselves.
fn retire(environment: &Environment, observed: &Observed, options: Options, plan: &mut Plan) -> Vec<TokenId> {
    if !options.commit {
        return Vec::new();
    }
    let retirement = retire::plan(environment, observed);
    plan.notes.extend(retirement.notes);
    plan.steps.extend(retirement.due.into_iter().map(Step::Retire));
    retirement.ended.into_iter().collect()
}

fn write(
    entries: &[Entry<'_>],
    observed: &Observed,
    ended: Vec<TokenId>,
    options: Options,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    let touched = touched(entries);
    let mut paths = Vec::new();
    let mut writes = Vec::new();
    for file in &observed.files {
        let follows = |slot: &&SlotState| slot.tokens.iter().any(|key| touched.contains(key.as_str()));
        let mut leaves: Vec<_> = file.slots.iter().filter(follows).map(|slot| slot.path.clone()).collect();
        leaves.extend(file.stale.iter().cloned());
        if leaves.is_empty() {
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
            readers: file.readers,
            leaves,
        }));
    }
    let changes = !ended.is_empty()
        || !writes.is_empty()
        || plan.steps.iter().any(|step| matches!(step, Step::Retire(_)));
    let written = |path: &String| {
        (changes && *path == observed.lock_path)
            || writes.iter().any(|step| matches!(step, Step::Write(write) if write.file == *path))
    };
    let restored = observed.left.iter().filter(|path| !written(path));
    plan.steps.extend(restored.map(|path| Step::Restore { path: path.clone() }));
    plan.steps.extend(writes);
    if changes {
        plan.steps.push(Step::Lock { path: observed.lock_path.clone(), ended });
        paths.push(observed.lock_path.clone());
        if options.commit {
            plan.steps.push(Step::Commit { paths });
        }
    }
    Ok(())
}
