//! What a rule selects in a document: which leaves are encrypted, and which comments. Paths decide, or the comments that
//! stand before a leaf, before what it is in, and so on up to the top; a comment is spent at the next item that is none
//! (sops.go, `walkBranch`, `walkSlice`, `shouldBeEncrypted`).

use std::collections::HashMap;

use crate::yaml::{Id, Kind, Node};

use super::comments::{Remark, remarks};
use super::document::{Document, METADATA};
use super::format::Format;
use super::path::{LeafPath, Path};
use super::re2::Pattern;
use super::selection::Selection;

/// What is encrypted in one document under one rule.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// For each leaf, in the order of the document.
    leaves: Vec<bool>,
    /// For each remark.
    remarks: Vec<bool>,
    /// For each collection: whether a new leaf behind its last one would be.
    ends: HashMap<Id, bool>,
}

impl Marks {
    /// The marks of a document whose comments are as they stand in it.
    pub(super) fn of(document: &Document, rule: &Selection) -> Self {
        if rule.encrypts(&Path::default()).is_some() {
            let leaves = document.paths().map(|path| rule.encrypts_below(path.keys()) == Some(true));
            return Self { leaves: leaves.collect(), ..Self::default() };
        }
        Self::with_remarks(document, rule, &remarks(document))
    }

    /// The same with the marks of the comments, whose texts may be other than they stand in the document.
    pub(super) fn with_remarks(document: &Document, rule: &Selection, remarks: &[Remark]) -> Self {
        let (pattern, hit) = match rule {
            _ if document.format() == Format::Binary => {
                return Self { leaves: vec![true; document.leaves().len()], ..Self::default() };
            }
            Selection::EncryptedCommentRegex(pattern) => (pattern, true),
            Selection::UnencryptedCommentRegex(pattern) => (pattern, false),
            _ => {
                let mut marks = Self::of(document, rule);
                let is_chosen = |path: &Path| rule.encrypts(path) == Some(true);
                let homes = remarks.iter().map(|remark| &remark.home);
                let chosen = homes.map(|home| is_chosen(&home.path) || home.elsewhere.iter().any(is_chosen));
                marks.remarks = chosen.collect();
                return marks;
            }
        };
        let mut homes: HashMap<Id, Vec<usize>> = HashMap::new();
        for (index, remark) in remarks.iter().enumerate() {
            homes.entry(remark.home.container).or_default().push(index);
        }
        for home in homes.values_mut() {
            home.sort_by_key(|index| (remarks[*index].home.at, remarks[*index].start()));
        }
        let marks = Self { remarks: vec![false; remarks.len()], ..Self::default() };
        let mut marker = Marker { pattern, hit, remarks, homes, aliases: 0, marks };
        for root in document.roots() {
            marker.node(root.node(), false, true);
        }
        marker.marks
    }

    /// Whether the leaf with this number is encrypted.
    pub(super) fn leaf(&self, index: usize) -> bool {
        self.leaves.get(index).copied().unwrap_or(true)
    }

    /// For each leaf, in the order of the document.
    pub(super) fn leaves(&self) -> impl Iterator<Item = bool> + Clone {
        self.leaves_from(0)
    }

    /// For each leaf from this number on.
    pub(super) fn leaves_from(&self, first: usize) -> impl Iterator<Item = bool> + Clone {
        self.leaves.get(first..).unwrap_or_default().iter().copied()
    }

    /// The number of a leaf that an alias leads to and that would be stored otherwise in the place of the alias: one is
    /// encrypted and the other not, or they are bound to other paths.
    pub(super) fn unlike_copy(&self, document: &Document) -> Option<usize> {
        if !document.copies().any(|is_copy| is_copy) {
            return None;
        }
        let stored = |index: usize, path: LeafPath<'_>| self.leaf(index).then(|| path.additional_data());
        let mut originals = HashMap::new();
        for (index, ((path, node), is_copy)) in document.leaves().zip(document.copies()).enumerate() {
            if !is_copy {
                originals.insert(node.id(), stored(index, path));
            // What no leaf is, as a key, is stored in the clear.
            } else if *originals.get(&node.id()).unwrap_or(&None) != stored(index, path) {
                return Some(index);
            }
        }
        None
    }

    /// Whether the remark with this number is encrypted.
    pub(super) fn remark(&self, index: usize) -> bool {
        self.remarks.get(index).copied().unwrap_or(false)
    }

    /// Whether a new leaf behind the last one of a collection would be encrypted; `None` where its path says so.
    pub(super) fn end(&self, collection: Id) -> Option<bool> {
        self.ends.get(&collection).copied()
    }
}

struct Marker<'a> {
    pattern: &'a Pattern,
    /// What a comment that matches makes of what it stands before: encrypted, or not.
    hit: bool,
    remarks: &'a [Remark],
    /// Comments of each collection, in order.
    homes: HashMap<Id, Vec<usize>>,
    /// Aliases that led here. What comments decide in a copy is said of its leaves alone.
    aliases: usize,
    marks: Marks,
}

impl Marker<'_> {
    /// `active`: whether a comment that matches stands before the node, or before something that it is in.
    fn node(&mut self, node: Node<'_>, active: bool, is_root: bool) {
        match node.kind() {
            Kind::Scalar(..) => self.marks.leaves.push(active == self.hit),
            Kind::Alias(_) => {
                self.aliases += 1;
                self.node(node.resolve(), active, false);
                self.aliases -= 1;
            }
            Kind::Mapping(mapping) => {
                let items = mapping.entries().filter(|entry| !(is_root && entry.key == METADATA));
                let items = items.map(|entry| (entry.key_node.full_span().start, entry.value));
                self.collection(node.id(), items, active);
            }
            Kind::Sequence(list) => {
                let items = list.items().map(|item| (item.full_span().start, item));
                self.collection(node.id(), items, active);
            }
        }
    }

    fn collection<'t>(&mut self, id: Id, items: impl Iterator<Item = (usize, Node<'t>)>, active: bool) {
        let home = self.homes.get(&id).cloned().unwrap_or_default();
        let mut home = home.into_iter().peekable();
        let mut own = active;
        let mut is_empty = true;
        for (start, value) in items {
            is_empty = false;
            while let Some(index) = home.next_if(|index| self.remarks[*index].home.at <= start) {
                own = self.remark(index, own);
            }
            self.node(value, own, false);
            own = active;
        }
        // A new item goes right behind the last one, above the comments that stand below that; where there is none, below
        // all comments.
        let mut end = own;
        for index in home {
            own = self.remark(index, own);
            if is_empty || self.remarks[index].is_behind_item {
                end = own;
            }
        }
        if self.aliases == 0 {
            self.marks.ends.insert(id, end == self.hit);
        }
    }

    /// Marks a comment; whether what stands behind it is affected by it or one before.
    fn remark(&mut self, index: usize, active: bool) -> bool {
        let matches = active || self.pattern.is_match(&self.remarks[index].text);
        // The comment that says that the next item is encrypted stays in the clear itself; the one that says that it
        // is not, too.
        let affected = if self.hit { active } else { matches };
        if self.aliases == 0 {
            self.marks.remarks[index] = affected == self.hit;
        }
        matches
    }
}
