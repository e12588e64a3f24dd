//! From changes to edits of the text: replace a scalar, insert keys, remove an entry. Every other byte stays.

use std::ops::Range;

use crate::yaml::{Entry, Kind, Mapping, Node, Style};

use super::change::{Growth, Stored};
use super::document::{Document, METADATA};
use super::edit::Edits;
use super::format::Format;
use super::render::{self, Place};
use super::{dotenv, ini, json};

/// Indentation of a mapping in a file that shows none; what stock sops uses.
const INDENT: usize = 4;

/// The text of a stored value in YAML.
fn rendered(value: &Stored, place: Place<'_>) -> String {
    Format::Yaml.rendered(value, place)
}

/// Puts `value` where the scalar `node` is, in its quotes.
pub(super) fn replace(
    edits: &mut Edits,
    document: &Document,
    node: Node<'_>,
    value: &Stored,
    place: Place<'_>,
) {
    if document.format() != Format::Yaml {
        return edits.replace(node.span(), document.format().rendered(value, place));
    }
    let text = document.text();
    // A tag would give the new value another type.
    let span = if node.tag().is_some() { node.full_span() } else { node.span() };
    let mut new = rendered(value, place);
    if let (Some(_), Some(anchor)) = (node.tag(), node.anchor()) {
        new = format!("&{anchor} {new}");
    }
    let header = text[span.clone()]
        .find('\n')
        .map(|end| text[span.start..span.start + end].trim_end_matches('\r').len());
    if let (Kind::Scalar(_, Style::Literal | Style::Folded), Some(header)) = (node.kind(), header) {
        // A comment may stand behind the `|`; it stays, and may be a change of its own.
        let indicator = node.span().start;
        let indicator_end = indicator + text[indicator..].find([' ', '\t', '\r', '\n']).unwrap_or(1);
        edits.replace(span.start..indicator_end, new);
        edits.replace(span.start + header..span.end, "");
        return;
    }
    if span.is_empty() && !text[..span.start].ends_with([' ', '\n']) {
        new.insert(0, ' ');
    }
    edits.replace(span, new);
}

/// Entries of a mapping without sops's own block.
pub(super) fn own_entries<'t>(mapping: Mapping<'t>) -> impl DoubleEndedIterator<Item = Entry<'t>> {
    let is_root = mapping.node().parent().is_none();
    mapping.entries().filter(move |entry| !(is_root && entry.key == METADATA))
}

/// The start of the line; a byte order mark takes no column.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let start = if text[..at].starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    text[..at].rfind('\n').map_or(start, |newline| newline + 1)
}

/// The start of the next line; the end of the text where there is none.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// How the lines of a text end.
pub(super) fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Characters before a node on its line.
fn column(text: &str, node: Node<'_>) -> usize {
    let start = node.full_span().start;
    text[line_start(text, start)..start].chars().count()
}

/// Inserts new keys behind the last key of `mapping`.
pub(super) fn insert(edits: &mut Edits, document: &Document, mapping: Mapping<'_>, new: &[(String, Growth)]) {
    match document.format() {
        Format::Yaml => {}
        Format::Json | Format::Binary => return json::insert(edits, document, mapping, new),
        Format::Dotenv => return dotenv::insert(edits, document, mapping, new),
        Format::Ini => return ini::insert(edits, document, mapping, new),
    }
    let text = document.text();
    if mapping.is_flow() {
        return insert_flow(edits, mapping, new);
    }
    let Some(first) = mapping.entries().next() else { return };
    let indent = column(text, first.key_node);
    let mut lines = String::new();
    block_lines(&mut lines, new, indent, step(document));
    let newline = newline(text);
    let mut lines = lines.replace('\n', newline);
    match own_entries(mapping).next_back() {
        Some(last) => {
            let at = next_line(text, last.value.span().end.max(last.key_node.span().end));
            if !text[..at].ends_with('\n') {
                lines = format!("{newline}{}", lines.trim_end_matches(newline));
            }
            edits.replace(at..at, lines);
        }
        None => {
            let at = line_start(text, first.key_node.full_span().start);
            edits.replace(at..at, lines);
        }
    }
}

