//! Sealing: changes become bytes, and the bytes are read back and verified before anybody may write them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::change::{Additions, ChangeError, Place, Stored, locate};
use super::document::{Document, METADATA};
use super::edit::Edits;
use super::encrypted::{DocumentError, Encrypted};
use super::keys::OutsideError;
use super::marks::Marks;
use super::open::{Change, OpenError, Opened};
use super::path::{LeafPath, Path};
use super::random::NoRandomness;
use super::render;
use super::selection::Selection;
use super::splice;
use super::value::{Cipher, Plain, PlainRef, Type, ValueError, is_encrypted};
use super::values::{self, Values};
use crate::yaml::Position;

/// The bytes of a SOPS file that may be written: verified, and nothing in it is in the clear that should not be.
pub struct Sealed {
    file: Encrypted,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").field("recipients", &self.file.recipients()).finish_non_exhaustive()
    }
}

impl Sealed {
    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.file.text().as_bytes()
    }

    /// The scalar at `path` as stored.
    #[must_use]
    pub fn leaf(&self, path: &Path) -> Option<&str> {
        self.file.leaf(path)
    }

    /// The file that the bytes are.
    #[must_use]
    pub fn file(&self) -> &Encrypted {
        &self.file
    }
}

/// Why a document is not sealed. Nothing may be written then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A value that must be encrypted would be in the clear.
    #[error("{path} would be written in the clear: the rule `{rule}` does not select it")]
    LeftClear {
        /// The leaf.
        path: Path,
        /// The rule.
        rule: Selection,
    },
    /// A value that must be encrypted is empty, and sops leaves empty values in the clear.
    #[error("{path} is empty, and sops does not encrypt empty values")]
    Empty {
        /// The leaf.
        path: Path,
    },
    /// A value that must be encrypted is not there.
    #[error("{path} is not in the document")]
    Missing {
        /// The leaf.
        path: Path,
    },
    /// The whole file would be in the clear.
    #[error("nothing in the file would be encrypted: the rule `{rule}` selects no value")]
    NothingEncrypted {
        /// The rule.
        rule: Selection,
    },
    /// There is nobody to encrypt for.
    #[error("there is no recipient to encrypt for")]
    NoRecipient,
    /// A comment that should be encrypted stands where readers disagree to what it belongs.
    #[error(
        "line {line}: this comment cannot be encrypted where it stands, as stock sops would move or lose it: put it on a line of its own right above a key, as far to the right as the key"
    )]
    Comment {
        /// Line of the comment.
        line: usize,
    },
    /// A comment of an INI file from which stock sops cannot be brought to write the file again.
    #[error("line {line}: stock sops fails on a comment that begins with an empty line: take that line out")]
    EmptyLine {
        /// Line of the comment.
        line: usize,
    },
    /// An entry that cannot be taken out without touching others.
    #[error("{path} cannot be removed without changing what stands around it")]
    Removal {
        /// The leaf.
        path: Path,
    },
    /// A comment that decides what is encrypted stands where readers disagree to what it belongs, or it would match its
    /// own ciphertext.
    #[error(
        "line {line}: stock sops may see another place for this comment, which decides what is encrypted: put it on a line of its own right above a key, as far to the right as the key"
    )]
    Marker {
        /// Line of the comment.
        line: usize,
    },
    /// A comment that decides what is encrypted would decide about another leaf.
    #[error(
        "the comment above what is removed would then decide whether {path} is encrypted: take the comment away first"
    )]
    Shifted {
        /// The other leaf.
        path: Path,
    },
    /// An alias stands for a value that would be stored otherwise in the place of the alias.
    #[error(
        "{position}: {path} is an alias, and what it stands for is encrypted otherwise elsewhere: write the value out"
    )]
    Aliased {
        /// What the alias stands for.
        position: Position,
        /// The leaf in the place of the alias.
        path: Path,
    },
    /// A change that the document does not allow.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A value of the document.
    #[error(transparent)]
    Value(#[from] OpenError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The data key could not be wrapped.
    #[error("the data key cannot be encrypted for {recipient}: {error}")]
    Wrap {
        /// For whom.
        recipient: String,
        /// What age, its plugin or the key service says.
        error: OutsideError,
    },
    /// What was made does not read back as it should: a defect here, caught before anything was written.
    #[error("the new file does not read back as it should ({what}); nothing was written, please report this")]
    Unsound {
        /// What is wrong with it.
        what: String,
    },
}

