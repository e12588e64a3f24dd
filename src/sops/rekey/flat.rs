//! The metadata of the formats without nesting, edited line by line: `age__list_0__map_enc` stands for `age[0].enc`
//! (stores/flatten.go). Lists are numbered without gaps, so entries behind one that goes get new numbers.

use crate::yaml::{Mapping, Node, Sequence};

use super::super::change::Stored;
use super::super::document::Document;
use super::super::edit::Edits;
use super::super::format::Format;
use super::super::keys::Recipient;
use super::super::metadata::{MAC_ONLY_ENCRYPTED, OTHER_KEYS};
use super::super::render::Place;
use super::super::selection::{FIELDS, Selection};
use super::super::splice::{line_start, next_line};
use super::super::{dotenv, flat};
use super::block::{AGE, Seen, native, other};
use super::{RekeyError, RekeyPlan};

/// One line of metadata: its key with the prefix of the format, and its value.
#[derive(Clone, Copy)]
struct Line<'t> {
    key: &'t str,
    value: Node<'t>,
    key_node: Node<'t>,
}

impl Line<'_> {
    /// What stands between a key of this length and its value, so that the delimiters of the two lines are in one column.
    fn delimiter(&self, text: &str, length: usize) -> String {
        let between = &text[self.key_node.span().end..self.value.span().start];
        let delimiter = between.trim_start_matches(' ');
        let blanks = between.len() - delimiter.len();
        let column = self.key.len() + blanks;
        format!("{}{delimiter}", " ".repeat(column.saturating_sub(length).max(blanks.min(1))))
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

    fn prefix(&self) -> &'static str {
        if self.document.format() == Format::Dotenv { dotenv::PREFIX } else { "" }
    }

    /// Takes out who goes, and puts `wrapped` in.
    pub(super) fn edit_readers(
        &self,
        edits: &mut Edits,
        wrapped: &[(Recipient, String)],
        plan: &RekeyPlan,
    ) -> Result<(), RekeyError> {
        for kind in OTHER_KEYS {
            let Some(list) = self.mapping.get(kind).and_then(Node::as_sequence) else { continue };
            let goes = |item| other(kind, item).is_some_and(|reader| plan.removed_others.contains(&reader));
            self.keep(edits, kind, list, goes)?;
        }
        let list = self.mapping.get(AGE).and_then(Node::as_sequence);
        let list = list.ok_or(RekeyError::Layout { position: self.mapping.node().position() })?;
        let mut seen = Seen::new(plan);
        let kept = self.keep(edits, AGE, list, |item| seen.goes(item))?;
        for item in &kept {
            let new = native(*item).and_then(|one| wrapped.iter().find(|(known, _)| *known == one));
            if let Some((_, enc)) = new {
                let node = item.get("enc").ok_or(RekeyError::Layout { position: item.position() })?;
                edits.replace(node.span(), flat::encoded(enc));
            }
        }
        let model = list.items().next_back();
        let model = model.ok_or(RekeyError::Layout { position: list.node().position() })?;
        let new = wrapped.iter().filter(|(recipient, _)| !seen.knows(recipient));
        for (number, (recipient, enc)) in new.enumerate() {
            let number = kept.len() + number;
            for (field, value) in [("enc", flat::encoded(enc)), ("recipient", recipient.to_string())] {
                let node = model.get(field).ok_or(RekeyError::Layout { position: model.position() })?;
                let key = format!("{AGE}{}{number}{}{field}", flat::LIST, flat::MAP);
                self.insert(edits, &key, &value, Some(node));
            }
        }
        Ok(())
    }

    /// Takes out the items that go, gives the others their numbers, and returns them.
    fn keep(
        &self,
        edits: &mut Edits,
        kind: &str,
        list: Sequence<'t>,
        mut goes: impl FnMut(Node<'t>) -> bool,
    ) -> Result<Vec<Node<'t>>, RekeyError> {
        let text = self.document.text();
        let mut kept = Vec::new();
        for item in list.items() {
            let mut lines = Vec::new();
            collect(text, item, &mut lines);
            if goes(item) {
                for line in lines {
                    let (start, end) = (line.key_node.span().start, line.value.span().end);
                    edits.replace(line_start(text, start)..next_line(text, end), "");
                }
                continue;
            }
            for line in lines {
                let (number, range) = number(line.key, self.prefix(), kind)
                    .ok_or(RekeyError::Layout { position: item.position() })?;
                if number != kept.len() {
                    let start = line.key_node.span().start;
                    edits.replace(start + range.start..start + range.end, kept.len().to_string());
                }
            }
            kept.push(item);
        }
        Ok(kept)
    }

    /// A new line where sops would sort it, or behind the one that it is `like` (else behind the last) where the lines
    /// are in no order, as in INI files of stock sops.
    fn insert(&self, edits: &mut Edits, key: &str, value: &str, like: Option<Node<'t>>) {
        let text = self.document.text();
        let key = format!("{}{key}", self.prefix());
        let mut lines = Vec::new();
        collect(text, self.mapping.node(), &mut lines);
        lines.sort_by_key(|line| line.key_node.span().start);
        let Some(last) = lines.last() else { return };
        let model = like.and_then(|node| lines.iter().find(|line| line.value == node)).unwrap_or(last);
        let end = if text.contains("\r\n") && self.document.format() == Format::Ini { "\r\n" } else { "\n" };
        let mut line = format!("{key}{}{value}{end}", model.delimiter(text, key.len()));
        let next = lines.iter().find(|line| line.key > key.as_str());
        let at = match next.filter(|_| lines.is_sorted_by_key(|line| line.key)) {
            Some(next) => line_start(text, next.key_node.span().start),
            None => next_line(text, model.value.span().end),
        };
        if !text[..at].ends_with('\n') {
            line.insert_str(0, end);
            line.truncate(line.len() - end.len());
        }
        edits.replace(at..at, line);
    }

    pub(super) fn set_selection(&self, edits: &mut Edits, selection: &Selection) {
        let (field, value) = selection.field();
        let text = self.document.format().rendered(&Stored::Clear(value.to_owned()), Place::BLOCK);
        let current = self.mapping.entries().find(|entry| {
            FIELDS.contains(&entry.key) && entry.value.as_str().is_some_and(|text| !text.is_empty())
        });
        if let Some(current) = current {
            let (start, end) = (current.key_node.span().start, current.value.span().end);
            let source = self.document.text();
            if current.key == field {
                edits.replace(current.value.span(), text);
                return;
            }
            edits.replace(line_start(source, start)..next_line(source, end), "");
        }
        self.insert(edits, field, &text, None);
    }

    pub(super) fn set_mac_scope(&self, edits: &mut Edits, only_encrypted: bool) {
        match self.mapping.entry(MAC_ONLY_ENCRYPTED) {
            Some(entry) => edits.replace(entry.value.span(), only_encrypted.to_string()),
            None => self.insert(edits, MAC_ONLY_ENCRYPTED, &only_encrypted.to_string(), None),
        }
    }
}

