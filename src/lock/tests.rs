use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::sops::Segment;

fn entry() -> Entry {
    Entry {
        id: TokenId(4217),
        gitlab: "https://gitlab.com".parse().unwrap(),
        owner: Owner { kind: Kind::Group, id: 9_970, path: "alithya-csna".to_owned() },
        name: "Backstage (qa.alithya-mws.com)".to_owned(),
        role: Some(Role::Developer),
        scopes: ["write_repository", "read_api", "read_repository"].map(str::to_owned).into(),
        created: "2026-11-21T09:00:00Z".parse().unwrap(),
        expires: Some(jiff::civil::date(2027, 11, 21)),
        requested: "max".to_owned(),
        mark: Some("provision:7f3a".to_owned()),
        accepted: Scopes::new(),
        slots: BTreeMap::from([(
            "secrets/qa.sops.yaml".to_owned(),
            BTreeMap::from([(Path::of_keys(["GITLAB_TOKEN"]), digest("ENC[…]"))]),
        )]),
        superseded: Vec::new(),
    }
}

fn lock() -> Lock {
    let mut current = entry();
    current.superseded.push(Superseded { id: TokenId(4100), expires: None, ..entry().supersede() });
    Lock { tokens: BTreeMap::from([("backstage".to_owned(), current)]) }
}

fn message(text: &str) -> String {
    Lock::read("environments/locks/qa.yaml", text).unwrap_err().to_string()
}

