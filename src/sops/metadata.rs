//! The `sops` block of a file: read as far as it is needed, edited by span, the rest left as it is (stores/stores.go).

use crate::yaml::{Id, Kind, Mapping, Node, Position, Style};

use super::format::Format;
use super::readers::{Field, Item, Readers};
use super::render::{self, Place};
use super::scalar;
use super::selection::{Selection, SelectionError};
use super::time::Time;
use super::value::{Plain, Type};

/// The flag for a MAC over encrypted values only.
pub(super) const MAC_ONLY_ENCRYPTED: &str = "mac_only_encrypted";

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
    /// Nobody can read the file.
    #[error("{position}: the `sops` block names no key")]
    NoKeys {
        /// The block.
        position: Position,
    },
}

/// What the block says.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) readers: Readers,
    pub(super) selection: Selection,
    pub(super) mac_only_encrypted: bool,
    /// `lastmodified` in the form that the MAC is bound to.
    pub(super) last_modified_seconds: String,
    /// `None` where there is no MAC, which is an error only when the file is opened.
    pub(super) mac: Option<Id>,
}

impl Metadata {
    /// Reads the block that stands under the root's `sops`.
    pub(super) fn read(root: Mapping<'_>, format: Format) -> Result<Self, MetadataError> {
        let node = root.get(super::document::METADATA).ok_or(MetadataError::Missing)?;
        let Kind::Mapping(block) = node.kind() else {
            return Err(wrong(node, super::document::METADATA, "a mapping"));
        };
        let readers = Readers::read(block)?;
        let field = |name| block.get(name).filter(|node| !node.is_null()).and_then(Node::as_str);
        let selection = Selection::from_fields(field)
            .map_err(|source| MetadataError::Selection { position: node.position(), source })?;
        let last_modified = required(block, "lastmodified")?;
        let time = last_modified.as_str().and_then(Time::parse_rfc3339);
        let time = time.ok_or_else(|| wrong(last_modified, "lastmodified", "a time as in RFC 3339"))?;
        let version = required(block, "version")?;
        if !version.as_str().is_some_and(is_version) {
            return Err(wrong(version, "version", "a version such as 3.11.0"));
        }
        Ok(Self {
            readers,
            selection,
            mac_only_encrypted: flag(block, MAC_ONLY_ENCRYPTED, format)?,
            last_modified_seconds: time.seconds(),
            mac: mac(block)?,
        })
    }
}

/// Three numbers, perhaps with a `v` before and more behind: what stock sops takes (semver of blang, after a trimmed `v`).
fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let numbers = text.split_once(['-', '+']).map_or(text, |(numbers, _)| numbers);
    let is_number = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
            && part.parse::<u64>().is_ok()
    };
    numbers.split('.').count() == 3 && numbers.split('.').all(is_number)
}

pub(super) fn wrong(node: Node<'_>, field: &str, wanted: &'static str) -> MetadataError {
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

/// A boolean. Where everything is a text, sops takes `true` for one and all others for false (stores.go,
/// `DecodeNonStrings`); an other spelling was meant otherwise by whoever wrote it.
fn flag(block: Mapping<'_>, field: &str, format: Format) -> Result<bool, MetadataError> {
    let Some(node) = block.get(field) else { return Ok(false) };
    let is_flat = matches!(format, Format::Dotenv | Format::Ini);
    match (scalar::value(node), node.as_str()) {
        (_, Some(text @ ("true" | "false"))) if is_flat => Ok(text == "true"),
        (Ok(Some(Plain { kind: Type::Bool, bytes })), _) if !is_flat => Ok(*bytes == b"True"),
        _ => Err(wrong(node, field, "true or false")),
    }
}

/// Entries of a list of keys; an absent or empty one has none.
pub(super) fn entries<'t>(block: Mapping<'t>, field: &str) -> Result<Vec<Mapping<'t>>, MetadataError> {
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

/// The block of a new file.
pub(super) struct NewBlock<'b> {
    pub(super) readers: &'b Readers,
    /// A binary file has none.
    pub(super) selection: Option<&'b Selection>,
    pub(super) mac_only_encrypted: bool,
    pub(super) last_modified: &'b str,
    pub(super) mac: &'b str,
}

