//! The secrets files of an environment: which they are, what is in them without opening them, and where a value can
//! be read from when a slot has lost it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::error::{Error, Kind, Result};
use crate::explain::cannot_open;
use crate::gitlab::client::Client;
use crate::hint::Hint;
use crate::lock::{self, Lock};
use crate::plan::Readers;
use crate::plan::observed::{FileState, Former, Leaf, Slot, SlotState};
use crate::profile::Environment;
use crate::repo::{RelPath, RepoError, Repository};
use crate::secret::Secret;
use crate::sops::{
    self, DocumentError, Encrypted, Format, Identities, KeyGroup, MetadataError, Names, OpenError, Rule,
};
use crate::template::{self, Context, Template, TokenFacts};
use crate::token::TokenId;
use crate::world::World;

/// One secrets file with what is needed to write it.
#[derive(Debug)]
pub struct GroundFile {
    /// Relative to the repository root, `{user}` filled in.
    pub path: RelPath,
    /// What it is made from.
    pub template: Template,
    /// For whom, and what of it, is encrypted.
    pub rule: Rule,
    /// Its bytes as HEAD has them (or the work tree, where it is kept out of git); `None`: there is none.
    pub content: Option<Vec<u8>>,
    /// Whether it belongs into the commit.
    pub commit: bool,
    /// What the policy calls the readers.
    pub names: Rc<Names>,
}

impl GroundFile {
    /// The file, parsed but not opened.
    ///
    /// # Errors
    /// Where it is no SOPS file that can be read.
    pub fn encrypted(&self) -> Result<Option<Encrypted>> {
        let Some(content) = &self.content else { return Ok(None) };
        Encrypted::parse(Format::of_path(self.path.as_str()), content)
            .map(Some)
            .map_err(|error| self.unreadable(&error))
    }

    /// The file, opened and with its MAC verified.
    ///
    /// # Errors
    /// Where no identity opens it, or it was tampered with.
    pub fn open(&self, identities: &Identities) -> Result<Option<sops::Opened>> {
        let Some(encrypted) = self.encrypted()? else { return Ok(None) };
        let opened = encrypted.open(identities);
        opened.map(Some).map_err(|error| self.unopened(error))
    }

    fn unreadable(&self, error: &DocumentError) -> Error {
        let path = &self.path;
        let refused =
            Error::from_source(Kind::Refused, error).context(format!("{path} cannot be read as a SOPS file"));
        if !matches!(error, DocumentError::Metadata(MetadataError::Missing)) {
            return refused.hint(Hint::from("git log -p -- ").path(path).then(" shows what changed it"));
        }
        refused
            .hint(
                Hint::from("to keep its values: sops encrypt --in-place ").path(path).then(", and commit it"),
            )
            .hint("a secret that was committed in the clear stays in git's history: have it replaced")
    }

    fn unopened(&self, error: OpenError) -> Error {
        let path = &self.path;
        let sound = matches!(error, OpenError::LockedOut(_) | OpenError::Outside { .. });
        let refused = cannot_open(error, &self.names).context(format!("{path} cannot be opened"));
        if sound {
            return refused;
        }
        let then = " shows who changed what; bring a good state back, and commit it";
        refused.hint(Hint::from("git log -p -- ").path(path).then(then))
    }
}

/// The files in which the lock has slots, and which neither the profile nor git has any more: renamed, or removed.
#[must_use]
pub fn gone(lock: &Lock, files: &[GroundFile], repo: &Repository) -> BTreeSet<String> {
    let is_gone = |name: &&String| {
        let Ok(path) = RelPath::new(name) else { return false };
        let is_there = |bytes: Result<Option<Vec<u8>>, RepoError>| !matches!(bytes, Ok(None));
        !files.iter().any(|file| file.path == path)
            && !is_there(repo.content_at_head(&path))
            && !is_there(repo.work_tree_content(&path))
    };
    let named: BTreeSet<&String> = lock.tokens.values().flat_map(|entry| entry.slots.keys()).collect();
    named.into_iter().filter(is_gone).cloned().collect()
}

/// What can be seen of a file with no key.
///
/// # Errors
/// Where it is no SOPS file that can be read.
pub fn state(file: &GroundFile, lock: &Lock, environment: &Environment) -> Result<FileState> {
    let encrypted = file.encrypted()?;
    let slots = file.template.slots().map(|leaf| SlotState {
        path: leaf.path.clone(),
        tokens: leaf.tokens.clone(),
        leaf: compare(encrypted.as_ref(), file, leaf, lock),
    });
    Ok(FileState {
        path: file.path.to_string(),
        template: file.template.path().to_owned(),
        exists: encrypted.is_some(),
        commit: file.commit,
        readers: readers(&file.rule),
        slots: slots.collect(),
        former: former(encrypted.as_ref(), file, lock, environment),
        differences: encrypted
            .iter()
            .flat_map(|document| document.differences(&file.rule))
            .map(|difference| difference.to_string())
            .collect(),
        stale: Vec::new(),
    })
}

fn readers(rule: &Rule) -> Readers {
    let group = |group: &KeyGroup| group.readers().iter().map(ToString::to_string).collect();
    Readers { groups: rule.groups().iter().map(group).collect(), threshold: rule.threshold() }
}

fn compare(encrypted: Option<&Encrypted>, file: &GroundFile, leaf: &template::Leaf, lock: &Lock) -> Leaf {
    let Some(stored) = encrypted.and_then(|document| document.leaf(&leaf.path)) else { return Leaf::Missing };
    let digest = lock::digest(stored);
    let agrees = leaf.tokens.iter().all(|key| {
        let slots = lock.tokens.get(key).and_then(|entry| entry.slots.get(file.path.as_str()));
        slots.and_then(|slots| slots.get(&leaf.path)) == Some(&digest)
    });
    if agrees { Leaf::Agrees } else { Leaf::Differs }
}

