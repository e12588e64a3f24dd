use jiff::Timestamp;
use proptest::prelude::*;

use super::super::tests::{NOW, Person, person};
use super::super::{Draft, Encrypted, Identities, Policy};
use super::group_tests::together;
use super::*;

const DOCUMENT: &str = "# note\na: one\nb: 2\nf: 1.0\nt: true\nd: 2001-12-14\ne: \"\"\nn: ~\nl:\n  - p\n  - q: r # end\nm_unencrypted: clear\n";

fn later() -> Timestamp {
    Timestamp::from_second(NOW + 60).unwrap()
}

fn rule(people: &[&Person], lines: &str) -> Rule {
    let age: Vec<&str> = people.iter().map(|person| person.recipient.as_str()).collect();
    let text = format!("creation_rules:\n- age: [{}]\n  {lines}\n", age.join(", "));
    Policy::parse(&text).unwrap().rule_for("x").unwrap().clone()
}

fn sealed(document: &str, rule: &Rule) -> String {
    let sealed = Draft::parse(Format::Yaml, document)
        .unwrap()
        .seal(rule, &crate::sops::Alone, Timestamp::from_second(NOW).unwrap(), &[])
        .unwrap();
    String::from_utf8(sealed.bytes().to_vec()).unwrap()
}

fn open(text: &str, identities: &Identities) -> Opened {
    Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap().open(identities).unwrap()
}

fn rekey(text: &str, by: &Person, rule: &Rule) -> Result<(String, RekeyPlan), RekeyError> {
    let opened = open(text, &by.identities);
    let rekeyed = opened.rekey(rule, later(), &[])?;
    let plan = opened.file().rekey_plan(rule).unwrap();
    assert_eq!(plan, rekeyed.plan);
    assert_eq!(plan.is_empty(), opened.file().differences(rule).is_empty());
    assert!(rekeyed.sealed.file().rekey_plan(rule).unwrap().is_empty());
    Ok((String::from_utf8(rekeyed.sealed.bytes().to_vec()).unwrap(), rekeyed.plan))
}

fn opens(text: &str, person: &Person) -> bool {
    Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap().open(&person.identities).is_ok()
}

#[test]
fn nothing_to_do_changes_no_byte() {
    let ana = person();
    let text = sealed(DOCUMENT, &rule(&[&ana], ""));
    assert_eq!(rekey(&text, &ana, &rule(&[&ana], "")).unwrap(), (text, RekeyPlan::default()));
}

#[test]
fn adding_a_reader_adds_lines_and_changes_none() {
    let (ana, ben, eva) = (person(), person(), person());
    let before = sealed(DOCUMENT, &rule(&[&ana], ""));
    for before in [before.clone(), before.replace('\n', "\r\n")] {
        let (after, plan) = rekey(&before, &ana, &rule(&[&ana, &ben, &eva], "")).unwrap();
        assert!(!plan.new_data_key);
        let new: Vec<&str> = after.split_inclusive('\n').collect();
        let old: Vec<&str> = before.split_inclusive('\n').collect();
        let start = old.iter().zip(&new).take_while(|(one, two)| one == two).count();
        let added = new.len() - old.len();
        assert_eq!([&new[..start], &new[start + added..]].concat(), old);
        assert!(opens(&after, &ana) && opens(&after, &ben) && opens(&after, &eva));
    }
}

#[test]
fn new_entries_have_the_form_of_those_that_are_there() {
    let (ana, ben) = (person(), person());
    let text = sealed("a: x\n", &rule(&[&ana], ""));
    let (start, rest) = text.split_once("    age:\n").unwrap();
    let (entry, rest) = rest.split_once("    lastmodified").unwrap();
    let (recipient, enc) = entry.trim_start_matches([' ', '-']).split_once('\n').unwrap();
    let enc = enc.trim_start().replace("            ", "      ");
    let text = format!("{start}    age:\n  -   {enc}      {recipient}\n    lastmodified{rest}")
        .replace("  age:\n  -   ", "  age:\n    -   ")
        .replace("      rec", "        rec")
        .replace("\n      ", "\n          ")
        .replace("\n            rec", "\n        rec");
    let (after, _) = rekey(&text, &ana, &rule(&[&ana, &ben], "")).unwrap();
    assert!(after.contains(&format!("\n        recipient: {}\n", ben.recipient)), "{after}");
    assert_eq!(after.matches("\n    -   enc: |\n          -----BEGIN").count(), 2, "{after}");
}

