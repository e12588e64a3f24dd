//! The document in the clear, in its own layout: values and comments take the place of their ciphertext, and the `sops`
//! block goes.

use std::ops::Range;

use zeroize::Zeroizing;

use super::super::change::Stored;
use super::super::comments::{Remark, remarks};
use super::super::document::{Document, METADATA};
use super::super::format::Format;
use super::super::open::{OpenError, Opened};
use super::super::path::{LeafPath, Path};
use super::super::render::Place;
use super::super::value::{PlainRef, Type, is_encrypted};
use super::super::{dotenv, ini, json, splice};
use super::{Bytes, yaml};
use crate::yaml::Node;

/// Why a document is not shown. A value is never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevealError {
    /// A value.
    #[error(transparent)]
    Value(#[from] OpenError),
    /// The `sops` block cannot be taken out, or the text would not read back as it should.
    #[error("the document cannot be shown in its own format")]
    Layout,
}

/// A range of the file, and what is shown in its place.
pub(super) type Change = (Range<usize>, Zeroizing<String>);

impl Opened {
    /// The bytes of the value at `path`: texts as they are, numbers in decimal, `true` and `false`, times as in RFC 3339.
    /// `None` where there is no leaf, or null. Changes that wait are not seen.
    #[must_use]
    pub fn raw(&self, path: &Path) -> Option<Bytes> {
        self.value(path).map(raw)
    }

    /// The same for each leaf in the order of [`Encrypted::leaves`](super::super::Encrypted::leaves).
    pub fn raw_values(&self) -> impl Iterator<Item = Option<Bytes>> {
        self.values.iter().map(|value| value.map(raw))
    }

