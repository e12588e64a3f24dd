//! Secrets files, lock and commit of one environment, from values that are proved to work.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::journalled::Journalled;
use super::preflight::{Prepared, Writer};
use super::{Fresh, values};
use crate::error::{Error, Kind, Result};
use crate::journal::{Line, Retiring, Written};
use crate::lock::{self, Lock};
use crate::observe::Ground;
use crate::observe::files::GroundFile;
use crate::observe::interrupted::content_digest;
use crate::plan::message::Done;
use crate::plan::observed::Slot;
use crate::plan::{Plan, Retire, Step, Write};
use crate::profile::Environment;
use crate::repo::{FileChange, Fingerprint, RelPath};
use crate::secret::Secret;
use crate::sops::{self, Sealed};
use crate::template::{Context, Leaf, TokenFacts};
use crate::token::TokenId;
use crate::world::{Content, World};

/// What a template can show of a token besides its value.
pub(super) struct Fact {
    pub(super) id: TokenId,
    pub(super) name: String,
    pub(super) expires: Option<Date>,
}

/// The slots that this write sets, whatever makes it do so. They must be encrypted.
pub(super) fn set_slots<'f>(write: &Write, file: &'f GroundFile) -> impl Iterator<Item = &'f Leaf> {
    file.template.slots().filter(|leaf| write.sets(&leaf.path))
}

/// Seals the document with these slots in it.
pub(super) fn seal(writer: Writer, write: &Write, file: &GroundFile, now: Timestamp) -> Result<Sealed> {
    let slots: Vec<sops::Path> = set_slots(write, file).map(|leaf| leaf.path.clone()).collect();
    writer.seal(now, &slots)
}

/// Renders the leaves that `write` names (for a new file: all of them) into the document.
pub(super) fn fill(
    writer: &mut Writer,
    write: &Write,
    file: &GroundFile,
    environment: &Environment,
    values: &BTreeMap<&str, &Secret>,
    facts: &BTreeMap<String, Fact>,
) -> Result<()> {
    let known = facts.iter().filter_map(|(key, fact)| {
        let value = values.get(key.as_str())?;
        let facts =
            TokenFacts { value, id: fact.id, name: &fact.name, expires: fact.expires, username: None };
        Some((key.clone(), facts))
    });
    let context =
        Context { environment: &environment.name, gitlab: &environment.gitlab, tokens: known.collect() };
    for leaf in file.template.leaves() {
        // A new file has the template's plain leaves already, with their YAML types.
        if write.sets(&leaf.path) && (leaf.rendered || !write.create) {
            writer.set(&leaf.path, file.template.render(leaf, &context)?)?;
        }
    }
    let blank = blank(write, file)?;
    for path in &write.blank {
        writer.set(path, Secret::new(blank.to_owned()))?;
    }
    Ok(())
}

/// What a blanked leaf holds: nothing, or a space where nothing else in the file is encrypted. An empty string stays in the
/// clear, and a file that hides nothing is not written.
fn blank(write: &Write, file: &GroundFile) -> Result<&'static str> {
    let Some(document) = file.encrypted()? else { return Ok("") };
    let mut others = document.leaf_paths().filter(|path| !write.blank.contains(path));
    let any = others.any(|path| document.leaf(&path).is_some_and(|text| text.starts_with("ENC[")));
    Ok(if any { "" } else { " " })
}

