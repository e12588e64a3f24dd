//! Values that a person put into the slots of an environment by hand (`sops edit`): whose they are, by GitLab's word.

use super::Ground;
use super::files::{GroundFile, is_plainly};
use crate::error::Result;
use crate::lock::{self, Entry, Lock};
use crate::plan::adopt::{Left, entry, minted_elsewhere};
use crate::plan::observed::{Leaf, Observed};
use crate::profile::Token;
use crate::secret::Secret;
use crate::sops::Path;
use crate::world::World;

/// A slot whose value the lock does not know.
struct Slot<'g> {
    file: &'g GroundFile,
    path: Path,
    value: Secret,
}

/// The lock with the tokens that the slots hold; the tokens that came into it, and what cannot. Files are not touched.
///
/// # Errors
/// Where a file cannot be opened, or GitLab cannot be reached.
pub async fn look(
    ground: &Ground,
    observed: &Observed,
    world: &World,
) -> Result<(Lock, Vec<Entry>, Vec<Left>)> {
    let mut lock = ground.lock.clone();
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    for token in &ground.environment.tokens {
        let slots = slots(token, ground, observed, world)?;
        let Some(first) = slots.first() else { continue };
        let place = format!("{} {}", first.file.path, first.path);
        match one(token, &slots, ground, observed).await? {
            Ok(new) => {
                lock.tokens.insert(token.key.clone(), new.clone());
                taken.push(new);
            }
            Err(why) => left.push(Left { place, why }),
        }
    }
    Ok((lock, taken, left))
}

/// The slots of a token that hold something else than the lock says, opened.
fn slots<'g>(token: &Token, ground: &'g Ground, observed: &Observed, world: &World) -> Result<Vec<Slot<'g>>> {
    let mut slots = Vec::new();
    for (file, state) in ground.files.iter().zip(&observed.files) {
        let differs =
            state.slots.iter().filter(|slot| slot.leaf == Leaf::Differs && slot.tokens.contains(&token.key));
        let plain: Vec<&Path> = differs
            .filter(|slot| {
                let leaf = file.template.slots().find(|leaf| leaf.path == slot.path);
                leaf.is_some_and(|leaf| is_plainly(&token.key, leaf, file, &ground.environment))
            })
            .map(|slot| &slot.path)
            .collect();
        if plain.is_empty() {
            continue;
        }
        let Some(opened) = file.open(&*world.identities()?)? else { continue };
        for path in plain {
            if let Some(value) = opened.get(path)?.filter(|value| !value.trimmed().is_empty()) {
                slots.push(Slot { file, path: path.clone(), value });
            }
        }
    }
    Ok(slots)
}

/// The entry of the token that these slots hold, or why there is none.
async fn one(
    token: &Token,
    slots: &[Slot<'_>],
    ground: &Ground,
    observed: &Observed,
) -> Result<Result<Entry, String>> {
    let Some(owner) = observed.owners.get(&token.key) else {
        return Ok(Err("its owner is not known".to_owned()));
    };
    let value = &slots[0].value;
    if slots.iter().any(|slot| slot.value.expose() != value.expose()) {
        return Ok(Err(format!("the slots of {} hold different values", token.key)));
    }
    let record = match ground.client.verify(value, "the value").await {
        Ok(record) => record,
        Err(error) if error.condemns_credential() => return Ok(Err(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let Some(record) = ground.client.get(owner, record.id).await? else {
        return Ok(Err(format!("token {} is not one of the {} {}", record.id, owner.kind, owner.path)));
    };
    if !record.active || record.user_id != owner.id && owner.kind == crate::token::Kind::Personal {
        return Ok(Err(format!(
            "token {} is not an active one of the {} {}",
            record.id, owner.kind, owner.path
        )));
    }
    let old = ground.lock.tokens.get(&token.key);
    if old.is_none_or(|old| old.id != record.id) && observed.current_anywhere.contains(&record.id) {
        return Ok(Err(format!("token {} is that of another entry", record.id)));
    }
    // What this entry had before may come back, with the mark that the lock has noted; any other mark is not ours.
    let mut before = old.into_iter().flat_map(|old| old.superseded.iter().cloned().chain([old.supersede()]));
    let known = before.find(|known| known.id == record.id);
    if let Some(why) = minted_elsewhere(&record).filter(|_| known.is_none()) {
        return Ok(Err(why));
    }
    let mut new = entry(&record, owner, &ground.environment.gitlab, &token.expires_as_written);
    new.mark = known.and_then(|known| known.mark);
    new.superseded = old.map(|old| old.superseded.clone()).unwrap_or_default();
    new.superseded.retain(|old| old.id != record.id);
    new.superseded.extend(
        old.filter(|old| old.id != record.id && ground.active.contains(&old.id)).map(Entry::supersede),
    );
    if let Some(old) = old.filter(|old| old.id == record.id) {
        new.slots.clone_from(&old.slots);
        new.accepted.clone_from(&old.accepted);
    }
    for slot in slots {
        let Some(encrypted) = slot.file.encrypted()? else { continue };
        if let Some(enc) = encrypted.leaf(&slot.path) {
            new.slots
                .entry(slot.file.path.to_string())
                .or_default()
                .insert(slot.path.clone(), lock::digest(enc));
        }
    }
    Ok(Ok(new))
}
