//! The engine against itself; `tests/it/sops*.rs` holds it against the stock binary.

use age::secrecy::ExposeSecret as _;
use jiff::Timestamp;

use super::*;
use crate::secret::Secret;

pub(super) const NOW: i64 = 1_795_000_000;

pub(super) struct Person {
    pub(super) identities: Identities,
    pub(super) recipient: Recipient,
}

pub(super) fn person() -> Person {
    let key = age::x25519::Identity::generate();
    let text = Secret::new(key.to_string().expose_secret().to_owned());
    let identities = Identities::parse([("keys.txt", text)]).unwrap();
    Person { identities, recipient: key.to_public().to_string().parse().unwrap() }
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn policy_rule(person: &Person, extra: &str) -> Rule {
    let text = format!("creation_rules:\n- age: {}\n  {extra}\n", person.recipient);
    Policy::parse(&text).unwrap().rule_for("x").unwrap().clone()
}

/// A file of this draft, as text.
fn sealed(person: &Person, draft: &str, extra: &str) -> String {
    let sealed =
        Draft::parse(Format::Yaml, draft).unwrap().seal(&policy_rule(person, extra), now(), &[]).unwrap();
    String::from_utf8(sealed.bytes().to_vec()).unwrap()
}

fn open(person: &Person, text: &str) -> Opened {
    Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap().open(&person.identities).unwrap()
}

fn get(opened: &Opened, at: &str) -> Option<String> {
    opened.get(&path(at)).unwrap().map(|value| value.expose().to_owned())
}

/// The file after one change to it.
fn changed(person: &Person, text: &str, change: impl FnOnce(&mut Opened)) -> String {
    let mut opened = open(person, text);
    change(&mut opened);
    let sealed = opened.seal(now(), &[]).unwrap();
    String::from_utf8(sealed.bytes().to_vec()).unwrap()
}

/// Lines that are not the same, the old and the new.
fn changed_lines<'a>(before: &'a str, after: &'a str) -> Vec<(&'a str, &'a str)> {
    assert_eq!(before.lines().count(), after.lines().count());
    before.lines().zip(after.lines()).filter(|(old, new)| old != new).collect()
}

const DRAFT: &str = "\
# Credentials of qa

gitlab:
  host: https://gitlab.com   # where
  \"token\": 'to be set'

  port: 8080
  list: [1, two, {three: 3.0}]
  steps:
  - name: first
    on: true
  - plain
flags_unencrypted:
  debug: off
  level: 0x1F
empty: \"\"
nothing:
text: |
  line one
   line two

last: 2001-12-14
";

