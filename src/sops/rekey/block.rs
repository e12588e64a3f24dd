//! The `sops` block of a YAML or JSON file, edited by span: lists of readers, the selection rule, the scope of the MAC.

use crate::yaml::{Entry, Kind, Mapping, Node, Sequence, Style};

use super::super::change::{Growth, Stored};
use super::super::document::Document;
use super::super::edit::Edits;
use super::super::format::Format;
use super::super::json;
use super::super::metadata::{MAC_ONLY_ENCRYPTED, yaml_fields};
use super::super::readers::{Field, GROUPS, Group, Item, Readers, THRESHOLD, lists};
use super::super::render::Place;
use super::super::selection::{FIELDS, Selection};
use super::super::splice;
use super::list::{self, line_break, line_start};
use super::{RekeyError, Step};

pub(super) struct Block<'t> {
    document: &'t Document,
    mapping: Mapping<'t>,
}

impl<'t> Block<'t> {
    pub(super) fn new(document: &'t Document, mapping: Mapping<'t>) -> Self {
        Self { document, mapping }
    }

    /// Goes one step towards a block that has these readers. Entries that are the same keep their bytes.
    pub(super) fn edit_readers(&self, edits: &mut Edits, readers: &Readers) -> Result<Step, RekeyError> {
        let is_flat = lists().any(|kind| items(self.mapping, kind).is_some());
        let holders: Vec<Mapping<'t>> = if is_flat {
            vec![self.mapping]
        } else {
            let groups = items(self.mapping, GROUPS).into_iter().flat_map(Sequence::items);
            groups.filter_map(Node::as_mapping).collect()
        };
        let same = is_flat == (readers.groups.len() == 1) && holders.len() == readers.groups.len();
        let pairs = || holders.iter().copied().zip(&readers.groups);
        if !same || !is_flat && pairs().any(|(holder, group)| !has_lists_of(holder, group)) {
            return self.replace_readers(edits, readers);
        }
        if let (true, Some(group)) = (is_flat, readers.groups.first())
            && let Some(step) = self.add_or_remove_a_list(edits, group)?
        {
            return Ok(step);
        }
        for (holder, group) in pairs() {
            for kind in lists() {
                if let Some(list) = items(holder, kind) {
                    list::edit(edits, self.document, kind, list, group)?;
                }
            }
        }
        self.set_threshold(edits, readers)?;
        Ok(Step::Done)
    }

    /// Lists that come go before `lastmodified`; one that goes takes its key with it.
    fn add_or_remove_a_list(&self, edits: &mut Edits, group: &Group) -> Result<Option<Step>, RekeyError> {
        let fields = group.fields();
        let new = fields.iter().find(|(kind, _)| items(self.mapping, kind).is_none());
        if let Some(field) = new {
            return match self.mapping.entry(&field.0) {
                Some(empty) => self.remove(edits, empty),
                None => self.insert(edits, "lastmodified", std::slice::from_ref(field)),
            }
            .map(Some);
        }
        let gone = lists().filter(|kind| items(self.mapping, kind).is_some());
        let gone = gone.into_iter().find(|kind| !fields.iter().any(|(name, _)| name == kind));
        gone.and_then(|kind| self.mapping.entry(kind)).map(|entry| self.remove(edits, entry)).transpose()
    }

    /// Takes all lists out, one after the other, and then puts in new ones.
    fn replace_readers(&self, edits: &mut Edits, readers: &Readers) -> Result<Step, RekeyError> {
        let all = lists().chain([GROUPS, THRESHOLD]);
        match all.into_iter().find_map(|name| self.mapping.entry(name)) {
            Some(entry) => self.remove(edits, entry),
            None => self.insert(edits, "lastmodified", &readers.fields().concat()),
        }
    }

    fn remove(&self, edits: &mut Edits, entry: Entry<'t>) -> Result<Step, RekeyError> {
        let layout = RekeyError::Layout { position: entry.key_node.position() };
        let (range, rest) = splice::removal(self.document, entry.value).ok_or(layout)?;
        edits.replace(range, rest);
        Ok(Step::More)
    }

    fn insert(&self, edits: &mut Edits, before: &str, fields: &[Field]) -> Result<Step, RekeyError> {
        let layout = || RekeyError::Layout { position: self.mapping.node().position() };
        let next = self.mapping.entry(before).ok_or_else(layout)?;
        if self.document.format() != Format::Yaml {
            json::insert_before(edits, self.document, next, fields);
            return Ok(Step::More);
        }
        let text = self.document.text();
        let at = next.key_node.full_span().start;
        if self.mapping.is_flow() {
            let fields = fields.iter().map(|(name, item)| format!("{name}: {}, ", json::on_one_line(item)));
            edits.replace(at..at, fields.collect::<String>());
            return Ok(Step::More);
        }
        let start = line_start(text, at);
        if !text[start..at].bytes().all(|byte| byte == b' ') {
            return Err(layout());
        }
        let mut lines = String::new();
        yaml_fields(&mut lines, fields, at - start, line_break(text));
        edits.replace(start..start, lines);
        Ok(Step::More)
    }

    fn set_threshold(&self, edits: &mut Edits, readers: &Readers) -> Result<(), RekeyError> {
        let wanted = readers.threshold.to_string();
        match self.mapping.entry(THRESHOLD) {
            _ if readers.groups.len() == 1 => {}
            Some(entry) if entry.value.as_str() == Some(&wanted) => {}
            Some(entry) => edits.replace(entry.value.full_span(), wanted),
            // Without it, it takes all groups.
            None if readers.threshold == readers.groups.len() => {}
            None => drop(self.insert(edits, GROUPS, &[(THRESHOLD.to_owned(), Item::Bare(wanted))])?),
        }
        Ok(())
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

    pub(super) fn set_mac_scope(&self, edits: &mut Edits, only_encrypted: bool) -> Result<(), RekeyError> {
        let value = only_encrypted.to_string();
        match self.mapping.entry(MAC_ONLY_ENCRYPTED) {
            Some(entry) => edits.replace(entry.value.full_span(), value),
            None => {
                self.insert(edits, "version", &[(MAC_ONLY_ENCRYPTED.to_owned(), Item::Bare(value))])?;
            }
        }
        Ok(())
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

/// The items of a list that has some.
fn items<'t>(holder: Mapping<'t>, name: &str) -> Option<Sequence<'t>> {
    holder.get(name).and_then(Node::as_sequence).filter(|list| list.items().len() > 0)
}

fn has_lists_of(holder: Mapping<'_>, group: &Group) -> bool {
    lists().all(|kind| items(holder, kind).is_some() == group.of_list(kind).next().is_some())
}
