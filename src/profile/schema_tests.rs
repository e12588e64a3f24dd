use std::collections::BTreeSet;

use super::super::read::{ENVIRONMENT_KEYS, SECRETS_KEYS, TOKEN_KEYS};
use super::super::{Environment, Kind as TokenKind};
use super::*;

const SHIPPED: [(&str, &str); 3] = [
    ("devmode", include_str!("../../environments/devmode.yaml")),
    ("dev", include_str!("../../environments/dev.yaml")),
    ("qa", include_str!("../../environments/qa.yaml")),
];

fn published() -> Value {
    serde_json::from_str(&json()).unwrap()
}

/// As an editor sees it.
fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn is_valid(text: &str) -> bool {
    let root = published();
    valid(&root, &root, &yaml(text))
}

/// The part of draft-07 that the schema uses; another keyword fails the test rather than pass unseen.
fn valid(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return schema.as_bool().unwrap() };
    let sub = |schema: &Value, value: &Value| valid(root, schema, value);
    let object = value.as_object();
    let has = |keys: &Value| {
        object.is_none_or(|o| keys.as_array().unwrap().iter().all(|k| o.contains_key(k.as_str().unwrap())))
    };
    let length = |of: Option<usize>, limit: &Value, most: bool| {
        of.is_none_or(|n| {
            if most { n as u64 <= limit.as_u64().unwrap() } else { n as u64 >= limit.as_u64().unwrap() }
        })
    };
    keywords.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "default" | "examples" | "definitions" | "then" | "else" => {
            true
        }
        "$ref" => {
            let name = rule.as_str().unwrap().strip_prefix("#/definitions/").unwrap();
            sub(&root["definitions"][name], value)
        }
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            other => panic!("type {other}"),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "required" => has(rule),
        "properties" => object.is_none_or(|o| {
            o.iter().all(|(key, value)| rule.get(key).is_none_or(|schema| sub(schema, value)))
        }),
        "additionalProperties" => object.is_none_or(|o| {
            let known =
                |key: &String| keywords.get("properties").is_some_and(|known| known.get(key).is_some());
            o.iter().filter(|(key, _)| !known(key)).all(|(_, value)| sub(rule, value))
        }),
        "propertyNames" => object.is_none_or(|o| o.keys().all(|key| sub(rule, &Value::from(key.as_str())))),
        "items" => value.as_array().is_none_or(|list| list.iter().all(|item| sub(rule, item))),
        "uniqueItems" => value.as_array().is_none_or(|list| {
            list.iter().map(Value::to_string).collect::<BTreeSet<_>>().len() == list.len()
        }),
        "anyOf" => rule.as_array().unwrap().iter().any(|schema| sub(schema, value)),
        "oneOf" => rule.as_array().unwrap().iter().filter(|schema| sub(schema, value)).count() == 1,
        "if" => sub(&keywords[if sub(rule, value) { "then" } else { "else" }], value),
        "pattern" => {
            let pattern = regex::Regex::new(rule.as_str().unwrap()).unwrap();
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "minItems" => length(value.as_array().map(Vec::len), rule, false),
        "minProperties" => length(object.map(serde_json::Map::len), rule, false),
        "minLength" => length(value.as_str().map(|text| text.chars().count()), rule, false),
        "maxLength" => length(value.as_str().map(|text| text.chars().count()), rule, true),
        other => panic!("keyword {other}"),
    })
}

#[test]
fn the_published_schema_is_this() {
    insta::assert_snapshot!(json());
}

#[test]
fn the_schema_knows_the_keys_that_the_reader_knows() {
    let schema = published();
    let keys = |of: &Value| of["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&schema), ENVIRONMENT_KEYS);
    assert_eq!(keys(&schema["definitions"]["secrets"]), SECRETS_KEYS);
    assert_eq!(keys(&schema["definitions"]["token"]), TOKEN_KEYS);
}

#[test]
fn shipped_profiles_are_valid_for_editor_and_reader() {
    for (name, text) in SHIPPED {
        assert!(is_valid(text), "{name}");
        Environment::read(name, &format!("environments/{name}.yaml"), text).unwrap();
    }
}

#[test]
fn shipped_profiles_are_those_of_the_backstage_guide() {
    let facts: Vec<_> = SHIPPED
        .iter()
        .map(|(name, text)| {
            let environment = Environment::read(name, "p", text).unwrap();
            let [token] = environment.tokens.as_slice() else { panic!("one token") };
            let scopes = token.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
            let role = token.role.map(Role::access_level);
            (
                token.kind,
                token.owner.clone(),
                token.name.clone(),
                role,
                scopes,
                token.expires_as_written.clone(),
            )
        })
        .collect();
    let group = |name: &str| {
        let scopes = "read_api read_repository write_repository".to_owned();
        let group = Some("alithya-csna".to_owned());
        (TokenKind::Group, group, name.to_owned(), Some(30), scopes, "max".to_owned())
    };
    let scopes = "read_api read_repository read_user write_repository".to_owned();
    let local =
        (TokenKind::Personal, None, "Backstage (localhost)".to_owned(), None, scopes, "max".to_owned());
    assert_eq!(
        facts,
        [local, group("Backstage (dev.alithya-mws.com)"), group("Backstage (qa.alithya-mws.com)")]
    );
}

#[test]
fn editor_and_reader_agree_about_small_changes() {
    let qa = SHIPPED[2].1;
    let changes = [
        ("role: developer", "role: developer\n    expires: 2027-06-30", true),
        ("[read_api,", "[read_wiki,", true),
        ("    kind: group\n", "", true),
        ("gitlab: https://gitlab.com\n", "", true),
        ("  template: backstage.yaml", "  template: backstage.yaml\n  commit: false", true),
        ("    role: developer\n", "", false),
        ("    group: alithya-csna\n", "", false),
        ("kind: group", "kind: personal", false),
        ("role: developer", "role: developper", false),
        ("scopes:", "scope:", false),
        ("[read_api, read_repository, write_repository]", "[]", false),
        ("[read_api, read_repository,", "[read_api, read_api,", false),
        ("role: developer", "role: developer\n    project: a/b", false),
        ("  backstage:", "  back-stage:", false),
        ("  template: backstage.yaml", "  template: a/b.yaml", false),
        ("  template: backstage.yaml", "  template: backstage.yaml\n  commit: 'false'", false),
        ("  file: secrets/", "  file: /secrets/", false),
        ("tokens:", "colour: red\ntokens:", false),
    ];
    for (from, to, good) in changes {
        assert!(qa.contains(from), "{from}");
        let text = qa.replacen(from, to, 1);
        assert_eq!(is_valid(&text), good, "schema: {to}");
        assert_eq!(Environment::read("qa", "p", &text).is_ok(), good, "reader: {to}");
    }
}
