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

use crate::yaml::{self, Position};

use super::keys::{Recipient, RecipientError};
use super::metadata::OtherReader;
use super::names::Names;
use super::re2::{Pattern, PatternError};
use super::reader::Reader;
use super::selection::{Selection, SelectionError};

pub use edit::{PolicyEdit, PolicyEditError};
pub use hidden::HiddenRule;
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
    /// Something that sops can do and we cannot yet; it is never dropped silently.
    #[error("{what} (`{key}: {id}`) are not supported yet")]
    Unsupported {
        /// The list it is in.
        key: String,
        /// What it is, in the plural.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// Shamir's secret sharing, which we cannot do yet.
    #[error("several key groups (Shamir) are not supported yet: {}", in_groups(groups))]
    SeveralGroups {
        /// The readers of each group.
        groups: Vec<Vec<String>>,
    },
    /// A threshold that only several groups can meet.
    #[error("`shamir_threshold` must be 0 or 1 where there is one group of keys")]
    Threshold,
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

fn in_groups(groups: &[Vec<String>]) -> String {
    let groups = groups.iter().enumerate().map(|(index, group)| {
        let readers = if group.is_empty() { "nobody".to_owned() } else { group.join(", ") };
        format!("group {}: {readers}", index + 1)
    });
    groups.collect::<Vec<_>>().join("; ")
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
        let recipients = without_repetition(recipients);
        Self {
            recipients,
            others: Vec::new(),
            selection: Selection::default(),
            mac_only_encrypted: false,
            position: None,
        }
    }

    /// Who may read, in the order of the policy, each once.
    #[must_use]
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// Who else may read, with keys that we cannot encrypt for yet. Only [`Policy::rule_with_other_readers`] gives rules
    /// that have some.
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

fn without_repetition(recipients: impl IntoIterator<Item = Recipient>) -> Vec<Recipient> {
    let mut unique: Vec<Recipient> = Vec::new();
    for recipient in recipients {
        if !unique.contains(&recipient) {
            unique.push(recipient);
        }
    }
    unique
}

#[derive(Debug)]
struct Entry {
    position: Position,
    /// `None` matches every path.
    path: Option<Pattern>,
    /// A rule that we cannot follow is an error only for the files that it matches.
    rule: Result<Rule, PolicyError>,
    /// The first reader of the rule that we cannot encrypt for.
    unsupported: Option<PolicyError>,
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
    /// not compile. Any other mistake in a rule, and what sops knows and we do not support yet, is an error of
    /// [`Policy::rule_for`], and listed by [`Policy::problems`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        read::policy(text)
    }

    /// The first rule whose `path_regex` is found in `path`, which is relative to the directory of the policy, with
    /// `/` (config/config.go: the directory's path is cut off textually).
    ///
    /// # Errors
    /// No rule matches; or the one that does names nobody, or uses something that is not supported yet.
    pub fn rule_for(&self, path: &str) -> Result<&Rule, PolicyError> {
        let entry = self.entry_for(path)?;
        match &entry.unsupported {
            Some(error) => Err(error.clone()),
            None => entry.rule.as_ref().map_err(Clone::clone),
        }
    }

    /// Like [`Policy::rule_for`], and readers that we cannot encrypt for are no error but
    /// [`Rule::other_readers`]: for a file that exists, where their entries can stay as they are.
    ///
    /// # Errors
    /// No rule matches; or the one that does cannot be followed.
    pub fn rule_with_other_readers(&self, path: &str) -> Result<&Rule, PolicyError> {
        self.entry_for(path)?.rule.as_ref().map_err(Clone::clone)
    }

    fn entry_for(&self, path: &str) -> Result<&Entry, PolicyError> {
        let matching = |entry: &&Entry| entry.path.as_ref().is_none_or(|pattern| pattern.is_match(path));
        self.entries.iter().find(matching).ok_or_else(|| PolicyError::NoRule { path: path.to_owned() })
    }

    /// Everything that [`Policy::rule_for`] would refuse for some file, in the order of the policy.
    pub fn problems(&self) -> impl Iterator<Item = &PolicyError> {
        self.entries.iter().filter_map(|entry| entry.rule.as_ref().err().or(entry.unsupported.as_ref()))
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

    /// What a recipient is called.
    #[must_use]
    pub fn name_of<'p>(&'p self, recipient: &'p Recipient) -> Option<&'p str> {
        self.names.of_recipient(recipient)
    }
}
