//! Documents that nobody thought of.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use provision::sops::{Draft, Encrypted, Format, Path, Segment};

use super::random_policy::policy;
use super::workshop::{Workshop, assert_same_values, now, secret};

/// A document as a tree; it is written with random styles.
#[derive(Clone, Debug)]
enum Value {
    Scalar(String),
    /// A block scalar: its indicators, and its lines.
    Block(&'static str, Vec<String>),
    List(Vec<Value>, bool),
    Map(Vec<(String, Value)>, bool),
}

/// Texts do not start with white space: go-yaml writes such ones as blocks that it cannot read again. And no -0.0, which
/// it writes as the integer -0.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        "([!-~é漢😀][ -~é漢😀\\n\\t]{0,20})?".prop_map(|text| serde_json::Value::from(text).to_string()),
        "[a-zA-Z0-9 é.@/_-]{0,12}".prop_map(|text| format!("'{}'", text.trim())),
        "[a-zA-Z][a-zA-Z0-9]{0,10}",
        any::<i64>().prop_map(|number| number.to_string()),
        (-1e9..1e9f64)
            .prop_filter("not zero", |number| *number != 0.0)
            .prop_map(|number| format!("{number:?}")),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("2001-12-14".to_owned()),
        Just("0x1F".to_owned()),
    ]
}

/// With text from the first line on, or with none; see [`scalar`].
fn block_scalar() -> impl Strategy<Value = Value> {
    let header = prop::sample::select(vec!["|", "|-", "|+", ">", ">-", ">+"]);
    let more = prop_oneof![Just(String::new()), "[!-~é]{1,4}", " {1,4}[!-~é]{1,4} {0,2}", "[!-~] [!-~]"];
    let lines = (prop::option::of("[!-~é][ -~é]{0,9}"), prop::collection::vec(more, 0..5));
    (header, lines).prop_map(|(header, (first, more))| match first {
        Some(first) => Value::Block(header, [first].into_iter().chain(more).collect()),
        None => Value::Block(header, vec![String::new(); more.len()]),
    })
}

/// Not `sops`, which at the top is the metadata.
fn key() -> impl Strategy<Value = String> {
    let any = prop_oneof!["[a-z]{1,6}", "[a-z]{1,4}_unencrypted", "[a-z .:é]{0,6}"];
    any.prop_filter("of the metadata", |key| key != "sops")
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![6 => scalar().prop_map(Value::Scalar), 1 => block_scalar()].prop_recursive(
        3,
        16,
        4,
        |inner| {
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..4), any::<bool>())
                    .prop_map(|(items, flow)| Value::List(items, flow)),
                (entries(inner), any::<bool>()).prop_map(|(entries, flow)| Value::Map(entries, flow)),
            ]
        },
    )
}

fn entries(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<(String, Value)>> {
    prop::collection::vec((key(), inner), 0..4).prop_map(|mut entries| {
        let mut seen = std::collections::HashSet::new();
        entries.retain(|(key, _)| seen.insert(key.clone()));
        entries
    })
}

fn quoted(key: &str) -> String {
    serde_json::Value::from(key).to_string()
}

fn flow(value: &Value) -> String {
    match value {
        Value::Scalar(text) => text.clone(),
        Value::Block(..) => "no block in brackets".to_owned(),
        Value::List(items, _) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Map(entries, _) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", quoted(key), flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::List(items, false) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                out.push_str(&format!("{pad}-"));
                block(item, indent + 2, out);
            }
        }
        Value::Map(entries, false) if !entries.is_empty() => {
            out.push('\n');
            for (key, value) in entries {
                out.push_str(&format!("{pad}{}:", quoted(key)));
                block(value, indent + 2, out);
            }
        }
        Value::Block(header, lines) => {
            out.push_str(&format!(" {header}\n"));
            for line in lines {
                out.push_str(&if line.is_empty() { "\n".to_owned() } else { format!("{pad}{line}\n") });
            }
        }
        other => out.push_str(&format!(" {}\n", flow(other))),
    }
}

