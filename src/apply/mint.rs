//! Making tokens: announce, send once, record, verify.

use futures_util::stream::{self, StreamExt};
use jiff::civil::Date;

use super::Fresh;
use super::journalled::Journalled;
use super::preflight::Prepared;
use super::{interrupted, withdraw};
use crate::error::{Error, Kind, Result};
use crate::gitlab::compare::compare;
use crate::gitlab::errors::ErrorKind;
use crate::gitlab::tokens::MintRequest;
use crate::journal::{Intent, Line, description};
use crate::observe::Ground;
use crate::observe::live::CONCURRENCY;
use crate::plan::{Mint, Plan};
use crate::token::Minted;
use crate::world::World;

/// Mints all that the plan asks for, some at a time. Either all of them are there and proved to work, or those that
/// were made are withdrawn again; what could be neither is left to the journal.
pub(super) async fn all(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    prepared: &Prepared,
    journal: &Journalled<'_>,
) -> Result<Vec<Fresh>> {
    let attempts = plan.mints().map(|mint| one(plan, mint, ground, world, prepared, journal));
    let results: Vec<Result<Fresh, Failure>> = stream::iter(attempts).buffered(CONCURRENCY).collect().await;
    let mut fresh = Vec::new();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(token) => fresh.push(token),
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() {
        return Ok(fresh);
    }
    Err(give_up(ground, fresh, failures, journal).await)
}

/// What helps where GitLab did not say how it ended.
const AGAIN: &str = "run the same command again: it looks at GitLab first, and goes on from what it finds";

/// Why one token is not there.
struct Failure {
    error: Error,
    /// Something is left that the next run has to look at: a request without a reply, or a token without a proof.
    open: bool,
    /// A signal came before it was asked for.
    stopped: bool,
}

impl Failure {
    fn closed(error: impl Into<Error>) -> Self {
        Self { error: error.into(), open: false, stopped: false }
    }

    fn open(error: impl Into<Error>) -> Self {
        Self { error: error.into(), open: true, stopped: false }
    }
}

/// Where GitLab said no, the others are withdrawn, so that all is as it was. Where an outcome is unknown, what was
/// minted stays in the journal and the next run goes on from there.
async fn give_up(
    ground: &Ground,
    fresh: Vec<Fresh>,
    failures: Vec<Failure>,
    journal: &Journalled<'_>,
) -> Error {
    let open = failures.iter().any(|failure| failure.open);
    // What was minted before a signal is as good as any: the next run uses it.
    let stopped = failures.iter().all(|failure| failure.stopped);
    if stopped && !fresh.is_empty() {
        return interrupted(Kind::HalfWay);
    }
    let count = failures.len();
    let more = |error: Error| match count {
        1 => error,
        _ => error.because(format!("{} more tokens failed", count - 1)),
    };
    let Some(first) = failures.into_iter().max_by_key(|failure| failure.open) else {
        return Error::new(Kind::Failed, "nothing was minted");
    };
    if open {
        return more(first.error).of_kind(Kind::HalfWay);
    }
    if stopped && ground.replay.exists {
        return interrupted(Kind::HalfWay);
    }
    let left = withdraw::fresh(ground, &fresh, journal).await;
    if left.is_empty() {
        return match journal.give_up() {
            Ok(()) => more(first.error),
            Err(error) => error,
        };
    }
    let ids: Vec<String> = left.iter().map(ToString::to_string).collect();
    more(first.error)
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
        return Err(Failure { stopped: true, ..Failure::closed(interrupted(Kind::Interrupted)) });
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
        replaces: mint.replaces,
    })
}

enum Attempt {
    TooFar { latest: Date, error: Error },
    Failed(Failure),
}

