//! Does what a plan says, effect by effect, and decides nothing.
//!
//! The order is what keeps the promises: everything that can fail without GitLab fails first; each request that mints is
//! announced in the journal before it is sent, and its answer is recorded there under seal before anything else; old
//! tokens are touched only when all new ones are proved to work; files are written whole; the journal is closed last.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};

use crate::error::{Error, Kind, Result};
use crate::journal::{Line, Retiring};
use crate::lock;
use crate::observe::live::CONCURRENCY;
use crate::observe::{Ground, before_a_token, deliverable};
use crate::plan::deliver::Way;
use crate::plan::message::{Done, New, Refusal, Refused, Unrevoked};
use crate::plan::{Plan, Retire, Step, partial};
use crate::profile::{Environment, UserName};
use crate::repo::{CommitRequest, FileChange, ObjectId, RelPath, Repository};
use crate::secret::Secret;
use crate::sops;
use crate::token::{Owner, Record, TokenId};
use crate::ui::progress::Progress;
use crate::world::World;

mod arrive;
mod files;
mod finish;
mod journalled;
mod mint;
mod paste;
mod preflight;
mod push;
pub mod rekey;
mod revoke;
mod withdraw;

pub use arrive::arrive;
use journalled::Journalled;
use mint::Mints;

/// A token whose value is at hand: just minted, or recorded by an interrupted run.
#[derive(Debug)]
struct Fresh {
    key: String,
    owner: Owner,
    record: Record,
    mark: String,
    value: Secret,
    replaces: Option<TokenId>,
    /// How long that one lives on, where it was said for this run.
    overlap: Option<String>,
    /// GitLab's rotate made it out of that one, which is dead.
    rotated: bool,
}

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// To the end.
    Done,
    /// Everything was done but for the push: somebody else was faster. The journal stays, so that a plan on what is at
    /// the remote now finishes or withdraws what this one made.
    Overtaken,
}

/// Whether carrying out `plan` does nothing at all: it has no steps, and no interrupted run left a journal to end.
#[must_use]
pub fn is_idle(plan: &Plan, ground: &Ground) -> bool {
    plan.is_empty() && !ground.replay.exists
}

/// Does `plan`, and tells `done` what was done, however it ends. `progress` is told what is going on. A plan without steps
/// still ends the journal of an interrupted run; where there is none, nothing at all is done.
///
/// # Errors
/// With kind "half-way" once anything was done that the next run has to finish; with the error's own kind where all is
/// as it was.
pub async fn apply(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    progress: &Progress,
    done: &mut Done,
) -> Result<Applied> {
    done.environment.clone_from(&plan.environment);
    if is_idle(plan, ground) {
        return Ok(Applied::Done);
    }
    carry_out(plan, ground, world, progress, done).await.map_err(|error| half_way(error, done))
}

async fn carry_out(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    progress: &Progress,
    done: &mut Done,
) -> Result<Applied> {
    let mut prepared = preflight::prepare(plan, ground, world)?;
    let mut journal = Journalled::open(plan, ground, world)?;

    progress.say(&format!("{}: talking to {}", plan.environment, plan.gitlab));
    withdraw::left_over(plan, ground, world, &prepared, &journal, done).await?;
    unless_asked_to_stop(ground, world, &journal, &[], done)?;
    let pasted = paste::all(plan, ground, world, &prepared, &mut journal)?;
    unless_asked_to_stop(ground, world, &journal, &pasted, done)?;
    let mints = mint::all(plan, ground, world, &prepared, &journal, progress).await?;
    let Possible { plan: rest, mut fresh, kept } = match possible(plan, ground, pasted, mints, done) {
        Ok(possible) => possible,
        Err(mints) => return Err(mint::give_up(ground, mints, &journal).await),
    };
    journal.postpone(plan, &rest);
    let plan = &*rest;
    fresh.extend(finish::all(plan, ground, &mut prepared, &journal).await?);
    unless_asked_to_stop(ground, world, &journal, &fresh, done)?;
    retire(plan, ground, world, &journal, done).await.map_err(|error| held(error, &fresh))?;
    unless_asked_to_stop(ground, world, &journal, &fresh, done)?;
    let failed = revoke::all(plan, ground, world, &prepared, done).await;
    let plan = &*revocable(plan, ground, failed, done).map_err(|error| held(error, &fresh))?;

    progress.say(&format!("{}: writing and committing", plan.environment));
    restore(plan, ground, world, done).map_err(|error| held(error, &fresh))?;
    let changes = files::write(plan, ground, world, &mut prepared, &fresh, &journal, done)
        .map_err(|error| held(error, &fresh))?;
    unless_asked_to_stop(ground, world, &journal, &fresh, done)?;
    report(fresh, done);
    let commit = commit(plan, ground, world, changes, done)?.or_else(|| waiting(plan, ground));
    if let (Some(delivery), Some(commit)) = (&ground.delivery, commit) {
        unless_asked_to_stop(ground, world, &journal, &[], done)?;
        progress.say(&format!("{}: pushing to {}", plan.environment, delivery.destination()));
        if !push::push(delivery, commit, ground, world, &journal, done)? {
            return Ok(Applied::Overtaken);
        }
    }
    if plan.at_once().next().is_some() {
        unless_asked_to_stop(ground, world, &journal, &[], done)?;
    }
    retire_at_once(plan, ground, world, &journal, done).await;
    journal.close(&kept, done)?;
    Ok(Applied::Done)
}

