//! The lock's form on disk.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Entry, Lock, LockError, Slots, Superseded, VERSION};
use crate::instance::Instance;
use crate::sops::Path;
use crate::token::{Kind, Owner, Role, Scopes, TokenId};
use crate::yaml::Tree;

const HEADER: &str = "\
# Public facts of the tokens that provision minted; no secret is in here.
# Written by provision and read in review: please do not edit by hand.
";

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile<'a> {
    version: u64,
    #[serde(deserialize_with = "entries")]
    tokens: BTreeMap<String, EntryOnDisk<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryOnDisk<'a> {
    id: TokenId,
    kind: Kind,
    gitlab: Cow<'a, Instance>,
    owner: OwnerOnDisk<'a>,
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    scopes: Cow<'a, Scopes>,
    created: Timestamp,
    #[serde(deserialize_with = "present")]
    expires: Option<Date>,
    requested: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    accepted: Cow<'a, Scopes>,
    #[serde(deserialize_with = "unique_slots")]
    slots: Cow<'a, BTreeMap<String, Slots>>,
    #[serde(default, skip_serializing_if = "<[Superseded]>::is_empty")]
    superseded: Cow<'a, [Superseded]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnerOnDisk<'a> {
    id: u64,
    path: Cow<'a, str>,
}

pub(super) fn read(path: &str, text: &str) -> Result<Lock, LockError> {
    if opens_deeper_than(MAX_DEPTH, text) {
        shallow(path, text)?;
    }
    let invalid = |error: serde_yaml::Error| invalid(path, &error);
    // A newer format may have changed anything else, so the version is looked at alone, and first.
    let Versioned { version } = serde_yaml::from_str(text).map_err(invalid)?;
    if version > VERSION {
        return Err(LockError::Newer { path: path.to_owned(), version });
    }
    let file: LockFile<'_> = serde_yaml::from_str(text).map_err(invalid)?;
    Ok(Lock { tokens: file.tokens.into_iter().map(|(key, entry)| (key, entry.into())).collect() })
}

/// A lock is a few levels deep. serde_yaml reads thousands of nested brackets, in a time that grows with their square.
const MAX_DEPTH: usize = 50;

fn opens_deeper_than(limit: usize, text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > limit
    })
}

/// Brackets in names count for nothing: a parser that knows them decides.
fn shallow(path: &str, text: &str) -> Result<(), LockError> {
    let Err(error) = Tree::parse(text) else { return Ok(()) };
    let place = error.position();
    Err(LockError::Invalid {
        path: path.to_owned(),
        line: place.map_or(1, |place| place.line),
        column: place.map_or(1, |place| place.column),
        message: error.message(),
    })
}

pub(super) fn write(lock: &Lock) -> String {
    let tokens = lock.tokens.iter().map(|(key, entry)| (key.clone(), entry.into())).collect();
    let body = serde_yaml::to_string(&LockFile { version: VERSION, tokens });
    let body =
        body.unwrap_or_else(|error| unreachable!("strings, numbers and dates are always YAML: {error}"));
    format!("{HEADER}{body}")
}

impl<'a> From<&'a Entry> for EntryOnDisk<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            id: entry.id,
            kind: entry.owner.kind,
            gitlab: Cow::Borrowed(&entry.gitlab),
            owner: OwnerOnDisk { id: entry.owner.id, path: Cow::Borrowed(&entry.owner.path) },
            name: Cow::Borrowed(&entry.name),
            role: entry.role,
            scopes: Cow::Borrowed(&entry.scopes),
            created: entry.created,
            expires: entry.expires,
            requested: Cow::Borrowed(&entry.requested),
            mark: entry.mark.as_deref().map(Cow::Borrowed),
            accepted: Cow::Borrowed(&entry.accepted),
            slots: Cow::Borrowed(&entry.slots),
            superseded: Cow::Borrowed(&entry.superseded),
        }
    }
}

impl From<EntryOnDisk<'_>> for Entry {
    fn from(entry: EntryOnDisk<'_>) -> Self {
        Self {
            id: entry.id,
            gitlab: entry.gitlab.into_owned(),
            owner: Owner { kind: entry.kind, id: entry.owner.id, path: entry.owner.path.into_owned() },
            name: entry.name.into_owned(),
            role: entry.role,
            scopes: entry.scopes.into_owned(),
            created: entry.created,
            expires: entry.expires,
            requested: entry.requested.into_owned(),
            mark: entry.mark.map(Cow::into_owned),
            accepted: entry.accepted.into_owned(),
            slots: entry.slots.into_owned(),
            superseded: entry.superseded.into_owned(),
        }
    }
}

fn invalid(path: &str, error: &serde_yaml::Error) -> LockError {
    let text = error.to_string();
    let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
    let message = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text).to_owned();
    LockError::Invalid { path: path.to_owned(), line, column, message }
}

/// A nullable field that must be there all the same: serde takes a missing `Option` for `None`, but a lost
/// `expires:` line must not read as "never expires".
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    Option::deserialize(deserializer)
}

/// Entries that are about different tokens: what ends one of two that share theirs would end the other.
fn entries<'de, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, EntryOnDisk<'a>>, D::Error> {
    let Unique(entries): Unique<String, EntryOnDisk<'a>> = Unique::deserialize(deserializer)?;
    let mut known = BTreeMap::new();
    for (key, entry) in &entries {
        if let Some(other) = known.insert((entry.gitlab.to_string(), entry.id), key) {
            let id = entry.id;
            return Err(D::Error::custom(format_args!(
                "token {id} is the current one of `{other}` and of `{key}`"
            )));
        }
    }
    Ok(entries)
}

fn unique_slots<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Cow<'static, BTreeMap<String, Slots>>, D::Error> {
    let files: Unique<String, Unique<Path, String>> = Unique::deserialize(deserializer)?;
    Ok(Cow::Owned(files.0.into_iter().map(|(file, Unique(slots))| (file, slots)).collect()))
}

/// A map in which a key that stands twice is an error: what a careless merge leaves behind.
struct Unique<K, T>(BTreeMap<K, T>);

impl<'de, K: Deserialize<'de> + Ord + Display, T: Deserialize<'de>> Deserialize<'de> for Unique<K, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<K, T>(PhantomData<(K, T)>);

impl<'de, K: Deserialize<'de> + Ord + Display, T: Deserialize<'de>> Visitor<'de> for UniqueVisitor<K, T> {
    type Value = Unique<K, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key::<K>()? {
            let value = access.next_value()?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("key `{key}` stands twice")));
            }
            map.insert(key, value);
        }
        Ok(Unique(map))
    }
}
