//! Comments of a new INI file. go-ini joins the lines of comment above a key or a section into one, which sops encrypts
//! as one and binds to the section; so they become one line.

use crate::sops::document::{Document, METADATA};
use crate::sops::edit::Edits;
use crate::sops::path::Path;
use crate::sops::seal::SealError;
use crate::sops::selection::Selection;
use crate::sops::value::{Cipher, Plain, Type};
use crate::yaml::{Comment, Mapping, Placement};

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

/// Encrypts the comments that `selection` selects.
pub(in crate::sops) fn encrypt(
    edits: &mut Edits,
    document: &Document,
    cipher: &Cipher,
    selection: &Selection,
) -> Result<(), SealError> {
    let items = items(document);
    let line = |comment: &Comment| document.tree().position(comment.span.start).line;
    let mut groups: Vec<(Option<Item<'_>>, Vec<&Comment>)> = Vec::new();
    for comment in document.tree().comments() {
        let at = comment.span.start;
        if comment.placement == Placement::EndOfLine {
            let item = items.iter().rev().find(|(start, _)| *start < at);
            let path = Path::of_keys(item.map(|(_, section)| *section));
            if selection.encrypts(&path) {
                return Err(SealError::Comment { line: line(comment) });
            }
            continue;
        }
        let next = items.iter().find(|(start, _)| *start > at).copied();
        match groups.last_mut() {
            Some((known, group)) if *known == next => group.push(comment),
            _ => groups.push((next, vec![comment])),
        }
    }
    for (next, group) in groups {
        let path = Path::of_keys(next.map(|(_, section)| section));
        let Some((first, rest)) = group.split_first() else { continue };
        if !selection.encrypts(&path) {
            continue;
        }
        // Behind the last key it would become a comment of sops's own section, and be lost.
        if next.is_none() {
            return Err(SealError::Comment { line: line(first) });
        }
        let lines: Vec<&str> = group.iter().map(|comment| &document.text()[comment.span.clone()]).collect();
        let joined = lines.join("\n");
        let mark = if joined.starts_with(';') { [';', ' '] } else { ['#', ' '] };
        let text = joined.trim().trim_start_matches(mark);
        if text.is_empty() {
            continue;
        }
        let plain = Plain::new(Type::Comment, text);
        let encrypted = cipher
            .encrypt(&plain, &path.additional_data())
            .map_err(|error| SealError::unsound(error.to_string()))?;
        edits.replace(first.span.clone(), format!("; {encrypted}"));
        let mut end = first.span.end;
        for comment in rest {
            edits.replace(end..comment.span.end, "");
            end = comment.span.end;
        }
    }
    Ok(())
}
