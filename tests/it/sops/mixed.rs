//! Files with keys of every type in any groups: whatever is done to them, nobody is dropped, and the stanzas of those who
//! are not concerned stay byte for byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use provision::secret::Secret;
use provision::sops::{
    Draft, Encrypted, Format, Identities, IdentitySource, Opened, Outside, OutsideError, Policy, Recipient,
    Rule, ServiceKey,
};
use zeroize::Zeroizing;

use super::workshop::{Workshop, cases, now, path, secret};
use crate::support::guest::{Guest, guest};

/// A key service that wraps by writing down, each time with other bytes.
#[derive(Default)]
struct Cabinet {
    number: AtomicUsize,
}

fn no<T>() -> Result<T, OutsideError> {
    Err(OutsideError::NoTerminal { what: "something else".to_owned() })
}

impl Outside for Cabinet {
    fn key_command(&self, _: &str, _: Option<&Recipient>) -> Result<Secret, OutsideError> {
        no()
    }

    fn passphrase(&self, _: &str) -> Result<Secret, OutsideError> {
        no()
    }

    fn plugin_wrap(&self, _: &str, _: &[u8]) -> Result<String, OutsideError> {
        no()
    }

    fn plugin_unwrap(&self, _: &Secret, _: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        no()
    }

    fn service_encrypt(&self, key: &ServiceKey, data: &[u8]) -> Result<String, OutsideError> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let text = format!("wrapped {number}:{}", STANDARD.encode(data));
        Ok(match key {
            ServiceKey::Pgp { .. } => {
                format!("-----BEGIN PGP MESSAGE-----\n\n{text}\n-----END PGP MESSAGE-----\n")
            }
            _ => text,
        })
    }

    fn service_decrypt(&self, _: &ServiceKey, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        let line = wrapped.lines().find(|line| line.contains(':')).unwrap();
        Ok(Zeroizing::new(STANDARD.decode(line.split_once(':').unwrap().1).unwrap()))
    }
}

/// Lists of a group, with one or two keys each; of the last one the stock sops 3.11 knows nothing.
const OTHERS: [&str; 7] = [
    "pgp: [FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4, D7229043384BCC60326C6FB9D8720D957C3D3074]",
    "kms: [{arn: 'arn:aws:kms:eu-west-1:1:key/a', role: 'arn:aws:iam::1:role/r', context: {app: x, at: y}, aws_profile: p}]",
    "gcp_kms: [{resource_id: projects/p/locations/l/keyRings/r/cryptoKeys/k}]",
    "azure_keyvault: [{vaultUrl: 'https://v.vault.azure.net', key: k, version: '1'}]",
    "hc_vault: ['https://v.example.com:8200/v1/a/transit/keys/k', 'https://w.example.com/v1/transit/keys/k']",
    "kms: [{arn: 'arn:aws:kms:eu-west-1:1:key/b'}]",
    "hckms: [{key_id: 'tr-west-1:abc'}]",
];

