//! One list of readers of the `sops` block, edited item by item: who goes, who gets another `enc`, who is added behind
//! the last one in its form.

use std::ops::Range;

use crate::yaml::{Kind, Node, Sequence, Style};

use super::super::change::Stored;
use super::super::document::Document;
use super::super::edit::Edits;
use super::super::format::Format;
use super::super::json;
use super::super::metadata::yaml_field;
use super::super::readers::{Entry, Field, Group, Item};
use super::super::render::Place;
use super::super::splice;
use super::RekeyError;

/// Lets the list have the entries of the group that belong into it: at least one.
pub(super) fn edit(
    edits: &mut Edits,
    document: &Document,
    kind: &str,
    list: Sequence<'_>,
    group: &Group,
) -> Result<(), RekeyError> {
    let text = document.text();
    let mut wanted: Vec<&Entry> = group.of_list(kind).collect();
    let mut items = Items { all: list.items().collect(), gone: Vec::new(), is_flow: list.is_flow() };
    for (index, item) in items.all.iter().enumerate() {
        let mapping = item.as_mapping().ok_or(RekeyError::Layout { position: item.position() })?;
        let has = Entry::read(kind, mapping).ok();
        let new = wanted.iter().position(|entry| has.as_ref().is_some_and(|has| has.reader == entry.reader));
        match (has, new) {
            (Some(has), Some(new)) => replace(edits, document, *item, &has, wanted.remove(new))?,
            _ => items.gone.push(index),
        }
    }
    if !wanted.is_empty() {
        let new: Vec<Vec<Field>> = wanted.into_iter().map(Entry::fields).collect();
        if items.append(edits, document, &new)? == Appended::InPlaceOfAll {
            return Ok(());
        }
    }
    items.remove(edits, text)
}

/// Puts what has changed in an entry where it was.
fn replace(
    edits: &mut Edits,
    document: &Document,
    item: Node<'_>,
    has: &Entry,
    new: &Entry,
) -> Result<(), RekeyError> {
    let layout = || RekeyError::Layout { position: item.position() };
    if has.wrapped.trim_end() != new.wrapped.trim_end() {
        replace_enc(edits, document, item.get("enc").ok_or_else(layout)?, &new.wrapped);
    }
    if has.created_at != new.created_at {
        let node = item.get("created_at").ok_or_else(layout)?;
        let place = Place { style: Style::Double, ..Place::of(node) };
        splice::replace(edits, document, node, &Stored::Clear(new.created_at.clone()), place);
    }
    Ok(())
}

/// Items of a list, and which of them go.
struct Items<'t> {
    all: Vec<Node<'t>>,
    gone: Vec<usize>,
    is_flow: bool,
}

#[derive(PartialEq, Eq)]
enum Appended {
    BehindTheLast,
    InPlaceOfAll,
}

impl Items<'_> {
    fn append(
        &self,
        edits: &mut Edits,
        document: &Document,
        new: &[Vec<Field>],
    ) -> Result<Appended, RekeyError> {
        let text = document.text();
        let (Some(first), Some(last)) = (self.all.first(), self.all.last()) else {
            return Ok(Appended::BehindTheLast);
        };
        if self.is_flow {
            let gap = self.gap(document);
            let entries: Vec<String> = new.iter().map(|fields| flow_entry(document, *last, fields)).collect();
            let entries = entries.join(&gap);
            if self.gone.len() == self.all.len() {
                edits.replace(first.full_span().start..last.span().end, entries);
                return Ok(Appended::InPlaceOfAll);
            }
            let end = last.span().end;
            edits.replace(end..end, format!("{gap}{entries}"));
            return Ok(Appended::BehindTheLast);
        }
        let layout = || RekeyError::Layout { position: last.position() };
        let mut lines = String::new();
        for fields in new {
            lines.push_str(&block_entry(text, *last, fields).ok_or_else(layout)?);
        }
        let at = after(text, last.span().end);
        if !text[..at].ends_with('\n') {
            lines.insert_str(0, line_break(text));
            lines.truncate(lines.trim_end().len());
        }
        edits.replace(at..at, lines);
        Ok(Appended::BehindTheLast)
    }

    /// What stands between two items in brackets: a comma, and the line break and indentation that they have.
    fn gap(&self, document: &Document) -> String {
        let text = document.text();
        let before = match self.all.as_slice() {
            [.., one, last] => &text[one.span().end..last.full_span().start],
            [only] => {
                let start = only.full_span().start;
                &text[text[..start].rfind('[').map_or(start, |bracket| bracket + 1)..start]
            }
            [] => "",
        };
        let blanks: String = before.chars().filter(|char| char.is_whitespace()).collect();
        let is_bare = blanks.is_empty() && document.format() == Format::Yaml;
        if is_bare { ", ".to_owned() } else { format!(",{blanks}") }
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

pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The start of the line behind what ends at `end`.
fn after(text: &str, end: usize) -> usize {
    if text[..end].ends_with('\n') {
        return end;
    }
    text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1)
}

pub(super) fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// What stands before an item of a block list on its line: blanks, a hyphen, blanks.
fn hyphen<'t>(text: &'t str, item: Node<'_>) -> Option<&'t str> {
    let start = item.full_span().start;
    let before = &text[line_start(text, start)..start];
    before.trim_matches(' ').eq("-").then_some(before)
}

/// A new entry with the layout of `model` where that has the same fields, all of them texts.
fn flow_entry(document: &Document, model: Node<'_>, fields: &[Field]) -> String {
    let rendered = |text: &str, place| document.format().rendered(&Stored::Clear(text.to_owned()), place);
    let filled = || {
        let mapping = model.as_mapping()?;
        let mut edits = Edits::default();
        let start = model.span().start;
        for entry in mapping.entries() {
            let (_, Item::Text(value)) = fields.iter().find(|(field, _)| field == entry.key)? else {
                return None;
            };
            let span = entry.value.span();
            let style = if entry.key == "enc" { Style::Double } else { Place::of(entry.value).style };
            let text = rendered(value, Place { style, in_flow: true, ..Place::BLOCK });
            edits.replace(span.start - start..span.end - start, text);
        }
        (mapping.entries().len() == fields.len()).then(|| edits.apply(model.source()).ok())?
    };
    filled().unwrap_or_else(|| json::on_one_line(&Item::Map(fields.to_vec())))
}

/// Lines of a new entry, in the form of the last one: its indentation, and the order of its fields.
fn block_entry(text: &str, last: Node<'_>, fields: &[Field]) -> Option<String> {
    let lead = hyphen(text, last)?;
    let model = last.as_mapping()?;
    let mut fields = fields.to_vec();
    // Stock sops sorts them from 3.13 on.
    if model.entries().map(|entry| entry.key).is_sorted() {
        fields.sort_by(|(one, _), (two, _)| one.cmp(two));
    }
    let content = model.get("enc").and_then(|node| content_indent(text, node));
    let content = content.unwrap_or(lead.len() + 4);
    let mut lines = String::new();
    for (index, (name, item)) in fields.iter().enumerate() {
        let indent = " ".repeat(lead.len());
        lines.push_str(if index == 0 { lead } else { &indent });
        yaml_field(&mut lines, (name, item), lead.len(), content, line_break(text));
    }
    Some(lines)
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
            let line = |line: &str| if line.is_empty() { String::new() } else { format!("{indent}{line}") };
            let lines: Vec<String> = enc.lines().map(line).collect();
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
