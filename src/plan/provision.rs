//! The plan of `provision --env NAME`, `rotate` and `resume`: which entries need a successor, and what an interrupted run
//! left of one; nothing else is touched.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::observed::{FileState, Leaf, Live, Observed, Pending, Slot, SlotState};
use super::options::{End, Options, Renew};
use super::recover::{Recovery, decide};
use super::{
    AskedExpiry, Healthy, Mint, Note, Plan, PlanError, Reason, Revoke, Step, Why, again, at_once, end,
    health, orphans, retire, write,
};
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

/// Plans one environment.
///
/// # Errors
/// Where a safety rule refuses; see [`PlanError`].
pub fn plan(environment: &Environment, observed: &Observed, options: &Options) -> Result<Plan, PlanError> {
    let today = observed.now.to_zoned(TimeZone::UTC).date();
    let mut plan = Plan {
        environment: environment.name.clone(),
        gitlab: environment.gitlab.to_string(),
        at: observed.now,
        steps: Vec::new(),
        healthy: Vec::new(),
        notes: Vec::new(),
        watched: Vec::new(),
        given_up: Vec::new(),
        still_to_revoke: Vec::new(),
    };
    options.check(environment, &observed.lock)?;
    let ending = end::entries(environment, observed, options);
    let mut entries = judge(environment, observed, options, &ending, today, &mut plan)?;
    recover(&mut entries, environment, observed, options, &mut plan)?;
    for entry in &mut entries {
        if let Some(at) = again::just_made(entry, observed, options) {
            plan.notes.push(again::has_successor(&entry.token.key, at));
            entry.fate = Fate::Healthy;
        }
    }
    let moved = observed.moved.iter();
    plan.steps.extend(moved.map(|(from, to)| Step::Move { from: from.clone(), to: to.clone() }));
    provide_values(&mut entries, observed)?;
    made_once(&environment.name, &entries, observed)?;
    for entry in &mut entries {
        match std::mem::replace(&mut entry.fate, Fate::Left) {
            Fate::Left => continue,
            Fate::Healthy => {
                plan.healthy.extend(healthy(entry, observed));
                continue;
            }
            Fate::Render(from) => {
                plan.steps.extend(render(entry, &from, observed));
                entry.fate = Fate::Render(from);
            }
            Fate::Finish(step) => {
                entry.fate = Fate::Mint(Vec::new());
                plan.steps.push(*step);
            }
            Fate::Mint(because) => {
                let rotates = rotates(entry, &because, observed)?;
                plan.notes.extend(another_bot(entry, rotates.as_ref(), observed));
                let mint = mint(environment, entry, because, rotates, observed, options, today)?;
                plan.steps.push(mint);
                entry.fate = Fate::Mint(Vec::new());
            }
            Fate::Rotate(lost) => {
                let because = vec![Reason::Asked];
                let mint = mint(environment, entry, because, Some(lost), observed, options, today)?;
                plan.steps.push(mint);
                entry.fate = Fate::Mint(Vec::new());
            }
        }
    }
    if let Renew::Leaked { id, .. } = options.renew
        && !observed.lock.names(id, &environment.gitlab)
        && !observed.retiring.iter().any(|begun| begun.token.id == id)
    {
        plan.notes.push(Note::attention(format!(
            "token {id} is not in this lock: it is neither replaced nor revoked"
        )));
    }
    plan.watched.extend(unsettled(&entries, &plan));
    let touched = touched(&entries);
    let retirement = if options.commit {
        retire::plan(environment, observed, options, &ending)
    } else {
        retire::Retirement::default()
    };
    plan.notes.extend(retirement.notes);
    plan.steps.extend(retirement.due);
    let why = if options.end == End::Pruned { Why::NotInProfile } else { Why::Asked };
    end::plan(&ending, &why, observed, &mut plan)?;
    if let Some(age) = options.orphans {
        let (revoked, notes) = orphans::plan(observed, age, options.force);
        plan.steps.extend(revoked.into_iter().map(Step::Revoke));
        plan.notes.extend(notes);
    }
    let at_once = at_once::plan(&plan, &environment.gitlab, observed, options);
    plan.notes.extend(at_once.notes);
    plan.still_to_revoke = at_once.later;
    plan.notes.extend(end::left_behind(environment, observed, options));
    let removed: BTreeSet<String> =
        ending.into_iter().filter(|key| observed.lock.tokens.contains_key(key)).collect();
    let changes = write::Changes {
        touched: &touched,
        ended: retirement.ended,
        removed: &removed,
        blank: end::blanks(&removed, observed)?,
        forgotten: forgotten(observed, options, &touched),
        commit: options.commit,
    };
    write::plan(changes, observed, &mut plan)?;
    plan.steps.extend(at_once.due.into_iter().map(Step::RetireAtOnce));
    plan.notes.extend(
        observed
            .new_readers
            .iter()
            .map(|reader| Note::info(format!("{reader} is a reader in this policy and not in upstream's"))),
    );
    debug_assert_eq!(revoked_in_use(&plan, observed), None, "{:?}", plan.steps);
    Ok(plan)
}

