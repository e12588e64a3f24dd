//! The keys that a rule or a group names, of every type that sops knows (config/config.go, `getKeyGroupsFromCreationRule`
//! and `extractMasterKeys`). Flat keys stand in the rule itself, as texts with commas or as lists; groups hold lists.

use crate::yaml::{Mapping, Node, Position};

use super::super::keys::{Recipient, RecipientError};
use super::super::metadata::OtherReader;
use super::read::{at, check_keys, is_empty, mapping_list, wrong_kind};
use super::{PolicyError, Problem};

/// Keys of one type: the name in a rule, the name in a group, the name in a file, and what people call them.
pub(super) struct KeyType {
    pub(super) flat: &'static str,
    pub(super) grouped: &'static str,
    stored: &'static str,
    what: &'static str,
}

/// In the order in which sops puts them into a group.
pub(super) const KEY_TYPES: [KeyType; 7] = [
    KeyType { flat: "age", grouped: "age", stored: "age", what: "age keys of this type" },
    KeyType { flat: "pgp", grouped: "pgp", stored: "pgp", what: "PGP keys" },
    KeyType { flat: "kms", grouped: "kms", stored: "kms", what: "AWS KMS keys" },
    KeyType { flat: "gcp_kms", grouped: "gcp_kms", stored: "gcp_kms", what: "GCP KMS keys" },
    KeyType { flat: "hckms", grouped: "hckms", stored: "hckms", what: "HuaweiCloud KMS keys" },
    KeyType {
        flat: "azure_keyvault",
        grouped: "azure_keyvault",
        stored: "azure_kv",
        what: "Azure Key Vault keys",
    },
    KeyType {
        flat: "hc_vault_transit_uri",
        grouped: "hc_vault",
        stored: "hc_vault",
        what: "HashiCorp Vault keys",
    },
];

/// Groups that a group may merge, those of merged groups included: an alias may even lead back to where it stands.
pub(super) const MAX_MERGES: usize = 100;

/// Who may read, each once, and the first thing that is not supported yet.
#[derive(Debug, Default)]
pub(super) struct Readers {
    pub(super) recipients: Vec<Recipient>,
    pub(super) others: Vec<OtherReader>,
    pub(super) unsupported: Option<PolicyError>,
}

impl Readers {
    pub(super) fn is_empty(&self) -> bool {
        self.recipients.is_empty() && self.others.is_empty()
    }

    /// What merged groups repeat counts once, as in sops.
    fn add(&mut self, key: Key) {
        match key.reader {
            Reader::Native(recipient) if !self.recipients.contains(&recipient) => {
                self.recipients.push(recipient);
            }
            Reader::Other(reader, problem) if !self.others.iter().any(|known| known.is_same_key(&reader)) => {
                self.unsupported.get_or_insert(PolicyError::At { position: key.position, problem: *problem });
                self.others.push(reader);
            }
            Reader::Native(_) | Reader::Other(..) => {}
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        let native = self.recipients.iter().map(ToString::to_string);
        native.chain(self.others.iter().map(ToString::to_string)).collect()
    }
}

struct Key {
    position: Position,
    reader: Reader,
}

enum Reader {
    Native(Recipient),
    /// With what there is to say where it must be supported.
    Other(OtherReader, Box<Problem>),
}

impl Key {
    fn is_same(&self, other: &Self) -> bool {
        match (&self.reader, &other.reader) {
            (Reader::Native(one), Reader::Native(two)) => one == two,
            (Reader::Other(one, _), Reader::Other(two, _)) => one.is_same_key(two),
            _ => false,
        }
    }

