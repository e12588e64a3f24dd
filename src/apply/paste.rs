//! Taking personal tokens that a person made in GitLab's form: from here on they are kept like those that are minted.

use super::Fresh;
use super::journalled::Journalled;
use super::mint::intent;
use super::preflight::Prepared;
use crate::error::{Error, Kind, Result};
use crate::journal::{Line, mark_in};
use crate::observe::Ground;
use crate::plan::Plan;
use crate::secret::Secret;
use crate::ui::interrupt;
use crate::world::World;

/// Puts each value under seal into the journal, where it stays even if the run gives up: nobody can ask for it again.
pub(super) fn all(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    prepared: &Prepared,
    journal: &mut Journalled<'_>,
) -> Result<Vec<Fresh>> {
    let mut fresh: Vec<Fresh> = Vec::new();
    for mint in plan.pastes() {
        let pasted = ground.pasted.iter().find(|pasted| pasted.key == mint.key).ok_or_else(|| {
            Error::new(Kind::Failed, format!("the personal token of {} was not pasted", mint.key))
        })?;
        // The form was given a mark; a token that was made without it gets one for the journal alone.
        let mark = match pasted.record.description.as_deref().and_then(mark_in) {
            Some(mark) => mark.to_owned(),
            None => world.new_mark()?,
        };
        let now = ground.now(world);
        let sealed = prepared.seal_for(&mint.key, &pasted.value, now)?;
        journal.keep([
            Line::Intent(Box::new(intent(&mark, mint, ground, world))),
            Line::Minted { mark: mark.clone(), token: pasted.record.clone(), sealed },
        ])?;
        interrupt::token_is_settled(&format!("{}/{}", plan.environment, mint.key));
        fresh.push(Fresh {
            key: mint.key.clone(),
            owner: mint.owner.clone(),
            record: pasted.record.clone(),
            mark,
            value: Secret::new(pasted.value.expose().to_owned()),
            takes_over: mint.takes_over(),
            overlap: mint.overlap.clone(),
        });
    }
    Ok(fresh)
}
