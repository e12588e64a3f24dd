//! What people call the readers of a policy: `&ana age1…`, `age1…  # ana`, a comment on the line above; else the comment
//! of the SSH key itself.

use std::collections::BTreeMap;

use crate::yaml::{Comment, Entry, Kind, Node, Placement, Sequence, Tree};

use super::keys::Recipient;
use super::other::OtherReader;
use super::policy::other_reader;
use super::reader::Reader;

/// Names of readers. Whoever shows a key to a person asks here what to call it.
#[derive(Clone, Debug, Default)]
pub struct Names {
    recipients: BTreeMap<Recipient, Named>,
    others: Vec<(OtherReader, Named)>,
}

#[derive(Clone, Debug)]
struct Named {
    source: Source,
    name: String,
}

/// How sure a name is; the surest of a reader's names counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Anchor,
    Behind,
    Above,
}

impl Names {
    /// All names that a policy gives.
    pub(super) fn read(tree: &Tree) -> Self {
        let mut names = Self::default();
        if let Some(root) = tree.root() {
            names.collect(tree, root);
        }
        names
    }

    fn collect(&mut self, tree: &Tree, node: Node<'_>) {
        match node.kind() {
            Kind::Scalar(text, _) => {
                if let Ok(recipient) = text.parse::<Recipient>()
                    && let Some(name) = name(tree, node)
                {
                    let known = self.recipients.get(&recipient);
                    if known.is_none_or(|known| name.source < known.source) {
                        self.recipients.insert(recipient, name);
                    }
                }
            }
            Kind::Mapping(mapping) => mapping.entries().for_each(|entry| {
                self.collect_others(tree, entry);
                self.collect(tree, entry.value);
            }),
            Kind::Sequence(list) => list.items().for_each(|item| self.collect(tree, item)),
            Kind::Alias(_) => {}
        }
    }

    /// A fingerprint is no recipient by its looks; it is one by the list that it stands in.
    fn collect_others(&mut self, tree: &Tree, entry: Entry<'_>) {
        let list = entry.value.as_sequence();
        let items = list.into_iter().flat_map(Sequence::items);
        for item in items.chain(list.is_none().then_some(entry.value)) {
            let Some(reader) = other_reader(entry.key, item.resolve()) else { continue };
            let Some(name) = name(tree, item) else { continue };
            match self.others.iter_mut().find(|(known, _)| known.is_same_key(&reader)) {
                Some((_, known)) if name.source < known.source => *known = name,
                Some(_) => {}
                None => self.others.push((reader, name)),
            }
        }
    }

    /// What a recipient is called.
    #[must_use]
    pub fn of_recipient<'n>(&'n self, recipient: &'n Recipient) -> Option<&'n str> {
        self.recipients.get(recipient).map(|named| named.name.as_str()).or_else(|| recipient.comment())
    }

    /// What a reader is called.
    #[must_use]
    pub fn of<'n>(&'n self, reader: &'n Reader) -> Option<&'n str> {
        match reader {
            Reader::Age(recipient) => self.of_recipient(recipient),
            Reader::Other(reader) => {
                let named = self.others.iter().find(|(known, _)| known.is_same_key(reader));
                named.map(|(_, named)| named.name.as_str())
            }
        }
    }

    /// A reader in a sentence: the name, with the short key in brackets; the short key where there is no name.
    #[must_use]
    pub fn label(&self, reader: &Reader) -> String {
        match self.of(reader) {
            Some(name) => format!("{name} ({})", reader.short()),
            None => reader.short(),
        }
    }

    /// Readers whom the policy calls `name`.
    pub fn named<'n>(&'n self, name: &'n str) -> impl Iterator<Item = Reader> {
        let recipients = self.recipients.iter().filter(move |(_, named)| named.name == name);
        let others = self.others.iter().filter(move |(_, named)| named.name == name);
        recipients
            .map(|(recipient, _)| Reader::Age(recipient.clone()))
            .chain(others.map(|(reader, _)| Reader::Other(reader.clone())))
    }
}

fn name(tree: &Tree, node: Node<'_>) -> Option<Named> {
    if let Some(anchor) = node.resolve().anchor() {
        return Some(Named { source: Source::Anchor, name: anchor.to_owned() });
    }
    if let Some(name) = behind(tree, node) {
        return Some(Named { source: Source::Behind, name });
    }
    Some(Named { source: Source::Above, name: text(tree, name_above(tree, node)?) })
}

fn text(tree: &Tree, comment: &Comment) -> String {
    tree.text()[comment.span.clone()].trim_start_matches('#').trim().to_owned()
}

