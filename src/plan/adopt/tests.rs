use super::*;
use crate::token::Kind;

fn found(file: &str, path: &str, id: u64) -> Found {
    Found {
        file: file.to_owned(),
        path: path.parse().unwrap(),
        digest: format!("digest of {path}"),
        record: Record {
            id: TokenId(id),
            name: format!("Made by hand: \"{id}\""),
            description: None,
            scopes: Scopes::from(["read_api".to_owned()]),
            user_id: 90,
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            expires_at: Some("2026-12-31".parse().unwrap()),
            last_used_at: None,
            active: true,
            revoked: false,
            access_level: Some(30),
        },
        owner: Owner { kind: Kind::Group, id: 7, path: "alithya-csna".to_owned() },
    }
}

fn run(found: &[Found]) -> (Vec<Adopted>, Vec<Left>) {
    plan(found, &"https://gitlab.example.com".parse().unwrap(), &BTreeSet::new())
}

#[test]
fn each_format_gets_a_template_that_names_its_tokens_and_nothing_else() {
    let (adopted, left) = run(&[
        found("secrets/qa.sops.yaml", "[\"data\"][\"TOKEN\"]", 1),
        found("deploy/prod.json", "[\"gitlab\"][\"token\"]", 2),
        found("ci/.env", "[\"GITLAB_TOKEN\"]", 3),
        found("old.ini", "[\"gitlab\"][\"token\"]", 4),
    ]);
    assert_eq!(left, []);
    let templates: Vec<&str> = adopted.iter().map(|one| one.files[1].1.as_str()).collect();
    assert_eq!(
        templates,
        [
            "GITLAB_TOKEN={{ tokens.gitlab_token }}\n",
            "{\n  \"gitlab\": {\n    \"token\": \"{{ tokens.token }}\"\n  }\n}\n",
            "[gitlab]\ntoken = {{ tokens.token }}\n",
            "data:\n  TOKEN: '{{ tokens.token }}'\n",
        ]
    );
    let names: Vec<&str> = adopted.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["ci", "prod", "old", "qa"]);
}

#[test]
fn files_that_share_a_token_become_one_environment() {
    let (adopted, _) = run(&[
        found("a.yaml", "[\"one\"]", 1),
        found("b.yaml", "[\"two\"]", 2),
        found("c.yaml", "[\"one\"]", 1),
        found("c.yaml", "[\"two\"]", 2),
    ]);
    assert_eq!(adopted.len(), 1);
    let entry = &adopted[0].lock.tokens["one"];
    assert_eq!(entry.slots.keys().collect::<Vec<_>>(), ["a.yaml", "c.yaml"]);
}

#[test]
fn two_tokens_of_one_name_get_keys_of_their_own() {
    let (adopted, _) =
        run(&[found("a.yaml", "[\"x\"][\"token\"]", 1), found("a.yaml", "[\"y\"][\"token\"]", 2)]);
    assert_eq!(adopted[0].lock.tokens.keys().collect::<Vec<_>>(), ["token", "token2"]);
}

#[test]
fn a_token_in_a_list_is_taken_only_with_all_that_stand_before_it() {
    let (adopted, left) = run(&[found("a.yaml", "[\"hosts\"][1][\"token\"]", 1)]);
    assert_eq!((adopted.len(), left.len()), (0, 1));
    let all =
        [found("a.yaml", "[\"hosts\"][0][\"token\"]", 1), found("a.yaml", "[\"hosts\"][1][\"token\"]", 2)];
    let (adopted, left) = run(&all);
    assert_eq!((adopted.len(), left.len()), (1, 0));
}

#[test]
fn what_is_taken_over_is_asked_for_as_it_is() {
    let (adopted, _) = run(&[found("a.yaml", "[\"token\"]", 1)]);
    let environment = Environment::read("a", "environments/a.yaml", &adopted[0].files[0].1).unwrap();
    let (token, entry) = (&environment.tokens[0], &adopted[0].lock.tokens["token"]);
    assert_eq!((&token.name, &token.scopes, token.role), (&entry.name, &entry.scopes, entry.role));
    assert_eq!(token.expires_as_written, entry.requested);
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let taken = BTreeSet::from(["qa".to_owned(), "templates/qa.yaml".to_owned()]);
    let one = found("secrets/qa.sops.yaml", "[\"token\"]", 1);
    let (adopted, _) = plan(&[one], &"https://gitlab.example.com".parse().unwrap(), &taken);
    let paths: Vec<&str> = adopted[0].files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["environments/qa2.yaml", "templates/qa2.yaml"]);
}
