//! Files that somebody without a key has changed: the same verdict as stock sops, or a stricter one.

use provision::sops::{Difference, Encrypted, Format, OpenError, Rule};

use super::workshop::{Workshop, now, path, recipient, secret};

const DOCUMENT: &str =
    "a: one\nb: two\nc: 3\nx_unencrypted: \"1\"\ny_unencrypted: \"23\"\nlist:\n  - p\n  - q\n";

/// Who opens it: stock sops, and we.
fn verdicts(shop: &Workshop, text: &str) -> (bool, bool) {
    shop.write("file.yaml", text);
    let theirs = shop.run(&["decrypt", "file.yaml"]).status.success();
    let ours = Encrypted::parse(Format::Yaml, text.as_bytes())
        .is_ok_and(|file| file.open(&shop.identities()).is_ok());
    (theirs, ours)
}

fn line<'t>(text: &'t str, start: &str) -> &'t str {
    text.lines().find(|line| line.trim_start().starts_with(start)).unwrap()
}

fn without(text: &str, start: &str) -> String {
    text.replace(&format!("{}\n", line(text, start)), "")
}

/// Exchanges two lines' values.
fn swapped(text: &str, one: &str, two: &str) -> String {
    let (first, second) = (line(text, one), line(text, two));
    let value = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    text.replace(first, &format!("{one} {}", value(second)))
        .replace(second, &format!("{two} {}", value(first)))
}

fn elements_swapped(text: &str) -> String {
    let elements: Vec<&str> = text.lines().filter(|line| line.starts_with("  - ENC")).collect();
    text.replace(&elements.join("\n"), &format!("{}\n{}", elements[1], elements[0]))
}

#[test]
fn what_stock_sops_detects_we_detect() {
    let shop = Workshop::new();
    let good = Workshop::seal(DOCUMENT, &shop.rule(""));
    assert_eq!(verdicts(&shop, &good), (true, true));
    let rows = [
        ("clear value", good.replace("x_unencrypted: \"1\"", "x_unencrypted: \"2\"")),
        ("clear value added", good.replace("x_unencrypted", "w_unencrypted: z\nx_unencrypted")),
        ("last modified", good.replace("08:00:00Z", "08:00:01Z")),
        ("secret dropped", without(&good, "a:")),
        ("secrets swapped", swapped(&good, "a:", "b:")),
        ("list elements swapped", elements_swapped(&good)),
        ("MAC dropped", without(&good, "mac:")),
        (
            "MAC of another file",
            good.replace(
                line(&good, "mac:"),
                &format!("    mac: {}", good.lines().next().unwrap().split_once(' ').unwrap().1),
            ),
        ),
        ("rule", good.replace("unencrypted_suffix: _unencrypted", "unencrypted_suffix: a")),
        ("secret in the clear", good.replace(line(&good, "a:"), "a: hello")),
        ("type", good.replacen("type:str]", "type:int]", 1)),
        ("not a version", good.replace("version: 3.11.0", "version: ''")),
        ("time that is none", good.replace("2026-11-21T08:00:00Z", "yesterday")),
        ("key renamed", good.replace("\nb: ENC", "\nbb: ENC")),
    ];
    for (what, text) in rows {
        assert_ne!(text, good, "{what}");
        assert_eq!(verdicts(&shop, &text), (false, false), "{what}");
    }
}