/// The comment at the end of the line that the node ends on, where nothing else stands between.
fn behind(tree: &Tree, node: Node<'_>) -> Option<String> {
    let end = node.span().end;
    let comment = tree.comments().iter().find(|comment| comment.span.start >= end)?;
    let between = tree.text().get(end..comment.span.start)?;
    let is_behind = comment.placement == Placement::EndOfLine && between.trim_matches([' ', '\t']).is_empty();
    Some(text(tree, comment)).filter(|name| is_behind && !name.is_empty())
}

/// The comment on the line above an item of a list, where each item has one; above only some it is a heading.
pub(super) fn name_above<'t>(tree: &'t Tree, node: Node<'t>) -> Option<&'t Comment> {
    let list = node.parent()?.as_sequence()?;
    list.items().all(|item| above(tree, item).is_some()).then(|| above(tree, node))?
}

/// The comment on the line above an item of a block list.
fn above<'t>(tree: &'t Tree, node: Node<'_>) -> Option<&'t Comment> {
    let start = node.full_span().start;
    let line = tree.text()[..start].rfind('\n')? + 1;
    let starts_line = tree.text()[line..start].trim_matches([' ', '-']).is_empty();
    let comment = tree.comments().iter().rev().find(|comment| comment.span.end < line)?;
    let is_above = tree.text()[comment.span.end..line].trim_matches('\r') == "\n";
    Some(comment).filter(|comment| starts_line && is_above && comment.placement == Placement::OwnLine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient() -> String {
        age::x25519::Identity::generate().to_public().to_string()
    }

    fn names(text: &str) -> Names {
        Names::read(&Tree::parse(text).unwrap())
    }

    fn other(kind: &str, id: &str) -> Reader {
        Reader::Other(OtherReader::unknown(kind, id))
    }

    #[test]
    fn recipients_have_the_names_that_people_gave_them() {
        let [ana, ben, eva, ian, una] = std::array::from_fn(|_| recipient());
        let text = format!(
            "keys:\n  - &ana {ana}\n  - {ben} # Ben (laptop)\ncreation_rules:\n  - path_regex: a\n    age:\n      # eva\n      - {eva}\n      # ian\n      - {ian}\n  - age:\n      # a heading\n      - {una}\n      - *ana # not ana\n"
        );
        let names = names(&text);
        let name = |text: &str| names.of(&Reader::Age(text.parse().unwrap())).map(str::to_owned);
        assert_eq!(
            [&ana, &ben, &eva, &ian, &una].map(|text| name(text)),
            [Some("ana"), Some("Ben (laptop)"), Some("eva"), Some("ian"), None]
                .map(|name| name.map(str::to_owned))
        );
        assert_eq!(names.named("ana").collect::<Vec<_>>(), [Reader::Age(ana.parse().unwrap())]);
    }

    #[test]
    fn keys_of_other_types_have_names_too() {
        let text = "keys:\n- &ana AB CD\n- &prod {arn: a, role: r}\ncreation_rules:\n- pgp: [*ana]\n- key_groups:\n  - pgp:\n    - 'EF01' # Ben\n    kms: [*prod]\n    hc_vault:\n    # the vault\n    - https://v/v1/e/keys/k\n- gcp_kms: g # ours\n";
        let names = names(text);
        let rows = [
            ("pgp", "abcd", Some("ana")),
            ("pgp", "EF01", Some("Ben")),
            ("kms", "a+r", Some("prod")),
            ("hc_vault", "https://v/v1/e/keys/k/", Some("the vault")),
            ("gcp_kms", "g", Some("ours")),
            ("gcp_kms", "h", None),
        ];
        for (kind, id, name) in rows {
            assert_eq!(names.of(&other(kind, id)), name, "{id}");
        }
        assert!(names.named("Ben").all(|reader| reader.is_same_key(&other("pgp", "EF01"))));
    }

    #[test]
    fn an_ssh_key_without_a_name_goes_by_its_comment() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKysRXLSoC4oeoQrsLeX0v9nI4iI86Y5zarU+ZVbcz7f";
        let reader = Reader::Age(format!("{key} ana@laptop").parse().unwrap());
        assert_eq!(names("creation_rules: []").of(&reader), Some("ana@laptop"));
        assert_eq!(names(&format!("keys: [&ana {key}]")).of(&reader), Some("ana"));
        assert_eq!(names(&format!("keys: [&ana {key}]")).label(&reader), "ana (ssh-ed25519 …+ZVbcz7f)");
        assert_eq!(names("").label(&Reader::Age(key.parse().unwrap())), "ssh-ed25519 …+ZVbcz7f");
    }
}
