//! Texts with everything that means something to one of the formats, in values, keys and comments: whatever is done to
//! such a file is refused, or stock sops reads the values that we read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use provision::sops::{
    Alone, ChangeError, Draft, Encrypted, Format, Path, RekeyError, Rule, SealError, Segment,
};
use serde_json::Value;

use super::workshop::{Workshop, assert_same_values, now, secret};

const ATOMS: &[&str] = &[
    "a", "a", "b c", "1", "true", "null", "~", "é", "😀", "\"", "'", "`", "\"\"\"", "\\", "\\n", "\\\\n",
    "\t", "\r", " ", "  ", "#", ";", " #", " ;", "=", ":", ": ", "- ", "-", "[", "]", "{", "}", ",", "&a ",
    "*a", "!", "!!str ", "|", ">", "%", "@", "?", "<<", "$(x)", "\u{a0}", "\u{85}", "\u{2028}", "\u{2029}",
    "\u{feff}", "\u{7f}", "\u{1}", "ENC[", "sops", "mark",
];

fn text(of: std::ops::Range<usize>) -> impl Strategy<Value = String> + Clone {
    let long = Just("long ".repeat(1000));
    prop_oneof![
        60 => prop::collection::vec(prop::sample::select(ATOMS), of).prop_map(|atoms| atoms.concat()),
        1 => long,
    ]
}

/// A value to set: of several lines, too.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => text(0..5),
        1 => (text(0..3), text(0..3)).prop_map(|(one, two)| format!("{one}\n{two}")),
        1 => (text(0..3), text(0..3)).prop_map(|(one, two)| format!("\n{one}\n{two}\n")),
    ]
}

fn key() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        4 => "[a-z]{1,3}",
        4 => "[a-z]{1,3}_clear",
        2 => text(0..3),
        1 => Just("DEFAULT".to_owned()),
    ]
}

fn comment() -> impl Strategy<Value = String> + Clone {
    prop_oneof![2 => text(0..4), 1 => Just(" mark".to_owned()), 1 => Just(" 0 mark".to_owned())]
}

fn dotenv() -> BoxedStrategy<String> {
    prop_oneof![
        6 => (key(), text(0..5)).prop_map(|(key, value)| format!("{key}={value}\n")),
        2 => comment().prop_map(|text| format!("#{text}\n")),
        1 => Just("\n".to_owned()),
    ]
    .boxed()
}

fn quoted_ini(value: &str, how: u8) -> String {
    match how {
        0 => format!("`{value}`"),
        1 => format!("\"\"\"{value}\"\"\""),
        2 => format!("\"{value}\""),
        3 => format!("'{value}'"),
        4 => format!("\"\"\"{value}\n{value}\"\"\""),
        5 => format!("`{value}\n `"),
        _ => value.to_owned(),
    }
}

fn ini() -> BoxedStrategy<String> {
    let behind = prop_oneof![
        3 => Just(String::new()),
        1 => (prop::sample::select(&[" ;", " #", ";", "\t#"][..]), comment()).prop_map(|(mark, text)| format!("{mark}{text}")),
    ];
    let pad = prop::sample::select(&["", "", "", " ", "\t"][..]);
    let delimiter = prop::sample::select(&["=", " = ", ":", " : ", "\t=\t"][..]);
    let entry = (pad.clone(), key(), 0..20u8, delimiter, text(0..4), 0..16u8, behind.clone());
    prop_oneof![
        8 => entry.prop_map(|(pad, key, key_quotes, delimiter, value, quotes, behind)| {
            let key = if key_quotes < 4 { quoted_ini(&key, key_quotes) } else { key };
            format!("{pad}{key}{delimiter}{}{behind}\n", quoted_ini(&value, quotes))
        }),
        3 => (pad, prop::sample::select(&[";", "#"][..]), comment()).prop_map(|(pad, mark, text)| format!("{pad}{mark}{text}\n")),
        1 => (key(), behind).prop_map(|(name, behind)| format!("[{name}]{behind}\n")),
        1 => Just("\n".to_owned()),
    ]
    .boxed()
}

