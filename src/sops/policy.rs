//! The policy `.sops.yaml`: who may read which file, and what in it is encrypted (config/config.go of sops).
//!
//! sops ignores keys that it does not know, so that a misspelt `path_regex` makes a rule match every file; here they
//! are errors. `destination_rules` (for `sops publish`) and `stores` (indentation) say nothing about readers and are
//! left alone.

mod edit;
#[cfg(test)]
mod edit_tests;
mod hidden;
mod keys;
mod read;
mod remove;
#[cfg(test)]
mod tests;
mod texts;

use crate::yaml::{self, Position};

use super::keys::{Recipient, RecipientError};
use super::names::Names;
use super::other::{OtherReader, ServiceKey};
use super::re2::{Pattern, PatternError};
use super::reader::Reader;
use super::selection::{Selection, SelectionError};

pub use edit::{PolicyEdit, PolicyEditError};
pub use hidden::HiddenRule;
pub use keys::KeyGroup;
pub(super) use keys::other_reader;

/// Why a policy is not one, or gives no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not YAML.
    #[error(transparent)]
    Yaml(#[from] yaml::Error),
    /// The text has no mapping at its top, or more than one document.
    #[error("the policy must be one YAML mapping with `creation_rules`")]
    NotAPolicy,
    /// Something at this place is wrong.
    #[error("{position}: {problem}")]
    At {
        /// Where.
        position: Position,
        /// What.
        problem: Problem,
    },
    /// No rule is for this file.
    #[error("no creation rule matches `{path}`")]
    NoRule {
        /// The file.
        path: String,
    },
}

/// What is wrong at one place of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A key that sops does not know, and would ignore.
    #[error("unknown key `{key}`{}", did_you_mean(suggestion.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// A known one that looks like it.
        suggestion: Option<String>,
    },
    /// A merge key, which sops follows. Who edits a rule could not tell what else changes with it.
    #[error(
        "the merge key `<<` is not followed here, only aliases of values are: write out what it brings in"
    )]
    MergeKey,
    /// Another kind of node is needed here.
    #[error("`{key}` must be {wanted}")]
    WrongKind {
        /// The key.
        key: String,
        /// What it must be, with its article.
        wanted: &'static str,
    },
    /// `path_regex` is not a regular expression.
    #[error("`path_regex`: {0}")]
    PathRegex(PatternError),
    /// The selection rule.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// A recipient.
    #[error(transparent)]
    Recipient(#[from] RecipientError),
    /// Not a key of the type that the list is for.
    #[error("`{text}` is not a key for `{list}`: {wanted}")]
    NotAKey {
        /// The list.
        list: String,
        /// What stands there.
        text: String,
        /// What one looks like.
        wanted: &'static str,
    },
    /// A threshold that the groups cannot meet, or that is none.
    #[error("{}", threshold(*groups))]
    Threshold {
        /// How many there are.
        groups: usize,
    },
    /// More groups than Shamir's secret sharing has shares for.
    #[error("there are more than 255 groups")]
    TooManyGroups,
    /// One list names a key twice; sops would encrypt for it twice.
    #[error("`{key}` is already in this list, at line {}", first.line)]
    Duplicate {
        /// The key.
        key: String,
        /// Where it stands first.
        first: Position,
    },
    /// A key of a group that does not say which one it is.
    #[error("an entry of `{list}` needs `{field}`")]
    NoField {
        /// The list.
        list: String,
        /// What is missing.
        field: &'static str,
    },
    /// `key_groups` next to flat keys, which sops then ignores.
    #[error("sops ignores `{key}` next to `key_groups`: put it into the group")]
    Ignored {
        /// The flat key.
        key: String,
    },
    /// Nobody could read the file.
    #[error("the rule names no recipient")]
    NoRecipient,
    /// Groups that merge each other.
    #[error("`merge` leads to more than {} groups", keys::MAX_MERGES)]
    TooManyMerges,
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|known| format!(" (did you mean `{known}`?)")).unwrap_or_default()
}

fn threshold(groups: usize) -> String {
    match groups {
        1 => "`shamir_threshold` must be 0 or 1 where there is one group of keys".to_owned(),
        2 => "`shamir_threshold` must be 2 where there are two groups of keys; 0 means all".to_owned(),
        _ => format!(
            "`shamir_threshold` must be a number from 2 to {groups}, the number of groups, or 0 for all of them"
        ),
    }
}

impl Problem {
    pub(super) fn not_a_key(list: &str, text: &str) -> Self {
        let wanted = match list {
            "azure_keyvault" => "it looks like https://NAME.vault.azure.net/keys/KEY/VERSION",
            "hc_vault" | "hc_vault_transit_uri" => "it looks like https://HOST/v1/ENGINE/keys/KEY",
            "kms" => "it looks like arn:aws:kms:REGION:ACCOUNT:key/ID",
            _ => "it is empty",
        };
        Self::NotAKey { list: list.to_owned(), text: text.to_owned(), wanted }
    }
}

impl PolicyError {
    /// Where in the policy, when it is about one place.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Yaml(error) => error.position(),
            Self::At { position, .. } => Some(*position),
            Self::NotAPolicy | Self::NoRule { .. } => None,
        }
    }
}

/// What holds for the files that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    groups: Vec<KeyGroup>,
    /// How many groups it takes to open a file.
    threshold: usize,
    /// Of all groups.
    recipients: Vec<Recipient>,
    others: Vec<OtherReader>,
    selection: Selection,
    mac_only_encrypted: bool,
    position: Option<Position>,
}

impl Rule {
    /// A rule that no policy gives: exactly these readers, and what sops does where nothing is said. For
    /// `recipients: self` and for values in a journal.
    #[must_use]
    pub fn own(recipients: impl IntoIterator<Item = Recipient>) -> Self {
        let mut group = KeyGroup::default();
        recipients.into_iter().for_each(|recipient| group.add(recipient.into()));
        Self::new(vec![group], 1, Selection::default(), false, None)
    }

