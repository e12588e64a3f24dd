//! What is special about INI: go-ini reads a value together with what stands behind it on its line.

use provision::sops::{Alone, ChangeError, Draft, Format, Path, RekeyError, SealError};
use serde_json::Value;

use super::workshop::{Workshop, now, secret};

/// Comments behind a value, each with a quote that could be taken for that of the value.
const COMMENTS: [&str; 7] = ["", " ; c", "#`", " ; `a`", "\t# \"\"\"", " ;\"q\"", "#'"];

const VALUES: [&str; 18] = [
    "new",
    "",
    "`",
    "`x`",
    "a;b",
    "#",
    "\"\"\"",
    "\"\"\"x\"\"\"",
    " blanks ",
    "two\nlines",
    "two\n`lines`",
    "two\n\"\"\"lines",
    "'q'",
    "\"q\"",
    "\\",
    "\u{a0}x\u{85}",
    "x\r",
    "a\n\"\"\"\n`\nb",
];

fn at(comment: usize, value: usize) -> Path {
    Path::of_keys(["a".to_owned(), format!("K{comment}x{value}")].iter().map(String::as_str))
}

/// A line for each value beside each comment.
fn draft() -> String {
    let mut text = "[a]\nfirst = 1\n".to_owned();
    for (comment, behind) in COMMENTS.iter().enumerate() {
        for value in 0..VALUES.len() {
            text.push_str(&format!("K{comment}x{value} = old{behind}\n"));
        }
    }
    text
}

fn places() -> impl Iterator<Item = (Path, &'static str)> {
    let pairs = (0..COMMENTS.len()).flat_map(|comment| (0..VALUES.len()).map(move |value| (comment, value)));
    pairs.map(|(comment, value)| (at(comment, value), VALUES[value]))
}

/// Values, and the comments behind keys, as stock sops sees them.
fn decrypted(shop: &Workshop, text: &str) -> (Value, String) {
    shop.write("file.ini", text);
    let values = shop.sops(&["decrypt", "--output-type", "json", "file.ini"]).stdout;
    (serde_json::from_str(&values).unwrap(), shop.sops(&["decrypt", "file.ini"]).stdout)
}

/// Every value is what it was set to, or as it was; and no comment is lost.
fn assert_kept(shop: &Workshop, text: &str, is_set: &dyn Fn(&Path) -> bool) {
    let (values, shown) = decrypted(shop, text);
    for (path, value) in places() {
        let wanted = if is_set(&path) { value } else { "old" };
        assert_eq!(values["a"][path.keys().last().unwrap()], wanted, "{path}\n{text}");
    }
    for comment in COMMENTS.iter().map(|comment| comment.trim_matches([' ', '\t', ';', '#'])) {
        let lines = shown.lines().filter(|line| line.trim_start_matches(['#', ';', ' ']) == comment);
        assert!(comment.is_empty() || lines.count() >= VALUES.len(), "{comment}\n{shown}");
    }
}

/// What no quotes hold in the clear beside any comment, and what only the comment is in the way of.
fn assert_refused(refused: &[Path]) {
    let alone = refused.iter().filter(|path| path.keys().last().unwrap().starts_with("K0"));
    let alone: Vec<&str> = alone.map(|path| path.keys().last().unwrap()).collect();
    assert_eq!(alone, ["K0x17"]);
    for value in ["new", "", "'q'", "`"] {
        let index = VALUES.iter().position(|one| *one == value).unwrap();
        let is_of = |path: &&Path| path.keys().last().unwrap().ends_with(&format!("x{index}"));
        let count = refused.iter().filter(is_of).count();
        assert!(count < COMMENTS.len() - 1, "{value:?} {refused:?}");
    }
}

#[test]
fn a_value_in_the_clear_is_set_beside_any_comment_or_refused() {
    let shop = Workshop::new();
    let rule = shop.rule("encrypted_regex: ^first$");
    let mut opened = shop.open_as(Format::Ini, &Workshop::seal_as(Format::Ini, draft(), &rule));
    let mut refused = Vec::new();
    for (path, value) in places() {
        match opened.set(&path, &secret(value)) {
            Ok(()) => {}
            Err(ChangeError::NotInFormat { .. }) => refused.push(path),
            Err(error) => panic!("{error}"),
        }
    }
    let sealed = opened.seal(now(), &[]).unwrap();
    assert_kept(&shop, str::from_utf8(sealed.bytes()).unwrap(), &|path| !refused.contains(path));
    assert_refused(&refused);
}

#[test]
fn a_value_of_a_draft_in_the_clear_is_put_beside_any_comment_or_refused() {
    let shop = Workshop::new();
    let rule = shop.rule("encrypted_regex: ^first$");
    let seal = |path: &Path, value: &str| {
        let mut draft = Draft::parse(Format::Ini, draft()).unwrap();
        draft.set(path, secret(value)).unwrap();
        draft.seal(&rule, &Alone, now(), &[]).map(drop)
    };
    let mut draft = Draft::parse(Format::Ini, draft()).unwrap();
    let mut refused = Vec::new();
    for (path, value) in places() {
        match seal(&path, value) {
            Ok(()) => draft.set(&path, secret(value)).unwrap(),
            Err(SealError::Change(ChangeError::NotInFormat { .. })) => refused.push(path),
            Err(error) => panic!("{path} {value:?}: {error}"),
        }
    }
    let sealed = draft.seal(&rule, &Alone, now(), &[]).unwrap();
    assert_kept(&shop, str::from_utf8(sealed.bytes()).unwrap(), &|path| !refused.contains(path));
    assert_refused(&refused);
}

