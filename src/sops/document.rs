//! A document as sops sees it: leaves with their paths, in the order in which they are encrypted and hashed.

use crate::yaml::{self, Id, Kind, Mapping, Node, Position, Style, Tree};

use super::format::Format;
use super::json;
use super::path::{LeafPath, Path, Segment, Step};
use super::scalar::{self, ScalarError};
use super::value::Plain;

/// The key of sops's own block.
pub(super) const METADATA: &str = "sops";

/// How many nodes all aliases of a file may stand for together.
const MAX_COPIES: usize = 100_000;

/// The keys on the way to a value count for each value: what has the path of a collection keeps a copy of it.
const MAX_PATH_BYTES: usize = 4 * yaml::MAX_BYTES;

/// Why a text is not a document that sops could hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StructureError {
    /// Not a text of the file's format.
    #[error(transparent)]
    Syntax(#[from] yaml::Error),
    /// sops wants a mapping at the top.
    #[error("the document must be a mapping of keys to values")]
    RootNotMapping,
    /// A binary file is a JSON object with its content under `data`.
    #[error("a binary file must be a JSON object with nothing but the text `data` and the `sops` block")]
    NotBinary,
    /// Aliases of aliases, which make a document large beyond its text.
    #[error("{position}: the aliases up to here stand for more than {MAX_COPIES} nodes")]
    TooManyCopies {
        /// The alias that is one too many.
        position: Position,
    },
    /// Aliases of a long value.
    #[error("{position}: the aliases up to here stand for more than {} bytes", yaml::MAX_BYTES)]
    CopiesTooLong {
        /// The alias that is one too many.
        position: Position,
    },
    /// Long keys with much below them.
    #[error(
        "{position}: the paths of what stands up to here take more than {MAX_PATH_BYTES} bytes: shorten the keys above it"
    )]
    PathsTooLong {
        /// The value that is one too many.
        position: Position,
    },
    /// sops wants keys that are strings.
    #[error("{position}: the key `{key}` is not a text for sops: quote it")]
    KeyNotText {
        /// The key.
        position: Position,
        /// As written.
        key: String,
    },
}

/// One scalar of a document.
#[derive(Debug)]
struct Leaf {
    /// The number of the collection that it is in.
    collection: u32,
    last: Last,
    node: Id,
    /// Which of the documents it is in, from 0.
    document: u32,
    /// Whether an alias leads to it, so that its node stands elsewhere.
    is_copy: bool,
}

/// The step from a collection to what is in it.
#[derive(Clone, Copy, Debug)]
enum Last {
    /// The node of the key.
    Key(Id),
    Index(u32),
}

impl Last {
    fn step(self, tree: &Tree) -> Step<'_> {
        match self {
            Self::Key(key) => Step::Key(tree.node(key).as_str().unwrap_or_default()),
            Self::Index(index) => Step::Index(index as usize),
        }
    }
}

/// A document with its leaves; the `sops` block is not among them.
#[derive(Debug)]
pub(super) struct Document {
    format: Format,
    /// Whether integers of JSON in the clear are exact, as for sops from 3.13.2.
    exact_integers: bool,
    tree: Tree,
    leaves: Vec<Leaf>,
    /// Paths of the collections that leaves are in.
    collections: Vec<Path>,
}

impl Document {
    pub(super) fn parse(format: Format, bytes: &[u8]) -> Result<Self, StructureError> {
        Self::of_text(format, yaml::build::text(bytes)?.to_owned())
    }

