//! INI: values, and changes in the layout of the file (stores/ini/store.go). A path is `["section"]["key"]`; keys above
//! the first section are in the section `DEFAULT`.

pub(super) mod comments;
mod scan;

use std::ops::Range;

use crate::yaml::{Entry, Kind, Mapping, Node};

use super::change::Growth;
use super::document::{Document, METADATA};
use super::edit::Edits;
use super::flat;
use super::format::Format;
use super::metadata::NewBlock;
use super::render::Place;
use super::splice::{line_start, newline, next_line, own_entries};

pub(super) use scan::scan;

/// The section of keys that are in none.
pub(super) const DEFAULT: &str = "DEFAULT";

/// The forms that go-ini writes in which the text reads back as itself where `behind` goes on behind it, and of each
/// whether the comment there stays one: go-ini drops what stands on a line behind a quote that ends a value.
fn forms(text: &str, behind: &str) -> impl Iterator<Item = (String, bool)> {
    let rest = behind.split('\n').next().unwrap_or_default();
    let forms = [text.to_owned(), format!("`{text}`"), format!("\"\"\"{text}\"\"\""), format!("\"{text}\"")];
    forms.into_iter().filter_map(move |form| {
        let lines = format!("{form}{rest}\n");
        let end = lines.find('\n').unwrap_or(lines.len());
        let read = scan::value(&lines, 0, end).ok()?;
        let comment = read.comment.map_or("", |comment| &lines[comment]);
        let is_whole = read.text == text && read.end + 1 == lines.len();
        is_whole.then(|| (form, comment == rest.trim()))
    })
}

/// A text in the clear: in the first form that keeps the comment behind it, else in one that keeps the text.
pub(super) fn quoted(text: &str, behind: &str) -> String {
    let kept = forms(text, behind).find(|(_, keeps_comment)| *keeps_comment);
    kept.or_else(|| forms(text, behind).next()).map_or_else(|| text.to_owned(), |(form, _)| form)
}

/// Whether there is a form for the text that keeps the comment behind it.
pub(super) fn holds(text: &str, behind: &str) -> bool {
    forms(text, behind).any(|(_, keeps_comment)| keeps_comment)
}

/// Whether a new line can have this key.
pub(super) fn is_key(key: &str) -> bool {
    let is_safe = |char: char| !char.is_control() && !"=:\"`[]#;".contains(char);
    !key.is_empty() && key.trim() == key && key != "-" && key.chars().all(is_safe)
}

/// Whether a new section can have this name.
pub(super) fn is_section(name: &str) -> bool {
    let is_safe = |char: char| !char.is_control() && !"[]#;".contains(char);
    !name.is_empty() && name != METADATA && name.chars().all(is_safe)
}

/// What stands between keys and values: as in the nearest entry that shows it.
fn delimiter(text: &str, mut entries: impl Iterator<Item = (usize, usize)>) -> &'static str {
    let shown = entries.find_map(|(from, to)| text.get(from..to).filter(|between| !between.is_empty()));
    match shown {
        Some(between) if between.trim() == ":" && between.ends_with(' ') => ": ",
        Some(between) if between.trim() == ":" => ":",
        Some("=") => "=",
        _ => " = ",
    }
}

fn between(entry: Entry<'_>) -> (usize, usize) {
    (entry.key_node.span().end, entry.value.span().start)
}

/// Where the next line begins behind a section's last key, or its header.
fn end_of(text: &str, section: Mapping<'_>) -> usize {
    let last = section.entries().next_back().map(|last| last.value.span().end);
    next_line(text, last.unwrap_or_else(|| section.node().span().start))
}

