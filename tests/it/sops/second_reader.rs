//! What we write, read by a second implementation: rops 0.1.7, which `tests/rops/run` builds apart from the product. Each
//! row of rops has stock sops beside it: where rops reads, it reads the same; where it does not, the row says what it says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use provision::sops::{Format, Policy, Rule};
use serde_json::Value;

use super::random;
use super::random_formats;
use super::workshop::{Workshop, now, path, secret};
use crate::support::guest::guest;

/// What rops makes of a file.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reading {
    Read(Value),
    Refused(String),
}

/// What rops must make of a file.
#[derive(Clone, Copy)]
enum Wanted {
    /// What stock sops makes of it.
    Same,
    /// An error with this in it.
    Refused(&'static str),
}
use Wanted::{Refused, Same};

/// The program that `tests/rops/run` builds.
fn reader() -> PathBuf {
    // target/<profile>/deps/it-<hash>
    let exe = std::env::current_exe().unwrap();
    let reader = exe.ancestors().nth(3).unwrap().join("rops/debug/rops-reader");
    assert!(reader.is_file(), "{} is not there: start this by tests/rops/run", reader.display());
    reader
}

/// Files that wait for rops, which is started once for all of them.
struct Desk {
    shop: Workshop,
    files: BTreeMap<String, Wanted>,
}

impl Desk {
    fn new() -> Self {
        Self { shop: Workshop::new(), files: BTreeMap::new() }
    }

    fn put(&mut self, format: Format, what: &str, text: &str, wanted: Wanted) {
        let ending = if format == Format::Json { "json" } else { "yaml" };
        let name = format!("{}.{ending}", what.replace(' ', "-"));
        self.shop.write(&name, text);
        assert!(self.files.insert(name, wanted).is_none(), "{what} is there twice");
    }

    /// Has all files read, and counts them.
    fn compare(&self) -> usize {
        let output = Command::new(reader())
            .env_clear()
            .env("HOME", self.shop.file("."))
            .env("ROPS_AGE", self.shop.private_key())
            .current_dir(self.shop.file("."))
            .args(self.files.keys())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(printed.lines().count(), self.files.len(), "{stderr}");
        for ((name, wanted), line) in self.files.iter().zip(printed.lines()) {
            let reading = serde_json::from_str(line).unwrap();
            match (wanted, reading) {
                (Same, Reading::Read(values)) => {
                    assert!(is_same(&values, &self.theirs(name)), "{name}: {values}");
                }
                (Refused(why), Reading::Refused(error)) => assert!(error.contains(why), "{name}: {error}"),
                (Same, other) => panic!("{name}: {other:?}\n{}", self.shop.read(name)),
                (Refused(_), other) => panic!("rops has learned to read {name}: {other:?}"),
            }
        }
        self.files.len()
    }

    /// What stock sops decrypts a file to.
    fn theirs(&self, name: &str) -> Value {
        let decrypted = self.shop.sops(&["decrypt", "--output-type", "json", name]);
        serde_json::from_str(&decrypted.stdout).unwrap()
    }
}

/// Whether both hold the same, whatever type a reader has for a whole number.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let entries = one.iter().zip(other);
            one.len() == other.len()
                && entries.into_iter().all(|((key, one), (name, other))| key == name && is_same(one, other))
        }
        (one, other) => one == other,
    }
}

