//! Keys and values of a mapping, read strictly: what is unknown, missing or of the wrong form is reported with its
//! place.

use std::fmt::Display;
use std::str::FromStr;

use super::spelling::did_you_mean;
use crate::problem::{Problem, only_root};
use crate::yaml::{Kind, Mapping, Node, Position, Style, Tree};

/// Collects problems while values are read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

/// A mapping whose keys are all known.
pub(super) struct Fields<'t> {
    mapping: Mapping<'t>,
    what: String,
}

impl<'t> Fields<'t> {
    /// The value of a key that may be absent. An empty value counts as one, so that it is reported.
    pub(super) fn optional(&self, key: &str) -> Option<Node<'t>> {
        self.mapping.get(key)
    }

    pub(super) fn position(&self) -> Position {
        self.mapping.node().position()
    }
}

impl Reader {
    pub(super) fn report(&mut self, node: Node<'_>, message: impl Into<String>) {
        self.report_at(node.position(), message);
    }

    pub(super) fn report_at(&mut self, position: Position, message: impl Into<String>) {
        self.problems.push(Problem { position, message: message.into() });
    }

    /// Reads the only document of `text`.
    pub(super) fn parse<T>(
        &mut self,
        text: &str,
        read: impl FnOnce(&mut Self, Node<'_>) -> Option<T>,
    ) -> Option<T> {
        let start = Position { line: 1, column: 1 };
        let tree = match Tree::parse(text) {
            Ok(tree) => tree,
            Err(error) => {
                self.report_at(error.position().unwrap_or(start), error.message());
                return None;
            }
        };
        match only_root(&tree, "a profile") {
            Ok(root) => read(self, root),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// The mapping at `node`; `what` names it in error texts. Unknown keys are reported, and the rest is read all
    /// the same.
    pub(super) fn fields<'t>(&mut self, node: Node<'t>, what: &str, known: &[&str]) -> Option<Fields<'t>> {
        let Some(mapping) = node.as_mapping() else {
            self.report(node, format!("{what} must be a mapping, not a {}", node.describe()));
            return None;
        };
        for entry in mapping.entries().filter(|entry| !known.contains(&entry.key)) {
            let meant = did_you_mean(entry.key, known.iter().copied());
            let known = if meant.is_empty() { format!("; {what} has {}", known.join(", ")) } else { meant };
            self.report(entry.key_node, format!("unknown key `{}`{known}", entry.key.escape_debug()));
        }
        Some(Fields { mapping, what: what.to_owned() })
    }

    /// The value of a key that must be there.
    pub(super) fn required<'t>(&mut self, fields: &Fields<'t>, key: &str) -> Option<Node<'t>> {
        let value = fields.optional(key);
        if value.is_none() {
            self.report_at(fields.position(), format!("{} lacks the key `{key}`", fields.what));
        }
        value
    }

    /// The text of a scalar that is not empty.
    pub(super) fn text<'t>(&mut self, node: Node<'t>) -> Option<&'t str> {
        let value = node.resolve();
        match value.kind() {
            _ if value.tag().is_some() => self.report(node, "tags such as !!str have no meaning here"),
            _ if value.is_null() => self.report(node, "the value is empty; write one or remove the key"),
            Kind::Scalar(text, _) => return Some(text),
            _ => self.report(node, format!("expected a text, not a {}", value.describe())),
        }
        None
    }

    /// A text in the form of `T`.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, node: Node<'_>, text: &str) -> Option<T> {
        text.parse().map_err(|error: T::Err| self.report(node, error.to_string())).ok()
    }

    /// A text that must be there and pass `check`.
    pub(super) fn required_text<T, E: Display>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let node = self.required(fields, key)?;
        let text = self.text(node)?;
        check(text).map_err(|error| self.report(node, error.to_string())).ok()
    }

    /// One of a few words; `default` when the key is absent, where there is one.
    pub(super) fn choice<T: Copy>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        default: Option<T>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let node = match (fields.optional(key), default) {
            (Some(node), _) => node,
            (None, Some(default)) => return Some(default),
            (None, None) => self.required(fields, key)?,
        };
        let text = self.text(node)?;
        // `commit: "false"` is a text for every other reader of YAML, so it is not taken for a boolean here.
        let quoted = !matches!(node.resolve().kind(), Kind::Scalar(_, Style::Plain));
        let found = words.iter().find(|(word, _)| *word == text);
        match found {
            Some((word, _)) if quoted && ["true", "false"].contains(word) => {
                self.report(node, format!("`{key}` is {word} without quotes"));
                None
            }
            Some((_, value)) => Some(*value),
            None => {
                let meant = did_you_mean(text, words.iter().map(|(word, _)| *word));
                let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let known =
                    if meant.is_empty() { format!("; it is one of {}", all.join(", ")) } else { meant };
                self.report(node, format!("unknown {key} `{}`{known}", text.escape_debug()));
                None
            }
        }
    }
}