impl NewBlock<'_> {
    /// All of it, in the order of stock sops 3.11.
    pub(super) fn fields(&self) -> Vec<Field> {
        let text = |name: &str, text: &str| (name.to_owned(), Item::Text(text.to_owned()));
        let [mut fields, behind] = self.readers.fields();
        fields.extend([text("lastmodified", self.last_modified), text("mac", self.mac)]);
        fields.extend(behind);
        fields.extend(self.selection.map(Selection::field).map(|(name, value)| text(name, value)));
        if self.mac_only_encrypted {
            fields.push((MAC_ONLY_ENCRYPTED.to_owned(), Item::Bare("true".to_owned())));
        }
        fields.push(text("version", "3.11.0"));
        fields
    }
}

/// The block of a new YAML file, in the order and form of stock sops 3.11.
pub(super) fn yaml_block(block: &NewBlock<'_>) -> String {
    let mut text = format!("{}:\n", super::document::METADATA);
    yaml_fields(&mut text, &block.fields(), 4, "\n");
    text
}

/// Fields as lines of block YAML, in the form of stock sops 3.11.
pub(super) fn yaml_fields(out: &mut String, fields: &[Field], indent: usize, end: &str) {
    for (name, item) in fields {
        out.extend(std::iter::repeat_n(' ', indent));
        yaml_field(out, (name, item), indent, indent + 2, end);
    }
}

/// One field, whose first line is indented already; the lines of a text have `content` blanks before them.
pub(super) fn yaml_field(
    out: &mut String,
    (name, item): (&str, &Item),
    indent: usize,
    content: usize,
    end: &str,
) {
    // As go-yaml does with a step of four.
    let below = indent / 4 * 4 + 4;
    out.push_str(&render::text(name, Place::BLOCK));
    match item {
        Item::Text(text) if text.contains('\n') && is_literal(text) => {
            out.push_str(if text.ends_with('\n') { ": |" } else { ": |-" });
            out.push_str(end);
            for line in text.lines() {
                let blanks = if line.is_empty() { 0 } else { content };
                out.extend(std::iter::repeat_n(' ', blanks));
                out.push_str(line);
                out.push_str(end);
            }
            return;
        }
        Item::Text(text) => out.push_str(&format!(": {}", yaml_text(name, text))),
        Item::Bare(text) => out.push_str(&format!(": {text}")),
        Item::Map(fields) => {
            out.push_str(&format!(":{end}"));
            return yaml_fields(out, fields, below, end);
        }
        Item::List(items) => {
            out.push_str(&format!(":{end}"));
            return items.iter().for_each(|item| yaml_item(out, item, below, end));
        }
    }
    out.push_str(end);
}

/// An item of a list, which is a mapping in all lists of the block.
pub(super) fn yaml_item(out: &mut String, item: &Item, indent: usize, end: &str) {
    let Item::Map(fields) = item else { return };
    for (index, (name, item)) in fields.iter().enumerate() {
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str(if index == 0 { "- " } else { "  " });
        yaml_field(out, (name, item), indent + 2, indent + 4, end);
    }
}

/// Whether a text is lines that a block scalar holds as they are.
fn is_literal(text: &str) -> bool {
    let is_plain = |line: &str| line.chars().all(|char| char == ' ' || char.is_ascii_graphic());
    !text.ends_with("\n\n") && !text.starts_with([' ', '\n']) && text.lines().all(is_plain)
}

fn yaml_text(name: &str, text: &str) -> String {
    match name {
        "lastmodified" | "created_at" => format!("\"{text}\""),
        "mac" | "version" => text.to_owned(),
        "recipient" => recipient_text(text),
        _ => rule_text(text),
    }
}

/// A recipient as a scalar of block YAML: the comment of an SSH key may hold anything.
pub(super) fn recipient_text(text: &str) -> String {
    let is_plain = !(text.contains(": ") || text.contains(" #") || text.ends_with(':'));
    if is_plain { text.to_owned() } else { render::text(text, Place::BLOCK) }
}

/// Without quotes where that is possible, else in single ones, as regular expressions are full of backslashes.
fn rule_text(value: &str) -> String {
    let bare = render::text(value, Place::BLOCK);
    if bare == value { bare } else { render::text(value, Place { style: Style::Single, ..Place::BLOCK }) }
}
