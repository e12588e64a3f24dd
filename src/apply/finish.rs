//! Using what an interrupted run recorded, once GitLab has said that it works.

use jiff::SignedDuration;

use super::Fresh;
use super::journalled::Journalled;
use super::preflight::Prepared;
use super::{mint, withdraw};
use crate::error::{Error, Kind, Result};
use crate::gitlab::errors::GitLabError;
use crate::journal::Line;
use crate::observe::Ground;
use crate::plan::{Plan, Step};
use crate::token::{Known, Record};

/// How long GitLab may need until every one of its machines knows a new token. A bare 401 within that time proves
/// nothing; after it, the token is worth nothing (`docs/decisions/0006`).
const SETTLES: SignedDuration = SignedDuration::from_mins(10);

pub(super) async fn all(
    plan: &Plan,
    ground: &Ground,
    prepared: &mut Prepared,
    journal: &Journalled<'_>,
) -> Result<Vec<Fresh>> {
    let mut fresh = Vec::new();
    for step in &plan.steps {
        let Step::Finish { key, owner, record, mark, carries, replaces, overlap, rotated } = step else {
            continue;
        };
        let Some(value) = prepared.recorded.remove(mark) else { continue };
        let found = match ground.client.verify(&value, "the recorded token").await {
            Ok(found) => found,
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
        fresh.push(Fresh {
            key: key.clone(),
            owner: owner.clone(),
            record: Record { access_level: record.access_level, ..found },
            mark: mark.clone(),
            value,
            replaces: *replaces,
            overlap: overlap.clone(),
            rotated: *rotated,
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
