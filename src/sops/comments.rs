//! Comments of a new file. Where the rule selects the mapping that a comment belongs to, stock sops encrypts the comment
//! too, bound to the path of that mapping; so the mapping must be the one that go-yaml will find when it reads the file
//! (yamlc.go, `yaml_parser_unfold_comments`). Where it could find another, the comment is refused: sops would show it
//! as ciphertext, or make it an element of a list.

use std::collections::BTreeSet;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::yaml::{Comment, Kind, Mapping, Node, Placement};

use super::document::{Document, METADATA};
use super::edit::Edits;
use super::format::Format;
use super::ini;
use super::path::{Path, Segment};
use super::seal::SealError;
use super::selection::Selection;
use super::value::{Cipher, Plain, Type, ValueError, is_encrypted};

/// Encrypts the comments that `selection` selects.
pub(super) fn encrypt(
    edits: &mut Edits,
    document: &Document,
    cipher: &Cipher,
    selection: &Selection,
) -> Result<(), SealError> {
    if document.format() == Format::Ini {
        return ini::comments::encrypt(edits, document, cipher, selection);
    }
    let tree = document.tree();
    if tree.comments().is_empty() {
        return Ok(());
    }
    let outlines = Outlines::of(document);
    for comment in tree.comments() {
        let text = stored_text(document, comment);
        if text.is_empty() {
            continue;
        }
        let (path, certain) = outlines.at(comment).owner(comment);
        if !selection.encrypts(&path) {
            continue;
        }
        if !certain {
            return Err(refused(document, comment));
        }
        let encrypted = ciphertext(cipher, &Plain::new(Type::Comment, text), &path)?;
        let start = comment.span.start;
        edits.replace(start..start + 1 + text.len(), format!("#{encrypted}"));
    }
    Ok(())
}

/// Comments of a file under another data key (`new_data_key`) or another selection rule. One that does not decrypt was
/// not encrypted with the file's key, and one in the clear was written by a person; both stay as they are, as stock
/// sops passes them through.
pub(super) fn rekey(
    edits: &mut Edits,
    document: &Document,
    (old_cipher, old): (&Cipher, &Selection),
    (cipher, new): (&Cipher, &Selection),
    new_data_key: bool,
) -> Result<(), SealError> {
    if document.format() == Format::Ini {
        return ini::comments::rekey(edits, document, (old_cipher, old), (cipher, new), new_data_key);
    }
    let outlines = Outlines::of(document);
    for comment in own(document) {
        let text = stored_text(document, comment);
        let range = comment.span.start + 1..comment.span.start + 1 + text.len();
        let outline = outlines.at(comment);
        let (path, certain) = outline.owner(comment);
        if is_encrypted(text) {
            let Some((path, plain)) = outline.decrypted(old_cipher, text, path) else { continue };
            if !new.encrypts(&path) {
                let plain = str::from_utf8(&plain.bytes).ok().filter(|plain| !plain.contains(['\n', '\r']));
                edits.replace(range, plain.ok_or_else(|| refused(document, comment))?);
            } else if new_data_key {
                edits.replace(range, ciphertext(cipher, &plain, &path)?);
            }
        } else if new.encrypts(&path) && !old.encrypts(&path) && !text.is_empty() {
            if !certain {
                return Err(refused(document, comment));
            }
            edits.replace(range, ciphertext(cipher, &Plain::new(Type::Comment, text), &path)?);
        }
    }
    Ok(())
}

/// Every comment in the clear, as far as it decrypts.
pub(super) fn plain(document: &Document, cipher: &Cipher) -> Vec<Zeroizing<Vec<u8>>> {
    if document.format() == Format::Ini {
        return ini::comments::plain(document, cipher);
    }
    let outlines = Outlines::of(document);
    let comments = own(document).map(|comment| {
        let text = stored_text(document, comment);
        let outline = outlines.at(comment);
        let opened =
            if is_encrypted(text) { outline.decrypted(cipher, text, outline.owner(comment).0) } else { None };
        opened.map_or_else(|| Zeroizing::new(text.as_bytes().to_vec()), |(_, plain)| plain.bytes)
    });
    comments.collect()
}

