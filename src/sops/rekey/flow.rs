//! New entries in lists and mappings with brackets, in the layout of what is there: JSON, and YAML in flow style.

use crate::yaml::{Mapping, Node, Sequence, Style};

use super::super::change::Stored;
use super::super::document::Document;
use super::super::edit::Edits;
use super::super::format::Format;
use super::super::keys::Recipient;
use super::super::render::Place;

/// What stands between two items: a comma, and the line break and indentation that the items have.
pub(super) fn gap(document: &Document, list: Sequence<'_>) -> String {
    let items: Vec<Node<'_>> = list.items().collect();
    let before = |from: usize, to: Node<'_>| blanks(document, &document.text()[from..to.full_span().start]);
    match items.as_slice() {
        [.., one, last] => before(one.span().end, *last),
        [only] => before(list.node().span().start + 1, *only),
        [] => before(list.node().span().end, list.node()),
    }
}

/// A comma and the blanks of `between`, of which YAML gets at least one.
fn blanks(document: &Document, between: &str) -> String {
    let blanks: String = between.chars().filter(|char| char.is_whitespace()).collect();
    let is_bare = blanks.is_empty() && document.format() == Format::Yaml;
    if is_bare { ", ".to_owned() } else { format!(",{blanks}") }
}

/// A new entry with the layout of `model`, where that has nothing but the two fields.
pub(super) fn entry(document: &Document, model: Node<'_>, recipient: &Recipient, enc: &str) -> String {
    let rendered = |text: &str, place| document.format().rendered(&Stored::Clear(text.to_owned()), place);
    let recipient = recipient.to_string();
    let fields = [("recipient", recipient.as_str()), ("enc", enc)];
    let filled = || {
        let mapping = model.as_mapping()?;
        let mut edits = Edits::default();
        let start = model.span().start;
        for entry in mapping.entries() {
            let (_, value) = fields.iter().find(|(field, _)| *field == entry.key)?;
            let span = entry.value.span();
            let style = if entry.key == "enc" { Style::Double } else { Place::of(entry.value).style };
            let text = rendered(value, Place { style, in_flow: true });
            edits.replace(span.start - start..span.end - start, text);
        }
        (mapping.entries().len() == fields.len()).then(|| edits.apply(model.source()).ok())?
    };
    let quoted = |text: &str| rendered(text, Place { style: Style::Double, in_flow: true });
    filled().unwrap_or_else(|| format!("{{\"recipient\": {}, \"enc\": {}}}", quoted(&recipient), quoted(enc)))
}

/// Puts `"field": value` behind the last entry of a mapping with brackets.
pub(super) fn insert(edits: &mut Edits, document: &Document, mapping: Mapping<'_>, field: &str, value: &str) {
    let text = document.text();
    let entries: Vec<_> = mapping.entries().collect();
    let Some(last) = entries.last() else { return };
    let before = match entries.len().checked_sub(2) {
        Some(index) => entries[index].value.span().end,
        None => mapping.node().span().start + 1,
    };
    let gap = blanks(document, &text[before..last.key_node.full_span().start]);
    let colon = &text[last.key_node.span().end..last.value.full_span().start];
    let end = last.value.span().end;
    edits.replace(end..end, format!("{gap}\"{field}\"{colon}{value}"));
}
