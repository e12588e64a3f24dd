use proptest::prelude::*;

use super::*;

fn people(count: usize) -> Vec<String> {
    (0..count).map(|_| age::x25519::Identity::generate().to_public().to_string()).collect()
}

fn rules(text: &str) -> Vec<Position> {
    Policy::parse(text).unwrap().entries.iter().map(|entry| entry.position).collect()
}

fn add(text: &str, who: &str, name: &str, which: &[usize]) -> Result<String, PolicyEditError> {
    let rules = which.iter().map(|index| rules(text)[*index]).collect();
    add_to(text, who, name, rules, None)
}

fn add_to(
    text: &str,
    who: &str,
    name: &str,
    rules: Vec<Position>,
    group: Option<usize>,
) -> Result<String, PolicyEditError> {
    PolicyEdit::Add { recipient: who.parse().unwrap(), name: Some(name.to_owned()), rules, group }.apply(text)
}

fn remove(text: &str, who: &str) -> Result<String, PolicyEditError> {
    PolicyEdit::Remove { recipient: who.parse().unwrap() }.apply(text)
}

/// Texts of policies with `A` and `B` in them, and where `N` has come in rule 0 and 1.
const ROWS: &[(&str, &str)] = &[
    (
        "# who\nkeys:\n  - &ana A\n  - &ben B   # laptop\n\ncreation_rules:\n  - path_regex: a # qa\n    age:\n      - *ana\n  - age: [*ana, *ben]\n    pgp: 'AB'\n",
        "# who\nkeys:\n  - &ana A\n  - &ben B   # laptop\n  - &new N\n\ncreation_rules:\n  - path_regex: a # qa\n    age:\n      - *ana\n      - *new\n  - age: [*ana, *ben, *new]\n    pgp: 'AB'\n",
    ),
    (
        "creation_rules:\n- age: A,B\n  path_regex: x\n- age: >-\n    A,\n    B\n",
        "creation_rules:\n- age: A,B,N\n  path_regex: x\n- age: >-\n    A,\n    B,\n    N\n",
    ),
    (
        "creation_rules:\n- age: \"A\"\n- age: 'A, B' # x\n",
        "creation_rules:\n- age: \"A,N\"\n- age: 'A, B, N' # x\n",
    ),
    (
        "creation_rules:\n  - age:\n    - A # ana\n    # ben\n    - B\n  - key_groups:\n    - pgp: [AB]\n      age:\n        - A",
        "creation_rules:\n  - age:\n    - A # ana\n    # ben\n    - B\n    - N # new\n  - key_groups:\n    - pgp: [AB]\n      age:\n        - A\n        - N # new",
    ),
    (
        "creation_rules:\r\n- age:\r\n  - A\r\n- age: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKysRXLSoC4oeoQrsLeX0v9nI4iI86Y5zarU+ZVbcz7f x, A]\r\n",
        "creation_rules:\r\n- age:\r\n  - A\r\n  - N # new\r\n- age: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKysRXLSoC4oeoQrsLeX0v9nI4iI86Y5zarU+ZVbcz7f x, A, N]\r\n",
    ),
    (
        "all: &all\n  - A\ncreation_rules:\n- age: *all\n- path_regex: x\n  age: *all\n",
        "all: &all\n  - A\n  - N # new\ncreation_rules:\n- age: *all\n- path_regex: x\n  age: *all\n",
    ),
];

fn filled(template: &str, people: &[String]) -> String {
    let mut text = String::new();
    for (index, char) in template.char_indices() {
        let alone = |char: Option<char>| !char.is_some_and(|char| char.is_ascii_alphanumeric());
        let is_word =
            alone(template[..index].chars().next_back()) && alone(template[index + 1..].chars().next());
        match char {
            'A' if is_word => text.push_str(&people[0]),
            'B' if is_word => text.push_str(&people[1]),
            'N' if is_word => text.push_str(&people[2]),
            other => text.push(other),
        }
    }
    text
}

#[test]
fn a_recipient_comes_in_the_style_of_the_policy_and_goes_without_a_trace() {
    for (before, after) in ROWS {
        let people = people(3);
        let (before, after) = (filled(before, &people), filled(after, &people));
        let added =
            add(&before, &people[2], "new", &[0, 1]).unwrap_or_else(|error| panic!("{error}\n{before}"));
        assert_eq!(added, after);
        assert_eq!(remove(&added, &people[2]).unwrap(), before);
        assert_eq!(add(&after, &people[2], "new", &[0, 1]).unwrap(), after);
    }
}