    fn name(&self) -> String {
        match &self.reader {
            Reader::Native(recipient) => recipient.to_string(),
            Reader::Other(reader, _) => reader.id.clone(),
        }
    }
}

/// Keys that stand in the rule itself.
pub(super) fn of_rule(rule: Mapping<'_>) -> Result<Readers, PolicyError> {
    let mut readers = Readers::default();
    for of_type in &KEY_TYPES {
        add_all(&mut readers, rule, of_type.flat, of_type)?;
    }
    Ok(readers)
}

/// Merged groups first, then the group's own (config/config.go). [`check_group`] has bounded their number.
pub(super) fn of_group(group: Mapping<'_>) -> Result<Readers, PolicyError> {
    let mut readers = Readers::default();
    add_group(&mut readers, group)?;
    Ok(readers)
}

fn add_group(readers: &mut Readers, group: Mapping<'_>) -> Result<(), PolicyError> {
    for merged in mapping_list(group, "merge")? {
        add_group(readers, merged)?;
    }
    for of_type in &KEY_TYPES {
        add_all(readers, group, of_type.grouped, of_type)?;
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
    readers: &mut Readers,
    mapping: Mapping<'_>,
    field: &str,
    of_type: &KeyType,
) -> Result<(), PolicyError> {
    let Some(node) = mapping.get(field).filter(|node| !is_empty(*node)) else { return Ok(()) };
    let mut keys: Vec<Key> = Vec::new();
    let nodes: Vec<Node<'_>> = match node.as_sequence() {
        Some(list) => list.items().collect(),
        None => vec![node],
    };
    for item in nodes {
        for key in keys_of(item, field, of_type)? {
            if let Some(first) = keys.iter().find(|known| known.is_same(&key)) {
                let problem = Problem::Duplicate { key: key.name(), first: first.position };
                return Err(PolicyError::At { position: key.position, problem });
            }
            keys.push(key);
        }
    }
    keys.into_iter().for_each(|key| readers.add(key));
    Ok(())
}

/// The keys of one item: a text with commas, or a mapping.
fn keys_of(item: Node<'_>, field: &str, of_type: &KeyType) -> Result<Vec<Key>, PolicyError> {
    let position = item.position();
    let other = |id: String| {
        let problem = Problem::Unsupported { key: field.to_owned(), what: of_type.what, id: id.clone() };
        let reader = OtherReader { kind: of_type.stored.to_owned(), id };
        Key { position, reader: Reader::Other(reader, Box::new(problem)) }
    };
    if let Some(mapping) = item.as_mapping() {
        return Ok(vec![other(id_of_mapping(mapping, field, of_type)?)]);
    }
    let wanted = "a text or a list";
    let text = item.as_str().ok_or_else(|| wrong_kind(item, field, wanted))?;
    let mut keys = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if of_type.stored != "age" {
            keys.push(other(part.to_owned()));
            continue;
        }
        let reader = match part.parse() {
            Ok(recipient) => Reader::Native(recipient),
            Err(error @ RecipientError::Unsupported { .. }) => {
                let reader = OtherReader { kind: "age".to_owned(), id: part.to_owned() };
                Reader::Other(reader, Box::new(error.into()))
            }
            Err(error) => return Err(at(item, error)),
        };
        keys.push(Key { position, reader });
    }
    Ok(keys)
}

/// The reader that a text or mapping stands for in the list `field`; `None` for age, and for what is no single key.
pub(in super::super) fn other_reader(field: &str, item: Node<'_>) -> Option<OtherReader> {
    let is_of =
        |of_type: &&KeyType| of_type.stored != "age" && [of_type.flat, of_type.grouped].contains(&field);
    let of_type = KEY_TYPES.iter().find(is_of)?;
    match keys_of(item, field, of_type).ok()?.as_slice() {
        [Key { reader: Reader::Other(reader, _), .. }] => Some(reader.clone()),
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

/// The key of a mapping in the form in which sops compares keys.
fn id_of_mapping(mapping: Mapping<'_>, field: &str, of_type: &KeyType) -> Result<String, PolicyError> {
    let node = mapping.node();
    let (needed, optional) = fields(of_type).ok_or_else(|| wrong_kind(node, field, "a list of texts"))?;
    let known: Vec<&str> = needed.iter().chain(optional).copied().collect();
    check_keys(mapping, &known)?;
    let text = |name: &str| mapping.get(name).and_then(Node::as_str).filter(|text| !text.is_empty());
    if let Some(missing) = needed.iter().find(|name| text(name).is_none()) {
        let problem = Problem::NoField { list: field.to_owned(), field: missing };
        return Err(at(node, problem));
    }
    let names = [of_type.stored, "arn", "role", "resource_id", "key_id", "vaultUrl", "key", "version"];
    let [_, arn, role, resource, key_id, vault, key, version] = names.map(text);
    Ok(match of_type.stored {
        "kms" => OtherReader::kms_id(arn.unwrap_or(""), role, mapping.get("context")),
        "azure_kv" => OtherReader::azure_id(vault.unwrap_or(""), key.unwrap_or(""), version),
        _ => resource.or(key_id).unwrap_or("").to_owned(),
    })
}