#[test]
fn who_goes_takes_the_data_key_with_him() {
    let (ana, ben, eva) = (person(), person(), person());
    let before = sealed(DOCUMENT, &rule(&[&ben, &ana, &eva], ""));
    let old = open(&before, &ben.identities);
    let (after, plan) = rekey(&before, &ana, &rule(&[&ana, &eva], "")).unwrap();
    assert!(plan.new_data_key && plan.removed == [ben.recipient.clone()]);
    assert!(opens(&after, &ana) && opens(&after, &eva) && !opens(&after, &ben));
    let file = Encrypted::parse(Format::Yaml, after.as_bytes()).unwrap();
    let mut tried = 0;
    for (path, node) in file.document.leaves() {
        let text = node.as_str().unwrap();
        if text.starts_with("ENC[") {
            assert!(old.cipher.decrypt(text, &path.additional_data()).is_err(), "{path}");
            assert!(!before.contains(text));
            tried += 1;
        }
    }
    assert_eq!(tried, 7);
    assert!(file.verify(&old.cipher, None).is_err());
    assert!(after.contains("m_unencrypted: clear\n") && after.contains("e: \"\"\nn: ~\n"));
}

#[test]
fn the_only_reader_can_be_replaced() {
    let (ana, ben) = (person(), person());
    let text = sealed(DOCUMENT, &rule(&[&ana], ""));
    let (after, _) = rekey(&text, &ana, &rule(&[&ben], "")).unwrap();
    assert!(opens(&after, &ben) && !opens(&after, &ana) && !after.contains(ana.recipient.as_str()));
}

#[test]
fn a_changed_rule_is_applied_and_types_survive() {
    let ana = person();
    let plain = rule(&[&ana], "");
    let narrow = rule(&[&ana], "encrypted_regex: ^(a|m_unencrypted)$");
    let before = sealed(DOCUMENT, &plain);
    let (after, plan) = rekey(&before, &ana, &narrow).unwrap();
    assert!(plan.selection && !plan.new_data_key);
    assert!(
        after.contains("# note\n") && after.contains("b: 2\nf: 1.0\nt: true\nd: 2001-12-14T00:00:00Z\n"),
        "{after}"
    );
    assert!(!after.contains("m_unencrypted: clear"));
    // The data key is the same, and so is what stays encrypted.
    assert_eq!(after.lines().nth(1), before.lines().nth(1));
    let (back, _) = rekey(&after, &ana, &plain).unwrap();
    assert!(back.contains("m_unencrypted: clear\n") && !back.contains("# note"), "{back}");
}

#[test]
fn the_scope_of_the_mac_is_applied_both_ways() {
    let ana = person();
    let (wide, narrow) = (rule(&[&ana], ""), rule(&[&ana], "mac_only_encrypted: true"));
    let before = sealed(DOCUMENT, &wide);
    let (after, _) = rekey(&before, &ana, &narrow).unwrap();
    assert!(after.contains("    mac_only_encrypted: true\n"));
    let changed = after.replace("m_unencrypted: clear", "m_unencrypted: other");
    assert!(opens(&changed, &ana));
    let (back, _) = rekey(&after, &ana, &wide).unwrap();
    assert!(!opens(&back.replace("m_unencrypted: clear", "m_unencrypted: other"), &ana));
}

#[test]
fn the_data_key_can_be_renewed_for_the_same_readers() {
    let ana = person();
    let rule = rule(&[&ana], "");
    let before = sealed(DOCUMENT, &rule);
    let opened = open(&before, &ana.identities);
    let rekeyed = opened.rotate_data_key(&rule, later(), &[]).unwrap();
    let after = open(str::from_utf8(rekeyed.sealed.bytes()).unwrap(), &ana.identities);
    assert_ne!(after.key.as_bytes(), opened.key.as_bytes());
}

#[test]
fn what_must_be_encrypted_is_never_put_in_the_clear() {
    let ana = person();
    let text = sealed("a: x\nb: y\n", &rule(&[&ana], ""));
    let opened = open(&text, &ana.identities);
    let slot = Path::of_keys(["a"]);
    let error = opened.rekey(&rule(&[&ana], "encrypted_regex: ^b$"), later(), &[slot]).unwrap_err();
    assert!(matches!(error, RekeyError::Seal(SealError::LeftClear { .. })));
    let error = opened.rekey(&rule(&[&ana], "encrypted_regex: ^c$"), later(), &[]).unwrap_err();
    assert!(matches!(error, RekeyError::Seal(SealError::NothingEncrypted { .. })));
}

