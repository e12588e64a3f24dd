//! Secrets files, lock and commit of one environment, from values that are proved to work.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::journalled::Journalled;
use super::preflight::{Prepared, Writer};
use super::{Fresh, values};
use crate::error::{Error, Kind, Result};
use crate::journal::{Line, Written};
use crate::lock;
use crate::observe::Ground;
use crate::observe::files::GroundFile;
use crate::observe::interrupted::content_digest;
use crate::plan::message::Done;
use crate::plan::next_lock::{Next, Stored};
use crate::plan::observed::Slot;
use crate::plan::{Plan, Step, Write};
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
    let now = ground.now(world);
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
    let next = Next {
        plan,
        environment: &ground.environment,
        before: &ground.lock,
        active: &ground.active,
        fresh: fresh.iter().map(Fresh::successor).collect(),
        stored: sealed.iter().flat_map(|(write, file, sealed)| stored(write, file, sealed)).collect(),
        retired: &done.retired,
        ended,
        removed,
    };
    let mut lock = next.lock();
    done.forgotten = lock.forget(forgotten);
    // With nothing left to say, and no profile that it belongs to, it goes.
    let is_over = lock.tokens.is_empty() && ground.environment.is_unlisted;
    let lock = (!is_over).then(|| lock.write());
    for retiring in next.announced() {
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

/// What the slots that were set hold now. What another leaf holds is not known here: the lock goes on saying what it should
/// hold.
fn stored<'s>(write: &Write, file: &'s GroundFile, sealed: &Sealed) -> Vec<Stored<'s>> {
    let slots = set_slots(write, file).filter_map(|leaf| {
        let digest = lock::digest(sealed.leaf(&leaf.path)?);
        Some(Stored { file: file.path.as_str(), path: &leaf.path, tokens: &leaf.tokens, digest })
    });
    slots.collect()
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
        done.map_err(|error| Error::from(error).mend_and_go_on())?;
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
