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

impl Segment {
    /// How many bytes it has of a text; a number has none.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Key(key) => key.len(),
            Self::Index(_) => 0,
        }
    }
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
    pub fn keys(&self) -> impl Iterator<Item = &str> + Clone {
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
        additional_data(self.keys())
    }
}

fn additional_data<'k>(keys: impl Iterator<Item = &'k str> + Clone) -> String {
    let length: usize = keys.clone().map(|key| key.len() + 1).sum();
    let mut data = String::with_capacity(length.max(1));
    for key in keys {
        data.push_str(key);
        data.push(':');
    }
    if data.is_empty() {
        data.push(':');
    }
    data
}

/// The path of a leaf that is in a document: a file has many leaves, and few collections that they are in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LeafPath<'d> {
    /// The path of the collection.
    pub(super) collection: &'d Path,
    /// From the collection to the leaf.
    pub(super) last: Step<'d>,
}

/// One step of a [`LeafPath`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'d> {
    Key(&'d str),
    Index(usize),
}

impl Step<'_> {
    pub(super) fn to_segment(self) -> Segment {
        match self {
            Self::Key(key) => Segment::Key(key.to_owned()),
            Self::Index(index) => Segment::Index(index),
        }
    }
}

impl<'d> LeafPath<'d> {
    pub(super) fn to_path(self) -> Path {
        let mut segments = Vec::with_capacity(self.collection.0.len() + 1);
        segments.extend_from_slice(&self.collection.0);
        segments.push(self.last.to_segment());
        Path(segments)
    }

    /// Whether `path` is the same.
    pub(super) fn is(self, path: &Path) -> bool {
        let is_last = |segment: &Segment| match (segment, self.last) {
            (Segment::Key(key), Step::Key(last)) => key == last,
            (Segment::Index(index), Step::Index(last)) => *index == last,
            _ => false,
        };
        let collection = &self.collection.0;
        path.0.split_last().is_some_and(|(last, rest)| is_last(last) && rest == collection.as_slice())
    }

    /// Whether `path` leads to the leaf, or to something that it is in.
    pub(super) fn starts_with(self, path: &Path) -> bool {
        self.collection.0.starts_with(&path.0) || self.is(path)
    }

    /// The keys on the way, as in [`Path::keys`].
    pub(super) fn keys(self) -> impl Iterator<Item = &'d str> + Clone {
        let last = match self.last {
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        };
        self.collection.keys().chain(last)
    }

    /// As [`Path::additional_data`].
    pub(super) fn additional_data(self) -> String {
        additional_data(self.keys())
    }
}

impl fmt::Display for LeafPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_path().fmt(f)
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
    fn the_path_of_a_leaf_is_like_any_other() {
        for text in [r#"["a"]"#, r#"["list"][3]["k"]"#, r#"["a"]["list"][3]"#] {
            let path: Path = text.parse().unwrap();
            let (collection, last) = (path.parent().unwrap(), path.0.last().unwrap());
            let last = match last {
                Segment::Key(key) => Step::Key(key),
                Segment::Index(index) => Step::Index(*index),
            };
            let leaf = LeafPath { collection: &collection, last };
            assert_eq!(leaf.to_path(), path);
            assert_eq!(leaf.to_string(), text);
            assert_eq!(leaf.additional_data(), path.additional_data());
            assert!(leaf.is(&path) && leaf.starts_with(&path) && leaf.starts_with(&collection));
            assert!(!leaf.is(&collection) && !leaf.is(&Path::default()));
        }
    }

    #[test]
    fn a_path_is_a_string_in_json() {
        let path: Path = r#"["a"][1]"#.parse().unwrap();
        let json = serde_json::to_string(&path).unwrap();
        assert_eq!(json, r#""[\"a\"][1]""#);
        assert_eq!(serde_json::from_str::<Path>(&json).unwrap(), path);
    }
}
