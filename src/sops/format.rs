//! The five formats of sops's stores, and what of the engine depends on them.

use std::fmt;

use crate::yaml::{self, Kind, Node, Style, Tree};

use super::change::Stored;
use super::render::{self, Place};
use super::scalar::{self, ScalarError};
use super::value::Plain;
use super::{dotenv, ini, json};

/// How a file is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// YAML, of one or several documents.
    Yaml,
    /// A JSON object.
    Json,
    /// `KEY=value` lines.
    Dotenv,
    /// Sections of `key = value` lines.
    Ini,
    /// Anything: the whole content is one value, in a JSON object under `data`.
    Binary,
}

impl Format {
    /// The format that sops chooses for a path: by its ending, in lower case only; everything that it does not know is
    /// binary (cmd/sops/formats/formats.go).
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let endings = [
            (".yaml", Self::Yaml),
            (".yml", Self::Yaml),
            (".json", Self::Json),
            (".env", Self::Dotenv),
            (".ini", Self::Ini),
        ];
        endings
            .into_iter()
            .find(|(ending, _)| path.ends_with(ending))
            .map_or(Self::Binary, |(_, format)| format)
    }

    /// The text as a tree of spans.
    ///
    /// # Errors
    /// Everything in [`yaml::Error`], whose positions and bounds are those of all formats.
    pub(crate) fn tree(self, text: String) -> Result<Tree, yaml::Error> {
        if text.len() > yaml::MAX_BYTES {
            return Err(yaml::Error::TooLong { bytes: text.len() });
        }
        let scanned = match self {
            Self::Yaml => return Tree::parse(text),
            Self::Json | Self::Binary => json::scan(&text)?,
            Self::Dotenv => dotenv::scan(&text)?,
            Self::Ini => ini::scan(&text)?,
        };
        Ok(scanned.of(text))
    }

    /// The value of a scalar in the clear, as sops types it in this format; `None` for null.
    pub(super) fn scalar(self, node: Node<'_>) -> Result<Option<Plain>, ScalarError> {
        let Kind::Scalar(text, style) = node.kind() else { return Err(ScalarError::ForeignTag) };
        match self {
            Self::Yaml => scalar::value(node),
            Self::Json | Self::Binary if style == Style::Plain => json::value(text),
            _ => Ok(Some(Plain::str(text))),
        }
    }

    /// The text of a stored value in the place of another.
    pub(super) fn rendered(self, value: &Stored, place: Place<'_>) -> String {
        match (self, value) {
            (Self::Yaml, Stored::Encrypted(text)) => render::encrypted(text, place),
            (Self::Yaml, Stored::Clear(text)) => render::text(text, place),
            (Self::Json | Self::Binary, Stored::Encrypted(text) | Stored::Clear(text)) => json::quoted(text),
            (_, Stored::Encrypted(text)) => text.clone(),
            (Self::Dotenv, Stored::Clear(text)) => dotenv::escaped(text),
            (Self::Ini, Stored::Clear(text)) => ini::quoted(text, place.behind),
        }
    }

    /// Whether a text in the clear reads back as itself in this place, with what stands behind it. JSON and YAML have an
    /// escape for everything.
    pub(super) fn holds(self, text: &str, place: Place<'_>) -> bool {
        match self {
            Self::Yaml | Self::Json | Self::Binary => true,
            Self::Dotenv => dotenv::holds(text),
            Self::Ini => ini::holds(text, place.behind),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yaml => "YAML",
            Self::Json => "JSON",
            Self::Dotenv => "dotenv",
            Self::Ini => "INI",
            Self::Binary => "binary",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_the_path_decides_as_in_sops() {
        let rows = [
            ("a/b.yaml", Format::Yaml),
            ("b.yml", Format::Yaml),
            ("b.enc.json", Format::Json),
            ("deploy/.env", Format::Dotenv),
            ("prod.env", Format::Dotenv),
            ("x.ini", Format::Ini),
            ("x.YAML", Format::Binary),
            ("x.yaml.sops", Format::Binary),
            ("key.pem", Format::Binary),
            ("env", Format::Binary),
            ("", Format::Binary),
        ];
        for (path, wanted) in rows {
            assert_eq!(Format::of_path(path), wanted, "{path}");
        }
    }
}
