//! Handles to the nodes of a [`Tree`].

use std::fmt;
use std::ops::Range;

use super::nodes::Content;
use super::{DocumentData, Id, Position, Style, Tree};

/// One document of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Document<'t> {
    tree: &'t Tree,
    data: &'t DocumentData,
}

impl<'t> Document<'t> {
    pub(super) fn new(tree: &'t Tree, data: &'t DocumentData) -> Self {
        Self { tree, data }
    }

    /// Its only node at the top; `None` for an empty document.
    #[must_use]
    pub fn root(&self) -> Option<Node<'t>> {
        self.data.root.map(|id| self.tree.node(id))
    }

    /// Where it starts: its `---`, else its first node.
    #[must_use]
    pub fn position(&self) -> Position {
        self.tree.position(self.data.start)
    }

    /// The same as an offset into the text.
    pub(crate) fn start(&self) -> usize {
        self.data.start
    }
}

/// One node of a [`Tree`]; a cheap handle.
#[derive(Clone, Copy)]
pub struct Node<'t> {
    tree: &'t Tree,
    id: Id,
}

/// Nodes show where they are, not what they hold.
impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.position())
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.tree, other.tree) && self.id == other.id
    }
}

/// What a [`Node`] is.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'t> {
    /// A text and how it is written.
    Scalar(&'t str, Style),
    /// Keys and values in order.
    Mapping(Mapping<'t>),
    /// Items in order.
    Sequence(Sequence<'t>),
    /// `*name`; see [`Node::resolve`].
    Alias(&'t str),
}

impl<'t> Node<'t> {
    pub(super) fn new(tree: &'t Tree, id: Id) -> Self {
        Self { tree, id }
    }

    /// Its name in its tree.
    pub(crate) fn id(self) -> Id {
        self.id
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind<'t> {
        match self.tree.nodes.content(self.id) {
            Content::Scalar(_, style) => Kind::Scalar(self.scalar_text(), style),
            Content::Mapping(..) => Kind::Mapping(Mapping { node: self }),
            Content::Sequence(..) => Kind::Sequence(Sequence { node: self }),
            Content::Alias(_) => Kind::Alias(self.source().trim_start_matches('*')),
        }
    }

    fn scalar_text(self) -> &'t str {
        self.tree.nodes.text(&self.tree.text, self.id)
    }

    /// The bytes of its content, quotes and block header included, anchor and tag not.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        self.tree.nodes.span(self.id)
    }

    /// The bytes of its content together with its anchor and tag.
    #[must_use]
    pub fn full_span(self) -> Range<usize> {
        self.tree.nodes.full_span(self.id)
    }

    /// Its content as written.
    #[must_use]
    pub fn source(self) -> &'t str {
        &self.tree.text[self.span()]
    }

    /// The text from the end of its content on.
    #[must_use]
    pub fn behind(self) -> &'t str {
        &self.tree.text[self.span().end..]
    }

    /// Where its content starts.
    #[must_use]
    pub fn position(self) -> Position {
        self.tree.position(self.span().start)
    }

    /// Its explicit tag, resolved: `tag:yaml.org,2002:str` for `!!str`, `!secret` for `!secret`.
    #[must_use]
    pub fn tag(self) -> Option<&'t str> {
        self.tree.nodes.tag(self.id)
    }

    /// The name after `&`.
    #[must_use]
    pub fn anchor(self) -> Option<&'t str> {
        self.tree.nodes.anchor(self.id)
    }

    /// The collection that it is in; for a key and for a value, the mapping.
    #[must_use]
    pub fn parent(self) -> Option<Node<'t>> {
        self.tree.nodes.parent(self.id).map(|id| self.tree.node(id))
    }

    /// The node that an alias stands for; any other node is itself.
    #[must_use]
    pub fn resolve(self) -> Node<'t> {
        match self.tree.nodes.content(self.id) {
            // An anchor names a node, never an alias (YAML 1.2.2 §7.1), so one step is enough.
            Content::Alias(target) => self.tree.node(target),
            _ => self,
        }
    }

    /// An alias that stands for this node, or for one that it is in: whoever changes the node changes what stands there.
    #[must_use]
    pub fn alias(self) -> Option<Node<'t>> {
        let nodes = &self.tree.nodes;
        let own = std::iter::successors(Some(self.id), |id| nodes.parent(*id));
        // The key of an entry may have an anchor as well as its value.
        let is_own = |target: Id| own.clone().any(|id| id == target || nodes.key_of(id) == Some(target));
        let (id, _) = nodes.aliases().find(|(_, target)| is_own(*target))?;
        Some(self.tree.node(id))
    }

    /// Text of a scalar, aliases followed.
    #[must_use]
    pub fn as_str(self) -> Option<&'t str> {
        match self.resolve().kind() {
            Kind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The mapping, aliases followed.
    #[must_use]
    pub fn as_mapping(self) -> Option<Mapping<'t>> {
        match self.resolve().kind() {
            Kind::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The sequence, aliases followed.
    #[must_use]
    pub fn as_sequence(self) -> Option<Sequence<'t>> {
        match self.resolve().kind() {
            Kind::Sequence(sequence) => Some(sequence),
            _ => None,
        }
    }

    /// The value of `key` when this is a mapping that has it, aliases followed on the way in.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Node<'t>> {
        self.as_mapping()?.get(key)
    }

    /// Whether it is an untagged plain scalar that YAML reads as null: nothing, `~`, `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.tag().is_none()
            && matches!(self.kind(), Kind::Scalar("" | "~" | "null" | "Null" | "NULL", Style::Plain))
    }

    /// A word for what it is: `text`, `mapping`, `list`, `alias`.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self.kind() {
            Kind::Scalar(..) => "text",
            Kind::Mapping(_) => "mapping",
            Kind::Sequence(_) => "list",
            Kind::Alias(_) => "alias",
        }
    }
}

