//! A document in the clear that becomes a new SOPS file. It has no way to be written, and none to show its text with
//! secrets in it: the only way out is [`Sealed`].

use std::borrow::Cow;

use jiff::Timestamp;

use crate::secret::Secret;
use crate::yaml::{Node, Position, Style};

use super::comments;
use super::document::{Document, METADATA, StructureError};
use super::edit::Edits;
use super::encrypted::Encrypted;
use super::format::Format;
use super::keys::Outside;
use super::mac::Mac;
use super::marks::Marks;
use super::metadata::{NewBlock, yaml_block};
use super::open::OpenError;
use super::path::{LeafPath, Path};
use super::policy::Rule;
use super::readers::Readers;
use super::render::Place;
use super::scalar::ScalarError;
use super::seal::{
    SealError, Sealed, check_encrypted, encrypted_mac, last_modified, refuse_clear, refuse_unlike_copies,
    stored,
};
use super::selection::Selection;
use super::shape;
use super::splice::{self, newline};
use super::value::{Cipher, DataKey, Plain, Type, is_encrypted};
use super::values::Values;
use super::{dotenv, go_yaml, ini, json};

/// Why a text cannot become a SOPS file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Not a document that sops could hold.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// It has a `sops` key, so it is encrypted already, or would be taken for it.
    #[error("{position}: the key `sops` belongs to sops itself")]
    SopsKey {
        /// The key.
        position: Position,
    },
    /// A value or comment is an `ENC[…]`.
    #[error("{position}: this is encrypted already")]
    Encrypted {
        /// The value or comment.
        position: Position,
    },
    /// The `sops` block has to go behind the last key, at the start of a line.
    #[error(
        "{position}: a document must be a block of `key: value` lines that start in column 1, without directives and `...`"
    )]
    Layout {
        /// The document.
        position: Position,
    },
    /// YAML that go-yaml does not read as others do.
    #[error("{position}: stock sops does not read {what}")]
    Foreign {
        /// Its place.
        position: Position,
        /// What it is, and what to write in its place.
        what: String,
    },
    /// A value without a type that both sides agree on.
    #[error("{position}: {path} {reason}")]
    Scalar {
        /// The value.
        position: Position,
        /// Its path.
        path: Path,
        /// What is wrong.
        reason: ScalarError,
    },
    /// The leaf is one that an alias stands for.
    #[error("{path} is shared by the alias at {alias}: write out what the alias stands for first")]
    Aliased {
        /// The path.
        path: Path,
        /// The alias.
        alias: Position,
    },
    /// There is no such leaf to set.
    #[error("{path} is not a value of the document")]
    NoLeaf {
        /// The path.
        path: Path,
    },
}

/// A document in the clear, with values that were put into it.
pub struct Draft {
    document: Document,
    /// Values that were put into it, by the number of the leaf.
    values: Vec<(usize, Plain)>,
}

/// Shows where values were put, and nothing else.
impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paths: Vec<Path> = self.document.paths().map(LeafPath::to_path).collect();
        f.debug_list().entries(self.values.iter().filter_map(|(index, _)| paths.get(*index))).finish()
    }
}

impl Draft {
    /// Reads a document. Its layout and comments are kept. For [`Format::Binary`] the whole of `text` is the value.
    ///
    /// # Errors
    /// [`DraftError`].
    pub fn parse(format: Format, text: impl AsRef<[u8]>) -> Result<Self, DraftError> {
        let bytes = text.as_ref();
        if format == Format::Binary {
            let document = Document::parse(format, json::BINARY.as_bytes())?;
            let content = Plain::new(Type::Str, bytes);
            return Ok(Self { document, values: vec![(0, content)] });
        }
        let document = Document::parse(format, bytes)?.with_exact_integers(true);
        let text = document.text();
        if let Some(entry) = document.roots().find_map(|root| root.entry(METADATA)) {
            return Err(DraftError::SopsKey { position: entry.key_node.position() });
        }
        if format == Format::Yaml {
            check_layout(&document)?;
            if let Some((position, what)) = go_yaml::foreign(&document) {
                return Err(DraftError::Foreign { position, what });
            }
        }
        for (path, node) in document.leaves() {
            if node.as_str().is_some_and(is_encrypted) {
                return Err(DraftError::Encrypted { position: node.position() });
            }
            document.scalar(node).map_err(|reason| DraftError::Scalar {
                position: node.position(),
                path: path.to_path(),
                reason,
            })?;
        }
        let tree = document.tree();
        if let Some(comment) =
            tree.comments().iter().find(|comment| is_encrypted_comment(&text[comment.span.clone()]))
        {
            return Err(DraftError::Encrypted { position: tree.position(comment.span.start) });
        }
        Ok(Self { document, values: Vec::new() })
    }

