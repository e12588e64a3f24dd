//! The types of YAML scalars: ours are those of the stock binary.

use provision::sops::{Draft, Format, Path};

use super::workshop::{Workshop, now};

/// Scalars that stock sops takes.
const SCALARS: &[&str] = &[
    "yes",
    "Yes",
    "NO",
    "on",
    "off",
    "y",
    "True",
    "TRUE",
    "true",
    "False",
    "~",
    "null",
    "Null",
    "NULL",
    "nUll",
    "0777",
    "0o777",
    "0o18",
    "0x1F",
    "0X1f",
    "-0x1F",
    "0b101",
    "-0b11",
    "0b-1",
    "0b12",
    "08",
    "0",
    "00",
    "1_000",
    "12345_54321",
    "1__0",
    "_1",
    "+5",
    "-0",
    "+",
    "9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "0xFFFFFFFFFFFFFFFFFF",
    "1.0",
    "1.",
    ".5",
    ".5_0",
    "._5",
    ".",
    "..",
    ".e5",
    "1e3",
    "1E3",
    "1e+3",
    "1e",
    "1e400",
    "-1e400",
    "1_0.5",
    "1.5_5",
    "190:20:30",
    "1e-7",
    "1e21",
    "-0.0",
    "123456789.123456789",
    "0.1e-400",
    "0x1p-2",
    "2001-12-14",
    "2001-1-4",
    "2001-13-1",
    "2001-02-29",
    "2001-12-14t21:59:43.10-05:00",
    "2001-12-14T21:59:43.1234567891Z",
    "2001-12-14 21:59:43",
    "2001-12-14 21:59:43.5",
    "2001-12-14 21:59:43 Z",
    "2001-1-1T1:1:1Z",
    "2001-01-01T00:00:00+00:60",
    "2001-01-01T00:00:00-00:00",
    "2001-01-01T24:00:00Z",
    "20010-01-01",
    "!!str 5",
    "!!str",
    "!!int \"5\"",
    "!!int 0x10",
    "!!float 3",
    "!!float 0b11",
    "!!bool \"true\"",
    "!!null \"\"",
    "!!timestamp 2001-01-01",
    "!!timestamp \"2001-01-01\"",
    "!!binary aGVsbG8=",
    "! 5",
    "! '5'",
    "\"5\"",
    "'true'",
    "=",
    "<<",
    "a b",
    "\"\\x41\\u00e9\\t\"",
    "\"\"",
    "''",
    "é",
    "|\n    5\n",
    ">-\n    a\n    b\n",
    "!!int '+7'",
];

/// Scalars that stock sops refuses, and so do we.
const REFUSED: &[&str] = &[
    "9223372036854775808",
    "18446744073709551615",
    "0xFFFFFFFFFFFFFFFF",
    "!!int x",
    "!!bool yes",
    "!!binary \"*\"",
    "2001-01-01T00:00:00+24:00",
    "!!float x",
    "!!null x",
];

fn document(scalars: &[&str], suffix: &str) -> String {
    let lines = scalars
        .iter()
        .enumerate()
        .map(|(index, scalar)| format!("k{index}{suffix}: {}\n", scalar.trim_end()));
    format!("secret: x\n{}", lines.collect::<String>())
}

fn type_of(leaf: &str) -> &str {
    leaf.rsplit_once("type:").map_or(leaf, |(_, kind)| kind)
}

#[test]
fn encrypted_scalars_have_the_types_and_bytes_of_stock_sops() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let text = document(SCALARS, "");
    let theirs = shop.open(&shop.encrypt(&text));
    let ours = shop.open(&Workshop::seal(&text, &rule));
    for (index, scalar) in SCALARS.iter().enumerate() {
        let path = Path::of_keys([format!("k{index}").as_str()]);
        let kind = |opened: &provision::sops::Opened| {
            let leaf = opened.file().leaf(&path).unwrap().to_owned();
            if leaf.is_empty() { None } else { Some(type_of(&leaf).to_owned()) }
        };
        let value = |opened: &provision::sops::Opened| {
            opened.get(&path).unwrap().map(|value| value.expose().to_owned())
        };
        assert_eq!(value(&ours), value(&theirs), "value of {scalar}");
        if value(&ours).is_some() {
            assert_eq!(kind(&ours), kind(&theirs), "type of {scalar}");
        }
    }
}

/// Stock sops hashes its own reading of what we left as it was; a wrong type of one scalar breaks the MAC.
#[test]
fn scalars_in_the_clear_go_into_the_mac_as_in_stock_sops() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let text = document(SCALARS, "_unencrypted");
    let ours = Workshop::seal(&text, &rule);
    assert!(ours.contains("_unencrypted: -0b11\n"));
    shop.write("file.yaml", &ours);
    shop.sops(&["decrypt", "file.yaml"]);
    // And the other way round: what it writes for them opens here. It writes -0.0 as -0, which it then takes for an
    // integer itself.
    let sane: Vec<&str> = SCALARS.iter().copied().filter(|scalar| *scalar != "-0.0").collect();
    let theirs = shop.encrypt(&document(&sane, "_unencrypted"));
    shop.decrypt(&theirs.replace(".inf", "0"));
    shop.open(&theirs);
}

#[test]
fn scalars_that_stock_sops_refuses_are_refused() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    for scalar in REFUSED {
        let text = document(&[scalar], "");
        shop.write("plain.yaml", &text);
        assert!(!shop.run(&["encrypt", "plain.yaml"]).status.success(), "{scalar}");
        let draft = Draft::parse(Format::Yaml, &text);
        assert!(
            draft.is_err(),
            "{scalar}: {:?}",
            draft.map(|draft| draft.seal(&rule, &provision::sops::Alone, now(), &[]).is_ok())
        );
    }
}