/// Inserts new keys behind the last one of their section, and new sections behind the last one.
pub(super) fn insert(edits: &mut Edits, document: &Document, mapping: Mapping<'_>, new: &[(String, Growth)]) {
    let text = document.text();
    let Some(root) = document.root() else { return };
    let newline = newline(text);
    let sections = || own_entries(root).filter_map(|entry| entry.value.as_mapping());
    let delimiter =
        delimiter(text, mapping.entries().chain(sections().flat_map(Mapping::entries)).map(between));
    let lines = |new: &[(String, Growth)]| -> String {
        let leaves = new.iter().filter_map(|(key, growth)| match growth {
            Growth::Leaf(value) => {
                let value = Format::Ini.rendered(value, Place::BLOCK);
                Some(format!("{key}{delimiter}{value}{newline}"))
            }
            Growth::Mapping(_) => None,
        });
        leaves.collect()
    };
    if mapping.node() != root.node() {
        return put(edits, text, end_of(text, mapping), &lines(new));
    }
    for (name, growth) in new {
        // `set` has refused keys without a section.
        let Growth::Mapping(keys) = growth else { continue };
        if name == DEFAULT {
            let top = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
            put(edits, text, top, &lines(keys));
            continue;
        }
        let section = format!("[{name}]{newline}{}", lines(keys));
        match sections().next_back() {
            Some(last) => put(edits, text, end_of(text, last), &format!("{newline}{section}")),
            None => {
                let at = root.get(METADATA).map_or(text.len(), |block| block.span().start);
                put(edits, text, at, &format!("{section}{newline}"));
            }
        }
    }
}

/// Inserts lines, behind a line break where the text lacks it.
fn put(edits: &mut Edits, text: &str, at: usize, lines: &str) {
    if at > 0 && !text[..at].ends_with(['\n', '\u{feff}']) {
        edits.replace(at..at, format!("{}{}", newline(text), lines.trim_end_matches(['\r', '\n'])));
    } else {
        edits.replace(at..at, lines);
    }
}

/// From the first line of an entry to the end of its last. Comments above stay, but for the last key of a section: there
/// they would come to belong to the next section.
pub(super) fn removal(text: &str, value: Node<'_>) -> Option<Range<usize>> {
    let section = value.parent()?.as_mapping()?;
    let entries: Vec<Entry<'_>> = section.entries().collect();
    let index = entries.iter().position(|entry| entry.value == value)?;
    let end = next_line(text, value.span().end.max(entries[index].key_node.span().end));
    let start = line_start(text, entries[index].key_node.span().start);
    if index + 1 < entries.len() {
        return Some(start..end);
    }
    let above = match index.checked_sub(1) {
        Some(previous) => next_line(text, entries[previous].value.span().end),
        None if text[section.node().span().start..].starts_with('[') => {
            next_line(text, section.node().span().start)
        }
        None => start,
    };
    let has_comment = text[above..start].lines().any(|line| line.trim_start().starts_with(['#', ';']));
    Some(if has_comment { above..end } else { start..end })
}

/// The section of a file's metadata, with the blank line above it where it is the last one.
pub(super) fn metadata(text: &str, block: Node<'_>) -> Range<usize> {
    let start = line_start(text, block.span().start);
    let end = next_line(text, last_byte(block));
    if end < text.len() {
        return start..end;
    }
    let above = &text[..start];
    let newline = newline(text);
    let is_blank = above.strip_suffix(newline).is_some_and(|above| above.ends_with(newline));
    start - if is_blank { newline.len() } else { 0 }..end
}

/// The end of the last line of a section that is spread over nested nodes.
fn last_byte(node: Node<'_>) -> usize {
    let below: Vec<Node<'_>> = match node.kind() {
        Kind::Mapping(mapping) => mapping.entries().map(|entry| entry.value).collect(),
        Kind::Sequence(list) => list.items().collect(),
        Kind::Scalar(..) | Kind::Alias(_) => Vec::new(),
    };
    below.into_iter().map(last_byte).fold(node.span().end, usize::max)
}

/// The section of a new file's metadata, to stand behind `body`.
pub(super) fn block(body: &str, block: &NewBlock<'_>) -> String {
    let newline = newline(body);
    let gap = if body.ends_with(&newline.repeat(2)) { "" } else { newline };
    let lines = flat::lines(&block.fields())
        .into_iter()
        .map(|(key, value)| format!("{key} = {}{newline}", quoted(&value, "")));
    format!("{gap}[{METADATA}]{newline}{}", lines.collect::<String>())
}
