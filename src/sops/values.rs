//! The values of a file in the clear, kept from when its MAC was verified, so that sealing decrypts none of them again.

use zeroize::{Zeroize as _, Zeroizing};

use crate::cores;
use crate::yaml::Node;

use super::encrypted::Encrypted;
use super::mac::Mac;
use super::open::OpenError;
use super::path::LeafPath;
use super::value::{Cipher, Plain, PlainRef, Type};

/// How many values are worth a core of their own.
const PART: usize = 1000;

/// How many leaves may be gone before a leaf that is still there for it to be found again.
const GONE: usize = 8;

/// One value for each leaf of a file, in order; overwritten when dropped.
#[derive(Default)]
pub(super) struct Values {
    /// All of them, one behind the other.
    bytes: Zeroizing<Vec<u8>>,
    /// For each where it ends, and its type; `None` for null.
    leaves: Vec<(u32, Option<Type>)>,
}

/// A file and its values, of which another one may have some under the same data key.
pub(super) type Known<'k> = (&'k Encrypted, &'k Values);

impl Values {
    /// Decrypts the values of `file`. One that stands in `known` in the same place, under the same path and as the same
    /// ciphertext is taken from there, since nothing else decides what it decrypts to.
    pub(super) fn of(file: &Encrypted, cipher: &Cipher, known: Option<Known<'_>>) -> Result<Self, OpenError> {
        match known {
            Some(known) => Self::with_known(file, cipher, known),
            None => Self::on_all_cores(file, cipher),
        }
    }

    fn on_all_cores(file: &Encrypted, cipher: &Cipher) -> Result<Self, OpenError> {
        let count = file.document.leaves().len();
        let parts = cores::on_all(count.div_ceil(PART), |part| {
            let mut values = Self::default();
            for (path, node, encrypted) in file.marked_leaves_from(part * PART).take(PART) {
                values.push(file.value(cipher, path, node, encrypted)?.as_ref().map(Plain::as_ref));
            }
            Ok::<_, OpenError>(values)
        });
        let mut parts = parts.into_iter();
        let mut values = parts.next().transpose()?.unwrap_or_default();
        for part in parts {
            let part = part?;
            values.leaves.reserve(count - values.leaves.len());
            part.iter().for_each(|value| values.push(value));
        }
        Ok(values)
    }

    fn with_known(file: &Encrypted, cipher: &Cipher, known: Known<'_>) -> Result<Self, OpenError> {
        let mut values = Self::default();
        let mut before = known.0.marked_leaves().enumerate();
        for leaf in file.marked_leaves() {
            let gone = before.clone().take(GONE).position(|(_, other)| is_same_ciphertext(&leaf, &other));
            let found = gone.and_then(|gone| before.nth(gone)).and_then(|(index, _)| known.1.get(index));
            let (path, node, encrypted) = leaf;
            match found {
                Some(value) => values.push(Some(value)),
                None => values.push(file.value(cipher, path, node, encrypted)?.as_ref().map(Plain::as_ref)),
            }
        }
        Ok(values)
    }

    fn push(&mut self, value: Option<PlainRef<'_>>) {
        if let Some(value) = value {
            self.reserve(value.bytes.len());
            self.bytes.extend_from_slice(value.bytes);
        }
        // The text that all of this was in, and what its aliases stand for, are no longer than `yaml::MAX_BYTES` each.
        let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.leaves.push((end, value.map(|value| value.kind)));
    }

    /// A `Vec` that grows leaves what it held behind.
    fn reserve(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let mut grown = Vec::with_capacity(needed.max(2 * self.bytes.capacity()));
            grown.extend_from_slice(&self.bytes);
            self.bytes.zeroize();
            *self.bytes = grown;
        }
    }

    /// The value of the leaf with this number; `None` for null.
    pub(super) fn get(&self, index: usize) -> Option<PlainRef<'_>> {
        let (end, kind) = *self.leaves.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.leaves[before].0);
        Some(PlainRef { kind: kind?, bytes: &self.bytes[start as usize..end as usize] })
    }

    /// All of them in order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Option<PlainRef<'_>>> {
        (0..self.leaves.len()).map(|index| self.get(index))
    }

    /// The MAC over them; `file` says which of them are encrypted.
    pub(super) fn mac(&self, file: &Encrypted) -> String {
        mac(file, self.iter())
    }
}