/// The lines below a node of the metadata.
fn collect<'t>(text: &'t str, node: Node<'t>, lines: &mut Vec<Line<'t>>) {
    let below: Vec<(Option<Node<'t>>, Node<'t>)> = match (node.as_mapping(), node.as_sequence()) {
        (Some(mapping), _) => mapping.entries().map(|entry| (Some(entry.key_node), entry.value)).collect(),
        (_, Some(list)) => list.items().map(|item| (None, item)).collect(),
        _ => Vec::new(),
    };
    for (key_node, value) in below {
        match key_node.filter(|_| value.as_str().is_some()) {
            Some(key_node) => lines.push(Line { key: &text[key_node.span()], value, key_node }),
            None => collect(text, value, lines),
        }
    }
}

/// The number of an item of the list `kind` in a flat key, and where in the key it stands.
fn number(key: &str, prefix: &str, kind: &str) -> Option<(usize, std::ops::Range<usize>)> {
    let rest = key.strip_prefix(prefix)?.strip_prefix(kind)?.strip_prefix(flat::LIST)?;
    let start = key.len() - rest.len();
    let length = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
    Some((rest[..length].parse().ok()?, start..start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_item_is_found_in_its_key() {
        assert_eq!(number("sops_age__list_12__map_enc", "sops_", "age"), Some((12, 15..17)));
        assert_eq!(number("age__list_0__map_enc", "", "age"), Some((0, 10..11)));
        assert_eq!(number("pgp__list_0__map_fp", "", "age"), None);
        assert_eq!(number("age__list_x", "", "age"), None);
    }
}
