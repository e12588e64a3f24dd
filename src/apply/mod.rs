//! Does what a plan says, effect by effect, and decides nothing.
//!
//! The order is what keeps the promises: everything that can fail without GitLab fails first; each request that mints is
//! announced in the journal before it is sent, and its answer is recorded there under seal before anything else; old
//! tokens are touched only when all new ones are proved to work; files are written whole; the journal is closed last.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::observe::Ground;
use crate::plan::message::{Done, New};
use crate::plan::{Plan, Retire, Step};
use crate::repo::{CommitRequest, FileChange, ObjectId, RelPath};
use crate::secret::Secret;
use crate::token::{Kind as TokenKind, Owner, Record, TokenId};
use crate::ui::progress::Progress;
use crate::world::World;

mod arrive;
mod files;
mod journalled;
mod mint;
mod paste;
mod preflight;
mod push;
pub mod rekey;
mod withdraw;

pub use arrive::arrive;
use journalled::Journalled;
use preflight::Prepared;

/// A token whose value is at hand: just minted, or recorded by an interrupted run.
#[derive(Debug)]
struct Fresh {
    key: String,
    owner: Owner,
    record: Record,
    mark: String,
    value: Secret,
    replaces: Option<TokenId>,
}

/// How far it came.
#[derive(Debug)]
pub enum Applied {
    /// To the end.
    Done(Done),
    /// Everything was done but for the push: somebody else was faster. The journal stays, so that a plan on what is at
    /// the remote now finishes or withdraws what this one made.
    Overtaken(Done),
}

/// Does `plan`. `progress` is told what is going on. A plan without steps still ends the journal of an interrupted
/// run; where there is none, nothing at all is done.
///
/// # Errors
/// With kind "half-way" once anything was done that the next run has to finish; with the error's own kind where all is
/// as it was.
pub async fn apply(plan: &Plan, ground: &Ground, world: &World, progress: &Progress) -> Result<Applied> {
    let mut done = Done { environment: plan.environment.clone(), ..Done::default() };
    if plan.is_empty() && !ground.replay.exists {
        return Ok(Applied::Done(done));
    }
    let mut prepared = preflight::prepare(plan, ground, world)?;
    let mut journal = Journalled::open(plan, ground, world)?;

    progress.say(format!("{}: talking to {}", plan.environment, plan.gitlab));
    withdraw::left_over(plan, ground, world, &journal, &mut done).await?;
    unless_asked_to_stop(ground, world, &journal, &[], &done)?;
    let mut fresh = paste::all(plan, ground, world, &prepared, &mut journal)?;
    unless_asked_to_stop(ground, world, &journal, &fresh, &done)?;
    fresh.extend(mint::all(plan, ground, world, &prepared, &journal).await?);
    fresh.extend(finish(plan, ground, &mut prepared).await?);
    unless_asked_to_stop(ground, world, &journal, &fresh, &done)?;
    retire(plan, ground, world, &mut done).await;
    unless_asked_to_stop(ground, world, &journal, &fresh, &done)?;

    progress.say(format!("{}: writing and committing", plan.environment));
    restore(plan, ground, world, &mut done).map_err(|error| half_way(error, &fresh, &done))?;
    let changes = files::write(plan, ground, world, &mut prepared, &fresh, &journal, &mut done)
        .map_err(|error| half_way(error, &fresh, &done))?;
    unless_asked_to_stop(ground, world, &journal, &fresh, &done)?;
    report(fresh, &mut done);
    let commit = commit(plan, ground, world, changes, &mut done)?.or_else(|| waiting(plan, ground));
    if let (Some(delivery), Some(commit)) = (&ground.delivery, commit) {
        unless_asked_to_stop(ground, world, &journal, &[], &done)?;
        progress.say(format!("{}: pushing to {}", plan.environment, delivery.destination()));
        if !push::push(delivery, commit, ground, world, &journal, &mut done)? {
            return Ok(Applied::Overtaken(done));
        }
    }
    journal.close().map_err(|error| half_way(error, &[], &done))?;
    Ok(Applied::Done(done))
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

/// Uses what an interrupted run recorded, once GitLab has said that it works.
async fn finish(plan: &Plan, ground: &Ground, prepared: &mut Prepared) -> Result<Vec<Fresh>> {
    let mut fresh = Vec::new();
    for step in &plan.steps {
        let Step::Finish { key, owner, record, mark, replaces } = step else { continue };
        let Some(value) = prepared.recorded.remove(mark) else { continue };
        let found = ground.client.verify(&value, "the recorded token").await.map_err(|error| {
            Error::from(error)
                .context(format!("token {} could not be verified", record.id))
                .of_kind(Kind::HalfWay)
        })?;
        fresh.push(Fresh {
            key: key.clone(),
            owner: owner.clone(),
            record: Record { access_level: record.access_level, ..found },
            mark: mark.clone(),
            value,
            replaces: *replaces,
        });
    }
    Ok(fresh)
}

/// Revokes superseded tokens. One that cannot be revoked now stays noted in the lock for the next run.
async fn retire(plan: &Plan, ground: &Ground, world: &World, done: &mut Done) {
    for step in &plan.steps {
        let Step::Retire(retire) = step else { continue };
        if world.effects().asked_to_stop() {
            return;
        }
        let revoked = match withdraw::revoke(ground, &retire.owner, retire.id, &expectation(retire)).await {
            Err(error) if retire.owner.kind == TokenKind::Personal && error.kind() == Kind::NotAllowed => {
                withdraw::by_itself(retire, ground, world, error).await
            }
            revoked => revoked,
        };
        match revoked {
            Ok(()) => done.retired.push(retire.id),
            Err(error) => done.notes.push(format!("superseded token {} was not retired: {error}", retire.id)),
        }
    }
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

fn expectation(retire: &Retire) -> withdraw::Expected<'_> {
    withdraw::Expected { mark: &retire.mark, name: Some(&retire.name), created: Some(retire.created) }
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

/// An error after something was done: nothing is lost, and the next run goes on.
fn half_way(error: Error, fresh: &[Fresh], done: &Done) -> Error {
    if !fresh.is_empty() {
        return error
            .of_kind(Kind::HalfWay)
            .hint("run the same command again: the minted tokens are in the journal, under seal");
    }
    if done.is_nothing() {
        return error;
    }
    error.of_kind(Kind::HalfWay).hint("run the same command again: it goes on from here")
}

/// The values at hand by entry, for rendering.
fn values<'a>(fresh: &'a [Fresh], rendered: &'a BTreeMap<String, Secret>) -> BTreeMap<&'a str, &'a Secret> {
    let fresh = fresh.iter().map(|fresh| (fresh.key.as_str(), &fresh.value));
    fresh.chain(rendered.iter().map(|(key, value)| (key.as_str(), value))).collect()
}