#[test]
fn only_the_wanted_rules_get_a_recipient() {
    let people = people(3);
    let (before, _) = ROWS[0];
    let before = filled(before, &people);
    let after = add(&before, &people[2], "new", &[1]).unwrap();
    let policy = Policy::parse(&after).unwrap();
    assert_eq!(policy.rule_for("a").unwrap().recipients().len(), 1);
    assert_eq!(policy.rule_for("b").unwrap().recipients().len(), 3);
    assert_eq!(policy.name_of(&people[2].parse().unwrap()), Some("new"));
    // Known under `keys` already: only the alias is new.
    let again = add(&after, &people[2], "other", &[0]).unwrap();
    assert_eq!(again.matches("*new").count(), 2);
}

#[test]
fn a_list_that_other_rules_share_is_not_changed_for_one() {
    let people = people(3);
    let before = filled(ROWS[5].0, &people);
    assert_eq!(add(&before, &people[2], "new", &[0]).unwrap_err(), PolicyEditError::Reach);
}

#[test]
fn removing_takes_anchor_aliases_and_named_lines() {
    let people = people(3);
    let before = filled(
        "keys:\n  # ana\n  - &a A\n  # ben\n  - &b B\ncreation_rules:\n- path_regex: x\n  age: [*a, *b]\n- age: A, B\n- key_groups:\n  - age: [*b, A]\n",
        &people,
    );
    let after = remove(&before, &people[0]).unwrap();
    let wanted = filled(
        "keys:\n  # ben\n  - &b B\ncreation_rules:\n- path_regex: x\n  age: [*b]\n- age: B\n- key_groups:\n  - age: [*b]\n",
        &people,
    );
    assert_eq!(after, wanted);
}

#[test]
fn a_rule_is_never_left_without_recipients() {
    let people = people(3);
    for line in ["age: A", "age: [A]", "age:\n  - A", "age: 'A'", "key_groups: [{age: [A]}]"] {
        let text = filled(&format!("creation_rules:\n- path_regex: x\n  age: B,A\n- {line}\n"), &people);
        let error = remove(&text, &people[0]).unwrap_err();
        assert!(matches!(error, PolicyEditError::LastRecipient { .. }), "{line}: {error}");
    }
}

#[test]
fn a_list_is_not_emptied_beside_keys_of_other_types() {
    let people = people(3);
    for line in [
        "pgp: AB\n  age: [A]",
        "age: A\n  kms: arn:x",
        "key_groups: [{age: [A], hc_vault: ['https://v/v1/e/keys/k']}]",
    ] {
        let text = filled(&format!("creation_rules:\n- {line}\n"), &people);
        let error = remove(&text, &people[0]).unwrap_err();
        assert!(matches!(error, PolicyEditError::LastInList { .. }), "{line}: {error}");
    }
}

#[test]
fn what_cannot_be_added_is_refused() {
    let people = people(3);
    let text = filled(ROWS[0].0, &people);
    let nowhere = Position { line: 1, column: 1 };
    let edit = |name: &str, position| add_to(&text, &people[2], name, vec![position], None).unwrap_err();
    let first = rules(&text)[0];
    assert_eq!(edit("new", nowhere), PolicyEditError::NoRule { position: nowhere });
    assert!(matches!(edit("a b", first), PolicyEditError::Name { .. }));
    assert!(matches!(edit("ana", first), PolicyEditError::NameTaken { .. }));
    assert!(matches!(remove(&text, &people[2]), Err(PolicyEditError::Unknown { .. })));
    let pgp = "creation_rules:\n- pgp: AB\n";
    assert!(matches!(add(pgp, &people[2], "new", &[0]), Err(PolicyEditError::NoAge { .. })));
}

