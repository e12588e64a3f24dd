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
    recipients: BTreeMap<Recipient, Vec<Named>>,
    others: Vec<(OtherReader, Vec<Named>)>,
}

/// One of a reader's names; they are kept in order, the surest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    source: Source,
    name: String,
}

/// How sure a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Anchor,
    Behind,
    Above,
    /// Above, where not every item of the list has a comment, or behind several: no name. It must not become that of
    /// somebody else.
    Heading,
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
                let parts: Vec<Recipient> =
                    text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
                let is_one = parts.len() == 1 && !text.contains(',');
                let heading = |name| Named { source: Source::Heading, name };
                let named = || if is_one { name(tree, node) } else { behind(tree, node).map(heading) };
                if let Some(name) = parts.first().and_then(|_| named()) {
                    for recipient in parts {
                        insert(self.recipients.entry(recipient).or_default(), name.clone());
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
                Some((_, known)) => insert(known, name),
                None => self.others.push((reader, vec![name])),
            }
        }
    }

    /// What a recipient is called; the surest of several names.
    #[must_use]
    pub fn of_recipient<'n>(&'n self, recipient: &'n Recipient) -> Option<&'n str> {
        let named = self.recipients.get(recipient).into_iter().flatten();
        names(named).next().or_else(|| recipient.comment())
    }

    /// What a reader is called; the surest of several names.
    #[must_use]
    pub fn of<'n>(&'n self, reader: &'n Reader) -> Option<&'n str> {
        match reader {
            Reader::Age(recipient) => self.of_recipient(recipient),
            Reader::Other(_) => self.all_of(reader).next(),
        }
    }

    /// Everything that the policy calls a reader, the surest first.
    pub fn all_of(&self, reader: &Reader) -> impl Iterator<Item = &str> {
        names(self.entries(reader))
    }

    fn entries(&self, reader: &Reader) -> &[Named] {
        let named = match reader {
            Reader::Age(recipient) => self.recipients.get(recipient),
            Reader::Other(reader) => {
                let mut others = self.others.iter();
                others.find(|(known, _)| known.is_same_key(reader)).map(|(_, named)| named)
            }
        };
        named.map_or(&[], Vec::as_slice)
    }

    /// A reader in a sentence: the name, with the short key in brackets; the short key where there is no name.
    #[must_use]
    pub fn label(&self, reader: &Reader) -> String {
        match self.of(reader) {
            Some(name) => format!("{name} ({})", reader.short()),
            None => reader.short(),
        }
    }

    fn readers(&self) -> impl Iterator<Item = Reader> {
        let recipients = self.recipients.keys().cloned().map(Reader::Age);
        recipients.chain(self.others.iter().map(|(reader, _)| Reader::Other(reader.clone())))
    }

    /// Readers whom the policy calls `name`.
    pub fn named(&self, name: &str) -> impl Iterator<Item = Reader> {
        self.readers().filter(move |reader| self.all_of(reader).any(|known| known == name))
    }

    /// Whether an edit leaves everybody their names, `but` whom it is about: none is lost, and none comes from a comment
    /// that stood with somebody else.
    pub(super) fn are_kept_in(&self, edited: &Self, but: &Reader) -> bool {
        self.readers().chain(edited.readers()).filter(|reader| !reader.is_same_key(but)).all(|reader| {
            let stood = |name: &str| self.entries(&reader).iter().any(|known| known.name == name);
            let stays = |name: &str| edited.all_of(&reader).any(|known| known == name);
            self.all_of(&reader).all(stays) && edited.all_of(&reader).all(stood)
        })
    }
}

fn insert(names: &mut Vec<Named>, name: Named) {
    if let Err(at) = names.binary_search(&name) {
        names.insert(at, name);
    }
}

fn names<'n>(named: impl IntoIterator<Item = &'n Named>) -> impl Iterator<Item = &'n str> {
    named.into_iter().filter(|named| named.source != Source::Heading).map(|named| named.name.as_str())
}

fn name(tree: &Tree, node: Node<'_>) -> Option<Named> {
    if let Some(anchor) = node.resolve().anchor() {
        return Some(Named { source: Source::Anchor, name: anchor.to_owned() });
    }
    if let Some(name) = behind(tree, node) {
        return Some(Named { source: Source::Behind, name });
    }
    let comment = above(tree, node)?;
    let source = if name_above(tree, node).is_some() { Source::Above } else { Source::Heading };
    Some(Named { source, name: text(tree, comment) })
}

fn text(tree: &Tree, comment: &Comment) -> String {
    tree.text()[comment.span.clone()].trim_start_matches('#').trim().to_owned()
}

/// The comment at the end of the line that the node ends on, where nothing but a comma stands between.
pub(super) fn behind(tree: &Tree, node: Node<'_>) -> Option<String> {
    let end = node.span().end;
    let comment = tree.comments().iter().find(|comment| comment.span.start >= end)?;
    let between = tree.text().get(end..comment.span.start)?;
    let is_behind =
        comment.placement == Placement::EndOfLine && matches!(between.trim_matches([' ', '\t']), "" | ",");
    Some(text(tree, comment)).filter(|name| is_behind && !name.is_empty())
}

/// The comment on the line above an item of a list, where each item has one; above only some it is a heading.
pub(super) fn name_above<'t>(tree: &'t Tree, node: Node<'t>) -> Option<&'t Comment> {
    let list = node.parent()?.as_sequence()?;
    stand_above(tree, list).then(|| above(tree, node))?
}

/// Whether the names of a list are comments on the lines above its items.
pub(super) fn stand_above(tree: &Tree, list: Sequence<'_>) -> bool {
    list.items().all(|item| above(tree, item).is_some())
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
    fn somebody_with_two_names_is_found_by_each() {
        let [ana, ben] = std::array::from_fn(|_| recipient());
        let text = format!(
            "creation_rules:\n- age:\n  # ana\n  - {ana}\n  # ben\n  - {ben}\n- age:\n  - {ana} # bob\n- pgp:\n  # x\n  - AB\n  - CD\n- pgp: 'AB' # y\n"
        );
        let names = names(&text);
        let reader = Reader::Age(ana.parse().unwrap());
        assert_eq!(names.of(&reader), Some("bob"));
        assert_eq!(names.all_of(&reader).collect::<Vec<_>>(), ["bob", "ana"]);
        for name in ["ana", "bob"] {
            assert_eq!(names.named(name).collect::<Vec<_>>(), std::slice::from_ref(&reader), "{name}");
        }
        assert_eq!((names.named("x").count(), names.named("y").count()), (0, 1));
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
