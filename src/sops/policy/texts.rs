//! Adding a recipient where the rule has a text: `age: age1…,age1…`.

use crate::yaml::{Kind, Node, Style, Tree};

use super::super::edit::Edits;
use super::super::keys::Recipient;
use super::super::names;
use super::edit::{Item, PolicyEditError, line_break, put_below};

/// Makes a list of a single recipient with its name behind it, which would otherwise be the name of nobody; `false` where
/// it is not one, or has a layout that cannot be edited line by line.
pub(super) fn become_list(edits: &mut Edits, tree: &Tree, node: Node<'_>, item: &Item<'_>) -> bool {
    let text = tree.text();
    let (start, end) = (node.full_span().start, node.span().end);
    let is_one = node.as_str().is_some_and(|text| text.parse::<Recipient>().is_ok());
    if !is_one || node.anchor().is_some() || names::behind(tree, node).is_none() {
        return false;
    }
    let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let before = text[line..start].trim_end();
    let indent = before.len() - before.trim_start_matches([' ', '-']).len();
    if &before[indent..] != "age:" {
        return false;
    }
    let (line_break, hyphen) = (line_break(text), format!("{}- ", " ".repeat(indent + 2)));
    edits.replace(line + before.len()..start, format!("{line_break}{hyphen}"));
    put_below(edits, text, end, &format!("{hyphen}{}", item.line()), line_break);
    true
}

/// Puts a recipient behind the last one of a text with commas, on a line of its own where each has one.
pub(super) fn append(
    edits: &mut Edits,
    text: &str,
    node: Node<'_>,
    recipient: &Recipient,
) -> Result<(), PolicyEditError> {
    let span = node.span();
    let source = &text[span.clone()];
    let closing = usize::from(matches!(node.kind(), Kind::Scalar(_, Style::Single | Style::Double)));
    let content = source[..source.len() - closing].trim_end();
    let separator = if let Some(newline) = content.rfind('\n') {
        let line = &content[newline + 1..];
        let indent = &line[..line.len() - line.trim_start().len()];
        let line_break = if content[..newline].ends_with('\r') { "\r\n" } else { "\n" };
        if content.ends_with(',') {
            format!("{line_break}{indent}")
        } else {
            format!(",{line_break}{indent}")
        }
    } else if content.contains(", ") {
        ", ".to_owned()
    } else {
        ",".to_owned()
    };
    let is_literal = matches!(node.kind(), Kind::Scalar(_, Style::Literal));
    if content.is_empty() || is_literal || content.ends_with(',') && !separator.contains('\n') {
        return Err(PolicyEditError::Layout { position: node.position() });
    }
    let at = span.start + content.len();
    edits.replace(at..at, format!("{separator}{recipient}"));
    Ok(())
}