#[test]
fn a_recipient_joins_the_group_that_is_meant() {
    let people = people(3);
    let text = filled(
        "creation_rules:\n- key_groups:\n  - age: [A]\n  - age:\n    - B\n  - pgp: [AB]\n- age: A\n",
        &people,
    );
    let rules = rules(&text);
    let to = |rules: &[Position], group| add_to(&text, &people[2], "new", rules.to_vec(), group);
    let (ana, ben, new) = (&people[0], &people[1], &people[2]);
    let second = to(&rules[..1], Some(2)).unwrap();
    assert_eq!(second, text.replace(&format!("- {ben}\n"), &format!("- {ben}\n    - {new} # new\n")));
    let everywhere = to(&rules, Some(1)).unwrap();
    let first = text.replace(&format!("[{ana}]"), &format!("[{ana}, {new}]"));
    assert_eq!(everywhere, first.replace(&format!("age: {ana}\n"), &format!("age: {ana},{new}\n")));
    let position = rules[0];
    assert_eq!(to(&rules, None), Err(PolicyEditError::SeveralGroups { position, groups: 3 }));
    for group in [0, 4] {
        assert_eq!(to(&rules, Some(group)), Err(PolicyEditError::NoGroup { position, group, groups: 3 }));
    }
    let only = PolicyEditError::NoGroup { position: rules[1], group: 2, groups: 1 };
    assert_eq!(to(&rules[1..], Some(2)), Err(only));
    assert_eq!(
        to(&rules, Some(3)),
        Err(PolicyEditError::NoGroup { position: rules[1], group: 3, groups: 1 })
    );
    assert!(matches!(to(&rules[..1], Some(3)), Err(PolicyEditError::NoAge { .. })));
}

/// What is called what, in the order of the people.
fn names(text: &str, people: &[String]) -> Vec<Option<String>> {
    let policy = Policy::parse(text).unwrap();
    people.iter().map(|key| policy.name_of(&key.parse().unwrap()).map(str::to_owned)).collect()
}

#[test]
fn an_addition_keeps_all_names() {
    let rows = [
        (
            "creation_rules:\n- age:\n  # ana\n  - A\n  # me\n  - B\n",
            "creation_rules:\n- age:\n  # ana\n  - A\n  # me\n  - B\n  # new\n  - N\n",
        ),
        (
            "creation_rules:\r\n  - age:\r\n      # ana\r\n      - A\r\n      # me\r\n      -   B",
            "creation_rules:\r\n  - age:\r\n      # ana\r\n      - A\r\n      # me\r\n      -   B\r\n      # new\r\n      -   N",
        ),
        (
            "keys:\n# Ana\n- &ana A\n# me\n- B\ncreation_rules:\n- age:\n  # ana\n  - *ana\n  # me\n  - B\n",
            "keys:\n# Ana\n- &ana A\n# me\n- B\n# new\n- &new N\ncreation_rules:\n- age:\n  # ana\n  - *ana\n  # me\n  - B\n  # new\n  - *new\n",
        ),
    ];
    for (before, after) in rows {
        let people = people(3);
        let (before, after) = (filled(before, &people), filled(after, &people));
        let added = add(&before, &people[2], "new", &[0]).unwrap_or_else(|error| panic!("{error}\n{before}"));
        assert_eq!(added, after);
        assert_eq!(names(&added, &people), ["ana", "me", "new"].map(|name| Some(name.to_owned())));
        assert_eq!(remove(&added, &people[2]).unwrap(), before);
    }
}

#[test]
fn a_single_recipient_with_a_name_becomes_a_list() {
    let people = people(3);
    for (before, after) in [
        (
            "creation_rules:\n  - path_regex: x\n    age: A # ana\n    pgp: AB\n",
            "creation_rules:\n  - path_regex: x\n    age:\n      - A # ana\n      - N # new\n    pgp: AB\n",
        ),
        ("creation_rules:\n- age: 'A'  # ana", "creation_rules:\n- age:\n    - 'A'  # ana\n    - N # new"),
    ] {
        let (before, after) = (filled(before, &people), filled(after, &people));
        assert_eq!(add(&before, &people[2], "new", &[0]).unwrap(), after);
        assert_eq!(names(&after, &people[..1]), [Some("ana".to_owned())]);
    }
    let text = filled("creation_rules:\n- { path_regex: x, age: 'A' } # ana\n", &people);
    assert!(add(&text, &people[2], "new", &[0]).unwrap().contains(','));
}

