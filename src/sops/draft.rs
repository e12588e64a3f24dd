//! A document in the clear that becomes a new SOPS file. It has no way to be written, and none to show its text with
//! secrets in it: the only way out is [`Sealed`].

use jiff::Timestamp;

use crate::secret::Secret;
use crate::yaml::{Position, Style};

use super::comments;
use super::document::{Document, METADATA, StructureError};
use super::edit::Edits;
use super::encrypted::Encrypted;
use super::keys::Recipient;
use super::mac::Mac;
use super::metadata::{Stanza, new_block};
use super::path::Path;
use super::policy::Rule;
use super::render::Place;
use super::scalar::{self, ScalarError};
use super::seal::{SealError, Sealed, check_encrypted, encrypted_mac, last_modified, refuse_clear, stored};
use super::selection::Selection;
use super::splice;
use super::value::{Cipher, DataKey, Plain, is_encrypted};

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
        "the document must be a block of `key: value` lines that start in column 1, without directives and `...`"
    )]
    Layout,
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
    values: Vec<(Path, Secret)>,
}

/// Shows where values were put, and nothing else.
impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.values.iter().map(|(path, _)| path)).finish()
    }
}

impl Draft {
    /// Reads a document. Its layout and comments are kept.
    ///
    /// # Errors
    /// [`DraftError`].
    pub fn parse(text: &str) -> Result<Self, DraftError> {
        let document = Document::parse(text.as_bytes())?;
        let root = document.root().ok_or(StructureError::RootNotMapping)?;
        if let Some(entry) = root.entry(METADATA) {
            return Err(DraftError::SopsKey { position: entry.key_node.position() });
        }
        let starts_lines = root.entries().all(|entry| entry.key_node.position().column == 1);
        let has_markers = text.lines().any(|line| line.starts_with('%') || line.starts_with("..."));
        if root.is_flow()
            || root.entries().len() == 0
            || !starts_lines
            || has_markers
            || text.starts_with('\u{feff}')
        {
            return Err(DraftError::Layout);
        }
        for (path, node) in document.leaves() {
            if node.as_str().is_some_and(is_encrypted) {
                return Err(DraftError::Encrypted { position: node.position() });
            }
            scalar::value(node).map_err(|reason| DraftError::Scalar {
                position: node.position(),
                path: path.clone(),
                reason,
            })?;
        }
        let tree = document.tree();
        if let Some(comment) =
            tree.comments().iter().find(|comment| text[comment.span.clone()].starts_with("#ENC["))
        {
            return Err(DraftError::Encrypted { position: tree.position(comment.span.start) });
        }
        Ok(Self { document, values: Vec::new() })
    }

    /// Every scalar in order: its path, its text as in the document (not what was set), and where it stands.
    pub fn leaves(&self) -> impl ExactSizeIterator<Item = (&Path, &str, Position)> {
        self.document.leaves().map(|(path, node)| (path, node.as_str().unwrap_or_default(), node.position()))
    }

    /// Lets the leaf at `path` be `value`, a string.
    ///
    /// # Errors
    /// [`DraftError::NoLeaf`].
    pub fn set(&mut self, path: &Path, value: Secret) -> Result<(), DraftError> {
        if self.document.leaf(path).is_none() {
            return Err(DraftError::NoLeaf { path: path.clone() });
        }
        self.values.retain(|(known, _)| known != path);
        self.values.push((path.clone(), value));
        Ok(())
    }

    /// The SOPS file, for the recipients of `rule`. `now` becomes `lastmodified`. Every path of `must_be_encrypted` is in
    /// the result, and encrypted.
    ///
    /// # Errors
    /// [`SealError`]: a path that the rule leaves in the clear, a rule that selects nothing, a comment that cannot be
    /// kept, nobody to encrypt for, no random bytes.
    pub fn seal(&self, rule: &Rule, now: Timestamp, must_be_encrypted: &[Path]) -> Result<Sealed, SealError> {
        refuse_clear(rule.selection(), must_be_encrypted)?;
        if let Some(reader) = rule.other_readers().first() {
            let reason = "keys of this type are not supported yet".to_owned();
            return Err(SealError::Wrap { recipient: reader.to_string(), reason });
        }
        let key = DataKey::generate()?;
        let cipher = Cipher::new(&key);
        let (body, mac) = self.encrypted_body(&cipher, rule)?;
        let time = last_modified(now);
        let mac = encrypted_mac(&cipher, &mac, &time)?;
        let block = new_block(
            &wrap(&key, rule.recipients())?,
            rule.selection(),
            rule.mac_only_encrypted(),
            &time,
            &mac,
        );
        let newline = if body.ends_with('\n') { "" } else { "\n" };
        let sealed = Encrypted::parse(format!("{body}{newline}{block}").as_bytes())?;
        check_encrypted(&sealed, must_be_encrypted)?;
        sealed.verify(&cipher).map_err(|error| SealError::unsound(error.to_string()))?;
        self.check(&sealed, &cipher, rule)?;
        Ok(Sealed::of_verified(sealed))
    }

