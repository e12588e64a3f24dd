//! Using what an interrupted run recorded, once GitLab has said that it works.

use jiff::SignedDuration;

use super::Fresh;
use super::journalled::Journalled;
use super::preflight::Prepared;
use super::{mint, withdraw};
use crate::error::{Error, Kind, Result};
use crate::gitlab::compare::{Mismatch, compare};
use crate::gitlab::errors::GitLabError;
use crate::gitlab::tokens::MintRequest;
use crate::journal::Line;
use crate::observe::Ground;
use crate::plan::{Plan, Step};
use crate::token::{Known, Record, Role, TokenId};

/// How long GitLab may need until every one of its machines knows a new token. A bare 401 within that time proves
/// nothing; after it, the token is worth nothing (`docs/decisions/0006`).
const SETTLES: SignedDuration = SignedDuration::from_mins(10);

/// Asks GitLab about each.
///
/// # Errors
/// Where one does not work, or is not what was asked for; where its value was not opened.
pub(super) async fn all(
    plan: &Plan,
    ground: &Ground,
    prepared: &mut Prepared,
    journal: &Journalled<'_>,
) -> Result<Vec<Fresh>> {
    let mut fresh = Vec::new();
    for step in &plan.steps {
        let Step::Finish { key, owner, record, mark, carries, takes_over, overlap } = step else { continue };
        let value = prepared.take_recorded(mark)?;
        let found = match ground.client.verify(&value, "the recorded token").await {
            Ok(found) => Record { access_level: record.access_level, ..found },
            Err(error) => {
                let token = Known {
                    id: record.id,
                    owner: owner.clone(),
                    name: record.name.clone(),
                    created: record.created_at,
                    mark: Some(carries.clone()),
                };
                return Err(refused(error, &token, mark, ground, journal).await);
            }
        };
        let wrong = differences(mark, record.id, &found, ground);
        if !wrong.is_empty() {
            let revoked = withdraw::marked(ground, owner, record.id, carries).await;
            return Err(withdrawn(&wrong, record.id, mark, revoked, journal));
        }
        fresh.push(Fresh {
            key: key.clone(),
            owner: owner.clone(),
            record: found,
            mark: mark.clone(),
            value,
            takes_over: *takes_over,
            overlap: overlap.clone(),
        });
    }
    Ok(fresh)
}

/// A token that GitLab lists as active, and does not accept. It is kept as long as that may change.
async fn refused(
    error: GitLabError,
    token: &Known,
    mark: &str,
    ground: &Ground,
    journal: &Journalled<'_>,
) -> Error {
    let id = token.id;
    let is_new = ground.client.server_time().is_none_or(|now| now.duration_since(token.created) < SETTLES);
    let kept = is_new && mint::says_nothing(&error) || !error.condemns_credential();
    let error = Error::from(error).of_kind(Kind::HalfWay);
    if kept {
        return error
            .context(format!("token {id} could not be verified"))
            .hint_instead("run the same command again in a minute: its value is in the journal, under seal");
    }
    let error =
        error.context(format!("GitLab does not accept token {id}, which it made at {}", token.created));
    let revoked = match withdraw::revoke(ground, token).await {
        Ok(()) => journal.append(&Line::Withdrawn { mark: mark.to_owned() }),
        Err(error) => Err(error),
    };
    match revoked {
        Ok(()) => {
            error.because("it was revoked").hint_instead("run the same command again: it makes another")
        }
        Err(why) => error.because(format!("it could not be revoked either: {why}")),
    }
}

/// Where the token is not what the interrupted run asked for: that may have died before it compared them. What a person made
/// by hand was compared when it was given.
fn differences(mark: &str, id: TokenId, found: &Record, ground: &Ground) -> Vec<Mismatch> {
    let intent = ground.replay.open.iter().map(|open| &open.intent).find(|intent| intent.mark == mark);
    let Some((intent, sent)) = intent.and_then(|intent| Some((intent, intent.sent.as_ref()?))) else {
        return Vec::new();
    };
    let request = MintRequest {
        name: intent.name.clone(),
        description: String::new(),
        scopes: intent.scopes.clone(),
        role: intent.access_level.and_then(Role::from_access_level),
        expires_at: sent.expires_at,
    };
    compare(&request, Some(id), found)
}

/// Notes that a token that is not what was asked for is gone.
fn withdrawn(
    wrong: &[Mismatch],
    id: TokenId,
    mark: &str,
    revoked: Result<()>,
    journal: &Journalled<'_>,
) -> Error {
    let error = mint::another(wrong).of_kind(Kind::HalfWay);
    match revoked.and_then(|()| journal.append(&Line::Withdrawn { mark: mark.to_owned() })) {
        Ok(()) => error.because(format!("token {id} was revoked")),
        Err(why) => {
            let again =
                "run the same command again: it looks at GitLab first, and goes on from what it finds";
            error.because(format!("token {id} could not be revoked either: {why}")).hint_instead(again)
        }
    }
}