impl Attempt {
    fn into_failure(self) -> Failure {
        match self {
            Self::TooFar { error, .. } => Failure::closed(error),
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
    let not_sent = |error: Error| Attempt::Failed(Failure::closed(error));
    let mark = world.new_mark().map_err(not_sent)?;
    journal.append(&Line::Intent(intent(&mark, mint, ground, world))).map_err(not_sent)?;
    let request = MintRequest {
        name: mint.name.clone(),
        description: description(&plan.environment, &mint.key, &mark),
        scopes: mint.scopes.clone(),
        role: mint.role,
        expires_at,
    };
    let error = match ground.client.create(&mint.owner, &request).await {
        Ok(minted) => return Ok((mark, request, minted)),
        Err(error) => error,
    };
    if !error.is_definite_refusal() {
        let error = Error::from(error)
            .context(format!("the request for {} has no answer that can be relied on", mint.key))
            .of_kind(Kind::HalfWay)
            .hint_instead(AGAIN);
        return Err(Attempt::Failed(Failure::open(error)));
    }
    if let Err(unwritten) = journal.append(&Line::Refused { mark }) {
        return Err(Attempt::Failed(Failure::open(unwritten)));
    }
    let too_far = match error.kind() {
        ErrorKind::ExpiryTooFar { latest } => Some(*latest),
        _ => None,
    };
    let error = Error::from(error).context(format!("{} was not minted", mint.key));
    Err(match too_far {
        Some(latest) => Attempt::TooFar { latest, error },
        None => Attempt::Failed(Failure::closed(error)),
    })
}

pub(super) fn intent(mark: &str, mint: &Mint, ground: &Ground, world: &World) -> Intent {
    Intent {
        mark: mark.to_owned(),
        at: ground.client.server_time().unwrap_or_else(|| world.effects().now()),
        key: mint.key.clone(),
        owner: mint.owner.clone(),
        name: mint.name.clone(),
        scopes: mint.scopes.clone(),
        access_level: mint.role.map(crate::token::Role::access_level),
        requested: mint.expires.written.clone(),
        worktree: ground.repo.worktree_id(),
        branch: ground.head.branch.clone(),
        planned_on: ground.planned_on(&mint.key),
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
    let now = ground.client.server_time().unwrap_or_else(|| world.effects().now());
    let sealed = prepared.seal_for(&mint.key, &minted.value, now).map_err(Failure::open)?;
    let line = Line::Minted { mark: mark.to_owned(), token: minted.record.clone(), sealed };
    journal.append(&line).map_err(Failure::open)
}

/// Compares the reply with the request, and lets the token speak for itself.
async fn prove(
    mark: &str,
    request: &MintRequest,
    minted: &Minted,
    mint: &Mint,
    ground: &Ground,
    journal: &Journalled<'_>,
) -> Result<(), Failure> {
    let mut wrong = compare(request, None, &minted.record);
    if wrong.is_empty() {
        match ground.client.verify(&minted.value, "the new token").await {
            Ok(record) => wrong = compare(request, Some(minted.record.id), &record),
            Err(error) if error.is_temporary() || !error.is_definite_refusal() => {
                let error = Error::from(error)
                    .context(format!("token {} of {} could not be verified", minted.record.id, mint.key))
                    .of_kind(Kind::HalfWay)
                    .hint_instead(AGAIN);
                return Err(Failure::open(error));
            }
            Err(error) => {
                let id = minted.record.id;
                let error = Error::from(error)
                    .context(format!("GitLab refuses the token {id} that it has just made"));
                return Err(take_back(error, mark, minted, mint, ground, journal).await);
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let differences: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    let error = Error::new(
        Kind::Refused,
        format!("GitLab made another token than was asked for: {}", differences.join("; ")),
    )
    .hint("change the profile to what the instance allows, or ask its administrator");
    Err(take_back(error, mark, minted, mint, ground, journal).await)
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
        return Failure::open(error.hint_instead(AGAIN));
    }
    match journal.append(&Line::Withdrawn { mark: mark.to_owned() }) {
        Ok(()) => Failure::closed(error.because(format!("token {id} was revoked again"))),
        Err(unwritten) => Failure::open(unwritten),
    }
}
