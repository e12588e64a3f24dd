//! Setting, inserting and removing leaves.

use super::*;

#[test]
fn setting_one_value_changes_its_line_and_the_two_of_the_mac() {
    let ana = person();
    let before = sealed(&ana, DRAFT, "");
    for at in [
        r#"["gitlab"]["token"]"#,
        r#"["gitlab"]["list"][1]"#,
        r#"["gitlab"]["steps"][0]["name"]"#,
        r#"["text"]"#,
    ] {
        let after = changed(&ana, &before, |opened| opened.set(&path(at), &secret("glpat-new")).unwrap());
        let lines = changed_lines(&before, &after);
        let names: Vec<_> =
            lines.iter().skip(1).map(|(_, new)| new.trim().split(':').next().unwrap()).collect();
        // The time is the same second as before.
        assert_eq!(names, ["mac"], "{at}");
        assert_eq!(get(&open(&ana, &after), at).as_deref(), Some("glpat-new"));
    }
}

#[test]
fn a_value_in_the_clear_keeps_its_quotes() {
    let ana = person();
    let before = sealed(&ana, "s: x\na_unencrypted: 'it''s'\nb_unencrypted: \"b\"\nc_unencrypted: c\n", "");
    let after = changed(&ana, &before, |opened| {
        opened.set(&path(r#"["a_unencrypted"]"#), &secret("isn't")).unwrap();
        opened.set(&path(r#"["b_unencrypted"]"#), &secret("5")).unwrap();
        opened.set(&path(r#"["c_unencrypted"]"#), &secret("5")).unwrap();
    });
    assert!(
        after.contains("\na_unencrypted: 'isn''t'\nb_unencrypted: \"5\"\nc_unencrypted: \"5\"\n"),
        "{after}"
    );
}

#[test]
fn setting_what_is_there_changes_no_byte() {
    let ana = person();
    let before = sealed(&ana, DRAFT, "");
    assert_eq!(changed(&ana, &before, |_| ()), before);
    let same = changed(&ana, &before, |opened| {
        opened.set(&path(r#"["gitlab"]["token"]"#), &secret("to be set")).unwrap();
    });
    assert_eq!(same, before);
    // The same digits as another type are another value.
    let port = path(r#"["gitlab"]["port"]"#);
    assert_ne!(changed(&ana, &before, |opened| opened.set(&port, &secret("8080")).unwrap()), before);
}

#[test]
fn a_new_key_goes_behind_its_last_sibling_as_far_to_the_right() {
    let ana = person();
    let before = sealed(&ana, "a:\n  b: 1 # x\n\n# about c\nc: 2\n", "unencrypted_regex: ^c$");
    let after = changed(&ana, &before, |opened| {
        opened.set(&path(r#"["a"]["new"]["deep"]"#), &secret("1")).unwrap();
        opened.set(&path(r#"["a"]["new"]["deeper"]["x y"]"#), &secret("2")).unwrap();
        opened.set(&path(r#"["z"]"#), &secret("3")).unwrap();
        opened.set(&path(r#"["zz"]["c"]"#), &secret("clear")).unwrap();
    });
    let shape: Vec<_> = after
        .lines()
        .take_while(|line| *line != "sops:")
        .map(|line| line.split(" ENC").next().unwrap())
        .collect();
    assert_eq!(
        shape[..shape.len()],
        [
            "a:",
            "  b:",
            "  new:",
            "    deep:",
            "    deeper:",
            "      \"x y\":",
            "",
            "#ENC",
            "c: 2",
            "z:",
            "zz:",
            "  c: clear"
        ]
        .map(|line| if line == "#ENC" { shape[7] } else { line })
    );
    let opened = open(&ana, &after);
    assert_eq!(get(&opened, r#"["a"]["new"]["deeper"]["x y"]"#).as_deref(), Some("2"));
}

#[test]
fn keys_are_inserted_into_flow_mappings_and_empty_ones() {
    let ana = person();
    let before = sealed(&ana, "a: {b: 1}\nc: {}\nd:\n- {}\n- e: 5\n", "");
    let after = changed(&ana, &before, |opened| {
        opened.set(&path(r#"["a"]["n"]"#), &secret("1")).unwrap();
        opened.set(&path(r#"["c"]["n"]["m"]"#), &secret("2")).unwrap();
        opened.set(&path(r#"["d"][0]["n"]"#), &secret("3")).unwrap();
        opened.set(&path(r#"["d"][1]["n"]"#), &secret("4")).unwrap();
    });
    let opened = open(&ana, &after);
    for (at, wanted) in [
        (r#"["a"]["n"]"#, "1"),
        (r#"["c"]["n"]["m"]"#, "2"),
        (r#"["d"][0]["n"]"#, "3"),
        (r#"["d"][1]["n"]"#, "4"),
    ] {
        assert_eq!(get(&opened, at).as_deref(), Some(wanted), "{at}");
    }
}

#[test]
fn removing_a_leaf_takes_its_line() {
    let ana = person();
    let before = sealed(
        &ana,
        "a:\n  b: 1\n  c: 2 # two\n  d: 3\nl:\n- x: 1\n  y: 2\nf: {g: 1, h: 2, i: 3}\no:\n  only: 1\n",
        "",
    );
    for (at, gone) in [
        (r#"["a"]["b"]"#, "  b: "),
        (r#"["a"]["d"]"#, "  d: "),
        (r#"["l"][0]["x"]"#, "x: E"),
        (r#"["l"][0]["y"]"#, "  y: "),
        (r#"["f"]["g"]"#, "g: "),
        (r#"["f"]["i"]"#, "i: "),
        (r#"["o"]["only"]"#, "only: "),
    ] {
        let after = changed(&ana, &before, |opened| opened.remove(&path(at)).unwrap());
        assert!(!after.split("\nsops:").next().unwrap().contains(gone), "{at}: {after}");
        assert_eq!(get(&open(&ana, &after), at), None);
    }
    let mut opened = open(&ana, &before);
    assert!(matches!(opened.remove(&path(r#"["nope"]"#)), Err(ChangeError::Missing { .. })));
}

#[test]
fn a_leaf_removed_and_one_added_beside_it() {
    let ana = person();
    let before = sealed(&ana, "a:\n  b: 1\nz: 1\n", "");
    let after = changed(&ana, &before, |opened| {
        opened.remove(&path(r#"["a"]["b"]"#)).unwrap();
        opened.set(&path(r#"["a"]["c"]"#), &secret("2")).unwrap();
    });
    let opened = open(&ana, &after);
    assert_eq!((get(&opened, r#"["a"]["b"]"#), get(&opened, r#"["a"]["c"]"#).as_deref()), (None, Some("2")));
}

#[test]
fn changes_that_cannot_be_are_refused() {
    let ana = person();
    let text = sealed(&ana, "a:\n  b: 1\nl: [1]\n", "");
    let mut opened = open(&ana, &text);
    let mut refused = |at: &str| opened.set(&path(at), &secret("x")).unwrap_err();
    assert!(matches!(refused(r#"["a"]"#), ChangeError::NotALeaf { .. }));
    assert!(matches!(refused(r#"["a"]["b"]["c"]"#), ChangeError::WrongWay { .. }));
    assert!(matches!(refused(r#"["l"][1]"#), ChangeError::NoElement { .. }));
    assert!(matches!(refused(r#"["l"]["x"]"#), ChangeError::WrongWay { .. }));
    assert!(matches!(refused(r#"["sops"]["mac"]"#), ChangeError::NotAPlace { .. }));
    assert!(matches!(refused(r#"["<<"]["x"]"#), ChangeError::MergeKey { .. }));
    assert!(matches!(refused(r#"["new"][0]"#), ChangeError::NoElement { .. }));
    opened.set(&path(r#"["n"]"#), &secret("x")).unwrap();
    assert!(matches!(opened.set(&path(r#"["n"]["m"]"#), &secret("x")), Err(ChangeError::Conflict { .. })));
}

#[test]
fn unknown_fields_and_other_stanzas_survive_an_edit() {
    let ana = person();
    let before = sealed(&ana, "a: x\n", "").replace(
        "    lastmodified",
        "    pgp:   # kept\n        - fp: ABCD\n          enc: |-\n            x\n    x-note: {keep: me}\n    lastmodified",
    );
    let after = changed(&ana, &before, |opened| opened.set(&path(r#"["a"]"#), &secret("y")).unwrap());
    assert_eq!(changed_lines(&before, &after).len(), 2);
    assert!(after.contains("    pgp:   # kept\n") && after.contains("    x-note: {keep: me}\n"));
}

#[test]
fn a_file_of_thousands_of_leaves_is_edited_like_a_small_one() {
    let ana = person();
    let draft: String = (0..5_000).map(|number| format!("key{number}: value {number}\n")).collect();
    let before = sealed(&ana, &draft, "");
    let after = changed(&ana, &before, |opened| opened.set(&path(r#"["key777"]"#), &secret("new")).unwrap());
    assert_eq!(changed_lines(&before, &after).len(), 2);
}

#[test]
fn a_byte_order_mark_takes_no_column_and_stays() {
    let ana = person();
    let before = sealed(&ana, "\u{feff}a: 1\nb: 2\n", "");
    let after = changed(&ana, &before, |opened| {
        opened.remove(&path(r#"["a"]"#)).unwrap();
        opened.set(&path(r#"["c"]"#), &secret("3")).unwrap();
    });
    assert!(after.starts_with("\u{feff}b: ENC["), "{after}");
    assert!(after.contains("\nc: ENC["), "{after}");
    let rule = policy_rule(&ana, "");
    let ini =
        Draft::parse(Format::Ini, "\u{feff}k = 1\nl = 2\n").unwrap().seal(&rule, &Alone, now(), &[]).unwrap();
    let mut opened = Encrypted::parse(Format::Ini, ini.bytes()).unwrap().open(&ana.identities).unwrap();
    opened.remove(&path(r#"["DEFAULT"]["k"]"#)).unwrap();
    assert!(opened.seal(now(), &[]).unwrap().bytes().starts_with("\u{feff}l = ".as_bytes()));
}
