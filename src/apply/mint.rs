//! Making tokens: announce, send once, record, verify.

use std::cell::Cell;

use futures_util::stream::{self, StreamExt};
use jiff::civil::Date;

use super::Fresh;
use super::journalled::Journalled;
use super::preflight::Prepared;
use super::{interrupted, withdraw};
use crate::error::{Error, Kind, Result};
use crate::gitlab::compare::{Mismatch, compare};
use crate::gitlab::errors::{ErrorKind, GitLabError};
use crate::gitlab::tokens::MintRequest;
use crate::journal::{Intent, Line, Sent, description};
use crate::observe::Ground;
use crate::observe::live::CONCURRENCY;
use crate::plan::{Mint, Plan};
use crate::token::{Known, Minted};
use crate::ui::progress::Progress;
use crate::world::World;

/// What became of the mints of a plan.
pub(super) struct Mints {
    /// Those that are there and proved to work.
    pub(super) fresh: Vec<Fresh>,
    /// Those that GitLab refused, by entry; nothing is left of them.
    pub(super) refused: Vec<(String, Error)>,
}

/// Mints all that the plan asks for, some at a time.
///
/// # Errors
/// Where the outcome of one is unknown: the journal has what is there, and the next run goes on from it.
pub(super) async fn all(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    prepared: &Prepared,
    journal: &Journalled<'_>,
    progress: &Progress,
) -> Result<Mints> {
    let total = plan.mints().count();
    let made = Cell::new(0);
    let attempts = plan.mints().map(|mint| async {
        let result = one(plan, mint, ground, world, prepared, journal).await;
        made.set(made.get() + usize::from(result.is_ok()));
        progress.say(&format!("{}: {} of {total} tokens are made", plan.environment, made.get()));
        (mint.key.clone(), result)
    });
    let results: Vec<_> = stream::iter(attempts).buffered(CONCURRENCY).collect().await;
    let mut mints = Mints { fresh: Vec::new(), refused: Vec::new() };
    let mut open = Vec::new();
    let mut stopped = false;
    for (key, result) in results {
        match result {
            Ok(token) => mints.fresh.push(token),
            Err(Failure::Stopped) => stopped = true,
            Err(Failure::Open(error)) => open.push(error),
            Err(Failure::Closed(error)) => mints.refused.push((key, error)),
        }
    }
    let failed = open.len() + mints.refused.len();
    match open.into_iter().next() {
        Some(error) => Err(with_others(error, failed).of_kind(Kind::HalfWay)),
        None if stopped => Err(stop(&mints, ground, journal)),
        None => Ok(mints),
    }
}

/// A signal came before all was sent. What was minted until then is as good as any: the next run uses it.
fn stop(mints: &Mints, ground: &Ground, journal: &Journalled<'_>) -> Error {
    if !mints.fresh.is_empty() || ground.replay.exists {
        return interrupted(Kind::HalfWay);
    }
    match journal.give_up() {
        Ok(()) => interrupted(Kind::Interrupted),
        Err(unwritten) => unwritten,
    }
}

/// What helps where GitLab did not say how it ended.
const AGAIN: &str = "run the same command again: it looks at GitLab first, and goes on from what it finds";

/// Why one token is not there.
enum Failure {
    /// Nothing is left of it: it was not asked for, GitLab refused it, or it is revoked again.
    Closed(Error),
    /// Something is left that the next run has to look at: a request without a reply, or a token without a proof.
    Open(Error),
    /// A signal came before it was asked for.
    Stopped,
}

fn with_others(error: Error, failed: usize) -> Error {
    match failed {
        0 | 1 => error,
        _ => error.because(format!("{} more tokens failed", failed - 1)),
    }
}

/// Where GitLab said no and nothing can be done without what it refused, the others are withdrawn, so that all is as it
/// was. What GitLab's rotate made is kept for the next run: the token before it is dead.
pub(super) async fn give_up(ground: &Ground, mints: Mints, journal: &Journalled<'_>) -> Error {
    let failed = mints.refused.len();
    let Some((_, first)) = mints.refused.into_iter().next() else {
        return Error::new(Kind::Failed, "nothing was minted");
    };
    let first = with_others(first, failed);
    let (rotated, fresh): (Vec<Fresh>, Vec<Fresh>) =
        mints.fresh.into_iter().partition(|fresh| fresh.takes_over.is_rotation());
    let left = withdraw::fresh(ground, &fresh, journal).await;
    if !rotated.is_empty() {
        return first
            .of_kind(Kind::HalfWay)
            .hint("run the same command again: the tokens that were rotated are in the journal, under seal");
    }
    if left.is_empty() {
        return match journal.give_up() {
            Ok(()) => first,
            Err(error) => error,
        };
    }
    let ids: Vec<String> = left.iter().map(ToString::to_string).collect();
    first
        .of_kind(Kind::HalfWay)
        .because(format!("token {} was minted before that and is not withdrawn yet", ids.join(", ")))
        .hint("run the same command again: it withdraws what is left")
}