    pub(super) fn of_text(format: Format, text: String) -> Result<Self, StructureError> {
        let tree = format.tree(text)?;
        let roots: Vec<_> = tree.documents().map(|document| document.root()).collect();
        let Some(Some(first)) = roots.first().copied() else { return Err(StructureError::RootNotMapping) };
        if format == Format::Binary && !first.as_mapping().is_some_and(is_binary) {
            return Err(StructureError::NotBinary);
        }
        let mut walk = Walk::new(&tree);
        for (index, root) in roots.into_iter().enumerate() {
            walk.document = narrow(index);
            match root {
                Some(root) if matches!(root.kind(), Kind::Mapping(_)) => {
                    walk.collection(root, Path::default(), true)?;
                }
                // Behind the first one a document may be empty.
                root if index > 0 && root.is_none_or(Node::is_null) => {}
                _ => return Err(StructureError::RootNotMapping),
            }
        }
        let Walk { leaves, collections, .. } = walk;
        Ok(Self { format, exact_integers: false, tree, leaves, collections })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The same document, with integers of JSON as versions of sops from 3.13.2 see them.
    pub(super) fn with_exact_integers(self, exact_integers: bool) -> Self {
        Self { exact_integers, ..self }
    }

    pub(super) fn exact_integers(&self) -> bool {
        self.exact_integers
    }

    /// Whether versions of sops disagree about the bytes of a value in the clear.
    pub(super) fn is_ambiguous(&self, node: Node<'_>) -> bool {
        self.format == Format::Json
            && matches!(node.kind(), Kind::Scalar(text, Style::Plain) if json::is_ambiguous(text))
    }

    /// The value of a scalar in the clear; `None` for null.
    pub(super) fn scalar(&self, node: Node<'_>) -> Result<Option<Plain>, ScalarError> {
        match node.kind() {
            Kind::Scalar(text, Style::Plain) if self.format == Format::Json && self.exact_integers => {
                json::exact_value(text)
            }
            _ => self.format.scalar(node),
        }
    }

    pub(super) fn text(&self) -> &str {
        self.tree.text()
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The mapping at the top of the first document, to which paths and metadata belong.
    pub(super) fn root(&self) -> Option<Mapping<'_>> {
        self.roots().next()
    }

    /// The mappings at the top of all documents.
    pub(super) fn roots(&self) -> impl Iterator<Item = Mapping<'_>> {
        self.tree.documents().filter_map(|document| document.root().and_then(Node::as_mapping))
    }

    /// Scalars that paths lead to, `true`, and those of further documents.
    pub(super) fn all_leaves(&self) -> impl Iterator<Item = (bool, LeafPath<'_>, Node<'_>)> {
        self.leaves.iter().map(|leaf| (leaf.document == 0, self.path(leaf), self.tree.node(leaf.node)))
    }

    /// All scalars of all documents, null ones too, in order.
    pub(super) fn leaves(&self) -> impl ExactSizeIterator<Item = (LeafPath<'_>, Node<'_>)> + Clone {
        self.leaves_from(0)
    }

    /// Those from this number on.
    pub(super) fn leaves_from(
        &self,
        first: usize,
    ) -> impl ExactSizeIterator<Item = (LeafPath<'_>, Node<'_>)> + Clone {
        let leaves = self.leaves.get(first..).unwrap_or_default();
        leaves.iter().map(|leaf| (self.path(leaf), self.tree.node(leaf.node)))
    }

    /// Their paths.
    pub(super) fn paths(&self) -> impl ExactSizeIterator<Item = LeafPath<'_>> + Clone {
        self.leaves.iter().map(|leaf| self.path(leaf))
    }

    fn path(&self, leaf: &Leaf) -> LeafPath<'_> {
        let collection = &self.collections[leaf.collection as usize];
        LeafPath { collection, last: leaf.last.step(&self.tree) }
    }

    /// For each leaf, which of the documents it is in, from 0.
    pub(super) fn documents(&self) -> impl Iterator<Item = usize> {
        self.leaves.iter().map(|leaf| leaf.document as usize)
    }

    /// For each leaf, whether an alias leads to it. sops sees a copy there; in the text its node stands elsewhere, and has
    /// the path of that place.
    pub(super) fn copies(&self) -> impl Iterator<Item = bool> {
        self.leaves.iter().map(|leaf| leaf.is_copy)
    }

    /// The scalar at `path` in the first document.
    pub(super) fn leaf(&self, path: &Path) -> Option<Node<'_>> {
        self.leaf_at(self.index_of(path)?)
    }

    /// The number of the scalar at `path` in the first document.
    pub(super) fn index_of(&self, path: &Path) -> Option<usize> {
        self.leaves.iter().position(|leaf| leaf.document == 0 && self.path(leaf).is(path))
    }

    /// The scalar with this number.
    pub(super) fn leaf_at(&self, index: usize) -> Option<Node<'_>> {
        self.leaves.get(index).map(|leaf| self.tree.node(leaf.node))
    }
}

fn is_binary(root: Mapping<'_>) -> bool {
    let is_text = |node: Node<'_>| matches!(node.kind(), Kind::Scalar(_, Style::Double));
    root.get(json::DATA).is_some_and(is_text)
        && root.entries().all(|entry| [json::DATA, METADATA].contains(&entry.key))
}

/// Goes through a document as sops does, which sees what an alias stands for in the place of the alias
/// (stores/yaml/store.go, `nodeToTreeValue`).
struct Walk<'t> {
    tree: &'t Tree,
    leaves: Vec<Leaf>,
    collections: Vec<Path>,
    document: u32,
    /// The alias that led to the node.
    alias: Option<Node<'t>>,
    /// Nodes that aliases have led to.
    copies: usize,
    /// Bytes of the scalars among them.
    copied_bytes: usize,
    /// Bytes of the paths of all values.
    path_bytes: usize,
}