/// A document with a leaf that is always encrypted.
pub(super) fn document() -> impl Strategy<Value = String> {
    entries(value()).prop_map(|entries| {
        let mut text = String::from("\"always there\": x");
        block(&Value::Map(entries, false), 0, &mut text);
        if text.ends_with('x') || text.contains("x {}") { "\"always there\": x\n".to_owned() } else { text }
    })
}

fn config(cases: u32) -> Config {
    Config { cases: super::workshop::cases(cases), failure_persistence: None, ..Config::default() }
}

/// Many documents in one file, each under a key of its own, so that a start of sops serves them all.
fn batch(documents: &[String]) -> String {
    let indented = |text: &String| text.lines().map(|line| format!("  {line}\n")).collect::<String>();
    documents.iter().enumerate().map(|(index, text)| format!("d{index}:\n{}", indented(text))).collect()
}

/// Rules under which `always there` is encrypted, in every format.
pub(super) const RULES: &[&str] = &[
    "",
    "mac_only_encrypted: true",
    "unencrypted_suffix: x\n    mac_only_encrypted: true",
    "encrypted_suffix: \" there\"",
    "encrypted_regex: ' there$|[aeiou]'",
    "unencrypted_regex: '^[m-z]'",
    // No document here has a comment that says this.
    "unencrypted_comment_regex: ^MARK",
];

/// 1,536 documents, 64 in a file.
#[test]
fn random_documents_go_both_ways() {
    let shop = Workshop::new();
    let inputs = (prop::collection::vec(document(), 64), policy(RULES));
    TestRunner::new(config(24))
        .run(&inputs, |(documents, policy)| {
            let rule = policy.furnish(&shop);
            let text = batch(&documents);
            let theirs = shop.encrypt(&text);
            let wanted = shop.decrypt(&theirs);
            assert_same_values(&shop.open(&theirs), &wanted);
            let ours = Workshop::seal(&text, &rule);
            assert_eq!(shop.decrypt(&ours), wanted);
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_edits_change_their_leaves_and_no_other() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let inputs = (
        document(),
        prop::collection::vec((any::<prop::sample::Index>(), "[ -~é\\n]{1,12}", any::<bool>()), 1..5),
    );
    TestRunner::new(config(150))
        .run(&inputs, |(text, changes)| {
            let before = Workshop::seal(&text, &rule);
            let paths: Vec<Path> =
                Encrypted::parse(Format::Yaml, before.as_bytes()).unwrap().leaf_paths().collect();
            let mut wanted = Vec::new();
            let after = shop.edit(&before, |opened| {
                for (at, value, is_new) in &changes {
                    let mut path = paths[at.index(paths.len())].clone();
                    if *is_new && matches!(path.0.last(), Some(Segment::Key(_))) {
                        path.0.pop();
                        path.0.push(Segment::Key(format!("new {}", wanted.len())));
                    }
                    opened.set(&path, &secret(value)).unwrap();
                    wanted.retain(|(known, _)| *known != path);
                    wanted.push((path, value.clone()));
                }
            });
            let opened = shop.open(&after);
            for (path, value) in &wanted {
                assert_eq!(opened.get(path).unwrap().unwrap().expose(), value);
            }
            let (old, new) = (Encrypted::parse(Format::Yaml, before.as_bytes()).unwrap(), opened.file());
            for path in paths.iter().filter(|path| !wanted.iter().any(|(known, _)| known == *path)) {
                assert_eq!(old.leaf(path), new.leaf(path));
            }
            Ok(())
        })
        .unwrap();
}

/// The same as above, once more through stock sops, for a few.
#[test]
fn random_edits_are_read_by_stock_sops() {
    let shop = Workshop::new();
    let at = any::<prop::sample::Index>();
    let inputs = (prop::collection::vec(document(), 6), at, "[ -~é\\n]{1,12}", policy(RULES));
    TestRunner::new(config(12))
        .run(&inputs, |(documents, at, value, policy)| {
            let rule = policy.furnish(&shop);
            let before = Workshop::seal(&batch(&documents), &rule);
            let file = Encrypted::parse(Format::Yaml, before.as_bytes()).unwrap();
            let paths: Vec<Path> = file.leaf_paths().collect();
            let path = paths[at.index(paths.len())].clone();
            let mut beside = path.parent().unwrap();
            beside.0.push(Segment::Key("new".to_owned()));
            let after = shop.edit(&before, |opened| {
                opened.set(&path, &secret(&value)).unwrap();
                if matches!(path.0.last(), Some(Segment::Key(_))) {
                    opened.set(&beside, &secret(&value)).unwrap();
                }
            });
            assert_same_values(&shop.open(&after), &shop.decrypt(&after));
            Ok(())
        })
        .unwrap();
}

/// Bytes that are nearly a file: no panic, neither in reading nor in what comes after it.
#[test]
fn mutated_files_are_read_or_refused() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let good = Workshop::seal("a: x\nb: [1, {c: 2}]\n# note\nd_unencrypted: |\n  text\n", &rule).into_bytes();
    let identities = shop.identities();
    let mutations = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..4);
    TestRunner::new(config(600))
        .run(&mutations, |mutations| {
            let mut bytes = good.clone();
            for (at, byte, how) in mutations {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, byte),
                }
            }
            if let Ok(file) = Encrypted::parse(Format::Yaml, &bytes) {
                let _ = file.differences(&rule);
                if let Ok(mut opened) = file.open(&identities) {
                    let _ = opened.set(&"[\"a\"]".parse().unwrap(), &secret("y"));
                    let _ = opened.seal(now(), &[]);
                }
            }
            if let Ok(text) = str::from_utf8(&bytes) {
                let _ = Draft::parse(Format::Yaml, text);
            }
            Ok(())
        })
        .unwrap();
}

