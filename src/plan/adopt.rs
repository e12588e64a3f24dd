//! What `adopt` writes: profiles, templates and locks for tokens that a team made by hand. No secrets file is among it.
//!
//! Pure. The leaves that hold tokens were found, and their tokens looked at, in `observe::adopt`.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::instance::Instance;
use crate::journal::minted_for;
use crate::lock::{self, Entry, Lock};
use crate::profile::Environment;
use crate::sops::{Format, Path, Segment};
use crate::template::Template;
use crate::token::{Owner, Record, Role, Scopes, TokenId};

mod shape;

/// A leaf that holds a token and nothing else.
#[derive(Clone, Debug)]
pub struct Found {
    /// The secrets file, relative to the repository root.
    pub file: String,
    /// Where in it.
    pub path: Path,
    /// Digest of its ENC string, as a lock remembers it.
    pub digest: String,
    /// What GitLab says of the token; for group and project tokens with their role.
    pub record: Record,
    /// Whose it is.
    pub owner: Owner,
}

/// An environment that `adopt` makes.
#[derive(Debug)]
pub struct Adopted {
    /// Its name.
    pub name: String,
    /// The files to be written: path and text, the profile first.
    pub files: Vec<(String, String)>,
    /// Where its lock goes.
    pub lock_path: String,
    /// Its lock.
    pub lock: Lock,
    /// The secrets file that a person has to make: its tokens' values are not here.
    pub to_paste: Option<String>,
}

/// Why the tokens of a file are left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The secrets file, and where in it.
    pub place: String,
    /// One sentence.
    pub why: String,
}

/// An environment that is there, whose slots hold what a person put there.
#[derive(Debug)]
pub struct TakenOver {
    /// Its name.
    pub environment: String,
    /// Path of its lock.
    pub path: String,
    /// The lock with these tokens.
    pub lock: Lock,
    /// The entries that are new in it.
    pub tokens: Vec<Entry>,
}

/// All that one run takes over.
#[derive(Debug, Default)]
pub struct Adoption {
    /// Environments that are made.
    pub environments: Vec<Adopted>,
    /// Locks of environments that are there.
    pub taken_over: Vec<TakenOver>,
    /// What is left alone.
    pub left: Vec<Left>,
}

/// Makes environments of `found`: one for each file, and one for all files that share a token. `taken`: names of
/// environments and of templates (`templates/NAME`) that are there already.
#[must_use]
pub fn plan(found: &[Found], gitlab: &Instance, taken: &BTreeSet<String>) -> (Vec<Adopted>, Vec<Left>) {
    let mut taken = taken.clone();
    let (mut adopted, mut left) = (Vec::new(), Vec::new());
    for group in together(found) {
        let (group, odd): (Vec<&Found>, Vec<&Found>) = shape::that_fit(group);
        left.extend(odd.iter().map(|one| {
            Left {
                place: format!("{} {}", one.file, one.path),
                why: "it stands in a list behind values that are no tokens; a template cannot name it alone"
                    .to_owned(),
            }
        }));
        let Some(first) = group.first() else { continue };
        let name = unique(&environment_name(&first.file), &taken);
        match environment(&name, &group, gitlab, &mut taken) {
            Ok(environment) => adopted.push(environment),
            Err(why) => left.push(Left { place: first.file.clone(), why }),
        }
    }
    (adopted, left)
}

/// An environment for tokens that GitLab lists for `owner` and whose values are not here: its lock has no slots, and its
/// secrets file is for a person to make. `None` where none is listed.
///
/// # Errors
/// Why there is none, in a sentence.
pub fn listed(
    records: Vec<Record>,
    owner: &Owner,
    gitlab: &Instance,
    taken: &BTreeSet<String>,
) -> Result<Option<Adopted>, String> {
    let mut taken = taken.clone();
    let last = owner.path.rsplit('/').next().unwrap_or_default();
    let name = unique(&word(last, '-'), &taken);
    let file = format!("secrets/{name}.sops.yaml");
    let mut leaves = BTreeSet::new();
    let mut found = Vec::new();
    for record in records {
        let leaf = unique_with(&leaf_name(&record.name), |leaf| leaves.contains(leaf));
        leaves.insert(leaf.clone());
        let path = Path(vec![Segment::Key(leaf)]);
        found.push(Found { file: file.clone(), path, digest: String::new(), record, owner: owner.clone() });
    }
    if found.is_empty() {
        return Ok(None);
    }
    let mut adopted = environment(&name, &found.iter().collect::<Vec<_>>(), gitlab, &mut taken)?;
    for entry in adopted.lock.tokens.values_mut() {
        entry.slots.clear();
    }
    adopted.to_paste = Some(file);
    Ok(Some(adopted))
}

