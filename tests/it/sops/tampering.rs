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

/// What else can be done is in `tamper_formats`.
#[test]
fn elements_of_a_list_that_change_places_are_noticed() {
    let shop = Workshop::new();
    let good = Workshop::seal(DOCUMENT, &shop.rule(""));
    assert_eq!(verdicts(&shop, &good), (true, true));
    assert_eq!(verdicts(&shop, &elements_swapped(&good)), (false, false));
}

/// The type of a value is part of nothing that is verified, and neither is where a path is parted.
#[test]
fn what_no_tag_covers_is_read_as_stock_sops_reads_it() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let good = Workshop::seal(DOCUMENT, &rule);
    let number = good.replacen("type:int", "type:str", 1);
    assert_eq!(verdicts(&shop, &number), (true, true));
    assert_eq!(shop.decrypt(&number)["c"], "3");
    assert_eq!(shop.open(&number).get(&path(r#"["c"]"#)).unwrap().unwrap().expose(), "3");
    let nested = Workshop::seal("a:\n  b: one\n", &rule);
    let flat = nested.replacen("a:\n  b:", "\"a:b\":", 1);
    assert_eq!(verdicts(&shop, &flat), (true, true));
}

#[test]
fn under_a_narrow_mac_values_in_the_clear_are_not_covered() {
    let shop = Workshop::new();
    let good = Workshop::seal(DOCUMENT, &shop.rule("mac_only_encrypted: true"));
    for (text, opens) in [
        (good.replacen("x_unencrypted: \"1\"", "x_unencrypted: \"2\"", 1), true),
        (without(&good, "y_unencrypted:"), true),
        (without(&good, "b:"), false),
        (without(&good, "mac_only_encrypted:"), false),
    ] {
        assert_ne!(text, good);
        assert_eq!(verdicts(&shop, &text), (opens, opens), "{text}");
    }
}

/// Stock sops goes by the flat list where there is one, whatever groups stand beside it.
#[test]
fn groups_beside_a_flat_list_of_readers_are_no_readers() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let good = shop.encrypt("a: x\n");
    let eve = recipient();
    let groups = format!(
        "    key_groups:\n        - age:\n            - recipient: {eve}\n              enc: x\n    lastmodified"
    );
    let both = good.replacen("    lastmodified", &groups, 1);
    assert_eq!(verdicts(&shop, &both), (true, true));
    let file = Encrypted::parse(Format::Yaml, both.as_bytes()).unwrap();
    assert!(!file.recipients().contains(&&eve));
    assert_eq!(file.differences(&rule), []);
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

#[test]
fn a_version_is_taken_where_stock_sops_takes_it() {
    let shop = Workshop::new();
    let good = Workshop::seal(DOCUMENT, &shop.rule(""));
    let with = |version: &str| good.replace("version: 3.11.0", &format!("version: \"{version}\""));
    for version in ["3.7.1", "v3.7.1", "3.9.0-rc.1", "3.9.0+b", "0.0.0"] {
        assert_eq!(verdicts(&shop, &with(version)), (true, true), "{version}");
    }
    for version in ["3.7", "03.1.0", "3.1.0.0", "1", "?", "3..0", "3.99999999999999999999.0", ""] {
        assert_eq!(verdicts(&shop, &with(version)), (false, false), "{version}");
    }
}
