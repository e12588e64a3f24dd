//! The policy `.sops.yaml`: who may read which file, and what in it is encrypted (config/config.go of sops).
//!
//! sops ignores keys that it does not know, so that a misspelt `path_regex` makes a rule match every file; here they
//! are errors. `destination_rules` (for `sops publish`) and `stores` (indentation) say nothing about readers and are
//! left alone.

use crate::yaml::{self, Mapping, Node, Position, Tree};

use super::keys::{Recipient, RecipientError};
use super::re2::{Pattern, PatternError};
use super::selection::{FIELDS, Selection, SelectionError};

/// Keys of other types inside a rule: as sops calls them, and as people do.
const OTHER_KEYS: [(&str, &str); 6] = [
    ("pgp", "PGP keys"),
    ("kms", "AWS KMS keys"),
    ("gcp_kms", "GCP KMS keys"),
    ("azure_keyvault", "Azure Key Vault keys"),
    ("hc_vault_transit_uri", "HashiCorp Vault keys"),
    ("hckms", "HuaweiCloud KMS keys"),
];

/// Keys inside a group that say other things than `age` and `merge`.
const OTHER_GROUP_KEYS: [(&str, &str); 6] = [
    ("pgp", "PGP keys"),
    ("kms", "AWS KMS keys"),
    ("gcp_kms", "GCP KMS keys"),
    ("azure_keyvault", "Azure Key Vault keys"),
    ("hc_vault", "HashiCorp Vault keys"),
    ("hckms", "HuaweiCloud KMS keys"),
];

/// Groups that a group may merge, those of merged groups included: an alias may even lead back to where it stands.
const MAX_MERGES: usize = 100;

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
    #[error("{what} (`{key}`) are not supported yet")]
    Unsupported {
        /// The key.
        key: String,
        /// What it is about, in the plural.
        what: &'static str,
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
    #[error("`merge` leads to more than {MAX_MERGES} groups")]
    TooManyMerges,
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|known| format!(" (did you mean `{known}`?)")).unwrap_or_default()
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

fn at(node: Node<'_>, problem: impl Into<Problem>) -> PolicyError {
    PolicyError::At { position: node.position(), problem: problem.into() }
}

fn wrong_kind(node: Node<'_>, key: &str, wanted: &'static str) -> PolicyError {
    at(node, Problem::WrongKind { key: key.to_owned(), wanted })
}

/// What holds for the files that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    recipients: Vec<Recipient>,
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
        Self { recipients, selection: Selection::default(), mac_only_encrypted: false, position: None }
    }

    /// Who may read, in the order of the policy, each once.
    #[must_use]
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
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
    /// `None` matches every path.
    path: Option<Pattern>,
    /// A rule that we cannot follow is an error only for the files that it matches.
    rule: Result<Rule, PolicyError>,
}

/// The rules of a `.sops.yaml`.
#[derive(Debug)]
pub struct Policy {
    entries: Vec<Entry>,
}

impl Policy {
    /// Reads the text of a `.sops.yaml`.
    ///
    /// # Errors
    /// Not YAML, no `creation_rules`, a key inside a rule or group that sops does not know, a `path_regex` that does
    /// not compile. What sops knows and we do not support yet is an error of [`Policy::rule_for`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let tree = Tree::parse(text)?;
        let top = tree.root().and_then(Node::as_mapping).ok_or(PolicyError::NotAPolicy)?;
        let Some(rules) = top.get("creation_rules") else { return Err(no_rules(top)) };
        let rules = rules.as_sequence().ok_or_else(|| wrong_kind(rules, "creation_rules", "a list"))?;
        let entries = rules.items().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// The first rule whose `path_regex` is found in `path`, which is relative to the directory of the policy, with
    /// `/` (config/config.go: the directory's path is cut off textually).
    ///
    /// # Errors
    /// No rule matches; or the one that does names nobody, or uses something that is not supported yet.
    pub fn rule_for(&self, path: &str) -> Result<&Rule, PolicyError> {
        let matching = |entry: &&Entry| entry.path.as_ref().is_none_or(|pattern| pattern.is_match(path));
        match self.entries.iter().find(matching) {
            Some(entry) => entry.rule.as_ref().map_err(Clone::clone),
            None => Err(PolicyError::NoRule { path: path.to_owned() }),
        }
    }
}