/// Lines of a document in block style with comments anywhere.
fn commented() -> impl Strategy<Value = String> {
    let comment = prop_oneof![3 => Just(""), 1 => Just(" # note")];
    let lines = prop::collection::vec((0..4usize, 0..8u8, comment), 2..12);
    lines.prop_map(|lines| {
        let mut text = String::new();
        for (number, (depth, kind, comment)) in lines.into_iter().enumerate() {
            let pad = "  ".repeat(depth);
            text.push_str(&match kind {
                0 | 1 => format!("{pad}# note\n"),
                2 => "\n".to_owned(),
                3 => format!("{pad}k{number}:{comment}\n"),
                4 => format!("{pad}- x{comment}\n"),
                5 => format!("{pad}- k{number}: x{comment}\n"),
                6 => format!("{pad}k{number}: |{comment}\n{pad}    text\n"),
                _ => format!("{pad}k{number}: x{comment}\n"),
            });
        }
        format!("{text}\nlast: x\n")
    })
}

/// A comment that we accept is one that stock sops decrypts: it warns of one that it finds bound to another place.
#[test]
fn random_comments_are_refused_or_read_by_stock_sops() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    TestRunner::new(config(2))
        .run(&prop::collection::vec(commented(), 60), |texts| {
            let sealed = texts.iter().filter(|text| text.contains('#')).filter_map(|text| {
                let sealed = Draft::parse(Format::Yaml, text)
                    .ok()?
                    .seal(&rule, &provision::sops::Alone, now(), &[])
                    .ok()?;
                Some((text.clone(), String::from_utf8(sealed.bytes().to_vec()).unwrap()))
            });
            for (draft, text) in sealed {
                shop.write("file.yaml", &text);
                let decrypted = shop.sops(&["decrypt", "file.yaml"]);
                prop_assert!(
                    decrypted.stderr.is_empty() && !decrypted.stdout.contains("ENC["),
                    "{}\n{}",
                    draft,
                    decrypted.stdout
                );
            }
            Ok(())
        })
        .unwrap();
}
