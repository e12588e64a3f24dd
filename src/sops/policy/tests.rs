use super::*;

const ANA: &str = "age1h0fy9xvzweel2lyf8rr033e53jv6ayjuumpzxxpvmk2m29mplqjqp5tpms";

fn ben() -> String {
    age::x25519::Identity::generate().to_public().to_string()
}

fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap()
}

fn names(rule: &Rule) -> Vec<&str> {
    rule.recipients().iter().map(Recipient::as_str).collect()
}

fn error(text: &str) -> String {
    match Policy::parse(text) {
        Err(error) => error.to_string(),
        Ok(policy) => policy.rule_for("secrets/qa.sops.yaml").unwrap_err().to_string(),
    }
}

#[test]
fn the_first_rule_that_matches_wins() {
    let ben = ben();
    let policy = policy(&format!(
        "creation_rules:\n  - path_regex: ^secrets/dev/\n    age: {ben}\n  - path_regex: \\.sops\\.yaml$\n    age: {ANA}\n"
    ));
    assert_eq!(names(policy.rule_for("secrets/dev/x.sops.yaml").unwrap()), [&ben]);
    assert_eq!(names(policy.rule_for("secrets/qa.sops.yaml").unwrap()), [ANA]);
    assert_eq!(policy.rule_for("a/qa.sops.yaml").unwrap().position(), Some(Position { line: 4, column: 5 }));
    let none = policy.rule_for("other.yaml").unwrap_err();
    assert_eq!(none.to_string(), "no creation rule matches `other.yaml`");
}

#[test]
fn an_empty_path_regex_matches_everything() {
    assert!(policy(&format!("creation_rules:\n- path_regex: ''\n  age: {ANA}\n")).rule_for("x").is_ok());
}

#[test]
fn recipients_are_a_list_or_a_text_with_commas_each_once() {
    let ben = ben();
    let upper = ANA.to_uppercase();
    for age in [
        format!("{ANA},{ben}"),
        format!("\n    - {ANA}\n    - {ben}\n    - {upper}"),
        format!(">-\n    {ANA},\n    {ben}"),
    ] {
        let policy = policy(&format!("creation_rules:\n- age: {age}\n"));
        assert_eq!(names(policy.rule_for("x").unwrap()), [ANA, &ben], "{age}");
    }
}

#[test]
fn anchors_and_a_list_of_keys_at_the_top_work() {
    let ben = ben();
    let text = format!(
        "keys:\n  - &ana {ANA}\n  - &ben {ben}\n  - &all [*ana, *ben]\ncreation_rules:\n  - path_regex: a\n    age: [*ana]\n  - age: *all\n"
    );
    let policy = policy(&text);
    assert_eq!(names(policy.rule_for("a").unwrap()), [ANA]);
    assert_eq!(names(policy.rule_for("b").unwrap()), [ANA, &ben]);
}

#[test]
fn one_key_group_is_like_flat_keys_and_may_merge_others() {
    let ben = ben();
    let text = format!(
        "groups:\n  - &admins\n    age: [{ANA}]\ncreation_rules:\n  - key_groups:\n    - merge:\n      - *admins\n      age: ['{ben}']\n"
    );
    assert_eq!(names(policy(&text).rule_for("x").unwrap()), [ANA, &ben]);
}

#[test]
fn what_is_not_said_is_as_in_sops() {
    let policy = policy(&format!("stores:\n  yaml:\n    indent: 2\ncreation_rules:\n- age: {ANA}\n"));
    let rule = policy.rule_for("x").unwrap();
    assert_eq!(rule.selection().to_string(), "unencrypted_suffix: _unencrypted");
    assert!(!rule.mac_only_encrypted());
    assert_eq!(Rule::own([ANA.parse().unwrap()]).selection(), rule.selection());
}

#[test]
fn selection_and_mac_scope_are_read() {
    let text =
        format!("creation_rules:\n- age: {ANA}\n  encrypted_regex: ^data$\n  mac_only_encrypted: true\n");
    let policy = policy(&text);
    let rule = policy.rule_for("x").unwrap();
    assert_eq!(rule.selection().to_string(), "encrypted_regex: ^data$");
    assert!(rule.mac_only_encrypted());
}

#[test]
fn an_unknown_key_in_a_rule_is_refused_with_its_place() {
    let text = format!("creation_rules:\n  - path_rexeg: ^secrets/\n    age: {ANA}\n");
    assert_eq!(error(&text), "2:5: unknown key `path_rexeg` (did you mean `path_regex`?)");
    let group = format!("creation_rules:\n  - key_groups:\n    - agee: [{ANA}]\n");
    assert_eq!(error(&group), "3:7: unknown key `agee` (did you mean `age`?)");
    assert_eq!(
        error("creation_rulez: []\n"),
        "1:1: unknown key `creation_rulez` (did you mean `creation_rules`?)"
    );
}

#[test]
fn an_unknown_key_counts_even_in_a_rule_that_does_not_match() {
    let text = format!("creation_rules:\n- path_regex: ^never$\n  colour: red\n- age: {ANA}\n");
    assert_eq!(error(&text), "3:3: unknown key `colour`");
}

#[test]
fn a_path_regex_that_does_not_compile_is_refused() {
    let text = format!("creation_rules:\n- path_regex: (x\n  age: {ANA}\n");
    assert!(error(&text).starts_with("2:15: `path_regex`: `(x` is not a valid regular expression"));
}

#[test]
fn what_is_not_supported_is_named_but_only_where_it_applies() {
    let rows = [
        ("pgp: ABCD", "PGP keys (`pgp`) are not supported yet"),
        ("kms: arn", "AWS KMS keys (`kms`) are not supported yet"),
        ("age: ssh-ed25519 AAAA", "`ssh-ed25519 AAAA` is an SSH key, which is not supported yet"),
        ("encrypted_comment_regex: x", "`encrypted_comment_regex` is not supported yet"),
        (
            "key_groups: [{age: []}, {age: []}]",
            "several key groups (Shamir) (`key_groups`) are not supported yet",
        ),
        (
            "shamir_threshold: 2",
            "thresholds of key groups (Shamir) (`shamir_threshold`) are not supported yet",
        ),
    ];
    for (line, wanted) in rows {
        let text = format!("creation_rules:\n- path_regex: ^secrets/\n  {line}\n- age: {ANA}\n");
        assert!(error(&text).ends_with(wanted), "{}", error(&text));
        assert!(policy(&text).rule_for("other").is_ok(), "{line}");
    }
}

#[test]
fn flat_keys_beside_groups_are_refused_as_sops_ignores_them() {
    let text = format!("creation_rules:\n- age: {ANA}\n  key_groups:\n  - age: [{ANA}]\n");
    assert!(error(&text).ends_with("sops ignores `age` next to `key_groups`: put it into the group"));
}

#[test]
fn a_rule_without_recipients_is_refused() {
    assert!(error("creation_rules:\n- path_regex: .\n  pgp: []\n").ends_with("the rule names no recipient"));
}

#[test]
fn a_merge_that_leads_back_to_itself_ends() {
    let text = "creation_rules:\n- key_groups:\n  - &g\n    merge:\n    - *g\n";
    assert!(error(text).ends_with("`merge` leads to more than 100 groups"));
}

#[test]
fn other_texts_are_no_policy() {
    for text in ["", "[]", "a: 1\n---\nb: 2\n", "keys: []\n"] {
        assert!(matches!(Policy::parse(text), Err(PolicyError::NotAPolicy)), "{text}");
    }
    assert!(matches!(Policy::parse("a: ["), Err(PolicyError::Yaml(_))));
}