    /// Every scalar in order: its path, its text as in the document (not what was set), and where it stands.
    pub fn leaves(&self) -> impl ExactSizeIterator<Item = (Path, &str, Position)> {
        let leaves = self.document.leaves();
        leaves.map(|(path, node)| (path.to_path(), node.as_str().unwrap_or_default(), node.position()))
    }

    /// Lets the leaf at `path`, in the first document, be `value`, a string.
    ///
    /// # Errors
    /// [`DraftError::NoLeaf`], [`DraftError::Aliased`].
    #[expect(clippy::needless_pass_by_value, reason = "the caller's copy of a secret ends here")]
    pub fn set(&mut self, path: &Path, value: Secret) -> Result<(), DraftError> {
        let no_leaf = || DraftError::NoLeaf { path: path.clone() };
        let index = self.document.index_of(path).ok_or_else(no_leaf)?;
        if let Some(alias) = self.document.leaf_at(index).and_then(Node::alias) {
            return Err(DraftError::Aliased { path: path.clone(), alias: alias.position() });
        }
        self.values.retain(|(known, _)| *known != index);
        self.values.push((index, Plain::str(value.expose())));
        Ok(())
    }

    /// The SOPS file, for the recipients of `rule`. `now` becomes `lastmodified`. Every path of `must_be_encrypted` is in
    /// the result, and encrypted.
    ///
    /// # Errors
    /// [`SealError`]: a path that the rule leaves in the clear, a rule that selects nothing, a comment that cannot be
    /// kept, nobody to encrypt for, no random bytes.
    pub fn seal(
        &self,
        rule: &Rule,
        outside: &dyn Outside,
        now: Timestamp,
        must_be_encrypted: &[Path],
    ) -> Result<Sealed, SealError> {
        refuse_clear(&self.selection(rule), must_be_encrypted)?;
        let key = DataKey::generate()?;
        let readers = Readers::wrap(&key, rule, outside, &last_modified(now))?;
        self.seal_with(&key, &readers, rule, now, must_be_encrypted)
    }

    /// The same with a data key that is wrapped already, for those readers.
    pub(super) fn seal_with(
        &self,
        key: &DataKey,
        readers: &Readers,
        rule: &Rule,
        now: Timestamp,
        must_be_encrypted: &[Path],
    ) -> Result<Sealed, SealError> {
        let (format, selection) = (self.document.format(), &*self.selection(rule));
        let cipher = Cipher::new(key);
        let (body, mac) = self.encrypted_body(&cipher, selection, rule.mac_only_encrypted())?;
        let time = last_modified(now);
        let mac = encrypted_mac(&cipher, &mac, &time)?;
        let block = NewBlock {
            readers,
            selection: (format != Format::Binary).then_some(selection),
            mac_only_encrypted: rule.mac_only_encrypted(),
            last_modified: &time,
            mac: &mac,
        };
        let text = with_block(format, body, &block)?;
        let sealed = Encrypted::of_text(format, text)?.with_exact_integers(self.document.exact_integers());
        check_encrypted(&sealed, must_be_encrypted)?;
        let values = sealed.verify(&cipher, None).map_err(|error| SealError::unsound(error.to_string()))?;
        self.check(&sealed, &values)?;
        Ok(Sealed::of_verified(sealed))
    }