/// Documents under no rule of their own.
const YAML: &[(&str, &str, Wanted)] = &[
    ("strings", "a: x\nb: 'it''s'\nc: \"\\t\\\"é漢😀\\u0000\\r\\n\"\nd: yes\n", Same),
    ("blocks", "a: |\n  one\n   two\nb: >-\n  three\n  four\nc: |+\n  five\n\nd: x\n", Same),
    ("line breaks of another system", "a: x\r\nb:\r\n  - y\r\n  - c: z\r\n", Same),
    ("integers", "a: 1\nb: -2\nc: 9223372036854775807\nd: 1_000\ne: 0x1F\nf: 0o17\ng: 0777\n", Same),
    ("integers as texts", "a: '1'\nb: \"-2\"\nc: '0x1F'\nd: 'true'\ne: 'null'\n", Same),
    ("floats", "a: 1.0\nb: 0.1\nc: 1e3\nd: 1e21\ne: 1e-9\nf: -0.5\ng: 1.79e308\n", Same),
    ("booleans and nulls", "a: true\nb: False\nc: null\nd: ~\ne:\nf: x\n", Same),
    ("empty collections", "a: {}\nb: []\nc: x\n", Same),
    ("nested", "a:\n  b:\n    - c: 1\n      d: [x, {e: y}]\n    - - z\n    - null\nf: {g: {h: i}}\n", Same),
    ("equal values of a list", "a: [x, x, x]\nb: x\n", Same),
    ("odd keys", "a.b: 1\n\"c d\": 2\n\"e:f\": 3\n\"\": 4\n\"\\\"é\": 5\n\"1\": 6\n", Same),
    ("comments", "# one\na: x\n# two\nb:\n  # three\n  c: y\n", Same),
    ("tags", "a: !!str 5\nb: !!int \"5\"\nc: !!float 3\nd: !!binary aGVsbG8=\n", Same),
    ("aliases", "a: x\nb_unencrypted: &v [1, y]\nc_unencrypted: *v\n", Same),
    ("merge keys", "a: x\nb_unencrypted: &v {c: d}\ne_unencrypted:\n  <<: *v\n", Same),
    ("clear", "a: x\nb_unencrypted: y\nc_unencrypted: {d: [1, true, null, 2.5]}\n", Same),
    // Where rops 0.1.7 differs from stock sops.
    ("infinity", "a: x\nb: -.inf\n", Refused("invalid MAC")),
    ("empty text", "a: x\nb: ''\n", Refused("missing ENC prefix")),
    ("time", "a: 2001-12-14\n", Refused("unable to parse value type: time")),
    ("documents", "a: x\n---\nb: y\n", Refused("more than one document")),
    ("byte order mark", "\u{feff}a: x\n", Refused("missing field `sops`")),
    ("numbers of YAML 1.1 in the clear", "a: x\nb_unencrypted: 1_000\n", Refused("invalid MAC")),
];

const JSON: &[(&str, &str, Wanted)] = &[
    ("flat", "{\"b\": \"x\", \"a\": \"\\u00e9\\/\\\"\\n\", \"c\": \"😀\"}", Same),
    ("numbers", "{\"a\": 1, \"b\": -2.50, \"c\": 1e3, \"d\": true, \"e\": null}", Same),
    ("nested", "{\n  \"a\": {\"b\": [1, {\"c\": \"x\"}, []]},\n  \"d\": {}\n}\n", Same),
    ("clear", "{\"a\": \"x\", \"b_unencrypted\": [\"<&>\", 2.5, false, 7]}", Same),
    ("empty text", "{\"a\": \"x\", \"b\": \"\"}", Refused("missing ENC prefix")),
];

/// A document of which each rule below selects some.
const SELECTED: &str = "password: x\nuser: y\nn:\n  password: [1, two]\n  port: 8080\n  key_enc: z\n";

const RULES: [&str; 7] = [
    "encrypted_regex: ^password$",
    "unencrypted_regex: ^(user|port)$",
    "encrypted_suffix: _enc",
    "unencrypted_suffix: user",
    "encrypted_regex: ^password$\n    mac_only_encrypted: true",
    "unencrypted_suffix: ser\n    mac_only_encrypted: true",
    "mac_only_encrypted: true",
];

#[test]
#[ignore = "needs the reader that tests/rops/run builds"]
fn what_we_write_is_read_by_rops_or_refused_for_a_known_reason() {
    let mut desk = Desk::new();
    let rule = desk.shop.rule("");
    for (what, text, wanted) in YAML {
        desk.put(Format::Yaml, what, &Workshop::seal(text, &rule), *wanted);
    }
    for (what, text, wanted) in JSON {
        desk.put(Format::Json, what, &Workshop::seal_as(Format::Json, text, &rule), *wanted);
    }
    let long = format!("a: {}\n", "long ".repeat(20_000));
    desk.put(Format::Yaml, "long", &Workshop::seal(&long, &rule), Same);
    for lines in RULES {
        let rule = desk.shop.rule(lines);
        let what = lines.replace(['^', '$', '(', ')', '|', ':', '\n'], "");
        desk.put(Format::Yaml, &what, &Workshop::seal(SELECTED, &rule), Same);
    }
    println!("rops: {} files that we made", desk.compare());
}

