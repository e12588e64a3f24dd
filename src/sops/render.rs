//! Where a value stands, and texts as YAML scalars, in a form that YAML 1.1 and 1.2 readers agree on.

use std::fmt::Write as _;

use crate::yaml::{Kind, Node, Style, Tree};

use super::scalar;
use super::value::Type;

/// Where a scalar stands, which says what it may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'t> {
    /// How the scalar that it replaces is written; plain for a new one.
    pub(super) style: Style,
    /// Inside `{…}` or `[…]`.
    pub(super) in_flow: bool,
    /// The text that goes on behind it. go-ini reads a value together with the rest of its line.
    pub(super) behind: &'t str,
}

impl<'t> Place<'t> {
    /// A new scalar in block context, at the end of a line.
    pub(super) const BLOCK: Self = Self { style: Style::Plain, in_flow: false, behind: "" };

    /// The place of a node.
    pub(super) fn of(node: Node<'t>) -> Self {
        let style = match node.kind() {
            Kind::Scalar(_, style) => style,
            _ => Style::Plain,
        };
        let in_flow = std::iter::successors(node.parent(), |node| node.parent()).any(is_flow);
        Self { style, in_flow, behind: node.behind() }
    }

    /// Whether any plain scalar can stand here that can stand in a block.
    pub(super) fn is_plain_block(&self) -> bool {
        self.style == Style::Plain && !self.in_flow
    }
}

fn is_flow(node: Node<'_>) -> bool {
    match node.kind() {
        Kind::Mapping(mapping) => mapping.is_flow(),
        Kind::Sequence(sequence) => sequence.is_flow(),
        _ => false,
    }
}

/// An `ENC[…]`. It has no character that quotes would change, but commas and brackets that a flow collection would.
pub(super) fn encrypted(value: &str, place: Place<'_>) -> String {
    match place.style {
        _ if value.is_empty() => "\"\"".to_owned(),
        Style::Single => format!("'{value}'"),
        Style::Double => format!("\"{value}\""),
        _ if place.in_flow => format!("\"{value}\""),
        _ => value.to_owned(),
    }
}

/// A text in the clear, in the quotes of what it replaces where they can hold it.
pub(super) fn text(value: &str, place: Place<'_>) -> String {
    match place.style {
        Style::Plain if is_plain(value) => value.to_owned(),
        Style::Single if value.chars().all(|char| is_printable(char) && char != '\n') => {
            format!("'{}'", value.replace('\'', "''"))
        }
        _ => double_quoted(value),
    }
}

/// Whether a text can stand without quotes: nothing that could be syntax, and a string for go-yaml.
fn is_plain(value: &str) -> bool {
    let safe = |char: char| char.is_ascii_alphanumeric() || "_./+=-@^$()|".contains(char);
    let starts_safely = value.starts_with(|char: char| char.is_ascii_alphanumeric() || "_^(".contains(char));
    // YAML 1.1 readers other than go-yaml take these for booleans.
    let is_old_boolean =
        matches!(value.to_ascii_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off");
    if !starts_safely || !value.chars().all(safe) || is_old_boolean {
        return false;
    }
    let Ok(tree) = Tree::parse(value) else { return false };
    tree.root().is_some_and(|node| {
        node.as_str() == Some(value)
            && matches!(scalar::value(node), Ok(Some(plain)) if plain.kind == Type::Str)
    })
}

/// YAML 1.2.2 §5.1, without what editors and readers treat as a line break.
pub(super) fn is_printable(char: char) -> bool {
    !char.is_control() && !matches!(char, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A text in double quotes, with escapes that YAML and JSON (RFC 8259 §7) have alike.
pub(super) fn double_quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for char in value.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            char if is_printable(char) => quoted.push(char),
            // Writing to a String cannot fail; what is not printable lies below U+10000.
            char => drop(write!(quoted, "\\u{:04X}", u32::from(char))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back_as_the_same_text() {
        let values = [
            "",
            "plain",
            "5",
            "true",
            "yes",
            "~",
            "a: b",
            "- x",
            "# c",
            "it's",
            "say \"hi\"",
            "back\\slash",
            "two\nlines\n",
            " space ",
            "\ttab",
            "é ü 漢 😀",
            "\0\u{7f}\u{85}\u{2028}\u{feff}",
            "2001-01-01",
            "0x1F",
            "*a",
            "&a",
            "!t",
            "{a}",
            "[a]",
            "%d",
            "@x",
            "`x`",
            "a,b",
            "null",
            "<<",
            "=",
            "---",
            "...",
            "glpat-aB1_-",
            "^(data|stringData)$",
        ];
        for value in values {
            for style in [Style::Plain, Style::Single, Style::Double, Style::Literal] {
                for in_flow in [false, true] {
                    let text = text(value, Place { style, in_flow, ..Place::BLOCK });
                    let source = if in_flow { format!("k: [{text}]\n") } else { format!("k: {text}\n") };
                    let tree = Tree::parse(source).unwrap();
                    let node = tree.root().unwrap().get("k").unwrap();
                    let node =
                        if in_flow { node.as_sequence().unwrap().items().next().unwrap() } else { node };
                    assert_eq!(node.as_str(), Some(value), "{text}");
                    assert!(
                        matches!(scalar::value(node), Ok(Some(plain)) if plain.kind == Type::Str),
                        "{text}"
                    );
                }
            }
        }
    }

    #[test]
    fn quotes_are_kept_where_they_can_hold_the_text() {
        let place = |style| Place { style, ..Place::BLOCK };
        assert_eq!(text("it's", place(Style::Single)), "'it''s'");
        assert_eq!(text("a\nb", place(Style::Single)), r#""a\nb""#);
        assert_eq!(text("abc", place(Style::Double)), r#""abc""#);
        assert_eq!(text("abc", place(Style::Plain)), "abc");
        assert_eq!(text("12", place(Style::Plain)), r#""12""#);
    }
}