/// `Backstage (qa.alithya-mws.com)` is `backstage_qa_alithya_mws_com`.
fn leaf_name(token: &str) -> String {
    let words = word(token, '_');
    let words: Vec<&str> = words.split('_').filter(|part| !part.is_empty()).collect();
    words.join("_").chars().take(40).collect()
}

impl Adoption {
    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.environments.is_empty() && self.taken_over.is_empty()
    }

    /// The files to be written: path, text, and whether it is a lock.
    #[must_use]
    pub fn files(&self) -> Vec<(String, String, bool)> {
        let mut files = Vec::new();
        for one in &self.environments {
            files.extend(one.files.iter().map(|(path, text)| (path.clone(), text.clone(), false)));
            files.push((one.lock_path.clone(), one.lock.write(), true));
        }
        files.extend(self.taken_over.iter().map(|one| (one.path.clone(), one.lock.write(), true)));
        files
    }

    /// What a person reads before saying yes.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for one in &self.environments {
            lines.extend(one.lock.tokens.iter().map(|(key, entry)| described(&one.name, key, entry)));
            let files: Vec<&str> = one.files.iter().map(|(path, _)| path.as_str()).collect();
            lines.push(format!("{}: create {}, {}", one.name, files.join(", "), one.lock_path));
        }
        for one in &self.taken_over {
            let is_new = |entry: &Entry| one.tokens.iter().any(|token| token.id == entry.id);
            let new = one.lock.tokens.iter().filter(|(_, entry)| is_new(entry));
            lines.extend(new.map(|(key, entry)| described(&one.environment, key, entry)));
            lines.push(format!("{}: update {}", one.environment, one.path));
        }
        lines
    }

    /// The commit's message.
    #[must_use]
    pub fn message(&self) -> String {
        let made = self.environments.iter().map(|one| (one.name.as_str(), one.lock.tokens.len()));
        let updated = self.taken_over.iter().map(|one| (one.environment.as_str(), one.tokens.len()));
        let all: Vec<(&str, usize)> = made.chain(updated).collect();
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let count: usize = all.iter().map(|(_, count)| count).sum();
        let tokens = if count == 1 { "token" } else { "tokens" };
        format!("provision({}): take over {count} {tokens} made by hand", names.join(", "))
    }
}

fn described(environment: &str, key: &str, entry: &Entry) -> String {
    let expires = entry.expires.map_or_else(|| "never expires".to_owned(), |date| format!("expires {date}"));
    format!(
        "{environment}: {key} is {} token {} \"{}\" of {}, {expires}",
        entry.kind(),
        entry.id,
        entry.name,
        entry.owner.path
    )
}

impl Serialize for Adoption {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let made = self.environments.iter().map(|one| (&one.name, &one.lock));
        let updated = self.taken_over.iter().map(|one| (&one.environment, &one.lock));
        let environments: BTreeMap<&String, BTreeMap<&String, TokenId>> = made
            .chain(updated)
            .map(|(name, lock)| (name, lock.tokens.iter().map(|(key, entry)| (key, entry.id)).collect()))
            .collect();
        let files: Vec<String> = self.files().into_iter().map(|(path, _, _)| path).collect();
        let mut object = serializer.serialize_struct("Adoption", 3)?;
        object.serialize_field("environments", &environments)?;
        object.serialize_field("files", &files)?;
        object.serialize_field("left", &self.left)?;
        object.end()
    }
}

