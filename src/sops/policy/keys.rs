//! The keys that a rule or a group names, of every type that sops knows (config/config.go, `getKeyGroupsFromCreationRule`
//! and `extractMasterKeys`). Flat keys stand in the rule itself, as texts with commas or as lists; groups hold lists.

use crate::yaml::{Mapping, Node, Position};

use super::super::keys::RecipientError;
use super::super::other::{OtherReader, ServiceKey, context};
use super::super::reader::Reader;
use super::read::{at, check_keys, is_empty, mapping_list, wrong_kind};
use super::{PolicyError, Problem};

/// Keys of one type: the name in a rule, the name in a group, the name in a file.
pub(super) struct KeyType {
    pub(super) flat: &'static str,
    pub(super) grouped: &'static str,
    stored: &'static str,
}

/// In the order in which sops puts them into a group.
pub(super) const KEY_TYPES: [KeyType; 7] = [
    KeyType { flat: "age", grouped: "age", stored: "age" },
    KeyType { flat: "pgp", grouped: "pgp", stored: "pgp" },
    KeyType { flat: "kms", grouped: "kms", stored: "kms" },
    KeyType { flat: "gcp_kms", grouped: "gcp_kms", stored: "gcp_kms" },
    KeyType { flat: "hckms", grouped: "hckms", stored: "hckms" },
    KeyType { flat: "azure_keyvault", grouped: "azure_keyvault", stored: "azure_kv" },
    KeyType { flat: "hc_vault_transit_uri", grouped: "hc_vault", stored: "hc_vault" },
];

/// Groups that a group may merge, those of merged groups included: an alias may even lead back to where it stands.
pub(super) const MAX_MERGES: usize = 100;

/// Readers of whom each can open the same: the data key, or one share of it. Each is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGroup {
    pub(super) readers: Vec<Reader>,
}

impl KeyGroup {
    /// They, in the order of the policy.
    #[must_use]
    pub fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// Whether somebody is one of them.
    #[must_use]
    pub fn has(&self, reader: &Reader) -> bool {
        self.readers.iter().any(|known| known.is_same_key(reader))
    }

    /// What merged groups repeat counts once, as in sops.
    pub(super) fn add(&mut self, reader: Reader) {
        if !self.has(&reader) {
            self.readers.push(reader);
        }
    }

    /// Equal but for the order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.readers.len() == other.readers.len() && self.readers.iter().all(|reader| other.has(reader))
    }
}

struct Key {
    position: Position,
    reader: Reader,
}

/// Keys that stand in the rule itself.
pub(super) fn of_rule(rule: Mapping<'_>) -> Result<KeyGroup, PolicyError> {
    let mut group = KeyGroup::default();
    let profile = rule.get("aws_profile").and_then(Node::as_str);
    for of_type in &KEY_TYPES {
        add_all(&mut group, rule, of_type.flat, of_type, profile)?;
    }
    Ok(group)
}

/// Merged groups first, then the group's own (config/config.go). [`check_group`] has bounded their number.
pub(super) fn of_group(group: Mapping<'_>) -> Result<KeyGroup, PolicyError> {
    let mut readers = KeyGroup::default();
    add_group(&mut readers, group)?;
    Ok(readers)
}

fn add_group(readers: &mut KeyGroup, group: Mapping<'_>) -> Result<(), PolicyError> {
    for merged in mapping_list(group, "merge")? {
        add_group(readers, merged)?;
    }
    for of_type in &KEY_TYPES {
        add_all(readers, group, of_type.grouped, of_type, None)?;
    }
    Ok(())
}

/// Looks at the keys of a group and of all that it merges.
pub(super) fn check_group(group: Mapping<'_>, seen: &mut usize) -> Result<(), PolicyError> {
    *seen += 1;
    if *seen > MAX_MERGES {
        return Err(at(group.node(), Problem::TooManyMerges));
    }
    let known: Vec<&str> =
        ["merge"].into_iter().chain(KEY_TYPES.iter().map(|of_type| of_type.grouped)).collect();
    check_keys(group, &known)?;
    mapping_list(group, "merge")?.into_iter().try_for_each(|merged| check_group(merged, seen))
}