fn block_lines(lines: &mut String, new: &[(String, Growth)], indent: usize, step: usize) {
    for (key, growth) in new {
        lines.extend(std::iter::repeat_n(' ', indent));
        lines.push_str(&render::text(key, Place::BLOCK));
        match growth {
            Growth::Leaf(value) => {
                lines.push_str(": ");
                lines.push_str(&rendered(value, Place::BLOCK));
                lines.push('\n');
            }
            Growth::Mapping(below) => {
                lines.push_str(":\n");
                block_lines(lines, below, indent + step, step);
            }
        }
    }
}

/// How far this document indents a mapping in a mapping.
fn step(document: &Document) -> usize {
    let text = document.text();
    let nested = |entry: Entry<'_>| match entry.value.kind() {
        Kind::Mapping(inner) if !inner.is_flow() => {
            let first = inner.entries().next()?;
            column(text, first.key_node).checked_sub(column(text, entry.key_node)).filter(|step| *step > 0)
        }
        _ => None,
    };
    let Some(root) = document.root() else { return INDENT };
    own_entries(root).find_map(nested).unwrap_or(INDENT)
}

fn insert_flow(edits: &mut Edits, mapping: Mapping<'_>, new: &[(String, Growth)]) {
    let entries = flow_entries(new);
    let span = mapping.node().span();
    match own_entries(mapping).next_back() {
        Some(last) => {
            let at = last.value.span().end.max(last.key_node.span().end);
            edits.replace(at..at, format!(", {entries}"));
        }
        None => {
            let separator = if mapping.entries().len() == 0 { "" } else { ", " };
            edits.replace(span.start + 1..span.start + 1, format!("{entries}{separator}"));
        }
    }
}

fn flow_entries(new: &[(String, Growth)]) -> String {
    let place = Place { style: Style::Double, in_flow: true, ..Place::BLOCK };
    let entries = new.iter().map(|(key, growth)| {
        let key = render::text(key, place);
        match growth {
            Growth::Leaf(value) => format!("{key}: {}", rendered(value, place)),
            Growth::Mapping(below) => format!("{key}: {{{}}}", flow_entries(below)),
        }
    });
    entries.collect::<Vec<_>>().join(", ")
}

/// The range to delete, and what to leave in its place, so that the entry whose value is `value` is gone. `None` where
/// the text around it leaves no clean way.
pub(super) fn removal(document: &Document, value: Node<'_>) -> Option<(Range<usize>, &'static str)> {
    let text = document.text();
    match document.format() {
        Format::Yaml | Format::Json | Format::Binary => {}
        Format::Dotenv => {
            let span = value.span();
            // A byte order mark belongs to the first key.
            let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
            return Some((start..next_line(text, span.end), ""));
        }
        Format::Ini => return ini::removal(text, value).map(|range| (range, "")),
    }
    let Kind::Mapping(mapping) = value.parent()?.kind() else { return None };
    let entries: Vec<Entry<'_>> = mapping.entries().collect();
    let index = entries.iter().position(|entry| entry.value == value)?;
    let key_start = entries[index].key_node.full_span().start;
    let end = value.span().end.max(entries[index].key_node.span().end);
    if entries.len() == 1 {
        let span = mapping.node().span();
        return Some((if mapping.is_flow() { span } else { key_start..end }, "{}"));
    }
    if mapping.is_flow() {
        return Some((flow_range(&entries, index, key_start, end), ""));
    }
    let start = line_start(text, key_start);
    if text[start..key_start].bytes().all(|byte| byte == b' ') {
        return Some((start..next_line(text, end), ""));
    }
    // The first key behind a list's hyphen: the next one moves up to its place.
    let next = entries.get(index + 1)?.key_node.full_span().start;
    text[end..next].trim_ascii().is_empty().then_some((key_start..next, ""))
}

fn flow_range(entries: &[Entry<'_>], index: usize, key_start: usize, end: usize) -> Range<usize> {
    match entries.get(index + 1) {
        Some(next) => key_start..next.key_node.full_span().start,
        None => {
            let previous = &entries[index - 1];
            previous.value.span().end.max(previous.key_node.span().end)..end
        }
    }
}
