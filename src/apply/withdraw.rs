//! Revoking a token, never before GitLab's own record of it was looked at.

use jiff::Timestamp;

use super::Fresh;
use super::journalled::Journalled;
use crate::error::{Error, Kind, Result};
use crate::journal::{Line, carries};
use crate::observe::{Ground, former};
use crate::plan::message::Done;
use crate::plan::{Plan, Retire, Step};
use crate::token::{Owner, Record, TokenId};
use crate::world::World;

/// What must be true of a token at the moment before it is revoked.
pub(super) struct Expected<'a> {
    /// In its description.
    pub(super) mark: &'a str,
    /// Its name, where a lock remembers it.
    pub(super) name: Option<&'a str>,
    /// When it was made, where a lock remembers it.
    pub(super) created: Option<Timestamp>,
}

impl Expected<'_> {
    fn contradiction(&self, record: &Record) -> Option<&'static str> {
        let marked = record.description.as_deref().is_some_and(|text| carries(text, self.mark));
        if !marked {
            return Some("its description does not have our mark");
        }
        if self.name.is_some_and(|name| name != record.name) {
            return Some("its name is another one");
        }
        if self.created.is_some_and(|created| created != record.created_at) {
            return Some("it was made at another time");
        }
        None
    }
}

/// Reads the token, compares, revokes. One that is no longer active is left as it is.
pub(super) async fn revoke(
    ground: &Ground,
    owner: &Owner,
    id: TokenId,
    expected: &Expected<'_>,
) -> Result<()> {
    if ground.operator == Some(id) {
        return Err(Error::new(Kind::Refused, format!("token {id} is the one that this run acts with")));
    }
    let Some(record) = ground.client.get(owner, id).await? else { return Ok(()) };
    if !record.active {
        return Ok(());
    }
    if let Some(why) = expected.contradiction(&record) {
        return Err(Error::new(Kind::Refused, format!("token {id} is not ours to revoke")).because(why));
    }
    ground.client.revoke(owner, id).await?;
    Ok(())
}

/// Lets a personal token withdraw itself: what its owner acts with seldom has the scope that revoking another token takes.
/// `refused`: what GitLab said to the operator.
pub(super) async fn by_itself(retire: &Retire, ground: &Ground, world: &World, refused: Error) -> Result<()> {
    let Some(value) = former::value(ground, &retire.key, retire.id, world)? else { return Err(refused) };
    let record = ground.client.verify(&value, "the superseded token").await?;
    let expected = Expected { mark: &retire.mark, name: Some(&retire.name), created: Some(retire.created) };
    if record.id != retire.id || expected.contradiction(&record).is_some() {
        return Err(refused);
    }
    Ok(ground.client.revoke_itself(&value, "the superseded token").await?)
}

/// Withdraws what an interrupted run left and nobody can use.
pub(super) async fn left_over(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    journal: &Journalled<'_>,
    done: &mut Done,
) -> Result<()> {
    for step in &plan.steps {
        let Step::Withdraw { owner, id, mark, .. } = step else { continue };
        if world.effects().asked_to_stop() {
            return Ok(());
        }
        revoke(ground, owner, *id, &Expected { mark, name: None, created: None }).await?;
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
