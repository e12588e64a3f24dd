//! Edits of files that stock sops, or a person, has written: only what must change changes.

use super::workshop::{Workshop, diff, path, secret};

/// A file as a person keeps it: two-space indent, blank lines, quotes, comments; stock sops would rewrite all of it.
fn by_hand(shop: &Workshop, lines: &str) -> String {
    let rule = shop.rule(lines);
    let draft = "---\n# Credentials of qa\n\ngitlab:\n  host: 'gitlab.com'   # where\n\n  token: \"old\"\n  list: [a, 'b']\nhosts_unencrypted:\n  - \"a.example.com\"   # first\n\n  - b.example.com\nport_unencrypted: 0x1F\n\n# the end\n";
    Workshop::seal(draft, &rule)
}

fn names_of(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| line.split(':').next().unwrap().replace(' ', "")).collect()
}

#[test]
fn one_set_changes_the_line_of_the_leaf_the_time_and_the_mac() {
    let shop = Workshop::new();
    let ours = by_hand(&shop, "");
    // A file of stock sops itself, with its own layout and its own time.
    let theirs = shop.encrypt("# Credentials\ngitlab:\n  host: 'gitlab.com'   # where\n\n  token: \"old\"\nlist:\n  # note\n  - a\n");
    // The same file as a person lays it out by hand: sops does not care.
    let (body, block) = theirs.split_once("sops:\n").unwrap();
    let by_hand = |line: &str| {
        let quoted = if line.contains("token:") {
            line.replace("ENC[", "\"ENC[") + "\"  # quoted"
        } else {
            line.to_owned()
        };
        format!("{}\n", quoted.replace("    ", "  "))
    };
    let body: String = body.lines().map(by_hand).collect();
    let two_spaces = format!("---\n{}sops:\n{block}", body.replace("gitlab:\n", "gitlab:\n\n"));
    shop.decrypt(&two_spaces);
    for before in [theirs, two_spaces] {
        let after =
            shop.edit(&before, |opened| opened.set(&path(r#"["gitlab"]["token"]"#), &secret("new")).unwrap());
        let names = names_of(&diff(&before, &after));
        assert_eq!(names, ["-token", "+token", "-lastmodified", "-mac", "+lastmodified", "+mac"]);
        assert_eq!(shop.decrypt(&after)["gitlab"]["token"], "new");
    }
    let after =
        shop.edit(&ours, |opened| opened.set(&path(r#"["gitlab"]["token"]"#), &secret("new")).unwrap());
    // Made and edited in the same second, so the time is the same.
    assert_eq!(names_of(&diff(&ours, &after)), ["-token", "+token", "-mac", "+mac"]);
    assert_eq!(shop.decrypt(&after)["gitlab"]["token"], "new");
}

#[test]
fn no_change_gives_the_very_bytes() {
    let shop = Workshop::new();
    shop.rule("");
    let before = shop.encrypt("a: x\nb: [1, 2]\n");
    assert_eq!(shop.edit(&before, |_| ()), before);
    assert_eq!(shop.edit(&before, |opened| opened.set(&path(r#"["a"]"#), &secret("x")).unwrap()), before);
}

#[test]
fn inserted_and_removed_leaves_are_read_by_stock_sops() {
    let shop = Workshop::new();
    let before = by_hand(&shop, "");
    let after = shop.edit(&before, |opened| {
        opened.set(&path(r#"["gitlab"]["second"]"#), &secret("2")).unwrap();
        opened.set(&path(r#"["gitlab"]["more"]["deep"]["leaf"]"#), &secret("3")).unwrap();
        opened.set(&path(r#"["gitlab"]["list"][1]"#), &secret("B")).unwrap();
        opened.set(&path(r#"["top level"]"#), &secret("4")).unwrap();
        opened.set(&path(r#"["clear_unencrypted"]["x"]"#), &secret("5")).unwrap();
        opened.remove(&path(r#"["gitlab"]["host"]"#)).unwrap();
    });
    let wanted = serde_json::json!({
        "gitlab": {"token": "old", "list": ["a", "B"], "second": "2", "more": {"deep": {"leaf": "3"}}},
        "hosts_unencrypted": ["a.example.com", "b.example.com"],
        "port_unencrypted": 31,
        "top level": "4",
        "clear_unencrypted": {"x": "5"},
    });
    assert_eq!(shop.decrypt(&after), wanted);
    // Stock sops goes on from there, and so do we.
    shop.sops(&["set", "file.yaml", r#"["gitlab"]["second"]"#, r#""6""#]);
    let again = shop.read("file.yaml");
    assert_eq!(shop.open(&again).get(&path(r#"["gitlab"]["second"]"#)).unwrap().unwrap().expose(), "6");
}

#[test]
fn the_narrow_mac_survives_an_edit() {
    let shop = Workshop::new();
    let before = by_hand(&shop, "mac_only_encrypted: true");
    let after = shop.edit(&before, |opened| {
        opened.set(&path(r#"["gitlab"]["token"]"#), &secret("new")).unwrap();
        opened.set(&path(r#"["port_unencrypted"]"#), &secret("80")).unwrap();
    });
    let json = shop.decrypt(&after);
    assert_eq!((&json["gitlab"]["token"], &json["port_unencrypted"]), (&"new".into(), &"80".into()));
}

#[test]
fn json_in_a_yaml_file_is_edited_in_place() {
    let shop = Workshop::new();
    shop.rule("");
    shop.write("plain.json", r#"{"a": "x", "n": {"b": "y"}}"#);
    let before = shop.sops(&["encrypt", "plain.json"]).stdout;
    let after = shop.edit(&before, |opened| {
        opened.set(&path(r#"["n"]["b"]"#), &secret("new")).unwrap();
        opened.set(&path(r#"["n"]["c"]"#), &secret("more")).unwrap();
    });
    assert_eq!(shop.decrypt(&after), serde_json::json!({"a": "x", "n": {"b": "new", "c": "more"}}));
}

#[test]
fn line_breaks_of_another_system_survive() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let draft =
        "# note\r\na: x # more\r\nb:\r\n  - 1\r\n  - two\r\nc: |\r\n  text\r\n\r\nd_unencrypted: y\r\n";
    let ours = Workshop::seal(draft, &rule);
    let wanted = serde_json::json!({"a": "x", "b": [1, "two"], "c": "text\n", "d_unencrypted": "y"});
    assert_eq!(shop.decrypt(&ours), wanted);
    assert_eq!(ours.matches('\n').count(), ours.matches("\r\n").count());
    assert!(!ours.contains("\r\r"), "{ours}");
    let after = shop.edit(&ours, |opened| {
        opened.set(&path(r#"["a"]"#), &secret("new")).unwrap();
        opened.set(&path(r#"["d_unencrypted"]"#), &secret("z")).unwrap();
        opened.set(&path(r#"["more"]["deep"]"#), &secret("s")).unwrap();
    });
    let values = shop.decrypt(&after);
    assert_eq!((&values["a"], &values["more"]["deep"]), (&"new".into(), &"s".into()));
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
    // Made and edited in the same second, so the time is the same.
    assert_eq!(diff(&ours, &after).len(), 2 + 2 + 2 + 2);
}

#[test]
fn stanzas_of_other_types_and_unknown_fields_survive_and_stock_sops_still_reads() {
    let shop = Workshop::new();
    shop.rule("");
    let theirs = shop.encrypt("a: x\n");
    let pgp = "    pgp:\n        - created_at: \"2026-01-01T00:00:00Z\"\n          enc: |-\n            -----BEGIN PGP MESSAGE-----\n            x\n          fp: ABCD\n    x-note: [1,  2]\n";
    let before = theirs.replacen("    unencrypted_suffix", &format!("{pgp}    unencrypted_suffix"), 1);
    let after = shop.edit(&before, |opened| opened.set(&path(r#"["a"]"#), &secret("new")).unwrap());
    assert!(after.contains(pgp));
    assert_eq!(
        names_of(&diff(&before, &after)),
        ["-a", "+a", "-lastmodified", "-mac", "+lastmodified", "+mac"]
    );
    assert_eq!(shop.decrypt(&after)["a"], "new");
}
