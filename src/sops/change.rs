//! Changes to an opened file: which are possible, and what they do to the text.

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::yaml::{Id, Kind, Mapping, Node, Position};

use super::document::METADATA;
use super::encrypted::Encrypted;
use super::open::{Change, Opened};
use super::path::{Path, Segment};
use super::render;
use super::shape;
use super::value::{PlainRef, Type};

/// Why a leaf cannot be set or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The path is empty, or leads into sops's own block.
    #[error("`{path}` is not a place for a value")]
    NotAPlace {
        /// The path.
        path: Path,
    },
    /// On the way stands a text or a list where a mapping is needed, or the other way round.
    #[error("{path}: `{at}` is a {found}, which has no such place in it")]
    WrongWay {
        /// The path.
        path: Path,
        /// How far it leads.
        at: Path,
        /// What is there.
        found: &'static str,
    },
    /// The path ends at a mapping or a list.
    #[error("{path} is a {found}, not a single value")]
    NotALeaf {
        /// The path.
        path: Path,
        /// What is there.
        found: &'static str,
    },
    /// The list has no such element; elements are not appended.
    #[error("{path}: the list has no such element")]
    NoElement {
        /// The path.
        path: Path,
    },
    /// A merge key is not inserted.
    #[error("{path} would be a new merge key (<<)")]
    MergeKey {
        /// The path.
        path: Path,
    },
    /// An alias stands for what is there, or what is there is an alias.
    #[error("{path} is shared by the alias at {alias}: write out what the alias stands for first")]
    Aliased {
        /// The path.
        path: Path,
        /// The alias.
        alias: Position,
    },
    /// The format has no way to write a value there, or to write that value in the clear.
    #[error("{path}: {reason}")]
    NotInFormat {
        /// The path.
        path: Path,
        /// What is in the way.
        reason: &'static str,
    },
    /// There is nothing to remove.
    #[error("{path} is not in the file")]
    Missing {
        /// The path.
        path: Path,
    },
    /// Elements of lists are not removed.
    #[error("{path} is an element of a list, which is not removed by itself")]
    Element {
        /// The path.
        path: Path,
    },
    /// Another change that waits is above or below this one.
    #[error("{path} and {other} cannot both be values")]
    Conflict {
        /// The path.
        path: Path,
        /// The path of the other change.
        other: Path,
    },
}

/// Where a path leads.
pub(super) enum Place<'t> {
    /// To a scalar.
    Leaf(Node<'t>),
    /// To a mapping that lacks the rest of it, which is keys only and at least one.
    Lacking(Mapping<'t>, Vec<String>),
}

/// Follows `path` from the root.
pub(super) fn locate<'t>(root: Mapping<'t>, path: &Path) -> Result<Place<'t>, ChangeError> {
    let path_error = || path.clone();
    if path.0.is_empty() || path.0.first() == Some(&Segment::Key(METADATA.to_owned())) {
        return Err(ChangeError::NotAPlace { path: path_error() });
    }
    let mut node = root.node();
    for (depth, segment) in path.0.iter().enumerate() {
        let next = match (node.kind(), segment) {
            (Kind::Mapping(mapping), Segment::Key(key)) => match mapping.get(key) {
                Some(value) => Some(value),
                None => return not_aliased(node, path).and_then(|()| lacking(mapping, path, depth)),
            },
            (Kind::Sequence(list), Segment::Index(index)) => list.items().nth(*index),
            _ => {
                not_aliased(node, path)?;
                let at = Path(path.0[..depth].to_vec());
                return Err(ChangeError::WrongWay { path: path_error(), at, found: node.describe() });
            }
        };
        node = next.ok_or_else(|| ChangeError::NoElement { path: path_error() })?;
    }
    not_aliased(node, path)?;
    match node.kind() {
        Kind::Scalar(..) => Ok(Place::Leaf(node)),
        _ => Err(ChangeError::NotALeaf { path: path_error(), found: node.describe() }),
    }
}

/// What stands in two places is not changed in one.
fn not_aliased(node: Node<'_>, path: &Path) -> Result<(), ChangeError> {
    let alias = if matches!(node.kind(), Kind::Alias(_)) { Some(node) } else { node.alias() };
    match alias {
        Some(alias) => Err(ChangeError::Aliased { path: path.clone(), alias: alias.position() }),
        None => Ok(()),
    }
}

fn lacking<'t>(mapping: Mapping<'t>, path: &Path, depth: usize) -> Result<Place<'t>, ChangeError> {
    if path.0[depth..].iter().any(|segment| matches!(segment, Segment::Key(key) if key == "<<")) {
        return Err(ChangeError::MergeKey { path: path.clone() });
    }
    let keys = path.0[depth..].iter().map(|segment| match segment {
        Segment::Key(key) => Ok(key.clone()),
        Segment::Index(_) => Err(ChangeError::NoElement { path: path.clone() }),
    });
    Ok(Place::Lacking(mapping, keys.collect::<Result<_, _>>()?))
}