async fn one(
    plan: &Plan,
    mint: &Mint,
    ground: &Ground,
    world: &World,
    prepared: &Prepared,
    journal: &Journalled<'_>,
) -> Result<Fresh, Failure> {
    if world.effects().asked_to_stop() {
        return Err(Failure::Stopped);
    }
    let (mark, request, minted) = match attempt(plan, mint, mint.expires.date, ground, world, journal).await {
        // GitLab refused for the date alone, so nothing was made: `max` means the latest date that it takes.
        Err(Attempt::TooFar { latest, .. }) if mint.expires.or_earlier => {
            attempt(plan, mint, Some(latest), ground, world, journal).await.map_err(Attempt::into_failure)?
        }
        other => other.map_err(Attempt::into_failure)?,
    };
    record(&mark, &minted, mint, ground, world, prepared, journal)?;
    prove(&mark, &request, &minted, mint, ground, journal).await?;
    Ok(Fresh {
        key: mint.key.clone(),
        owner: mint.owner.clone(),
        record: minted.record,
        mark,
        value: minted.value,
        takes_over: mint.takes_over(),
        overlap: mint.overlap.clone(),
    })
}

enum Attempt {
    TooFar { latest: Date, error: Error },
    Failed(Failure),
}

impl Attempt {
    fn into_failure(self) -> Failure {
        match self {
            Self::TooFar { error, .. } => Failure::Closed(error),
            Self::Failed(failure) => failure,
        }
    }
}

/// One request under a mark of its own. It is sent exactly once, whatever comes back.
async fn attempt(
    plan: &Plan,
    mint: &Mint,
    expires_at: Option<Date>,
    ground: &Ground,
    world: &World,
    journal: &Journalled<'_>,
) -> Result<(String, MintRequest, Minted), Attempt> {
    let not_sent = |error: Error| Attempt::Failed(Failure::Closed(error));
    if let Some(old) = &mint.rotates {
        still_rotates(ground, old, &mint.key).await.map_err(not_sent)?;
    }
    let mark = world.new_mark().map_err(not_sent)?;
    let sent = Some(Sent { expires_at });
    let intent = Intent { sent, ..intent(&mark, mint, ground, world) };
    journal.append(&Line::Intent(Box::new(intent))).map_err(not_sent)?;
    let request = MintRequest {
        name: mint.name.clone(),
        description: description(&plan.environment, &mint.key, &mark),
        scopes: mint.scopes.clone(),
        role: mint.role,
        expires_at,
    };
    let sent = match &mint.rotates {
        Some(old) => ground.client.rotate(&old.owner, old.id, expires_at).await,
        None => ground.client.create(&mint.owner, &request).await,
    };
    let error = match sent {
        Ok(minted) => return Ok((mark, request, minted)),
        Err(error) => error,
    };
    if !error.is_definite_refusal() {
        let error = Error::from(error)
            .context(format!("the request for {} had no answer that says how it ended", mint.key))
            .of_kind(Kind::HalfWay)
            .hint_instead(AGAIN);
        return Err(Attempt::Failed(Failure::Open(error)));
    }
    if let Err(unwritten) = journal.append(&Line::Refused { mark }) {
        return Err(Attempt::Failed(Failure::Open(unwritten)));
    }
    let too_far = match error.kind() {
        ErrorKind::ExpiryTooFar { latest } => Some(*latest),
        _ => None,
    };
    let verb = if mint.rotates.is_some() { "rotated" } else { "minted" };
    let error = Error::from(error).context(format!("{} was not {verb}", mint.key));
    Err(match too_far {
        Some(latest) => Attempt::TooFar { latest, error },
        None => Attempt::Failed(Failure::Closed(error)),
    })
}

