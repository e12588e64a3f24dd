//! The value that a superseded token had: git's history still has the secrets file that held it.

use std::collections::BTreeSet;

use super::Ground;
use crate::error::Result;
use crate::lock::{self, Lock};
use crate::repo::RelPath;
use crate::secret::Secret;
use crate::sops::{Encrypted, Format};
use crate::token::TokenId;
use crate::world::World;

/// The superseded tokens that live, have no mark of ours, and whose value the history still has; with `current` the current
/// ones too.
///
/// # Errors
/// As [`value`].
pub fn with_value(ground: &Ground, current: bool, world: &World) -> Result<BTreeSet<TokenId>> {
    let mut found = BTreeSet::new();
    for (key, entry) in &ground.lock.tokens {
        let current = Some(entry.supersede()).filter(|_| current);
        let by_hand = entry.superseded.iter().chain(&current).filter(|old| old.mark.is_none());
        for old in by_hand.filter(|old| ground.active.contains(&old.id)) {
            if value(ground, key, old.id, world)?.is_some() {
                found.insert(old.id);
            }
        }
    }
    Ok(found)
}

/// The value of a slot that held token `id` of the entry `key`, from the newest commit whose lock names it as current and
/// whose file an identity here opens. Whether it is the token alone, only GitLab can say.
///
/// # Errors
/// Where the history or the identities cannot be read.
pub fn value(ground: &Ground, key: &str, id: TokenId, world: &World) -> Result<Option<Secret>> {
    let Some(head) = ground.head.commit else { return Ok(None) };
    for revision in ground.repo.first_parent_content(head, &ground.lock_path)? {
        let revision = revision?;
        let text = revision.content.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let Ok(lock) = Lock::read(ground.lock_path.as_str(), &text) else { continue };
        let Some(entry) = lock.tokens.get(key).filter(|entry| entry.id == id) else { continue };
        for (file, slots) in &entry.slots {
            let Some(bytes) = ground.repo.content_at(revision.commit, &RelPath::new(file)?)? else {
                continue;
            };
            let Ok(encrypted) = Encrypted::parse(Format::of_path(file), &bytes) else { continue };
            let holds = |(path, digest): &(&_, &String)| {
                encrypted.leaf(path).is_some_and(|enc| lock::digest(enc) == **digest)
            };
            let Some((path, _)) = slots.iter().find(holds) else { continue };
            let Ok(opened) = encrypted.open(&*world.identities()?) else { continue };
            if let Some(value) = opened.get(path)? {
                return Ok(Some(value));
            }
        }
    }
    Ok(None)
}
