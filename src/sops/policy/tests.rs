use super::super::ServiceKey;
use super::*;

const SSH: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKysRXLSoC4oeoQrsLeX0v9nI4iI86Y5zarU+ZVbcz7f";
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
fn recipients_are_a_list_or_a_text_with_commas() {
    let ben = ben();
    for age in
        [format!("{ANA},{ben}"), format!("\n    - {ANA}\n    - {ben}"), format!(">-\n    {ANA},\n    {ben}")]
    {
        let policy = policy(&format!("creation_rules:\n- age: {age}\n"));
        assert_eq!(names(policy.rule_for("x").unwrap()), [ANA, &ben], "{age}");
    }
}

#[test]
fn a_merge_key_is_named_wherever_sops_would_follow_it() {
    let base = format!("base: &base\n  age: {ANA}\n");
    let named =
        "the merge key `<<` is not followed here, only aliases of values are: write out what it brings in";
    for (rules, position) in [
        ("creation_rules:\n- <<: *base\n", "4:3"),
        ("creation_rules:\n- path_regex: a\n  <<: [*base]\n", "5:3"),
        ("creation_rules:\n- !!merge <<: *base\n", "4:11"),
        ("creation_rules:\n- key_groups:\n  - <<: *base\n", "5:5"),
        ("<<: *base\n", "3:1"),
    ] {
        assert_eq!(error(&format!("{base}{rules}")), format!("{position}: {named}"), "{rules}");
    }
    // In quotes it is a key like any other, which sops ignores.
    let quoted = error(&format!("{base}creation_rules:\n- '<<': *base\n"));
    assert_eq!(quoted, "4:3: unknown key `<<`");
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
fn keys_of_every_type_are_read_from_texts_and_mappings() {
    let rows = [
        ("pgp: AB CD,EF", "pgp ABCD; pgp EF"),
        ("kms: arn+role", "kms arn+role"),
        ("age: age1pq1xx", "age age1pq1xx"),
        ("key_groups: [{kms: [{arn: a, role: r, context: {x: y, b: c}}]}]", "kms a+r|b:c,x:y"),
        ("gcp_kms: [g]", "gcp_kms g"),
        ("key_groups: [{gcp_kms: [{resource_id: g}], hckms: [{key_id: h}]}]", "gcp_kms g; hckms h"),
        ("azure_keyvault: https://v/keys/k/1", "azure_kv https://v/keys/k/1"),
        ("key_groups: [{azure_keyvault: [{vaultUrl: https://v, key: k}]}]", "azure_kv https://v/keys/k"),
        ("hc_vault_transit_uri: [https://v/v1/e/keys/k]", "hc_vault https://v/v1/e/keys/k"),
        ("key_groups: [{hc_vault: ['https://v/v1/a/b/keys/k']}]", "hc_vault https://v/v1/a/b/keys/k"),
    ];
    for (line, wanted) in rows {
        let policy = policy(&format!("creation_rules:\n- {line}\n"));
        let others = policy.rule_for("x").unwrap().other_readers();
        assert_eq!(others.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), wanted);
    }
}

#[test]
fn groups_have_a_threshold_which_is_all_of_them_where_nothing_is_said() {
    let ben = ben();
    let groups = format!("key_groups: [{{age: [{ANA}], pgp: [AB]}}, {{age: ['{ben}']}}, {{age: [{ANA}]}}]");
    for (line, threshold) in
        [("shamir_threshold: 2", 2), ("shamir_threshold: 0", 3), ("mac_only_encrypted: false", 3)]
    {
        let policy = policy(&format!("creation_rules:\n- {groups}\n  {line}\n"));
        let rule = policy.rule_for("x").unwrap();
        assert_eq!((rule.groups().len(), rule.threshold()), (3, threshold));
        assert_eq!((names(rule), rule.other_readers().len()), (vec![ANA, &ben], 1));
        assert_eq!(rule.groups()[0].readers().len(), 2);
    }
    for threshold in ["1", "4", "-1", "x"] {
        let text = format!("creation_rules:\n- {groups}\n  shamir_threshold: {threshold}\n");
        assert!(
            error(&text).contains("must be a number from 2 to 3, the number of groups"),
            "{}",
            error(&text)
        );
    }
    let empty = format!("creation_rules:\n- key_groups:\n  - age: [{ANA}]\n  - age: []\n");
    assert_eq!(error(&empty), "4:5: the rule names no recipient");
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
    assert!(error(text).ends_with("an alias within what it stands for"));
}

#[test]
fn merges_of_merges_are_bounded() {
    let inner = format!("{{merge: [&a {{age: [{ANA}]}}{}]}}", ", *a".repeat(14));
    let text = format!("creation_rules:\n- key_groups:\n  - merge: [&b {inner}{}]\n", ", *b".repeat(14));
    assert!(error(&text).ends_with("`merge` leads to more than 100 groups"));
}

#[test]
fn other_texts_are_no_policy() {
    for text in ["", "[]", "a: 1\n---\nb: 2\n", "keys: []\n"] {
        assert!(matches!(Policy::parse(text), Err(PolicyError::NotAPolicy)), "{text}");
    }
    assert!(matches!(Policy::parse("a: ["), Err(PolicyError::Yaml(_))));
}

