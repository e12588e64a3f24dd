//! Values as JSON, with the types that they have in the file.

use std::collections::BTreeMap;
use std::ops::Range;

use zeroize::Zeroizing;

use super::super::document::{Document, METADATA};
use super::super::open::{OpenError, Opened};
use super::super::path::{Path, Segment};
use super::super::value::{PlainRef, Type, ValueError};
use super::{Bytes, RevealError};
use crate::secret::Secret;
use crate::yaml::{Id, Kind, Node, Sequence};

impl Opened {
    /// What stands at `path` in the first document as JSON, indented, without a newline at its end. The empty path is the
    /// whole file, and an array where that has several documents. Comments are left out; NaN and infinities, which JSON does not have, become texts. Changes that wait are not seen.
    ///
    /// # Errors
    /// There is nothing at `path` ([`RevealError::Layout`]), or a value is not text.
    pub fn json(&self, path: &Path) -> Result<Secret, RevealError> {
        let document = &self.file.document;
        let leaf = document.paths().position(|leaf| leaf.starts_with(path)).unwrap_or_default();
        let mut writer = Writer { opened: self, path: path.clone(), leaf, out: room(self) };
        if path.0.is_empty() && document.tree().documents().len() > 1 {
            writer.documents(document.tree().documents().map(|document| document.root()))?;
        } else {
            let root = document.root().ok_or(RevealError::Layout)?;
            let node = path.0.iter().try_fold(root.node(), |node, segment| step(node, segment));
            writer.node(node.ok_or(RevealError::Layout)?, 0)?;
        }
        let text = str::from_utf8(&writer.out).map_err(|_| RevealError::Layout)?;
        Ok(Secret::new(text.to_owned()))
    }
}

/// Mostly enough not to grow, which would leave copies behind.
fn room(opened: &Opened) -> Bytes {
    Zeroizing::new(Vec::with_capacity(2 * opened.file.text().len()))
}

fn step<'t>(node: Node<'t>, segment: &Segment) -> Option<Node<'t>> {
    match (node.resolve().kind(), segment) {
        (Kind::Mapping(mapping), Segment::Key(key)) => mapping.get(key),
        (Kind::Sequence(list), Segment::Index(index)) => list.items().nth(*index),
        _ => None,
    }
}

/// What takes the comments out of the lists, each with the comma that parts it from its neighbour.
pub(super) fn without_comments(document: &Document) -> Vec<Range<usize>> {
    let comments = document.leaves().map(|(_, node)| node).filter(|node| is_comment(*node));
    let lists: BTreeMap<Id, Node<'_>> =
        comments.filter_map(Node::parent).map(|list| (list.id(), list)).collect();
    lists.into_values().filter_map(Node::as_sequence).flat_map(without_comments_of).collect()
}

fn without_comments_of(list: Sequence<'_>) -> Vec<Range<usize>> {
    let items: Vec<Node<'_>> = list.items().collect();
    let last = items.iter().rposition(|item| !is_comment(*item));
    let range = |at: usize| {
        let span = items[at].span();
        match (items.get(at + 1), at.checked_sub(1)) {
            // Up to what stays behind it.
            (Some(next), _) if last.is_some_and(|last| at < last) => span.start..next.span().start,
            (_, Some(before)) => items[before].span().end..span.end,
            (_, None) => span,
        }
    };
    (0..items.len()).filter(|at| is_comment(items[*at])).map(range).collect()
}

/// Stock sops keeps a comment in a list as an element.
fn is_comment(item: Node<'_>) -> bool {
    item.as_str().is_some_and(|text| super::form(text) == super::Form::Encrypted("comment"))
}

struct Writer<'a> {
    opened: &'a Opened,
    path: Path,
    /// The number of the next leaf.
    leaf: usize,
    out: Bytes,
}

impl Writer<'_> {
    /// An array of all documents; one that is empty is null.
    fn documents<'t>(&mut self, roots: impl Iterator<Item = Option<Node<'t>>>) -> Result<(), RevealError> {
        self.out.push(b'[');
        let mut first = true;
        for root in roots {
            self.item(&mut first, 0);
            match root.filter(|root| root.as_mapping().is_some()) {
                Some(root) => self.node(root, 1)?,
                None => self.out.extend_from_slice(b"null"),
            }
        }
        self.close(b']', first, 0);
        Ok(())
    }

    /// The depth is bounded by the tree's.
    fn node(&mut self, node: Node<'_>, depth: usize) -> Result<(), RevealError> {
        match node.resolve().kind() {
            Kind::Mapping(mapping) => {
                let is_root = self.path.0.is_empty();
                let own = mapping.entries().filter(|entry| !(is_root && entry.key == METADATA));
                self.out.push(b'{');
                let mut first = true;
                for entry in own {
                    self.item(&mut first, depth);
                    self.text(entry.key);
                    self.out.extend_from_slice(b": ");
                    self.below(Segment::Key(entry.key.to_owned()), entry.value, depth)?;
                }
                self.close(b'}', first, depth);
            }
            Kind::Sequence(list) => {
                self.out.push(b'[');
                let mut first = true;
                for (index, item) in list.items().enumerate() {
                    if is_comment(item) {
                        self.leaf += 1;
                        continue;
                    }
                    self.item(&mut first, depth);
                    self.below(Segment::Index(index), item, depth)?;
                }
                self.close(b']', first, depth);
            }
            Kind::Scalar(..) | Kind::Alias(_) => {
                let node = node.resolve();
                let value = self.opened.values.get(self.leaf);
                self.leaf += 1;
                self.value(node, value)?;
            }
        }
        Ok(())
    }

    fn below(&mut self, segment: Segment, node: Node<'_>, depth: usize) -> Result<(), RevealError> {
        self.path.0.push(segment);
        self.node(node, depth + 1)?;
        self.path.0.pop();
        Ok(())
    }

    fn value(&mut self, node: Node<'_>, plain: Option<PlainRef<'_>>) -> Result<(), RevealError> {
        let Some(plain) = plain else {
            self.out.extend_from_slice(b"null");
            return Ok(());
        };
        let text = str::from_utf8(plain.bytes).map_err(|_| OpenError::Value {
            position: node.position(),
            path: self.path.clone(),
            reason: ValueError::NotText,
        })?;
        match plain.kind {
            Type::Bool => self.out.extend(text.bytes().map(|byte| byte.to_ascii_lowercase())),
            Type::Int => self.out.extend_from_slice(plain.bytes),
            Type::Float if text.ends_with(|char: char| char.is_ascii_digit()) => {
                self.out.extend_from_slice(plain.bytes);
            }
            _ => self.text(text),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        // Writing a text into memory does not fail.
        let _ = serde_json::to_writer(&mut *self.out, text);
    }

    fn item(&mut self, first: &mut bool, depth: usize) {
        if !std::mem::take(first) {
            self.out.push(b',');
        }
        self.line(depth + 1);
    }

    fn close(&mut self, bracket: u8, empty: bool, depth: usize) {
        if !empty {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        self.out.push(b'\n');
        self.out.extend(std::iter::repeat_n(b' ', 2 * depth));
    }
}