impl SealError {
    pub(super) fn unsound(what: impl Into<String>) -> Self {
        Self::Unsound { what: what.into() }
    }
}

impl From<DocumentError> for SealError {
    fn from(error: DocumentError) -> Self {
        Self::unsound(error.to_string())
    }
}

/// A value on its way into a file.
pub(super) fn stored(
    cipher: &Cipher,
    encrypted: bool,
    additional_data: &str,
    value: PlainRef<'_>,
) -> Result<Stored, SealError> {
    if encrypted {
        return match cipher.encrypt(value, additional_data) {
            Ok(text) => Ok(Stored::Encrypted(text)),
            Err(ValueError::NoRandomness(error)) => Err(error.into()),
            Err(error) => Err(SealError::unsound(error.to_string())),
        };
    }
    let text = str::from_utf8(value.bytes).map_err(|_| SealError::unsound("a value that is not text"))?;
    Ok(Stored::Clear(text.to_owned()))
}

/// `lastmodified` as sops writes it: UTC, whole seconds.
pub(super) fn last_modified(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The MAC as it is stored.
pub(super) fn encrypted_mac(cipher: &Cipher, mac: &str, last_modified: &str) -> Result<String, SealError> {
    cipher.encrypt(Plain::str(mac).as_ref(), last_modified).map_err(|error| match error {
        ValueError::NoRandomness(error) => error.into(),
        other => SealError::unsound(other.to_string()),
    })
}

impl Opened {
    /// The file with the changes. Where they change nothing the bytes are those that were opened.
    ///
    /// `now` becomes `lastmodified`. Every path of `must_be_encrypted` is in the result, and encrypted.
    ///
    /// # Errors
    /// [`SealError`]: a path that the file's rule leaves in the clear, a result without any encrypted value, no random
    /// bytes.
    pub fn seal(&self, now: Timestamp, must_be_encrypted: &[Path]) -> Result<Sealed, SealError> {
        let rule = &self.file.metadata.selection;
        refuse_clear(rule, must_be_encrypted)?;
        let known = Some((&self.file, &self.values));
        let text = match self.replaced(now)? {
            Some(text) => text,
            None => {
                let edited = self.file.with_text(self.edited()?)?;
                let values = Values::of(&edited, &self.cipher, known)?;
                renewed(&edited, &values.mac(&edited), &self.cipher, now)?
            }
        };
        let sealed = self.file.with_text(text)?;
        check_encrypted(&sealed, must_be_encrypted)?;
        let values =
            sealed.verify(&self.cipher, known).map_err(|error| SealError::unsound(error.to_string()))?;
        self.check_changes(&sealed, &values)?;
        Ok(Sealed { file: sealed })
    }

    /// The new text where all changes are new values of leaves that are there, so that nothing moves and one look at the
    /// document is enough.
    fn replaced(&self, now: Timestamp) -> Result<Option<String>, SealError> {
        let document = &self.file.document;
        if self.changes.is_empty() {
            return Ok(Some(document.text().to_owned()));
        }
        let mut edits = Edits::default();
        let mut new = BTreeMap::new();
        for (path, change) in &self.changes {
            let (Change::Set(value), Some(index)) = (change, document.index_of(path)) else {
                return Ok(None);
            };
            let Some(node) = document.leaf_at(index) else { return Ok(None) };
            let value = Plain::new(Type::Str, value.as_slice());
            let stored =
                stored(&self.cipher, self.file.marks.leaf(index), &path.additional_data(), value.as_ref())?;
            splice::replace(&mut edits, document, node, &stored, render::Place::of(node));
            new.insert(index, value);
        }
        let values = self.values.iter().enumerate();
        let values = values.map(|(index, value)| new.get(&index).map(Plain::as_ref).or(value));
        stamp(&mut edits, &self.file, &values::mac(&self.file, values), &self.cipher, now)?;
        edits.apply(document.text()).map(Some).map_err(|_| SealError::unsound("changes that overlap"))
    }

    /// The text with the changes to leaves; `lastmodified` and `mac` are still the old ones.
    fn edited(&self) -> Result<String, SealError> {
        let mut text = self.file.text().to_owned();
        for (path, change) in &self.changes {
            if change.is_removal() {
                let document = self.reread(&text)?;
                let value = document.leaf(path).ok_or_else(|| SealError::Missing { path: path.clone() })?;
                let (range, rest) = splice::removal(&document, value)
                    .ok_or_else(|| SealError::Removal { path: path.clone() })?;
                text.replace_range(range, rest);
            }
        }
        let edited = self.file.with_text(text)?;
        self.check_marks(&edited)?;
        let document = &edited.document;
        let root = document.root().ok_or_else(|| SealError::unsound("no mapping"))?;
        let mut edits = Edits::default();
        let mut additions = Additions::default();
        for (path, change) in &self.changes {
            let Change::Set(value) = change else { continue };
            let place = locate(root, path)?;
            let encrypted = edited.encrypts(path, &place);
            let value = Plain::new(Type::Str, value.as_slice());
            let stored = stored(&self.cipher, encrypted, &path.additional_data(), value.as_ref())?;
            match place {
                Place::Leaf(node) => {
                    splice::replace(&mut edits, document, node, &stored, render::Place::of(node));
                }
                Place::Lacking(mapping, keys) => additions.add(mapping, keys, stored),
            }
        }
        // Several mappings may end on one line; the innermost goes first, and it has the highest id.
        additions.0.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        for (id, new) in &additions.0 {
            if let Some(mapping) = document.tree().node(*id).as_mapping() {
                splice::insert(&mut edits, document, mapping, new);
            }
        }
        edits.apply(document.text()).map_err(|_| SealError::unsound("changes that overlap"))
    }

    /// A comment that stands above a removed leaf would decide about the next one.
    fn check_marks(&self, edited: &Encrypted) -> Result<(), SealError> {
        if self.file.selection().comment_pattern().is_none() {
            return Ok(());
        }
        let is_removed = |path: LeafPath<'_>| {
            self.changes.iter().any(|(known, change)| path.is(known) && change.is_removal())
        };
        let leaves = self.file.document.all_leaves().zip(self.file.marks.leaves());
        let kept = leaves.filter(|((is_first, path, _), _)| !(*is_first && is_removed(*path)));
        let shifted = kept.zip(edited.marks.leaves()).find(|((_, was), is)| was != is);
        match shifted {
            Some((((_, path, _), _), _)) => Err(SealError::Shifted { path: path.to_path() }),
            None => Ok(()),
        }
    }

    /// Every leaf that was not to change is as it was, and in its place; every other is what it was set to.
    fn check_changes(&self, sealed: &Encrypted, values: &Values) -> Result<(), SealError> {
        if !self.kept_leaves(&self.file.document).eq(self.kept_leaves(&sealed.document)) {
            return Err(SealError::unsound("a value that was not to change has changed"));
        }
        for (path, change) in &self.changes {
            let index = sealed.document.index_of(path);
            let sound = match change {
                Change::Set(wanted) => {
                    let value = index.and_then(|index| values.get(index));
                    value == Some(PlainRef { kind: Type::Str, bytes: wanted })
                }
                Change::Remove => index.is_none(),
            };
            if !sound {
                return Err(SealError::unsound(format!("{path} is not what it was set to")));
            }
        }
        Ok(())
    }

    /// Paths and sources of the leaves that no change is about.
    fn kept_leaves<'d>(&self, document: &'d Document) -> impl Iterator<Item = (LeafPath<'d>, &'d str)> {
        let is_changed = |path: LeafPath<'_>| self.changes.iter().any(|(changed, _)| path.is(changed));
        let leaves = document.all_leaves();
        let kept = leaves.filter(move |(is_first, path, _)| !(*is_first && is_changed(*path)));
        kept.map(|(_, path, node)| (path, node.source()))
    }

    pub(super) fn reread(&self, text: &str) -> Result<Document, SealError> {
        Document::parse(self.file.format(), text.as_bytes())
            .map_err(|error| SealError::unsound(error.to_string()))
    }
}

