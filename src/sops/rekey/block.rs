//! The `sops` block of a YAML or JSON file, edited by span: entries of readers, the selection rule, the scope of the
//! MAC.

use std::ops::Range;

use crate::yaml::{Entry, Kind, Mapping, Node, Sequence, Style};

use super::super::change::{Growth, Stored};
use super::super::document::Document;
use super::super::edit::Edits;
use super::super::keys::Recipient;
use super::super::metadata::{OTHER_KEYS, OtherReader, recipient_text};
use super::super::render::Place;
use super::super::selection::{FIELDS, Selection};
use super::super::splice;
use super::{RekeyError, RekeyPlan, flow, metadata_block};

pub(super) const AGE: &str = "age";

/// An entry of somebody whose key is of a type that we do not encrypt for.
pub(super) struct Foreign<'t> {
    pub(super) reader: OtherReader,
    /// Of all its values.
    pub(super) source: Vec<&'t str>,
}

/// Such entries in the order of [`super::super::Encrypted::other_readers`].
pub(super) fn foreign(document: &Document) -> Vec<Foreign<'_>> {
    let Some(block) = metadata_block(document) else { return Vec::new() };
    let mut all = Vec::new();
    for kind in [AGE].into_iter().chain(OTHER_KEYS) {
        let items = block.get(kind).and_then(Node::as_sequence).into_iter().flat_map(Sequence::items);
        all.extend(
            items.filter_map(|item| Some(Foreign { reader: other(kind, item)?, source: sources(item) })),
        );
    }
    all
}

/// The text of an entry; where its fields are lines of a flat file, of each value, as the keys have numbers in them.
fn sources(item: Node<'_>) -> Vec<&str> {
    match item.kind() {
        Kind::Mapping(mapping) if is_flat(mapping) => {
            mapping.entries().flat_map(|entry| sources(entry.value)).collect()
        }
        _ => vec![item.source()],
    }
}

/// Whether a mapping stands for lines with flat keys: it has no text of its own but its first key.
fn is_flat(mapping: Mapping<'_>) -> bool {
    let first = mapping.entries().next();
    first.is_some_and(|entry| entry.value.span().start >= mapping.node().span().end)
}

pub(super) fn other(kind: &str, item: Node<'_>) -> Option<OtherReader> {
    let entry = item.as_mapping()?;
    if kind != AGE {
        return Some(OtherReader::of_entry(kind, entry));
    }
    let text = entry.get("recipient")?.as_str()?;
    let is_native = text.parse::<Recipient>().is_ok();
    (!is_native).then(|| OtherReader { kind: kind.to_owned(), id: text.to_owned() })
}

pub(super) fn native(item: Node<'_>) -> Option<Recipient> {
    item.as_mapping()?.get("recipient")?.as_str()?.parse().ok()
}

/// Which entries of the age list go, in its order.
pub(super) struct Seen<'p> {
    plan: &'p RekeyPlan,
    kept: Vec<Recipient>,
}

impl<'p> Seen<'p> {
    pub(super) fn new(plan: &'p RekeyPlan) -> Self {
        Self { plan, kept: Vec::new() }
    }

    pub(super) fn goes(&mut self, item: Node<'_>) -> bool {
        match native(item) {
            Some(recipient) if self.plan.removed.contains(&recipient) => true,
            // A second entry of one recipient holds the old data key.
            Some(recipient) if self.plan.new_data_key && self.kept.contains(&recipient) => true,
            Some(recipient) => {
                self.kept.push(recipient);
                false
            }
            None => other(AGE, item).is_some_and(|reader| self.plan.removed_others.contains(&reader)),
        }
    }

    /// Whether an entry of this recipient stays.
    pub(super) fn knows(&self, recipient: &Recipient) -> bool {
        self.kept.contains(recipient)
    }
}

pub(super) struct Block<'t> {
    document: &'t Document,
    mapping: Mapping<'t>,
}

impl<'t> Block<'t> {
    pub(super) fn new(document: &'t Document, mapping: Mapping<'t>) -> Self {
        Self { document, mapping }
    }