    /// What is encrypted: of a binary file all of it, whatever the rule says.
    fn selection<'r>(&self, rule: &'r Rule) -> Cow<'r, Selection> {
        if self.document.format() == Format::Binary {
            Cow::Owned(Selection::default())
        } else {
            Cow::Borrowed(rule.selection())
        }
    }

    /// What a leaf will be; `None` for null.
    fn value(&self, index: usize, node: Node<'_>) -> Result<Option<Plain>, SealError> {
        match self.set_value(index) {
            Some(value) => Ok(Some(Plain::new(value.kind, value.bytes.as_slice()))),
            // `parse` has looked at every scalar.
            None => self.document.scalar(node).map_err(|reason| SealError::unsound(reason.to_string())),
        }
    }

    fn set_value(&self, index: usize) -> Option<&Plain> {
        self.values.iter().find(|(known, _)| *known == index).map(|(_, value)| value)
    }

    /// The text with its values and comments encrypted, and the MAC over the values.
    fn encrypted_body(
        &self,
        cipher: &Cipher,
        selection: &Selection,
        mac_only_encrypted: bool,
    ) -> Result<(String, String), SealError> {
        let text = self.document.text();
        let mut edits = Edits::default();
        let mut mac = Mac::new(mac_only_encrypted);
        let remarks = comments::remarks(&self.document);
        let marks = Marks::with_remarks(&self.document, selection, &remarks);
        refuse_unlike_copies(&self.document, &marks)?;
        let leaves = self.document.leaves().zip(marks.leaves()).zip(self.document.copies());
        for (index, (((path, node), encrypts), is_copy)) in leaves.enumerate() {
            let Some(value) = self.value(index, node)? else { continue };
            mac.add(value.as_ref(), encrypts);
            if is_copy {
                continue;
            }
            let place = Place::of(node);
            let is_set = self.set_value(index).is_some();
            if !encrypts && self.document.is_ambiguous(node) && !is_set {
                return Err(SealError::Value(OpenError::Scalar {
                    position: node.position(),
                    path: path.to_path(),
                    reason: ScalarError::Ambiguous,
                }));
            }
            // What was not set and stays in the clear, or empty, keeps its bytes.
            if !is_set && (!encrypts || value.bytes.is_empty()) {
                continue;
            }
            if !encrypts {
                shape::check_clear(self.document.format(), &path.to_path(), &value.bytes, place)?;
            }
            // A ciphertext has no use for the quotes of the draft.
            let place = if encrypts { Place { style: Style::Plain, ..place } } else { place };
            let value = stored(cipher, encrypts, &path.additional_data(), value.as_ref())?;
            splice::replace(&mut edits, &self.document, node, &value, place);
        }
        comments::encrypt(&mut edits, &self.document, cipher, selection, &remarks, &marks)?;
        let body = edits.apply(text).map_err(|_| SealError::unsound("changes that overlap"))?;
        Ok((body, mac.finish()))
    }

    /// Every leaf of the draft is there, in its place, with its value, and encrypted where the rule says so.
    fn check(&self, sealed: &Encrypted, values: &Values) -> Result<(), SealError> {
        if !self.document.paths().eq(sealed.document.paths()) {
            return Err(SealError::unsound("other keys than the document has"));
        }
        let leaves = self.document.leaves().zip(sealed.marked_leaves()).zip(values.iter());
        for (index, (((path, node), (_, written, encrypted)), value)) in leaves.enumerate() {
            let wanted = self.value(index, node)?;
            let empty = wanted.as_ref().is_none_or(|value| value.bytes.is_empty());
            let hidden = empty || written.as_str().is_some_and(is_encrypted);
            if value != wanted.as_ref().map(Plain::as_ref) || (encrypted && !hidden) {
                return Err(SealError::unsound(format!("{path} is not what it was set to")));
            }
        }
        Ok(())
    }
}

/// The encrypted text with sops's metadata behind it.
fn with_block(format: Format, mut body: String, block: &NewBlock<'_>) -> Result<String, SealError> {
    let lines = match format {
        Format::Json | Format::Binary => {
            let tree = format.tree(body).map_err(|error| SealError::unsound(error.to_string()))?;
            let edits = json::with_block(&tree, block).ok_or_else(|| SealError::unsound("no object"))?;
            return edits.apply(tree.text()).map_err(|_| SealError::unsound("changes that overlap"));
        }
        Format::Yaml => return with_yaml_blocks(body, &yaml_block(block)),
        Format::Dotenv => dotenv::block(block),
        Format::Ini => ini::block(&body, block),
    };
    if !(body.is_empty() || body.ends_with('\n')) {
        body.push('\n');
    }
    body.push_str(&lines);
    Ok(body)
}

/// sops reads the block of the first document, and writes the same into all.
fn with_yaml_blocks(body: String, block: &str) -> Result<String, SealError> {
    let tree = Format::Yaml.tree(body).map_err(|error| SealError::unsound(error.to_string()))?;
    let body = tree.text();
    let block = block.replace('\n', newline(body));
    let starts = tree.documents().skip(1).map(|document| document.start());
    let mut edits = Edits::default();
    for end in starts.chain([body.len()]) {
        let newline = if body[..end].ends_with('\n') { "" } else { newline(body) };
        edits.replace(end..end, format!("{newline}{block}"));
    }
    edits.apply(body).map_err(|_| SealError::unsound("changes that overlap"))
}

/// Each document ends where a block of lines can go on.
fn check_layout(document: &Document) -> Result<(), DraftError> {
    let text = document.text();
    let has_markers = text.lines().any(|line| line.starts_with('%') || line.starts_with("..."));
    let starts_line = |at: usize| matches!(&text[..at], "" | "\u{feff}") || text[..at].ends_with('\n');
    for document in document.tree().documents() {
        let root = document.root().and_then(Node::as_mapping);
        let is_block = root.is_some_and(|root| {
            let starts_lines = root.entries().all(|entry| starts_line(entry.key_node.full_span().start));
            !root.is_flow() && root.entries().len() > 0 && starts_lines
        });
        if has_markers || !is_block {
            return Err(DraftError::Layout { position: document.position() });
        }
    }
    Ok(())
}

/// Whether a comment is one that sops has encrypted.
fn is_encrypted_comment(comment: &str) -> bool {
    comment.trim_start_matches(['#', ';']).trim_start().starts_with("ENC[")
}