/// The leaves by environment: files that share a token belong together, since a new token has to go into all of them.
fn together(found: &[Found]) -> Vec<Vec<&Found>> {
    let mut groups: Vec<Vec<&Found>> = Vec::new();
    for one in found {
        let is_with = |group: &Vec<&Found>| {
            group.iter().any(|other| other.file == one.file || other.record.id == one.record.id)
        };
        let (with, rest): (Vec<_>, Vec<_>) = groups.into_iter().partition(is_with);
        groups = rest;
        groups.push(with.into_iter().flatten().chain([one]).collect());
    }
    groups.sort_by(|one, other| one[0].file.cmp(&other[0].file));
    groups
}

fn environment(
    name: &str,
    group: &[&Found],
    gitlab: &Instance,
    taken: &mut BTreeSet<String>,
) -> Result<Adopted, String> {
    let keys = keys(group);
    let mut templates = Vec::new();
    let mut files: Vec<&str> = group.iter().map(|one| one.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    for file in files {
        let extension = file.rsplit('.').next().unwrap_or("yaml");
        let stem = unique_with(&environment_name(file), |stem| {
            taken.contains(&format!("templates/{stem}.{extension}"))
        });
        let template = format!("{stem}.{extension}");
        let leaves: Vec<(&Path, &str)> = group
            .iter()
            .filter(|one| one.file == file)
            .map(|one| (&one.path, keys[&one.record.id].as_str()))
            .collect();
        let text = shape::template(Format::of_path(file), &leaves);
        let read = Template::parse(&template, &text).map_err(|error| error.to_string())?;
        if read.slots().count() != leaves.len() {
            return Err("its keys cannot be written as a template".to_owned());
        }
        taken.insert(format!("templates/{template}"));
        templates.push((file.to_owned(), template, text));
    }
    let path = format!("environments/{name}.yaml");
    let profile = profile(gitlab, &templates, group, &keys);
    let environment = Environment::read(name, &path, &profile).map_err(|error| error.to_string())?;
    taken.insert(name.to_owned());
    let lock = Lock { tokens: entries(group, &keys, gitlab) };
    let lock_path = lock::path(&environment, None).unwrap_or_default();
    let mut files = vec![(path, profile)];
    files.extend(templates.into_iter().map(|(_, template, text)| (format!("templates/{template}"), text)));
    Ok(Adopted { name: name.to_owned(), files, lock_path, lock, to_paste: None })
}

fn entries(group: &[&Found], keys: &BTreeMap<TokenId, String>, gitlab: &Instance) -> BTreeMap<String, Entry> {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for one in group {
        let fresh = || entry(&one.record, &one.owner, gitlab, requested(&one.record));
        let entry = entries.entry(keys[&one.record.id].clone()).or_insert_with(fresh);
        entry.slots.entry(one.file.clone()).or_default().insert(one.path.clone(), one.digest.clone());
    }
    entries
}

/// Why a token is not one that people made: some run of `provision` did. The lock that has it is in another repository, or on
/// another branch, or it is in none; wherever it is, two that replace one token would end it for each other.
#[must_use]
pub fn minted_elsewhere(record: &Record) -> Option<String> {
    let entry = minted_for(record.description.as_deref()?)?;
    Some(format!(
        "token {} was minted by provision for {entry}, and is replaced and revoked there; this place needs one of its own",
        record.id
    ))
}

/// Of what GitLab lists for `owner`, the tokens that people made; and what is to be said of those that `provision` did.
#[must_use]
pub fn made_by_hand(listed: Vec<Record>, owner: &Owner) -> (Vec<Record>, Option<Left>) {
    let (minted, by_hand): (Vec<_>, Vec<_>) =
        listed.into_iter().partition(|record| minted_elsewhere(record).is_some());
    let mut names: Vec<String> = minted.iter().map(|record| format!("\"{}\"", record.name)).collect();
    names.sort_unstable();
    let tokens =
        if names.len() == 1 { "1 token was".to_owned() } else { format!("{} tokens were", names.len()) };
    let why = format!("{tokens} minted by provision elsewhere: {}", names.join(", "));
    (by_hand, (!names.is_empty()).then(|| Left { place: owner.path.clone(), why }))
}

/// The lock's entry of a token that people made, as GitLab describes it: it has no mark of ours.
#[must_use]
pub fn entry(record: &Record, owner: &Owner, gitlab: &Instance, requested: &str) -> Entry {
    Entry {
        id: record.id,
        gitlab: gitlab.clone(),
        owner: owner.clone(),
        name: record.name.clone(),
        role: record.access_level.and_then(Role::from_access_level),
        scopes: record.scopes.clone(),
        created: record.created_at,
        expires: record.expires_at,
        requested: requested.to_owned(),
        mark: None,
        accepted: Scopes::new(),
        slots: BTreeMap::new(),
        superseded: Vec::new(),
    }
}

/// What its successor is asked for; nobody remembers what was asked for this one.
fn requested(record: &Record) -> &'static str {
    if record.expires_at.is_some() { "max" } else { "never" }
}

