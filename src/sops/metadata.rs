//! The `sops` block of a file: read as far as it is needed, edited by span, the rest left as it is (stores/stores.go).

use std::fmt;

use crate::yaml::{Id, Kind, Mapping, Node, Position, Style};

use super::keys::Recipient;
use super::render::{self, Place};
use super::scalar;
use super::selection::{Selection, SelectionError};
use super::time::Time;
use super::value::{Plain, Type};

/// The flag for a MAC over encrypted values only.
pub(super) const MAC_ONLY_ENCRYPTED: &str = "mac_only_encrypted";

/// Lists of keys of other types.
pub(super) const OTHER_KEYS: [&str; 6] = ["kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp"];

/// Why the `sops` block is not one that we can work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// There is no `sops` block: the file is not encrypted.
    #[error("no `sops` block: the file is not encrypted with sops")]
    Missing,
    /// A field is not there.
    #[error("{position}: the `sops` block has no `{field}`")]
    NoField {
        /// The block.
        position: Position,
        /// The field.
        field: &'static str,
    },
    /// A field is not what it should be.
    #[error("{position}: `{field}` in the `sops` block is not {wanted}")]
    Field {
        /// The field.
        position: Position,
        /// Its name.
        field: String,
        /// What it should be, with its article.
        wanted: &'static str,
    },
    /// The selection rule.
    #[error("{position}: {source}")]
    Selection {
        /// The block.
        position: Position,
        /// What is wrong.
        source: SelectionError,
    },
    /// Key groups.
    #[error("{position}: key groups (Shamir) are not supported yet")]
    KeyGroups {
        /// The field.
        position: Position,
    },
    /// Nobody can read the file.
    #[error("{position}: the `sops` block names no key")]
    NoKeys {
        /// The block.
        position: Position,
    },
}

/// Somebody who may read a file and is not a native age recipient.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherReader {
    /// The name of sops's list: `pgp`, `kms`; `age` for recipients of SSH keys, plugins and the like.
    pub kind: String,
    /// Fingerprint, ARN, recipient: what the entry is known by.
    pub id: String,
}

impl fmt::Display for OtherReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// The data key, wrapped for one native age recipient.
#[derive(Debug)]
pub(super) struct Stanza {
    pub(super) recipient: Recipient,
    pub(super) wrapped: String,
}

/// What the block says.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) stanzas: Vec<Stanza>,
    pub(super) others: Vec<OtherReader>,
    pub(super) selection: Selection,
    pub(super) mac_only_encrypted: bool,
    /// `lastmodified` in the form that the MAC is bound to.
    pub(super) last_modified_seconds: String,
    /// `None` where there is no MAC, which is an error only when the file is opened.
    pub(super) mac: Option<Id>,
}

impl Metadata {
    /// Reads the block that stands under the root's `sops`.
    pub(super) fn read(root: Mapping<'_>) -> Result<Self, MetadataError> {
        let node = root.get(super::document::METADATA).ok_or(MetadataError::Missing)?;
        let Kind::Mapping(block) = node.kind() else {
            return Err(wrong(node, super::document::METADATA, "a mapping"));
        };
        let position = node.position();
        let (stanzas, others) = readers(block)?;
        if stanzas.is_empty() && others.is_empty() {
            return Err(match block.entry("key_groups") {
                Some(entry) => MetadataError::KeyGroups { position: entry.key_node.position() },
                None => MetadataError::NoKeys { position },
            });
        }
        let selection = Selection::from_fields(|field| block.get(field).and_then(Node::as_str))
            .map_err(|source| MetadataError::Selection { position, source })?;
        let last_modified = required(block, "lastmodified")?;
        let time = last_modified.as_str().and_then(Time::parse_rfc3339);
        let time = time.ok_or_else(|| wrong(last_modified, "lastmodified", "a time as in RFC 3339"))?;
        let version = required(block, "version")?;
        if version.as_str().is_none_or(str::is_empty) {
            return Err(wrong(version, "version", "a version"));
        }
        Ok(Self {
            stanzas,
            others,
            selection,
            mac_only_encrypted: flag(block, MAC_ONLY_ENCRYPTED)?,
            last_modified_seconds: time.seconds(),
            mac: mac(block)?,
        })
    }
}

fn wrong(node: Node<'_>, field: &str, wanted: &'static str) -> MetadataError {
    MetadataError::Field { position: node.position(), field: field.to_owned(), wanted }
}

fn required<'t>(block: Mapping<'t>, field: &'static str) -> Result<Node<'t>, MetadataError> {
    block.get(field).ok_or_else(|| MetadataError::NoField { position: block.node().position(), field })
}