/// All keys of one list; one that is there twice is a slip that sops would wrap for twice.
fn add_all(
    group: &mut KeyGroup,
    mapping: Mapping<'_>,
    field: &str,
    of_type: &KeyType,
    profile: Option<&str>,
) -> Result<(), PolicyError> {
    let Some(node) = mapping.get(field).filter(|node| !is_empty(*node)) else { return Ok(()) };
    let mut keys: Vec<Key> = Vec::new();
    let nodes: Vec<Node<'_>> = match node.as_sequence() {
        Some(list) => list.items().collect(),
        None => vec![node],
    };
    for item in nodes {
        for key in keys_of(item, field, of_type, profile)? {
            if let Some(first) = keys.iter().find(|known| known.reader.is_same_key(&key.reader)) {
                let name = match &key.reader {
                    Reader::Age(recipient) => recipient.to_string(),
                    Reader::Other(reader) => reader.id.clone(),
                };
                let problem = Problem::Duplicate { key: name, first: first.position };
                return Err(PolicyError::At { position: key.position, problem });
            }
            keys.push(key);
        }
    }
    keys.into_iter().for_each(|key| group.add(key.reader));
    Ok(())
}

/// The keys of one item: a text with commas, or a mapping.
fn keys_of(
    item: Node<'_>,
    field: &str,
    of_type: &KeyType,
    profile: Option<&str>,
) -> Result<Vec<Key>, PolicyError> {
    let position = item.position();
    if let Some(mapping) = item.as_mapping() {
        let reader = Reader::Other(of_mapping(mapping, field, of_type)?.into());
        return Ok(vec![Key { position, reader }]);
    }
    let text = item.as_str().ok_or_else(|| wrong_kind(item, field, "a text or a list"))?;
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let keys = parts.map(|part| {
        if of_type.stored != "age" {
            let key = ServiceKey::parse(of_type.stored, part, profile);
            let key = key.ok_or_else(|| at(item, Problem::not_a_key(field, part)))?;
            return Ok(Key { position, reader: Reader::Other(key.into()) });
        }
        let reader = match part.parse() {
            Ok(recipient) => Reader::Age(recipient),
            // A newer sops may know it, and its key service is asked.
            Err(RecipientError::Unsupported { .. }) => Reader::Other(OtherReader::age(part)),
            Err(error) => return Err(at(item, error)),
        };
        Ok(Key { position, reader })
    });
    keys.collect()
}

/// The reader that a text or mapping stands for in the list `field`; `None` for age, and for what is no single key.
pub(in super::super) fn other_reader(field: &str, item: Node<'_>) -> Option<OtherReader> {
    let is_of =
        |of_type: &&KeyType| of_type.stored != "age" && [of_type.flat, of_type.grouped].contains(&field);
    let of_type = KEY_TYPES.iter().find(is_of)?;
    match keys_of(item, field, of_type, None).ok()?.as_slice() {
        [Key { reader: Reader::Other(reader), .. }] => Some(reader.clone()),
        _ => None,
    }
}

/// Fields that a mapping in a group must have, and may have.
fn fields(of_type: &KeyType) -> Option<(&'static [&'static str], &'static [&'static str])> {
    match of_type.stored {
        "kms" => Some((&["arn"], &["role", "context", "aws_profile"])),
        "gcp_kms" => Some((&["resource_id"], &[])),
        "hckms" => Some((&["key_id"], &[])),
        "azure_kv" => Some((&["vaultUrl", "key"], &["version"])),
        _ => None,
    }
}

/// The key of a mapping.
fn of_mapping(mapping: Mapping<'_>, field: &str, of_type: &KeyType) -> Result<ServiceKey, PolicyError> {
    let node = mapping.node();
    let (needed, optional) = fields(of_type).ok_or_else(|| wrong_kind(node, field, "a list of texts"))?;
    let known: Vec<&str> = needed.iter().chain(optional).copied().collect();
    check_keys(mapping, &known)?;
    let text = |name: &str| mapping.get(name).and_then(Node::as_str).filter(|text| !text.is_empty());
    if let Some(missing) = needed.iter().find(|name| text(name).is_none()) {
        let problem = Problem::NoField { list: field.to_owned(), field: missing };
        return Err(at(node, problem));
    }
    let owned = |name: &str| text(name).map(str::to_owned);
    let needed = |name: &str| owned(name).unwrap_or_default();
    Ok(match of_type.stored {
        "kms" => ServiceKey::Kms {
            arn: needed("arn"),
            role: owned("role"),
            context: mapping.get("context").map(context).unwrap_or_default(),
            profile: owned("aws_profile"),
        },
        "gcp_kms" => ServiceKey::GcpKms { resource_id: needed("resource_id") },
        "hckms" => ServiceKey::Hckms { key_id: needed("key_id") },
        _ => ServiceKey::AzureKeyVault {
            vault_url: needed("vaultUrl"),
            name: needed("key"),
            version: needed("version"),
        },
    })
}