    /// Takes out who goes, and puts `wrapped` in: into the entries that are there, and into new ones behind the last.
    pub(super) fn edit_readers(
        &self,
        edits: &mut Edits,
        wrapped: &[(Recipient, String)],
        plan: &RekeyPlan,
    ) -> Result<(), RekeyError> {
        let text = self.document.text();
        for kind in OTHER_KEYS {
            let Some(entry) = self.mapping.entry(kind) else { continue };
            let Some(list) = entry.value.as_sequence() else { continue };
            let goes = |item| other(kind, item).is_some_and(|reader| plan.removed_others.contains(&reader));
            let items = Items::split(list, goes);
            if items.kept.is_empty() && !items.gone.is_empty() {
                let (range, rest) = splice::removal(self.document, entry.value)
                    .ok_or(RekeyError::Layout { position: entry.key_node.position() })?;
                edits.replace(range, rest);
            } else {
                items.remove(edits, text)?;
            }
        }
        let list = self.mapping.get(AGE).and_then(Node::as_sequence);
        let Some(list) = list else {
            return Err(RekeyError::Layout { position: self.mapping.node().position() });
        };
        self.edit_age(edits, list, wrapped, plan)
    }

    fn edit_age(
        &self,
        edits: &mut Edits,
        list: Sequence<'t>,
        wrapped: &[(Recipient, String)],
        plan: &RekeyPlan,
    ) -> Result<(), RekeyError> {
        let text = self.document.text();
        let mut seen = Seen::new(plan);
        let items = Items::split(list, |item| seen.goes(item));
        for item in &items.kept {
            let new =
                native(*item).and_then(|recipient| wrapped.iter().find(|(known, _)| *known == recipient));
            if let Some((_, enc)) = new {
                let node = item.get("enc").ok_or(RekeyError::Layout { position: item.position() })?;
                replace_enc(edits, self.document, node, enc);
            }
        }
        let new: Vec<&(Recipient, String)> =
            wrapped.iter().filter(|(recipient, _)| !seen.knows(recipient)).collect();
        if new.is_empty() {
            return items.remove(edits, text);
        }
        let last = list.items().next_back();
        let last = last.ok_or(RekeyError::Layout { position: list.node().position() })?;
        if list.is_flow() {
            let gap = flow::gap(self.document, list);
            let entries: Vec<String> =
                new.iter().map(|(recipient, enc)| flow::entry(self.document, last, recipient, enc)).collect();
            let entries = entries.join(&gap);
            if items.kept.is_empty() {
                let first = items.all.first().map_or(last.full_span().start, |item| item.full_span().start);
                edits.replace(first..last.span().end, entries);
                return Ok(());
            }
            let end = last.span().end;
            edits.replace(end..end, format!("{gap}{entries}"));
        } else {
            let at = after(text, last.span().end);
            let lines = new.iter().map(|(recipient, enc)| lines(text, last, recipient, enc));
            let mut lines =
                lines.collect::<Option<String>>().ok_or(RekeyError::Layout { position: last.position() })?;
            if !text[..at].ends_with('\n') {
                lines.insert_str(0, line_break(text));
                lines.truncate(lines.trim_end().len());
            }
            edits.replace(at..at, lines);
        }
        items.remove(edits, text)
    }

    pub(super) fn set_selection(&self, edits: &mut Edits, selection: &Selection) {
        let (field, value) = selection.field();
        let is_set = |entry: &Entry<'t>| {
            FIELDS.contains(&entry.key) && entry.value.as_str().is_some_and(|text| !text.is_empty())
        };
        let value = Stored::Clear(value.to_owned());
        let current = self.mapping.entries().find(is_set).or_else(|| self.mapping.entry(field));
        match current {
            Some(entry) => {
                edits.replace(entry.key_node.span(), key_like(entry.key_node, field));
                splice::replace(edits, self.document, entry.value, &value, Place::of(entry.value));
            }
            None => {
                splice::insert(
                    edits,
                    self.document,
                    self.mapping,
                    &[(field.to_owned(), Growth::Leaf(value))],
                );
            }
        }
    }

    pub(super) fn set_mac_scope(&self, edits: &mut Edits, only_encrypted: bool) {
        let (field, value) = ("mac_only_encrypted", only_encrypted.to_string());
        match self.mapping.entry(field) {
            Some(entry) => edits.replace(entry.value.full_span(), value),
            None if self.mapping.is_flow() => flow::insert(edits, self.document, self.mapping, field, &value),
            None => {
                // The text of a stored value stands there as it is, so that it stays a boolean.
                let value = Growth::Leaf(Stored::Encrypted(value));
                splice::insert(edits, self.document, self.mapping, &[(field.to_owned(), value)]);
            }
        }
    }
}

