//! YAML as a tree in which every node knows its exact place in the text.
//!
//! Profiles, templates, the policy and SOPS documents are read through it: semantic errors get a line and a column,
//! and an edit replaces exactly the bytes of one node. Nothing is ever written from the tree; writers splice into
//! [`Tree::text`].
//!
//! Scalars are not typed here: `1`, `true` and `~` are texts. Tags are kept as written in the `tag:` namespace.

pub(crate) mod build;
mod load;
mod node;
mod nodes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

pub use node::{Document, Entry, Kind, Mapping, Node, Sequence};
pub(crate) use nodes::Id;
use nodes::Nodes;

/// Texts longer than this many bytes are refused.
pub const MAX_BYTES: usize = 64 << 20;

/// Collections nested deeper than this are refused.
pub const MAX_DEPTH: usize = 100;

/// A place in a text, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The place of the byte `offset` in `text`; an offset past the end gives the end.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a text is not a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not YAML.
    #[error("{position}: {message}")]
    Syntax {
        /// Where reading stopped.
        position: Position,
        /// What the parser found there; never a part of the text.
        message: String,
    },
    /// A mapping has one key twice; YAML 1.2.2 §3.2.1.1 forbids it.
    #[error("{position}: the key `{key}` is already at line {}", first.line)]
    DuplicateKey {
        /// The second one.
        position: Position,
        /// The first one.
        first: Position,
        /// The key.
        key: String,
    },
    /// A key is a mapping, a sequence or an alias.
    #[error("{position}: a key must be a plain or quoted text")]
    KeyNotScalar {
        /// The key.
        position: Position,
    },
    /// Collections are nested deeper than [`MAX_DEPTH`].
    #[error("{position}: nested deeper than {MAX_DEPTH} levels")]
    TooDeep {
        /// The first collection that is too deep.
        position: Position,
    },
    /// The text is longer than [`MAX_BYTES`].
    #[error("{bytes} bytes are more than the {MAX_BYTES} that are read")]
    TooLong {
        /// Length of the text.
        bytes: usize,
    },
    /// The text is not UTF-8.
    #[error("{position}: not UTF-8")]
    NotUtf8 {
        /// The first byte that is wrong.
        position: Position,
    },
}

impl Error {
    /// Where in the text, when the error is about one place.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Syntax { position, .. }
            | Self::DuplicateKey { position, .. }
            | Self::KeyNotScalar { position }
            | Self::TooDeep { position }
            | Self::NotUtf8 { position } => Some(*position),
            Self::TooLong { .. } => None,
        }
    }

    /// The same error without its position, for a caller that prints `file:line:column` itself.
    #[must_use]
    pub fn message(&self) -> String {
        let text = self.to_string();
        match self.position() {
            Some(position) => text.strip_prefix(&format!("{position}: ")).unwrap_or(&text).to_owned(),
            None => text,
        }
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `text`
    Plain,
    /// `'text'`
    Single,
    /// `"text"`
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// Where a comment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On a line of its own.
    OwnLine,
    /// Behind something on the same line.
    EndOfLine,
}

/// A comment; its text is `&tree.text()[span]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// From `#` to the end of the line, without the line break.
    pub span: Range<usize>,
    /// On its own line or behind something.
    pub placement: Placement,
}

/// A text and the nodes in it.
pub struct Tree {
    text: String,
    nodes: Nodes,
    documents: Vec<DocumentData>,
    comments: Vec<Comment>,
    /// Where each line starts; found out when somebody asks for a position.
    lines: OnceLock<Vec<u32>>,
}

#[derive(Debug)]
struct DocumentData {
    start: usize,
    root: Option<Id>,
}

/// Where each line of the text starts.
fn line_starts(text: &str) -> Vec<u32> {
    // No text is longer than MAX_BYTES.
    let next = |(at, _): (usize, &str)| u32::try_from(at + 1).unwrap_or(u32::MAX);
    std::iter::once(0).chain(text.match_indices('\n').map(next)).collect()
}

/// A text may hold secrets.
impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({} nodes)", self.nodes.len())
    }
}

impl Tree {
    /// Reads all documents of `text`.
    ///
    /// # Errors
    /// Everything in [`Error`]; no other outcome, whatever the text.
    pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
        load::load(text.into())
    }

    /// Reads all documents of `bytes`, which must be UTF-8.
    ///
    /// # Errors
    /// [`Error::NotUtf8`] and those of [`Tree::parse`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        match str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => {
                let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                Err(Error::NotUtf8 { position: Position::of(&valid, valid.len()) })
            }
        }
    }

    /// The text that was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its documents in order. An empty text, or one with comments only, has none.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = Document<'_>> {
        self.documents.iter().map(|data| Document::new(self, data))
    }

    /// The root of the only document; `None` when there are none or several, or when it is empty.
    #[must_use]
    pub fn root(&self) -> Option<Node<'_>> {
        match self.documents.as_slice() {
            [only] => only.root.map(|id| self.node(id)),
            _ => None,
        }
    }

    /// All comments in order.
    #[must_use]
    pub fn comments(&self) -> &[Comment] {
        &self.comments
    }

    /// The place of the byte `offset`.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let lines = self.lines.get_or_init(|| line_starts(&self.text));
        let line = lines.partition_point(|start| *start as usize <= offset);
        let start = line.checked_sub(1).map_or(0, |index| lines[index] as usize);
        let before = self.text.get(start..offset).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }

    /// How many nodes it has.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node with this id.
    pub(crate) fn node(&self, id: Id) -> Node<'_> {
        Node::new(self, id)
    }
}
