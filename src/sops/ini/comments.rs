//! Comments of an INI file. go-ini joins the lines of comment above a key or a section, and the comment behind it, into
//! one. sops binds it to the section; it puts the comment of a section before its first key, and that of a key behind it
//! (stores/ini/store.go, `treeItemFromSection`).

use zeroize::Zeroizing;

use crate::sops::comments::Remark;
use crate::sops::comments::sealed_part;
use crate::sops::document::{Document, METADATA};
use crate::sops::outline::{Home, Standing};
use crate::sops::path::Path;
use crate::sops::value::is_encrypted;
use crate::yaml::{Comment, Id, Mapping, Placement};

/// A section or a key, and where the comment above it belongs.
struct Item<'t> {
    start: usize,
    section: &'t str,
    container: Id,
    is_key: bool,
}

fn items(document: &Document) -> Vec<Item<'_>> {
    let sections =
        document.root().into_iter().flat_map(Mapping::entries).filter(|entry| entry.key != METADATA);
    let mut items = Vec::new();
    for entry in sections {
        let item = |start, is_key| Item { start, section: entry.key, container: entry.value.id(), is_key };
        let start = entry.value.span().start;
        // The section DEFAULT has no header of its own, and no comment.
        if document.text()[start..].starts_with('[') {
            items.push(item(start, false));
        }
        let keys = entry.value.as_mapping().into_iter().flat_map(Mapping::entries);
        items.extend(keys.map(|key| item(key.key_node.span().start, true)));
    }
    items
}

/// The comments as sops sees them.
pub(in crate::sops) fn remarks(document: &Document) -> Vec<Remark> {
    let items = items(document);
    let block = document.root().and_then(|root| root.get(METADATA));
    let block = block.map_or(usize::MAX, |block| block.span().start);
    let mut groups: Vec<(Option<usize>, Vec<&Comment>)> = Vec::new();
    for comment in document.tree().comments() {
        let at = comment.span.start;
        let after = items.partition_point(|item| item.start <= at);
        let item = match comment.placement {
            Placement::OwnLine => Some(after).filter(|after| *after < items.len()),
            Placement::EndOfLine => after.checked_sub(1),
        };
        if at > block && item.is_none_or(|item| items[item].start < block) {
            continue;
        }
        match groups.last_mut() {
            Some((known, group)) if *known == item => group.push(comment),
            _ => groups.push((item, vec![comment])),
        }
    }
    let mut remarks = Vec::new();
    for (item, group) in groups {
        let item = item.map(|index| &items[index]);
        let text = |line: &Comment| stripped(&document.text()[line.span.clone()]);
        let is_one = !group.iter().any(|line| is_encrypted(sealed_part(text(line)).0));
        // A line that a person wrote beside an encrypted one leaves that as it is.
        let parts = if is_one { group.chunks(group.len()) } else { group.chunks(1) };
        remarks.extend(parts.map(|lines| remark(document, item, lines)));
    }
    remarks
}

/// A comment without the characters that make it one, as sops takes it.
pub(in crate::sops) fn stripped(comment: &str) -> &str {
    let mark = if comment.starts_with(';') { [';', ' '] } else { ['#', ' '] };
    comment.trim().trim_start_matches(mark)
}

fn remark(document: &Document, item: Option<&Item<'_>>, group: &[&Comment]) -> Remark {
    let lines: Vec<&str> = group.iter().map(|comment| &document.text()[comment.span.clone()]).collect();
    let joined = lines.join("\n");
    let text = stripped(&joined).to_owned();
    let root = document.root().map_or(0, |root| root.node().id());
    let behind = group.iter().any(|comment| comment.placement == Placement::EndOfLine);
    // Behind the last key it would become a comment of sops's own section, and be lost. Behind a value it would have to
    // move to a line above.
    let standing = if item.is_none() || behind { Standing::Unsure } else { Standing::Key };
    let home = Home {
        container: item.map_or(root, |item| item.container),
        path: Path::of_keys(item.map(|item| item.section)),
        at: item.map_or(usize::MAX, |item| item.start + usize::from(item.is_key)),
        standing,
        elsewhere: Vec::new(),
    };
    Remark {
        text: Zeroizing::new(text),
        spans: group.iter().map(|comment| comment.span.clone()).collect(),
        home,
        is_behind_item: item.is_some_and(|item| item.is_key),
    }
}