fn json_text(text: &str) -> String {
    Value::from(text).to_string()
}

/// A scalar as it may stand in a block, with the lines that belong to it further to the right than `indent`.
fn yaml_scalar(text: &str, how: u8, indent: usize) -> String {
    let pad = " ".repeat(indent + 2);
    match how {
        0 | 1 => json_text(text),
        2 | 3 => format!("'{}'", text.replace('\'', "''")),
        4 => format!("|\n{pad}{text}\n{pad}x"),
        5 => format!(">-\n{pad}{text}\n\n{pad}x"),
        6 => format!("[{}, b]", json_text(text)),
        7 => format!("{{k_clear: {}, b: c}}", json_text(text)),
        8 => format!("!!str {}", json_text(text)),
        9 => format!("&anchor{} {}", text.len(), json_text(text)),
        10 => String::new(),
        11 => format!("x\n{pad}{text}"),
        _ => text.to_owned(),
    }
}

fn yaml() -> BoxedStrategy<String> {
    let behind = prop_oneof![
        3 => Just(String::new()),
        1 => (prop::sample::select(&[" #", "  #", "\t#"][..]), comment()).prop_map(|(mark, text)| format!("{mark}{text}")),
    ];
    let line = (0..3usize, key(), 0..12u8, text(0..4), 0..24u8, behind.clone());
    let own = (0..3usize, comment()).prop_map(|(depth, text)| format!("{}#{text}\n", "  ".repeat(depth)));
    prop_oneof![
        6 => line.clone().prop_map(|(depth, key, key_quotes, value, how, behind)| {
            let key = if key_quotes < 4 { json_text(&key) } else { key };
            format!("{}{key}: {}{behind}\n", "  ".repeat(depth), yaml_scalar(&value, how, 2 * depth))
        }),
        2 => (key(), behind.clone()).prop_map(|(key, behind)| format!("{}:{behind}\n  first: x\n", json_text(&key))),
        2 => line.prop_map(|(depth, _, _, value, how, behind)| {
            format!("{}- {}{behind}\n", "  ".repeat(depth), yaml_scalar(&value, how, 2 * depth))
        }),
        1 => (key(), behind).prop_map(|(key, behind)| format!("{}:{behind}\n- first\n", json_text(&key))),
        3 => own,
        1 => Just("\n".to_owned()),
    ]
    .boxed()
}

/// An entry of an object, on lines of its own.
fn json() -> BoxedStrategy<String> {
    let space = prop::sample::select(&["", "", " ", "\t", "\r\n", "\n  "][..]);
    let value = prop_oneof![
        4 => text(0..5).prop_map(|text| json_text(&text)),
        1 => text(1..2).prop_map(|text| json_text(&text).replace('a', "\\u0061").replace('/', "\\/")),
        1 => prop::sample::select(&["1", "-0", "1.50", "1e3", "true", "null", "[]", "{}", "[null]", "12345678901234"][..]).prop_map(str::to_owned),
        1 => (text(0..3), text(0..3)).prop_map(|(one, two)| format!("[{}, {{\"b_clear\": {}}}]", json_text(&one), json_text(&two))),
    ];
    (key(), space.clone(), value, space)
        .prop_map(|(key, before, value, behind)| format!("{}{before}:{behind}{value}", json_text(&key)))
        .boxed()
}

/// A text without sops's own block.
fn brief(text: &str) -> &str {
    let block = ["\nsops:", "\n[sops]", "\nsops_age", "\n\t\"sops\"", "\"sops\""]
        .iter()
        .filter_map(|start| text.find(start))
        .min();
    &text[..block.unwrap_or(text.len())]
}