/// A key for each token: the last key on the way to its first leaf.
fn keys(group: &[&Found]) -> BTreeMap<TokenId, String> {
    let mut keys: BTreeMap<TokenId, String> = BTreeMap::new();
    for one in group {
        if keys.contains_key(&one.record.id) {
            continue;
        }
        let last = one.path.keys().last().unwrap_or("token");
        let key = unique_with(&word(last, '_'), |key| keys.values().any(|known| known == key));
        keys.insert(one.record.id, key);
    }
    keys
}

/// `secrets/qa.sops.yaml` is of `qa`; a file whose name says nothing has that of its folder.
fn environment_name(file: &str) -> String {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let stem = name.trim_start_matches('.').split('.').next().unwrap_or_default();
    let says_nothing = ["secrets", "secret", "sops", "env", "values", "enc", ""].contains(&stem);
    let folder = folder.rsplit('/').next().unwrap_or_default();
    let text = if says_nothing && !folder.is_empty() { folder } else { stem };
    word(text, '-')
}

/// Small letters, digits, and the hyphen or underscore given; a letter first.
fn word(text: &str, between: char) -> String {
    let folded = text.to_ascii_lowercase();
    let kept = folded.chars().map(|c| if c.is_ascii_alphanumeric() || c == between { c } else { between });
    let word: String = kept.collect();
    let word = word.trim_matches(between);
    match word.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => word.to_owned(),
        _ => format!("t{between}{word}").trim_end_matches(between).to_owned(),
    }
}

fn unique(name: &str, taken: &BTreeSet<String>) -> String {
    unique_with(name, |name| taken.contains(name))
}

fn unique_with(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{name}{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

/// What GitLab and people named is quoted: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn profile(
    gitlab: &Instance,
    templates: &[(String, String, String)],
    group: &[&Found],
    keys: &BTreeMap<TokenId, String>,
) -> String {
    let mut text = format!(
        "# Taken over by provision adopt from tokens that were made by hand.\ngitlab: {gitlab}\nsecrets:\n"
    );
    for (file, template, _) in templates {
        text += &format!("  - {{ file: {}, template: {} }}\n", quoted(file), quoted(template));
    }
    text += "tokens:\n";
    let mut written = BTreeSet::new();
    for one in group {
        if !written.insert(one.record.id) {
            continue;
        }
        let (record, owner) = (&one.record, &one.owner);
        text += &format!(
            "  {}:\n    kind: {}\n    {}: {}\n",
            keys[&record.id],
            owner.kind,
            owner.kind,
            quoted(&owner.path)
        );
        text += &format!("    name: {}\n", quoted(&record.name));
        if let Some(role) = record.access_level.and_then(Role::from_access_level) {
            text += &format!("    role: {role}\n");
        }
        let scopes: Vec<&str> = record.scopes.iter().map(String::as_str).collect();
        text += &format!("    scopes: [{}]\n    expires: {}\n", scopes.join(", "), requested(record));
    }
    text
}

#[cfg(test)]
mod tests;