/// The text of `file` with a new `lastmodified` and this MAC.
pub(super) fn renewed(
    file: &Encrypted,
    mac: &str,
    cipher: &Cipher,
    now: Timestamp,
) -> Result<String, SealError> {
    let mut edits = Edits::default();
    stamp(&mut edits, file, mac, cipher, now)?;
    edits.apply(file.text()).map_err(|_| SealError::unsound("changes that overlap"))
}

/// Puts a new `lastmodified` and this MAC into `file`.
fn stamp(
    edits: &mut Edits,
    file: &Encrypted,
    mac: &str,
    cipher: &Cipher,
    now: Timestamp,
) -> Result<(), SealError> {
    let time = last_modified(now);
    let mac = encrypted_mac(cipher, mac, &time)?;
    // sops reads the block of the first document and writes the same into all.
    for root in file.document.roots() {
        let field = |name: &str| root.get(METADATA)?.get(name).filter(|node| node.as_str().is_some());
        for (node, value) in [(field("lastmodified"), &time), (field("mac"), &mac)] {
            let Some(node) = node else { continue };
            let (value, place) = (Stored::Encrypted(value.clone()), render::Place::of(node));
            splice::replace(edits, &file.document, node, &value, place);
        }
    }
    Ok(())
}

/// What stands in several places by aliases must be stored in the same way in each.
pub(super) fn refuse_unlike_copies(document: &Document, marks: &Marks) -> Result<(), SealError> {
    let Some((path, node)) = marks.unlike_copy(document).and_then(|index| document.leaves().nth(index))
    else {
        return Ok(());
    };
    Err(SealError::Aliased { position: node.position(), path: path.to_path() })
}