    /// What a leaf will be; `None` for null.
    fn value(&self, path: &Path, node: crate::yaml::Node<'_>) -> Result<Option<Plain>, SealError> {
        match self.set_value(path) {
            Some(value) => Ok(Some(Plain::str(value.expose()))),
            // `parse` has looked at every scalar.
            None => scalar::value(node).map_err(|reason| SealError::unsound(reason.to_string())),
        }
    }

    fn set_value(&self, path: &Path) -> Option<&Secret> {
        self.values.iter().find(|(known, _)| known == path).map(|(_, value)| value)
    }

    /// The text with its values and comments encrypted, and the MAC over the values.
    fn encrypted_body(&self, cipher: &Cipher, rule: &Rule) -> Result<(String, String), SealError> {
        let text = self.document.text();
        let selection = rule.selection();
        let mut edits = Edits::default();
        let mut mac = Mac::new(rule.mac_only_encrypted());
        for (path, node) in self.document.leaves() {
            let Some(value) = self.value(path, node)? else { continue };
            let encrypts = selection.encrypts(path);
            mac.add(&value, encrypts);
            let place = Place::of(node);
            if encrypts {
                // A stored value has no use for the quotes of the draft; an empty one keeps them.
                let place = Place { style: Style::Plain, ..place };
                let unchanged = value.bytes.is_empty() && self.set_value(path).is_none();
                if !unchanged {
                    splice::replace(&mut edits, text, node, &stored(cipher, selection, path, &value)?, place);
                }
            } else if self.set_value(path).is_some() {
                splice::replace(&mut edits, text, node, &stored(cipher, selection, path, &value)?, place);
            }
        }
        comments::encrypt(&mut edits, &self.document, cipher, selection)?;
        let body = edits.apply(text).map_err(|_| SealError::unsound("changes that overlap"))?;
        Ok((body, mac.finish()))
    }

    /// Every leaf of the draft is there, in its place, with its value, and encrypted where the rule says so.
    fn check(&self, sealed: &Encrypted, cipher: &Cipher, rule: &Rule) -> Result<(), SealError> {
        if !self.document.leaves().map(|(path, _)| path).eq(sealed.leaf_paths()) {
            return Err(SealError::unsound("other keys than the document has"));
        }
        for ((path, node), (_, written)) in self.document.leaves().zip(sealed.document.leaves()) {
            let wanted = self.value(path, node)?;
            let empty = wanted.as_ref().is_none_or(|value| value.bytes.is_empty());
            let hidden = empty || written.as_str().is_some_and(is_encrypted);
            if sealed.value(cipher, path, written)? != wanted || (rule.selection().encrypts(path) && !hidden)
            {
                return Err(SealError::unsound(format!("{path} is not what it was set to")));
            }
        }
        Ok(())
    }
}

fn wrap(key: &DataKey, recipients: &[Recipient]) -> Result<Vec<Stanza>, SealError> {
    if recipients.is_empty() {
        return Err(SealError::NoRecipient);
    }
    let wrapped = recipients.iter().map(|recipient| match recipient.wrap(key) {
        Ok(wrapped) => Ok(Stanza { recipient: recipient.clone(), wrapped }),
        Err(error) => Err(SealError::Wrap { recipient: recipient.to_string(), reason: error.to_string() }),
    });
    wrapped.collect()
}

/// Path of the only leaf of [`seal_value`].
#[must_use]
pub fn value_path() -> Path {
    Path::of_keys(["value"])
}

/// One value as a document of its own, `value: ENC[…]`, encrypted whatever the rule selects; for a journal. It opens
/// with [`Encrypted::open`], and the value is at [`value_path`].
///
/// # Errors
/// [`SealError`]: an empty value, nobody to encrypt for, no random bytes.
pub fn seal_value(value: &Secret, rule: &Rule, now: Timestamp) -> Result<Sealed, SealError> {
    let rule = Rule::own(rule.recipients().iter().cloned());
    let mut draft = Draft::parse("value:\n").map_err(|error| SealError::unsound(error.to_string()))?;
    let secret = Secret::new(value.expose().to_owned());
    draft.set(&value_path(), secret).map_err(|error| SealError::unsound(error.to_string()))?;
    debug_assert_eq!(*rule.selection(), Selection::default());
    draft.seal(&rule, now, &[value_path()])
}
