//! What is in a file, for a person or a check: its leaves as they are stored, without a key; its values, and its whole
//! text in the clear, with one.

use std::fmt;

use zeroize::Zeroizing;

use super::document::METADATA;
use super::encrypted::Encrypted;
use super::keys::Recipient;
use super::path::{LeafPath, Path, PathError, Segment};
use super::reader::Reader;
use super::value::is_encrypted;

mod clear;
mod json;
#[cfg(test)]
mod tests;
mod yaml;

pub use clear::RevealError;

/// One scalar as it stands in the file.
#[derive(Clone, Debug)]
pub struct Leaf<'a> {
    /// Where it hangs in the tree.
    pub path: Path,
    /// Which of the documents it is in, from 0; only YAML has more than one.
    pub document: usize,
    /// Its first byte in [`Encrypted::text`].
    pub offset: usize,
    /// Its text: `ENC[…]`, or a value in the clear.
    pub stored: &'a str,
    /// How it is stored.
    pub form: Form<'a>,
    /// Whether the file's own rule wants it encrypted.
    pub selected: bool,
}

impl Leaf<'_> {
    /// Its place in words: the path, and the number of the document behind the first one.
    #[must_use]
    pub fn place(&self) -> String {
        match self.document {
            0 => self.path.to_string(),
            document => format!("document {}: {}", document + 1, self.path),
        }
    }
}

/// How a scalar is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// As `ENC[…]`, with the type that it names: `str`, `int`, `comment` …
    Encrypted(&'a str),
    /// In the clear.
    Clear,
    /// Null or an empty text, which sops never encrypts.
    Empty,
}

/// What a person named is not one place in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// It starts like a path and is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// There is no such key.
    #[error("there is no {text} in the file")]
    Missing {
        /// As it was given.
        text: String,
    },
    /// A dotted name that two places have.
    #[error("{text} can be {first} and {second}: write the one that you mean")]
    Ambiguous {
        /// As it was given.
        text: String,
        /// One of them.
        first: Path,
        /// Another.
        second: Path,
    },
}

impl Encrypted {
    /// All scalars in the order of the file, the `sops` block left out.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf<'_>> {
        let leaves = self.marked_leaves().zip(self.document.documents());
        leaves.map(|((path, node, selected), document)| {
            let stored = node.as_str().unwrap_or_default();
            Leaf {
                path: path.to_path(),
                document,
                offset: node.span().start,
                stored,
                form: if node.is_null() { Form::Empty } else { form(stored) },
                selected,
            }
        })
    }

    /// All comments: their first byte in [`Encrypted::text`], and their text with its `#`.
    pub fn comments(&self) -> impl Iterator<Item = (usize, &str)> {
        let tree = self.document.tree();
        tree.comments().iter().map(|comment| (comment.span.start, &tree.text()[comment.span.clone()]))
    }

    /// The first byte of the `sops` block in [`Encrypted::text`].
    #[must_use]
    pub fn block(&self) -> usize {
        let entry = self.document.root().and_then(|root| root.entry(METADATA));
        entry.map_or(0, |entry| entry.key_node.span().start)
    }

    /// Whether the MAC covers encrypted values only, according to the file.
    #[must_use]
    pub fn mac_only_encrypted(&self) -> bool {
        self.metadata.mac_only_encrypted
    }

    /// Whether the file has a MAC that has the form of an encrypted value. Only opening it shows whether it is right.
    #[must_use]
    pub fn has_mac(&self) -> bool {
        let mac = self.metadata.mac.and_then(|mac| self.document.tree().node(mac).as_str());
        mac.is_some_and(is_encrypted)
    }

    /// Recipients whose entry holds no armoured age file, so that they cannot read the file.
    pub fn damaged_entries(&self) -> impl Iterator<Item = &Recipient> {
        let is_armoured = |text: &str| {
            text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----")
                && text.ends_with("-----END AGE ENCRYPTED FILE-----")
        };
        self.metadata.readers.entries().filter_map(move |entry| match &entry.reader {
            Reader::Age(recipient) if !is_armoured(entry.wrapped.trim()) => Some(recipient),
            Reader::Age(_) | Reader::Other(_) => None,
        })
    }

    /// The place in the first document that `text` names: a path as sops writes it, or the keys with dots between them (`data.token.0`).
    ///
    /// # Errors
    /// [`LocateError`].
    pub fn locate(&self, text: &str) -> Result<Path, LocateError> {
        let missing = || LocateError::Missing { text: text.to_owned() };
        if text.starts_with('[') {
            let path: Path = text.parse()?;
            let exists = self.first_document().any(|leaf| leaf.starts_with(&path));
            return if exists { Ok(path) } else { Err(missing()) };
        }
        let mut found: Option<Path> = None;
        for leaf in self.first_document().map(LeafPath::to_path) {
            for length in 1..=leaf.0.len() {
                let segments = &leaf.0[..length];
                if found.as_ref().is_some_and(|found| found.0 == segments) || !is_dotted(segments, text) {
                    continue;
                }
                let second = Path(segments.to_vec());
                match found {
                    None => found = Some(second),
                    Some(first) => {
                        return Err(LocateError::Ambiguous { text: text.to_owned(), first, second });
                    }
                }
            }
        }
        found.ok_or_else(missing)
    }

    fn first_document(&self) -> impl Iterator<Item = LeafPath<'_>> {
        let leaves = self.document.paths().zip(self.document.documents());
        leaves.take_while(|(_, document)| *document == 0).map(|(path, _)| path)
    }
}

fn form(stored: &str) -> Form<'_> {
    if stored.is_empty() {
        return Form::Empty;
    }
    if !is_encrypted(stored) {
        return Form::Clear;
    }
    let kind = stored.rsplit_once(",type:").map_or("", |(_, kind)| kind);
    Form::Encrypted(kind.trim_end_matches(']'))
}

/// Whether `text` is these segments with dots between them.
fn is_dotted(segments: &[Segment], text: &str) -> bool {
    let mut rest = text;
    for (at, segment) in segments.iter().enumerate() {
        if at > 0 {
            let Some(after) = rest.strip_prefix('.') else { return false };
            rest = after;
        }
        let after = match segment {
            Segment::Key(key) => rest.strip_prefix(key.as_str()),
            Segment::Index(index) => rest.strip_prefix(index.to_string().as_str()),
        };
        let Some(after) = after else { return false };
        rest = after;
    }
    rest.is_empty()
}

/// Bytes in the clear that are overwritten when they are dropped.
type Bytes = Zeroizing<Vec<u8>>;

impl fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted(kind) => write!(f, "encrypted {kind}"),
            Self::Clear => f.write_str("clear"),
            Self::Empty => f.write_str("empty"),
        }
    }
}
