//! dotenv as stock sops reads it (stores/dotenv/store.go): `KEY=value` lines, keys and values as they stand, without
//! quotes, blanks or carriage returns meaning anything; `#` in column 1 starts a comment; `\n` is a line break.

use std::ops::Range;

use crate::yaml::build::{Builder, Scanned};
use crate::yaml::{Error, Mapping, Placement, Position, Style};

use super::change::Growth;
use super::document::{Document, METADATA};
use super::edit::Edits;
use super::flat::{self, Field};
use super::format::Format;
use super::metadata::NewBlock;
use super::render::Place;
use super::splice::{next_line, own_entries};

/// What the keys of metadata start with.
pub(super) const PREFIX: &str = "sops_";

pub(super) fn scan(text: &str) -> Result<Scanned, Error> {
    let mut builder = Builder::new(text);
    let root = builder.mapping(0..text.len(), false);
    let mut fields = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        let (at, end) = (start, start + line.len());
        start = end + 1;
        if line.is_empty() {
            continue;
        }
        if line.starts_with('#') {
            builder.comment(at..end, Placement::OwnLine);
            continue;
        }
        let error = |message: &str| {
            let position = Position::of(text, at);
            Error::Syntax { position, message: message.to_owned() }
        };
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| error("neither a comment nor `KEY=value`: the line has no `=`"))?;
        let (key_span, value_span) = (at..at + key.len(), at + key.len() + 1..end);
        if let Some(name) = key.strip_prefix(PREFIX) {
            let value = flat::decoded(name, value);
            fields.push(Field { key: name.to_owned(), key_span, value, value_span });
            continue;
        }
        if key == METADATA {
            return Err(error("the key `sops` belongs to sops itself"));
        }
        let key = builder.scalar(key_span, key, Style::Double);
        let value = builder.scalar(value_span, &value.replace("\\n", "\n"), Style::Double);
        builder.entry(root, key, value)?;
    }
    if let Some(first) = fields.first() {
        flat::attach(&mut builder, text, root, &fields, &first.key_span)?;
    }
    Ok(builder.finish(root))
}

/// A text with its line breaks as `\n`.
pub(super) fn escaped(text: &str) -> String {
    flat::encoded(text)
}

/// A backslash before an `n` would be read as a line break.
pub(super) fn holds(text: &str) -> bool {
    !text.contains("\\n")
}

/// Whether a new line can have this key.
pub(super) fn is_key(key: &str) -> bool {
    !key.contains(['=', '\n', '\r'])
        && !key.starts_with(['#', '\u{feff}'])
        && !key.starts_with(PREFIX)
        && key != METADATA
}

/// Inserts new lines behind the last one that is not metadata.
pub(super) fn insert(edits: &mut Edits, document: &Document, root: Mapping<'_>, new: &[(String, Growth)]) {
    let text = document.text();
    let mut lines = String::new();
    for (key, growth) in new {
        // `set` has refused keys below keys.
        let Growth::Leaf(value) = growth else { continue };
        lines.push_str(&format!("{key}={}\n", Format::Dotenv.rendered(value, Place::BLOCK)));
    }
    let at = match own_entries(root).next_back() {
        Some(last) => next_line(text, last.value.span().end),
        None => root.get(METADATA).map_or(text.len(), |block| block.span().start),
    };
    if !text[..at].is_empty() && !text[..at].ends_with('\n') {
        lines.insert(0, '\n');
        lines.pop();
    }
    edits.replace(at..at, lines);
}

/// The lines of a file's metadata, each with its line break.
pub(super) fn metadata(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let range = start..start + line.len();
        start = range.end;
        line.starts_with(PREFIX).then_some(range)
    })
}

/// The lines of a new file's metadata.
pub(super) fn block(block: &NewBlock<'_>) -> String {
    flat::lines(&block.fields()).iter().map(|(key, value)| format!("{PREFIX}{key}={value}\n")).collect()
}
