//! Metadata in the formats that have no nesting: `age__list_0__map_enc` stands for `age[0].enc` (stores/flatten.go).
//! The flat keys become nodes of a nested mapping, so that what reads the block of a YAML file reads this one too.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::yaml::build::Builder;
use crate::yaml::{Error, Id, MAX_DEPTH, Position, Style};

use super::document::METADATA;
use super::readers::{self, Item};

/// Before the key of a mapping.
pub(super) const MAP: &str = "__map_";
/// Before the number of an item.
pub(super) const LIST: &str = "__list_";

/// One line of metadata.
pub(super) struct Field {
    /// The key without a prefix.
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: String,
    pub(super) value_span: Range<usize>,
}

/// What the keys make together; a leaf is the index of its field.
enum Shape {
    Leaf(usize),
    Map(Entries),
    List(BTreeMap<usize, Shape>),
}

/// In the order of the file.
#[derive(Default)]
struct Entries {
    listed: Vec<(String, Shape)>,
    /// Where each stands in the list.
    places: HashMap<String, usize>,
}

enum Step<'k> {
    Key(&'k str),
    Index(usize),
}

fn steps(key: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut is_index = false;
    let mut rest = key;
    loop {
        let end = [MAP, LIST].iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(rest.len());
        let part = &rest[..end];
        steps.push(if is_index { Step::Index(part.parse().ok()?) } else { Step::Key(part) });
        rest = &rest[end..];
        if rest.is_empty() {
            return Some(steps);
        }
        is_index = rest.starts_with(LIST);
        rest = &rest[if is_index { LIST.len() } else { MAP.len() }..];
    }
}

/// Puts the leaf where the steps lead; `None` where something else is already.
fn put(shape: &mut Shape, steps: &[Step<'_>], leaf: usize) -> Option<()> {
    let (step, rest) = steps.split_first()?;
    let new = || match rest.first() {
        None => Shape::Leaf(leaf),
        Some(Step::Key(_)) => Shape::Map(Entries::default()),
        Some(Step::Index(_)) => Shape::List(BTreeMap::new()),
    };
    let (below, is_new) = match (shape, step) {
        (Shape::Map(entries), Step::Key(key)) => {
            let known = entries.places.get(*key).copied();
            let index = known.unwrap_or_else(|| {
                entries.listed.push(((*key).to_owned(), new()));
                entries.places.insert((*key).to_owned(), entries.listed.len() - 1);
                entries.listed.len() - 1
            });
            (&mut entries.listed[index].1, known.is_none())
        }
        (Shape::List(items), Step::Index(index)) => {
            let is_new = !items.contains_key(index);
            (items.entry(*index).or_insert_with(new), is_new)
        }
        _ => return None,
    };
    if rest.is_empty() { is_new.then_some(()) } else { put(below, rest, leaf) }
}

/// Adds the fields to `root` as the mapping `sops`, which stands at `at`.
///
/// # Errors
/// Fields that contradict each other, or that are nested too deep.
pub(super) fn attach(
    builder: &mut Builder<'_>,
    text: &str,
    root: Id,
    fields: &[Field],
    at: &Range<usize>,
) -> Result<(), Error> {
    let mut shape = Shape::Map(Entries::default());
    for (index, field) in fields.iter().enumerate() {
        let position = || Position::of(text, field.key_span.start);
        let error = |message: &str| Error::Syntax { position: position(), message: message.to_owned() };
        let steps = steps(&field.key).ok_or_else(|| error("the number of a list's element is none"))?;
        if steps.len() >= MAX_DEPTH {
            return Err(Error::TooDeep { position: position() });
        }
        put(&mut shape, &steps, index)
            .ok_or_else(|| error("another line of the metadata says something else about this key"))?;
    }
    let key = builder.scalar(at.clone(), METADATA, Style::Double);
    let block = add(builder, fields, &shape, at)?;
    builder.entry(root, key, block)
}

fn add(builder: &mut Builder<'_>, fields: &[Field], shape: &Shape, at: &Range<usize>) -> Result<Id, Error> {
    match shape {
        Shape::Leaf(index) => {
            let field = &fields[*index];
            Ok(builder.scalar(field.value_span.clone(), &field.value, Style::Plain))
        }
        Shape::Map(entries) => {
            let id = builder.mapping(at.clone(), false);
            for (name, below) in &entries.listed {
                let at = place(fields, below).unwrap_or(at);
                let key = builder.scalar(at.clone(), name, Style::Double);
                let value = add(builder, fields, below, at)?;
                builder.entry(id, key, value)?;
            }
            Ok(id)
        }
        Shape::List(items) => {
            let id = builder.sequence(at.clone(), false);
            for below in items.values() {
                let at = place(fields, below).unwrap_or(at);
                let item = add(builder, fields, below, at)?;
                builder.item(id, item);
            }
            Ok(id)
        }
    }
}

/// The key of the first field below a shape.
fn place<'f>(fields: &'f [Field], shape: &Shape) -> Option<&'f Range<usize>> {
    match shape {
        Shape::Leaf(index) => fields.get(*index).map(|field| &field.key_span),
        Shape::Map(entries) => entries.listed.first().and_then(|(_, below)| place(fields, below)),
        Shape::List(items) => items.values().next().and_then(|below| place(fields, below)),
    }
}

/// The line breaks of a value, which a line cannot hold. A backslash has no escape of its own.
pub(super) fn encoded(value: &str) -> String {
    value.replace('\n', "\\n")
}

/// What [`encoded`] makes, read back. Some versions of sops escape the line breaks of `enc` twice.
pub(super) fn decoded(key: &str, value: &str) -> String {
    if key.ends_with("enc") {
        value.replace("\\\\n", "\n").replace("\\n", "\n")
    } else {
        value.replace("\\n", "\n")
    }
}

/// Keys and values of fields, without line breaks, sorted by key as sops writes them for dotenv.
pub(super) fn lines(fields: &[readers::Field]) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (name, item) in fields {
        flatten(&mut lines, name.clone(), item);
    }
    lines.sort();
    lines
}

fn flatten(lines: &mut Vec<(String, String)>, key: String, item: &Item) {
    match item {
        Item::Text(text) | Item::Bare(text) => lines.push((key, encoded(text))),
        Item::Map(fields) => {
            fields.iter().for_each(|(name, item)| flatten(lines, format!("{key}{MAP}{name}"), item));
        }
        Item::List(items) => {
            items.iter().enumerate().for_each(|(at, item)| flatten(lines, format!("{key}{LIST}{at}"), item));
        }
    }
}
