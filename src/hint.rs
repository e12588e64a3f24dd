//! What helps: a command, or the thing to change. The paths in one are kept apart from its words, and are written as they are
//! typed where the person stands.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::word;

/// What helps. It shows its paths as one types them in the repository's root, or where [`Hint::at`] has put it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hint(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Text(String),
    /// A file or folder of the repository, with `/` between names.
    Path(String),
}

impl<T: Into<String>> From<T> for Hint {
    fn from(text: T) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

impl Hint {
    /// Adds words.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    /// Adds a path, relative to the repository's root, as one word of a command.
    #[must_use]
    pub fn path(mut self, path: impl fmt::Display) -> Self {
        self.0.push(Part::Path(path.to_string()));
        self
    }

    /// Adds several paths.
    #[must_use]
    pub fn paths(self, paths: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        let (hint, _) = paths.into_iter().fold((self, ""), |(hint, between), path| {
            (if between.is_empty() { hint } else { hint.then(between) }.path(path), " ")
        });
        hint
    }

    /// This one, and another that helps as well, on a line of its own: each can be copied.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.0.push(Part::Text("\n".to_owned()));
        self.0.extend(other.0);
        self
    }

    /// The same for somebody who stands `here`.
    #[must_use]
    pub fn at(&self, here: &Here) -> Self {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Path(path) => word(here.typed(path)),
        });
        Self::from(parts.collect::<String>())
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Path(path) => f.write_str(&word(Here::default().typed(path))),
        })
    }
}

impl Serialize for Hint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The folder of the repository in which a person stands, by the names from its root on; empty: the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here(Vec<String>);

impl Here {
    /// The folder of these names.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// `path`, which begins at the root, as it is typed here.
    fn typed(&self, path: &str) -> String {
        let names: Vec<&str> = path.split('/').collect();
        let common = self.0.iter().zip(&names).take_while(|(here, name)| here == *name).count();
        let up = std::iter::repeat_n("..", self.0.len() - common);
        let typed = up.chain(names[common..].iter().copied()).collect::<Vec<_>>().join("/");
        match typed.as_str() {
            "" => ".".to_owned(),
            // A program would take it for an option.
            option if option.starts_with('-') => format!("./{option}"),
            _ => typed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_typed_from_where_one_stands() {
        let cases = [
            ("", "secrets/qa.sops.yaml", "secrets/qa.sops.yaml"),
            ("secrets", "secrets/qa.sops.yaml", "qa.sops.yaml"),
            ("templates", "secrets/qa.sops.yaml", "../secrets/qa.sops.yaml"),
            ("secrets/devmode", "secrets/qa.sops.yaml", "../qa.sops.yaml"),
            ("secrets/devmode", "secrets/devmode", "."),
            ("secrets/devmode", "secrets", ".."),
            ("sec", "secrets/qa.sops.yaml", "../secrets/qa.sops.yaml"),
            ("", "-qa.yaml", "./-qa.yaml"),
        ];
        for (here, path, typed) in cases {
            let here = Here::new(here.split('/').filter(|name| !name.is_empty()));
            assert_eq!(here.typed(path), typed, "{here:?}");
        }
    }

    #[test]
    fn words_stay_as_they_are_and_each_path_is_one_word() {
        let hint = Hint::from("git add ").paths(["a b.yaml", "secrets/c.yaml"]).then(" && git commit");
        assert_eq!(hint.to_string(), "git add 'a b.yaml' secrets/c.yaml && git commit");
        let below = hint.at(&Here::new(["secrets"])).to_string();
        assert_eq!(below, "git add '../a b.yaml' c.yaml && git commit");
        assert_eq!(serde_json::to_value(&hint).unwrap(), hint.to_string());
    }
}
