//! A SOPS file as it lies in the repository: who may read it, what it says about itself, its leaves as stored. Nothing
//! here needs a key.

use std::collections::BTreeSet;
use std::fmt;

use super::document::{Document, StructureError};
use super::format::Format;
use super::keys::Recipient;
use super::marks::Marks;
use super::metadata::{Metadata, MetadataError};
use super::other::OtherReader;
use super::path::{LeafPath, Path};
use super::policy::Rule;
use super::reader::Reader;
use super::selection::Selection;
use crate::yaml::Node;

/// Why bytes are not a SOPS file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not a document that sops could hold.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// The `sops` block.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// A SOPS file, parsed and not opened.
#[derive(Debug)]
pub struct Encrypted {
    pub(super) document: Document,
    pub(super) metadata: Metadata,
    /// What the file's own rule selects.
    pub(super) marks: Marks,
}

impl Encrypted {
    /// Parses the bytes of a file.
    ///
    /// # Errors
    /// [`DocumentError`]; no other outcome, whatever the bytes.
    pub fn parse(format: Format, bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::of(Document::parse(format, bytes)?)
    }

    /// Parses the text of a file, which is kept and not copied.
    ///
    /// # Errors
    /// [`DocumentError`]; no other outcome, whatever the text.
    pub fn of_text(format: Format, text: String) -> Result<Self, DocumentError> {
        Self::of(Document::of_text(format, text)?)
    }

    fn of(document: Document) -> Result<Self, DocumentError> {
        let root = document.root().ok_or(StructureError::RootNotMapping)?;
        let metadata = Metadata::read(root, document.format())?;
        let marks = Marks::of(&document, &metadata.selection);
        Ok(Self { document, metadata, marks })
    }

    /// The same file with another text.
    pub(super) fn with_text(&self, text: String) -> Result<Self, DocumentError> {
        let file = Self::of_text(self.format(), text)?;
        Ok(file.with_exact_integers(self.document.exact_integers()))
    }

    pub(super) fn with_exact_integers(self, exact: bool) -> Self {
        Self { document: self.document.with_exact_integers(exact), ..self }
    }

    /// How the file is written down.
    #[must_use]
    pub fn format(&self) -> Format {
        self.document.format()
    }

    /// Everybody who can read the file, each once. The list is not authenticated: it says who can read, never who should.
    #[must_use]
    pub fn readers(&self) -> Vec<&Reader> {
        let mut readers: Vec<&Reader> = Vec::new();
        for entry in self.metadata.readers.entries() {
            if !readers.iter().any(|known| known.is_same_key(&entry.reader)) {
                readers.push(&entry.reader);
            }
        }
        readers
    }

    /// The age recipients among them.
    #[must_use]
    pub fn recipients(&self) -> Vec<&Recipient> {
        let recipients = self.readers().into_iter().filter_map(|reader| match reader {
            Reader::Age(recipient) => Some(recipient),
            Reader::Other(_) => None,
        });
        recipients.collect()
    }

    /// Those with keys of other types.
    #[must_use]
    pub fn other_readers(&self) -> Vec<&OtherReader> {
        let others = self.readers().into_iter().filter_map(|reader| match reader {
            Reader::Other(reader) => Some(reader),
            Reader::Age(_) => None,
        });
        others.collect()
    }

    /// The readers by groups: one where any reader opens the file, several where it takes [`Encrypted::threshold`] of them,
    /// one reader of each.
    #[must_use]
    pub fn groups(&self) -> Vec<Vec<&Reader>> {
        let groups = self.metadata.readers.groups.iter();
        groups.map(|group| group.entries.iter().map(|entry| &entry.reader).collect()).collect()
    }

