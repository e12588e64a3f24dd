//! Which leaves are encrypted: every row against the stock sops, in both directions.

use provision::sops::{Encrypted, Format, Policy};

use super::workshop::Workshop;

/// Keys that patterns are tried on.
const KEYS: &[&str] = &[
    "data",
    "stringData",
    "mydata",
    "metadata",
    "TOKEN",
    "token_1",
    "é",
    "a.b",
    "axb",
    "a-b",
    "x1",
    "_x",
    "[a",
    "a&b",
    "a b",
    "a\\u00a0b",
    "١",
    "K",
    "ſ",
    "name_unencrypted",
    "db_secret",
    "]",
    "<a>",
    "+,-",
    "[:b",
];

/// Rules that both sides follow, each as it stands in a policy.
const RULES: &[&str] = &[
    "unencrypted_suffix: _unencrypted",
    "unencrypted_suffix: ta",
    "encrypted_suffix: _secret",
    "encrypted_suffix: é",
    "encrypted_regex: ^(data|stringData)$",
    "encrypted_regex: data",
    "encrypted_regex: '(?i)^token'",
    "encrypted_regex: '(?i)^[ks]$'",
    "encrypted_regex: '^\\w+$'",
    "encrypted_regex: '\\d'",
    "encrypted_regex: '\\s'",
    "encrypted_regex: '^.$'",
    "encrypted_regex: '\\bb\\b'",
    "encrypted_regex: '^a\\.b$'",
    "encrypted_regex: '^\\Qa.b\\E$'",
    "encrypted_regex: '^[[a&]+'",
    "encrypted_regex: '^[a&&b]+$'",
    "encrypted_regex: '^[]a]'",
    "encrypted_regex: '^[[:alpha:]]+$'",
    "encrypted_regex: '^[^[:alpha:]]'",
    "encrypted_regex: '^\\pL$'",
    "encrypted_regex: '^\\p{Greek}|\\p{Lu}'",
    "encrypted_regex: 'a.?b'",
    "encrypted_regex: '^(?P<x>d)ata$'",
    "encrypted_regex: '^x{0,1}[0-9a-fx]{2}$'",
    "encrypted_regex: '(?U)^m.*a$'",
    "encrypted_regex: '^\\x{e9}$|^\\x64ata'",
    "encrypted_regex: '\\<a\\>|\\<data\\>'",
    "encrypted_regex: '^[\\<\\>a]+$'",
    "encrypted_regex: '^[+--]+$'",
    "encrypted_regex: '^[--a]+$'",
    "encrypted_regex: '^[a-c-e]+$'",
    "encrypted_regex: '^[\\d-x]+$'",
    "encrypted_regex: '^[A-[:b]+$'",
    "encrypted_regex: '^[[:^alpha:]]+$'",
    "encrypted_regex: '(?i)^[[:lower:]]$'",
    "encrypted_regex: '(?i)^[^\\W]$'",
    "encrypted_regex: '\\Bb$'",
    "encrypted_regex: '^(\\w{1,2}){1,2}$'",
    "encrypted_regex: '^(?<x>d)at\\Qa\\E{1}$'",
    "unencrypted_regex: '^(meta|my)'",
    "unencrypted_regex: '\\W'",
    "unencrypted_regex: '^[^a-z]'",
];

fn document() -> String {
    let lines = KEYS.iter().enumerate().map(|(index, key)| match index % 3 {
        0 => format!("\"{key}\": value\n"),
        1 => format!("\"{key}\":\n  k: value\n  l: [5, true]\n"),
        _ => format!("outer{index}:\n  - \"{key}\": value\n"),
    });
    // Encrypted and clear under whatever rule, as a file must hold something encrypted.
    format!("{}db_secret_data:\n  \"é\": value\n", lines.collect::<String>())
}

fn encrypted(text: &str) -> Vec<(String, bool)> {
    let file = Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap();
    let leaves =
        file.leaf_paths().map(|path| (path.to_string(), file.leaf(&path).unwrap().starts_with("ENC[")));
    leaves.collect()
}

#[test]
fn every_rule_selects_what_it_selects_in_the_stock_sops() {
    let shop = Workshop::new();
    let document = document();
    for line in RULES {
        let rule = shop.rule(line);
        let theirs = shop.encrypt(&document);
        let ours = Workshop::seal(&document, &rule);
        assert_eq!(encrypted(&ours), encrypted(&theirs), "{line}");
        let (some, all) =
            (encrypted(&ours).iter().any(|row| row.1), encrypted(&ours).iter().all(|row| row.1));
        assert!(some && !all, "{line} tells nothing apart");
        // Each reads the other's.
        shop.open(&theirs);
        assert_eq!(shop.decrypt(&ours), shop.decrypt(&theirs), "{line}");
    }
}

/// What Go refuses in each. Stock sops stops at such a `path_regex`; a rule of any other kind it drops without a word,
/// and writes the file in the clear.
const REFUSED: &[&str] = &[
    "(unclosed",
    "a**",
    "a{2}{3}",
    "a{1001}",
    "(?x)a",
    "(?=a)",
    "[z-a]",
    "[[:foo:]]",
    "[[:oddsa:]]",
    "[[:Alpha:]]",
    "[a-\\d]",
    "[A-\\w]",
    "[A-\\pL]",
    "\\Z",
    "\\G",
    "\\C",
    "\\E",
    "\\u0041",
    "\\é",
    "(?P<é>a)",
    "(?P<a.b>a)",
    "(?<a[0]>a)",
    "(?R)",
    "(?u)a",
    "^(.{1,40}){1,30}$",
    "(a{2}){501}",
    "((a{10}){10}){11}",
    "((a{2}x)*){501}",
    "(b{500}|a{2}){501}",
];

#[test]
fn what_the_stock_sops_refuses_is_refused() {
    let shop = Workshop::new();
    shop.write("plain.yaml", "a: b\n");
    for pattern in REFUSED {
        let text =
            format!("creation_rules:\n  - path_regex: '{pattern}|plain'\n    age: {}\n", shop.recipient);
        shop.write(".sops.yaml", &text);
        let output = shop.run(&["encrypt", "plain.yaml"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("can not compile regexp"), "{pattern}: {said}");
        let ours = Policy::parse(&text).and_then(|policy| policy.rule_for("plain.yaml").cloned());
        assert!(ours.is_err(), "{pattern}");
    }
}
