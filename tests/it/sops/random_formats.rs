//! Documents of the other formats that nobody thought of.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use provision::sops::{Draft, Encrypted, Format, Path, Segment};
use serde_json::Value;

use super::workshop::{Workshop, assert_same_values, now, secret};

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

fn lines(of: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(of, 0..40)
}

fn dotenv() -> impl Strategy<Value = String> {
    let key = prop_oneof!["[A-Z_]{1,6}", "[a-z]{1,3}_unencrypted", "[!-<>-~é][ -<>-~]{0,6}"];
    let line = prop_oneof![
        4 => (key, "[ -~é漢😀\\t\\r]{0,20}").prop_map(|(key, value)| format!("{key}={value}")),
        1 => "#[ -~é]{0,10}",
        1 => Just(String::new()),
    ];
    lines(line).prop_map(|lines| accepted(Format::Dotenv, "always there=x\n", &lines))
}

fn ini() -> impl Strategy<Value = String> {
    let delimiter = prop_oneof![Just("="), Just(" = "), Just(":"), Just("  :  ")];
    let line = prop_oneof![
        6 => ("[a-zA-Z.]{1,6}", delimiter.clone(), "[ -~é漢\\t]{0,20}")
            .prop_map(|(key, between, value)| format!("{key}{between}{value}")),
        1 => ("[a-z]{1,4}_unencrypted", delimiter, "[a-zA-Z0-9 .é]{0,12}")
            .prop_map(|(key, between, value)| format!("{key}{between}{value}")),
        1 => "[ \\t]{0,2}[;#] [a-z]{1,10}",
        1 => "\\[[a-z .]{1,6}\\]",
        1 => Just(String::new()),
    ];
    lines(line).prop_map(|lines| accepted(Format::Ini, "always there = x\n", &lines))
}

/// The lines, but for those that would not be accepted behind those before them.
fn accepted(format: Format, start: &str, lines: &[String]) -> String {
    let rule = provision::sops::Rule::own([super::workshop::recipient()]);
    lines.iter().fold(start.to_owned(), |text, line| {
        let longer = format!("{text}{line}\nlast{}=x\n", text.len());
        let fits = Draft::parse(format, &longer)
            .is_ok_and(|draft| draft.seal(&rule, &provision::sops::Alone, now(), &[]).is_ok());
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

fn both_ways(format: Format, cases: u32, documents: impl Strategy<Value = String>) {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let plain = format!("plain.{}", ending(format));
    let inputs = (documents, any::<prop::sample::Index>(), "[ -~é\\n]{1,12}");
    TestRunner::new(config(cases))
        .run(&inputs, |(text, at, value)| {
            shop.write(&plain, &text);
            let theirs = shop.sops(&["encrypt", &plain]).stdout;
            assert_same_values(&shop.open_as(format, &theirs), &decrypted(&shop, format, &theirs));
            let before = Workshop::seal_as(format, &text, &rule);
            assert_eq!(decrypted(&shop, format, &before), decrypted(&shop, format, &theirs));
            assert_eq!(shop.edit_as(format, &before, |_| ()), before);

            let file = Encrypted::parse(format, before.as_bytes()).unwrap();
            let paths: Vec<Path> = file.leaf_paths().collect();
            let path = paths[at.index(paths.len())].clone();
            let mut beside = path.clone();
            let is_key = matches!(beside.0.pop(), Some(Segment::Key(_)));
            beside.0.push(Segment::Key("brand new".to_owned()));
            let other = paths[at.index((paths.len() - 1).max(1))].clone();
            let after = shop.edit_as(format, &before, |opened| {
                // A value in the clear may be one that the format cannot hold.
                let _ = opened.set(&path, &secret(&value));
                if is_key {
                    opened.set(&beside, &secret(&value)).unwrap();
                }
                if other != path && matches!(other.0.last(), Some(Segment::Key(_))) {
                    opened.remove(&other).unwrap();
                }
            });
            assert_same_values(&shop.open_as(format, &after), &decrypted(&shop, format, &after));
            let file = Encrypted::parse(format, after.as_bytes()).unwrap();
            assert_eq!(file.leaf_paths().any(|at| at == beside), is_key);
            Ok(())
        })
        .unwrap();
}

/// 640 objects, 16 in a file.
#[test]
fn random_json_goes_both_ways() {
    both_ways(Format::Json, 40, json());
}

#[test]
fn random_dotenv_goes_both_ways() {
    both_ways(Format::Dotenv, 40, dotenv());
}

#[test]
fn random_ini_goes_both_ways() {
    both_ways(Format::Ini, 40, ini());
}

#[test]
fn random_bytes_go_both_ways_as_a_binary_file() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    TestRunner::new(config(20))
        .run(&prop::collection::vec(any::<u8>(), 1..200), |bytes| {
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
                        !matches!(sealed, Err(provision::sops::SealError::Unsound { .. })),
                        "{sealed:?} {}",
                        String::from_utf8_lossy(&plain)
                    );
                }
                Ok(())
            })
            .unwrap();
    }
}
