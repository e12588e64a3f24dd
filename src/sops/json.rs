//! JSON: the types of its values, and changes in the layout of the file (stores/json/store.go).

mod scan;

use crate::yaml::{Entry, Kind, Mapping, Node, Tree};

use super::change::{Growth, Stored};
use super::document::Document;
use super::edit::Edits;
use super::metadata::NewBlock;
use super::readers::{self, Field};
use super::scalar::ScalarError;
use super::splice::{newline, own_entries};
use super::value::Plain;

/// Texts are written as in YAML, whose double quotes are those of JSON.
pub(super) use super::render::double_quoted as quoted;
pub(super) use scan::scan;

/// The document of a new binary file; its value goes to [`DATA`].
pub(super) const BINARY: &str = "{\n\t\"data\": \"\"\n}\n";

/// The key of a binary file's content.
pub(super) const DATA: &str = "data";

/// The value of what is not in quotes; every number is a float, as it is for sops up to 3.13.1.
pub(super) fn value(text: &str) -> Result<Option<Plain>, ScalarError> {
    match text {
        "null" => Ok(None),
        "true" => Ok(Some(Plain::bool(true))),
        "false" => Ok(Some(Plain::bool(false))),
        number => match number.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(Plain::float(number))),
            _ => Err(ScalarError::NumberTooLarge),
        },
    }
}

/// The same, with integers that fit into 64 bits kept exactly, as sops has it from 3.13.2.
pub(super) fn exact_value(text: &str) -> Result<Option<Plain>, ScalarError> {
    match text.parse::<i64>() {
        Ok(number) if text != "-0" => Ok(Some(Plain::int(number))),
        _ => value(text),
    }
}

/// Whether versions of sops disagree about the bytes of this number in the clear.
pub(super) fn is_ambiguous(text: &str) -> bool {
    let bytes = |value: Result<Option<Plain>, ScalarError>| value.ok().flatten().map(|plain| plain.bytes);
    bytes(value(text)) != bytes(exact_value(text))
}

/// What is written: scalars are texts already.
enum Item {
    Scalar(String),
    Object(Vec<(String, Item)>),
    Array(Vec<Item>),
}

impl Item {
    fn text(text: &str) -> Self {
        Self::Scalar(quoted(text))
    }

    fn of(growth: &Growth) -> Self {
        match growth {
            Growth::Leaf(Stored::Encrypted(text) | Stored::Clear(text)) => Self::text(text),
            Growth::Mapping(below) => {
                Self::Object(below.iter().map(|(key, growth)| (key.clone(), Self::of(growth))).collect())
            }
        }
    }
}

/// How a file is laid out.
struct Layout {
    /// Line break, and one step of indentation; `None` where everything is on one line.
    lines: Option<(&'static str, String)>,
    colon: String,
    /// Behind a comma on one line.
    gap: &'static str,
}

impl Layout {
    fn of(text: &str, root: Mapping<'_>) -> Self {
        let mut entries = root.entries();
        let Some(first) = entries.next() else {
            return Self { lines: None, colon: ": ".to_owned(), gap: " " };
        };
        let colon = text[first.key_node.span().end..first.value.span().start].to_owned();
        let gap = match entries.next() {
            Some(next) if text[..next.key_node.span().start].ends_with(',') => "",
            None if colon == ":" => "",
            _ => " ",
        };
        let lines = indent(text, root, first).map(|indent| (newline(text), indent.to_owned()));
        Self { lines, colon, gap }
    }

    fn write(&self, out: &mut String, item: &Item, indent: &str) {
        match item {
            Item::Scalar(text) => out.push_str(text),
            Item::Object(entries) => {
                self.collection(out, ('{', '}'), entries, indent, |out, entry, below| {
                    self.entry(out, entry, below);
                });
            }
            Item::Array(items) => self.collection(out, ('[', ']'), items, indent, |out, item, below| {
                self.write(out, item, below);
            }),
        }
    }

    fn entry(&self, out: &mut String, (key, item): &(String, Item), indent: &str) {
        out.push_str(&quoted(key));
        out.push_str(&self.colon);
        self.write(out, item, indent);
    }

    fn collection<T>(
        &self,
        out: &mut String,
        (open, close): (char, char),
        items: &[T],
        indent: &str,
        write: impl Fn(&mut String, &T, &str),
    ) {
        out.push(open);
        let step = self.lines.as_ref().map_or("", |(_, step)| step);
        let below = format!("{indent}{step}");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.separate(out, &below, index > 0);
            write(out, item, &below);
        }
        if !items.is_empty() {
            self.separate(out, indent, false);
        }
        out.push(close);
    }

