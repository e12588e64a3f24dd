//! Which keys and readers of a secrets file changed, told from the files as they are stored: no key, no value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::sops::Encrypted;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happened.
    pub kind: Kind,
    /// A path, a recipient, or the new selection rule.
    pub what: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A key is new.
    Added,
    /// A key is gone.
    Removed,
    /// What is stored under a key is not the same.
    Changed,
    /// Somebody can read the file who could not.
    ReaderAdded,
    /// Somebody cannot read the file any more who could.
    ReaderRemoved,
    /// Other values are encrypted.
    Rule,
}

/// `~ ["a"] changed`, `+ recipient age1…`
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match self.kind {
            Kind::Added => write!(f, "+ {what} added"),
            Kind::Removed => write!(f, "- {what} removed"),
            Kind::Changed => write!(f, "~ {what} changed"),
            Kind::ReaderAdded => write!(f, "+ recipient {what}"),
            Kind::ReaderRemoved => write!(f, "- recipient {what}"),
            Kind::Rule => write!(f, "~ rule {what}"),
        }
    }
}

/// The changes from `old` to `new`, keys in the order of the files, then readers.
#[must_use]
pub fn between(old: &Encrypted, new: &Encrypted) -> Vec<Change> {
    let before: BTreeMap<_, &str> =
        old.leaves().map(|leaf| ((leaf.document, leaf.path), leaf.stored)).collect();
    let after: BTreeSet<_> = new.leaves().map(|leaf| (leaf.document, leaf.path)).collect();
    let change = |kind, what: &dyn fmt::Display| Change { kind, what: what.to_string() };
    let mut changes = Vec::new();
    for leaf in new.leaves() {
        let place = leaf.place();
        match before.get(&(leaf.document, leaf.path)) {
            None => changes.push(change(Kind::Added, &place)),
            Some(stored) if *stored != leaf.stored => changes.push(change(Kind::Changed, &place)),
            Some(_) => {}
        }
    }
    let gone = old.leaves().filter(|leaf| !after.contains(&(leaf.document, leaf.path.clone())));
    changes.extend(gone.map(|leaf| change(Kind::Removed, &leaf.place())));
    let (could, can) = (readers(old), readers(new));
    changes.extend(can.difference(&could).map(|reader| change(Kind::ReaderAdded, reader)));
    changes.extend(could.difference(&can).map(|reader| change(Kind::ReaderRemoved, reader)));
    if old.selection() != new.selection() {
        changes.push(change(Kind::Rule, new.selection()));
    }
    changes
}

fn readers(file: &Encrypted) -> BTreeSet<String> {
    let native = file.recipients().into_iter().map(ToString::to_string);
    native.chain(file.other_readers().iter().map(ToString::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::sops::{Draft, Format, Rule, generate_identity};

    fn sealed(draft: &str, rule: &Rule) -> Encrypted {
        let sealed = Draft::parse(Format::Yaml, draft)
            .unwrap()
            .seal(rule, &crate::sops::Alone, Timestamp::UNIX_EPOCH, &[])
            .unwrap();
        Encrypted::parse(Format::Yaml, sealed.bytes()).unwrap()
    }

    fn said(old: &Encrypted, new: &Encrypted) -> Vec<String> {
        between(old, new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_does_not_differ_from_itself() {
        let file = sealed("a: x\nb: y\n", &Rule::own([generate_identity().1]));
        assert_eq!(between(&file, &file), []);
    }

    #[test]
    fn equal_paths_of_several_documents_are_told_apart() {
        let rule = Rule::own([generate_identity().1]);
        let old = sealed("a: x\n---\na: y\nb: z\n", &rule);
        let new = sealed("a: x\n---\nb: z\n---\na: y\n", &rule);
        assert_eq!(
            said(&old, &new),
            [
                "~ [\"a\"] changed",
                "~ document 2: [\"b\"] changed",
                "+ document 3: [\"a\"] added",
                "- document 2: [\"a\"] removed",
            ]
        );
    }

    #[test]
    fn keys_and_readers_that_come_go_and_change_are_named() {
        let (one, two) = (generate_identity().1, generate_identity().1);
        let old = sealed("a: x\nb_unencrypted: y\nc: z\n", &Rule::own([one.clone()]));
        let new = sealed("a: x\nb_unencrypted: y\nd: z\n", &Rule::own([two.clone()]));
        assert_eq!(
            said(&old, &new),
            [
                "~ [\"a\"] changed".to_owned(),
                "+ [\"d\"] added".to_owned(),
                "- [\"c\"] removed".to_owned(),
                format!("+ recipient {two}"),
                format!("- recipient {one}"),
            ]
        );
    }
}
