//! Which leaves are encrypted: the six rules (sops.go:437-512). What the last two select depends on where comments stand,
//! which [`super::marks`] knows.

use std::fmt;

use super::path::Path;
use super::re2::{Pattern, PatternError};

/// The rule of a file. The first four look at every key on the way to a leaf; one hit decides for all below it. The last
/// two look at the comments that stand before the leaf, or before something that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All but what is below a key with this ending.
    UnencryptedSuffix(String),
    /// Only what is below a key with this ending.
    EncryptedSuffix(String),
    /// All but what is below a key that matches.
    UnencryptedRegex(Pattern),
    /// Only what is below a key that matches.
    EncryptedRegex(Pattern),
    /// All but what a comment that matches stands before.
    UnencryptedCommentRegex(Pattern),
    /// Only what a comment that matches stands before.
    EncryptedCommentRegex(Pattern),
}

/// Names of the six rules, in the order in which sops writes them.
pub(super) const FIELDS: [&str; 6] = [
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
];

/// Why there is no rule to go by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// sops accepts at most one.
    #[error("both `{first}` and `{second}` are set: only one selection rule may be set")]
    Several {
        /// One of them.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// The regular expression is not one.
    #[error("`{field}`: {source}")]
    Pattern {
        /// The rule.
        field: &'static str,
        /// What is wrong with it.
        source: PatternError,
    },
}

/// sops's rule where nothing is said (stores/stores.go:296).
impl Default for Selection {
    fn default() -> Self {
        Self::UnencryptedSuffix("_unencrypted".to_owned())
    }
}

impl Selection {
    /// The rule among these fields; the default when all are absent or empty.
    pub(super) fn from_fields<'v>(
        mut value: impl FnMut(&'static str) -> Option<&'v str>,
    ) -> Result<Self, SelectionError> {
        let mut set = FIELDS
            .into_iter()
            .filter_map(|field| Some((field, value(field).filter(|text| !text.is_empty())?)));
        let Some((field, text)) = set.next() else { return Ok(Self::default()) };
        if let Some((second, _)) = set.next() {
            return Err(SelectionError::Several { first: field, second });
        }
        let pattern = || Pattern::new(text).map_err(|source| SelectionError::Pattern { field, source });
        match field {
            "unencrypted_suffix" => Ok(Self::UnencryptedSuffix(text.to_owned())),
            "encrypted_suffix" => Ok(Self::EncryptedSuffix(text.to_owned())),
            "unencrypted_regex" => pattern().map(Self::UnencryptedRegex),
            "encrypted_regex" => pattern().map(Self::EncryptedRegex),
            "unencrypted_comment_regex" => pattern().map(Self::UnencryptedCommentRegex),
            _ => pattern().map(Self::EncryptedCommentRegex),
        }
    }

    /// Whether a leaf at `path` is encrypted; `None` where that depends on comments, so that only the document can tell.
    #[must_use]
    pub fn encrypts(&self, path: &Path) -> Option<bool> {
        self.encrypts_below(path.keys())
    }

    /// The same for a leaf below these keys.
    pub(super) fn encrypts_below<'k>(&self, mut keys: impl Iterator<Item = &'k str>) -> Option<bool> {
        match self {
            Self::UnencryptedSuffix(suffix) => Some(!keys.any(|key| key.ends_with(suffix))),
            Self::EncryptedSuffix(suffix) => Some(keys.any(|key| key.ends_with(suffix))),
            Self::UnencryptedRegex(pattern) => Some(!keys.any(|key| pattern.is_match(key))),
            Self::EncryptedRegex(pattern) => Some(keys.any(|key| pattern.is_match(key))),
            Self::UnencryptedCommentRegex(_) | Self::EncryptedCommentRegex(_) => None,
        }
    }

    /// What a comment must match to decide.
    pub(super) fn comment_pattern(&self) -> Option<&Pattern> {
        match self {
            Self::UnencryptedCommentRegex(pattern) | Self::EncryptedCommentRegex(pattern) => Some(pattern),
            _ => None,
        }
    }

    /// Name and value as they stand in a file.
    #[must_use]
    pub fn field(&self) -> (&'static str, &str) {
        match self {
            Self::UnencryptedSuffix(suffix) => ("unencrypted_suffix", suffix),
            Self::EncryptedSuffix(suffix) => ("encrypted_suffix", suffix),
            Self::UnencryptedRegex(pattern) => ("unencrypted_regex", pattern.as_str()),
            Self::EncryptedRegex(pattern) => ("encrypted_regex", pattern.as_str()),
            Self::UnencryptedCommentRegex(pattern) => ("unencrypted_comment_regex", pattern.as_str()),
            Self::EncryptedCommentRegex(pattern) => ("encrypted_comment_regex", pattern.as_str()),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, value) = self.field();
        write!(f, "{field}: {value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(field: &'static str, value: &str) -> Selection {
        Selection::from_fields(|name| (name == field).then_some(value)).unwrap()
    }

    fn path(keys: &[&str]) -> Path {
        Path::of_keys(keys.iter().copied())
    }

    #[test]
    fn without_a_rule_the_suffix_of_sops_applies() {
        let default = Selection::from_fields(|_| None).unwrap();
        assert_eq!(default.encrypts(&path(&["a", "b"])), Some(true));
        assert_eq!(default.encrypts(&path(&["a_unencrypted", "b"])), Some(false));
        assert_eq!(default.encrypts(&path(&["a", "b_unencrypted"])), Some(false));
    }

    #[test]
    fn one_key_on_the_way_decides_for_all_below() {
        assert_eq!(
            rule("encrypted_regex", "^(data|stringData)$").encrypts(&path(&["data", "x", "y"])),
            Some(true)
        );
        assert_eq!(
            rule("encrypted_regex", "^(data|stringData)$").encrypts(&path(&["metadata", "name"])),
            Some(false)
        );
        assert_eq!(rule("unencrypted_regex", "^meta").encrypts(&path(&["metadata", "name"])), Some(false));
        assert_eq!(rule("unencrypted_regex", "^meta").encrypts(&path(&["data"])), Some(true));
        assert_eq!(rule("encrypted_suffix", "_secret").encrypts(&path(&["a_secret", "b"])), Some(true));
        assert_eq!(rule("encrypted_suffix", "_secret").encrypts(&path(&["a"])), Some(false));
    }

    #[test]
    fn two_rules_are_refused() {
        let error = Selection::from_fields(|name| name.ends_with("_suffix").then_some("x")).unwrap_err();
        assert_eq!(
            error,
            SelectionError::Several { first: "unencrypted_suffix", second: "encrypted_suffix" }
        );
    }

    #[test]
    fn rules_about_comments_say_nothing_about_a_path() {
        assert_eq!(rule("encrypted_comment_regex", "x").encrypts(&path(&["x"])), None);
        assert_eq!(rule("unencrypted_comment_regex", "x").field(), ("unencrypted_comment_regex", "x"));
    }

    #[test]
    fn broken_patterns_are_refused() {
        let broken = Selection::from_fields(|name| (name == "encrypted_regex").then_some("(x"));
        assert!(matches!(broken, Err(SelectionError::Pattern { .. })));
    }
}