/// Writes the secrets files and the lock, each as a whole.
pub(super) fn write(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    prepared: &mut Prepared,
    fresh: &[Fresh],
    journal: &Journalled<'_>,
    done: &mut Done,
) -> Result<Vec<FileChange>> {
    let Some((lock_path, ended, removed, forgotten)) = plan.steps.iter().find_map(|step| match step {
        Step::Lock { path, ended, removed, forgotten } => Some((path, ended, removed, forgotten)),
        _ => None,
    }) else {
        return Ok(Vec::new());
    };
    let now = ground.client.server_time().unwrap_or_else(|| world.effects().now());
    let rendered = std::mem::take(&mut prepared.rendered);
    let values = values(fresh, &rendered);
    let facts = facts(ground, fresh);
    let mut sealed = Vec::new();
    for write in plan.writes() {
        let (Some(file), Some(mut writer)) = (ground.file(&write.file), prepared.writers.remove(&write.file))
        else {
            return Err(Error::new(Kind::Failed, format!("{} was not prepared", write.file)));
        };
        fill(&mut writer, write, file, &ground.environment, &values, &facts)?;
        sealed.push((write, file, seal(writer, write, file, now)?));
    }
    done.rendered = rendered_entries(plan);
    done.ended.clone_from(ended);
    done.removed.clone_from(removed);
    done.moved = moved_entries(plan);
    let mut lock = next_lock(plan, ground, fresh, &sealed, done);
    done.forgotten = lock.forget(forgotten);
    // With nothing left to say, and no profile that it belongs to, it goes.
    let is_over = lock.tokens.is_empty() && ground.environment.is_unlisted();
    let lock = (!is_over).then(|| lock.write());
    for retiring in plan.at_once().filter_map(|retire| announced(retire, fresh, ground)) {
        journal.append(&Line::Retiring(retiring))?;
    }
    let changes = put(ground, world, &sealed, &RelPath::new(lock_path)?, lock.as_deref(), journal)?;
    let (committed, kept_out): (Vec<_>, Vec<_>) = sealed.iter().partition(|(_, file, _)| file.commit);
    let paths = |files: &[&(&Write, &GroundFile, Sealed)]| {
        files.iter().map(|(_, file, _)| file.path.to_string()).collect()
    };
    (done.files, done.kept_out) = (paths(&committed), paths(&kept_out));
    done.example = sealed.first().and_then(|(write, file, _)| {
        let path = set_slots(write, file).next()?.path.clone();
        Some(Slot { file: file.path.to_string(), path })
    });
    Ok(changes)
}

fn moved_entries(plan: &Plan) -> Vec<(String, String)> {
    let moved = plan.steps.iter().filter_map(|step| match step {
        Step::Move { from, to } => Some((from.clone(), to.clone())),
        _ => None,
    });
    moved.collect()
}

fn rendered_entries(plan: &Plan) -> Vec<(String, TokenId)> {
    let rendered = plan.steps.iter().filter_map(|step| match step {
        Step::Render { key, id, .. } => Some((key.clone(), *id)),
        _ => None,
    });
    rendered.collect()
}