#[test]
fn a_slip_in_a_rule_is_refused_with_its_place() {
    let rows = [
        (
            format!("age: [{ANA}, {}]", ANA.to_uppercase()),
            format!("2:73: `{ANA}` is already in this list, at line 2"),
        ),
        ("pgp: AB CD,abcd".to_owned(), "2:8: `abcd` is already in this list, at line 2".to_owned()),
        (
            "azure_keyvault: k".to_owned(),
            "2:19: `k` is not a key for `azure_keyvault`: it looks like https://NAME.vault.azure.net/keys/KEY/VERSION"
                .to_owned(),
        ),
        (
            "key_groups: [{hc_vault: [v/transit/keys/k]}]".to_owned(),
            "2:28: `v/transit/keys/k` is not a key for `hc_vault`: it looks like https://HOST/v1/ENGINE/keys/KEY"
                .to_owned(),
        ),
        ("key_groups: [{kms: [{role: a}]}]".to_owned(), "2:23: an entry of `kms` needs `arn`".to_owned()),
        (
            "key_groups: [{gcp_kms: [{resourceid: a}]}]".to_owned(),
            "2:28: unknown key `resourceid` (did you mean `resource_id`?)".to_owned(),
        ),
        (
            format!("age: {ANA}\n  shamir_threshold: 2"),
            "3:21: `shamir_threshold` must be 0 or 1 where there is one group of keys".to_owned(),
        ),
        (format!("age: {ANA}\n  encrypted_regex: [a]"), "3:20: `encrypted_regex` must be a text".to_owned()),
        (
            format!("pgp: AB\n  key_groups: [{{age: [{ANA}]}}]"),
            "2:3: sops ignores `pgp` next to `key_groups`: put it into the group".to_owned(),
        ),
    ];
    for (line, wanted) in rows {
        assert_eq!(error(&format!("creation_rules:\n- {line}\n")), wanted, "{line}");
    }
}

#[test]
fn readers_of_all_types_stand_in_one_rule() {
    let text =
        format!("creation_rules:\n- pgp: AB, CD\n  age: [{ANA}, {SSH} ana]\n  kms: arn\n  aws_profile: p\n");
    let policy = policy(&text);
    let rule = policy.rule_for("x").unwrap();
    assert_eq!(names(rule), [ANA, SSH]);
    let others: Vec<String> = rule.other_readers().iter().map(ToString::to_string).collect();
    assert_eq!(others, ["pgp AB", "pgp CD", "kms arn"]);
    let Some(ServiceKey::Kms { profile, .. }) = rule.other_readers()[2].service_key() else {
        panic!("a KMS key")
    };
    assert_eq!(profile.as_deref(), Some("p"));
}

#[test]
fn merged_groups_may_repeat_each_other() {
    let text = format!(
        "g: &g\n  age: [{ANA}]\n  pgp: [AB]\ncreation_rules:\n- key_groups:\n  - merge: [*g, *g]\n    age: [{ANA}]\n    pgp: [ab]\n"
    );
    let policy = policy(&text);
    let rule = policy.rule_for("x").unwrap();
    assert_eq!((names(rule), rule.other_readers().len()), (vec![ANA], 1));
}

#[test]
fn rules_that_an_earlier_one_hides_are_reported() {
    let rows = [
        ("^a$", "^a$", true),
        (".*", "b", true),
        ("", "b", true),
        ("secrets/", "^secrets/qa/.*\\.yaml$", true),
        ("^secrets/", "^secrets/(dev|qa)/", true),
        ("\\.yaml$", "^x/[a-z]+\\.yaml$", true),
        ("^a\\.yaml$", "^a\\.yaml$ ", false),
        ("^secrets/", "secrets/qa", false),
        ("\\.yaml$", "\\.yam?l$", false),
        ("\\.yaml$", "\\.yaml", false),
        ("qa", "dev|qa", false),
        ("qa", "(?i)qa", false),
        ("a.c", "abc", false),
        ("ab", "ab*", false),
        ("ab", "xab{2}", false),
        ("a", "b", false),
        ("", "", true),
        ("a|b", "a|b", true),
        ("secrets", "^x/[^/]+/secrets/.*$", true),
        ("^secrets/", "^secrets/qa/.*\\.yaml$", true),
        ("\\.yaml$", "^secrets/[^/]+\\.sops\\.yaml$", true),
        ("^secrets/qa/", "^secrets/", false),
        ("^secrets/qa/", "^secrets/qa?/", false),
        ("^a", "^(a|b)", false),
        ("^a", "^(?i)a", false),
        ("\\.yaml$", "\\.yamlx?$", false),
        ("ab.", "abx", false),
        ("^a$", "^ab$", false),
        ("b", "(a)b?", false),
        ("^secrets/[^/]+$", "^secrets/x$", false),
        ("x", "", false),
    ];
    for (earlier, later, hidden) in rows {
        let text = format!(
            "creation_rules:\n- path_regex: '{earlier}'\n  age: {ANA}\n- path_regex: '{later}'\n  age: {ANA}\n"
        );
        let wanted =
            [HiddenRule { position: Position { line: 4, column: 3 }, by: Position { line: 2, column: 3 } }];
        let wanted = if hidden { &wanted[..] } else { &[] };
        assert_eq!(policy(&text).hidden_rules(), wanted, "{earlier} {later}");
    }
}