/// Tries whether the plan could be carried out, as far as that can be known without GitLab: before a person is asked to
/// make a token by hand.
///
/// # Errors
/// Why not; nothing is done.
pub fn rehearse(plan: &Plan, ground: &Ground, world: &World) -> Result<()> {
    preflight::prepare(plan, ground, world).map(drop)
}

/// The same before anybody is known to GitLab. A run that delivers commits elsewhere than here.
///
/// # Errors
/// Why not; nothing is done.
pub fn rehearse_before_a_token(
    environment: &Environment,
    user: Option<&UserName>,
    way: Option<Way>,
    repo: &Repository,
    world: &World,
) -> Result<()> {
    way.map_or(Ok(()), |way| deliverable::check(repo, environment, way))?;
    let (files, lock) = before_a_token::look(environment, user, repo, world)?;
    preflight::before_a_token(environment, &files, way.is_none().then_some(lock), repo, world)
}

/// A signal has asked to stop, and the run did so between two effects.
#[must_use]
pub fn interrupted(kind: Kind) -> Error {
    match kind {
        Kind::Interrupted => Error::new(kind, "interrupted; nothing was changed"),
        kind => Error::new(kind, "interrupted before all was done")
            .hint("run the same command again: it goes on from here"),
    }
}

/// Between two effects: ends the run where a signal has asked for it. The journal keeps what the next run needs; where
/// that is nothing, it goes.
fn unless_asked_to_stop(
    ground: &Ground,
    world: &World,
    journal: &Journalled<'_>,
    fresh: &[Fresh],
    done: &Done,
) -> Result<()> {
    if !world.effects().asked_to_stop() {
        return Ok(());
    }
    if fresh.is_empty() && done.is_nothing() && !ground.replay.exists {
        journal.give_up()?;
        return Err(interrupted(Kind::Interrupted));
    }
    Err(interrupted(Kind::HalfWay))
}

/// What of a plan can be done with what GitLab made.
struct Possible<'p> {
    plan: Cow<'p, Plan>,
    fresh: Vec<Fresh>,
    /// The marks of tokens that wait in the journal for one that GitLab refused.
    kept: BTreeSet<String>,
}