    /// The same readers, and what sops does where nothing is said: for a value by itself.
    pub(super) fn for_a_value(&self) -> Self {
        Self::new(self.groups.clone(), self.threshold, Selection::default(), false, None)
    }

    fn new(
        groups: Vec<KeyGroup>,
        threshold: usize,
        selection: Selection,
        mac_only_encrypted: bool,
        position: Option<Position>,
    ) -> Self {
        let (mut recipients, mut others) = (Vec::new(), Vec::<OtherReader>::new());
        for reader in groups.iter().flat_map(|group| &group.readers) {
            match reader {
                Reader::Age(recipient) if !recipients.contains(recipient) => {
                    recipients.push(recipient.clone());
                }
                Reader::Other(reader) if !others.iter().any(|known| known.is_same_key(reader)) => {
                    others.push(reader.clone());
                }
                Reader::Age(_) | Reader::Other(_) => {}
            }
        }
        Self { groups, threshold, recipients, others, selection, mac_only_encrypted, position }
    }

    /// The groups of readers: one where any reader opens a file, several where it takes [`Rule::threshold`] of them, one
    /// reader of each (Shamir's secret sharing).
    #[must_use]
    pub fn groups(&self) -> &[KeyGroup] {
        &self.groups
    }

    /// How many groups it takes to open a file.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The age recipients of all groups, in the order of the policy, each once.
    #[must_use]
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// Who else may read, with keys of other types, in the same way.
    #[must_use]
    pub fn other_readers(&self) -> &[OtherReader] {
        &self.others
    }

    /// What is encrypted.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Whether the MAC leaves out values in the clear.
    #[must_use]
    pub fn mac_only_encrypted(&self) -> bool {
        self.mac_only_encrypted
    }

    /// Where the rule stands in the policy; `None` for [`Rule::own`].
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }
}

#[derive(Debug)]
struct Entry {
    position: Position,
    /// `None` matches every path.
    path: Option<Pattern>,
    /// A rule that we cannot follow is an error only for the files that it matches.
    rule: Result<Rule, PolicyError>,
}

/// The rules of a `.sops.yaml`.
#[derive(Debug)]
pub struct Policy {
    entries: Vec<Entry>,
    hidden: Vec<HiddenRule>,
    names: Names,
}

impl Policy {
    /// Reads the text of a `.sops.yaml`.
    ///
    /// # Errors
    /// Not YAML, no `creation_rules`, a key inside a rule or group that sops does not know, a `path_regex` that does
    /// not compile. Any other mistake in a rule is an error of [`Policy::rule_for`], and listed by
    /// [`Policy::problems`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        read::policy(text)
    }

    /// The first rule whose `path_regex` is found in `path`, which is relative to the directory of the policy, with
    /// `/` (config/config.go: the directory's path is cut off textually).
    ///
    /// # Errors
    /// No rule matches; or the one that does names nobody, or has another mistake.
    pub fn rule_for(&self, path: &str) -> Result<&Rule, PolicyError> {
        self.entry_for(path)?.rule.as_ref().map_err(Clone::clone)
    }

    fn entry_for(&self, path: &str) -> Result<&Entry, PolicyError> {
        let matching = |entry: &&Entry| entry.path.as_ref().is_none_or(|pattern| pattern.is_match(path));
        self.entries.iter().find(matching).ok_or_else(|| PolicyError::NoRule { path: path.to_owned() })
    }

    /// Everything that [`Policy::rule_for`] would refuse for some file, in the order of the policy.
    pub fn problems(&self) -> impl Iterator<Item = &PolicyError> {
        self.entries.iter().filter_map(|entry| entry.rule.as_ref().err())
    }

    /// Rules that never match any file because an earlier one matches all of theirs, as far as that can be told from
    /// the patterns.
    #[must_use]
    pub fn hidden_rules(&self) -> &[HiddenRule] {
        &self.hidden
    }

    /// Every reader of every rule that can be followed, in the order of the policy, each once.
    #[must_use]
    pub fn readers(&self) -> Vec<Reader> {
        let mut readers: Vec<Reader> = Vec::new();
        for rule in self.entries.iter().filter_map(|entry| entry.rule.as_ref().ok()) {
            let others = rule.others.iter().cloned().map(Reader::from);
            for reader in rule.recipients.iter().cloned().map(Reader::from).chain(others) {
                if !readers.contains(&reader) {
                    readers.push(reader);
                }
            }
        }
        readers
    }

    /// Where the rules stand that can be followed.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.entries.iter().filter(|entry| entry.rule.is_ok()).map(|entry| entry.position)
    }

    /// What the policy calls readers: the anchor of the key, else the comment behind it, else the comment on the line
    /// above where each item of the list has one.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The key of the policy that is the same as one that stands in a file; `None` where no rule names it. Of a key whose
    /// version a rule leaves open, the file says which one it is.
    #[must_use]
    pub fn service_key_like(&self, key: &ServiceKey) -> Option<ServiceKey> {
        let wanted = OtherReader::from(key.clone());
        let rules = self.entries.iter().filter_map(|entry| entry.rule.as_ref().ok());
        let named = rules.flat_map(Rule::other_readers).find(|reader| reader.is_same_key(&wanted))?;
        if wanted.has_version() && !named.has_version() {
            return Some(key.clone());
        }
        named.service_key().cloned()
    }

    /// What a recipient is called.
    #[must_use]
    pub fn name_of<'p>(&'p self, recipient: &'p Recipient) -> Option<&'p str> {
        self.names.of_recipient(recipient)
    }
}