#[test]
fn changes_that_wait_are_not_lost() {
    let ana = person();
    let text = sealed("a: x\n", &rule(&[&ana], ""));
    let mut opened = open(&text, &ana.identities);
    opened.set(&Path::of_keys(["a"]), &crate::secret::Secret::new("y".to_owned())).unwrap();
    assert_eq!(opened.rekey(&rule(&[&ana], ""), later(), &[]).unwrap_err(), RekeyError::ChangesWait);
}

/// Whoever put himself into a file is out after the next rekey, and what stood there was never the new key.
#[test]
fn a_recipient_that_was_put_in_is_put_out() {
    let (ana, eve) = (person(), person());
    let good = sealed(DOCUMENT, &rule(&[&ana], ""));
    let bad = good.replacen(
        "    age:\n",
        &format!("    age:\n        - recipient: {}\n          enc: x\n", eve.recipient),
        1,
    );
    let (after, plan) = rekey(&bad, &ana, &rule(&[&ana], "")).unwrap();
    assert!(plan.new_data_key && !after.contains(eve.recipient.as_str()) && !opens(&after, &eve));
}

fn with_foreign(text: &str, entries: &[&str]) -> String {
    text.replacen("    lastmodified", &format!("{}    lastmodified", entries.concat()), 1)
}

const PGP: &str = "    pgp:   # kept\n        - created_at: \"2020-01-01T00:00:00Z\"\n          enc: |-\n            -----BEGIN PGP MESSAGE-----\n            x\n          fp: ABCD\n";
const KMS: &str = "    kms:\n        - arn: 'arn:1'\n          created_at: \"2020-01-01T00:00:00Z\"\n          enc: eA==\n          aws_profile: \"\"\n";
const VAULT: &str = "    hc_vault:\n        - {vault_address: https://v, engine_path: e, key_name: k, created_at: \"2020-01-01T00:00:00Z\", enc: x}\n";
const FOREIGN: [(&str, &str); 3] =
    [(PGP, "pgp: ab cd"), (KMS, "kms: arn:1"), (VAULT, "hc_vault_transit_uri: https://v/v1/e/keys/k")];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Entries of other types that the rule names stay byte for byte where the data key stays; under a new one they are
    /// wrapped anew. Those that it does not name go, with the data key.
    #[test]
    fn no_entry_of_another_type_is_lost(
        present in proptest::array::uniform3(any::<bool>()),
        named in proptest::array::uniform3(any::<bool>()),
        adds in any::<bool>(),
        removes in any::<bool>(),
    ) {
        let (ana, ben, eva) = (person(), person(), person());
        let chosen = |which: [bool; 3]| {
            let rows = FOREIGN.iter().zip(which).filter(|(_, is)| *is);
            rows.map(|(row, _)| *row).collect::<Vec<_>>()
        };
        let had: Vec<&Person> = if removes { vec![&ana, &ben] } else { vec![&ana] };
        let wanted: Vec<&Person> = if adds { vec![&ana, &eva] } else { vec![&ana] };
        let before = sealed(DOCUMENT, &rule(&had, ""));
        let before = with_foreign(&before, &chosen(present).iter().map(|(text, _)| *text).collect::<Vec<_>>());
        let lines: Vec<&str> = chosen(named).iter().map(|(_, line)| *line).collect();
        let rule = rule(&wanted, &lines.join("\n  "));
        let opened = open(&before, &together(&[&ana]));
        let rekeyed = opened.rekey(&rule, later(), &[]).unwrap();
        let after = str::from_utf8(rekeyed.sealed.bytes()).unwrap();
        let new_key = removes || (0..3).any(|at| present[at] && !named[at]);
        prop_assert_eq!(rekeyed.plan.new_data_key, new_key);
        for (at, (text, line)) in FOREIGN.iter().enumerate() {
            let stays = present[at] && named[at];
            prop_assert_eq!(after.contains(text), stays && !new_key, "{} {}", line, after);
        }
        let readers = rekeyed.sealed.file().other_readers().len();
        prop_assert_eq!(readers, named.iter().filter(|named| **named).count());
        prop_assert_eq!(rekeyed.plan.added_others.len(), (0..3).filter(|at| named[*at] && !present[*at]).count());
        prop_assert!(opens(after, &ana));
        prop_assert_eq!(opens(after, &eva), adds);
        prop_assert!(!opens(after, &ben));
    }
}