/// The MAC of `file` if it had these values.
pub(super) fn mac<'v>(file: &Encrypted, values: impl Iterator<Item = Option<PlainRef<'v>>>) -> String {
    let mut mac = Mac::new(file.metadata.mac_only_encrypted);
    for (value, encrypted) in values.zip(file.marks.leaves()) {
        if let Some(value) = value {
            mac.add(value, encrypted);
        }
    }
    mac.finish()
}

type Leaf<'l> = (LeafPath<'l>, Node<'l>, bool);

fn is_same_ciphertext(one: &Leaf<'_>, two: &Leaf<'_>) -> bool {
    let ((path, node, encrypted), (other_path, other, other_encrypted)) = (one, two);
    let text = node.as_str().filter(|text| !text.is_empty());
    let has_tag = node.tag().is_some() || other.tag().is_some();
    *encrypted
        && *other_encrypted
        && !has_tag
        && text.is_some()
        && text == other.as_str()
        && path == other_path
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, person};
    use super::super::{Draft, Format, Opened, Path, Policy};
    use super::*;

    fn opened(draft: &str) -> Opened {
        let person = person();
        let policy = Policy::parse(&format!("creation_rules:\n- age: {}\n", person.recipient)).unwrap();
        let now = jiff::Timestamp::from_second(NOW).unwrap();
        let draft = Draft::parse(Format::Yaml, draft).unwrap();
        let sealed = draft.seal(policy.rule_for("x").unwrap(), &crate::sops::Alone, now, &[]).unwrap();
        Encrypted::parse(Format::Yaml, sealed.bytes()).unwrap().open(&person.identities).unwrap()
    }

    fn shown(values: &Values) -> Vec<Option<(Type, &[u8])>> {
        values.iter().map(|value| value.map(|value| (value.kind, value.bytes))).collect()
    }

    #[test]
    fn values_are_kept_in_order_with_their_types() {
        let opened = opened("a: x\nb:\nc: 5\nd: \"\"\ne_unencrypted: true\n");
        let wanted: [Option<(Type, &[u8])>; 5] = [
            Some((Type::Str, b"x")),
            None,
            Some((Type::Int, b"5")),
            Some((Type::Str, b"")),
            Some((Type::Bool, b"True")),
        ];
        assert_eq!(shown(&opened.values), wanted);
    }

    #[test]
    fn a_known_value_is_taken_only_for_the_same_ciphertext_under_the_same_path() {
        let opened = opened("a: x\nb: y\nc: z\n");
        let again = Values::of(&opened.file, &opened.cipher, Some((&opened.file, &opened.values))).unwrap();
        assert_eq!(shown(&again), shown(&opened.values));
        // The ciphertext of `a` in the place of `c` does not become what `a` is.
        let text = opened.file.text();
        let (a, c) = (opened.file.leaf(&Path::of_keys(["a"])), opened.file.leaf(&Path::of_keys(["c"])));
        let moved = text.replacen(c.unwrap(), a.unwrap(), 1);
        let moved = opened.file.with_text(moved).unwrap();
        assert!(Values::of(&moved, &opened.cipher, Some((&opened.file, &opened.values))).is_err());
    }

    #[test]
    fn a_known_value_is_found_behind_leaves_that_are_gone() {
        let text: String = (0..2 * GONE).map(|n| format!("k{n}: v{n}\n")).collect();
        let opened = opened(&text);
        let kept: String =
            opened.file.text().lines().skip(GONE - 1).map(|line| format!("{line}\n")).collect();
        let kept = opened.file.with_text(kept).unwrap();
        // Under another key nothing decrypts, so all of it is known.
        let other = Cipher::new(&super::super::value::DataKey::generate().unwrap());
        let values = Values::of(&kept, &other, Some((&opened.file, &opened.values))).unwrap();
        assert_eq!(shown(&values), shown(&opened.values)[GONE - 1..]);
    }
}