/// Comments of the documents themselves; those in the `sops` blocks are nobody's values.
fn own(document: &Document) -> impl Iterator<Item = &Comment> {
    let blocks = document.roots().filter_map(|root| root.entry(METADATA));
    let blocks: Vec<Range<usize>> =
        blocks.map(|entry| entry.key_node.span().start..entry.value.span().end).collect();
    let is_own = move |comment: &&Comment| !blocks.iter().any(|block| block.contains(&comment.span.start));
    document.tree().comments().iter().filter(is_own)
}

/// One outline for each document, by where it starts.
struct Outlines<'t>(Vec<(usize, Outline<'t>)>);

impl<'t> Outlines<'t> {
    /// Empty where there is no comment to find a place for.
    fn of(document: &'t Document) -> Self {
        if own(document).next().is_none() {
            return Self(Vec::new());
        }
        let is_flat = document.format() == Format::Dotenv;
        let outlines = document.tree().documents().map(|one| {
            let root = one.root().and_then(Node::as_mapping);
            (one.start(), Outline { is_flat, ..Outline::of(document.text(), root) })
        });
        Self(outlines.collect())
    }

    fn at(&self, comment: &Comment) -> &Outline<'t> {
        let later = self.0.partition_point(|(start, _)| *start <= comment.span.start);
        &self.0[later.saturating_sub(1)].1
    }
}

/// The text behind the `#`.
fn stored_text<'d>(document: &'d Document, comment: &Comment) -> &'d str {
    let text = &document.text()[comment.span.clone()];
    text.strip_prefix('#').unwrap_or(text).trim_end_matches('\r')
}

fn refused(document: &Document, comment: &Comment) -> SealError {
    SealError::Comment { line: document.tree().position(comment.span.start).line }
}

fn ciphertext(cipher: &Cipher, plain: &Plain, path: &Path) -> Result<String, SealError> {
    cipher.encrypt(plain, &path.additional_data()).map_err(|error| match error {
        ValueError::NoRandomness(error) => SealError::NoRandomness(error),
        other => SealError::unsound(other.to_string()),
    })
}

/// One key, or one element of a list, in the order of the text.
struct Item {
    /// Path of the collection that it is in.
    owner: Path,
    in_list: bool,
    in_flow: bool,
    /// Whether only blanks stand before it on its line.
    starts_line: bool,
    column: usize,
    start: usize,
    /// From its key, or itself, to the end of its value.
    span: Range<usize>,
    /// Whether its value is, or ends in, a list.
    ends_in_list: bool,
    /// Its value, where that is a flow collection.
    flow: Option<Flow>,
}

struct Flow {
    path: Path,
    is_filled_mapping: bool,
}

struct Outline<'t> {
    text: &'t str,
    items: Vec<Item>,
    flows: Vec<(Range<usize>, Path)>,
    /// Whether the format has no nesting, so that every comment belongs to the document.
    is_flat: bool,
}

impl<'t> Outline<'t> {
    /// An encrypted comment and the collection that it is bound to. Stock sops may have moved it since, so that any
    /// collection may be the one; the ciphertext itself says which.
    fn decrypted(&self, cipher: &Cipher, text: &str, guess: Path) -> Option<(Path, Plain)> {
        let mut tried = BTreeSet::new();
        let others = self.items.iter().map(|item| item.owner.clone());
        let mut paths = std::iter::once(guess).chain(others);
        paths.find_map(|path| {
            if !tried.insert(path.additional_data()) {
                return None;
            }
            let plain = cipher.decrypt(text, &path.additional_data()).ok()?;
            (plain.kind == Type::Comment).then_some((path, plain))
        })
    }

    fn of(text: &'t str, root: Option<Mapping<'_>>) -> Self {
        let mut outline = Self { text, items: Vec::new(), flows: Vec::new(), is_flat: false };
        if let Some(root) = root {
            outline.collect(root.node(), &Path::default(), false);
        }
        outline
    }

    fn collect(&mut self, node: Node<'_>, path: &Path, in_flow: bool) {
        match node.kind() {
            Kind::Mapping(mapping) => {
                let in_flow = self.enter(node, path, in_flow || mapping.is_flow());
                for entry in mapping.entries() {
                    let mut below = path.clone();
                    below.0.push(Segment::Key(entry.key.to_owned()));
                    self.item(entry.key_node, entry.value, path, &below, in_flow);
                    self.collect(entry.value, &below, in_flow);
                }
            }
            Kind::Sequence(list) => {
                let in_flow = self.enter(node, path, in_flow || list.is_flow());
                for item in list.items() {
                    self.item(item, item, path, path, in_flow);
                    self.collect(item, path, in_flow);
                }
            }
            Kind::Scalar(..) | Kind::Alias(_) => {}
        }
    }