/// The leaves of entries that the profile has no more, as far as the lock remembers them as they are.
fn former(
    encrypted: Option<&Encrypted>,
    file: &GroundFile,
    lock: &Lock,
    environment: &Environment,
) -> Vec<Former> {
    let mut former = Vec::new();
    for (key, entry) in lock.tokens.iter().filter(|(key, _)| environment.token(key).is_none()) {
        for (path, digest) in entry.slots.get(file.path.as_str()).into_iter().flatten() {
            let is_slot = file.template.slots().any(|leaf| leaf.path == *path);
            let stored = encrypted.and_then(|document| document.leaf(path));
            if !is_slot && stored.is_some_and(|stored| lock::digest(stored) == *digest) {
                former.push(Former { key: key.clone(), path: path.clone() });
            }
        }
    }
    former
}

/// The leaves without a token whose value is not what the template gives.
///
/// # Errors
/// Where the file cannot be opened or the template cannot be rendered.
pub fn stale(file: &GroundFile, context: &Context<'_>, world: &World) -> Result<Vec<sops::Path>> {
    let identities = world.identities()?;
    let Some(opened) = file.open(&identities)? else { return Ok(Vec::new()) };
    let mut stale = Vec::new();
    for leaf in file.template.leaves().iter().filter(|leaf| !leaf.is_slot()) {
        let wanted = file.template.render(leaf, context)?;
        let is = opened.get(&leaf.path)?;
        if is.is_none_or(|is| is.expose() != wanted.expose()) {
            stale.push(leaf.path.clone());
        }
    }
    Ok(stale)
}

/// Slots from which the value of an entry can be read, for the entries that may need it: those with a slot that does
/// not agree with the lock, and those that share a leaf with another entry. A slot that agrees is taken at its word; one
/// that differs is opened and its value shown to GitLab, which says whose it is. With `all`, for every entry.
///
/// # Errors
/// Where a file cannot be opened.
pub async fn at_hand(
    environment: &Environment,
    (files, states): (&[GroundFile], &[FileState]),
    lock: &Lock,
    client: &Client,
    world: &World,
    all: bool,
) -> Result<BTreeMap<String, Slot>> {
    let mut at_hand = BTreeMap::new();
    for token in &environment.tokens {
        let Some(entry) = lock.tokens.get(&token.key) else { continue };
        let followed = || {
            states.iter().flat_map(|state| state.slots.iter()).filter(|slot| slot.tokens.contains(&token.key))
        };
        let needed = followed().any(|slot| slot.leaf != Leaf::Agrees || slot.tokens.len() > 1);
        if !needed && !all {
            continue;
        }
        for (file, slot) in plain_slots(&token.key, environment, files, states) {
            let found = match slot.leaf {
                Leaf::Agrees => true,
                Leaf::Missing => false,
                Leaf::Differs => holds(file, &slot.path, entry, client, world).await?,
            };
            if found {
                let slot = Slot { file: file.path.to_string(), path: slot.path.clone() };
                at_hand.insert(token.key.clone(), slot);
                break;
            }
        }
    }
    if all {
        for (state, former) in
            states.iter().flat_map(|state| state.former.iter().map(move |leaf| (state, leaf)))
        {
            let slot = || Slot { file: state.path.clone(), path: former.path.clone() };
            at_hand.entry(former.key.clone()).or_insert_with(slot);
        }
    }
    Ok(at_hand)
}

/// The slots whose whole value is the token, those that agree with the lock first.
fn plain_slots<'a>(
    key: &str,
    environment: &Environment,
    files: &'a [GroundFile],
    states: &'a [FileState],
) -> Vec<(&'a GroundFile, &'a SlotState)> {
    let mut plain = Vec::new();
    for (file, state) in files.iter().zip(states) {
        for slot in &state.slots {
            let leaf = file.template.slots().find(|leaf| leaf.path == slot.path);
            if leaf.is_some_and(|leaf| is_plainly(key, leaf, file, environment)) {
                plain.push((file, slot));
            }
        }
    }
    plain.sort_by_key(|(_, slot)| slot.leaf != Leaf::Agrees);
    plain
}

/// Whether the leaf is the value of `key` and nothing else: found by rendering it with a stand-in.
pub(super) fn is_plainly(
    key: &str,
    leaf: &template::Leaf,
    file: &GroundFile,
    environment: &Environment,
) -> bool {
    let stand_in = Secret::new("stand-in".to_owned());
    let facts = TokenFacts { value: &stand_in, id: TokenId(0), name: "", expires: None, username: None };
    let context = Context {
        environment: &environment.name,
        gitlab: &environment.gitlab,
        tokens: [(key.to_owned(), facts)].into(),
    };
    file.template.render(leaf, &context).is_ok_and(|text| text.expose() == stand_in.expose())
}

/// Whether the slot holds the entry's current token. A template can make any leaf a slot, so what does not look like a token
/// is never sent; what does goes to its own instance only.
async fn holds(
    file: &GroundFile,
    path: &sops::Path,
    entry: &lock::Entry,
    client: &Client,
    world: &World,
) -> Result<bool> {
    let identities = world.identities()?;
    let Some(opened) = file.open(&identities)? else { return Ok(false) };
    let Some(value) = opened.get(path)? else { return Ok(false) };
    if !client.takes_for_a_token(&value) {
        return Ok(false);
    }
    match client.verify(&value, "the value of the slot").await {
        Ok(record) => Ok(record.id == entry.id),
        Err(error) if error.is_temporary() => Err(error.into()),
        Err(_) => Ok(false),
    }
}