/// What was to be settled, and is not by any rotation of this plan: it is still watched for.
fn unsettled(entries: &[Entry<'_>], plan: &Plan) -> Vec<String> {
    let settled: BTreeSet<&String> = plan.mints().flat_map(|mint| &mint.settles).collect();
    let all = entries.iter().flat_map(|entry| &entry.settles);
    all.filter(|mark| !settled.contains(mark)).cloned().collect()
}

/// A token that is in use after this plan and that it revokes. There is none.
fn revoked_in_use(plan: &Plan, observed: &Observed) -> Option<TokenId> {
    let mut in_use: BTreeMap<&str, TokenId> =
        observed.lock.tokens.iter().map(|(key, entry)| (key.as_str(), entry.id)).collect();
    let mut revoked = Vec::new();
    for step in &plan.steps {
        match step {
            Step::Mint(mint) | Step::Paste(mint) => drop(in_use.remove(mint.key.as_str())),
            Step::Finish { key, record, .. } => drop(in_use.insert(key, record.id)),
            Step::Lock { removed, .. } => in_use.retain(|key, _| !removed.iter().any(|gone| gone == key)),
            Step::Withdraw { id, .. } => revoked.push(*id),
            Step::Revoke(Revoke { retire, .. }) | Step::Retire(retire) | Step::RetireAtOnce(retire) => {
                revoked.push(retire.token.id);
            }
            _ => {}
        }
    }
    revoked.into_iter().find(|id| in_use.values().any(|used| used == id))
}

/// Files that leave the lock when an environment is looked after as a whole. What is written has a slot elsewhere then.
fn forgotten(observed: &Observed, options: &Options, touched: &BTreeSet<&str>) -> BTreeSet<String> {
    if options.renew != Renew::Unhealthy {
        return BTreeSet::new();
    }
    let mut lock = observed.lock.clone();
    for (file, slot) in slots(observed) {
        for key in slot.tokens.iter().filter(|key| touched.contains(key.as_str())) {
            if let Some(entry) = lock.tokens.get_mut(key) {
                entry.slots.entry(file.path.clone()).or_default();
            }
        }
    }
    lock.forget(&observed.gone)
}

/// Judges each entry by its own life and its own slots, as far as this run looks after it.
fn judge<'a>(
    environment: &'a Environment,
    observed: &'a Observed,
    options: &Options,
    ending: &BTreeSet<String>,
    today: Date,
    plan: &mut Plan,
) -> Result<Vec<Entry<'a>>, PlanError> {
    let mut entries = Vec::new();
    for token in environment.tokens.iter().filter(|token| !ending.contains(&token.key)) {
        let Some(owner) = observed.owners.get(&token.key) else { continue };
        let entry = observed.lock.tokens.get(&token.key);
        let live = entry.and_then(|entry| observed.live.get(&entry.id));
        let found = health::reasons(token, owner, entry, live, today)?;
        let reasons = options.renew.reasons(token, entry, &found);
        let fate = if !reasons.is_empty() {
            Fate::Mint(reasons)
        } else if options.renew == Renew::Unhealthy
            && let Some((id, slot)) = awaited(token, observed)
        {
            plan.notes.push(Note::attention(format!(
                "{key} is token {id} at GitLab, and its value is not here: put it into {} {} with sops edit, or replace it: \
                 provision rotate --env {} --token {key}",
                slot.file,
                slot.path,
                environment.name,
                key = token.key,
            )));
            Fate::Left
        } else if options.renew == Renew::Unhealthy {
            slots_fate(token, observed)
        } else if found.is_empty() && options.renew != Renew::Nothing {
            Fate::Healthy
        } else {
            if options.renew != Renew::Nothing {
                plan.notes.extend(found.iter().map(|reason| {
                    Note::info(format!(
                        "{} is left as it is, but {reason}: provision --env {}",
                        token.key, environment.name
                    ))
                }));
            }
            Fate::Left
        };
        entries.push(Entry { token, owner, fate, settles: Vec::new() });
    }
    Ok(entries)
}