#[test]
fn a_lock_reads_like_this() {
    insta::assert_snapshot!(lock().write(), @r#"
        # Public facts of the tokens that provision minted; no secret is in here.
        # Written by provision and read in review: please do not edit by hand.
        version: 1
        tokens:
          backstage:
            id: 4217
            kind: group
            gitlab: https://gitlab.com
            owner:
              id: 9970
              path: alithya-csna
            name: Backstage (qa.alithya-mws.com)
            role: developer
            scopes:
            - read_api
            - read_repository
            - write_repository
            created: 2026-11-21T09:00:00Z
            expires: 2027-11-21
            requested: max
            mark: provision:7f3a
            slots:
              secrets/qa.sops.yaml:
                '["GITLAB_TOKEN"]': 145290c5db040d6d9b82481410812f209200863fc337f35c517f969259cf7969
            superseded:
            - id: 4100
              gitlab: https://gitlab.com
              owner:
                kind: group
                id: 9970
                path: alithya-csna
              name: Backstage (qa.alithya-mws.com)
              created: 2026-11-21T09:00:00Z
              mark: provision:7f3a
              expires: null
        "#);
}

#[test]
fn what_was_written_is_read_back() {
    assert_eq!(Lock::read("x", &lock().write()).unwrap(), lock());
    assert_eq!(Lock::read("x", &Lock::default().write()).unwrap(), Lock::default());
}

#[test]
fn a_newer_version_is_refused_by_its_number_whatever_else_it_holds() {
    assert_eq!(
        message("version: 7\ntokens: [everything, changed]\nsigned_by: ana\n"),
        "environments/locks/qa.yaml: this lock has version 7, but this program reads up to version 1; \
         update provision"
    );
}

#[test]
fn unknown_repeated_and_missing_fields_are_refused_with_their_place() {
    let good = lock().write();
    let cases = [
        good.replace("  requested: max", "  requested: max\n    colour: red"),
        good.replace("    requested: max\n", ""),
        good.replacen("    expires: 2027-11-21\n", "", 1),
        good.replace("id: 4217", "id: many"),
        good.replace("kind: group", "kind: deploy"),
        good.replace("    slots:\n", "    slots:\n      f: {'[0]': d, '[0]': d}\n"),
        good.replace("    slots:\n", "    slots:\n      f: {GITLAB_TOKEN: d}\n"),
        format!("{good}<<<<<<< HEAD\n"),
        String::new(),
        "tokens: {}".to_owned(),
    ];
    insta::assert_snapshot!(cases.iter().map(|case| message(case)).collect::<Vec<_>>().join("\n"), @r#"
        environments/locks/qa.yaml:21:5: tokens.backstage: unknown field `colour`, expected one of `id`, `kind`, `gitlab`, `owner`, `name`, `role`, `scopes`, `created`, `expires`, `requested`, `mark`, `accepted`, `slots`, `superseded`
        environments/locks/qa.yaml:6:5: tokens.backstage: missing field `requested`
        environments/locks/qa.yaml:6:5: tokens.backstage: missing field `expires`
        environments/locks/qa.yaml:6:9: tokens.backstage.id: invalid type: string "many", expected u64
        environments/locks/qa.yaml:7:11: tokens.backstage.kind: unknown variant `deploy`, expected one of `personal`, `group`, `project`
        environments/locks/qa.yaml:23:10: tokens.backstage.slots.f: key `[0]` stands twice
        environments/locks/qa.yaml:23:10: tokens.backstage.slots.f: `GITLAB_TOKEN` is not a path like ["data"]["token"][0]
        environments/locks/qa.yaml:37:1: could not find expected ':' at line 37 column 1, while scanning a simple key at line 36 column 1
        environments/locks/qa.yaml:1:1: missing field `version`
        environments/locks/qa.yaml:1:1: missing field `version`
        "#);
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let text = lock().write();
    let at = text.find("  backstage:").unwrap();
    let error = message(&format!("{text}{}", &text[at..]));
    assert!(error.contains("key `backstage` stands twice"), "{error}");
}

#[test]
fn the_lock_of_a_personal_environment_is_one_per_user() {
    let read = |name: &str, recipients: &str| {
        let text = format!(
            "secrets: {{ file: a.yaml, template: x.yaml, recipients: {recipients} }}\n\
             tokens: {{ t: {{ kind: personal, name: T, scopes: [api] }} }}\n"
        );
        Environment::read(name, "p", &text).unwrap()
    };
    let ana: UserName = "ana".parse().unwrap();
    let (qa, devmode) = (read("qa", "policy"), read("devmode", "self"));
    assert_eq!(path(&qa, None).unwrap(), "environments/locks/qa.yaml");
    assert_eq!(path(&qa, Some(&ana)).unwrap(), "environments/locks/qa.yaml");
    assert_eq!(path(&devmode, Some(&ana)).unwrap(), "environments/locks/devmode/ana.yaml");
    assert_eq!(path(&devmode, None), None);
}

#[test]
fn a_digest_is_sha_256_in_hex() {
    // The test vector of FIPS 180-2, appendix B.1.
    assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

prop_compose! {
    fn owners()(kind in prop::sample::select(vec![Kind::Personal, Kind::Group, Kind::Project]),
                id in any::<u64>(), path in any::<String>()) -> Owner {
        Owner { kind, id, path }
    }
}

prop_compose! {
    fn timestamps()(second in -62_135_596_800i64..253_402_207_200, nano in 0i32..1_000_000_000) -> Timestamp {
        Timestamp::new(second, nano).unwrap()
    }
}

prop_compose! {
    fn dates()(year in 1970i16..9999, day in 1i16..365) -> Date {
        jiff::civil::date(year, 1, 1).with().day_of_year(day).build().unwrap()
    }
}

prop_compose! {
    fn superseded()(id in any::<u64>(), owner in owners(), name in any::<String>(), created in timestamps(),
                    mark in option::of(any::<String>()), expires in option::of(dates()),
                    overlap in option::of(any::<String>())) -> Superseded {
        let gitlab = "http://127.0.0.1:8080/git".parse().unwrap();
        Superseded { id: TokenId(id), gitlab, owner, name, created, mark, expires, overlap }
    }
}

fn paths() -> impl Strategy<Value = Path> {
    let segment =
        prop_oneof![any::<String>().prop_map(Segment::Key), any::<usize>().prop_map(Segment::Index)];
    vec(segment, 1..4).prop_map(Path)
}

prop_compose! {
    fn entries()(current in superseded(), role in option::of(prop::sample::select(Role::ALL.to_vec())),
                 scopes in btree_set(any::<String>(), 0..4), requested in any::<String>(),
                 slots in btree_map(any::<String>(), btree_map(paths(), any::<String>(), 0..3), 0..3),
                  accepted in btree_set(any::<String>(), 0..2), superseded in vec(superseded(), 0..3)) -> Entry {
         let Superseded { id, gitlab, owner, name, created, mark, expires, overlap: _ } = current;
         Entry { id, gitlab, owner, name, role, scopes, created, expires, requested, mark, accepted, slots, superseded }
    }
}

proptest! {
    #[test]
    fn no_change_of_a_lock_makes_reading_panic(at in any::<prop::sample::Index>(), text in ".{0,8}") {
        let mut lock = lock().write();
        let at = at.index(lock.len());
        lock.replace_range(at..=at, &text);
        let _ = Lock::read("x", &lock);
    }

    #[test]
    fn any_lock_survives_the_round_trip(tokens in btree_map(any::<String>(), entries(), 0..3)) {
        let lock = Lock { tokens };
        let text = lock.write();
        let again = Lock::read("x", &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&again, &lock);
        prop_assert_eq!(again.write(), text);
    }
}

#[test]
fn a_token_is_the_current_one_of_one_entry_only() {
    let mut twice = lock();
    let (key, entry) = twice.tokens.first_key_value().unwrap();
    let (key, entry) = (format!("{key}-2"), entry.clone());
    twice.tokens.insert(key, entry);
    let error = Lock::read("l.yaml", &twice.write()).unwrap_err();
    assert!(error.to_string().contains("is the current one of"), "{error}");
    // The same number at another GitLab is another token.
    twice.tokens.last_entry().unwrap().get_mut().gitlab = "https://gitlab.example.com".parse().unwrap();
    assert_eq!(Lock::read("l.yaml", &twice.write()), Ok(twice));
}

#[test]
fn a_lock_of_thousands_of_brackets_is_refused_before_anything_reads_them() {
    let deep = format!("version: 1\ntokens: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let error = Lock::read("l.yaml", &deep).unwrap_err();
    assert!(error.to_string().contains("nested deeper than"), "{error}");
}

#[test]
fn a_path_says_whose_lock_it_is() {
    assert_eq!(owner("environments/locks/qa.yaml"), Some(("qa", None)));
    assert_eq!(owner("environments/locks/devmode/ana.yaml"), Some(("devmode", Some("ana"))));
    for path in
        ["environments/qa.yaml", "environments/locks/a/b/c.yaml", "environments/locks/qa.yml", "qa.yaml"]
    {
        assert_eq!(owner(path), None, "{path}");
    }
}