#[test]
fn a_rekey_puts_a_value_into_the_clear_beside_any_comment_or_refuses() {
    let shop = Workshop::new();
    let clear = shop.rule("encrypted_regex: ^first$");
    let mut refused = Vec::new();
    let rule = shop.rule("encrypted_regex: ^(first|K.*)$");
    let mut text = Workshop::seal_as(Format::Ini, draft(), &rule);
    for (path, value) in places() {
        let after = shop.edit_as(Format::Ini, &text, |opened| opened.set(&path, &secret(value)).unwrap());
        match shop.open_as(Format::Ini, &after).rekey(&clear, now(), &[]) {
            Ok(_) => text = after,
            Err(RekeyError::CannotClear { .. }) => refused.push(path),
            Err(error) => panic!("{path} {value:?}: {error}"),
        }
    }
    let rekeyed = shop.open_as(Format::Ini, &text).rekey(&clear, now(), &[]).unwrap();
    let text = str::from_utf8(rekeyed.sealed.bytes()).unwrap();
    assert_kept(&shop, text, &|path| !refused.contains(path));
    assert_refused(&refused);
}

/// What is shown, stock sops reads as the same values.
#[test]
fn a_document_is_shown_with_its_values_beside_any_comment() {
    let shop = Workshop::new();
    let rule = shop.rule("encrypted_regex: ^(first|K.*)$");
    let sealed = Workshop::seal_as(Format::Ini, draft(), &rule);
    let mut text = sealed;
    let mut refused = Vec::new();
    for (path, value) in places() {
        let after = shop.edit_as(Format::Ini, &text, |opened| opened.set(&path, &secret(value)).unwrap());
        match shop.open_as(Format::Ini, &after).document() {
            Ok(_) => text = after,
            Err(_) => refused.push(path),
        }
    }
    let shown = shop.open_as(Format::Ini, &text).document().unwrap();
    shop.write("plain.ini", str::from_utf8(&shown).unwrap());
    let again = shop.sops(&["encrypt", "plain.ini"]).stdout;
    let (values, _) = decrypted(&shop, &again);
    for (path, value) in places() {
        let wanted = if refused.contains(&path) { "old" } else { value };
        assert_eq!(values["a"][path.keys().last().unwrap()], wanted, "{path}\n{again}");
    }
    assert!(refused.len() < 2 * COMMENTS.len(), "{refused:?}");
}

/// Texts of sops's own section have marks of a comment, too.
#[test]
fn metadata_with_marks_of_a_comment_is_quoted() {
    let shop = Workshop::new();
    let rule = shop.rule("encrypted_regex: '^(first|;|#|`)$'");
    let sealed = Workshop::seal_as(Format::Ini, "[a]\nfirst = 1\nother = 2\n", &rule);
    let (values, _) = decrypted(&shop, &sealed);
    assert_eq!(values["a"]["first"], "1");
    assert!(sealed.contains("other = 2"), "{sealed}");
}

/// It writes the lines of a comment one by one, and crashes on an empty one.
#[test]
fn a_comment_on_which_stock_sops_crashes_is_refused() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    shop.write("plain.ini", "#\n# word\n[a]\nk = 1\n");
    shop.write("file.ini", &shop.sops(&["encrypt", "plain.ini"]).stdout);
    assert!(!shop.run(&["decrypt", "file.ini"]).status.success());
    for (draft, line) in [("#\n# word\n[a]\nk = 1\n", 1), ("[a]\nk = 1\n; ;\n; word\nl = 1\n", 3)] {
        let sealed = Draft::parse(Format::Ini, draft).unwrap().seal(&rule, &Alone, now(), &[]);
        assert!(matches!(sealed, Err(SealError::EmptyLine { line: at }) if at == line), "{draft}");
    }
    for draft in ["# word\n#\n# word\n[a]\nk = 1\n", "#\n[a]\nk = 1\n"] {
        shop.write("file.ini", &Workshop::seal_as(Format::Ini, draft, &rule));
        assert!(shop.sops(&["decrypt", "file.ini"]).stdout.contains("k = 1"));
    }
}

/// As configparser of Python reads it.
#[test]
fn the_section_default_may_stand_anywhere() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let draft = "[a]\nk = 1\n; word\n[DEFAULT]\n; word\nd = 2\n[b]\nl = 3\n";
    shop.write("plain.ini", draft);
    for before in [Workshop::seal_as(Format::Ini, draft, &rule), shop.sops(&["encrypt", "plain.ini"]).stdout]
    {
        let after = shop.edit_as(Format::Ini, &before, |opened| {
            for at in [r#"["DEFAULT"]["d"]"#, r#"["DEFAULT"]["new"]"#, r#"["c"]["new"]"#] {
                opened.set(&at.parse().unwrap(), &secret("9")).unwrap();
            }
            opened.remove(&r#"["b"]["l"]"#.parse().unwrap()).unwrap();
        });
        let (values, shown) = decrypted(&shop, &after);
        assert_eq!(values["DEFAULT"], serde_json::json!({ "d": "9", "new": "9" }), "{after}");
        assert_eq!((&values["a"]["k"], &values["c"]["new"]), (&"1".into(), &"9".into()), "{after}");
        assert_eq!(shown.matches("word").count(), 2, "{shown}");
    }
}
