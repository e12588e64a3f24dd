//! What people call the recipients of a policy: `&ana age1…`, `age1…  # ana`, or a comment on the line above.

use std::collections::BTreeMap;

use crate::yaml::{Comment, Kind, Node, Placement, Tree};

use super::super::keys::Recipient;

/// How sure a name is; the surest of a recipient's names counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Anchor,
    Behind,
    Above,
}

/// A name for every recipient that has one.
pub(super) fn of(tree: &Tree) -> BTreeMap<Recipient, String> {
    let mut names: BTreeMap<Recipient, (Source, String)> = BTreeMap::new();
    if let Some(root) = tree.root() {
        collect(tree, root, &mut names);
    }
    names.into_iter().map(|(recipient, (_, name))| (recipient, name)).collect()
}

fn collect(tree: &Tree, node: Node<'_>, names: &mut BTreeMap<Recipient, (Source, String)>) {
    match node.kind() {
        Kind::Scalar(text, _) => {
            let Ok(recipient) = text.parse::<Recipient>() else { return };
            let Some((source, name)) = name(tree, node) else { return };
            let known = names.get(&recipient);
            if known.is_none_or(|(known, _)| source < *known) {
                names.insert(recipient, (source, name));
            }
        }
        Kind::Mapping(mapping) => mapping.entries().for_each(|entry| collect(tree, entry.value, names)),
        Kind::Sequence(list) => list.items().for_each(|item| collect(tree, item, names)),
        Kind::Alias(_) => {}
    }
}

fn name(tree: &Tree, node: Node<'_>) -> Option<(Source, String)> {
    if let Some(anchor) = node.anchor() {
        return Some((Source::Anchor, anchor.to_owned()));
    }
    if let Some(name) = behind(tree, node) {
        return Some((Source::Behind, name));
    }
    Some((Source::Above, text(tree, name_above(tree, node)?)))
}

fn text(tree: &Tree, comment: &Comment) -> String {
    tree.text()[comment.span.clone()].trim_start_matches('#').trim().to_owned()
}

/// The comment at the end of the line that the node ends on, where nothing else stands between.
fn behind(tree: &Tree, node: Node<'_>) -> Option<String> {
    let end = node.span().end;
    let comment = tree.comments().iter().find(|comment| comment.span.start >= end)?;
    let between = tree.text().get(end..comment.span.start)?;
    let is_behind = comment.placement == Placement::EndOfLine && between.trim_matches([' ', '\t']).is_empty();
    Some(text(tree, comment)).filter(|name| is_behind && !name.is_empty())
}

/// The comment on the line above an item of a list, where each item has one; above only some it is a heading.
pub(super) fn name_above<'t>(tree: &'t Tree, node: Node<'t>) -> Option<&'t Comment> {
    let list = node.parent()?.as_sequence()?;
    list.items().all(|item| above(tree, item).is_some()).then(|| above(tree, node))?
}

/// The comment on the line above an item of a block list.
fn above<'t>(tree: &'t Tree, node: Node<'_>) -> Option<&'t Comment> {
    let start = node.full_span().start;
    let line = tree.text()[..start].rfind('\n')? + 1;
    let starts_line = tree.text()[line..start].trim_matches([' ', '-']).is_empty();
    let comment = tree.comments().iter().rev().find(|comment| comment.span.end < line)?;
    let is_above = tree.text()[comment.span.end..line].trim_matches('\r') == "\n";
    Some(comment).filter(|comment| starts_line && is_above && comment.placement == Placement::OwnLine)
}