/// A key in the quotes of the one that it replaces.
fn key_like(node: Node<'_>, key: &str) -> String {
    match node.kind() {
        Kind::Scalar(_, Style::Double) => format!("\"{key}\""),
        Kind::Scalar(_, Style::Single) => format!("'{key}'"),
        _ => key.to_owned(),
    }
}

/// Items of a list: who stays, and who goes.
struct Items<'t> {
    all: Vec<Node<'t>>,
    kept: Vec<Node<'t>>,
    gone: Vec<usize>,
    is_flow: bool,
}

impl<'t> Items<'t> {
    fn split(list: Sequence<'t>, mut goes: impl FnMut(Node<'t>) -> bool) -> Self {
        let mut items =
            Self { all: list.items().collect(), kept: Vec::new(), gone: Vec::new(), is_flow: list.is_flow() };
        for (index, item) in items.all.iter().enumerate() {
            if goes(*item) { items.gone.push(index) } else { items.kept.push(*item) }
        }
        items
    }

    fn remove(&self, edits: &mut Edits, text: &str) -> Result<(), RekeyError> {
        for index in &self.gone {
            edits.replace(self.range(*index, text)?, "");
        }
        Ok(())
    }

    fn range(&self, index: usize, text: &str) -> Result<Range<usize>, RekeyError> {
        let item = self.all[index];
        if !self.is_flow {
            let start = item.full_span().start;
            let line = line_start(text, start);
            return match hyphen(text, item) {
                Some(_) => Ok(line..after(text, item.span().end)),
                None => Err(RekeyError::Layout { position: item.position() }),
            };
        }
        let is_kept_before = (0..index).any(|before| !self.gone.contains(&before));
        Ok(match self.all.get(index + 1) {
            _ if is_kept_before => self.all[index - 1].span().end..item.span().end,
            Some(next) => item.full_span().start..next.full_span().start,
            None => item.full_span(),
        })
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The start of the line behind what ends at `end`.
fn after(text: &str, end: usize) -> usize {
    if text[..end].ends_with('\n') {
        return end;
    }
    text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1)
}

fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// What stands before an item of a block list on its line: blanks, a hyphen, blanks.
fn hyphen<'t>(text: &'t str, item: Node<'_>) -> Option<&'t str> {
    let start = item.full_span().start;
    let before = &text[line_start(text, start)..start];
    before.trim_matches(' ').eq("-").then_some(before)
}

/// Lines of a new entry, in the form of the last one: its indentation, and the order of its fields.
fn lines(text: &str, last: Node<'_>, recipient: &Recipient, enc: &str) -> Option<String> {
    let lead = hyphen(text, last)?;
    let indent = " ".repeat(lead.len());
    let entry = last.as_mapping()?;
    let enc_first = entry.entries().next()?.key == "enc";
    let recipient = recipient_text(recipient);
    let end = line_break(text);
    let inner = entry.get("enc").and_then(|node| content_indent(text, node));
    let inner = " ".repeat(inner.unwrap_or(lead.len() + 4));
    let body: String = enc.lines().map(|line| format!("{inner}{line}{end}")).collect();
    Some(if enc_first {
        format!("{lead}enc: |{end}{body}{indent}recipient: {recipient}{end}")
    } else {
        format!("{lead}recipient: {recipient}{end}{indent}enc: |{end}{body}")
    })
}

/// How far to the right the lines of a block scalar stand.
fn content_indent(text: &str, node: Node<'_>) -> Option<usize> {
    let Kind::Scalar(_, Style::Literal) = node.kind() else { return None };
    let source = &text[node.span()];
    let first = source.split('\n').nth(1)?;
    Some(first.len() - first.trim_start_matches(' ').len())
}

/// Puts a newly wrapped key where another was, in its form.
fn replace_enc(edits: &mut Edits, document: &Document, node: Node<'_>, enc: &str) {
    let (text, span) = (document.text(), node.span());
    let header = text[span.clone()].find('\n');
    match (content_indent(text, node), header) {
        (Some(indent), Some(header)) => {
            let content = span.start + header + 1..span.end;
            let indent = " ".repeat(indent);
            let lines: Vec<String> = enc.lines().map(|line| format!("{indent}{line}")).collect();
            let mut new = lines.join(line_break(text));
            let old = &text[content.clone()];
            new.push_str(&old[old.trim_end().len()..]);
            edits.replace(content, new);
        }
        _ => {
            let place = Place { style: Style::Double, ..Place::of(node) };
            edits.replace(span, document.format().rendered(&Stored::Clear(enc.to_owned()), place));
        }
    }
}
