//! Edits of a policy by span: who is added to which rules, who is taken out of all of them. Every other byte stays, and
//! the result is read back: exactly the wanted rules have changed, in exactly the wanted way.

use crate::yaml::{Comment, Kind, Mapping, Node, Position, Sequence, Tree};

use super::super::edit::Edits;
use super::super::keys::Recipient;
use super::super::names;
use super::super::reader::Reader;
use super::read::{self, is_empty};
use super::{Policy, PolicyError, Rule, remove, texts};

/// A change of a policy.
#[derive(Clone, Debug)]
pub enum PolicyEdit {
    /// Lets somebody read what these rules match. Where the policy keeps anchors under `keys`, the recipient becomes
    /// one of them and the rules get an alias; else it is written into the rules, with the name as a comment where
    /// there is room for one.
    Add {
        /// Who.
        recipient: Recipient,
        /// What people call them: letters, digits, `-` and `_`.
        name: Option<String>,
        /// Positions of the rules ([`Rule::position`]).
        rules: Vec<Position>,
        /// Into which group of keys, from 1; not needed where a rule has but one.
        group: Option<usize>,
    },
    /// Takes somebody out of `keys` and out of every rule.
    Remove {
        /// Who; [`Policy::named`] finds recipients by name.
        recipient: Recipient,
    },
}

/// Why a policy is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyEditError {
    /// The policy itself.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// There is no rule at this place.
    #[error("{position}: no rule starts here")]
    NoRule {
        /// The place.
        position: Position,
    },
    /// The rule has no list of age recipients that could be longer.
    #[error("{position}: the rule has no `age` to add a recipient to")]
    NoAge {
        /// The rule.
        position: Position,
    },
    /// Nothing says into which of the groups.
    #[error("{position}: the rule has {groups} groups of keys, and nothing says into which one")]
    SeveralGroups {
        /// The rule.
        position: Position,
        /// How many it has.
        groups: usize,
    },
    /// There is no such group.
    #[error("{position}: the rule has no group {group}; {}", count(*groups))]
    NoGroup {
        /// The rule.
        position: Position,
        /// Which one was meant.
        group: usize,
        /// How many it has.
        groups: usize,
    },
    /// The name could not stand behind `&`.
    #[error("`{name}` cannot be the name of a recipient: use letters, digits, `-` and `_`")]
    Name {
        /// The name.
        name: String,
    },
    /// The name belongs to something else.
    #[error("{position}: the name `{name}` is taken")]
    NameTaken {
        /// Who has it.
        position: Position,
        /// The name.
        name: String,
    },
    /// A rule would name nobody.
    #[error("{position}: nobody else is named here, so nobody could read what the rule matches")]
    LastRecipient {
        /// The recipient that would go.
        position: Position,
    },
    /// A list would be empty beside keys of other types.
    #[error("{position}: nobody else is in this list, and keys of other types stand beside it")]
    LastInList {
        /// The recipient that would go.
        position: Position,
    },
    /// The recipient is not in the policy.
    #[error("{recipient} is not in the policy")]
    Unknown {
        /// The recipient.
        recipient: Recipient,
    },
    /// The place has a form that cannot be edited without touching what stands around it.
    #[error("{position}: this has a layout that cannot be edited by itself")]
    Layout {
        /// The place.
        position: Position,
    },
    /// A comment that says whose a key is would say it of another key, or of none.
    #[error(
        "a comment that names somebody would come to stand with somebody else, or with nobody; nothing was changed"
    )]
    Names,
    /// The change would reach further, as it is shared by an anchor.
    #[error(
        "the list is shared with other rules, or the change would reach further than it should; nothing was changed"
    )]
    Reach,
}

fn count(groups: usize) -> String {
    if groups == 1 { "it has one".to_owned() } else { format!("it has {groups}") }
}

impl PolicyEdit {
    /// The text of the policy with the change; the same text where there is nothing to change.
    ///
    /// # Errors
    /// [`PolicyEditError`]; the result is always a policy in which this change, and nothing else, has been made.
    pub fn apply(&self, text: &str) -> Result<String, PolicyEditError> {
        let before = Policy::parse(text)?;
        let tree = Tree::parse(text).map_err(PolicyError::from)?;
        let after = match self {
            Self::Add { recipient, name, rules, group } => {
                check_rules(&before, rules, *group)?;
                let group = group.map_or(0, |number| number - 1);
                let place = Place { rules, group };
                add(&tree, &before, recipient, name.as_deref(), place)?
            }
            Self::Remove { recipient } => remove::remove(&tree, recipient)?,
        };
        let policy = Policy::parse(&after).map_err(|_| PolicyEditError::Reach)?;
        self.check(&before, &policy)?;
        let (Self::Add { recipient, .. } | Self::Remove { recipient }) = self;
        if !before.names.are_kept_in(&policy.names, &recipient.clone().into()) {
            return Err(PolicyEditError::Names);
        }
        Ok(after)
    }