/// The token that is to be rotated, looked at once more right before: GitLab refuses the request for one that is revoked,
/// in words that are not told from others.
async fn still_rotates(ground: &Ground, old: &Known, key: &str) -> Result<()> {
    let record = withdraw::as_meant(ground, &old.owner, old.id, |record| old.contradiction(record)).await?;
    if record.is_some_and(|record| record.active) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Refused,
        format!("token {} of {key} has ended meanwhile, and is not rotated", old.id),
    )
    .hint("run the same command again and look at the new plan"))
}

/// Of a token that is not asked for by a request.
pub(super) fn intent(mark: &str, mint: &Mint, ground: &Ground, world: &World) -> Intent {
    Intent {
        mark: mark.to_owned(),
        at: ground.now(world),
        key: mint.key.clone(),
        gitlab: ground.environment.gitlab.clone(),
        owner: mint.owner.clone(),
        name: mint.name.clone(),
        scopes: mint.scopes.clone(),
        access_level: mint.role.map(crate::token::Role::access_level),
        requested: mint.expires.written.clone(),
        sent: None,
        worktree: ground.repo.worktree_id(),
        branch: ground.head.branch.clone(),
        way: ground.delivery.as_ref().map(|delivery| delivery.way()),
        planned_on: ground.planned_on(&mint.key),
        overlap: mint.overlap.clone(),
        rotates: mint.rotates.clone(),
    }
}

/// The value goes under seal into the journal before anything else is done with it.
fn record(
    mark: &str,
    minted: &Minted,
    mint: &Mint,
    ground: &Ground,
    world: &World,
    prepared: &Prepared,
    journal: &Journalled<'_>,
) -> Result<(), Failure> {
    let now = ground.now(world);
    let sealed = prepared.seal_for(&mint.key, &minted.value, now).map_err(Failure::Open)?;
    let line = Line::Minted { mark: mark.to_owned(), token: minted.record.clone(), sealed };
    journal.append(&line).map_err(Failure::Open)
}

/// Compares the reply with the request, and lets the token speak for itself.
///
/// What says no to a token that was made a moment ago may be a replica that has not heard of it, so a bare 401 proves
/// nothing: the value is kept, and the next run asks again (`docs/decisions/0006`).
async fn prove(
    mark: &str,
    request: &MintRequest,
    minted: &Minted,
    mint: &Mint,
    ground: &Ground,
    journal: &Journalled<'_>,
) -> Result<(), Failure> {
    let id = minted.record.id;
    let mut wrong = compare(request, None, &minted.record);
    if wrong.is_empty() {
        match ground.client.verify(&minted.value, "the new token").await {
            Ok(record) => wrong = compare(request, Some(id), &record),
            Err(error) if says_nothing(&error) => {
                let error = Error::from(error)
                    .context(format!("token {id} of {} could not be verified", mint.key))
                    .of_kind(Kind::HalfWay)
                    .hint_instead(AGAIN);
                return Err(Failure::Open(error));
            }
            Err(error) => {
                let error = Error::from(error)
                    .context(format!("GitLab refuses the token {id} that it has just made"));
                return Err(take_back(error, mark, minted, mint, ground, journal).await);
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(take_back(another(&wrong), mark, minted, mint, ground, journal).await)
}

/// What is said of a token that is not the one that was asked for.
pub(super) fn another(wrong: &[Mismatch]) -> Error {
    let differences: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    let what = format!("GitLab made another token than was asked for: {}", differences.join("; "));
    Error::new(Kind::Refused, what)
        .hint("change the profile to what the instance allows, or ask its administrator")
}

/// Whether a verification that failed leaves open what the token is worth.
pub(super) fn says_nothing(error: &GitLabError) -> bool {
    error.is_temporary() || !error.is_definite_refusal() || *error.kind() == ErrorKind::TokenUnknown
}

async fn take_back(
    error: Error,
    mark: &str,
    minted: &Minted,
    mint: &Mint,
    ground: &Ground,
    journal: &Journalled<'_>,
) -> Failure {
    let id = minted.record.id;
    if let Err(revoking) = ground.client.revoke(&mint.owner, id).await {
        let error = error.because(format!("token {id} could not be revoked either: {revoking}"));
        return Failure::Open(error.hint_instead(AGAIN));
    }
    match journal.append(&Line::Withdrawn { mark: mark.to_owned() }) {
        Ok(()) => Failure::Closed(error.because(format!("token {id} was revoked again"))),
        Err(unwritten) => Failure::Open(unwritten),
    }
}