    /// How many groups it takes to open the file.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.metadata.readers.threshold
    }

    /// What is encrypted, according to the file.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.metadata.selection
    }

    /// The scalar at `path` as stored: for an encrypted leaf its `ENC[…]`.
    #[must_use]
    pub fn leaf(&self, path: &Path) -> Option<&str> {
        self.document.leaf(path)?.as_str()
    }

    /// All scalars in order, and whether the file's rule selects them.
    pub(super) fn marked_leaves(&self) -> impl Iterator<Item = (LeafPath<'_>, Node<'_>, bool)> + Clone {
        self.marked_leaves_from(0)
    }

    /// Those from this number on.
    pub(super) fn marked_leaves_from(
        &self,
        first: usize,
    ) -> impl Iterator<Item = (LeafPath<'_>, Node<'_>, bool)> + Clone {
        let leaves = self.document.leaves_from(first).zip(self.marks.leaves_from(first));
        leaves.map(|((path, node), is_marked)| (path, node, is_marked))
    }

    /// The scalar at `path` in the first document, and whether the file's rule selects it.
    pub(super) fn marked_leaf(&self, path: &Path) -> Option<(Node<'_>, bool)> {
        let index = self.document.index_of(path)?;
        Some((self.document.leaf_at(index)?, self.marks.leaf(index)))
    }

    /// Paths of all scalars in the order of the file. In a file of several documents two may have the same path; a path
    /// leads to the first document.
    pub fn leaf_paths(&self) -> impl ExactSizeIterator<Item = Path> {
        self.document.paths().map(LeafPath::to_path)
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        self.document.text()
    }

    /// Where the file and the rule that should hold for it disagree; empty when they agree.
    #[must_use]
    pub fn differences(&self, rule: &Rule) -> Vec<Difference> {
        let mut differences = Vec::new();
        let have: BTreeSet<&Recipient> = self.recipients().into_iter().collect();
        let wanted: BTreeSet<&Recipient> = rule.recipients().iter().collect();
        let missing = wanted.difference(&have).map(|recipient| Difference::Missing((*recipient).clone()));
        let extra = have.difference(&wanted).map(|recipient| Difference::Extra((*recipient).clone()));
        differences.extend(missing.chain(extra));
        let (present, named) = (self.other_readers(), rule.other_readers());
        let missing = named.iter().filter(|reader| !present.iter().any(|one| one.is_same_key(reader)));
        let extra = present.iter().filter(|reader| !named.iter().any(|one| one.is_same_key(reader)));
        differences.extend(missing.cloned().map(Difference::MissingReader));
        differences.extend(extra.map(|reader| Difference::ExtraReader((*reader).clone())));
        let readers = &self.metadata.readers;
        if !readers.has_shape_of(rule) {
            let file = (readers.threshold, readers.groups.len());
            differences.push(Difference::Threshold { file, rule: (rule.threshold(), rule.groups().len()) });
        } else if differences.is_empty()
            && !readers.groups.iter().zip(rule.groups()).all(|(group, wanted)| group.is(wanted))
        {
            differences.push(Difference::Groups);
        }
        // A binary file has one value, which sops encrypts, and covers with the MAC, whatever the rule says.
        if self.format() == Format::Binary {
            return differences;
        }
        if self.metadata.selection != *rule.selection() {
            let (file, rule) = (self.metadata.selection.clone(), rule.selection().clone());
            differences.push(Difference::Selection { file, rule });
        }
        if self.metadata.mac_only_encrypted != rule.mac_only_encrypted() {
            differences.push(Difference::MacOnlyEncrypted { file: self.metadata.mac_only_encrypted });
        }
        differences
    }
}

/// One point on which a file and its rule disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The rule names a recipient that the file does not have.
    Missing(Recipient),
    /// The file has a recipient that the rule does not name.
    Extra(Recipient),
    /// The rule names a reader of another type that the file does not have.
    MissingReader(OtherReader),
    /// The file has a reader of another type that the rule does not name.
    ExtraReader(OtherReader),
    /// It takes another number of groups, or there is another number of them.
    Threshold {
        /// As in the file: how many of how many.
        file: (usize, usize),
        /// As in the rule.
        rule: (usize, usize),
    },
    /// The readers are those of the rule, and in other groups.
    Groups,
    /// Other leaves are encrypted.
    Selection {
        /// As in the file.
        file: Selection,
        /// As in the rule.
        rule: Selection,
    },
    /// The MAC covers other leaves; the rule says the opposite of the file.
    MacOnlyEncrypted {
        /// As in the file.
        file: bool,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(recipient) => write!(f, "{recipient} should read the file and cannot"),
            Self::Extra(recipient) => write!(f, "{recipient} can read the file and should not"),
            Self::MissingReader(reader) => write!(f, "{reader} should read the file and cannot"),
            Self::ExtraReader(reader) => write!(f, "{reader} can read the file and should not"),
            Self::Threshold { file, rule } => {
                write!(f, "{} open the file, and by the rule {}", of_groups(*file), of_groups(*rule))
            }
            Self::Groups => f.write_str("the file has its readers in other groups than the rule"),
            Self::Selection { file, rule } => write!(f, "the file has `{file}`, the rule has `{rule}`"),
            Self::MacOnlyEncrypted { file } => {
                write!(
                    f,
                    "the file has `mac_only_encrypted: {file}`, the rule has `mac_only_encrypted: {}`",
                    !file
                )
            }
        }
    }
}

fn of_groups((threshold, groups): (usize, usize)) -> String {
    match (threshold, groups) {
        (_, 1) => "any one key can".to_owned(),
        (threshold, groups) => format!("keys of {threshold} of {groups} groups can"),
    }
}
