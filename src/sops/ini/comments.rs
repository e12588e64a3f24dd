//! Comments of an INI file. go-ini joins the lines of comment above a key or a section into one, which sops encrypts
//! as one and binds to the section; so they become one line.

use std::ops::Range;

use zeroize::Zeroizing;

use crate::sops::document::{Document, METADATA};
use crate::sops::edit::Edits;
use crate::sops::path::Path;
use crate::sops::seal::SealError;
use crate::sops::selection::Selection;
use crate::sops::value::{Cipher, Plain, Type, is_encrypted};
use crate::yaml::{Comment, Mapping, Node, Placement};

/// Where an item starts, and the section that its comment belongs to.
type Item<'t> = (usize, &'t str);

fn items(document: &Document) -> Vec<Item<'_>> {
    let sections =
        document.root().into_iter().flat_map(Mapping::entries).filter(|entry| entry.key != METADATA);
    let mut items = Vec::new();
    for entry in sections {
        items.push((entry.value.span().start, entry.key));
        let keys = entry.value.as_mapping().into_iter().flat_map(Mapping::entries);
        items.extend(keys.map(|key| (key.key_node.span().start, entry.key)));
    }
    items
}

/// Comments that go-ini takes as one, and what stands below them.
struct Group<'t> {
    below: Option<Item<'t>>,
    lines: Vec<&'t Comment>,
}

impl Group<'_> {
    fn path(&self) -> Path {
        Path::of_keys(self.below.map(|(_, section)| section))
    }
}

