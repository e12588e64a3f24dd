//! Taking a recipient out of a policy, wherever it stands: the anchor, its aliases, lists and texts with commas.

use std::ops::Range;

use crate::yaml::{Entry, Kind, Mapping, Node, Sequence, Style, Tree};

use super::super::edit::Edits;
use super::super::keys::Recipient;
use super::super::names;
use super::edit::{PolicyEditError, check_no_comment, hyphen};
use super::keys::KEY_TYPES;
use super::read::is_empty;

pub(super) fn remove(tree: &Tree, recipient: &Recipient) -> Result<String, PolicyEditError> {
    let mut removal = Removal { tree, recipient, ranges: Vec::new() };
    if let Some(root) = tree.root() {
        removal.node(root)?;
    }
    if removal.ranges.is_empty() {
        return Err(PolicyEditError::Unknown { recipient: recipient.clone() });
    }
    let mut edits = Edits::default();
    for range in removal.ranges {
        edits.replace(range, "");
    }
    edits.apply(tree.text()).map_err(|_| PolicyEditError::Reach)
}

struct Removal<'t> {
    tree: &'t Tree,
    recipient: &'t Recipient,
    ranges: Vec<Range<usize>>,
}

impl<'t> Removal<'t> {
    fn is_it(&self, text: &str) -> bool {
        text.parse::<Recipient>().is_ok_and(|recipient| recipient == *self.recipient)
    }

    /// Whether the whole node, or what its alias stands for, is the recipient.
    fn is_whole(&self, node: Node<'_>) -> bool {
        node.as_str().is_some_and(|text| self.is_it(text))
    }

    fn node(&mut self, node: Node<'t>) -> Result<(), PolicyEditError> {
        match node.kind() {
            Kind::Alias(_) => Ok(()),
            Kind::Scalar(text, _) => self.text(node, text),
            Kind::Sequence(list) => self.list(list),
            Kind::Mapping(mapping) => mapping.entries().try_for_each(|entry| self.entry(entry)),
        }
    }

    fn entry(&mut self, entry: Entry<'t>) -> Result<(), PolicyEditError> {
        if self.is_whole(entry.value) {
            return Err(last(entry.value, entry.value));
        }
        self.node(entry.value)
    }

    fn list(&mut self, list: Sequence<'t>) -> Result<(), PolicyEditError> {
        let items: Vec<Node<'t>> = list.items().collect();
        let gone: Vec<bool> = items.iter().map(|item| self.is_whole(*item)).collect();
        let is_key_list = list.node().parent().and_then(Node::as_mapping).is_some_and(|parent| {
            parent.node().parent().is_none() && parent.get("keys").is_some_and(|keys| keys == list.node())
        });
        if gone.iter().all(|gone| *gone) && !items.is_empty() && !is_key_list {
            return Err(last(list.node(), items[0]));
        }
        for (index, item) in items.iter().enumerate() {
            if !gone[index] {
                self.node(*item)?;
            } else if list.is_flow() {
                check_no_comment(self.tree, list)?;
                self.ranges.push(flow_range(&items, &gone, index));
            } else {
                let range = self.line(*item)?;
                self.ranges.push(range);
            }
        }
        Ok(())
    }

    /// The line of an item, with the comment behind it, and the one above it where that is its name.
    fn line(&self, item: Node<'t>) -> Result<Range<usize>, PolicyEditError> {
        let text = self.tree.text();
        let end = item.span().end;
        hyphen(text, item).ok_or(PolicyEditError::Layout { position: item.position() })?;
        let above = names::name_above(self.tree, item).map(|comment| comment.span.start);
        let start = above.unwrap_or(item.full_span().start);
        let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        Ok(match text[end..].find('\n') {
            Some(newline) => line..end + newline + 1,
            // The last line has no line break; the one before it goes instead.
            None => text[..line].trim_end_matches(['\n', '\r']).len()..text.len(),
        })
    }

    /// One of several in a text with commas.
    fn text(&mut self, node: Node<'t>, value: &str) -> Result<(), PolicyEditError> {
        let parts: Vec<&str> = value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if !parts.iter().any(|part| self.is_it(part)) {
            return Ok(());
        }
        if parts.iter().all(|part| self.is_it(part)) {
            return Err(last(node, node));
        }
        let range = self.part(node).ok_or(PolicyEditError::Layout { position: node.position() })?;
        self.ranges.push(range);
        Ok(())
    }

    /// Where in the source of a text with commas the recipient stands, with the comma before it or behind it.
    fn part(&self, node: Node<'t>) -> Option<Range<usize>> {
        let span = node.span();
        let source = &self.tree.text()[span.clone()];
        if matches!(node.kind(), Kind::Scalar(_, Style::Literal)) {
            return None;
        }
        let [begin, close] = match source.as_bytes().first()? {
            b'\'' | b'"' => [1, source.len() - 1],
            b'>' => [source.find('\n')?, source.len()],
            _ => [0, source.len()],
        };
        let mut behind = begin;
        let mut parts = source[begin..close].split(',').map(|part| {
            let start = behind + (part.len() - part.trim_start().len());
            behind += part.len() + 1;
            start..start + part.trim().len()
        });
        let Range { start: at, end } = parts.find(|part| self.is_it(&source[part.clone()]))?;
        let before = source[..at].trim_end();
        if let Some(before) = before.strip_suffix(',') {
            return Some(span.start + before.len()..span.start + end);
        }
        let rest = source[end..].trim_start().strip_prefix(',')?.trim_start();
        Some(span.start + at..span.start + source.len() - rest.len())
    }
}

/// The list of one type of keys would be empty without the recipient `at` this place. Who else reads what a merged group
/// leads to, or one that stands elsewhere, is not to be seen here.
fn last(list: Node<'_>, at: Node<'_>) -> PolicyEditError {
    let position = at.position();
    if !is_whole_group(list.parent()) {
        return PolicyEditError::Layout { position };
    }
    let fields = list.parent().and_then(Node::as_mapping).into_iter().flat_map(Mapping::entries);
    let mut others = fields.filter(|entry| entry.value != list && !is_empty(entry.value));
    match others
        .any(|entry| KEY_TYPES.iter().any(|of_type| [of_type.flat, of_type.grouped].contains(&entry.key)))
    {
        true => PolicyEditError::LastInList { position },
        false => PolicyEditError::LastRecipient { position },
    }
}

/// Whether a mapping is a rule or one of its groups, and merges none.
fn is_whole_group(mapping: Option<Node<'_>>) -> bool {
    let within = mapping.and_then(Node::parent);
    let holder = within.and_then(Node::parent).and_then(Node::as_mapping);
    let is_in = |key| holder.is_some_and(|holder| holder.get(key) == within);
    let merges = mapping.and_then(|mapping| mapping.get("merge")).is_some_and(|merge| !is_empty(merge));
    !merges && (is_in("creation_rules") || is_in("key_groups"))
}

/// An item of `[…]` with one of the commas beside it.
fn flow_range(items: &[Node<'_>], gone: &[bool], index: usize) -> Range<usize> {
    let item = items[index];
    if gone[..index].iter().any(|gone| !gone) {
        return items[index - 1].span().end..item.span().end;
    }
    match items.get(index + 1) {
        Some(next) => item.full_span().start..next.full_span().start,
        None => item.full_span(),
    }
}
