//! Documents of the other formats that nobody thought of.

use std::fs;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use provision::secret::Secret;
use provision::sops::{Draft, Encrypted, Format, Path, Rule, SealError, Segment};
use serde_json::Value;

use super::random::RULES;
use super::random_policy::policy;
use super::workshop::{Workshop, assert_same_values, now, path, secret};

fn json_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<String>().prop_map(Value::from),
        "[ -~é漢😀\\n\\t\\x00-\\x1f]{0,16}".prop_map(Value::from),
        (-(1i64 << 53)..(1i64 << 53)).prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    scalar.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::from),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = serde_json::Map<String, Value>> {
    let key = prop_oneof!["[a-z]{1,6}", "[a-z]{1,4}_unencrypted", "[ -~é\\n]{0,8}"];
    prop::collection::vec((key, inner), 0..5).prop_map(|entries| entries.into_iter().collect())
}

pub(super) fn json() -> impl Strategy<Value = String> {
    (prop::collection::vec(object(json_value()), 16), any::<bool>()).prop_map(|(objects, pretty)| {
        let mut root = serde_json::Map::new();
        root.insert("always there".to_owned(), Value::from("x"));
        root.extend(objects.into_iter().enumerate().map(|(at, object)| (format!("d{at}"), object.into())));
        let value = Value::from(root);
        if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() }
    })
}

/// Lines that may follow each other.
fn lines(of: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(of, 0..40)
}

fn dotenv() -> impl Strategy<Value = Vec<String>> {
    let key = prop_oneof!["[A-Z_]{1,6}", "[a-z]{1,3}_unencrypted", "[!-<>-~é][ -<>-~]{0,6}"];
    let line = prop_oneof![
        4 => (key, "[ -~é漢😀\\t\\r]{0,20}").prop_map(|(key, value)| format!("{key}={value}")),
        1 => "#[ -~é]{0,10}",
        1 => prop::sample::select(&["# a mark", "# 0 mark", ""][..]).prop_map(str::to_owned),
    ];
    lines(line)
}

fn ini() -> impl Strategy<Value = Vec<String>> {
    let delimiter = prop_oneof![Just("="), Just(" = "), Just(":"), Just("  :  ")];
    let line = prop_oneof![
        6 => ("[a-zA-Z.]{1,6}", delimiter.clone(), "[ -~é漢\\t]{0,20}")
            .prop_map(|(key, between, value)| format!("{key}{between}{value}")),
        1 => ("[a-z]{1,4}_unencrypted", delimiter, "[a-zA-Z0-9 .é]{0,12}")
            .prop_map(|(key, between, value)| format!("{key}{between}{value}")),
        1 => "[ \\t]{0,2}[;#] [a-z]{1,10}",
        1 => "\\[[a-z .]{1,6}\\]",
        1 => prop::sample::select(&["; a mark", "# 0 mark", ""][..]).prop_map(str::to_owned),
    ];
    lines(line)
}

/// The lines, but for those that would not be accepted behind those before them.
fn accepted(format: Format, lines: &[String], rule: &Rule) -> String {
    let start = match format {
        Format::Ini => "first = 1\n[a]\n; a mark\nsecond = 2\nalways there = x\n",
        _ => "# a mark\nalways there=x\n",
    };
    lines.iter().fold(start.to_owned(), |text, line| {
        let longer = format!("{text}{line}\nlast{}=x\n", text.len());
        let fits = Draft::parse(format, &longer)
            .is_ok_and(|draft| draft.seal(rule, &provision::sops::Alone, now(), &[]).is_ok());
        if fits { longer } else { text }
    })
}

fn config(cases: u32) -> Config {
    Config { cases: super::workshop::cases(cases), failure_persistence: None, ..Config::default() }
}

fn ending(format: Format) -> &'static str {
    match format {
        Format::Yaml => "yaml",
        Format::Json => "json",
        Format::Dotenv => "env",
        Format::Ini => "ini",
        Format::Binary => "bin",
    }
}

