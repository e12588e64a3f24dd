//! The document in the clear, in its own layout: values and comments take the place of their ciphertext, and the `sops`
//! block goes.

use std::ops::Range;

use zeroize::Zeroizing;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::document::{Document, METADATA};
use super::super::format::Format;
use super::super::open::{OpenError, Opened};
use super::super::path::Path;
use super::super::render::{self, Place};
use super::super::scalar;
use super::super::splice;
use super::super::value::{Plain, Type, is_encrypted};
use super::Bytes;
use crate::secret::Secret;
use crate::yaml::{Node, Tree};

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

type Change = (Range<usize>, Zeroizing<String>);

impl Opened {
    /// The bytes of the value at `path`: texts as they are, numbers in decimal, `true` and `false`, times as in RFC 3339.
    /// `None` where there is no leaf, or null. Changes that wait are not seen.
    ///
    /// # Errors
    /// The value does not decrypt.
    pub fn raw(&self, path: &Path) -> Result<Option<Bytes>, OpenError> {
        let Some((node, encrypted)) = self.file.marked_leaf(path) else { return Ok(None) };
        let plain = self.file.value(&self.cipher, path, node, encrypted)?;
        Ok(plain.map(|plain| if plain.kind == Type::Bool { lower(&plain) } else { plain.bytes }))
    }

    /// The whole document in the clear as it was before it was encrypted: layout, order and comments stay, the `sops`
    /// block is gone. Changes that wait are not seen.
    ///
    /// # Errors
    /// [`RevealError`].
    pub fn document(&self) -> Result<Secret, RevealError> {
        let document = &self.file.document;
        if self.file.format() == Format::Binary {
            let value = self.raw(&Path::of_keys(["data"]))?.unwrap_or_default();
            let text = str::from_utf8(&value).map_err(|_| RevealError::Layout)?;
            return Ok(Secret::new(text.to_owned()));
        }
        // The other formats hold their values in the clear in ways that only `json` shows so far.
        if self.file.format() != Format::Yaml || document.roots().count() > 1 {
            return Err(RevealError::Layout);
        }
        let root = document.root().ok_or(RevealError::Layout)?;
        let block = root.get(METADATA).ok_or(RevealError::Layout)?;
        let (block, instead) = splice::removal(document, block).ok_or(RevealError::Layout)?;
        let mut changes: Vec<Change> = vec![(block.clone(), Zeroizing::new(instead.to_owned()))];
        let mut values = Vec::new();
        for ((path, node, encrypted), is_copy) in self.file.marked_leaves().zip(document.copies()) {
            let plain = self.file.value(&self.cipher, path, node, encrypted)?;
            let is_comment = plain.as_ref().is_some_and(|plain| plain.kind == Type::Comment);
            if let Some(plain) = &plain
                && node.as_str().is_some_and(is_encrypted)
                && encrypted
                && !is_copy
            {
                changes.push(value(document.text(), node, plain));
            }
            if !is_comment {
                values.push(plain);
            }
        }
        changes.extend(self.comments().filter(|(range, _)| !block.contains(&range.start)));
        let text = apply(document.text(), changes).ok_or(RevealError::Layout)?;
        if reads_back(&text, &values) { Ok(Secret::from(text)) } else { Err(RevealError::Layout) }
    }

    /// The leaves that no alias leads to, whose nodes are in the order of the text.
    fn own_leaves(&self) -> impl Iterator<Item = (&Path, Node<'_>)> {
        let document = &self.file.document;
        document.leaves().zip(document.copies()).filter_map(|(leaf, is_copy)| (!is_copy).then_some(leaf))
    }

    /// The comments that decrypt. One that does not is passed through, as stock sops does: nothing vouches for comments.
    fn comments(&self) -> impl Iterator<Item = Change> {
        let leaves: Vec<(usize, &Path)> =
            self.own_leaves().map(|(path, node)| (node.span().start, path)).collect();
        self.file.comments().filter_map(move |(start, text)| {
            let stored = text.strip_prefix('#')?.trim();
            if !is_encrypted(stored) {
                return None;
            }
            let plain = owners(&leaves, start)
                .into_iter()
                .find_map(|owner| self.cipher.decrypt(stored, &owner.additional_data()).ok())?;
            let comment = String::from_utf8(plain.bytes.to_vec()).ok().map(Zeroizing::new)?;
            let mut line = Zeroizing::new(String::with_capacity(comment.len() + 1));
            line.push('#');
            line.push_str(&comment);
            Some((start..start + text.trim_end().len(), line))
        })
    }
}