#[test]
fn what_the_format_does_not_protect_opens_here_too() {
    let shop = Workshop::new();
    let good = Workshop::seal(DOCUMENT, &shop.rule(""));
    let rows = [
        ("clear key renamed", good.replace("x_unencrypted:", "z_unencrypted:")),
        (
            "bytes moved between clear values",
            good.replace("\"1\"\ny_unencrypted: \"23\"", "\"12\"\ny_unencrypted: \"3\""),
        ),
        ("empty values", good.replace("x_unencrypted:", "n: \"\"\nm: null\no: []\nx_unencrypted:")),
        ("comment", good.replace("x_unencrypted:", "# hello\nx_unencrypted:")),
        ("alias of nothing", good.replace("x_unencrypted:", "w: &v \"\"\nv: *v\nx_unencrypted:")),
        ("version", good.replace("version: 3.11.0", "version: 3.9.0")),
        ("offset of the time", good.replace("08:00:00Z", "08:00:00+00:00")),
        ("time without quotes", good.replace("\"2026-11-21T08:00:00Z\"", "2026-11-21T08:00:00Z")),
        ("fraction of a second", good.replace("08:00:00Z", "08:00:00.7Z")),
    ];
    for (what, text) in rows {
        assert_ne!(text, good, "{what}");
        assert_eq!(verdicts(&shop, &text), (true, true), "{what}");
    }
}

#[test]
fn where_we_are_stricter() {
    let shop = Workshop::new();
    let good = Workshop::seal(DOCUMENT, &shop.rule(""));
    // Stock sops writes none of these.
    let rows = [("text behind a ciphertext", good.replacen("type:str]", "type:str] and more", 1))];
    for (what, text) in &rows {
        assert_eq!(verdicts(&shop, text), (true, false), "{what}");
    }
    // An anchor that nothing refers to is harmless.
    let anchor = good.replace("x_unencrypted: \"1\"", "x_unencrypted: &v \"1\"");
    assert_ne!(anchor, good);
    assert_eq!(verdicts(&shop, &anchor), (true, true));
}

#[test]
fn a_missing_mac_and_a_wrong_one_have_errors_of_their_own() {
    let shop = Workshop::new();
    let good = Workshop::seal(DOCUMENT, &shop.rule(""));
    let error = |text: &str| {
        Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap().open(&shop.identities()).unwrap_err()
    };
    assert_eq!(error(&without(&good, "mac:")), OpenError::NoMac);
    assert_eq!(error(&good.replace("\"1\"", "\"2\"")), OpenError::MacMismatch);
    assert!(matches!(error(&good.replace("08:00:00Z", "08:00:01Z")), OpenError::Mac { .. }));
    assert!(matches!(error(&swapped(&good, "a:", "b:")), OpenError::Value { .. }));
}

/// An attacker with write access adds himself to the file. `sops rotate` by an honest user would hand him the new key;
/// here the file is measured by the rule, and an edit never wraps anything for him.
#[test]
fn a_recipient_that_was_put_in_is_reported_and_gets_nothing() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let eve = recipient();
    let good = shop.encrypt("a: x\n");
    let injected =
        good.replacen("    age:\n", &format!("    age:\n        - recipient: {eve}\n          enc: x\n"), 1);
    assert_eq!(verdicts(&shop, &injected), (true, true));
    let opened = shop.open(&injected);
    assert_eq!(opened.file().differences(&rule), [Difference::Extra(eve.clone())]);
    let after = shop.edit(&injected, |opened| opened.set(&path(r#"["a"]"#), &secret("y")).unwrap());
    assert!(after.contains(&format!("recipient: {eve}\n          enc: x\n")));
    // Stock sops wraps the new data key for her.
    shop.write("file.yaml", &injected);
    shop.sops(&["rotate", "-i", "file.yaml"]);
    assert!(!shop.read("file.yaml").contains("enc: x\n"));
}

#[test]
fn an_injected_copy_of_our_own_key_does_not_lock_us_out() {
    let shop = Workshop::new();
    let good = Workshop::seal("a: x\n", &Rule::own([shop.recipient.clone()]));
    let injected = good.replacen(
        "    age:\n",
        &format!("    age:\n        - recipient: {}\n          enc: x\n", shop.recipient),
        1,
    );
    assert_eq!(verdicts(&shop, &injected), (true, true));
    let sealed = shop.open(&injected).seal(now(), &[]).unwrap();
    assert_eq!(sealed.bytes(), injected.as_bytes());
}
