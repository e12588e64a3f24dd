//! Trees of other formats: their scanners find the spans, and everything that works on a [`Tree`] works on theirs.

use std::collections::HashMap;
use std::ops::Range;

use super::load::line_starts;
use super::{Comment, Content, Data, DocumentData, Error, Id, MAX_BYTES, Placement, Position, Style, Tree};

/// Takes nodes in the order of the text, a collection before what is in it.
#[derive(Default)]
pub(crate) struct Builder {
    nodes: Vec<Data>,
    comments: Vec<Comment>,
    /// Keys of all mappings, to find the second of two.
    keys: HashMap<(Id, Box<str>), usize>,
}

impl Builder {
    /// A scalar. `Style::Plain` means that its text has a type, any other that it is a string.
    pub(crate) fn scalar(&mut self, span: Range<usize>, text: &str, style: Style) -> Id {
        self.add(span, Content::Scalar(Some(text.into()), style))
    }

    /// An empty mapping; `flow` where it has brackets.
    pub(crate) fn mapping(&mut self, span: Range<usize>, flow: bool) -> Id {
        self.add(span, Content::Mapping { entries: Vec::new(), flow })
    }

    /// An empty list.
    pub(crate) fn sequence(&mut self, span: Range<usize>, flow: bool) -> Id {
        self.add(span, Content::Sequence { items: Vec::new(), flow })
    }

    fn add(&mut self, span: Range<usize>, content: Content) -> Id {
        // Texts are bounded by MAX_BYTES, and a node takes a byte at least, but for a few that have no text.
        let id = Id::try_from(self.nodes.len()).unwrap_or(Id::MAX);
        let start = span.start;
        self.nodes.push(Data { span, start, tag: None, anchor: None, parent: None, content });
        id
    }

    /// Moves the end of a collection to where its last byte was found.
    pub(crate) fn end(&mut self, id: Id, end: usize) {
        self.nodes[id as usize].span.end = end;
    }

    /// Puts a key and its value into a mapping.
    ///
    /// # Errors
    /// The mapping has the key; `text` is what the spans are of.
    pub(crate) fn entry(&mut self, text: &str, mapping: Id, key: Id, value: Id) -> Result<(), Error> {
        let node = &self.nodes[key as usize];
        let at = node.span.start;
        let Content::Scalar(Some(name), _) = &node.content else { return Ok(()) };
        if let Some(first) = self.keys.insert((mapping, name.clone()), at) {
            let (position, first) = (Position::of(text, at), Position::of(text, first));
            return Err(Error::DuplicateKey { position, first, key: name.to_string() });
        }
        self.nodes[key as usize].parent = Some(mapping);
        self.nodes[value as usize].parent = Some(mapping);
        if let Content::Mapping { entries, .. } = &mut self.nodes[mapping as usize].content {
            entries.push((key, value));
        }
        Ok(())
    }

    /// Puts an element at the end of a list.
    pub(crate) fn item(&mut self, sequence: Id, value: Id) {
        self.nodes[value as usize].parent = Some(sequence);
        if let Content::Sequence { items, .. } = &mut self.nodes[sequence as usize].content {
            items.push(value);
        }
    }

    /// A comment, with the character that starts it.
    pub(crate) fn comment(&mut self, span: Range<usize>, placement: Placement) {
        self.comments.push(Comment { span, placement });
    }

    /// The tree of `text`, which has one document.
    pub(crate) fn finish(self, text: String, root: Id) -> Tree {
        let documents = vec![DocumentData { start: 0, root: Some(root) }];
        let lines = line_starts(&text);
        Tree { text, nodes: self.nodes, documents, comments: self.comments, lines }
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