/// A mapping of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'t> {
    node: Node<'t>,
}

/// One key and its value.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'t> {
    /// Text of the key.
    pub key: &'t str,
    /// The key as a node.
    pub key_node: Node<'t>,
    /// The value.
    pub value: Node<'t>,
}

impl<'t> Mapping<'t> {
    /// Its entries in order.
    pub fn entries(self) -> impl ExactSizeIterator<Item = Entry<'t>> + DoubleEndedIterator {
        self.node.tree.nodes.entries(self.node.id).iter().map(move |(key, value)| {
            let key_node = self.node.tree.node(*key);
            Entry { key: key_node.scalar_text(), key_node, value: self.node.tree.node(*value) }
        })
    }

    /// The entry of `key`.
    #[must_use]
    pub fn entry(self, key: &str) -> Option<Entry<'t>> {
        self.entries().find(|entry| entry.key == key)
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Node<'t>> {
        self.entry(key).map(|entry| entry.value)
    }

    /// Whether it is written as `{…}`.
    #[must_use]
    pub fn is_flow(self) -> bool {
        self.node.tree.nodes.is_flow(self.node.id)
    }

    /// The mapping as a node.
    #[must_use]
    pub fn node(self) -> Node<'t> {
        self.node
    }
}

/// A sequence of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'t> {
    node: Node<'t>,
}

impl<'t> Sequence<'t> {
    /// Its items in order.
    pub fn items(self) -> impl ExactSizeIterator<Item = Node<'t>> + DoubleEndedIterator {
        self.node.tree.nodes.items(self.node.id).iter().map(move |id| self.node.tree.node(*id))
    }

    /// Whether it is written as `[…]`.
    #[must_use]
    pub fn is_flow(self) -> bool {
        self.node.tree.nodes.is_flow(self.node.id)
    }

    /// The sequence as a node.
    #[must_use]
    pub fn node(self) -> Node<'t> {
        self.node
    }
}