    /// What stands before an item, or before a closing bracket.
    fn separate(&self, out: &mut String, indent: &str, gap: bool) {
        match &self.lines {
            Some((newline, _)) => {
                out.push_str(newline);
                out.push_str(indent);
            }
            None if gap => out.push_str(self.gap),
            None => {}
        }
    }
}

/// The indentation of the keys of a mapping; `None` where they do not start lines.
fn indent<'t>(text: &'t str, mapping: Mapping<'_>, first: Entry<'_>) -> Option<&'t str> {
    let before = &text[mapping.node().span().start + 1..first.key_node.span().start];
    before.rsplit_once('\n').map(|(_, indent)| indent)
}

/// The blanks at the start of the line on which `at` is.
fn line_indent(text: &str, at: usize) -> &str {
    let line = &text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..at];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Inserts new keys behind the last key of `mapping`.
pub(super) fn insert(edits: &mut Edits, document: &Document, mapping: Mapping<'_>, new: &[(String, Growth)]) {
    let Some(root) = document.root() else { return };
    let layout = Layout::of(document.text(), root);
    let items: Vec<_> = new.iter().map(|(key, growth)| (key.clone(), Item::of(growth))).collect();
    insert_items(edits, document.text(), &layout, mapping, items);
}

fn insert_items(
    edits: &mut Edits,
    text: &str,
    layout: &Layout,
    mapping: Mapping<'_>,
    items: Vec<(String, Item)>,
) {
    let span = mapping.node().span();
    let Some(first) = mapping.entries().next() else {
        let mut object = String::new();
        layout.write(&mut object, &Item::Object(items), line_indent(text, span.start));
        edits.replace(span, object);
        return;
    };
    // A mapping that is on one line stays on one line.
    let own = indent(text, mapping, first);
    let lines = own.and_then(|_| layout.lines.clone());
    let layout = Layout { lines, colon: layout.colon.clone(), gap: layout.gap };
    let indent = own.unwrap_or_default();
    let last = own_entries(mapping).next_back();
    let mut out = String::new();
    for item in &items {
        if last.is_some() {
            out.push(',');
        }
        layout.separate(&mut out, indent, last.is_some());
        layout.entry(&mut out, item, indent);
        if last.is_none() {
            out.push(',');
            out.push_str(if layout.lines.is_none() { layout.gap } else { "" });
        }
    }
    let at = last.map_or(span.start + 1, |last| last.value.span().end);
    edits.replace(at..at, out);
}

/// `body` with the `sops` object as its last key, in its own layout.
pub(super) fn with_block(tree: &Tree, block: &NewBlock<'_>) -> Option<Edits> {
    let Kind::Mapping(root) = tree.root()?.kind() else { return None };
    let mut edits = Edits::default();
    let items = vec![(super::document::METADATA.to_owned(), item(&readers::Item::Map(block.fields())))];
    insert_items(&mut edits, tree.text(), &Layout::of(tree.text(), root), root, items);
    Some(edits)
}

/// Puts fields before an entry of a mapping, in the layout of the document.
pub(super) fn insert_before(edits: &mut Edits, document: &Document, entry: Entry<'_>, fields: &[Field]) {
    let Some(mapping) = entry.value.parent().and_then(Node::as_mapping) else { return };
    let (Some(root), Some(first)) = (document.root(), mapping.entries().next()) else { return };
    let text = document.text();
    let layout = Layout::of(text, root);
    let own = indent(text, mapping, first);
    let layout = Layout { lines: own.and(layout.lines), ..layout };
    let indent = own.unwrap_or_default();
    let mut out = String::new();
    for (name, value) in fields {
        layout.entry(&mut out, &(name.clone(), item(value)), indent);
        out.push(',');
        layout.separate(&mut out, indent, true);
    }
    let at = entry.key_node.full_span().start;
    edits.replace(at..at, out);
}

/// A field's value on one line, as JSON, which is YAML too.
pub(super) fn on_one_line(value: &readers::Item) -> String {
    let layout = Layout { lines: None, colon: ": ".to_owned(), gap: " " };
    let mut out = String::new();
    layout.write(&mut out, &item(value), "");
    out
}

fn item(field: &readers::Item) -> Item {
    match field {
        readers::Item::Text(text) => Item::text(text),
        readers::Item::Bare(text) => Item::Scalar(text.clone()),
        readers::Item::List(items) => Item::Array(items.iter().map(item).collect()),
        readers::Item::Map(fields) => {
            Item::Object(fields.iter().map(|(name, value)| (name.clone(), item(value))).collect())
        }
    }
}