/// The token of an entry whose value was never here, and the slot that waits for it: it was taken over from GitLab's list.
fn awaited(token: &Token, observed: &Observed) -> Option<(TokenId, Slot)> {
    let entry = observed.lock.tokens.get(&token.key)?;
    if !entry.slots.is_empty() || observed.at_hand.contains_key(&token.key) {
        return None;
    }
    let slot = slots(observed).find(|(_, slot)| slot.tokens.contains(&token.key));
    slot.map(|(file, slot)| (entry.id, Slot { file: file.path.clone(), path: slot.path.clone() }))
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
/// A token that was only taken over from GitLab's list is not replaced for that: its value is in use elsewhere.
fn provide_values(entries: &mut [Entry<'_>], observed: &Observed) -> Result<(), PlanError> {
    loop {
        let written: BTreeSet<&str> = touched(entries);
        let needed = slots(observed).find_map(|(file, slot)| {
            let is_one = |slot: &SlotState| slot.tokens.iter().any(|key| written.contains(key.as_str()));
            // A file is made with all of its slots.
            let is_written = is_one(slot) || (!file.exists && file.slots.iter().any(is_one));
            let lacks = slot.tokens.iter().find(|key| !written.contains(key.as_str()));
            lacks.filter(|_| is_written).map(|key| (key.clone(), file, slot))
        });
        let Some((key, file, slot)) = needed else { return Ok(()) };
        let Some(entry) = entries.iter_mut().find(|entry| entry.token.key == key) else { return Ok(()) };
        if awaited(entry.token, observed).is_some() {
            let leaf = file.exists.then(|| (slot.path.clone(), slot.tokens.clone()));
            return Err(PlanError::Awaited { file: file.path.clone(), leaf, key });
        }
        let slot = Slot { file: file.path.clone(), path: slot.path.clone() };
        entry.fate = from_hand(entry.token, observed, slot);
    }
}

/// A value that is missing only because git does not keep its file is in use where that file is: another one, made here,
/// would end it. That is for a person to decide.
fn made_once(environment: &str, entries: &[Entry<'_>], observed: &Observed) -> Result<(), PlanError> {
    let lost = |entry: &&Entry<'_>| {
        matches!(&entry.fate, Fate::Mint(because) if matches!(because[..], [Reason::ValueLost { .. }]))
            && current(entry, observed).and_then(|id| observed.live.get(&id)).is_some_and(Live::may_live)
    };
    let takes = |file: &FileState, entry: &Entry<'_>| {
        file.slots.iter().any(|slot| slot.tokens.contains(&entry.token.key))
    };
    for file in observed.files.iter().filter(|file| !file.commit && !file.exists) {
        let lost = entries.iter().filter(lost).filter(|entry| takes(file, entry));
        let keys: Vec<String> = lost.map(|entry| entry.token.key.clone()).collect();
        if !keys.is_empty() {
            let (environment, file) = (environment.to_owned(), file.path.clone());
            return Err(PlanError::Elsewhere { environment, file, keys });
        }
    }
    Ok(())
}

fn touched<'a>(entries: &[Entry<'a>]) -> BTreeSet<&'a str> {
    entries
        .iter()
        .filter(|entry| !matches!(entry.fate, Fate::Healthy | Fate::Left))
        .map(|entry| entry.token.key.as_str())
        .collect()
}

fn slots(observed: &Observed) -> impl Iterator<Item = (&FileState, &SlotState)> {
    observed.files.iter().flat_map(|file| file.slots.iter().map(move |slot| (file, slot)))
}

/// Plans withdrawals, and gives the entries what an interrupted run has made for them.
fn recover(
    entries: &mut [Entry<'_>],
    environment: &Environment,
    observed: &Observed,
    options: &Options,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    for pending in &observed.pending {
        let key = &pending.intent.key;
        let entry = entries
            .iter_mut()
            .find(|entry| entry.token.key == *key && !matches!(entry.fate, Fate::Finish(_)));
        let wanted = entry.as_ref().map(|entry| (entry.token, entry.owner));
        match decide(pending, wanted, observed, options) {
            Recovery::Finish(step) => {
                if let Some(entry) = entry {
                    entry.fate = Fate::Finish(step);
                }
            }
            Recovery::Withdraw(step) => plan.steps.push(*step),
            Recovery::Rotate(lost) => {
                if let Some(entry) = entry {
                    entry.fate = Fate::Rotate(lost);
                    entry.settles.push(pending.intent.mark.clone());
                }
            }
            Recovery::RotateNow => {
                if let Some(entry) = entry {
                    entry.settles.push(pending.intent.mark.clone());
                }
            }
            Recovery::Watch(note) => {
                plan.notes.push(note);
                plan.watched.push(pending.intent.mark.clone());
            }
            Recovery::GiveUp(note) => {
                plan.notes.push(note);
                plan.watched.push(pending.intent.mark.clone());
                plan.given_up.push(pending.intent.mark.clone());
            }
            Recovery::Forget(note) => plan.notes.extend(note),
            Recovery::Done => {
                if let Some(entry) = entry
                    && again::was_asked_for(pending, entry, observed, options)
                {
                    plan.notes.push(again::has_successor(key, pending.intent.at));
                    entry.fate = Fate::Healthy;
                }
            }
            Recovery::OutOfReach(id) => {
                let (environment, key) = (environment.name.clone(), key.clone());
                let remote = pending.out_of_reach.clone().unwrap_or_default();
                return Err(PlanError::OutOfReach { environment, key, id, remote });
            }
            Recovery::Undecided { why, successor, regain } => {
                let (environment, key) = (environment.name.clone(), key.clone());
                let way = pending.intent.way;
                return Err(PlanError::Undecided { environment, key, why, successor, way, regain });
            }
        }
    }
    Ok(())
}

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