    /// Every rule is what it was, but for the recipient.
    fn check(&self, before: &Policy, after: &Policy) -> Result<(), PolicyEditError> {
        if before.entries.len() != after.entries.len() {
            return Err(PolicyEditError::Reach);
        }
        for (old, new) in before.entries.iter().zip(&after.entries) {
            let same = match (&old.rule, &new.rule) {
                (Ok(rule), Ok(new)) => self.wanted(rule).has_content_of(new),
                (Err(PolicyError::At { problem: old, .. }), Err(PolicyError::At { problem: new, .. })) => {
                    std::mem::discriminant(old) == std::mem::discriminant(new)
                }
                _ => false,
            };
            if !same || old.path != new.path {
                return Err(PolicyEditError::Reach);
            }
        }
        Ok(())
    }

    fn wanted(&self, rule: &Rule) -> Rule {
        let mut groups = rule.groups.clone();
        match self {
            Self::Add { recipient, rules, group, .. } => {
                let is_wanted = rule.position.is_some_and(|position| rules.contains(&position));
                let group = groups.get_mut(group.map_or(0, |number| number - 1));
                if let Some(group) = group.filter(|_| is_wanted) {
                    group.add(recipient.clone().into());
                }
            }
            Self::Remove { recipient } => {
                let is_it = |reader: &Reader| *reader == Reader::Age(recipient.clone());
                groups.iter_mut().for_each(|group| group.readers.retain(|reader| !is_it(reader)));
            }
        }
        Rule { groups, ..rule.clone() }
    }
}

impl Rule {
    /// Equal but for the order of readers and the place in the policy.
    fn has_content_of(&self, other: &Self) -> bool {
        self.groups.len() == other.groups.len()
            && self.groups.iter().zip(&other.groups).all(|(one, two)| one.is_same(two))
            && self.threshold == other.threshold
            && self.selection == other.selection
            && self.mac_only_encrypted == other.mac_only_encrypted
    }
}

/// Where somebody is added: in these rules, in the group with this index.
#[derive(Clone, Copy)]
struct Place<'a> {
    rules: &'a [Position],
    group: usize,
}

fn check_rules(policy: &Policy, rules: &[Position], group: Option<usize>) -> Result<(), PolicyEditError> {
    for position in rules {
        let entry = policy.entries.iter().find(|entry| entry.position == *position);
        let entry = entry.ok_or(PolicyEditError::NoRule { position: *position })?;
        let rule = entry.rule.as_ref().map_err(Clone::clone)?;
        let (position, groups) = (*position, rule.groups.len());
        match group {
            None if groups > 1 => return Err(PolicyEditError::SeveralGroups { position, groups }),
            Some(group) if !(1..=groups).contains(&group) => {
                return Err(PolicyEditError::NoGroup { position, group, groups });
            }
            _ => {}
        }
    }
    Ok(())
}

fn add(
    tree: &Tree,
    policy: &Policy,
    recipient: &Recipient,
    name: Option<&str>,
    place: Place<'_>,
) -> Result<String, PolicyEditError> {
    let text = tree.text();
    if let Some(name) = name.filter(|name| !is_name(name)) {
        return Err(PolicyEditError::Name { name: name.to_owned() });
    }
    let mut edits = Edits::default();
    let lacking = |position: &&Position| {
        let entry = policy.entries.iter().find(|entry| entry.position == **position);
        let rule = entry.and_then(|entry| entry.rule.as_ref().ok());
        let group = rule.and_then(|rule| rule.groups.get(place.group));
        group.is_some_and(|group| !group.has(&recipient.clone().into()))
    };
    let lacking: Vec<&Position> = place.rules.iter().filter(lacking).collect();
    if lacking.is_empty() {
        return Ok(text.to_owned());
    }
    let alias = anchor(tree, &mut edits, recipient, name)?;
    let mut edited = Vec::new();
    for node in read::rules(tree)? {
        if !lacking.contains(&&node.position()) {
            continue;
        }
        let age =
            age_of(node, place.group).ok_or_else(|| PolicyEditError::NoAge { position: node.position() })?;
        if edited.contains(&age.id()) {
            continue;
        }
        edited.push(age.id());
        let item = match &alias {
            Some(anchor) => Item { text: format!("*{anchor}"), name: Some(anchor), is_named: true },
            None => Item { text: recipient.to_string(), name, is_named: false },
        };
        match age.as_sequence() {
            Some(list) => append(&mut edits, tree, list, &item)?,
            None if texts::become_list(&mut edits, tree, age, &item) => {}
            None => texts::append(&mut edits, text, age, recipient)?,
        }
    }
    edits.apply(text).map_err(|_| PolicyEditError::Reach)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The anchor of the recipient in a policy with anchors under `keys`; a new one where there is none.
fn anchor(
    tree: &Tree,
    edits: &mut Edits,
    recipient: &Recipient,
    name: Option<&str>,
) -> Result<Option<String>, PolicyEditError> {
    let Some(keys) = tree.root().and_then(|root| root.get("keys")).and_then(Node::as_sequence) else {
        return Ok(None);
    };
    let is_it = |item: &Node<'_>| {
        item.as_str().is_some_and(|text| text.parse::<Recipient>().is_ok_and(|known| known == *recipient))
    };
    if let Some(anchor) = keys.items().filter(is_it).find_map(Node::anchor) {
        return Ok(Some(anchor.to_owned()));
    }
    let uses_anchors = keys.items().any(|item| item.anchor().is_some());
    let Some(name) = name.filter(|_| uses_anchors) else { return Ok(None) };
    if let Some(position) = find_anchor(tree.root(), name) {
        return Err(PolicyEditError::NameTaken { position, name: name.to_owned() });
    }
    let item = Item { text: format!("&{name} {recipient}"), name: Some(name), is_named: true };
    append(edits, tree, keys, &item)?;
    Ok(Some(name.to_owned()))
}