impl<'t> Walk<'t> {
    fn new(tree: &'t Tree) -> Self {
        // Most nodes are keys and values.
        let leaves = Vec::with_capacity(tree.len() / 2);
        let (collections, document, alias) = (Vec::new(), 0, None);
        Self { tree, leaves, collections, document, alias, copies: 0, copied_bytes: 0, path_bytes: 0 }
    }

    fn collection(&mut self, node: Node<'t>, path: Path, is_root: bool) -> Result<(), StructureError> {
        let own = self.collections.len();
        let bytes = path.0.iter().map(Segment::len).sum();
        self.collections.push(path);
        match node.kind() {
            Kind::Sequence(sequence) => {
                for (index, item) in sequence.items().enumerate() {
                    self.add_path(item, bytes)?;
                    self.item(own, Last::Index(narrow(index)), item)?;
                }
            }
            Kind::Mapping(mapping) => {
                for entry in mapping.entries() {
                    if !scalar::is_str(entry.key_node) {
                        let position = entry.key_node.position();
                        return Err(StructureError::KeyNotText { position, key: entry.key.to_owned() });
                    }
                    if !(is_root && entry.key == METADATA) {
                        self.add_path(entry.value, bytes + entry.key.len())?;
                        self.item(own, Last::Key(entry.key_node.id()), entry.value)?;
                    }
                }
            }
            Kind::Scalar(..) | Kind::Alias(_) => {}
        }
        Ok(())
    }

    fn item(&mut self, collection: usize, last: Last, node: Node<'t>) -> Result<(), StructureError> {
        self.check_bounds(node, self.collections[collection].0.len() + 1)?;
        match node.kind() {
            Kind::Alias(_) => {
                let outer = self.alias;
                self.alias = outer.or(Some(node));
                self.item(collection, last, node.resolve())?;
                self.alias = outer;
            }
            Kind::Scalar(..) => {
                let (document, is_copy) = (self.document, self.alias.is_some());
                let collection = narrow(collection);
                self.leaves.push(Leaf { collection, last, node: node.id(), document, is_copy });
            }
            Kind::Sequence(_) | Kind::Mapping(_) => {
                let path = LeafPath { collection: &self.collections[collection], last: last.step(self.tree) };
                self.collection(node, path.to_path(), false)?;
            }
        }
        Ok(())
    }

    fn add_path(&mut self, node: Node<'_>, bytes: usize) -> Result<(), StructureError> {
        self.path_bytes += bytes;
        if self.path_bytes > MAX_PATH_BYTES {
            return Err(StructureError::PathsTooLong { position: node.position() });
        }
        Ok(())
    }

    /// The text bounds a document without aliases. With them, a short text can stand for a large and deep one.
    fn check_bounds(&mut self, node: Node<'_>, depth: usize) -> Result<(), StructureError> {
        let Some(alias) = self.alias else { return Ok(()) };
        self.copies += 1;
        if self.copies > MAX_COPIES {
            return Err(StructureError::TooManyCopies { position: alias.position() });
        }
        if matches!(node.kind(), Kind::Scalar(..)) {
            self.copied_bytes += node.span().len();
        }
        if self.copied_bytes > yaml::MAX_BYTES {
            return Err(StructureError::CopiesTooLong { position: alias.position() });
        }
        if depth > yaml::MAX_DEPTH {
            return Err(yaml::Error::TooDeep { position: alias.position() }.into());
        }
        Ok(())
    }
}

/// Nodes are numbered in 32 bits, so there are no more documents, collections and items.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_of_a_long_value_are_bounded() {
        let long = "x".repeat(yaml::MAX_BYTES / 4);
        let text = |aliases: usize| format!("a: &a {long}\nb: [{}]\n", vec!["*a"; aliases].join(", "));
        assert!(Document::of_text(Format::Yaml, text(4)).is_ok());
        let error = Document::of_text(Format::Yaml, text(5)).unwrap_err();
        assert!(matches!(error, StructureError::CopiesTooLong { position } if position.line == 2));
    }

    #[test]
    fn a_long_key_above_much_is_refused_before_it_takes_all_memory() {
        let text = |count: usize| format!("{{\"{}\": [{}1]}}", "k".repeat(1 << 20), "[1],".repeat(count));
        assert!(Document::of_text(Format::Json, text(10)).is_ok());
        let error = Document::of_text(Format::Json, text(300)).unwrap_err();
        assert!(matches!(error, StructureError::PathsTooLong { .. }));
    }
}