const FORMATS: [(Format, &str, &str, &str); 5] = [
    (Format::Yaml, "file.yaml", "a: one\nb: two\n", r#"["a"]"#),
    (Format::Json, "file.json", "{\n\t\"a\": \"one\",\n\t\"b\": \"two\"\n}\n", r#"["a"]"#),
    (Format::Dotenv, "file.env", "a=one\nb=two\n", r#"["a"]"#),
    (Format::Ini, "file.ini", "[a]\na = one\nb = two\n", r#"["a"]["a"]"#),
    (Format::Binary, "file.bin", "one", r#"["data"]"#),
];

/// Who is in a group: the keys of age, and bits for the other lists.
type Members<'a> = (Vec<&'a Guest>, u8);

fn rule(groups: &[Members<'_>], threshold: usize) -> Rule {
    let threshold = if groups.len() == 1 { 0 } else { threshold };
    let mut text = format!("creation_rules:\n- shamir_threshold: {threshold}\n  key_groups:\n");
    for (guests, bits) in groups {
        let keys: Vec<String> = guests.iter().map(|guest| guest.recipient.to_string()).collect();
        text += &format!("  - age: [{}]\n", keys.join(", "));
        // Two of them are of one list.
        let bits = if bits & 0b10 != 0 { bits & !0b10_0000 } else { *bits };
        for (_, line) in OTHERS.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1) {
            text += &format!("    {line}\n");
        }
    }
    Policy::parse(&text).unwrap().rule_for("x").unwrap().clone()
}

fn again(file: &Encrypted) -> Encrypted {
    Encrypted::parse(file.format(), file.text().as_bytes()).unwrap()
}

fn readers(file: &Encrypted) -> Vec<Vec<String>> {
    file.groups().iter().map(|group| group.iter().map(ToString::to_string).collect()).collect()
}

/// Lines that hold no value and no time.
fn stanzas(text: &str) -> Vec<&str> {
    let kept = text.lines().filter(|line| !line.contains("ENC[") && !line.contains("lastmodified"));
    kept.map(|line| line.trim_end_matches(',')).collect()
}

/// Lines that say which key it is.
fn names(text: &str) -> Vec<&str> {
    const FIELDS: [&str; 14] = [
        "arn",
        "role",
        "app",
        "at",
        "aws_profile",
        "resource_id",
        "vault_url",
        "name",
        "vault_address",
        "engine_path",
        "key_name",
        "key_id",
        "fp",
        "recipient",
    ];
    let is_name = |line: &&str| {
        let field = line.split([':', '=']).next().unwrap_or_default().trim_matches(['-', ' ', '\t', '"']);
        FIELDS.contains(&field.rsplit("map_").next().unwrap_or_default())
    };
    stanzas(text).into_iter().filter(is_name).collect()
}

fn is_within(part: &[&str], whole: &[&str]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|line| whole.any(|other| other == line))
}

struct Desk {
    shop: Workshop,
    ana: Guest,
    outside: Arc<Cabinet>,
}

impl Desk {
    fn open(&self, file: &Encrypted) -> Opened {
        let bytes = Zeroizing::new(self.ana.private.as_bytes().to_vec());
        let source = IdentitySource::Text { name: "ana".to_owned(), bytes };
        let identities = Identities::new([source], self.outside.clone());
        again(file).open(&identities).unwrap()
    }

    fn stock(&self, args: &[&str]) -> Option<String> {
        let mut command = crate::support::sops::command();
        command.current_dir(self.shop.file(".")).env("HOME", "/nonexistent");
        let output = command.env("SOPS_AGE_KEY", &self.ana.private).args(args).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

/// A group by chance: whether Ana is in it, whether Ben is, and bits for the other lists.
type Chance = (bool, bool, u8);

fn story(groups: &[Chance], threshold: usize, format: usize) -> Result<(), TestCaseError> {
    let (format, name, draft, at) = FORMATS[format];
    let desk = Desk { shop: Workshop::new(), ana: guest(), outside: Arc::default() };
    let (ben, eva) = (guest(), guest());
    // Ana is in the first group, and wherever nobody else could open it for her.
    let members = |with_eva: bool| -> Vec<Members<'_>> {
        let group = |(at, (ana, has_ben, bits)): (usize, &Chance)| {
            let mut guests = if at == 0 || *ana || *bits == 0 { vec![&desk.ana] } else { Vec::new() };
            guests.extend(has_ben.then_some(&ben));
            guests.extend((at == 0 && with_eva).then_some(&eva));
            (guests, *bits)
        };
        groups.iter().enumerate().map(group).collect()
    };
    let (without, with) = (rule(&members(false), threshold), rule(&members(true), threshold));
    let sealed = Draft::parse(format, draft).unwrap().seal(&without, &*desk.outside, now(), &[]).unwrap();
    let before = again(sealed.file());
    let everybody = readers(&before);
    prop_assert!(before.differences(&without).is_empty());

    // A value: no stanza changes.
    let mut opened = desk.open(&before);
    opened.set(&path(at), &secret("two")).unwrap();
    let set = opened.seal(now(), &[]).unwrap();
    let set = again(set.file());
    prop_assert_eq!(stanzas(set.text()), stanzas(before.text()));

    // Somebody comes: every line stays.
    let added = desk.open(&set).rekey(&with, now(), &[]).unwrap();
    let added = again(added.sealed.file());
    prop_assert!(is_within(&stanzas(set.text()), &stanzas(added.text())), "{}\n{}", set.text(), added.text());
    prop_assert!(added.differences(&with).is_empty());

    // Somebody goes: everybody else is there, in their order, with new shares.
    let removed = desk.open(&added).rekey(&without, now(), &[]).unwrap();
    let removed = again(removed.sealed.file());
    prop_assert_eq!(readers(&removed), everybody.clone());
    prop_assert_eq!(names(removed.text()), names(before.text()));
    prop_assert!(
        !stanzas(removed.text()).iter().any(|line| line.contains("wrapped") && added.text().contains(line))
    );

    // The stock sops reads it where age alone opens it, and what it writes has everybody too.
    if groups.len() == 1 {
        desk.shop.write(name, removed.text());
        prop_assert!(desk.stock(&["decrypt", name]).unwrap().contains("two"));
        if format != Format::Binary && groups[0].2 & 0b100_0000 == 0 {
            desk.stock(&["set", name, at, "\"three\""]).unwrap();
            let theirs = Encrypted::parse(format, desk.shop.read(name).as_bytes()).unwrap();
            prop_assert_eq!(readers(&theirs), everybody);
            let value = desk.open(&theirs).get(&path(at)).unwrap().unwrap();
            prop_assert_eq!(value.expose(), "three");
        }
    }
    Ok(())
}

#[test]
fn every_kind_of_key_stays_in_every_format() {
    for (format, other) in
        (0..FORMATS.len()).flat_map(|format| (0..OTHERS.len()).map(move |other| (format, other)))
    {
        story(&[(true, false, 1 << other)], 1, format).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(48), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_dropped_whatever_is_done(
        groups in prop::collection::vec((any::<bool>(), any::<bool>(), 0u8..128), 1..4),
        threshold in any::<prop::sample::Index>(),
        format in 0usize..5,
    ) {
        story(&groups, 2 + threshold.index(groups.len().max(2) - 1), format)?;
    }
}