/// A value that must be encrypted and that the rule leaves in the clear is refused before anything is made.
pub(super) fn refuse_clear(rule: &Selection, must_be_encrypted: &[Path]) -> Result<(), SealError> {
    match must_be_encrypted.iter().find(|path| rule.encrypts(path) == Some(false)) {
        Some(path) => Err(SealError::LeftClear { path: path.clone(), rule: rule.clone() }),
        None => Ok(()),
    }
}

/// Looks at what was made: the wanted leaves are `ENC[…]`, and at least one leaf is.
pub(super) fn check_encrypted(sealed: &Encrypted, must_be_encrypted: &[Path]) -> Result<(), SealError> {
    for path in must_be_encrypted {
        match sealed.leaf(path) {
            None => return Err(SealError::Missing { path: path.clone() }),
            Some("") => return Err(SealError::Empty { path: path.clone() }),
            Some(text) if is_encrypted(text) => {}
            Some(_) => {
                return Err(SealError::LeftClear { path: path.clone(), rule: sealed.selection().clone() });
            }
        }
    }
    let rule = sealed.selection();
    let any = sealed
        .marked_leaves()
        .any(|(_, node, encrypted)| encrypted && node.as_str().is_some_and(is_encrypted));
    if any { Ok(()) } else { Err(SealError::NothingEncrypted { rule: rule.clone() }) }
}

impl Sealed {
    /// Only for what has just been verified.
    pub(super) fn of_verified(file: Encrypted) -> Self {
        Self { file }
    }
}
