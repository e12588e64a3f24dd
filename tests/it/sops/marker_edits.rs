//! Changes to files whose comments decide what is encrypted, and the formats beside YAML.

use provision::sops::{Alone, Draft, Encrypted, Format, SealError};

use super::workshop::{Workshop, now, path, secret};

const DOCUMENT: &str =
    "# sops:enc\ntoken: one\nurl: https://x\nmore:\n  a: 1\n  b: 2 # sops:enc\nall: # sops:enc\n  c: 3\n";
const RULE: &str = "encrypted_comment_regex: sops:enc";

fn is_encrypted(text: &str, at: &str) -> bool {
    let file = Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap();
    file.leaf(&path(at)).unwrap().starts_with("ENC[")
}

#[test]
fn values_are_set_and_added_as_the_comments_say() {
    let shop = Workshop::new();
    shop.rule(RULE);
    let before = shop.encrypt(DOCUMENT);
    let after = shop.edit(&before, |opened| {
        for at in [r#"["token"]"#, r#"["url"]"#, r#"["more"]["new"]"#, r#"["all"]["new"]"#, r#"["new"]["x"]"#]
        {
            opened.set(&path(at), &secret("changed")).unwrap();
        }
    });
    let encrypted = [r#"["token"]"#, r#"["more"]["b"]"#, r#"["all"]["c"]"#, r#"["all"]["new"]"#];
    let clear = [r#"["url"]"#, r#"["more"]["a"]"#, r#"["more"]["new"]"#, r#"["new"]["x"]"#];
    assert!(encrypted.iter().all(|at| is_encrypted(&after, at)), "{after}");
    assert!(!clear.iter().any(|at| is_encrypted(&after, at)), "{after}");
    let json = shop.decrypt(&after);
    assert_eq!(json["all"]["new"], "changed");
    assert_eq!(json["more"]["new"], "changed");
    shop.sops(&["set", "file.yaml", r#"["token"]"#, r#""by sops""#]);
    let opened = shop.open(&shop.read("file.yaml"));
    assert_eq!(opened.get(&path(r#"["token"]"#)).unwrap().unwrap().expose(), "by sops");
}

#[test]
fn a_value_that_must_be_encrypted_and_has_no_such_comment_is_refused() {
    let shop = Workshop::new();
    let rule = shop.rule(RULE);
    let draft = Draft::parse(Format::Yaml, DOCUMENT).unwrap();
    assert!(draft.seal(&rule, &Alone, now(), &[path(r#"["token"]"#)]).is_ok());
    let error = draft.seal(&rule, &Alone, now(), &[path(r#"["url"]"#)]).unwrap_err();
    assert!(matches!(error, SealError::LeftClear { .. }), "{error}");
}

#[test]
fn what_would_let_a_comment_decide_about_another_value_is_refused() {
    let shop = Workshop::new();
    shop.rule(RULE);
    let mut opened = shop.open(&shop.encrypt(DOCUMENT));
    opened.remove(&path(r#"["token"]"#)).unwrap();
    let error = opened.seal(now(), &[]).unwrap_err();
    assert_eq!(error, SealError::Shifted { path: path(r#"["url"]"#) });
    // Where the next value is encrypted anyway nothing shifts.
    let mut opened = shop.open(&shop.encrypt(&format!("{DOCUMENT}  # sops:enc\n  d: 4\n")));
    opened.remove(&path(r#"["all"]["c"]"#)).unwrap();
    assert!(opened.seal(now(), &[]).is_ok());
}

#[test]
fn a_comment_that_readers_see_in_different_places_is_refused_only_where_it_decides() {
    let rule = Workshop::new().rule(RULE);
    let draft = |comment: &str| format!("# sops:enc\na: x\nb:\n  - # {comment}\n    c: y\n    d: z\n");
    let seal = |text: String| Draft::parse(Format::Yaml, text).unwrap().seal(&rule, &Alone, now(), &[]);
    assert!(seal(draft("note")).is_ok());
    assert_eq!(seal(draft("sops:enc")).unwrap_err(), SealError::Marker { line: 4 });
}

#[test]
fn a_rule_that_matches_the_ciphertext_of_a_comment_is_refused_as_by_stock_sops() {
    let shop = Workshop::new();
    let rule = shop.rule("unencrypted_comment_regex: ENC");
    let draft = "# note\na: x\n";
    let error = Draft::parse(Format::Yaml, draft).unwrap().seal(&rule, &Alone, now(), &[]).unwrap_err();
    assert_eq!(error, SealError::Marker { line: 1 });
    shop.write("plain.yaml", draft);
    assert!(!shop.run(&["encrypt", "plain.yaml"]).status.success());
}

#[test]
fn files_follow_a_policy_that_turns_to_comments_and_back() {
    let shop = Workshop::new();
    let plain = "# note\n\n# sops:enc\ntoken: one\nurl: https://x # note\n";
    shop.rule("");
    let everything = shop.encrypt(plain);
    assert!(!everything.contains("sops:enc"));
    let comments = shop.rule(RULE);
    let rekeyed = shop.open(&everything).rekey(&comments, now(), &[]).unwrap().sealed;
    let text = String::from_utf8(rekeyed.bytes().to_vec()).unwrap();
    assert!(is_encrypted(&text, r#"["token"]"#) && !is_encrypted(&text, r#"["url"]"#), "{text}");
    assert!(text.contains("# sops:enc\n") && text.contains("# note\n"), "{text}");
    assert_eq!(shop.decrypt(&text)["token"], "one");
    let everything = shop.rule("");
    let back = shop.open(&text).rekey(&everything, now(), &[]).unwrap().sealed;
    let text = String::from_utf8(back.bytes().to_vec()).unwrap();
    assert!(is_encrypted(&text, r#"["url"]"#) && !text.contains("sops:enc"), "{text}");
    assert_eq!(shop.decrypt(&text)["url"], "https://x");
}

const DOTENV: &str = "# MARK\nA=1\nB=2\n# foo\n# MARK\n# bar\nC=3\nD=4\n";
const INI: &str = "; MARK\nz = 0\ny = 0\n; MARK\n[s]\na = 1\n; MARK\nb = 2\nc = 3\nd = 4\n# foo\n# MARK\ne = 5\nf = 6\ng = 7\n; MARK\nh = 8\ni = 9\n[t]\na = 1\n; MARK\nb = 2\n; MARK\n[u]\na = 1\n";

/// In INI, stock sops takes the comment above a key to stand behind it.
#[test]
fn dotenv_and_ini_have_the_comments_where_stock_sops_has_them() {
    let shop = Workshop::new();
    for rule in ["encrypted_comment_regex: MARK", "unencrypted_comment_regex: MARK"] {
        let line = rule;
        let rule = shop.rule(rule);
        for (format, name, text) in [(Format::Dotenv, "plain.env", DOTENV), (Format::Ini, "plain.ini", INI)] {
            shop.write(name, text);
            let theirs = shop.sops(&["encrypt", name]).stdout;
            let ours = Workshop::seal_as(format, text, &rule);
            let marks = |text: &str| -> Vec<(String, bool)> {
                let file = Encrypted::parse(format, text.as_bytes()).unwrap();
                file.leaves().map(|leaf| (leaf.path.to_string(), leaf.stored.starts_with("ENC["))).collect()
            };
            assert_eq!(marks(&ours), marks(&theirs), "{line} {name}");
            shop.open_as(format, &theirs);
            shop.write(name, &ours);
            let decrypted = shop.sops(&["decrypt", name]);
            assert_eq!(decrypted.stderr, "", "{line} {name}\n{ours}");
            let at = if format == Format::Ini { r#"["s"]["new"]"# } else { r#"["NEW"]"# };
            let after = shop.edit_as(format, &ours, |opened| opened.set(&path(at), &secret("v")).unwrap());
            shop.write(name, &after);
            assert!(shop.sops(&["decrypt", name]).stdout.to_lowercase().contains("new"));
        }
    }
}
