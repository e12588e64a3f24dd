//! What the lock says after a run, and what the journal has to remember until then.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, Retire, TakesOver};
use crate::journal::Retiring;
use crate::lock::{self, Lock};
use crate::profile::Environment;
use crate::sops;
use crate::token::{Owner, Record, TokenId};

/// What it is made from.
#[derive(Debug)]
pub struct Next<'a> {
    /// What of the plan is carried out.
    pub plan: &'a Plan,
    /// The profile.
    pub environment: &'a Environment,
    /// The lock as it stands.
    pub before: &'a Lock,
    /// Its tokens that live, or cannot be known not to.
    pub active: &'a BTreeSet<TokenId>,
    /// The tokens that this run made, or has of an interrupted one.
    pub fresh: Vec<Successor<'a>>,
    /// The slots that it sets.
    pub stored: Vec<Stored<'a>>,
    /// Superseded tokens that it has revoked.
    pub retired: &'a [TokenId],
    /// Superseded tokens that have ended by themselves.
    pub ended: &'a [TokenId],
    /// Entries that leave it.
    pub removed: &'a [String],
}

/// The public facts of a token that becomes the current one of its entry.
#[derive(Debug)]
pub struct Successor<'a> {
    /// Key of the entry.
    pub key: &'a str,
    /// Whose it is.
    pub owner: &'a Owner,
    /// What GitLab says of it.
    pub record: &'a Record,
    /// The mark that the journal knows it by.
    pub mark: &'a str,
    /// The token whose place it takes.
    pub takes_over: TakesOver,
    /// How long that one lives on, where it was said for the run.
    pub overlap: Option<&'a str>,
}

/// A slot with a new value.
#[derive(Debug)]
pub struct Stored<'a> {
    /// Its file.
    pub file: &'a str,
    /// Where it is in the file.
    pub path: &'a sops::Path,
    /// Keys of the entries that it follows.
    pub tokens: &'a BTreeSet<String>,
    /// Digest of what the file holds there.
    pub digest: String,
}

impl Next<'_> {
    /// The lock.
    #[must_use]
    pub fn lock(&self) -> Lock {
        let mut lock = self.before.clone();
        for fresh in &self.fresh {
            lock.tokens.insert(fresh.key.to_owned(), self.entry(fresh));
        }
        lock.tokens.retain(|key, _| !self.removed.contains(key));
        for write in self.plan.writes() {
            for slots in lock.tokens.values_mut().filter_map(|entry| entry.slots.get_mut(&write.file)) {
                slots.retain(|path, _| !write.blank.contains(path));
            }
        }
        for entry in lock.tokens.values_mut() {
            entry.superseded.retain(|old| !self.retired.contains(&old.id) && !self.ended.contains(&old.id));
        }
        for stored in &self.stored {
            for key in stored.tokens {
                if let Some(entry) = lock.tokens.get_mut(key) {
                    let slots = entry.slots.entry(stored.file.to_owned()).or_default();
                    slots.insert(stored.path.clone(), stored.digest.clone());
                }
            }
        }
        lock
    }

    /// What the journal has to know of the tokens that are revoked once their successors, which this run made, are committed
    /// or pushed. Of one that an earlier run replaced, it knows that already.
    #[must_use]
    pub fn announced(&self) -> Vec<Retiring> {
        let announced = self.plan.at_once().filter_map(|retire| {
            let is_it = |fresh: &&Successor<'_>| fresh.takes_over.id() == Some(retire.token.id);
            let successor = self.fresh.iter().find(is_it)?;
            (!self.stays_noted(retire)).then(|| Retiring {
                key: retire.key.clone(),
                gitlab: Some(self.environment.gitlab.clone()),
                token: retire.token.clone(),
                successor: Some(successor.record.id),
                because: retire.because.clone(),
            })
        });
        announced.collect()
    }

    /// Whether a token that is revoked right after the commit stays in the lock until it is seen to have ended: neither a mark
    /// nor a file's history would ever find it again, should the run die in between.
    fn stays_noted(&self, retire: &Retire) -> bool {
        let entry = self.before.tokens.get(&retire.key);
        retire.token.mark.is_none() && entry.is_some_and(|entry| entry.slots.is_empty())
    }

    fn entry(&self, fresh: &Successor<'_>) -> lock::Entry {
        let Successor { key, record, mark, .. } = *fresh;
        let old = self.before.tokens.get(key);
        let wanted = self.environment.token(key);
        let mut superseded = old.map(|old| old.superseded.clone()).unwrap_or_default();
        superseded.extend(old.and_then(|old| self.superseded(old, fresh)));
        // GitLab's rotate hands on the description.
        let mark = match fresh.takes_over {
            TakesOver::Rotated { .. } => old.and_then(|old| old.mark.clone()),
            TakesOver::Nothing {} | TakesOver::Living { .. } => Some(mark.to_owned()),
        };
        let accepted = wanted.map(|token| record.scopes.difference(&token.scopes).cloned().collect());
        lock::Entry {
            id: record.id,
            gitlab: self.environment.gitlab.clone(),
            owner: fresh.owner.clone(),
            name: record.name.clone(),
            role: wanted.and_then(|token| token.role),
            scopes: record.scopes.clone(),
            created: record.created_at,
            expires: record.expires_at,
            requested: wanted.map(|token| token.expires_as_written.clone()).unwrap_or_default(),
            mark: mark.filter(|mark| record.carries(mark)),
            accepted: accepted.unwrap_or_default(),
            slots: BTreeMap::new(),
            superseded,
        }
    }

    /// The note of the token that is replaced. One that is dead already, or will be right after the commit, needs no later
    /// retirement.
    fn superseded(&self, old: &lock::Entry, fresh: &Successor<'_>) -> Option<lock::Superseded> {
        let ends = self.plan.at_once().find(|retire| retire.token.id == old.id);
        let lives_on = self.active.contains(&old.id)
            && !fresh.takes_over.is_rotation()
            && ends.is_none_or(|retire| self.stays_noted(retire));
        let overlap = if ends.is_some() { Some("0s") } else { fresh.overlap };
        lives_on.then(|| lock::Superseded { overlap: overlap.map(ToOwned::to_owned), ..old.supersede() })
    }
}