impl Encrypted {
    /// Whether the file's rule selects the leaf that is, or would be, at `path`.
    pub(super) fn encrypts(&self, path: &Path, place: &Place<'_>) -> bool {
        self.selection().encrypts(path).unwrap_or_else(|| match place {
            Place::Leaf(_) => self.marked_leaf(path).is_none_or(|(_, encrypted)| encrypted),
            Place::Lacking(mapping, _) => self.marks.end(mapping.node().id()).unwrap_or(true),
        })
    }
}

impl Opened {
    /// Lets the leaf at `path` be `value`, a string. A leaf that is there is replaced in place; one that is not is
    /// inserted behind its last sibling, with the mappings that lack. A leaf that has this very value is left alone.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing is changed then.
    pub fn set(&mut self, path: &Path, value: &Secret) -> Result<(), ChangeError> {
        self.set_bytes(path, value.expose().as_bytes())
    }

    /// The same for bytes, which need not be text where the leaf is encrypted.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing is changed then.
    pub fn set_bytes(&mut self, path: &Path, value: &[u8]) -> Result<(), ChangeError> {
        let place = self.locate(path)?;
        let encrypted = self.file.encrypts(path, &place);
        if matches!(place, Place::Leaf(_)) && self.holds(path, value) {
            self.changes.retain(|(changed, _)| changed != path);
            return Ok(());
        }
        let format = self.file.format();
        if let Place::Lacking(..) = place {
            shape::check_new(format, path)?;
        }
        if !encrypted {
            let at = match place {
                Place::Leaf(node) => render::Place::of(node),
                Place::Lacking(..) => render::Place::BLOCK,
            };
            shape::check_clear(format, path, value, at)?;
        }
        self.record(path, Change::Set(Zeroizing::new(value.to_owned())))
    }

    /// Takes the leaf at `path`, with its key and its line, out of the file. Comments above it stay.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing is changed then.
    pub fn remove(&mut self, path: &Path) -> Result<(), ChangeError> {
        let waits = self.changes.iter().position(|(changed, _)| changed == path);
        let is_there = matches!(self.locate(path)?, Place::Leaf(_));
        match (is_there, waits) {
            (false, None) => Err(ChangeError::Missing { path: path.clone() }),
            (false, Some(index)) => {
                self.changes.remove(index);
                Ok(())
            }
            (true, _) if matches!(path.0.last(), Some(Segment::Index(_))) => {
                Err(ChangeError::Element { path: path.clone() })
            }
            (true, _) => self.record(path, Change::Remove),
        }
    }

    fn locate(&self, path: &Path) -> Result<Place<'_>, ChangeError> {
        let root = self.file.document.root().ok_or_else(|| ChangeError::NotAPlace { path: path.clone() })?;
        locate(root, path)
    }

    /// Whether the leaf is this string already.
    fn holds(&self, path: &Path, value: &[u8]) -> bool {
        self.value(path) == Some(PlainRef { kind: Type::Str, bytes: value })
    }

    fn record(&mut self, path: &Path, change: Change) -> Result<(), ChangeError> {
        let nested = |(other, _): &&(Path, Change)| {
            *other != *path && (other.0.starts_with(&path.0) || path.0.starts_with(&other.0))
        };
        if let Some((other, _)) = self.changes.iter().find(nested) {
            return Err(ChangeError::Conflict { path: path.clone(), other: other.clone() });
        }
        self.changes.retain(|(changed, _)| changed != path);
        self.changes.push((path.clone(), change));
        Ok(())
    }
}

/// A value as it will stand in the file.
#[derive(Clone, Debug)]
pub(super) enum Stored {
    Encrypted(String),
    Clear(String),
}

/// What is new below a mapping.
#[derive(Debug)]
pub(super) enum Growth {
    Leaf(Stored),
    Mapping(Vec<(String, Growth)>),
}

/// New keys, by the mapping that they go into.
#[derive(Debug, Default)]
pub(super) struct Additions(pub(super) Vec<(Id, Vec<(String, Growth)>)>);

impl Additions {
    /// Adds the leaf that the mapping lacks under `keys`. Conflicts were refused when the change was recorded.
    pub(super) fn add(&mut self, mapping: Mapping<'_>, keys: Vec<String>, value: Stored) {
        let id = mapping.node().id();
        let index = self.0.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
            self.0.push((id, Vec::new()));
            self.0.len() - 1
        });
        grow(&mut self.0[index].1, keys.into_iter(), value);
    }
}

fn grow(level: &mut Vec<(String, Growth)>, mut keys: std::vec::IntoIter<String>, value: Stored) {
    let Some(key) = keys.next() else { return };
    if keys.len() == 0 {
        level.push((key, Growth::Leaf(value)));
        return;
    }
    if let Some((_, Growth::Mapping(below))) = level.iter_mut().find(|(known, _)| *known == key) {
        return grow(below, keys, value);
    }
    let mut below = Vec::new();
    grow(&mut below, keys, value);
    level.push((key, Growth::Mapping(below)));
}