#[test]
fn a_draft_becomes_a_file_that_opens_to_the_same_values() {
    let ana = person();
    let opened = open(&ana, &sealed(&ana, DRAFT, ""));
    let rows = [
        (r#"["gitlab"]["host"]"#, Some("https://gitlab.com")),
        (r#"["gitlab"]["port"]"#, Some("8080")),
        (r#"["gitlab"]["list"][0]"#, Some("1")),
        (r#"["gitlab"]["list"][2]["three"]"#, Some("3")),
        (r#"["gitlab"]["steps"][0]["on"]"#, Some("True")),
        (r#"["gitlab"]["steps"][1]"#, Some("plain")),
        (r#"["flags_unencrypted"]["debug"]"#, Some("off")),
        (r#"["flags_unencrypted"]["level"]"#, Some("31")),
        (r#"["empty"]"#, Some("")),
        (r#"["nothing"]"#, None),
        (r#"["text"]"#, Some("line one\n line two\n")),
        (r#"["last"]"#, Some("2001-12-14T00:00:00Z")),
        (r#"["not"]["there"]"#, None),
    ];
    for (at, wanted) in rows {
        assert_eq!(get(&opened, at).as_deref(), wanted, "{at}");
    }
}

#[test]
fn the_layout_of_a_draft_is_kept_and_its_secrets_are_not() {
    let ana = person();
    let text = sealed(&ana, DRAFT, "");
    let (body, block) = text.split_once("sops:\n").unwrap();
    assert!(block.starts_with("    age:\n        - recipient: age1"));
    assert!(block.ends_with("    unencrypted_suffix: _unencrypted\n    version: 3.11.0\n"));
    for kept in [
        "\n\ngitlab:\n",
        "  - name: ENC[",
        "  level: 0x1F\n",
        "empty: \"\"\n",
        "nothing:\n",
        "text: ENC[",
        "\n\nlast: ENC[",
    ] {
        assert!(body.contains(kept), "{kept} in {body}");
    }
    for secret in ["Credentials", "gitlab.com", "to be set", "8080", "line one", "where"] {
        assert!(!body.contains(secret), "{secret}");
    }
}

#[test]
fn values_put_into_a_draft_are_encrypted_as_strings() {
    let ana = person();
    let mut draft = Draft::parse(Format::Yaml, "a: '{{ token }}'\nb: 1\n").unwrap();
    draft.set(&path(r#"["a"]"#), secret("12345")).unwrap();
    let sealed = draft.seal(&policy_rule(&ana, ""), now(), &[path(r#"["a"]"#)]).unwrap();
    assert!(sealed.leaf(&path(r#"["a"]"#)).unwrap().ends_with("type:str]"));
    let opened = open(&ana, str::from_utf8(sealed.bytes()).unwrap());
    assert_eq!(get(&opened, r#"["a"]"#).as_deref(), Some("12345"));
    assert!(matches!(draft.set(&path(r#"["c"]"#), secret("x")), Err(DraftError::NoLeaf { .. })));
    assert!(!format!("{draft:?}").contains("12345"));
}

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
fn a_leaf_that_would_stay_clear_is_refused() {
    let ana = person();
    let token = path(r#"["token"]"#);
    let draft = Draft::parse(Format::Yaml, "token: x\ndata: y\n").unwrap();
    let rule = policy_rule(&ana, "encrypted_regex: ^data$");
    let error = draft.seal(&rule, now(), std::slice::from_ref(&token)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[\"token\"] would be written in the clear: the rule `encrypted_regex: ^data$` does not select it"
    );
    let mut opened = open(&ana, &sealed(&ana, "token: x\ndata: y\n", "encrypted_regex: ^data$"));
    opened.set(&token, &secret("new")).unwrap();
    assert!(matches!(opened.seal(now(), &[token]), Err(SealError::LeftClear { .. })));
}

#[test]
fn a_file_without_anything_encrypted_is_refused() {
    let ana = person();
    let rule = policy_rule(&ana, "encrypted_regex: ^secret$");
    let error = Draft::parse(Format::Yaml, "a: x\n").unwrap().seal(&rule, now(), &[]).unwrap_err();
    assert!(matches!(error, SealError::NothingEncrypted { .. }));
    let mut opened = open(&ana, &sealed(&ana, "a: x\n", ""));
    opened.set(&path(r#"["a"]"#), &secret("")).unwrap();
    assert!(matches!(opened.seal(now(), &[]), Err(SealError::NothingEncrypted { .. })));
}

#[test]
fn an_empty_or_missing_leaf_is_not_encrypted() {
    let ana = person();
    let draft = Draft::parse(Format::Yaml, "a: ''\nb: x\n").unwrap();
    let rule = policy_rule(&ana, "");
    assert!(matches!(draft.seal(&rule, now(), &[path(r#"["a"]"#)]), Err(SealError::Empty { .. })));
    assert!(matches!(draft.seal(&rule, now(), &[path(r#"["c"]"#)]), Err(SealError::Missing { .. })));
}

#[test]
fn drafts_that_sops_would_not_hold_are_refused() {
    let rows = [
        ("sops: {}\n", "the key `sops`"),
        ("a: ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]\n", "encrypted already"),
        ("#ENC[AES256_GCM,data:AA==]\na: 1\n", "encrypted already"),
        ("{a: 1}\n", "in column 1"),
        ("  a: 1\n", "in column 1"),
        ("a: 1\n...\n", "in column 1"),
        ("{}\n", "in column 1"),
        ("- a\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("a: 1\n---\nb: 1\n", "several documents"),
        ("a: &x 1\nb: *x\n", "an alias"),
        ("1: a\n", "`1` is not a text"),
        ("a: !mine x\n", "has a tag"),
        ("a: 9223372036854775808\n", "does not fit into 64 bits"),
        ("a: [\n", "1:"),
    ];
    for (text, wanted) in rows {
        let error = Draft::parse(Format::Yaml, text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn a_comment_that_readers_would_place_differently_is_refused() {
    let ana = person();
    for text in [
        "a:\n- 1 # one\n- 2\n",
        "a:\n  # first\n  - 1\n",
        "a: [1, # one\n 2]\n",
        "a:\n  - 1\n  # end\nb: 1\n",
    ] {
        let error =
            Draft::parse(Format::Yaml, text).unwrap().seal(&policy_rule(&ana, ""), now(), &[]).unwrap_err();
        assert!(matches!(error, SealError::Comment { .. }), "{text}");
        // In the clear it may stay where it is.
        let clear = Draft::parse(
            Format::Yaml,
            format!("s: x\nu_unencrypted:\n  {}", text.trim_end().replace('\n', "\n  ")),
        )
        .unwrap();
        assert!(clear.seal(&policy_rule(&ana, ""), now(), &[]).is_ok(), "{text}");
    }
}

#[test]
fn one_value_can_be_sealed_for_a_journal() {
    let ana = person();
    // Even where the rule of the file would leave a key of that name in the clear.
    let rule = policy_rule(&ana, "encrypted_regex: ^data$");
    let sealed = seal_value(&secret("glpat-canary"), &rule, now()).unwrap();
    assert!(!str::from_utf8(sealed.bytes()).unwrap().contains("canary"));
    let opened = Encrypted::parse(Format::Yaml, sealed.bytes()).unwrap().open(&ana.identities).unwrap();
    assert_eq!(opened.get(&value_path()).unwrap().unwrap().expose(), "glpat-canary");
    assert!(matches!(seal_value(&secret(""), &rule, now()), Err(SealError::Empty { .. })));
    assert!(matches!(seal_value(&secret("x"), &Rule::own([]), now()), Err(SealError::NoRecipient)));
}

#[test]
fn somebody_else_does_not_open_it_and_is_told_who_does() {
    let (ana, ben) = (person(), person());
    let file = Encrypted::parse(Format::Yaml, sealed(&ana, "a: x\n", "").as_bytes()).unwrap();
    let error = file.open(&ben.identities).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no identity opens this file: tried keys.txt; it is for {}", ana.recipient)
    );
}

#[test]
fn a_stanza_that_was_put_in_is_no_reader_of_ours_and_is_reported() {
    let (ana, eve) = (person(), person());
    let text = sealed(&ana, "a: x\n", "");
    let injected = text.replace(
        "    age:\n",
        &format!("    age:\n        - recipient: {}\n          enc: x\n", eve.recipient),
    );
    let file = Encrypted::parse(Format::Yaml, injected.as_bytes()).unwrap();
    assert_eq!(
        file.differences(&Rule::own([ana.recipient.clone()])),
        [Difference::Extra(eve.recipient.clone())]
    );
    // It opens for the honest reader, and not for the one who put himself in.
    assert!(matches!(file.open(&eve.identities), Err(OpenError::Unwrap { .. })));
    assert!(Encrypted::parse(Format::Yaml, injected.as_bytes()).unwrap().open(&ana.identities).is_ok());
}

#[test]
fn differences_from_the_rule_are_listed() {
    let (ana, ben) = (person(), person());
    let text = sealed(&ana, "a: x\n", "")
        .replace("    lastmodified", "    pgp:\n        - fp: ABCD\n          enc: x\n    lastmodified");
    let file = Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap();
    assert_eq!(file.other_readers(), [OtherReader { kind: "pgp".to_owned(), id: "ABCD".to_owned() }]);
    let rule = policy_rule(&ben, "encrypted_regex: a\n  mac_only_encrypted: true");
    let texts: Vec<_> = file.differences(&rule).iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            format!("{} should read the file and cannot", ben.recipient),
            format!("{} can read the file and should not", ana.recipient),
            "pgp ABCD can read the file and should not".to_owned(),
            "the file has `unencrypted_suffix: _unencrypted`, the rule has `encrypted_regex: a`".to_owned(),
            "the file has `mac_only_encrypted: false`, the rule has `mac_only_encrypted: true`".to_owned(),
        ]
    );
    assert!(
        Encrypted::parse(Format::Yaml, sealed(&ana, "a: x\n", "").as_bytes())
            .unwrap()
            .differences(&policy_rule(&ana, ""))
            .is_empty()
    );
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
fn files_that_are_no_sops_files_are_refused() {
    let ana = person();
    let good = sealed(&ana, "a: x\n", "");
    let rows = [
        ("a: 1\n".to_owned(), "not encrypted with sops"),
        ("a: 1\nsops: x\n".to_owned(), "not a mapping"),
        (good.replace("    version: 3.11.0\n", ""), "no `version`"),
        (good.replace("    age:", "    ages:"), "names no key"),
        (good.replace("lastmodified: \"2", "lastmodified: \"x"), "not a time"),
        (good.replace("    version", "    encrypted_regex: x\n    version"), "only one selection rule"),
        (
            good.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: (x"),
            "not a valid regular expression",
        ),
        (format!("{good}---\n- a\n"), "must be a mapping"),
    ];
    for (text, wanted) in rows {
        let error = Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