fn mac(block: Mapping<'_>) -> Result<Option<Id>, MetadataError> {
    match block.get("mac") {
        None => Ok(None),
        Some(node) => match node.kind() {
            Kind::Scalar(text, _) => Ok((!text.is_empty()).then(|| node.id())),
            _ => Err(wrong(node, "mac", "a text")),
        },
    }
}

fn flag(block: Mapping<'_>, field: &str) -> Result<bool, MetadataError> {
    let Some(node) = block.get(field) else { return Ok(false) };
    match scalar::value(node) {
        Ok(Some(Plain { kind: Type::Bool, bytes })) => Ok(*bytes == b"True"),
        _ => Err(wrong(node, field, "true or false")),
    }
}

/// Entries of a list of keys; an absent or empty one has none.
fn entries<'t>(block: Mapping<'t>, field: &str) -> Result<Vec<Mapping<'t>>, MetadataError> {
    let Some(node) = block.get(field).filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    let error = |node| wrong(node, field, "a list of keys");
    let Kind::Sequence(list) = node.kind() else { return Err(error(node)) };
    list.items()
        .map(|item| match item.kind() {
            Kind::Mapping(entry) => Ok(entry),
            _ => Err(error(item)),
        })
        .collect()
}

fn readers(block: Mapping<'_>) -> Result<(Vec<Stanza>, Vec<OtherReader>), MetadataError> {
    let mut stanzas = Vec::new();
    let mut others = Vec::new();
    for entry in entries(block, "age")? {
        let text = |field: &str| entry.get(field).and_then(Node::as_str);
        let recipient =
            text("recipient").ok_or_else(|| wrong(entry.node(), "age", "a list of recipients"))?;
        match recipient.parse() {
            Ok(recipient) => {
                stanzas.push(Stanza { recipient, wrapped: text("enc").unwrap_or("").to_owned() });
            }
            Err(_) => others.push(OtherReader { kind: "age".to_owned(), id: recipient.to_owned() }),
        }
    }
    for kind in OTHER_KEYS {
        others.extend(entries(block, kind)?.into_iter().map(|entry| OtherReader::of_entry(kind, entry)));
    }
    Ok((stanzas, others))
}

/// The block of a new file.
pub(super) struct NewBlock<'b> {
    pub(super) stanzas: &'b [Stanza],
    /// A binary file has none.
    pub(super) selection: Option<&'b Selection>,
    pub(super) mac_only_encrypted: bool,
    pub(super) last_modified: &'b str,
    pub(super) mac: &'b str,
}

impl NewBlock<'_> {
    /// Everything but the stanzas, in the order of stock sops 3.11.
    pub(super) fn fields(&self) -> Vec<(&str, &str)> {
        let mut fields = vec![("lastmodified", self.last_modified), ("mac", self.mac)];
        fields.extend(self.selection.map(Selection::field));
        if self.mac_only_encrypted {
            fields.push((MAC_ONLY_ENCRYPTED, "true"));
        }
        fields.push(("version", "3.11.0"));
        fields
    }
}

/// The block of a new YAML file, in the order and form of stock sops 3.11.
pub(super) fn yaml_block(block: &NewBlock<'_>) -> String {
    let mut text = format!("{}:\n    age:\n", super::document::METADATA);
    for stanza in block.stanzas {
        let recipient = recipient_text(&stanza.recipient);
        text.push_str(&format!("        - recipient: {recipient}\n          enc: |\n"));
        for line in stanza.wrapped.lines() {
            text.push_str(&format!("            {line}\n"));
        }
    }
    for (field, value) in block.fields() {
        let value = match field {
            "lastmodified" => format!("\"{value}\""),
            "mac" | MAC_ONLY_ENCRYPTED | "version" => value.to_owned(),
            _ => rule_text(value),
        };
        text.push_str(&format!("    {field}: {value}\n"));
    }
    text
}

/// A recipient as a scalar of block YAML: the comment of an SSH key may hold anything.
pub(super) fn recipient_text(recipient: &Recipient) -> String {
    let text = recipient.to_string();
    let is_plain = !(text.contains(": ") || text.contains(" #") || text.ends_with(':'));
    if is_plain { text } else { render::text(&text, Place::BLOCK) }
}

/// Without quotes where that is possible, else in single ones, as regular expressions are full of backslashes.
fn rule_text(value: &str) -> String {
    let bare = render::text(value, Place::BLOCK);
    if bare == value { bare } else { render::text(value, Place { style: Style::Single, ..Place::BLOCK }) }
}
