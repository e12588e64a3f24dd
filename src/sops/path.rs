//! Where a leaf is: `["data"]["token"][0]`, in the form that `sops --extract` and `sops set` take.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Into a mapping.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// The way from the root of a document to a leaf; never empty when parsed from text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<Segment>);

impl Path {
    /// A path through mappings only.
    pub fn of_keys<'k>(keys: impl IntoIterator<Item = &'k str>) -> Self {
        Self(keys.into_iter().map(|key| Segment::Key(key.to_owned())).collect())
    }

    /// The keys on the way; list indices are left out, as sops does where a rule or a ciphertext is bound to a path.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        })
    }

    /// The path without its last segment.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// What a ciphertext at this path is bound to: the keys, each followed by a colon; a lone colon at the root
    /// (sops.go:549 and 605).
    pub(super) fn additional_data(&self) -> String {
        let mut data = String::new();
        for key in self.keys() {
            data.push_str(key);
            data.push(':');
        }
        if data.is_empty() {
            data.push(':');
        }
        data
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Key(key) => write!(f, "[{}]", serde_json::Value::from(key.as_str())),
            Segment::Index(index) => write!(f, "[{index}]"),
        })
    }
}

/// A text that is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a path like [\"data\"][\"token\"][0]")]
pub struct PathError {
    text: String,
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let error = || PathError { text: text.to_owned() };
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.strip_prefix('[').ok_or_else(error)?;
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde_json::Value>();
            let segment = match values.next() {
                Some(Ok(serde_json::Value::String(key))) => Segment::Key(key),
                Some(Ok(serde_json::Value::Number(index))) => Segment::Index(
                    index.as_u64().and_then(|index| usize::try_from(index).ok()).ok_or_else(error)?,
                ),
                _ => return Err(error()),
            };
            segments.push(segment);
            rest =
                rest.get(values.byte_offset()..).and_then(|rest| rest.strip_prefix(']')).ok_or_else(error)?;
        }
        if segments.is_empty() { Err(error()) } else { Ok(Self(segments)) }
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_path_round_trip() {
        for text in [r#"["a"]"#, r#"["a"]["b"][0]["c d"]"#, r#"["q\"uo]te"][12]"#, r#"[""]"#] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "a", "[a]", "[\"a\"", "[-1]", "[1.5]", "[\"a\"]x", "[true]", "[]"] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }

    #[test]
    fn additional_data_has_keys_but_no_indices() {
        let path: Path = r#"["list"][3]["k"]"#.parse().unwrap();
        assert_eq!(path.additional_data(), "list:k:");
        assert_eq!(Path::default().additional_data(), ":");
    }

    #[test]
    fn a_path_is_a_string_in_json() {
        let path: Path = r#"["a"][1]"#.parse().unwrap();
        let json = serde_json::to_string(&path).unwrap();
        assert_eq!(json, r#""[\"a\"][1]""#);
        assert_eq!(serde_json::from_str::<Path>(&json).unwrap(), path);
    }
}