    /// The whole document in the clear: layout, order and comments stay as they are in the file, the `sops` block is gone.
    /// Of a binary file the content. Changes that wait are not seen.
    ///
    /// # Errors
    /// [`RevealError`].
    pub fn document(&self) -> Result<Bytes, RevealError> {
        let document = &self.file.document;
        let format = self.file.format();
        if format == Format::Binary {
            return Ok(self.raw(&Path::of_keys([json::DATA])).unwrap_or_default());
        }
        let mut changes = blocks(document).ok_or(RevealError::Layout)?;
        let mut values = Vec::new();
        let leaves = self.file.marked_leaves().zip(document.copies());
        for (((_, node, encrypted), is_copy), plain) in leaves.zip(self.values.iter()) {
            let is_comment = plain.is_some_and(|plain| plain.kind == Type::Comment);
            if let Some(plain) = plain
                && node.as_str().is_some_and(is_encrypted)
                && encrypted
                && !is_copy
                && !(is_comment && format == Format::Json)
            {
                changes.push(shown(document, node, plain).ok_or(RevealError::Layout)?);
            }
            if !is_comment {
                values.push(plain.map(|plain| read(format, plain)));
            }
        }
        if format == Format::Json {
            let comments = super::json::without_comments(document).into_iter();
            changes.extend(comments.map(|range| (range, Zeroizing::default())));
        }
        changes.extend(self.comments());
        let mut text = apply(document.text(), changes).ok_or(RevealError::Layout)?;
        if !reads_back(format, &text, &values) {
            return Err(RevealError::Layout);
        }
        Ok(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
    }

    /// The leaves that no alias leads to, whose nodes are in the order of the text.
    fn own_leaves(&self) -> impl Iterator<Item = (LeafPath<'_>, Node<'_>)> {
        let document = &self.file.document;
        document.leaves().zip(document.copies()).filter_map(|(leaf, is_copy)| (!is_copy).then_some(leaf))
    }

    /// The comments that decrypt. One that does not is passed through, as stock sops does: nothing vouches for comments.
    fn comments(&self) -> Vec<Change> {
        let document = &self.file.document;
        let leaves: Vec<(usize, LeafPath<'_>)> =
            self.own_leaves().map(|(path, node)| (node.span().start, path)).collect();
        let open = |remark: &Remark| {
            let stored = remark.text.trim();
            let span = remark.spans.first()?.clone();
            if !is_encrypted(stored) {
                return None;
            }
            let mut owners = vec![remark.home.path.clone()];
            if document.format() == Format::Yaml {
                owners.extend(around(&leaves, span.start));
            }
            let decrypt = |owner: &Path| self.cipher.decrypt(stored, &owner.additional_data()).ok();
            let plain = owners.iter().find_map(decrypt)?;
            let comment = str::from_utf8(&plain.bytes).ok()?;
            let mark = if document.format() == Format::Ini { "; " } else { "#" };
            Some((span, Zeroizing::new(format!("{mark}{comment}"))))
        };
        remarks(document).iter().filter_map(open).collect()
    }
}

/// What takes the `sops` block out of each document.
fn blocks(document: &Document) -> Option<Vec<Change>> {
    let text = document.text();
    let change = |(range, rest): (Range<usize>, &str)| (range, Zeroizing::new(rest.to_owned()));
    match document.format() {
        Format::Yaml | Format::Json | Format::Binary => {
            let blocks = document.roots().filter_map(|root| root.get(METADATA));
            blocks.map(|block| splice::removal(document, block).map(change)).collect()
        }
        Format::Dotenv => Some(dotenv::metadata(text).map(|range| change((range, ""))).collect()),
        Format::Ini => {
            let block = document.root()?.get(METADATA)?;
            Some(vec![change((ini::metadata(text, block), ""))])
        }
    }
}

/// What stands in the place of an encrypted value; `None` where the format has no way to write it.
fn shown(document: &Document, node: Node<'_>, plain: PlainRef<'_>) -> Option<Change> {
    let format = document.format();
    if format == Format::Yaml {
        return Some(yaml::value(document.text(), node, plain));
    }
    let text = str::from_utf8(plain.bytes).ok()?;
    let is_number =
        matches!(plain.kind, Type::Int | Type::Float) && text.parse::<f64>().is_ok_and(f64::is_finite);
    let text = match (format, plain.kind) {
        (_, Type::Comment) => return None,
        (_, Type::Bool) => text.to_ascii_lowercase(),
        (Format::Json, _) if is_number => text.to_owned(),
        _ => format.rendered(&Stored::Clear(text.to_owned()), Place::of(node)),
    };
    Some((node.span(), Zeroizing::new(text)))
}

/// The bytes that are read where this value is shown. A dotenv line has no other way to write `\n` than a line break has.
fn read(format: Format, plain: PlainRef<'_>) -> Bytes {
    match (format, plain.kind, str::from_utf8(plain.bytes)) {
        (Format::Dotenv | Format::Ini, Type::Bool, _) => lower(plain.bytes),
        (Format::Dotenv, _, Ok(text)) => Zeroizing::new(text.replace("\\n", "\n").into_bytes()),
        _ => Zeroizing::new(plain.bytes.to_owned()),
    }
}

/// Collections that a comment at `offset` can belong to: those around the leaf before it and the leaf behind it, the
/// innermost first. Its ciphertext is bound to one of them, so that decryption itself says which.
fn around(leaves: &[(usize, LeafPath<'_>)], offset: usize) -> Vec<Path> {
    let next = leaves.partition_point(|(start, _)| *start < offset);
    let around = [leaves.get(next), next.checked_sub(1).and_then(|at| leaves.get(at))];
    let mut owners = Vec::new();
    for (_, path) in around.into_iter().flatten() {
        let mut owner = Some(path.to_path());
        while let Some(path) = owner {
            owner = path.parent();
            owners.push(path);
        }
    }
    owners.push(Path::default());
    owners.sort_by_key(|path| std::cmp::Reverse(path.0.len()));
    owners.dedup();
    owners
}

/// Go writes booleans with a capital letter; no format has them so.
pub(super) fn lower(boolean: &[u8]) -> Bytes {
    Zeroizing::new(boolean.to_ascii_lowercase())
}

fn raw(value: PlainRef<'_>) -> Bytes {
    match value.kind {
        Type::Bool => lower(value.bytes),
        _ => Zeroizing::new(value.bytes.to_owned()),
    }
}

fn apply(text: &str, mut changes: Vec<Change>) -> Option<Zeroizing<String>> {
    changes.sort_by_key(|(range, _)| range.start);
    let grown: usize = changes.iter().map(|(_, new)| new.len()).sum();
    let mut result = Zeroizing::new(String::with_capacity(text.len() + grown));
    let mut at = 0;
    for (range, new) in &changes {
        result.push_str(text.get(at..range.start)?);
        result.push_str(new);
        at = range.end;
    }
    result.push_str(text.get(at..)?);
    Some(result)
}

/// Whether the text has exactly these values, so that nobody is ever shown another.
fn reads_back(format: Format, text: &str, values: &[Option<Bytes>]) -> bool {
    let Ok(document) = Document::parse(format, text.as_bytes()) else { return false };
    let document = document.with_exact_integers(true);
    let same = |node: Node<'_>, wanted: &Option<Bytes>| match (document.scalar(node), wanted) {
        (Ok(None), None) => true,
        (Ok(Some(is)), Some(wanted)) => *is.bytes == **wanted,
        _ => false,
    };
    document.leaves().len() == values.len()
        && document.leaves().zip(values).all(|((_, node), wanted)| same(node, wanted))
}