    fn enter(&mut self, node: Node<'_>, path: &Path, in_flow: bool) -> bool {
        if in_flow {
            self.flows.push((node.span(), path.clone()));
        }
        in_flow
    }

    fn item(&mut self, head: Node<'_>, value: Node<'_>, owner: &Path, path: &Path, in_flow: bool) {
        let start = head.full_span().start;
        let line = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        self.items.push(Item {
            owner: owner.clone(),
            in_list: head == value,
            in_flow,
            starts_line: self.text[line..start].bytes().all(|byte| byte == b' '),
            column: start - line,
            start,
            span: start..value.span().end.max(head.span().end),
            ends_in_list: ends_in_list(value),
            flow: flow(value, path),
        });
    }

    /// Path of the collection that a comment belongs to, and whether every reader sees it so.
    fn owner(&self, comment: &Comment) -> (Path, bool) {
        if self.is_flat {
            return (Path::default(), true);
        }
        let at = comment.span.start;
        if let Some((_, path)) = self.flows.iter().rev().find(|(span, _)| span.contains(&at)) {
            return (path.clone(), false);
        }
        match comment.placement {
            Placement::EndOfLine => self.owner_behind(at),
            Placement::OwnLine => self.owner_of_line(at),
        }
    }

    /// Behind a key or a value: the mapping of the last key that starts or ends on the line.
    fn owner_behind(&self, at: usize) -> (Path, bool) {
        let line = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let on_line = |item: &&Item| (line..at).contains(&item.start) || (line..=at).contains(&item.span.end);
        let before = self.items.iter().filter(|item| item.start < at && !item.in_flow);
        match before.filter(on_line).max_by_key(|item| item.start) {
            Some(item) => match &item.flow {
                // Behind `{…}` it belongs into it, behind `[…]` to its first element.
                Some(flow) if item.span.end <= at => {
                    (flow.path.clone(), flow.is_filled_mapping && !item.in_list)
                }
                // A list behind a key on its own lines takes the key's comment for its first element.
                _ => (item.owner.clone(), !(item.in_list || item.ends_in_list && item.span.end > at)),
            },
            None => (Path::default(), false),
        }
    }

    /// On a line of its own: the mapping of the key below it, if it stands right above it.
    fn owner_of_line(&self, at: usize) -> (Path, bool) {
        let line = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let column = at - line;
        let next =
            self.items.iter().filter(|item| item.start > at && !item.in_flow).min_by_key(|item| item.start);
        if let Some(next) = next
            && !next.in_list
            && next.starts_line
            && next.column == column
        {
            return (next.owner.clone(), true);
        }
        // Below the last key of a mapping: it belongs to the mapping whose keys stand as far to the right.
        let before = self.items.iter().filter(|item| item.start < at && !item.in_flow);
        let above = before.max_by_key(|item| item.start);
        let sibling =
            self.items.iter().filter(|item| item.start < at && !item.in_list && item.column == column);
        match (sibling.max_by_key(|item| item.start), above) {
            (Some(sibling), _) => {
                let is_last = next.is_none_or(|next| next.column < column);
                (sibling.owner.clone(), is_last && sibling.starts_line && !sibling.ends_in_list)
            }
            (None, Some(above)) => (above.owner.clone(), false),
            (None, None) => (Path::default(), false),
        }
    }
}

fn flow(node: Node<'_>, path: &Path) -> Option<Flow> {
    let is_filled_mapping = match node.kind() {
        Kind::Mapping(mapping) if mapping.is_flow() => mapping.entries().len() > 0,
        Kind::Sequence(list) if list.is_flow() => false,
        _ => return None,
    };
    Some(Flow { path: path.clone(), is_filled_mapping })
}

fn ends_in_list(node: Node<'_>) -> bool {
    match node.kind() {
        Kind::Sequence(list) => !list.is_flow(),
        Kind::Mapping(mapping) => {
            mapping.entries().next_back().is_some_and(|entry| ends_in_list(entry.value))
        }
        Kind::Scalar(..) | Kind::Alias(_) => false,
    }
}