/// Leaves out what GitLab refused, and what cannot be without it. The mints themselves, where nothing is left.
fn possible<'p>(
    plan: &'p Plan,
    ground: &Ground,
    mut fresh: Vec<Fresh>,
    mints: Mints,
    done: &mut Done,
) -> Result<Possible<'p>, Mints> {
    if mints.refused.is_empty() {
        fresh.extend(mints.fresh);
        return Ok(Possible { plan: Cow::Borrowed(plan), fresh, kept: BTreeSet::new() });
    }
    let follows = |file: &str, path: &sops::Path| follows(ground, file, path);
    let refused = mints.refused.iter().map(|(key, _)| key.clone()).collect();
    let out = partial::left_out(plan, refused, &follows);
    let Some(rest) = partial::without(plan, &out, &follows) else { return Err(mints) };
    fresh.extend(mints.fresh);
    let (waiting, fresh): (Vec<Fresh>, Vec<Fresh>) =
        fresh.into_iter().partition(|fresh| out.contains(&fresh.key));
    let finishing = plan.steps.iter().filter_map(|step| match step {
        Step::Finish { key, mark, replaces, rotated, .. } if out.contains(key) => {
            Some((key, mark, replaces.filter(|_| *rotated)))
        }
        _ => None,
    });
    let waits = waiting
        .iter()
        .map(|fresh| (&fresh.key, &fresh.mark, fresh.replaces.filter(|_| fresh.rotated)))
        .chain(finishing);
    let mut kept = BTreeSet::new();
    for (key, mark, ended) in waits {
        kept.insert(mark.clone());
        let why = "its file takes a token that GitLab refused too".to_owned();
        let what = ended.map_or(Refusal::Mint, |ended| Refusal::Rest { ended });
        done.refused.push(Refused { key: key.clone(), why, what });
    }
    done.refused.extend(mints.refused.into_iter().map(not_done(Refusal::Mint)));
    Ok(Possible { plan: Cow::Owned(rest), fresh, kept })
}

/// The plan without the entries whose tokens GitLab did not revoke.
fn revocable<'p>(
    plan: &'p Plan,
    ground: &Ground,
    failed: Vec<(String, Error)>,
    done: &mut Done,
) -> Result<Cow<'p, Plan>> {
    let follows = |file: &str, path: &sops::Path| follows(ground, file, path);
    let out = partial::left_out(plan, failed.iter().map(|(key, _)| key.clone()).collect(), &follows);
    let mut failed = failed.into_iter();
    let Some((key, error)) = failed.next() else { return Ok(Cow::Borrowed(plan)) };
    let Some(rest) = partial::without(plan, &out, &follows) else { return Err(error) };
    let all = std::iter::once((key, error)).chain(failed);
    done.refused.extend(all.map(not_done(Refusal::Revocation)));
    Ok(Cow::Owned(rest))
}

/// The tokens that a leaf takes, by the template, or by the lock where the template has it no more.
fn follows(ground: &Ground, file: &str, path: &sops::Path) -> BTreeSet<String> {
    let template = ground.file(file).map(|file| &file.template);
    let leaf = template.and_then(|template| template.leaves().iter().find(|leaf| leaf.path == *path));
    if let Some(leaf) = leaf {
        return leaf.tokens.clone();
    }
    let holds = |entry: &lock::Entry| entry.slots.get(file).is_some_and(|slots| slots.contains_key(path));
    ground.lock.tokens.iter().filter(|(_, entry)| holds(entry)).map(|(key, _)| key.clone()).collect()
}

fn not_done(what: Refusal) -> impl Fn((String, Error)) -> Refused {
    move |(key, error)| Refused { key, why: said(&error), what }
}

fn said(error: &Error) -> String {
    [&[error.message().to_owned()], error.causes()].concat().join(": ")
}

/// Revokes superseded tokens. One that cannot be revoked now stays noted in the lock for the next run; one that leaked, in the
/// journal.
async fn retire(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    journal: &Journalled<'_>,
    done: &mut Done,
) -> Result<()> {
    for step in &plan.steps {
        let Step::Retire(retire) = step else { continue };
        if world.effects().asked_to_stop() {
            return Ok(());
        }
        let entry = ground.lock.tokens.get(&retire.key);
        let (key, token, because) = (retire.key.clone(), retire.token.clone(), retire.because.clone());
        let gitlab = Some(ground.environment.gitlab.clone());
        let successor = entry.map(|entry| entry.id);
        let leaked = Retiring { key, gitlab, token, successor, because };
        if leaked.is_leaked() && !journal.remembers(leaked.token.id) {
            journal.append(&Line::Retiring(leaked))?;
        }
        let outcome = withdraw::retire(ground, retire, world).await;
        note(retire, outcome, journal, done);
    }
    Ok(())
}