/// The values that stock sops decrypts a file to.
fn decrypted(shop: &Workshop, format: Format, text: &str) -> Value {
    let name = format!("file.{}", ending(format));
    shop.write(&name, text);
    serde_json::from_str(&shop.sops(&["decrypt", "--output-type", "json", &name]).stdout).unwrap()
}

/// Rules under which `always there` is encrypted, of formats that have comments.
const WITH_COMMENTS: &[&str] = &[
    "",
    "mac_only_encrypted: true",
    "unencrypted_suffix: x\n    mac_only_encrypted: true",
    "encrypted_suffix: \" there\"",
    "encrypted_regex: ' there$|[aeiou]'",
    "unencrypted_regex: '^[m-z]'",
    "encrypted_comment_regex: '^ ?a mark$'",
    "unencrypted_comment_regex: '^ ?[0-9]'\n    mac_only_encrypted: true",
];

/// Documents under random policies, one after the other, each made from what is generated and its rule.
fn both_ways<S: Strategy>(
    format: Format,
    cases: u32,
    rules: &'static [&'static str],
    documents: S,
    document: impl Fn(&S::Value, &Rule) -> String,
) {
    let shop = Workshop::new();
    let plain = format!("plain.{}", ending(format));
    let inputs = (documents, any::<prop::sample::Index>(), "[ -~é\\n]{1,12}", policy(rules));
    let taken = std::cell::Cell::new(0);
    TestRunner::new(config(cases))
        .run(&inputs, |(generated, at, value, policy)| {
            let rule = policy.furnish(&shop);
            let text = document(&generated, &rule);
            shop.write(&plain, &text);
            let before = Workshop::seal_as(format, &text, &rule);
            let values = decrypted(&shop, format, &before);
            assert_same_values(&shop.open_as(format, &before), &values);
            let theirs = shop.sops(&["encrypt", &plain]).stdout;
            shop.write(&plain, &theirs);
            // It writes values in the clear that it reads otherwise, and then finds its own MAC wrong.
            if shop.run(&["decrypt", &plain]).status.success() {
                assert_same_values(&shop.open_as(format, &theirs), &values);
                taken.set(taken.get() + 1);
            }
            assert_eq!(shop.edit_as(format, &before, |_| ()), before);
            edit(&shop, format, &before, at, &secret(&value));
            Ok(())
        })
        .unwrap();
    assert!(taken.get() > cases / 2, "stock sops read {} of its own {cases} files", taken.get());
}

/// Sets a leaf, inserts one, removes one, and has stock sops read what comes of it.
fn edit(shop: &Workshop, format: Format, before: &str, at: prop::sample::Index, value: &Secret) {
    let file = Encrypted::parse(format, before.as_bytes()).unwrap();
    let paths: Vec<Path> = file.leaf_paths().collect();
    let path = paths[at.index(paths.len())].clone();
    let mut beside = path.clone();
    let is_key = matches!(beside.0.pop(), Some(Segment::Key(_)));
    beside.0.push(Segment::Key("brand new".to_owned()));
    let other = paths[at.index((paths.len() - 1).max(1))].clone();
    let is_needed = other.keys().last() == Some("always there");
    let mut opened = shop.open_as(format, before);
    // A value in the clear may be one that the format cannot hold.
    let _ = opened.set(&path, value);
    let is_inserted = is_key && opened.set(&beside, value).is_ok();
    if other != path && !is_needed && matches!(other.0.last(), Some(Segment::Key(_))) {
        opened.remove(&other).unwrap();
    }
    let after = match opened.seal(now(), &[]) {
        Ok(sealed) => String::from_utf8(sealed.bytes().to_vec()).unwrap(),
        // Then a comment would decide about another value than before.
        Err(SealError::Marker { .. } | SealError::Shifted { .. }) => return,
        Err(error) => panic!("{error}\n{before}"),
    };
    assert_same_values(&shop.open_as(format, &after), &decrypted(shop, format, &after));
    let file = Encrypted::parse(format, after.as_bytes()).unwrap();
    assert_eq!(file.leaf_paths().any(|at| at == beside), is_inserted);
}

