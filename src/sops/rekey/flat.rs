//! The metadata of the formats without nesting, edited line by line: `age__list_0__map_enc` stands for `age[0].enc`
//! (stores/flatten.go). Lists are numbered without gaps, so entries behind one that goes get new numbers.

use std::collections::BTreeMap;

use crate::yaml::{Mapping, Node};

use super::super::change::Stored;
use super::super::document::Document;
use super::super::edit::Edits;
use super::super::format::Format;
use super::super::metadata::MAC_ONLY_ENCRYPTED;
use super::super::readers::{GROUPS, Readers, THRESHOLD, lists};
use super::super::render::Place;
use super::super::selection::{FIELDS, Selection};
use super::super::splice::{line_start, next_line};
use super::super::{dotenv, flat};

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
        // In dotenv a blank would belong to the key.
        if blanks == 0 {
            return delimiter.to_owned();
        }
        let column = self.key.len() + blanks;
        format!("{}{delimiter}", " ".repeat(column.saturating_sub(length).max(1)))
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

    fn rendered(&self, value: &str, place: Place<'_>) -> String {
        self.document.format().rendered(&Stored::Clear(value.to_owned()), place)
    }

    /// Lets the lines of readers say this: lines that say it already stay, others get their value, go, or are added.
    pub(super) fn edit_readers(&self, edits: &mut Edits, readers: &Readers) {
        let text = self.document.text();
        let mut wanted: BTreeMap<String, String> =
            flat::lines(&readers.fields().concat()).into_iter().collect();
        let mut lines = Vec::new();
        collect(text, self.mapping.node(), &mut lines);
        let own = |line: &Line<'t>| line.key.strip_prefix(self.prefix()).filter(|key| is_of_readers(key));
        let mut models = Vec::new();
        for line in &lines {
            let Some(key) = own(line) else { continue };
            match wanted.remove(key) {
                Some(value) => {
                    if line.value.as_str() != Some(&flat::decoded(key, &value)) {
                        edits.replace(line.value.span(), self.rendered(&value, Place::of(line.value)));
                    }
                    models.push(*line);
                }
                None if is_unknown(key, readers) => {}
                None => {
                    let (start, end) = (line.key_node.span().start, line.value.span().end);
                    edits.replace(line_start(text, start)..next_line(text, end), "");
                }
            }
        }
        for (key, value) in wanted {
            let field = |key: &str| key.rsplit(flat::MAP).next().map(str::to_owned);
            let model = models.iter().rev().find(|line| field(line.key) == field(&key));
            let value = self.rendered(&value, Place::BLOCK);
            self.insert(edits, &key, &value, model.map(|line| line.value));
        }
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
        let current = self.mapping.entries().find(|entry| {
            FIELDS.contains(&entry.key) && entry.value.as_str().is_some_and(|text| !text.is_empty())
        });
        if let Some(current) = current {
            let (start, end) = (current.key_node.span().start, current.value.span().end);
            let source = self.document.text();
            if current.key == field {
                edits.replace(current.value.span(), self.rendered(value, Place::of(current.value)));
                return;
            }
            edits.replace(line_start(source, start)..next_line(source, end), "");
        }
        self.insert(edits, field, &self.rendered(value, Place::BLOCK), None);
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

/// Whether a flat key belongs to a list of readers.
fn is_of_readers(key: &str) -> bool {
    key == THRESHOLD
        || lists()
            .chain([GROUPS])
            .any(|list| key.strip_prefix(list).is_some_and(|rest| rest.starts_with(flat::LIST)))
}

/// Whether a field of an entry that stays is one that we do not know; it is not ours to remove.
fn is_unknown(key: &str, readers: &Readers) -> bool {
    const KNOWN: [&str; 17] = [
        "arn",
        "aws_profile",
        "context",
        "created_at",
        "enc",
        "engine_path",
        "fp",
        "key_id",
        "key_name",
        "name",
        "recipient",
        "resource_id",
        "role",
        "vault_address",
        "vault_url",
        "version",
        THRESHOLD,
    ];
    let Some((entry, field)) = key.rsplit_once(flat::MAP) else { return false };
    let stays = flat::lines(&readers.fields().concat())
        .iter()
        .any(|(known, _)| known.strip_prefix(entry).is_some_and(|rest| rest.starts_with(flat::MAP)));
    stays && !KNOWN.contains(&field) && !entry.ends_with("context")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_readers_are_told_from_others() {
        for key in
            ["age__list_0__map_enc", "pgp__list_12__map_fp", "key_groups__list_0__map_age__list_0__map_enc"]
        {
            assert!(is_of_readers(key), "{key}");
        }
        for key in ["mac", "lastmodified", "ages__list_0", "age", "unencrypted_suffix"] {
            assert!(!is_of_readers(key), "{key}");
        }
    }
}
