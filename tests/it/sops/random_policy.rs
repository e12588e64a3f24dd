//! Policies that nobody thought of: who reads, and what is encrypted.

use std::fs;

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use provision::sops::{Policy, Rule};

use super::workshop::{Workshop, recipient};
use crate::support::guest::guest;
use crate::support::holder::fixture;

/// A key of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// That of the workshop, an X25519 key.
    Own,
    /// Another X25519 key, whose private half nobody here has.
    Other,
    /// Keys of ssh, whose private halves are fixtures.
    Ed25519,
    Rsa,
}
use Key::{Ed25519, Other, Own, Rsa};

/// The keys whose private halves are here.
const HELD: [Key; 3] = [Own, Ed25519, Rsa];

/// A creation rule, and the keys that those who open its files have.
#[derive(Clone, Debug)]
pub(super) struct RandomPolicy {
    groups: Vec<Vec<Key>>,
    /// As many as the rule needs, of groups of their own.
    openers: Vec<Key>,
    /// What is encrypted, as it stands in the rule.
    pub(super) lines: &'static str,
}

impl RandomPolicy {
    /// The rule of a policy with nothing else in it; stock sops and we find it, and the keys, in the workshop.
    pub(super) fn furnish(&self, shop: &Workshop) -> Rule {
        let group = |keys: &Vec<Key>| {
            let keys: Vec<String> = keys.iter().map(|key| format!("'{}'", public(*key, shop))).collect();
            format!("age: [{}]", keys.join(", "))
        };
        let readers = match self.groups.as_slice() {
            [one] => group(one),
            groups => {
                let groups: Vec<String> = groups.iter().map(|keys| format!("{{{}}}", group(keys))).collect();
                format!("shamir_threshold: {}\n    key_groups: [{}]", self.openers.len(), groups.join(", "))
            }
        };
        let text = format!("creation_rules:\n  - path_regex: .*\n    {readers}\n    {}\n", self.lines);
        shop.write(".sops.yaml", &text);
        let has = |key| self.openers.contains(&key);
        let nobodys = guest().private;
        shop.write("keys.txt", if has(Own) { shop.private_key() } else { &nobodys });
        fs::create_dir_all(shop.file(".ssh")).unwrap();
        for (key, name) in [(Ed25519, "id_ed25519"), (Rsa, "id_rsa")] {
            let file = shop.file(&format!(".ssh/{name}"));
            if has(key) {
                fs::copy(fixture(name), file).unwrap();
            } else if file.exists() {
                fs::remove_file(file).unwrap();
            }
        }
        Policy::parse(&text).unwrap().rule_for("file.yaml").unwrap().clone()
    }
}

fn public(key: Key, shop: &Workshop) -> String {
    let ssh = |name| fs::read_to_string(fixture(name)).unwrap().trim().to_owned();
    match key {
        Own => shop.recipient.to_string(),
        Other => recipient().to_string(),
        Ed25519 => ssh("id_ed25519.pub"),
        Rsa => ssh("id_rsa.pub"),
    }
}

/// One to four X25519 keys, with keys of ssh or without; one of them opens.
fn one_group() -> impl Strategy<Value = (Vec<Vec<Key>>, Vec<Key>)> {
    let others = (any::<bool>(), 0..4usize);
    let held = prop_oneof![3 => Just(vec![Own]), 2 => subsequence(HELD.to_vec(), 1..=3)];
    (held, others, any::<Index>()).prop_map(|(mut held, (others_first, others), opener)| {
        let opener = held[opener.index(held.len())];
        let least = usize::from(!held.contains(&Own));
        let others = std::iter::repeat_n(Other, others.max(least));
        if others_first {
            held.splice(0..0, others);
        } else {
            held.extend(others);
        }
        (vec![held], vec![opener])
    })
}

/// Three groups, of which two open.
fn three_groups() -> impl Strategy<Value = (Vec<Vec<Key>>, Vec<Key>)> {
    let with_others =
        |key: Key, others: usize| std::iter::once(key).chain([Other; 2].into_iter().take(others));
    (Just(HELD.to_vec()).prop_shuffle(), 0..3usize, 0..3usize).prop_map(move |(held, first, second)| {
        let groups = vec![
            with_others(held[0], first).collect(),
            with_others(held[1], second).collect(),
            with_others(held[2], 0).collect(),
        ];
        (groups, held[1..].to_vec())
    })
}

/// Policies with one of these lines.
pub(super) fn policy(lines: &'static [&'static str]) -> impl Strategy<Value = RandomPolicy> {
    let readers = prop_oneof![5 => one_group().boxed(), 1 => three_groups().boxed()];
    (readers, select(lines)).prop_map(|((groups, openers), lines)| RandomPolicy { groups, openers, lines })
}