/// Revokes, some at a time, what was to go as soon as its successor is where it is now. The journal has it until then.
async fn retire_at_once(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    journal: &Journalled<'_>,
    done: &mut Done,
) {
    let attempts = plan.at_once().map(|retire| async move {
        if world.effects().asked_to_stop() {
            return (retire, Err(interrupted(Kind::HalfWay)));
        }
        (retire, withdraw::retire(ground, retire, world).await)
    });
    let outcomes: Vec<_> = stream::iter(attempts).buffered(CONCURRENCY).collect().await;
    for (retire, outcome) in outcomes {
        note(retire, outcome, journal, done);
    }
}

/// Notes what became of a token that was to be revoked. One that lives on holds up nothing else.
fn note(retire: &Retire, outcome: Result<()>, journal: &Journalled<'_>, done: &mut Done) {
    let (key, id) = (retire.key.clone(), retire.token.id);
    let error = match outcome {
        Ok(()) => return done.retired.push(id),
        Err(error) => error,
    };
    // What would help by itself at another time is to run the command again.
    let helps = matches!(error.kind(), Kind::Refused | Kind::NotAllowed);
    let hints = if helps { error.hints().to_vec() } else { Vec::new() };
    let left = if journal.remembers(id) { &mut done.still_to_revoke } else { &mut done.unrevoked };
    left.push(Unrevoked { key, id, why: said(&error), hints });
}

/// The commit that an earlier run made and did not push.
fn waiting(plan: &Plan, ground: &Ground) -> Option<ObjectId> {
    ground.head.commit.filter(|_| plan.steps.iter().any(|step| matches!(step, Step::Push { .. })))
}

/// Brings back what an interrupted run had replaced.
fn restore(plan: &Plan, ground: &Ground, world: &World, done: &mut Done) -> Result<()> {
    for step in &plan.steps {
        let Step::Restore { path } = step else { continue };
        world.effects().restore(&ground.repo, &RelPath::new(path)?)?;
        done.restored.push(path.clone());
    }
    Ok(())
}

fn report(fresh: Vec<Fresh>, done: &mut Done) {
    done.minted = fresh
        .into_iter()
        .map(|fresh| New {
            key: fresh.key,
            owner: fresh.owner,
            token: fresh.record,
            replaces: fresh.replaces,
        })
        .collect();
}

fn commit(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    changes: Vec<FileChange>,
    done: &mut Done,
) -> Result<Option<ObjectId>> {
    let Some(Step::Commit { paths }) = plan.steps.iter().find(|step| matches!(step, Step::Commit { .. }))
    else {
        return Ok(None);
    };
    let files =
        changes.into_iter().filter(|change| paths.iter().any(|path| path == change.path.as_str())).collect();
    let request = CommitRequest { message: done.commit_message(), files, expected_head: ground.head.clone() };
    let committed = world.effects().commit(&ground.repo, &request).map_err(|error| {
        Error::from(error)
            .of_kind(Kind::HalfWay)
            .hint("mend that and run the same command again: it goes on from here")
    })?;
    Ok(committed.map(|committed| {
        done.notes.extend(committed.notes);
        done.commit = Some(committed.id.to_string());
        committed.id
    }))
}

/// An error with tokens at hand that are not committed: the next run uses them.
fn held(error: Error, fresh: &[Fresh]) -> Error {
    // Half-way, it has said how to go on.
    if fresh.is_empty() || error.kind() == Kind::HalfWay {
        return error;
    }
    error
        .of_kind(Kind::HalfWay)
        .hint("run the same command again: the minted tokens are in the journal, under seal")
}

/// An error after something was done: nothing is lost, and the next run goes on.
fn half_way(error: Error, done: &Done) -> Error {
    if done.is_nothing() || error.kind() == Kind::HalfWay {
        return error;
    }
    error.of_kind(Kind::HalfWay).hint("run the same command again: it goes on from here")
}

/// The values at hand by entry, for rendering.
fn values<'a>(fresh: &'a [Fresh], rendered: &'a BTreeMap<String, Secret>) -> BTreeMap<&'a str, &'a Secret> {
    let fresh = fresh.iter().map(|fresh| (fresh.key.as_str(), &fresh.value));
    fresh.chain(rendered.iter().map(|(key, value)| (key.as_str(), value))).collect()
}
