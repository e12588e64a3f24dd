//! Revoking a token, never before GitLab's own record of it was looked at.

use std::rc::Rc;

use super::Fresh;
use super::journalled::Journalled;
use super::preflight::Prepared;
use crate::error::{Error, Kind, Result};
use crate::gitlab::errors::ErrorKind;
use crate::journal::Line;
use crate::observe::{Ground, former};
use crate::plan::message::Done;
use crate::plan::{Plan, Proof, Retire, Step};
use crate::secret::Secret;
use crate::token::{Kind as TokenKind, Known, Owner, Record, TokenId};
use crate::world::World;

/// Reads the token, compares, revokes. One that is no longer active is left as it is.
///
/// # Errors
/// Where it is not the token that is meant, or GitLab refuses or cannot be reached.
pub(super) async fn revoke(ground: &Ground, token: &Known) -> Result<()> {
    revoke_where(ground, &token.owner, token.id, |record| token.contradiction(record)).await
}

/// The same of a token of an interrupted run, by the mark in its description.
///
/// # Errors
/// As [`revoke`].
pub(super) async fn marked(ground: &Ground, owner: &Owner, id: TokenId, mark: &str) -> Result<()> {
    let contradiction = |record: &Record| {
        (!record.carries(mark)).then(|| "its description does not have our mark".to_owned())
    };
    revoke_where(ground, owner, id, contradiction).await
}

async fn revoke_where(
    ground: &Ground,
    owner: &Owner,
    id: TokenId,
    contradiction: impl Fn(&Record) -> Option<String>,
) -> Result<()> {
    let Some(record) = as_meant(ground, owner, id, contradiction).await? else { return Ok(()) };
    if record.active {
        ground.client.revoke(owner, id).await?;
    }
    Ok(())
}

/// The token as GitLab has it now, where it is the one that is meant; `None`: GitLab knows it no more.
///
/// # Errors
/// Where it is another one, or the one that we act with.
pub(super) async fn as_meant(
    ground: &Ground,
    owner: &Owner,
    id: TokenId,
    contradiction: impl Fn(&Record) -> Option<String>,
) -> Result<Option<Record>> {
    if ground.operator == Some(id) {
        return Err(Error::new(Kind::Refused, format!("token {id} is the one that this run acts with")));
    }
    let Some(record) = ground.client.get(owner, id).await? else { return Ok(None) };
    match contradiction(&record) {
        Some(why) if record.active => {
            Err(Error::new(Kind::Refused, format!("token {id} is not ours to revoke")).because(why))
        }
        _ => Ok(Some(record)),
    }
}

/// Revokes a token of an entry: one with a mark as the operator, where GitLab lets them; one without ends itself.
///
/// # Errors
/// As [`revoke`], and where its value, which alone proves which token it is, is not at hand.
pub(super) async fn retire(ground: &Ground, retire: &Retire, world: &World) -> Result<()> {
    let token = &retire.token;
    let refused = match token.mark {
        None => Error::new(Kind::Refused, format!("token {} is not ours to revoke", token.id))
            .because("it was made by hand, and what the file holds, or held, is not its value"),
        Some(_) => match revoke(ground, token).await {
            // What a person acts with seldom has the scope to revoke another token; the token itself may always end.
            Err(error) if token.owner.kind == TokenKind::Personal && error.kind() == Kind::NotAllowed => {
                error
            }
            revoked => return revoked,
        },
    };
    if ground.operator == Some(token.id) {
        return Err(refused);
    }
    let given = ground.leaked.as_ref().filter(|leaked| leaked.id == token.id);
    let value = match given {
        Some(leaked) => Rc::clone(&leaked.value),
        None => match former::value(ground, token.id, world)? {
            Some(value) => Rc::new(value),
            None => return Err(refused),
        },
    };
    let record = match ground.client.verify(&value, "the token").await {
        Ok(record) => record,
        // Then nobody can use it any more.
        Err(error) if matches!(error.kind(), ErrorKind::TokenRevoked | ErrorKind::TokenExpired) => {
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let contradiction = match token.mark {
        None => token.difference(&record),
        Some(_) => token.contradiction(&record),
    };
    if record.id != token.id || contradiction.is_some() {
        return Err(refused);
    }
    Ok(ground.client.revoke_itself(&value, "the token").await?)
}

/// Ends a token with the value that GitLab gave for it, where that is still the value of this token.
async fn end_itself(ground: &Ground, id: TokenId, value: &Secret, called: &str) -> Result<()> {
    let record = ground.client.verify(value, called).await?;
    if record.id != id || ground.operator == Some(id) {
        return Err(Error::new(Kind::Refused, format!("{called} is not token {id}, which is left alone")));
    }
    Ok(ground.client.revoke_itself(value, called).await?)
}

/// Withdraws what an interrupted run left and nobody can use.
pub(super) async fn left_over(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    prepared: &mut Prepared,
    journal: &Journalled<'_>,
    done: &mut Done,
) -> Result<()> {
    for step in &plan.steps {
        let Step::Withdraw { owner, id, mark, proof, .. } = step else { continue };
        if world.effects().asked_to_stop() {
            return Ok(());
        }
        match proof {
            Proof::Mark(mark) => marked(ground, owner, *id, mark).await?,
            Proof::Value => {
                let value = prepared.take_recorded(mark)?;
                end_itself(ground, *id, &value, "the recorded token").await?;
            }
        }
        journal.append(&Line::Withdrawn { mark: mark.clone() })?;
        done.withdrawn.push(*id);
    }
    Ok(())
}

/// Withdraws what this run has just minted. Returns the ids that could not be withdrawn; the next run does that.
pub(super) async fn fresh(ground: &Ground, fresh: &[Fresh], journal: &Journalled<'_>) -> Vec<TokenId> {
    let mut left = Vec::new();
    for token in fresh {
        let revoked = ground.client.revoke(&token.owner, token.record.id).await.is_ok()
            && journal.append(&Line::Withdrawn { mark: token.mark.clone() }).is_ok();
        if !revoked {
            left.push(token.record.id);
        }
    }
    left
}