fn whole(format: Format, chunks: &[String]) -> String {
    match format {
        Format::Json => format!("{{\"always\": \"x\",\n{}}}\n", chunks.join(",\n")).replace(",\n}", "}"),
        Format::Yaml => format!("# mark\nalways: x\n{}", chunks.concat()),
        Format::Ini => format!("; mark\n[a]\nalways = x\n{}", chunks.concat()),
        _ => format!("always=x\n# mark\nfirst=x\n{}", chunks.concat()),
    }
}

/// The document of those chunks that may stand behind those before them, with a last line that a comment can stand above.
fn accepted(format: Format, chunks: &[String], rule: &Rule, crlf: bool, bom: bool) -> String {
    let last = match format {
        Format::Json => "\"last\": \"x\"".to_owned(),
        Format::Yaml => "last: x\n".to_owned(),
        _ => "last=x\n".to_owned(),
    };
    let finished = |chunks: &[String]| {
        let text = whole(format, chunks);
        let text = if crlf && format != Format::Json { text.replace('\n', "\r\n") } else { text };
        if bom { format!("\u{feff}{text}") } else { text }
    };
    let mut taken: Vec<String> = Vec::new();
    let mut text = finished(std::slice::from_ref(&last));
    for chunk in chunks {
        let mut longer = taken.clone();
        longer.push(chunk.clone());
        let mut complete = longer.clone();
        complete.push(last.clone());
        let longer_text = finished(&complete);
        let sealed = Draft::parse(format, &longer_text).map(|draft| draft.seal(rule, &Alone, now(), &[]));
        if let Ok(Err(SealError::Unsound { what })) = &sealed {
            panic!("DRAFT UNSOUND {what}\n{longer_text:?}");
        }
        if matches!(sealed, Ok(Ok(_))) {
            (taken, text) = (longer, longer_text);
        }
    }
    text
}

const RULES: &[&str] = &[
    "unencrypted_suffix: _clear",
    "unencrypted_suffix: _clear\n    mac_only_encrypted: true",
    "encrypted_regex: ^(always|[a-m])",
    "encrypted_regex: ^always$",
    "encrypted_regex: ^(always|.*_clear)$",
    "unencrypted_regex: '^[m-z]'",
    "encrypted_comment_regex: mark",
    "unencrypted_comment_regex: '^ ?0'",
];

fn name(format: Format, stem: &str) -> String {
    let ending = match format {
        Format::Yaml => "yaml",
        Format::Json => "json",
        Format::Dotenv => "env",
        Format::Ini => "ini",
        Format::Binary => "bin",
    };
    format!("{stem}.{ending}")
}

/// What stock sops decrypts a file to, and its warnings; `None` where it cannot.
fn theirs(shop: &Workshop, format: Format, text: &str) -> Option<(Value, String)> {
    let name = name(format, "file");
    shop.write(&name, text);
    let output = shop.run(&["decrypt", "--output-type", "json", &name]);
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then(|| (serde_json::from_slice(&output.stdout).unwrap(), warnings))
}

#[derive(Debug)]
struct Case {
    chunks: Vec<String>,
    from: &'static str,
    to: &'static str,
    sets: Vec<(prop::sample::Index, String, u8)>,
    crlf: bool,
    bom: bool,
}

fn cases(format: Format) -> impl Strategy<Value = Case> {
    let chunk = match format {
        Format::Dotenv => dotenv(),
        Format::Ini => ini(),
        Format::Json => json(),
        _ => yaml(),
    };
    let rules = || {
        let count = if format == Format::Json { 6 } else { RULES.len() };
        prop::sample::select(&RULES[..count])
    };
    let sets = prop::collection::vec((any::<prop::sample::Index>(), value(), 0..6u8), 1..5);
    let chunks = prop::collection::vec(chunk, 0..14);
    let odd = || prop::bool::weighted(0.15);
    (chunks, rules(), rules(), sets, odd(), odd()).prop_map(move |(chunks, from, to, sets, crlf, bom)| {
        // In dotenv it is a part of the first key.
        let bom = bom && !matches!(format, Format::Json | Format::Dotenv);
        Case { chunks, from, to, sets, crlf, bom }
    })
}

