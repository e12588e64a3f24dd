//! Revoking the tokens of entries that end, and proving it.

use futures_util::stream::{self, StreamExt};

use super::preflight::Prepared;
use super::{interrupted, withdraw};
use crate::error::{Error, Kind, Result};
use crate::gitlab::errors::ErrorKind;
use crate::observe::Ground;
use crate::observe::live::CONCURRENCY;
use crate::plan::message::{Done, Proof, Revoked};
use crate::plan::{Plan, Revoke};
use crate::secret::Secret;
use crate::world::World;

/// Revokes what the plan says, some at a time. Returns what failed, by entry.
pub(super) async fn all(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    prepared: &Prepared,
    done: &mut Done,
) -> Vec<(String, Error)> {
    let attempts = plan.revocations().map(|revoke| async move {
        let value = prepared.revoked.get(&revoke.retire.token.id);
        if world.effects().asked_to_stop() {
            return (revoke, Err(interrupted(Kind::HalfWay)));
        }
        (revoke, one(revoke, value, ground, world).await)
    });
    let results: Vec<_> = stream::iter(attempts).buffered(CONCURRENCY).collect().await;
    let mut failed = Vec::new();
    for (Revoke { retire, .. }, result) in results {
        let (key, id) = (retire.key.clone(), retire.token.id);
        match result {
            Ok(proof) => done.revoked.push(Revoked { key, id, proof }),
            Err(error) => {
                failed.push((key, error.context(format!("token {id} of {} is not revoked", retire.key))));
            }
        }
    }
    failed
}

async fn one(revoke: &Revoke, value: Option<&Secret>, ground: &Ground, world: &World) -> Result<Proof> {
    let token = &revoke.retire.token;
    withdraw::retire(ground, &revoke.retire, world).await.map_err(open)?;
    let record = ground
        .client
        .get(&token.owner, token.id)
        .await
        .map_err(|error| Error::from(error).of_kind(Kind::HalfWay))?;
    if record.is_some_and(|record| !record.revoked && record.active) {
        return Err(Error::new(
            Kind::HalfWay,
            "GitLab took the request, and still shows the token as active",
        )
        .hint("run the same command again; where that does not help, revoke it at GitLab"));
    }
    let Some(value) = value else { return Ok(Proof::Record) };
    match ground.client.verify(value, "the revoked token").await {
        Err(error) if *error.kind() == ErrorKind::TokenRevoked => Ok(Proof::Itself),
        Err(_) => Ok(Proof::Record),
        Ok(record) if record.id == token.id => {
            Err(Error::new(Kind::HalfWay, "GitLab shows it as revoked, and still accepts its value")
                .hint("run the same command again in a minute: GitLab may need that long"))
        }
        // Somebody has put another token into the slot.
        Ok(_) => Ok(Proof::Record),
    }
}

/// A request without an answer may have been carried out.
fn open(error: Error) -> Error {
    match error.kind() {
        Kind::Refused | Kind::NotAllowed => error,
        _ => error
            .of_kind(Kind::HalfWay)
            .hint_instead("run the same command again: it goes on from what it finds"),
    }
}
