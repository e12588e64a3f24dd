//! Anchors, aliases and merge keys. Stock sops writes what an alias stands for in the place of the alias; a file in which
//! one stands was edited by hand, or made by us.

use provision::sops::{Alone, ChangeError, Draft, DraftError, Encrypted, Format, OpenError, Rule, SealError};

use super::workshop::{Workshop, assert_same_values, diff, now, path, secret};

/// Aliases whose values are in the clear, and those in one list, whose elements all have the same path for sops.
const PLAIN: &str = "\
base_unencrypted: &base
  x: one
  n: 0x10
merged_unencrypted:
  <<: *base # behind
  y: two
several_unencrypted:
  <<: [*base, {z: 3}]
copies_unencrypted: [*base, *base]
&key key_unencrypted: &empty
named_unencrypted: *key
none_unencrypted: *empty
hosts:
  - &host a.example.com
  - *host
  - b.example.com
users:
  - {name: &name ana, alias: other}
  - name: *name
alone: &alone secret
tagged: &tagged !!str 12
last: value
";

fn sealed(shop: &Workshop, draft: &str, lines: &str) -> String {
    Workshop::seal(draft, &shop.rule(lines))
}

#[test]
fn stock_sops_reads_our_aliases_as_it_reads_the_documents_own() {
    let shop = Workshop::new();
    let ours = sealed(&shop, PLAIN, "");
    for kept in ["<<: *base # behind", "<<: [*base, {z: 3}]", "[*base, *base]", "- *host", "name: *name"] {
        assert!(ours.contains(kept), "{kept} in {ours}");
    }
    let theirs = shop.encrypt(PLAIN);
    let values = shop.decrypt(&ours);
    assert_eq!(values, shop.decrypt(&theirs));
    assert_eq!(values["merged_unencrypted"]["<<"]["n"], 16);
    assert_same_values(&shop.open(&ours), &values);
    assert_same_values(&shop.open(&theirs), &values);
    for command in [&["rotate", "-i"][..], &["updatekeys", "-y"], &["set"]] {
        shop.write("file.yaml", &ours);
        let mut arguments = [command, &["file.yaml"]].concat();
        if command == ["set"] {
            arguments.extend([r#"["last"]"#, r#""value""#]);
        }
        shop.sops(&arguments);
        assert_same_values(&shop.open(&shop.read("file.yaml")), &values);
    }
}

/// The same file with an alias that a person has put in the place of a copy.
#[test]
fn an_alias_in_a_file_of_stock_sops_is_read_like_the_copy() {
    let shop = Workshop::new();
    shop.rule("");
    let copies =
        shop.encrypt("a_unencrypted: {x: 1, l: [true, ~]}\nb_unencrypted: {x: 1, l: [true, ~]}\nc: s\n");
    let (a, rest) = copies.split_once("b_unencrypted:\n").unwrap();
    let (_, rest) = rest.split_once("c: ").unwrap();
    let aliases = format!("{}b_unencrypted: *a\nc: {rest}", a.replace("a_unencrypted:", "a_unencrypted: &a"));
    assert_eq!(shop.decrypt(&aliases), shop.decrypt(&copies));
    assert_same_values(&shop.open(&aliases), &shop.decrypt(&copies));

    let tampered = aliases.replacen("x: 1", "x: 2", 1);
    shop.write("file.yaml", &tampered);
    assert_eq!(shop.run(&["decrypt", "file.yaml"]).status.code(), Some(51));
    let error = Encrypted::parse(Format::Yaml, tampered.as_bytes()).unwrap().open(&shop.identities());
    assert!(matches!(error, Err(OpenError::MacMismatch)));

    // A ciphertext is bound to its path, so that an alias cannot take it elsewhere.
    let moved = aliases.replacen("c: ENC", "c: &c ENC", 1).replacen("sops:\n", "d: *c\nsops:\n", 1);
    shop.write("file.yaml", &moved);
    assert_eq!(shop.run(&["decrypt", "file.yaml"]).status.code(), Some(25));
    let error = Encrypted::parse(Format::Yaml, moved.as_bytes()).unwrap().open(&shop.identities());
    assert!(matches!(error, Err(OpenError::Value { path: at, .. }) if at == path(r#"["d"]"#)));
}

#[test]
fn an_edit_elsewhere_leaves_anchors_and_aliases() {
    let shop = Workshop::new();
    let before = sealed(&shop, PLAIN, "");
    let after = shop.edit(&before, |opened| {
        opened.set(&path(r#"["last"]"#), &secret("new")).unwrap();
        opened.set(&path(r#"["alone"]"#), &secret("new")).unwrap();
        opened.set(&path(r#"["tagged"]"#), &secret("new")).unwrap();
        opened.set(&path(r#"["hosts"][2]"#), &secret("new")).unwrap();
        opened.set(&path(r#"["merged_unencrypted"]["x"]"#), &secret("its own")).unwrap();
    });
    assert_eq!(diff(&before, &after).len(), 4 * 2 + 1 + 2);
    assert!(after.contains("alone: &alone ENC[") && after.contains("tagged: &tagged ENC["), "{after}");
    let values = shop.decrypt(&after);
    assert_eq!(values["merged_unencrypted"]["x"], "its own");
    assert_eq!(values["merged_unencrypted"]["<<"]["x"], "one");
    assert_same_values(&shop.open(&after), &values);
}

#[test]
fn a_rekey_keeps_anchors_and_aliases() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let before = sealed(&shop, PLAIN, "");
    let values = shop.decrypt(&before);
    let rotated = shop.open(&before).rotate_data_key(&rule, now(), &[]).unwrap();
    let after = String::from_utf8(rotated.sealed.bytes().to_vec()).unwrap();
    assert_eq!(shop.decrypt(&after), values);
    assert!(after.contains("- *host") && after.contains("alone: &alone ENC["), "{after}");

    // Under a rule that encrypts what aliases stand for there would have to be copies.
    let error = shop.open(&before).rekey(&shop.rule("encrypted_regex: ^base"), now(), &[]).unwrap_err();
    assert!(error.to_string().contains(r#"["merged_unencrypted"]["<<"]["x"] is an alias"#), "{error}");
}

#[test]
fn what_an_alias_stands_for_is_not_changed_in_one_place() {
    let shop = Workshop::new();
    let mut opened = shop.open(&sealed(&shop, PLAIN, ""));
    let rows = [
        (r#"["hosts"][0]"#, 15),
        (r#"["hosts"][1]"#, 15),
        (r#"["base_unencrypted"]["x"]"#, 5),
        (r#"["base_unencrypted"]["new"]"#, 5),
        (r#"["merged_unencrypted"]["<<"]["x"]"#, 5),
        (r#"["several_unencrypted"]["<<"][0]["x"]"#, 8),
        (r#"["copies_unencrypted"][1]["x"]"#, 9),
        (r#"["users"][0]["name"]"#, 19),
        (r#"["users"][1]["name"]"#, 19),
        (r#"["none_unencrypted"]"#, 12),
    ];
    for (at, line) in rows {
        let error = opened.set(&path(at), &secret("x")).unwrap_err();
        assert!(matches!(&error, ChangeError::Aliased { alias, .. } if alias.line == line), "{at}: {error}");
        assert!(error.to_string().contains("write out what the alias stands for"), "{error}");
    }
    // An alias stands for the key.
    let error = opened.remove(&path(r#"["key_unencrypted"]"#)).unwrap_err();
    assert!(matches!(error, ChangeError::Aliased { .. }), "{error}");
    let error = opened.set(&path(r#"["users"][0]["<<"]["x"]"#), &secret("x")).unwrap_err();
    assert!(matches!(error, ChangeError::MergeKey { .. }), "{error}");
}

/// Stock sops writes `!!merge <<:` with what was merged below, which nothing shares.
#[test]
fn a_merge_key_of_stock_sops_is_a_key_like_others() {
    let shop = Workshop::new();
    shop.rule("");
    let theirs = shop.encrypt("b: &b\n  x: one # note\nm:\n  <<: *b\n  y: two\n");
    assert!(theirs.contains("!!merge <<:"));
    let after = shop.edit(&theirs, |opened| {
        opened.set(&path(r#"["m"]["<<"]["x"]"#), &secret("new")).unwrap();
        opened.set(&path(r#"["m"]["<<"]["more"]"#), &secret("added")).unwrap();
    });
    let wanted =
        serde_json::json!({"b": {"x": "one"}, "m": {"<<": {"x": "new", "more": "added"}, "y": "two"}});
    assert_eq!(shop.decrypt(&after), wanted);
}

#[test]
fn a_draft_whose_alias_would_need_a_ciphertext_of_its_own_is_refused() {
    let shop = Workshop::new();
    let seal =
        |draft: &str, rule: &Rule| Draft::parse(Format::Yaml, draft).unwrap().seal(rule, &Alone, now(), &[]);
    let rows = [
        ("a: &a x\nb: *a\n", "", r#"["b"]"#),
        ("a: &a x\nb_unencrypted: *a\n", "", r#"["b_unencrypted"]"#),
        ("a_unencrypted: &a x\nb: *a\n", "", r#"["b"]"#),
        ("m: &m {k: x}\nn:\n  <<: *m\n", "", r#"["n"]["<<"]["k"]"#),
        ("&k a: x\nb: *k\n", "", r#"["b"]"#),
        ("# hide\na: &a x\nb: *a\n", "encrypted_comment_regex: hide", r#"["b"]"#),
    ];
    for (draft, lines, at) in rows {
        let error = seal(draft, &shop.rule(lines)).unwrap_err();
        assert!(matches!(&error, SealError::Aliased { path: found, .. } if *found == path(at)), "{error}");
    }
    // Stock sops would show the ciphertext of the comment in the place of the alias.
    let error = seal("l:\n  - &m\n    a: 1\n    # note\n    b: 2\n  - *m\n", &shop.rule("")).unwrap_err();
    assert!(matches!(error, SealError::Comment { line: 4 }), "{error}");
    let mut draft = Draft::parse(Format::Yaml, "l: [&a x, *a]\n").unwrap();
    for at in [r#"["l"][0]"#, r#"["l"][1]"#] {
        let error = draft.set(&path(at), secret("y")).unwrap_err();
        assert!(matches!(error, DraftError::Aliased { .. }), "{error}");
    }
}

#[test]
fn comments_decide_about_a_copy_by_where_the_alias_stands() {
    let shop = Workshop::new();
    let plain = "\
# hide
a:
  x: &x 1
  l: &l [one]
b: {x: *x}
# hide
c: *l
d:
  # hide
  - *x
  - 2
";
    let rule = shop.rule("encrypted_comment_regex: hide");
    let theirs = shop.open(&shop.encrypt(plain));
    let encrypted: Vec<_> =
        theirs.file().leaves().map(|leaf| (leaf.path.clone(), leaf.stored.starts_with("ENC["))).collect();
    // Ours refuses: `["b"]["x"]` is in the clear, and `["a"]["x"]` is not.
    let draft = Draft::parse(Format::Yaml, plain).unwrap();
    let error = draft.seal(&rule, &Alone, now(), &[]).unwrap_err();
    assert!(matches!(&error, SealError::Aliased { path: at, .. } if *at == path(r#"["b"]["x"]"#)), "{error}");
    assert!(
        encrypted.contains(&(path(r#"["a"]["x"]"#), true))
            && encrypted.contains(&(path(r#"["b"]["x"]"#), false))
    );
    // Where all that is shared is in the clear, both agree.
    let clear = plain.replacen("# hide\na:", "a:", 1).replacen("# hide\nc", "c", 1).replace("- *x", "- s");
    let ours = Workshop::seal(&clear, &rule);
    assert_eq!(shop.decrypt(&ours), shop.decrypt(&shop.encrypt(&clear)));
}

#[test]
fn aliases_do_not_make_a_short_file_endless() {
    let levels: String = (1..9)
        .map(|level| format!("l{level}: &l{level} [{}]\n", format!("*l{},", level - 1).repeat(9)))
        .collect();
    let laughs = format!("l0: &l0 x\n{levels}");
    let error = Encrypted::parse(Format::Yaml, laughs.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("aliases up to here stand for more than"), "{error}");

    let chain: String = (1..200).map(|level| format!("l{level}: &l{level} [*l{}]\n", level - 1)).collect();
    let error =
        Encrypted::parse(Format::Yaml, format!("l0: &l0 x\n{chain}").as_bytes()).unwrap_err().to_string();
    assert!(error.contains("nested deeper than 100 levels"), "{error}");

    let error = Encrypted::parse(Format::Yaml, b"a: &a {b: *a}\n").unwrap_err().to_string();
    assert_eq!(error, "1:11: an alias within what it stands for");
}