/// Stock sops reads the file, and the values that we read.
fn assert_same(shop: &Workshop, format: Format, text: &str, what: &str, quietly: bool) -> Value {
    let (values, warnings) = theirs(shop, format, text).unwrap_or_else(|| {
        let name = name(format, "file");
        let error = String::from_utf8_lossy(&shop.run(&["decrypt", &name]).stderr).into_owned();
        panic!("{what}: stock sops cannot read\n{:?}\n{error}", brief(text))
    });
    let compared =
        catch_unwind(AssertUnwindSafe(|| assert_same_values(&shop.open_as(format, text), &values)));
    assert!(compared.is_ok(), "{what}: other values {values}\n{:?}", brief(text));
    assert!(!quietly || warnings.is_empty(), "{what}: {warnings}\n{:?}", brief(text));
    values
}

fn assert_shown(shop: &Workshop, format: Format, text: &str, values: &Value, what: &str) {
    let Ok(shown) = shop.open_as(format, text).document() else { return };
    let name = name(format, "shown");
    let shown = str::from_utf8(&shown).unwrap();
    shop.write(&name, shown);
    let encrypted = shop.run(&["encrypt", &name]);
    let error = String::from_utf8_lossy(&encrypted.stderr);
    assert!(encrypted.status.success(), "{what}: {error} shown {shown:?}\n{:?}", brief(text));
    let encrypted = String::from_utf8(encrypted.stdout).unwrap();
    if let Some((again, _)) = theirs(shop, format, &encrypted) {
        let comparable = |values: &Value| match format {
            // A line of dotenv has no other way to show a backslash before an n.
            Format::Dotenv => {
                let values = values.as_object().unwrap().iter();
                let shown = |value: &Value| value.as_str().unwrap().replace("\\n", "\n");
                format!("{:?}", values.map(|(key, value)| (key, shown(value))).collect::<Vec<_>>())
            }
            _ => values.to_string(),
        };
        assert_eq!(comparable(&again), comparable(values), "{what}: shown {shown:?}\n{:?}", brief(text));
    }
}

fn edit(shop: &Workshop, format: Format, before: &str, case: &Case, what: &str) -> Option<String> {
    let paths: Vec<Path> = Encrypted::parse(format, before.as_bytes()).unwrap().leaf_paths().collect();
    let mut opened = shop.open_as(format, before);
    let mut wanted: Vec<(Path, Option<&str>)> = Vec::new();
    for (at, value, how) in &case.sets {
        let path = paths[at.index(paths.len())].clone();
        let mut beside = path.clone();
        let is_key = matches!(beside.0.pop(), Some(Segment::Key(_)));
        beside.0.push(Segment::Key(format!("new{how}{}", if how % 2 == 0 { "_clear" } else { "" })));
        let keys: Vec<&str> = path.keys().collect();
        if *how == 0 && is_key && keys.last() != Some(&"always") {
            if opened.remove(&path).is_ok() {
                wanted.retain(|(known, _)| *known != path);
                wanted.push((path, None));
            }
            continue;
        }
        let path = if *how < 3 && is_key { beside } else { path };
        match opened.set(&path, &secret(value)) {
            Ok(()) => {
                wanted.retain(|(known, _)| *known != path);
                wanted.push((path, Some(value)));
            }
            Err(
                ChangeError::NotInFormat { .. } | ChangeError::Aliased { .. } | ChangeError::MergeKey { .. },
            ) => {}
            Err(error) => panic!("{what}: {path} {value:?} {error}\n{:?}", brief(before)),
        }
    }
    let sealed = match opened.seal(now(), &[]) {
        Ok(sealed) => String::from_utf8(sealed.bytes().to_vec()).unwrap(),
        Err(
            SealError::Marker { .. }
            | SealError::Shifted { .. }
            | SealError::Removal { .. }
            | SealError::Change(_)
            | SealError::NothingEncrypted { .. },
        ) => return None,
        Err(error) => panic!("{what}: {error} {wanted:?}\n{:?}", brief(before)),
    };
    let again = shop.open_as(format, &sealed);
    for (path, value) in wanted {
        let has = again.get(&path).unwrap();
        assert_eq!(
            has.as_ref().map(provision::secret::Secret::expose),
            value,
            "{what}: {path}\n{:?}",
            brief(before)
        );
    }
    Some(sealed)
}

