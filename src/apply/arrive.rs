//! A plan done until what it committed has arrived.

use super::{Applied, apply, interrupted};
use crate::deliver::ATTEMPTS;
use crate::error::{Error, Kind, Result};
use crate::observe::Ground;
use crate::plan::Plan;
use crate::plan::message::Done;
use crate::repo::ObjectId;
use crate::ui::progress::Progress;
use crate::world::World;

/// Does `plan`. Where somebody else pushed faster, `again` looks at what is there now and plans anew: that plan finishes
/// what was made here, or withdraws it where the winner made the same. It is done as long as it does nothing that was not
/// in the plan that a person said yes to. At the end the user's branch is moved on, also where there was nothing to do:
/// a run that was killed behind its push has not come to that. `done` is told what was done, however it ends.
///
/// # Errors
/// Those of [`apply`] and of `again`.
pub async fn arrive<A>(
    ground: Ground,
    shown: &Plan,
    world: &World,
    progress: &Progress,
    done: &mut Done,
    mut again: A,
) -> Result<()>
where
    A: AsyncFnMut() -> Result<(Ground, Plan)>,
{
    if apply(shown, &ground, world, progress, done).await? == Applied::Done {
        settle(done, shown, &ground, world, false);
        return Ok(());
    }
    drop(ground);
    for _ in 1..ATTEMPTS {
        if world.effects().asked_to_stop() {
            return Err(interrupted(Kind::HalfWay));
        }
        progress.say(&format!("{}: somebody else was faster; looking again", shown.environment));
        let (ground, plan) = again().await.map_err(|error| error.of_kind(Kind::HalfWay))?;
        if plan.exceeds(shown) {
            return Err(other_plan(shown));
        }
        let before = std::mem::take(done);
        let applied = apply(&plan, &ground, world, progress, done).await;
        *done = before.then(std::mem::take(done));
        if applied.map_err(|error| error.of_kind(Kind::HalfWay))? == Applied::Done {
            settle(done, &plan, &ground, world, true);
            return Ok(());
        }
    }
    Err(Error::new(Kind::HalfWay, format!("{}: {ATTEMPTS} pushes came too late", shown.environment)).go_on())
}

fn other_plan(shown: &Plan) -> Error {
    Error::new(
        Kind::HalfWay,
        format!(
            "the remote has moved on, and the plan for {} is no longer the one that was shown",
            shown.environment
        ),
    )
    .hint("run the same command again and look at the new plan: it goes on from here")
}

/// Adds what the plan knew, and what is to be said about the delivery.
fn settle(done: &mut Done, plan: &Plan, ground: &Ground, world: &World, overtaken: bool) {
    done.healthy.clone_from(&plan.healthy);
    let Some(delivery) = &ground.delivery else { return };
    let pushed = done.pushed.as_ref().and(done.commit.as_ref());
    let pushed = pushed.and_then(|commit| ObjectId::from_hex(commit.as_bytes()).ok());
    if overtaken {
        let to = delivery.destination();
        done.notes.push(match pushed {
            Some(_) => format!("the commit was made anew on what was pushed to {to} meanwhile"),
            None => format!("another run was faster at {to}: what it made counts"),
        });
    }
    done.notes.extend(delivery.move_on(world, pushed));
}