/// Files of stock sops and of ours, after what we do to files.
#[test]
#[ignore = "needs the reader that tests/rops/run builds"]
fn what_we_have_changed_is_read_by_rops() {
    let mut desk = Desk::new();
    let rule = desk.shop.rule("");
    let text = "# one\na: x\nb:\n  - 1\n  - c: true\nd_unencrypted: y\ne: z\n";
    for (whose, before) in [("ours", Workshop::seal(text, &rule)), ("theirs", desk.shop.encrypt(text))] {
        let edited = desk.shop.edit(&before, |opened| {
            opened.set(&path(r#"["a"]"#), &secret("new\nvalue")).unwrap();
            opened.set(&path(r#"["b"][1]["more"]"#), &secret("x")).unwrap();
            opened.set(&path(r#"["d_unencrypted"]"#), &secret("12")).unwrap();
            opened.remove(&path(r#"["e"]"#)).unwrap();
        });
        desk.put(Format::Yaml, &format!("{whose} edited"), &edited, Same);
        let rekeyed = |text: &str, rule: &Rule| {
            let rekeyed = desk.shop.open(text).rekey(rule, now(), &[]).unwrap();
            String::from_utf8(rekeyed.sealed.bytes().to_vec()).unwrap()
        };
        let one_more = [desk.shop.recipient.clone(), desk.shop.others[0].clone(), guest().recipient];
        let more = rekeyed(&edited, &Rule::own(one_more));
        let less = rekeyed(&more, &Rule::own([desk.shop.recipient.clone()]));
        let narrow = Policy::parse(&format!(
            "creation_rules:\n  - age: {}\n    encrypted_regex: ^[ab]$\n",
            desk.shop.recipient
        ));
        let other = rekeyed(&less, narrow.unwrap().rule_for("x").unwrap());
        desk.put(Format::Yaml, &format!("{whose} with another reader"), &more, Same);
        desk.put(Format::Yaml, &format!("{whose} with fewer readers"), &less, Same);
        desk.put(Format::Yaml, &format!("{whose} under another rule"), &other, Same);
    }
    let pgp =
        "    pgp:\n        - created_at: \"2026-01-01T00:00:00Z\"\n          enc: x\n          fp: ABCD\n";
    let theirs = desk.shop.encrypt(text).replacen(
        "    unencrypted_suffix",
        &format!("{pgp}    unencrypted_suffix"),
        1,
    );
    let edited = desk.shop.edit(&theirs, |opened| opened.set(&path(r#"["a"]"#), &secret("new")).unwrap());
    desk.put(Format::Yaml, "a stanza of PGP", &edited, Same);
    let listed = desk.shop.encrypt("a: x\nl:\n  # note\n  - y\n");
    let edited = desk.shop.edit(&listed, |opened| opened.set(&path(r#"["a"]"#), &secret("new")).unwrap());
    desk.put(Format::Yaml, "a comment in a list", &edited, Refused("unable to parse value type: comment"));
    println!("rops: {} files that we changed", desk.compare());
}

/// rops knows age keys of its own kind in one group, and rules that look at keys.
#[test]
#[ignore = "needs the reader that tests/rops/run builds"]
fn readers_and_rules_that_rops_does_not_know_are_refused_by_it() {
    let mut desk = Desk::new();
    let own = desk.shop.recipient.to_string();
    let ssh = include_str!("../fixtures/ssh/id_ed25519.pub").trim();
    let [ben, eva] = desk.shop.others.clone();
    for (what, why, lines) in [
        ("an ssh key", "invalid Bech32", format!("age: ['{own}', '{ssh}']")),
        (
            "groups",
            "no data key retrieved",
            format!(
                "shamir_threshold: 2\n    key_groups: [{{age: ['{own}']}}, {{age: ['{own}', '{ben}', '{eva}']}}]"
            ),
        ),
        (
            "a rule on comments",
            "missing ENC prefix",
            format!("age: '{own}'\n    encrypted_comment_regex: note"),
        ),
    ] {
        let policy = Policy::parse(&format!("creation_rules:\n  - {lines}\n")).unwrap();
        let text = Workshop::seal("# note\na: x\nb: y\n", policy.rule_for("x").unwrap());
        desk.put(Format::Yaml, what, &text, Refused(why));
    }
    println!("rops: {} files that are not for it", desk.compare());
}

/// 128 documents.
#[test]
#[ignore = "needs the reader that tests/rops/run builds"]
fn random_documents_are_read_by_rops() {
    let mut desk = Desk::new();
    let rule = desk.shop.rule("");
    let mut runner = TestRunner::default();
    // Empty texts, as block scalars of blank lines are, times and numbers of YAML 1.1 in the clear: rows above.
    let has_what_rops_cannot = |text: &String| {
        let parts = ["''", "\"\"", "2001-12-14", "0x1F", " |\n", " |-\n", " |+\n", " >\n", " >-\n", " >+\n"];
        parts.iter().any(|part| text.contains(part))
    };
    for number in 0..64 {
        let yaml = random::document().prop_filter("for rops", move |text| !has_what_rops_cannot(text));
        let json = random_formats::json().prop_filter("for rops", move |text| !text.contains("\"\""));
        let yaml = yaml.new_tree(&mut runner).unwrap().current();
        let json = json.new_tree(&mut runner).unwrap().current();
        desk.put(Format::Yaml, &number.to_string(), &Workshop::seal(&yaml, &rule), Same);
        desk.put(Format::Json, &number.to_string(), &Workshop::seal_as(Format::Json, &json, &rule), Same);
    }
    println!("rops: {} random files", desk.compare());
}
