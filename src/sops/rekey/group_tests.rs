//! Rekeys of files whose readers are in groups, and of such with keys of other types.

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::super::keys::{IdentitySource, Outside, OutsideError};
use super::super::other::ServiceKey;
use super::super::tests::{NOW, Person, person};
use super::super::{Draft, Encrypted, Identities, OpenError, Policy};
use super::*;
use crate::secret::Secret;

/// A key service that hides nothing: what it wraps is the key's name and the bytes in hexadecimal.
struct Service;

impl Outside for Service {
    fn key_command(&self, _: &str, _: Option<&Recipient>) -> Result<Secret, OutsideError> {
        unreachable!("there is no command")
    }

    fn passphrase(&self, _: &str) -> Result<Secret, OutsideError> {
        unreachable!("there is no passphrase")
    }

    fn plugin_wrap(&self, _: &str, _: &[u8]) -> Result<String, OutsideError> {
        unreachable!("there is no plugin")
    }

    fn plugin_unwrap(&self, _: &Secret, _: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        unreachable!("there is no plugin")
    }

    fn service_encrypt(&self, key: &ServiceKey, data: &[u8]) -> Result<String, OutsideError> {
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("-----BEGIN-----\n\n{key} {hex}\n-----END-----"))
    }

    fn service_decrypt(&self, key: &ServiceKey, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        let failed = || OutsideError::Failed { reason: "not for this key".to_owned() };
        let line = wrapped.lines().nth(2).ok_or_else(failed)?;
        let hex = line.strip_prefix(&format!("{key} ")).ok_or_else(failed)?;
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| failed());
        (0..hex.len()).step_by(2).map(byte).collect::<Result<Vec<u8>, _>>().map(Zeroizing::new)
    }
}

/// The identities of these people, and the key service.
pub(super) fn together(people: &[&Person]) -> Identities {
    let sources = people.iter().map(|person| IdentitySource::Text {
        name: "keys".to_owned(),
        bytes: Zeroizing::new(person.private.clone().into_bytes()),
    });
    Identities::new(sources, Arc::new(Service))
}

fn rule(lines: &str) -> Rule {
    Policy::parse(&format!("creation_rules:\n- {lines}\n")).unwrap().rule_for("x").unwrap().clone()
}

/// Groups as a rule writes them.
fn groups(threshold: usize, groups: &[&[&str]]) -> Rule {
    let groups = groups.iter().map(|group| {
        let of = |pgp: bool| {
            let keys = group.iter().filter(|key| key.starts_with("age1") != pgp);
            keys.map(|key| (*key).to_owned()).collect::<Vec<_>>().join(", ")
        };
        format!("{{age: [{}], pgp: [{}]}}", of(false), of(true))
    });
    let groups = groups.collect::<Vec<_>>().join(", ");
    rule(&format!("shamir_threshold: {threshold}\n  key_groups: [{groups}]"))
}

const FORMATS: [(Format, &str); 5] = [
    (Format::Yaml, "a: one\nb: 2 # two\n"),
    (Format::Json, "{\n  \"a\": \"one\",\n  \"b\": 2\n}\n"),
    (Format::Dotenv, "a=one\nb=2\n"),
    (Format::Ini, "[s]\na = one\nb = 2\n"),
    (Format::Binary, "one"),
];

fn sealed(format: Format, draft: &str, rule: &Rule) -> Encrypted {
    let now = Timestamp::from_second(NOW).unwrap();
    let sealed = Draft::parse(format, draft).unwrap().seal(rule, &Service, now, &[]).unwrap();
    Encrypted::parse(format, sealed.bytes()).unwrap()
}

fn again(file: &Encrypted) -> Encrypted {
    Encrypted::parse(file.format(), file.text().as_bytes()).unwrap()
}

fn rekeyed(file: &Encrypted, by: &Identities, rule: &Rule) -> (Encrypted, RekeyPlan) {
    let now = Timestamp::from_second(NOW + 60).unwrap();
    let rekeyed = again(file).open(by).unwrap().rekey(rule, now, &[]).unwrap();
    (Encrypted::parse(file.format(), rekeyed.sealed.bytes()).unwrap(), rekeyed.plan)
}

fn opens(file: &Encrypted, people: &[&Person]) -> bool {
    let sources = people.iter().map(|person| ("keys", Secret::new(person.private.clone())));
    again(file).open(&Identities::parse(sources).unwrap()).is_ok()
}

#[test]
fn it_takes_as_many_groups_as_the_rule_says() {
    let (ana, ben, eva) = (person(), person(), person());
    let [a, b, e] = [&ana, &ben, &eva].map(|person| person.recipient.as_str());
    for (format, draft) in FORMATS {
        let file = sealed(format, draft, &groups(2, &[&[a], &[b], &[e]]));
        assert!(file.differences(&groups(2, &[&[a], &[b], &[e]])).is_empty());
        assert!(
            opens(&file, &[&ana, &eva]) && opens(&file, &[&ben, &eva]) && opens(&file, &[&ana, &ben, &eva])
        );
        assert!(!opens(&file, &[&ana]) && !opens(&file, &[]));
        let Err(OpenError::LockedOut(locked)) = again(&file).open(&ana.identities) else {
            panic!("one is too few")
        };
        assert_eq!((locked.opened, locked.threshold, locked.groups.len()), (1, 2, 3));
    }
}

