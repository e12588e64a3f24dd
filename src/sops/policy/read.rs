//! From the text of a `.sops.yaml` to its rules.

use crate::yaml::{Kind, Mapping, Node, Position, Style, Tree};

use super::super::names::Names;
use super::super::re2::Pattern;
use super::super::selection::{FIELDS, Selection, SelectionError};
use super::super::shamir::MAX_SHARES;
use super::keys::{self, KEY_TYPES, KeyGroup, check_group};
use super::{Entry, Policy, PolicyError, Problem, Rule, hidden};

pub(super) fn policy(text: &str) -> Result<Policy, PolicyError> {
    let tree = Tree::parse(text)?;
    let rules = rules(&tree)?;
    let entries: Vec<Entry> = rules.into_iter().map(entry).collect::<Result<_, _>>()?;
    let hidden = hidden::among(&entries);
    let names = Names::read(&tree);
    Ok(Policy { entries, hidden, names })
}

/// The nodes of the rules.
pub(super) fn rules(tree: &Tree) -> Result<Vec<Node<'_>>, PolicyError> {
    let top = tree.root().and_then(Node::as_mapping).ok_or(PolicyError::NotAPolicy)?;
    let Some(rules) = top.get("creation_rules") else { return Err(no_rules(top)) };
    let list = rules.as_sequence().ok_or_else(|| wrong_kind(rules, "creation_rules", "a list"))?;
    Ok(list.items().collect())
}

pub(super) fn at(node: Node<'_>, problem: impl Into<Problem>) -> PolicyError {
    PolicyError::At { position: node.position(), problem: problem.into() }
}

pub(super) fn wrong_kind(node: Node<'_>, key: &str, wanted: &'static str) -> PolicyError {
    at(node, Problem::WrongKind { key: key.to_owned(), wanted })
}

/// The policy has no `creation_rules`; perhaps a misspelt one.
fn no_rules(top: Mapping<'_>) -> PolicyError {
    if let Some(merge) = merge_key(top) {
        return at(merge, Problem::MergeKey);
    }
    let misspelt = top.entries().find(|entry| strsim::damerau_levenshtein(entry.key, "creation_rules") <= 3);
    match misspelt {
        Some(entry) => at(entry.key_node, unknown(entry.key, ["creation_rules"])),
        None => PolicyError::NotAPolicy,
    }
}

fn unknown<'k>(key: &str, known: impl IntoIterator<Item = &'k str>) -> Problem {
    let nearest = known.into_iter().map(|known| (strsim::damerau_levenshtein(key, known), known)).min();
    // Three changes make any three letters of any others.
    let alike = |distance: usize| distance <= 3 && distance < key.chars().count();
    let suggestion = nearest.filter(|(distance, _)| alike(*distance)).map(|(_, known)| known.to_owned());
    Problem::UnknownKey { key: key.to_owned(), suggestion }
}

/// A `<<` without quotes. sops reads what it brings in (go-yaml, decode.go, `isMerge`).
fn merge_key(mapping: Mapping<'_>) -> Option<Node<'_>> {
    let is_merge = |key: Node<'_>| match key.kind() {
        Kind::Scalar("<<", style) => key.tag().map_or(style == Style::Plain, |tag| tag.ends_with(":merge")),
        _ => false,
    };
    mapping.entries().map(|entry| entry.key_node).find(|key| is_merge(*key))
}

pub(super) fn check_keys(mapping: Mapping<'_>, known: &[&str]) -> Result<(), PolicyError> {
    if let Some(merge) = merge_key(mapping) {
        return Err(at(merge, Problem::MergeKey));
    }
    match mapping.entries().find(|entry| !known.contains(&entry.key)) {
        Some(entry) => Err(at(entry.key_node, unknown(entry.key, known.iter().copied()))),
        None => Ok(()),
    }
}

fn entry(node: Node<'_>) -> Result<Entry, PolicyError> {
    let mapping =
        node.as_mapping().ok_or_else(|| wrong_kind(node, "creation_rules", "a list of mappings"))?;
    let mut known = vec!["path_regex", "key_groups", "shamir_threshold", "aws_profile", "mac_only_encrypted"];
    known.extend(FIELDS);
    known.extend(KEY_TYPES.iter().map(|of_type| of_type.flat));
    check_keys(mapping, &known)?;
    for group in groups(mapping)? {
        check_group(group, &mut 0)?;
    }
    let path = match mapping.get("path_regex").filter(|node| !node.is_null()) {
        None => None,
        Some(node) => {
            let text = node.as_str().ok_or_else(|| wrong_kind(node, "path_regex", "a text"))?;
            let pattern = Pattern::new(text).map_err(|error| at(node, Problem::PathRegex(error)))?;
            Some(pattern).filter(|pattern| !pattern.as_str().is_empty())
        }
    };
    let position = node.position();
    Ok(Entry { position, path, rule: rule(mapping, position) })
}

