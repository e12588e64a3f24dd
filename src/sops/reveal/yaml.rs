//! Values of YAML in the clear, as stock sops prints them and go-yaml reads them back.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::super::render::{self, Place};
use super::super::scalar;
use super::super::value::{Plain, PlainRef, Type};
use super::clear::{Change, lower};
use crate::yaml::{Node, Tree};

/// What stands in the place of an encrypted value.
pub(super) fn value(text: &str, node: Node<'_>, plain: PlainRef<'_>) -> Change {
    let span = node.span();
    let (Ok(shown), Type::Str | Type::Comment) = (str::from_utf8(plain.bytes), plain.kind) else {
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
    if place.is_plain_block() && is_words(value) {
        return true;
    }
    let old_booleans = ["y", "n", "yes", "no", "on", "off"];
    if !place.is_plain_block()
        || !value.chars().all(render::is_printable)
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

/// Whether a text is words of letters and digits, longer than any word that is no text: no YAML has another meaning for it.
fn is_words(value: &str) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || " _-./+=@".contains(char);
    value.len() > scalar::LONGEST_WORD
        && value.starts_with(|first: char| first.is_ascii_alphabetic())
        && value.chars().all(is_part)
        && !value.ends_with(' ')
}

/// A value that is no text, as go-yaml reads it back.
fn scalar_of(plain: PlainRef<'_>) -> Zeroizing<String> {
    let text = str::from_utf8(plain.bytes).unwrap_or_default();
    Zeroizing::new(match (plain.kind, text) {
        (Type::Str | Type::Bytes | Type::Comment, _) => {
            format!("!!binary {}", STANDARD.encode(plain.bytes))
        }
        (Type::Bool, _) => String::from_utf8_lossy(&lower(plain.bytes)).into_owned(),
        (Type::Float, "NaN") => ".nan".to_owned(),
        (Type::Float, "+Inf") => ".inf".to_owned(),
        (Type::Float, "-Inf") => "-.inf".to_owned(),
        (Type::Int | Type::Float | Type::Time, _) => text.to_owned(),
    })
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
    let newline = if text[span.end..].starts_with('\r') { "\r\n" } else { "\n" };
    let mut block = Zeroizing::new(String::with_capacity(value.len() * 2));
    block.push_str(header);
    for line in lines() {
        block.push_str(newline);
        if !line.is_empty() {
            block.push_str(&indent);
            block.push_str(line);
        }
    }
    // The line break behind the value's place is the last of its own.
    block.extend(std::iter::repeat_n(newline, trailing.saturating_sub(1)));
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