/// Announces what will be written, then writes it.
fn put(
    ground: &Ground,
    world: &World,
    sealed: &[(&Write, &GroundFile, Sealed)],
    lock_path: &RelPath,
    lock: Option<&str>,
    journal: &Journalled<'_>,
) -> Result<Vec<FileChange>> {
    let mut contents: Vec<(&RelPath, Option<Content<'_>>)> =
        sealed.iter().map(|(_, file, sealed)| (&file.path, Some(Content::Sealed(sealed)))).collect();
    contents.push((lock_path, lock.map(Content::Lock)));
    let written = contents.iter().map(|(path, content)| {
        let bytes = content.as_ref().map(Content::bytes).unwrap_or_default();
        Written { path: path.to_string(), sha256: content_digest(bytes) }
    });
    journal.append(&Line::Writing { files: written.collect() })?;
    for (path, content) in &contents {
        let done = match content {
            Some(content) => world.effects().write(&ground.repo, path, content),
            None => world.effects().remove(&ground.repo, path),
        };
        done.map_err(|error| {
            Error::from(error)
                .of_kind(Kind::HalfWay)
                .hint("mend that and run the same command again: it goes on from here")
        })?;
    }
    let changes = contents.iter().map(|(path, content)| FileChange {
        path: (*path).clone(),
        content: content.as_ref().map(|content| Fingerprint::of(content.bytes())),
    });
    Ok(changes.collect())
}

/// Public facts that templates can name, of the new tokens and of those that stay.
fn facts(ground: &Ground, fresh: &[Fresh]) -> BTreeMap<String, Fact> {
    let current = ground.lock.tokens.iter().map(|(key, entry)| {
        (key.clone(), Fact { id: entry.id, name: entry.name.clone(), expires: entry.expires })
    });
    let new = fresh.iter().map(|fresh| {
        let record = &fresh.record;
        (fresh.key.clone(), Fact { id: record.id, name: record.name.clone(), expires: record.expires_at })
    });
    current.chain(new).collect()
}

/// The lock after this run.
fn next_lock(
    plan: &Plan,
    ground: &Ground,
    fresh: &[Fresh],
    sealed: &[(&Write, &GroundFile, Sealed)],
    done: &Done,
) -> Lock {
    let at_once: Vec<&Retire> = plan.at_once().collect();
    let mut lock = ground.lock.clone();
    for fresh in fresh {
        let entry = entry(ground, fresh, &at_once);
        lock.tokens.insert(fresh.key.clone(), entry);
    }
    lock.tokens.retain(|key, _| !done.removed.contains(key));
    for write in plan.writes() {
        for slots in lock.tokens.values_mut().filter_map(|entry| entry.slots.get_mut(&write.file)) {
            slots.retain(|path, _| !write.blank.contains(path));
        }
    }
    for entry in lock.tokens.values_mut() {
        entry.superseded.retain(|old| !done.retired.contains(&old.id) && !done.ended.contains(&old.id));
    }
    for (write, file, sealed) in sealed {
        // What another leaf holds is not known here: the lock goes on saying what it should hold.
        for leaf in set_slots(write, file) {
            let Some(stored) = sealed.leaf(&leaf.path) else { continue };
            for key in &leaf.tokens {
                if let Some(entry) = lock.tokens.get_mut(key) {
                    let slots = entry.slots.entry(file.path.to_string()).or_default();
                    slots.insert(leaf.path.clone(), lock::digest(stored));
                }
            }
        }
    }
    lock
}

/// What the journal has to know of a token that is revoked once its successor, which this run made, is committed or
/// pushed. Of one that an earlier run replaced, it knows that already.
fn announced(retire: &Retire, fresh: &[Fresh], ground: &Ground) -> Option<Retiring> {
    let successor = fresh.iter().find(|fresh| fresh.replaces == Some(retire.token.id))?;
    (!stays_noted(retire, ground)).then(|| Retiring {
        key: retire.key.clone(),
        gitlab: Some(ground.environment.gitlab.clone()),
        token: retire.token.clone(),
        successor: Some(successor.record.id),
        because: retire.because.clone(),
    })
}

/// Whether a token that is revoked right after the commit stays in the lock until it is seen to have ended: neither a mark nor
/// a file's history would ever find it again, should the run die in between.
fn stays_noted(retire: &Retire, ground: &Ground) -> bool {
    let entry = ground.lock.tokens.get(&retire.key);
    retire.token.mark.is_none() && entry.is_some_and(|entry| entry.slots.is_empty())
}

fn entry(ground: &Ground, fresh: &Fresh, at_once: &[&Retire]) -> lock::Entry {
    let record = &fresh.record;
    let old = ground.lock.tokens.get(&fresh.key);
    let mut superseded = old.map(|old| old.superseded.clone()).unwrap_or_default();
    // A token that is dead already, or will be right after the commit, needs no later retirement.
    let ends = |old: &lock::Entry| at_once.iter().find(|retire| retire.token.id == old.id);
    let lives_on = |old: &&lock::Entry| {
        ground.active.contains(&old.id)
            && !fresh.rotated
            && ends(old).is_none_or(|retire| stays_noted(retire, ground))
    };
    superseded.extend(old.filter(lives_on).map(|old| {
        let overlap = ends(old).map_or_else(|| fresh.overlap.clone(), |_| Some("0s".to_owned()));
        lock::Superseded { overlap, ..old.supersede() }
    }));
    let mark = if fresh.rotated { old.and_then(|old| old.mark.clone()) } else { Some(fresh.mark.clone()) };
    let wanted = ground.environment.token(&fresh.key);
    lock::Entry {
        id: record.id,
        gitlab: ground.environment.gitlab.clone(),
        owner: fresh.owner.clone(),
        name: record.name.clone(),
        role: wanted.and_then(|token| token.role),
        scopes: record.scopes.clone(),
        created: record.created_at,
        expires: record.expires_at,
        requested: wanted.map(|token| token.expires_as_written.clone()).unwrap_or_default(),
        mark: mark.filter(|mark| record.carries(mark)),
        accepted: wanted
            .map(|token| record.scopes.difference(&token.scopes).cloned().collect())
            .unwrap_or_default(),
        slots: BTreeMap::new(),
        superseded,
    }
}