/// The policy has no `creation_rules`; perhaps a misspelt one.
fn no_rules(top: Mapping<'_>) -> PolicyError {
    let misspelt = top.entries().find(|entry| strsim::damerau_levenshtein(entry.key, "creation_rules") <= 3);
    match misspelt {
        Some(entry) => at(entry.key_node, unknown(entry.key, ["creation_rules"])),
        None => PolicyError::NotAPolicy,
    }
}

fn unknown<'k>(key: &str, known: impl IntoIterator<Item = &'k str>) -> Problem {
    let nearest = known.into_iter().map(|known| (strsim::damerau_levenshtein(key, known), known)).min();
    let suggestion = nearest.filter(|(distance, _)| *distance <= 3).map(|(_, known)| known.to_owned());
    Problem::UnknownKey { key: key.to_owned(), suggestion }
}

fn check_keys(mapping: Mapping<'_>, known: &[&str]) -> Result<(), PolicyError> {
    match mapping.entries().find(|entry| !known.contains(&entry.key)) {
        Some(entry) => Err(at(entry.key_node, unknown(entry.key, known.iter().copied()))),
        None => Ok(()),
    }
}

fn entry(node: Node<'_>) -> Result<Entry, PolicyError> {
    let mapping =
        node.as_mapping().ok_or_else(|| wrong_kind(node, "creation_rules", "a list of mappings"))?;
    let mut known =
        vec!["path_regex", "age", "key_groups", "shamir_threshold", "aws_profile", "mac_only_encrypted"];
    known.extend(FIELDS);
    known.extend(OTHER_KEYS.map(|(key, _)| key));
    check_keys(mapping, &known)?;
    for group in groups(mapping)? {
        check_group(group, &mut 0)?;
    }
    let path = match mapping.get("path_regex") {
        None => None,
        Some(node) => {
            let text = node.as_str().ok_or_else(|| wrong_kind(node, "path_regex", "a text"))?;
            let pattern = Pattern::new(text).map_err(|error| at(node, Problem::PathRegex(error)))?;
            Some(pattern).filter(|pattern| !pattern.as_str().is_empty())
        }
    };
    Ok(Entry { path, rule: rule(mapping) })
}

fn rule(mapping: Mapping<'_>) -> Result<Rule, PolicyError> {
    let node = mapping.node();
    let selection = Selection::from_fields(|field| mapping.get(field).and_then(Node::as_str))
        .map_err(|error| at(mapping.get(selection_field(&error)).unwrap_or(node), error))?;
    let mac_only_encrypted = match mapping.get("mac_only_encrypted") {
        None => false,
        Some(value) => match value.as_str() {
            Some("true" | "True" | "TRUE") => true,
            Some("false" | "False" | "FALSE") => false,
            _ => return Err(wrong_kind(value, "mac_only_encrypted", "true or false")),
        },
    };
    let recipients = without_repetition(recipients(mapping)?);
    if recipients.is_empty() {
        return Err(at(node, Problem::NoRecipient));
    }
    Ok(Rule { recipients, selection, mac_only_encrypted, position: Some(node.position()) })
}

fn selection_field(error: &SelectionError) -> &'static str {
    match error {
        SelectionError::Several { second, .. } => second,
        SelectionError::Unsupported { field } | SelectionError::Pattern { field, .. } => field,
    }
}

fn is_empty(node: Node<'_>) -> bool {
    let node = node.resolve();
    node.is_null()
        || node.as_str() == Some("")
        || node.as_sequence().is_some_and(|list| list.items().len() == 0)
}