#[test]
fn a_list_in_brackets_keeps_the_names_of_those_who_stay() {
    let people = people(3);
    let text = filled("creation_rules:\n- age: [ A, # ana\n    N, # carol\n    B # bob\n  ]\n", &people);
    assert_eq!(names(&text, &people), ["ana", "bob", "carol"].map(|name| Some(name.to_owned())));
    for who in &people {
        assert!(matches!(remove(&text, who), Err(PolicyEditError::Layout { .. })), "{text}");
    }
    for text in [
        "creation_rules:\n- age: [ A, # ana\n    B # bob\n  ]\n",
        "creation_rules:\n- age: [\n  # ana\n  A,\n  # bob\n  B\n  ]\n",
        "creation_rules:\n- age: [\n  A,\n  B,\n  # carol is to come\n  ]\n",
    ] {
        let error = add(&filled(text, &people), &people[2], "carol", &[0]).unwrap_err();
        assert!(matches!(error, PolicyEditError::Layout { .. }), "{text}: {error}");
    }
    // What stands behind the bracket is about them all.
    let text = filled("creation_rules:\n- age: [A, B] # the team\n", &people);
    let after = filled("creation_rules:\n- age: [B] # the team\n", &people);
    assert_eq!(remove(&text, &people[0]).unwrap(), after);
}

#[test]
fn a_comment_never_comes_to_name_somebody_else() {
    let people = people(3);
    let text = filled("creation_rules:\n- age:\n  # ana\n  - A\n  - B\n", &people);
    assert_eq!(remove(&text, &people[0]), Err(PolicyEditError::Names));
    // It stood above this one before, too.
    assert_eq!(
        remove(&text, &people[1]).unwrap(),
        filled("creation_rules:\n- age:\n  # ana\n  - A\n", &people)
    );
    let text = filled("creation_rules:\n- age: A,B # why\n", &people);
    assert_eq!(remove(&text, &people[0]).unwrap(), filled("creation_rules:\n- age: B # why\n", &people));
    let text = filled("creation_rules:\n- age:\n  # the team\n  - A # ana\n  - B # bob\n", &people);
    assert_eq!(
        remove(&text, &people[0]).unwrap(),
        filled("creation_rules:\n- age:\n  # the team\n  - B # bob\n", &people)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_and_removing_again_leaves_the_same_bytes(
        anchors in any::<bool>(),
        forms in proptest::collection::vec((0..7_usize, 1..4_usize, any::<bool>()), 1..5),
        crlf in any::<bool>(),
        open_end in any::<bool>(),
    ) {
        let people = people(4);
        let names = ["ana", "ben", "eva"];
        let mut text = String::from("# policy\n");
        if anchors {
            text.push_str("keys:\n");
            for (name, key) in names.iter().zip(&people) {
                text.push_str(&format!("  - &{name} {key} # note\n"));
            }
        }
        text.push_str("creation_rules:\n");
        for (form, count, comment) in &forms {
            let items: Vec<String> = (0..*count)
                .map(|at| if anchors && *form < 3 { format!("*{}", names[at]) } else { people[at].clone() })
                .collect();
            // Behind a single recipient it would be a name.
            let comment = if *comment && (*form < 3 || *count > 1) { " # why" } else { "" };
            let lines = |indent: &str| items.iter().map(|item| format!("{indent}- {item}{comment}\n")).collect::<String>();
            text.push_str("  - path_regex: x\n");
            text.push_str(&match form {
                0 => format!("    age: [{}]{comment}\n", items.join(", ")),
                1 => format!("    age:\n{}", lines("    ")),
                2 => format!("    key_groups:\n      - age:\n{}", lines("          ")),
                3 => format!("    age: {}{comment}\n", items.join(",")),
                4 => format!("    age: '{}'\n", items.join(", ")),
                5 => format!("    age: >-\n      {}\n", items.join(",\n      ")),
                _ => format!("    age: \"{}\"{comment}\n", items.join(",")),
            });
        }
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let text = if open_end { text.trim_end().to_owned() } else { text };
        let which: Vec<usize> = (0..forms.len()).collect();
        let added = add(&text, &people[3], "new", &which).unwrap();
        prop_assert!(Policy::parse(&added).unwrap().rule_for("x").unwrap().recipients().contains(&people[3].parse().unwrap()));
        prop_assert_eq!(remove(&added, &people[3]).unwrap(), text);
    }
}