/// Collections that a comment at `offset` can belong to: those around the leaf before it and the leaf behind it, the
/// innermost first. Its ciphertext is bound to one of them, so that decryption itself says which.
fn owners(leaves: &[(usize, &Path)], offset: usize) -> Vec<Path> {
    let next = leaves.partition_point(|(start, _)| *start < offset);
    let around = [leaves.get(next), next.checked_sub(1).and_then(|at| leaves.get(at))];
    let mut owners = Vec::new();
    for (_, path) in around.into_iter().flatten() {
        let mut owner = Some((*path).clone());
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

/// What stands in the place of an encrypted value.
fn value(text: &str, node: Node<'_>, plain: &Plain) -> Change {
    let span = node.span();
    let (Ok(shown), Type::Str | Type::Comment) = (str::from_utf8(&plain.bytes), plain.kind) else {
        return (span, scalar_of(plain));
    };
    if plain.kind == Type::Comment {
        return list_comment(text, span, shown);
    }
    let shown = match block(text, &span, shown, node) {
        Some(block) => block,
        None if reads_plain(shown, node) => Zeroizing::new(shown.to_owned()),
        None => Zeroizing::new(render::text(shown, Place::of(node))),
    };
    (span, shown)
}

/// Whether a text in a place without quotes needs none, as with `https://…`. What YAML 1.1 takes for a boolean gets them.
fn reads_plain(value: &str, node: Node<'_>) -> bool {
    let place = Place::of(node);
    let old_booleans = ["y", "n", "yes", "no", "on", "off"];
    if place != Place::BLOCK
        || value.chars().any(char::is_control)
        || old_booleans.iter().any(|word| value.eq_ignore_ascii_case(word))
    {
        return false;
    }
    let line = Zeroizing::new(format!("- k: {value}\n"));
    let Ok(tree) = Tree::parse(line.as_str()) else { return false };
    let node = tree.root().and_then(|root| root.as_sequence()?.items().next()?.get("k"));
    tree.comments().is_empty()
        && node
            .is_some_and(|node| matches!(scalar::value(node), Ok(Some(plain)) if plain == Plain::str(value)))
}

/// A value that is no text, as go-yaml reads it back.
fn scalar_of(plain: &Plain) -> Zeroizing<String> {
    let text = str::from_utf8(&plain.bytes).unwrap_or_default();
    Zeroizing::new(match (plain.kind, text) {
        (Type::Str | Type::Bytes | Type::Comment, _) => {
            format!("!!binary {}", STANDARD.encode(&*plain.bytes))
        }
        (Type::Bool, _) => String::from_utf8_lossy(&lower(plain)).into_owned(),
        (Type::Float, "NaN") => ".nan".to_owned(),
        (Type::Float, "+Inf") => ".inf".to_owned(),
        (Type::Float, "-Inf") => "-.inf".to_owned(),
        (Type::Int | Type::Float | Type::Time, _) => text.to_owned(),
    })
}

fn lower(plain: &Plain) -> Bytes {
    let mut bytes = plain.bytes.clone();
    bytes.make_ascii_lowercase();
    bytes
}

/// Stock sops keeps a comment in a list as an element; it becomes a comment again.
fn list_comment(text: &str, span: Range<usize>, comment: &str) -> Change {
    let before = text[..span.start].trim_end_matches(' ');
    let start = if before.ends_with('-') { before.len() - 1 } else { span.start };
    (start..span.end, Zeroizing::new(format!("#{comment}")))
}

/// A text of several lines as a literal block, as stock sops prints it; `None` where quotes are needed.
fn block(text: &str, span: &Range<usize>, value: &str, node: Node<'_>) -> Option<Zeroizing<String>> {
    let ends_line = text[span.end..].starts_with(['\n', '\r']);
    let lines = || value.trim_end_matches('\n').split('\n');
    let is_safe = |line: &str| line.chars().all(|char| char == '\t' || !char.is_control());
    let blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    let starts_clean = !value.starts_with([' ', '\t', '\n']);
    let exotic = value.contains(['\u{feff}', '\u{2028}', '\u{2029}']);
    if !value.contains('\n')
        || Place::of(node).in_flow
        || !ends_line
        || !starts_clean
        || exotic
        || lines().any(|line| !is_safe(line) || blank(line))
    {
        return None;
    }
    let trailing = value.len() - value.trim_end_matches('\n').len();
    let header = ["|-", "|"].get(trailing).unwrap_or(&"|+");
    let indent = " ".repeat(indent_for(text, span.start));
    let mut block = Zeroizing::new(String::with_capacity(value.len() * 2));
    block.push_str(header);
    for line in lines() {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&indent);
            block.push_str(line);
        }
    }
    // The line break behind the value's place is the last of its own.
    block.extend(std::iter::repeat_n('\n', trailing.saturating_sub(1)));
    Some(block)
}

/// How far the lines of a block at `at` must stand to the right: beyond the key or hyphen that they belong to.
fn indent_for(text: &str, at: usize) -> usize {
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let prefix = &text[line..at];
    let mut column = 0;
    while prefix[column..].starts_with(' ') || prefix[column..].starts_with("- ") {
        column += 1;
    }
    if column == prefix.len() { column } else { column + 4 }
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
fn reads_back(text: &str, values: &[Option<Plain>]) -> bool {
    let Ok(document) = Document::parse(Format::Yaml, text.as_bytes()) else { return false };
    let same = |node: Node<'_>, wanted: &Option<Plain>| match (scalar::value(node), wanted) {
        (Ok(None), None) => true,
        (Ok(Some(is)), Some(wanted)) => *is.bytes == *wanted.bytes,
        _ => false,
    };
    document.leaves().len() == values.len()
        && document.leaves().zip(values).all(|((_, node), wanted)| same(node, wanted))
}