fn refuse_other_keys(mapping: Mapping<'_>, others: &[(&str, &'static str)]) -> Result<(), PolicyError> {
    for (key, what) in others {
        if let Some(entry) = mapping.entry(key).filter(|entry| !is_empty(entry.value)) {
            return Err(at(entry.key_node, Problem::Unsupported { key: (*key).to_owned(), what }));
        }
    }
    Ok(())
}

fn groups<'t>(mapping: Mapping<'t>) -> Result<Vec<Mapping<'t>>, PolicyError> {
    mapping_list(mapping, "key_groups")
}

fn mapping_list<'t>(mapping: Mapping<'t>, key: &str) -> Result<Vec<Mapping<'t>>, PolicyError> {
    let Some(node) = mapping.get(key).filter(|node| !is_empty(*node)) else { return Ok(Vec::new()) };
    let wrong = |node| wrong_kind(node, key, "a list of mappings");
    let items = node.as_sequence().ok_or_else(|| wrong(node))?.items();
    items.map(|item| item.as_mapping().ok_or_else(|| wrong(item))).collect()
}

fn check_group(group: Mapping<'_>, seen: &mut usize) -> Result<(), PolicyError> {
    *seen += 1;
    if *seen > MAX_MERGES {
        return Err(at(group.node(), Problem::TooManyMerges));
    }
    let mut known = vec!["merge", "age"];
    known.extend(OTHER_GROUP_KEYS.map(|(key, _)| key));
    check_keys(group, &known)?;
    mapping_list(group, "merge")?.into_iter().try_for_each(|merged| check_group(merged, seen))
}

fn recipients(mapping: Mapping<'_>) -> Result<Vec<Recipient>, PolicyError> {
    let groups = groups(mapping)?;
    if groups.is_empty() {
        refuse_other_keys(mapping, &OTHER_KEYS)?;
    } else {
        let flat = OTHER_KEYS.iter().map(|(key, _)| *key).chain(["age"]);
        if let Some(entry) = flat.filter_map(|key| mapping.entry(key)).find(|entry| !is_empty(entry.value)) {
            return Err(at(entry.key_node, Problem::Ignored { key: entry.key.to_owned() }));
        }
    }
    if groups.len() > 1 {
        let problem =
            Problem::Unsupported { key: "key_groups".to_owned(), what: "several key groups (Shamir)" };
        return Err(at(groups[1].node(), problem));
    }
    if let Some(entry) = mapping.entry("shamir_threshold").filter(|entry| !is_one_or_less(entry.value)) {
        let problem =
            Problem::Unsupported { key: entry.key.to_owned(), what: "thresholds of key groups (Shamir)" };
        return Err(at(entry.key_node, problem));
    }
    match groups.first() {
        Some(group) => group_recipients(*group),
        None => age_recipients(mapping),
    }
}

fn is_one_or_less(node: Node<'_>) -> bool {
    is_empty(node) || matches!(node.as_str(), Some("0" | "1"))
}

/// Merged groups first, then the group's own (config/config.go). [`check_group`] has bounded their number.
fn group_recipients(group: Mapping<'_>) -> Result<Vec<Recipient>, PolicyError> {
    refuse_other_keys(group, &OTHER_GROUP_KEYS)?;
    let mut all = Vec::new();
    for merged in mapping_list(group, "merge")? {
        all.extend(group_recipients(merged)?);
    }
    all.extend(age_recipients(group)?);
    Ok(all)
}

/// `age`, as one text with commas, or as a list of such.
fn age_recipients(mapping: Mapping<'_>) -> Result<Vec<Recipient>, PolicyError> {
    let Some(node) = mapping.get("age").filter(|node| !is_empty(*node)) else { return Ok(Vec::new()) };
    let nodes: Vec<Node<'_>> = match node.as_sequence() {
        Some(list) => list.items().collect(),
        None => vec![node],
    };
    let mut recipients = Vec::new();
    for node in nodes {
        let text = node.as_str().ok_or_else(|| wrong_kind(node, "age", "a text or a list of texts"))?;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            recipients.push(part.parse().map_err(|error: RecipientError| at(node, error))?);
        }
    }
    Ok(recipients)
}

#[cfg(test)]
mod tests;
