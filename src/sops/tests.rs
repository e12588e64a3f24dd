//! The engine against itself; `tests/it/sops*.rs` holds it against the stock binary.

mod edits;

use age::secrecy::ExposeSecret as _;
use jiff::Timestamp;

use super::*;
use crate::secret::Secret;

pub(super) const NOW: i64 = 1_795_000_000;

pub(super) struct Person {
    pub(super) identities: Identities,
    pub(super) recipient: Recipient,
    pub(super) private: String,
}

pub(super) fn person() -> Person {
    let key = age::x25519::Identity::generate();
    let private = key.to_string().expose_secret().to_owned();
    let identities = Identities::parse([("keys.txt", Secret::new(private.clone()))]).unwrap();
    Person { identities, recipient: key.to_public().to_string().parse().unwrap(), private }
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
    let sealed = Draft::parse(Format::Yaml, draft)
        .unwrap()
        .seal(&policy_rule(person, extra), &Alone, now(), &[])
        .unwrap();
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
    let sealed = draft.seal(&policy_rule(&ana, ""), &Alone, now(), &[path(r#"["a"]"#)]).unwrap();
    assert!(sealed.leaf(&path(r#"["a"]"#)).unwrap().ends_with("type:str]"));
    let opened = open(&ana, str::from_utf8(sealed.bytes()).unwrap());
    assert_eq!(get(&opened, r#"["a"]"#).as_deref(), Some("12345"));
    assert!(matches!(draft.set(&path(r#"["c"]"#), secret("x")), Err(DraftError::NoLeaf { .. })));
    assert!(!format!("{draft:?}").contains("12345"));
}

#[test]
fn a_leaf_that_would_stay_clear_is_refused() {
    let ana = person();
    let token = path(r#"["token"]"#);
    let draft = Draft::parse(Format::Yaml, "token: x\ndata: y\n").unwrap();
    let rule = policy_rule(&ana, "encrypted_regex: ^data$");
    let error = draft.seal(&rule, &Alone, now(), std::slice::from_ref(&token)).unwrap_err();
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
    let error = Draft::parse(Format::Yaml, "a: x\n").unwrap().seal(&rule, &Alone, now(), &[]).unwrap_err();
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
    assert!(matches!(draft.seal(&rule, &Alone, now(), &[path(r#"["a"]"#)]), Err(SealError::Empty { .. })));
    assert!(matches!(draft.seal(&rule, &Alone, now(), &[path(r#"["c"]"#)]), Err(SealError::Missing { .. })));
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
        ("a: 1\n---\n{b: 1}\n", "2:1: a document must be a block"),
        ("a: 1\n---\n", "2:1: a document must be a block"),
        ("a: 1\n---\nsops: 1\n", "3:1: the key `sops`"),
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
        let error = Draft::parse(Format::Yaml, text)
            .unwrap()
            .seal(&policy_rule(&ana, ""), &Alone, now(), &[])
            .unwrap_err();
        assert!(matches!(error, SealError::Comment { .. }), "{text}");
        // In the clear it may stay where it is.
        let clear = Draft::parse(
            Format::Yaml,
            format!("s: x\nu_unencrypted:\n  {}", text.trim_end().replace('\n', "\n  ")),
        )
        .unwrap();
        assert!(clear.seal(&policy_rule(&ana, ""), &Alone, now(), &[]).is_ok(), "{text}");
    }
}

#[test]
fn one_value_can_be_sealed_for_a_journal() {
    let ana = person();
    // Even where the rule of the file would leave a key of that name in the clear.
    let rule = policy_rule(&ana, "encrypted_regex: ^data$");
    let sealer = ValueSealer::new(&rule, &Alone, now()).unwrap();
    let sealed = sealer.seal(&secret("glpat-canary"), now()).unwrap();
    assert!(!str::from_utf8(sealed.bytes()).unwrap().contains("canary"));
    let opened = Encrypted::parse(Format::Yaml, sealed.bytes()).unwrap().open(&ana.identities).unwrap();
    assert_eq!(opened.get(&value_path()).unwrap().unwrap().expose(), "glpat-canary");
    assert!(matches!(sealer.seal(&secret(""), now()), Err(SealError::Empty { .. })));
    assert!(matches!(ValueSealer::new(&Rule::own([]), &Alone, now()), Err(SealError::NoRecipient)));
}

#[test]
fn somebody_else_does_not_open_it_and_is_told_who_does() {
    let (ana, ben) = (person(), person());
    let file = Encrypted::parse(Format::Yaml, sealed(&ana, "a: x\n", "").as_bytes()).unwrap();
    let error = file.open(&ben.identities).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no identity opens this file: you are {} (tried keys.txt); it is for {}",
            Reader::from(ben.recipient).short(),
            Reader::from(ana.recipient).short()
        )
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
    assert_eq!(file.other_readers().iter().map(ToString::to_string).collect::<Vec<_>>(), ["pgp ABCD"]);
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

/// sops 3.13 sorts names, sops before 3.10 writes empty lists.
#[test]
fn a_rule_that_is_null_is_none() {
    let ana = person();
    let text = sealed(&ana, "a: x\n", "unencrypted_suffix: _open");
    let with = text.replace("    unencrypted_suffix:", "    encrypted_suffix: null\n    unencrypted_suffix:");
    assert_ne!(with, text);
    assert_eq!(get(&open(&ana, &with), "[\"a\"]").as_deref(), Some("x"));
}

#[test]
fn the_order_of_fields_and_empty_lists_do_not_matter() {
    let ana = person();
    let text = sealed(&ana, "a: x\n", "");
    let (head, rest) = text.split_once("        - recipient: ").unwrap();
    let (recipient, rest) = rest.split_once("\n          enc: |\n").unwrap();
    let (armor, tail) = rest.split_once("    lastmodified").unwrap();
    let lists = "    azure_kv: []\n    hc_vault: []\n    kms: []\n    pgp: []\n    shamir_threshold: 1";
    let other = format!(
        "{head}        - enc: |\n{armor}          recipient: {recipient}\n{lists}\n    lastmodified{tail}"
    );
    let after = changed(&ana, &other, |opened| opened.set(&path(r#"["a"]"#), &secret("y")).unwrap());
    assert_eq!(changed_lines(&other, &after).len(), 2);
    assert_eq!(get(&open(&ana, &after), r#"["a"]"#).as_deref(), Some("y"));
    assert!(open(&ana, &after).file().other_readers().is_empty());
}