/// 640 objects, 16 in a file.
#[test]
fn random_json_goes_both_ways() {
    both_ways(Format::Json, 40, RULES, json(), |text, _| text.clone());
}

#[test]
fn random_dotenv_goes_both_ways() {
    both_ways(Format::Dotenv, 40, WITH_COMMENTS, dotenv(), |lines, rule| {
        accepted(Format::Dotenv, lines, rule)
    });
}

#[test]
fn random_ini_goes_both_ways() {
    both_ways(Format::Ini, 40, WITH_COMMENTS, ini(), |lines, rule| accepted(Format::Ini, lines, rule));
}

/// Rules do not concern binary files.
#[test]
fn random_bytes_go_both_ways_as_a_binary_file() {
    let shop = Workshop::new();
    let inputs = (prop::collection::vec(any::<u8>(), 1..200), policy(WITH_COMMENTS));
    TestRunner::new(config(20))
        .run(&inputs, |(bytes, policy)| {
            let rule = policy.furnish(&shop);
            fs::write(shop.file("plain.bin"), &bytes).unwrap();
            let theirs = shop.sops(&["encrypt", "plain.bin"]).stdout;
            let opened = shop.open_as(Format::Binary, &theirs);
            assert_eq!(*opened.get_bytes(&path(r#"["data"]"#)).unwrap().unwrap(), bytes);
            shop.write("file.bin", &Workshop::seal_as(Format::Binary, &bytes, &rule));
            assert_eq!(shop.run(&["decrypt", "file.bin"]).stdout, bytes);
            Ok(())
        })
        .unwrap();
}

/// Bytes that are nearly a file: no panic, whatever is done with them.
#[test]
fn mutated_files_are_read_or_refused() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let identities = shop.identities();
    let files = [
        (Format::Json, "{\"a\": \"x\", \"n\": [1, {\"u_unencrypted\": \"\\u00e9\"}], \"e\": {}}"),
        (Format::Dotenv, "# c\nA=1\nB_unencrypted=a\\nb\n"),
        (Format::Ini, "; c\nk = 1\n[s]\nb_unencrypted = \"\"\"x\ny\"\"\"\n\"q\" : `t`\n"),
        (Format::Binary, "x"),
    ];
    let at = any::<prop::sample::Index>();
    let mutations =
        prop::collection::vec((at, "[\\[\\]{}\"`=:;#\\\\n\\n\\r é\\x00_0a]", 0..3u8, any::<bool>()), 1..5);
    for (format, draft) in files {
        let sealed = Workshop::seal_as(format, draft, &rule).into_bytes();
        TestRunner::new(config(500))
            .run(&mutations, |mutations| {
                let mut bytes = sealed.clone();
                let mut plain = draft.as_bytes().to_vec();
                for (at, with, how, in_draft) in mutations {
                    let text = if in_draft { &mut plain } else { &mut bytes };
                    let at = at.index(text.len());
                    match how {
                        0 => drop(text.splice(at..=at, with.bytes())),
                        1 if text.len() > 1 => drop(text.remove(at)),
                        _ => drop(text.splice(at..at, with.bytes())),
                    }
                }
                if let Ok(file) = Encrypted::parse(format, &bytes)
                    && let Ok(mut opened) = file.open(&identities)
                {
                    for at in ["[\"a\"]", "[\"s\"][\"new\"]", "[\"n\"][1][\"new\"]", "[\"data\"]"] {
                        let _ = opened.set(&at.parse().unwrap(), &secret("y\n\"\"\""));
                        let _ = opened.seal(now(), &[]);
                        let _ = opened.remove(&at.parse().unwrap());
                    }
                    let _ = opened.seal(now(), &[]);
                }
                if let Ok(draft) = Draft::parse(format, &plain) {
                    let sealed = draft.seal(&rule, &provision::sops::Alone, now(), &[]);
                    assert!(
                        !matches!(sealed, Err(SealError::Unsound { .. })),
                        "{sealed:?} {}",
                        String::from_utf8_lossy(&plain)
                    );
                }
                Ok(())
            })
            .unwrap();
    }
}
