use super::quote::{QuoteError, dotenv, shell};
use super::*;
use crate::sops::{Draft, Format, Policy, generate_identity};

fn file(body: &str) -> Encrypted {
    let (_, recipient) = generate_identity();
    let policy = Policy::parse(&format!("creation_rules:\n- age: {recipient}\n")).unwrap();
    let draft = Draft::parse(Format::Yaml, format!("{body}\n")).unwrap();
    let sealed = draft
        .seal(policy.rule_for("x").unwrap(), &crate::sops::Alone, jiff::Timestamp::UNIX_EPOCH, &[])
        .unwrap();
    Encrypted::parse(Format::Yaml, sealed.bytes()).unwrap()
}

fn named(body: &str, wish: &Wish) -> Result<Vec<String>, EnvironError> {
    let file = file(body);
    let listed = [Listed { name: "f", environments: &[], file: &file }];
    Ok(variables(&listed, wish)?
        .into_iter()
        .map(|variable| format!("{} {}", variable.name, variable.path))
        .collect())
}

fn wish(only: &[&str], maps: &[&str], prefix: &str) -> Wish {
    Wish {
        prefix: prefix.to_owned(),
        only: only.iter().map(|text| (*text).to_owned()).collect(),
        maps: maps.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

#[test]
fn a_key_at_the_top_keeps_its_name_and_nested_ones_are_joined_in_capitals() {
    let names = named(
        "GITLAB_TOKEN: a\nlower: b\nmy-key: c\n1st: d\ndata:\n    token: e\n    list: [x, {deep.er: y}]",
        &Wish::default(),
    );
    assert_eq!(
        names.unwrap(),
        [
            "GITLAB_TOKEN [\"GITLAB_TOKEN\"]",
            "lower [\"lower\"]",
            "MY_KEY [\"my-key\"]",
            "_1ST [\"1st\"]",
            "DATA_TOKEN [\"data\"][\"token\"]",
            "DATA_LIST_0 [\"data\"][\"list\"][0]",
            "DATA_LIST_1_DEEP_ER [\"data\"][\"list\"][1][\"deep.er\"]",
        ]
    );
}

#[test]
fn leaves_behind_the_first_document_are_refused_and_never_dropped() {
    let body = "A: x\n---\nA: y\nB: z";
    let error = named(body, &Wish::default()).unwrap_err();
    assert!(error.to_string().starts_with("f document 2: [\"A\"] is not in the first document"), "{error}");
    assert_eq!(named(body, &wish(&["A"], &[], "")).unwrap(), ["A [\"A\"]"]);
    assert!(matches!(named(body, &wish(&["B"], &[], "")), Err(EnvironError::Missing { .. })));
    assert!(matches!(named(body, &wish(&[], &["C=A"], "")), Err(EnvironError::Document { .. })));
}

#[test]
fn two_leaves_of_one_name_are_refused_also_where_only_the_case_differs() {
    for body in ["A_B: x\na:\n    b: y", "my-key: x\nmy.key: y", "Token: x\nTOKEN: y"] {
        assert!(matches!(named(body, &Wish::default()), Err(EnvironError::Collision { .. })), "{body}");
    }
    let (one, two) = (file("A: x"), file("A: y"));
    let listed = [("one", &one), ("two", &two)].map(|(name, file)| Listed { name, environments: &[], file });
    let error = variables(&listed, &Wish::default()).unwrap_err();
    assert_eq!(error.to_string(), "one [\"A\"] and two [\"A\"] would both be A");
}

#[test]
fn a_place_can_begin_with_the_environment_or_the_file_that_is_meant() {
    let (dev, qa) = (file("A: x\nB: y"), file("A: z\n\"dev:B\": v"));
    let names = ["dev".to_owned(), "qa".to_owned()];
    let listed = [
        Listed { name: "s/dev.yaml", environments: &names[..1], file: &dev },
        Listed { name: "s/qa.yaml", environments: &names[1..], file: &qa },
    ];
    let named = |only: &[&str], maps: &[&str]| {
        let variables = variables(&listed, &wish(only, maps, ""))?;
        Ok(variables.iter().map(|one| format!("{}={}:{}", one.name, one.file, one.path)).collect::<Vec<_>>())
    };
    let both = named(&["dev:"], &["QA_A=qa:A"]).unwrap();
    assert_eq!(both, ["A=0:[\"A\"]", "B=0:[\"B\"]", "QA_A=1:[\"A\"]"]);
    assert_eq!(named(&["s/qa.yaml:A"], &[]).unwrap(), ["A=1:[\"A\"]"]);
    let error = named(&["dev:A"], &["X=A"]).unwrap_err();
    let EnvironError::SeveralFiles { exactly, .. } = error else { panic!("{error}") };
    assert_eq!(exactly, ["dev:A", "qa:A"]);
    let error = named(&[], &[]).unwrap_err();
    let EnvironError::Collision { another, .. } = error else { panic!("{error}") };
    assert_eq!(another, Some(("QA_A".to_owned(), "qa:A".to_owned())));
    // What is a path by itself, and a place in another file, is not guessed.
    assert!(matches!(named(&["dev:B"], &[]), Err(EnvironError::TwoMeanings { .. })));
    assert_eq!(named(&["[\"dev:B\"]"], &[]).unwrap(), ["DEV_B=1:[\"dev:B\"]"]);
    assert_eq!(named(&["dev:[\"B\"]"], &[]).unwrap(), ["B=0:[\"B\"]"]);
    let error = named(&["qa:Z"], &[]).unwrap_err();
    assert_eq!(error.to_string(), "there is no qa:Z in s/qa.yaml");
}

#[test]
fn a_key_without_a_letter_or_digit_has_no_name() {
    assert!(matches!(named("é: x", &Wish::default()), Err(EnvironError::Nameless { .. })));
    assert_eq!(named("é: x", &wish(&[], &["E=é"], "")).unwrap(), ["E [\"é\"]"]);
}

#[test]
fn only_takes_leaves_and_what_is_below_a_key() {
    let body = "a: 1\nb:\n    c: 2\n    d: 3";
    assert_eq!(named(body, &wish(&["b"], &[], "")).unwrap(), ["B_C [\"b\"][\"c\"]", "B_D [\"b\"][\"d\"]"]);
    assert_eq!(named(body, &wish(&["b.c"], &[], "")).unwrap(), ["B_C [\"b\"][\"c\"]"]);
    assert_eq!(named(body, &wish(&["a"], &["X=b.d"], "")).unwrap(), ["a [\"a\"]", "X [\"b\"][\"d\"]"]);
    assert!(matches!(named(body, &wish(&["z"], &[], "")), Err(EnvironError::Missing { .. })));
}

#[test]
fn a_mapped_leaf_has_its_new_name_only_and_no_prefix() {
    let names = named("a: 1\nb: 2", &wish(&[], &["TOKEN=a", "OTHER=a"], "APP_"));
    assert_eq!(names.unwrap(), ["APP_b [\"b\"]", "TOKEN [\"a\"]", "OTHER [\"a\"]"]);
    assert!(matches!(named("a:\n    b: 1", &wish(&[], &["X=a"], "")), Err(EnvironError::NotALeaf { .. })));
}

#[test]
fn a_name_that_no_shell_takes_is_refused() {
    for text in ["1A=a", "A-B=a", "=a", "A B=a"] {
        assert!(matches!(text.parse::<Mapping>(), Err(EnvironError::Name { .. })), "{text}");
    }
    assert!(matches!("A".parse::<Mapping>(), Err(EnvironError::Mapping { .. })));
    assert!(matches!(named("a: 1", &wish(&[], &[], "1-")), Err(EnvironError::Name { .. })));
}

#[test]
fn names_that_change_how_programs_load_need_a_mapping() {
    let dangerous = [
        "PATH",
        "LD_PRELOAD",
        "LD_AUDIT",
        "DYLD_INSERT_LIBRARIES",
        "NODE_OPTIONS",
        "PYTHONPATH",
        "BASH_ENV",
        "ENV",
        "GIT_SSH_COMMAND",
        "PERL5OPT",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "HTTPS_PROXY",
        "https_proxy",
        "npm_config_registry",
        "SSL_CERT_FILE",
        "SOPS_AGE_KEY_CMD",
        "HOME",
        "IFS",
        "BROWSER",
    ];
    for name in dangerous {
        let body = format!("{name}: x");
        assert!(matches!(named(&body, &Wish::default()), Err(EnvironError::Dangerous { .. })), "{name}");
        let mapped = wish(&[], &[&format!("{name}={name}")], "");
        assert_eq!(named(&body, &mapped).unwrap().len(), 1, "{name}");
    }
    assert!(matches!(named("ld:\n    preload: x", &Wish::default()), Err(EnvironError::Dangerous { .. })));
    assert_eq!(named("PATH: x", &wish(&[], &[], "APP_")).unwrap(), ["APP_PATH [\"PATH\"]"]);
    assert!(matches!(named("PRELOAD: x", &wish(&[], &[], "LD_")), Err(EnvironError::Dangerous { .. })));
    for name in ["GITLAB_TOKEN", "DATABASE_URL", "API_KEY", "LDAP_PASSWORD", "DOCKER_AUTH_CONFIG"] {
        assert_eq!(guard::danger(name), None, "{name}");
    }
}

#[test]
fn what_opens_secrets_files_and_operator_tokens_are_withheld() {
    for name in ["SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD", "GITLAB_TOKEN", "OAUTH_TOKEN"] {
        assert!(guard::is_withheld(name), "{name}");
    }
    for name in ["PATH", "HOME", "CI_JOB_TOKEN", "GITLAB_HOST"] {
        assert!(!guard::is_withheld(name), "{name}");
    }
}

#[test]
fn a_value_is_quoted_for_a_shell() {
    assert_eq!(&*shell("A", b"it's $(x) `y` \"z\"\n").unwrap(), "export A='it'\\''s $(x) `y` \"z\"\n'\n");
    assert_eq!(&*shell("A", b"").unwrap(), "export A=''\n");
    assert!(matches!(shell("A", b"\xff"), Err(QuoteError::NotText { .. })));
}

#[test]
fn dotenv_is_bare_where_all_agree_quoted_where_most_do_and_refused_where_they_differ() {
    assert_eq!(&*dotenv("A", b"glpat-x_y.01.z").unwrap(), "A=glpat-x_y.01.z\n");
    assert_eq!(&*dotenv("A", b"").unwrap(), "A=\n");
    assert_eq!(&*dotenv("A", b"a # b\nc $x").unwrap(), "A='a # b\nc $x'\n");
    for value in ["it's", "${HOME}", "a\\", "a\\\\b", "a\r\nb"] {
        assert!(matches!(dotenv("A", value.as_bytes()), Err(QuoteError::Disputed { .. })), "{value}");
    }
}