#[test]
fn who_joins_a_group_that_we_opened_adds_lines_only() {
    let (ana, ben, eva) = (person(), person(), person());
    let [a, b, e] = [&ana, &ben, &eva].map(|person| person.recipient.as_str());
    for (format, draft) in FORMATS {
        let file = sealed(format, draft, &groups(0, &[&[a], &[b]]));
        let (after, plan) = rekeyed(&file, &together(&[&ana, &ben]), &groups(0, &[&[a], &[b, e]]));
        assert!(!plan.new_data_key && !plan.groups);
        let kept = |line: &str| line.contains("ENC[") || !line.trim_end().ends_with(['}', ']']);
        assert!(file.text().lines().filter(|line| kept(line)).all(|line| after.text().contains(line)));
        assert!(
            opens(&after, &[&ana, &eva]) && opens(&after, &[&ana, &ben]) && !opens(&after, &[&ben, &eva])
        );
    }
}

#[test]
fn who_joins_a_group_that_we_cannot_open_gets_a_new_share() {
    let (ana, ben, eva, ian) = (person(), person(), person(), person());
    let [a, b, e, i] = [&ana, &ben, &eva, &ian].map(|person| person.recipient.as_str());
    let file = sealed(Format::Yaml, "a: one\n", &groups(2, &[&[a], &[b], &[e]]));
    let (after, plan) = rekeyed(&file, &together(&[&ana, &ben]), &groups(2, &[&[a], &[b], &[e, i]]));
    assert!(!plan.new_data_key);
    assert_eq!(after.text().lines().next(), file.text().lines().next());
    for two in [[&ana, &ben], [&ana, &eva], [&ian, &ben], [&ana, &ian]] {
        assert!(opens(&after, &two));
    }
    assert!(!opens(&after, &[&eva, &ian]));
}

#[test]
fn a_changed_threshold_is_applied_with_a_new_data_key() {
    let (ana, ben, eva) = (person(), person(), person());
    let [a, b, e] = [&ana, &ben, &eva].map(|person| person.recipient.as_str());
    for (format, draft) in FORMATS {
        let file = sealed(format, draft, &groups(2, &[&[a], &[b], &[e]]));
        let all = groups(3, &[&[a], &[b], &[e]]);
        let texts: Vec<String> = file.differences(&all).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["keys of 2 of 3 groups can open the file, and by the rule keys of 3 of 3 groups can"]
        );
        let (after, plan) = rekeyed(&file, &together(&[&ana, &ben]), &all);
        assert!(plan.groups && plan.new_data_key);
        assert!(!opens(&after, &[&ana, &ben]) && opens(&after, &[&ana, &ben, &eva]));
        let (back, _) = rekeyed(&after, &together(&[&ana, &ben, &eva]), &groups(2, &[&[a], &[b], &[e]]));
        assert!(opens(&back, &[&eva, &ben]));
    }
}

#[test]
fn a_group_of_a_file_may_say_its_threshold_by_saying_nothing() {
    let (ana, ben) = (person(), person());
    let rule = groups(0, &[&[ana.recipient.as_str()], &[ben.recipient.as_str()]]);
    let text = sealed(Format::Yaml, "a: one\n", &rule).text().replace("    shamir_threshold: 2\n", "");
    let file = Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap();
    assert_eq!((file.threshold(), file.differences(&rule)), (2, Vec::new()));
}

#[test]
fn a_share_that_is_not_one_is_an_error() {
    let (ana, ben) = (person(), person());
    let rule = groups(0, &[&[ana.recipient.as_str()], &[ben.recipient.as_str()]]);
    let text = sealed(Format::Yaml, "a: one\n", &rule).text().replace("threshold: 2", "threshold: 1");
    let error = Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap().open(&ana.identities).unwrap_err();
    assert!(matches!(error, OpenError::Shares { .. }), "{error}");
}

const FINGERPRINT: &str = "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4";

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// From any groups to any others, in every format: who shall open the file does, in every combination, nobody else
    /// does, and the values are what they were.
    #[test]
    fn any_groups_become_any_others(
        from in proptest::collection::vec(1u8..16, 1..4),
        to in proptest::collection::vec(1u8..16, 1..4),
        (low, high) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        format in 0usize..5,
    ) {
        let people = [person(), person(), person()];
        let keys = [people[0].recipient.as_str(), people[1].recipient.as_str(), people[2].recipient.as_str(), FINGERPRINT];
        let members = |bits: u8| -> Vec<&str> { (0..4).filter(|at| bits >> at & 1 == 1).map(|at| keys[at]).collect() };
        let rule_of = |sets: &[u8], index: prop::sample::Index| {
            let lists: Vec<Vec<&str>> = sets.iter().map(|bits| members(*bits)).collect();
            let slices: Vec<&[&str]> = lists.iter().map(Vec::as_slice).collect();
            let threshold = if sets.len() == 1 { 1 } else { 2 + index.index(sets.len() - 1) };
            (groups(if sets.len() == 1 { 0 } else { threshold }, &slices), threshold)
        };
        let (before, _) = rule_of(&from, low);
        let (after, threshold) = rule_of(&to, high);
        let (format, draft) = FORMATS[format];
        let file = sealed(format, draft, &before);
        let all = together(&people.iter().collect::<Vec<_>>());
        let (end, plan) = rekeyed(&file, &all, &after);
        prop_assert!(end.differences(&after).is_empty());
        prop_assert_eq!(plan.is_empty(), file.text() == end.text());
        let value = |file: &Encrypted| {
            let opened = again(file).open(&all).unwrap();
            opened.file().leaf_paths().map(|path| opened.get(&path).unwrap().unwrap().expose().to_owned()).collect::<Vec<_>>()
        };
        prop_assert_eq!(value(&file), value(&end));
        for present in 0u8..8 {
            let here: Vec<&Person> = (0..3).filter(|at| present >> at & 1 == 1).map(|at| &people[at]).collect();
            let opened = to.iter().filter(|bits| *bits & present & 7 != 0).count();
            prop_assert_eq!(opens(&end, &here), opened >= threshold, "{}", end.text());
        }
    }
}
