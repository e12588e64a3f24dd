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

/// The superseded tokens that live, have no mark of ours, and whose value the history still has, those too that an
/// interrupted run was about to revoke; with `current` the current ones too.
///
/// # Errors
/// As [`value`].
pub fn with_value(ground: &Ground, current: bool, world: &World) -> Result<BTreeSet<TokenId>> {
    let mut by_hand: BTreeSet<TokenId> = BTreeSet::new();
    for entry in ground.lock.tokens.values() {
        let current = Some(entry.supersede()).filter(|_| current);
        let old = entry.superseded.iter().chain(&current).filter(|old| old.mark.is_none());
        by_hand.extend(old.map(|old| old.id));
    }
    let begun = ground.replay.retiring.iter().map(|begun| &begun.token);
    by_hand.extend(begun.filter(|token| token.mark.is_none()).map(|token| token.id));
    let mut found = BTreeSet::new();
    for id in by_hand.intersection(&ground.active) {
        if value(ground, *id, world)?.is_some() {
            found.insert(*id);
        }
    }
    Ok(found)
}

/// The value of a slot that held token `id`, whatever its entry was called then: from the newest commit whose lock names it
/// as current and whose file an identity here opens. Whether it is the token alone, only GitLab can say.
///
/// # Errors
/// Where the history or the identities cannot be read.
pub fn value(ground: &Ground, id: TokenId, world: &World) -> Result<Option<Secret>> {
    let Some(head) = ground.head.commit else { return Ok(None) };
    for revision in ground.repo.first_parent_content(head, &ground.lock_path)? {
        let revision = revision?;
        let text = revision.content.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let Ok(lock) = Lock::read(ground.lock_path.as_str(), &text) else { continue };
        let token = (&ground.environment.gitlab, id);
        let Some(entry) = lock.tokens.values().find(|entry| entry.token() == token) else { continue };
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