fn rule(mapping: Mapping<'_>, position: Position) -> Result<Rule, PolicyError> {
    let node = mapping.node();
    for field in FIELDS {
        if let Some(value) = mapping.get(field).filter(|value| value.as_str().is_none()) {
            return Err(wrong_kind(value, field, "a text"));
        }
    }
    let selection = Selection::from_fields(|field| {
        mapping.get(field).filter(|value| !value.is_null()).and_then(Node::as_str)
    })
    .map_err(|error| at(mapping.get(selection_field(&error)).unwrap_or(node), error))?;
    let mac_only_encrypted = match mapping.get("mac_only_encrypted") {
        None => false,
        Some(value) => match value.as_str() {
            Some("true" | "True" | "TRUE") => true,
            Some("false" | "False" | "FALSE") => false,
            _ => return Err(wrong_kind(value, "mac_only_encrypted", "true or false")),
        },
    };
    let (groups, threshold) = readers(mapping)?;
    Ok(Rule::new(groups, threshold, selection, mac_only_encrypted, Some(position)))
}

fn selection_field(error: &SelectionError) -> &'static str {
    match error {
        SelectionError::Several { second, .. } => second,
        SelectionError::Pattern { field, .. } => field,
    }
}

pub(super) fn is_empty(node: Node<'_>) -> bool {
    let node = node.resolve();
    node.is_null()
        || node.as_str() == Some("")
        || node.as_sequence().is_some_and(|list| list.items().len() == 0)
}

pub(super) fn groups<'t>(mapping: Mapping<'t>) -> Result<Vec<Mapping<'t>>, PolicyError> {
    mapping_list(mapping, "key_groups")
}

pub(super) fn mapping_list<'t>(mapping: Mapping<'t>, key: &str) -> Result<Vec<Mapping<'t>>, PolicyError> {
    let Some(node) = mapping.get(key).filter(|node| !is_empty(*node)) else { return Ok(Vec::new()) };
    let wrong = |node| wrong_kind(node, key, "a list of mappings");
    let items = node.as_sequence().ok_or_else(|| wrong(node))?.items();
    items.map(|item| item.as_mapping().ok_or_else(|| wrong(item))).collect()
}

/// The groups of keys, and how many of them it takes to open a file.
fn readers(mapping: Mapping<'_>) -> Result<(Vec<KeyGroup>, usize), PolicyError> {
    let nodes = groups(mapping)?;
    let mut groups = Vec::new();
    for node in &nodes {
        let group = keys::of_group(*node)?;
        if group.readers().is_empty() {
            return Err(at(node.node(), Problem::NoRecipient));
        }
        groups.push(group);
    }
    if nodes.is_empty() {
        groups.push(keys::of_rule(mapping)?);
    } else {
        let flat = KEY_TYPES.iter().filter_map(|of_type| mapping.entry(of_type.flat));
        if let Some(entry) = flat.into_iter().find(|entry| !is_empty(entry.value)) {
            return Err(at(entry.key_node, Problem::Ignored { key: entry.key.to_owned() }));
        }
    }
    if groups.len() > MAX_SHARES {
        return Err(at(mapping.node(), Problem::TooManyGroups));
    }
    let threshold = threshold(mapping, groups.len())?;
    match groups.as_slice() {
        [only] if only.readers().is_empty() => Err(at(mapping.node(), Problem::NoRecipient)),
        _ => Ok((groups, threshold)),
    }
}

/// `shamir_threshold`; all groups where it is not there, or 0 (sops.go, `UpdateMasterKeysWithKeyServices`).
fn threshold(mapping: Mapping<'_>, groups: usize) -> Result<usize, PolicyError> {
    let Some(node) = mapping.get("shamir_threshold").filter(|node| !is_empty(*node)) else {
        return Ok(groups);
    };
    match node.as_str().map(str::parse) {
        Some(Ok(0)) => Ok(groups),
        Some(Ok(1)) if groups == 1 => Ok(1),
        Some(Ok(threshold)) if groups > 1 && (2..=groups).contains(&threshold) => Ok(threshold),
        _ => Err(at(node, Problem::Threshold { groups })),
    }
}
