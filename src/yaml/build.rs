//! Trees of other formats: their scanners find the spans, and everything that works on a [`Tree`] works on theirs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use super::nodes::Nodes;
use super::{Comment, DocumentData, Error, Id, MAX_BYTES, Placement, Position, Style, Tree};

/// Takes nodes in the order of the text, a collection before what is in it.
pub(crate) struct Builder<'s> {
    text: &'s str,
    nodes: Nodes,
    comments: Vec<Comment>,
    /// Keys of all mappings, to find the second of two.
    keys: HashMap<(Id, Cow<'s, str>), usize>,
}

impl<'s> Builder<'s> {
    /// For the tree of `text`, in which all spans are.
    pub(crate) fn new(text: &'s str) -> Self {
        Self { text, nodes: Nodes::default(), comments: Vec::new(), keys: HashMap::new() }
    }

    /// A scalar. `Style::Plain` means that its text has a type, any other that it is a string.
    pub(crate) fn scalar(&mut self, span: Range<usize>, text: &str, style: Style) -> Id {
        self.nodes.scalar(self.text, span, text, style)
    }

    /// An empty mapping; `flow` where it has brackets.
    pub(crate) fn mapping(&mut self, span: Range<usize>, flow: bool) -> Id {
        self.nodes.mapping(span, flow)
    }

    /// An empty list.
    pub(crate) fn sequence(&mut self, span: Range<usize>, flow: bool) -> Id {
        self.nodes.sequence(span, flow)
    }

    /// Moves the end of a collection to where its last byte was found.
    pub(crate) fn end(&mut self, id: Id, end: usize) {
        let start = self.nodes.span(id).start;
        self.nodes.set_span(id, start..end);
    }

    /// Puts a key and its value into a mapping.
    ///
    /// # Errors
    /// The mapping has the key.
    pub(crate) fn entry(&mut self, mapping: Id, key: Id, value: Id) -> Result<(), Error> {
        let at = self.nodes.span(key).start;
        let name = self.nodes.cow(self.text, key);
        if let Some(first) = self.keys.insert((mapping, name), at) {
            let (position, first) = (Position::of(self.text, at), Position::of(self.text, first));
            let key = self.nodes.text(self.text, key).to_owned();
            return Err(Error::DuplicateKey { position, first, key });
        }
        self.nodes.set_parent(key, Some(mapping));
        self.nodes.set_parent(value, Some(mapping));
        self.nodes.push_entry(mapping, key, value);
        Ok(())
    }

    /// Puts an element at the end of a list.
    pub(crate) fn item(&mut self, sequence: Id, value: Id) {
        self.nodes.set_parent(value, Some(sequence));
        self.nodes.push_item(sequence, value);
    }

    /// A comment, with the character that starts it.
    pub(crate) fn comment(&mut self, span: Range<usize>, placement: Placement) {
        self.comments.push(Comment { span, placement });
    }

    /// What was found, in one document.
    pub(crate) fn finish(self, root: Id) -> Scanned {
        let Self { nodes, comments, .. } = self;
        Scanned { nodes, comments, root }
    }
}

/// The nodes of a text that is still its reader's.
pub(crate) struct Scanned {
    nodes: Nodes,
    comments: Vec<Comment>,
    root: Id,
}

impl Scanned {
    /// The tree of the text that was scanned.
    pub(crate) fn of(self, text: String) -> Tree {
        let Self { nodes, comments, root } = self;
        let documents = vec![DocumentData { start: 0, root: Some(root) }];
        Tree { text, nodes, documents, comments, lines: OnceLock::new() }
    }
}

/// The bytes as a text of a length that is read.
///
/// # Errors
/// [`Error::TooLong`], [`Error::NotUtf8`].
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLong { bytes: bytes.len() });
    }
    str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        Error::NotUtf8 { position: Position::of(&valid, valid.len()) }
    })
}