fn find_anchor(node: Option<Node<'_>>, name: &str) -> Option<Position> {
    let node = node?;
    if node.anchor() == Some(name) {
        return Some(node.position());
    }
    match node.kind() {
        Kind::Mapping(mapping) => mapping.entries().find_map(|entry| find_anchor(Some(entry.value), name)),
        Kind::Sequence(list) => list.items().find_map(|item| find_anchor(Some(item), name)),
        Kind::Scalar(..) | Kind::Alias(_) => None,
    }
}

/// The value of `age` of a rule, or of one of its groups, without its alias.
fn age_of(rule: Node<'_>, group: usize) -> Option<Node<'_>> {
    let rule = rule.as_mapping()?;
    let groups = read::groups(rule).ok()?;
    let holder: Mapping<'_> = if groups.is_empty() { rule } else { *groups.get(group)? };
    holder.get("age").filter(|node| !is_empty(*node)).map(Node::resolve)
}

/// What comes into a list.
pub(super) struct Item<'n> {
    text: String,
    name: Option<&'n str>,
    /// Whether its text says the name: an anchor or an alias.
    is_named: bool,
}

impl Item<'_> {
    /// With its name behind it, where its text does not say it.
    pub(super) fn line(&self) -> String {
        match self.name.filter(|_| !self.is_named) {
            Some(name) => format!("{} # {name}", self.text),
            None => self.text.clone(),
        }
    }
}

/// Puts an item behind the last one of a list: its name where the others have theirs.
fn append(
    edits: &mut Edits,
    tree: &Tree,
    list: Sequence<'_>,
    item: &Item<'_>,
) -> Result<(), PolicyEditError> {
    let text = tree.text();
    let layout = |node: Node<'_>| PolicyEditError::Layout { position: node.position() };
    let last = list.items().next_back().ok_or_else(|| layout(list.node()))?;
    let new = &item.text;
    if list.is_flow() {
        check_no_comment(tree, list)?;
        let end = last.span().end;
        edits.replace(end..end, format!(", {new}"));
        return Ok(());
    }
    let lead = hyphen(text, last).ok_or_else(|| layout(last))?;
    let line_break = line_break(text);
    let line = match item.name {
        Some(name) if names::stand_above(tree, list) => {
            let indent = &lead[..lead.len() - lead.trim_start().len()];
            format!("{indent}# {name}{line_break}{lead}{new}")
        }
        _ => format!("{lead}{}", item.line()),
    };
    put_below(edits, text, last.span().end, &line, line_break);
    Ok(())
}

/// Puts lines below the one with this place.
pub(super) fn put_below(edits: &mut Edits, text: &str, place: usize, lines: &str, line_break: &str) {
    match text[place..].find('\n') {
        Some(newline) => {
            let at = place + newline + 1;
            edits.replace(at..at, format!("{lines}{line_break}"));
        }
        None => edits.replace(text.len()..text.len(), format!("{line_break}{lines}")),
    }
}

pub(super) fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// A comment between brackets may be the name of any item beside it, or of what is to come.
pub(super) fn check_no_comment(tree: &Tree, list: Sequence<'_>) -> Result<(), PolicyEditError> {
    let (span, position) = (list.node().span(), list.node().position());
    let is_inside = |comment: &Comment| span.contains(&comment.span.start);
    if tree.comments().iter().any(is_inside) { Err(PolicyEditError::Layout { position }) } else { Ok(()) }
}

/// What stands before an item of a block list on its line: blanks, a hyphen, blanks.
pub(super) fn hyphen<'t>(text: &'t str, item: Node<'_>) -> Option<&'t str> {
    let start = item.full_span().start;
    let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let before = &text[line..start];
    before.trim_matches(' ').eq("-").then_some(before)
}