/// Comments on lines of their own, and those behind a value with the section that they are in. Those of sops's own
/// section are left out.
fn groups<'t>(document: &'t Document, items: &[Item<'t>]) -> (Vec<Group<'t>>, Vec<(Path, &'t Comment)>) {
    let block = own_section(document);
    let mut groups: Vec<Group<'t>> = Vec::new();
    let mut behind = Vec::new();
    for comment in document.tree().comments() {
        let at = comment.span.start;
        if block.contains(&at) {
            continue;
        }
        if comment.placement == Placement::EndOfLine {
            let item = items.iter().rev().find(|(start, _)| *start < at);
            behind.push((Path::of_keys(item.map(|(_, section)| *section)), comment));
            continue;
        }
        let below = items.iter().find(|(start, _)| *start > at).copied();
        match groups.last_mut() {
            Some(group) if group.below == below => group.lines.push(comment),
            _ => groups.push(Group { below, lines: vec![comment] }),
        }
    }
    (groups, behind)
}

/// From the header of sops's own section to its last key.
fn own_section(document: &Document) -> Range<usize> {
    let block = document.root().and_then(|root| root.get(METADATA));
    let Some(block) = block.and_then(Node::as_mapping) else { return 0..0 };
    let ends = block.entries().filter(|entry| entry.value.as_str().is_some());
    block.node().span().start..ends.map(|entry| entry.value.span().end).max().unwrap_or_default()
}

fn refused(document: &Document, comment: &Comment) -> SealError {
    SealError::Comment { line: document.tree().position(comment.span.start).line }
}

/// Encrypts the comments that `selection` selects.
pub(in crate::sops) fn encrypt(
    edits: &mut Edits,
    document: &Document,
    cipher: &Cipher,
    selection: &Selection,
) -> Result<(), SealError> {
    let items = items(document);
    let (groups, behind) = groups(document, &items);
    if let Some((_, comment)) = behind.iter().find(|(path, _)| selection.encrypts(path)) {
        return Err(refused(document, comment));
    }
    for group in groups.iter().filter(|group| selection.encrypts(&group.path())) {
        encrypt_group(edits, document, cipher, group)?;
    }
    Ok(())
}

fn encrypt_group(
    edits: &mut Edits,
    document: &Document,
    cipher: &Cipher,
    group: &Group<'_>,
) -> Result<(), SealError> {
    let Some((first, rest)) = group.lines.split_first() else { return Ok(()) };
    // Behind the last key it would become a comment of sops's own section, and be lost.
    if group.below.is_none() {
        return Err(refused(document, first));
    }
    let lines: Vec<&str> = group.lines.iter().map(|comment| &document.text()[comment.span.clone()]).collect();
    let joined = lines.join("\n");
    let text = stripped(&joined);
    if text.is_empty() {
        return Ok(());
    }
    let encrypted = ciphertext(cipher, &Plain::new(Type::Comment, text), &group.path())?;
    edits.replace(first.span.clone(), format!("; {encrypted}"));
    let mut end = first.span.end;
    for comment in rest {
        edits.replace(end..comment.span.end, "");
        end = comment.span.end;
    }
    Ok(())
}

/// A comment without the characters that make it one, as sops takes it.
fn stripped(comment: &str) -> &str {
    let mark = if comment.starts_with(';') { [';', ' '] } else { ['#', ' '] };
    comment.trim().trim_start_matches(mark)
}

fn ciphertext(cipher: &Cipher, plain: &Plain, path: &Path) -> Result<String, SealError> {
    cipher.encrypt(plain, &path.additional_data()).map_err(|error| SealError::unsound(error.to_string()))
}

/// An encrypted comment and the section that it is bound to, which is the one below it unless somebody moved it.
fn decrypted(cipher: &Cipher, text: &str, path: &Path, items: &[Item<'_>]) -> Option<(Path, Plain)> {
    let others = items.iter().map(|(_, section)| Path::of_keys([*section]));
    std::iter::once(path.clone()).chain(others).find_map(|path| {
        let plain = cipher.decrypt(text, &path.additional_data()).ok()?;
        (plain.kind == Type::Comment).then_some((path, plain))
    })
}

/// As [`crate::sops::comments`] does it for the other formats.
pub(in crate::sops) fn rekey(
    edits: &mut Edits,
    document: &Document,
    (old_cipher, old): (&Cipher, &Selection),
    (cipher, new): (&Cipher, &Selection),
    new_data_key: bool,
) -> Result<(), SealError> {
    let items = items(document);
    let (groups, behind) = groups(document, &items);
    let is_new = |path: &Path| new.encrypts(path) && !old.encrypts(path);
    if let Some((_, comment)) = behind.iter().find(|(path, _)| is_new(path)) {
        return Err(refused(document, comment));
    }
    for group in &groups {
        let path = group.path();
        let mut has_ciphertext = false;
        for comment in &group.lines {
            let text = stripped(&document.text()[comment.span.clone()]);
            if !is_encrypted(text) {
                continue;
            }
            has_ciphertext = true;
            let Some((path, plain)) = decrypted(old_cipher, text, &path, &items) else { continue };
            if !new.encrypts(&path) {
                let plain = str::from_utf8(&plain.bytes).map_err(|_| refused(document, comment))?;
                edits.replace(comment.span.clone(), format!("; {plain}"));
            } else if new_data_key {
                edits.replace(comment.span.clone(), format!("; {}", ciphertext(cipher, &plain, &path)?));
            }
        }
        if !has_ciphertext && is_new(&path) {
            encrypt_group(edits, document, cipher, group)?;
        }
    }
    Ok(())
}

/// The lines of all comments in the clear, as far as they decrypt.
pub(in crate::sops) fn plain(document: &Document, cipher: &Cipher) -> Vec<Zeroizing<Vec<u8>>> {
    let items = items(document);
    let (groups, behind) = groups(document, &items);
    let grouped = groups.iter().flat_map(|group| group.lines.iter().map(|comment| (group.path(), *comment)));
    let mut lines = Vec::new();
    for (path, comment) in grouped.chain(behind) {
        let text = stripped(&document.text()[comment.span.clone()]);
        let opened = if is_encrypted(text) { decrypted(cipher, text, &path, &items) } else { None };
        let bytes = opened.map_or_else(|| Zeroizing::new(text.as_bytes().to_vec()), |(_, plain)| plain.bytes);
        let stripped = |line: &[u8]| match str::from_utf8(line) {
            Ok(line) => Zeroizing::new(stripped(line).as_bytes().to_vec()),
            Err(_) => Zeroizing::new(line.to_vec()),
        };
        lines.extend(bytes.split(|byte| *byte == b'\n').map(stripped).filter(|line| !line.is_empty()));
    }
    lines
}