fn rekey(shop: &Workshop, format: Format, before: &str, to: &Rule, what: &str) -> Option<String> {
    match shop.open_as(format, before).rekey(to, now(), &[]) {
        Ok(rekeyed) => Some(String::from_utf8(rekeyed.sealed.bytes().to_vec()).unwrap()),
        Err(
            RekeyError::CannotClear { .. }
            | RekeyError::Seal(
                SealError::Comment { .. }
                | SealError::Marker { .. }
                | SealError::NothingEncrypted { .. }
                | SealError::Aliased { .. },
            ),
        ) => None,
        Err(error) => panic!("{what}: {error} {}\n{:?}", to.selection(), brief(before)),
    }
}

fn check(shop: &Workshop, format: Format, case: &Case) {
    let to = shop.rule(case.to);
    let from = shop.rule(case.from);
    let text = accepted(format, &case.chunks, &from, case.crlf, case.bom);
    let ours = Workshop::seal_as(format, &text, &from);
    let values = assert_same(shop, format, &ours, "ours", true);
    assert_shown(shop, format, &ours, &values, "ours");
    let plain = name(format, "plain");
    shop.write(&plain, &text);
    let by_stock = shop.run(&["encrypt", &plain]);
    let by_stock = String::from_utf8(by_stock.stdout).unwrap();
    let is_good = !by_stock.is_empty() && theirs(shop, format, &by_stock).is_some();
    let files = [Some((ours, "ours")), is_good.then_some((by_stock, "theirs"))];
    for (file, what) in files.into_iter().flatten() {
        if what == "theirs" {
            let values = assert_same(shop, format, &file, what, false);
            assert_shown(shop, format, &file, &values, what);
        }
        let edited = edit(shop, format, &file, case, what).unwrap_or(file);
        let values =
            assert_same(shop, format, &edited, &format!("{what} edited {:?}", case.sets), what == "ours");
        assert_shown(shop, format, &edited, &values, &format!("{what} edited"));
        if let Some(rekeyed) = rekey(shop, format, &edited, &to, what) {
            let again = assert_same(
                shop,
                format,
                &rekeyed,
                &format!("{what} rekeyed from {:?}", brief(&edited)),
                what == "ours",
            );
            assert_eq!(again, values, "{what} rekeyed\n{:?}\n{:?}", brief(&edited), brief(&rekeyed));
        }
    }
}

/// The same cases each time, but for those that are asked for (`just random`).
fn seed() -> RngSeed {
    if std::env::var_os("PROVISION_TEST_FACTOR").is_some() { RngSeed::Random } else { RngSeed::Fixed(1) }
}

fn corners(format: Format) {
    let shop = Workshop::new();
    let seed = seed();
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, rng_seed: seed, ..Config::default() });
    let cases = cases(format);
    let mut failures = 0;
    for _ in 0..super::workshop::cases(8) {
        let case = cases.new_tree(&mut runner).unwrap().current();
        if catch_unwind(AssertUnwindSafe(|| check(&shop, format, &case))).is_err() {
            eprintln!("{:?} to {:?} {:?}", case.from, case.to, case.chunks);
            failures += 1;
        }
    }
    assert_eq!(failures, 0);
}

#[test]
fn corners_of_dotenv() {
    corners(Format::Dotenv);
}

#[test]
fn corners_of_ini() {
    corners(Format::Ini);
}

#[test]
fn corners_of_json() {
    corners(Format::Json);
}

#[test]
fn corners_of_yaml() {
    corners(Format::Yaml);
}
