use super::*;

const CANARY: &str = "glpat-canary";

fn template(text: &str) -> Template {
    Template::parse("x.yaml", text).unwrap()
}

fn error(text: &str) -> String {
    Template::parse("x.yaml", text).unwrap_err().to_string()
}

/// The text of every leaf, rendered with tokens `a` and `b` that have this value.
fn rendered_with(text: &str, value: &str) -> Result<Vec<String>, TemplateError> {
    let value = Secret::new(value.to_owned());
    let gitlab: Instance = "https://gitlab.example.com:8443/git".parse().unwrap();
    let facts = || TokenFacts {
        value: &value,
        id: TokenId(4217),
        name: "Backstage (qa)",
        expires: Some(jiff::civil::date(2027, 11, 21)),
        username: None,
    };
    let tokens = BTreeMap::from([("a".to_owned(), facts()), ("b".to_owned(), facts())]);
    let context = Context { environment: "qa", gitlab: &gitlab, tokens };
    let template = template(text);
    template.leaves().iter().map(|leaf| Ok(template.render(leaf, &context)?.expose().to_owned())).collect()
}

fn rendered(text: &str) -> Vec<String> {
    rendered_with(text, CANARY).unwrap()
}

fn environment(tokens: &[&str]) -> Environment {
    let tokens: String = tokens
        .iter()
        .map(|key| format!("  {key}: {{ kind: personal, name: {key}, scopes: [api] }}\n"))
        .collect();
    let text = format!("secrets: {{ file: a.yaml, template: x.yaml }}\ntokens:\n{tokens}");
    Environment::read("qa", "environments/qa.yaml", &text).unwrap()
}

#[test]
fn a_leaf_that_uses_a_token_is_a_slot_and_says_which() {
    let template = template(
        "host: '{{ gitlab.host }}'\nport: 8443\ndata:\n  - \"{{ tokens.a }}\"\n  - pair: nouser:{{ tokens.a }}{{ tokens.b.id }}\n",
    );
    let slots: Vec<_> = template
        .slots()
        .map(|leaf| {
            (leaf.path.to_string(), leaf.position.to_string(), leaf.tokens.clone(), leaf.values.clone())
        })
        .collect();
    let set = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(
        slots,
        [
            (r#"["data"][0]"#.to_owned(), "4:5".to_owned(), set(&["a"]), set(&["a"])),
            (r#"["data"][1]["pair"]"#.to_owned(), "5:11".to_owned(), set(&["a", "b"]), set(&["a"])),
        ]
    );
    assert_eq!(template.leaves().len(), 4);
    assert!(template.leaves()[0].rendered && !template.leaves()[1].rendered);
}

#[test]
fn the_span_of_a_leaf_is_what_a_new_file_replaces() {
    let template = template("a: \"{{ tokens.a }}\" # why\nb: |\n  {{ tokens.b }}\n");
    let sources: Vec<_> = template.leaves().iter().map(|leaf| &template.text()[leaf.span.clone()]).collect();
    assert_eq!(sources, ["\"{{ tokens.a }}\"", "|\n  {{ tokens.b }}"]);
}

#[test]
fn leaves_render_to_names_facts_and_values() {
    assert_eq!(
        rendered("a: '{{ environment }} {{ gitlab.url }} {{ gitlab.host }}'"),
        ["qa https://gitlab.example.com:8443/git gitlab.example.com:8443"]
    );
    assert_eq!(
        rendered("a: '{{ tokens.a }}|{{ tokens.a.id }}|{{ tokens.a.name }}|{{ tokens.a.expires }}'"),
        ["glpat-canary|4217|Backstage (qa)|2027-11-21"]
    );
    assert_eq!(rendered("a: nouser:{{ tokens.a }}"), ["nouser:glpat-canary"]);
    assert_eq!(rendered("a: |\n  one\n  {{ tokens.a }}\n"), ["one\nglpat-canary\n"]);
    assert_eq!(rendered("a: '{{ tokens.a if environment == \"qa\" else \"none\" }}'"), [CANARY]);
    assert_eq!(rendered("a: '{{ \"x\" ~ tokens.a }}'"), ["xglpat-canary"]);
}

#[test]
fn leaves_without_expressions_stay_as_they_are() {
    assert_eq!(rendered("a: 8443\nb: '}} {x}'\nc:\nd: {}\n"), ["8443", "}} {x}", ""]);
}

#[test]
fn filters_encode() {
    assert_eq!(rendered("a: '{{ tokens.a | b64encode }}'"), ["Z2xwYXQtY2FuYXJ5"]);
    assert_eq!(rendered("a: '{{ tokens.a | tojson }}'"), ["\"glpat-canary\""]);
    assert_eq!(
        rendered("a: '{{ {\"t\": tokens.a, \"n\": [1]} | tojson }}'"),
        [r#"{"n":[1],"t":"glpat-canary"}"#]
    );
}

#[test]
fn docker_auth_gives_what_a_docker_client_reads() {
    let text = "a: '{{ tokens.a | docker_auth(\"gitlab.com:443\", \"any\") }}'";
    // printf 'any:glpat-canary' | base64
    assert_eq!(rendered(text), [r#"{"auths":{"gitlab.com:443":{"auth":"YW55OmdscGF0LWNhbmFyeQ=="}}}"#]);
}

#[test]
fn a_value_never_becomes_syntax() {
    for value in ["a: b\n- {c}", "{{ tokens.b }}", "\"quoted\" # no", "{% if x %}", "*alias"] {
        assert_eq!(rendered_with("a: '{{ tokens.a }}'", value).unwrap(), [value]);
    }
}

#[test]
fn control_characters_in_a_rendered_value_are_refused_and_not_shown() {
    for value in ["canary\u{1b}[31m", "canary\r", "\0canary", "canary\u{85}"] {
        let error = rendered_with("a: '{{ tokens.a }}'", value).unwrap_err().to_string();
        assert_eq!(error, "templates/x.yaml:1:4: the rendered text has control characters");
    }
    assert!(rendered_with("a: '{{ tokens.a }}'", "two\n\tlines").is_ok());
}

#[test]
fn an_error_while_rendering_shows_no_value() {
    let error = rendered_with("a: '{{ tokens.a }}{{ tokens.a.username }}'", CANARY).unwrap_err().to_string();
    assert_eq!(error, "templates/x.yaml:1:4: undefined value");
    // The rehearsal takes the other branch, so this fails with the value in hand only.
    let text = "a: '{{ (tokens.a | docker_auth(1)) if environment == \"qa\" else \"\" }}'";
    let error = rendered_with(text, CANARY).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
}

#[test]
fn a_leaf_that_fails_in_one_environment_is_found_before_anything_is_minted() {
    let template = template("a: '{{ (tokens.a | docker_auth(\"h\")) if environment == \"qa\" else \"\" }}'");
    let error = template.check(&environment(&["a"])).unwrap_err().to_string();
    assert_eq!(error, "templates/x.yaml:1:4: missing argument");
}

#[test]
fn a_leaf_says_whose_user_name_it_needs() {
    let template = template("a: '{{ tokens.a.username }}:{{ tokens.b }}'");
    let [leaf] = template.leaves() else { panic!("one leaf") };
    assert_eq!(leaf.usernames, BTreeSet::from(["a".to_owned()]));
    assert_eq!(leaf.values, BTreeSet::from(["b".to_owned()]));
}

#[test]
fn names_and_filters_that_do_not_exist_are_refused_before_any_value_is_there() {
    let leaves = [
        "{{ gitlab.hots }}",
        "{{ token.a }}",
        "{{ colour }}",
        "{{ tokens }}",
        "{{ tokens['a'] }}",
        "{{ tokens.a.expiry }}",
        "{{ tokens.a.id.x }}",
        "{{ tokens.a | base64 }}",
        "{{ tokens.a | docker_auth }}",
        "{{ debug() }}",
        "{{ tokens.a",
        "text {{ }}",
        "{% for t in tokens %}{{ t }}{% endfor %}",
        "{% with tokens = tokens %}{{ tokens.a }}{% endwith %}",
        "{# note #}{{ tokens.a }}",
    ];
    let errors: Vec<_> = leaves.iter().map(|leaf| error(&format!("key:\n  - \"{leaf}\"\n"))).collect();
    insta::assert_snapshot!(errors.join("\n"), @"
        templates/x.yaml:2:9: unknown name `gitlab.hots`, did you mean `gitlab.host`?
        templates/x.yaml:2:9: unknown name `token.a`, did you mean `tokens`?
        templates/x.yaml:2:9: unknown name `colour`; a template has environment, gitlab.url, gitlab.host and tokens.<key>
        templates/x.yaml:2:9: `tokens` alone does not say which token; write `tokens.<key>` with the key as it stands in the profile
        templates/x.yaml:2:9: `tokens` alone does not say which token; write `tokens.<key>` with the key as it stands in the profile
        templates/x.yaml:2:9: a token has no `expiry`, did you mean `expires`?
        templates/x.yaml:2:9: a token has no `id.x`; it has id, name, expires, username
        templates/x.yaml:2:6: unknown filter: filter base64 is unknown; a template has b64encode, docker_auth, tojson
        templates/x.yaml:2:6: missing argument
        templates/x.yaml:2:9: unknown name `debug`; a template has environment, gitlab.url, gitlab.host and tokens.<key>
        templates/x.yaml:2:6: syntax error: unexpected end of input, expected end of variable block
        templates/x.yaml:2:11: syntax error: unexpected end of variable block
        templates/x.yaml:2:6: statements (`{% … %}`) are not for templates; write `{{ a if condition else b }}`
        templates/x.yaml:2:6: statements (`{% … %}`) are not for templates; write `{{ a if condition else b }}`
        templates/x.yaml:2:6: comments (`{# … #}`) are not for templates; write a YAML comment
        ");
}

#[test]
fn an_unquoted_expression_gets_the_line_to_write() {
    let texts = [
        "GITLAB_TOKEN: {{ tokens.backstage }}\n",
        "a: 1\nb:\n  - {{ tokens.a }} # why\n",
        "{{ environment }}: x\n",
        "a: {{ gitlab.url }}/x\n",
        "a: [{{ tokens.a }}]\n",
        "a: {{ tokens.a | docker_auth(\"gitlab.com\", \"any\") }}\n",
        "ok: \"{{ tokens.a }}\"\nbad: {{ tokens.b }}\n",
    ];
    insta::assert_snapshot!(texts.map(error).join("\n"), @r#"
        templates/x.yaml:1:15: an expression must stand in quotes, else YAML reads a mapping; write "{{ tokens.backstage }}"
        templates/x.yaml:3:5: an expression must stand in quotes, else YAML reads a mapping; write "{{ tokens.a }}"
        templates/x.yaml:1:1: a key cannot have expressions: only values are rendered
        templates/x.yaml:1:4: an expression must stand in quotes, else YAML reads a mapping; write "{{ gitlab.url }}/x"
        templates/x.yaml:1:5: an expression must stand in quotes, else YAML reads a mapping; write "{{ tokens.a }}"
        templates/x.yaml:1:4: an expression must stand in quotes, else YAML reads a mapping; write '{{ tokens.a | docker_auth("gitlab.com", "any") }}'
        templates/x.yaml:2:6: an expression must stand in quotes, else YAML reads a mapping; write "{{ tokens.b }}"
        "#);
}

#[test]
fn an_error_of_yaml_that_has_nothing_to_do_with_expressions_stays_itself() {
    assert!(!error("a: \"{{ tokens.a }}\"\nb: [1\n").contains("quotes"));
    assert!(!error("# {{ tokens.a }}\nb: [1\n").contains("quotes"));
}

#[test]
fn what_does_not_survive_encryption_is_refused() {
    let texts = [
        "",
        "- a\n- b\n",
        "text\n",
        "a: 1\n---\nb: 2\n",
        "sops: {}\n",
        "a: &x 1\nb: *x\n",
        "base: &base {a: 1}\nc: {<<: *base}\n",
        "a: !!binary aGk=\n",
        "'{{ environment }}': 1\n",
        "a: 1\na: 2\n",
    ];
    insta::assert_snapshot!(texts.map(error).join("\n"), @"
        templates/x.yaml:1:1: the file is empty
        templates/x.yaml:1:1: a template must be a mapping, not a list: sops takes no other
        templates/x.yaml:1:1: a template must be a mapping, not a text: sops takes no other
        templates/x.yaml:2:1: a second document; a template is one
        templates/x.yaml:1:1: the key `sops` belongs to sops itself
        templates/x.yaml:1:7: anchors and aliases do not survive encryption; write the value out
        templates/x.yaml:2:4: anchors and aliases do not survive encryption; write the value out
        templates/x.yaml:1:13: anchors and aliases do not survive encryption; write the value out
        templates/x.yaml:2:5: merge keys do not survive encryption; write the values out
        templates/x.yaml:2:9: anchors and aliases do not survive encryption; write the value out
        templates/x.yaml:1:13: tags such as !!str do not survive encryption; write the value without
        templates/x.yaml:1:1: a key cannot have expressions: only values are rendered
        templates/x.yaml:2:1: the key `a` is already at line 1
        ");
}

#[test]
fn a_token_that_the_profile_does_not_have_is_refused_with_its_place() {
    let template = template("a: x\nb: \"id {{ tokens.backstag.id }}\"\n");
    assert_eq!(
        template.check(&environment(&["backstage"])).unwrap_err().to_string(),
        "templates/x.yaml:2:11: environments/qa.yaml has no token `backstag`, did you mean `backstage`?"
    );
}

#[test]
fn the_place_of_a_name_is_found_in_a_block_and_behind_longer_names() {
    let template = template("a: |\n  é {{ tokens.backstage2 }}\n    {{ tokens.backstag }}\n");
    assert_eq!(
        template.check(&environment(&["backstage2"])).unwrap_err().to_string(),
        "templates/x.yaml:3:8: environments/qa.yaml has no token `backstag`, did you mean `backstage2`?"
    );
}

#[test]
fn a_token_whose_value_no_slot_holds_is_refused() {
    let environment = environment(&["a", "b"]);
    let one = template("a: '{{ tokens.a }}'\n");
    let fact_only = template("b: '{{ tokens.b.id }}'\n");
    assert_eq!(
        check_all(&environment, &[&one, &fact_only]).unwrap_err().to_string(),
        "environments/qa.yaml: no slot holds token `b`, so its value would be lost; add a line such as \
         `B_TOKEN: \"{{ tokens.b }}\"` to templates/x.yaml"
    );
    assert_eq!(check_all(&environment, &[&one, &template("b: '{{ tokens.b }}'\n")]), Ok(()));
}

proptest::proptest! {
    #[test]
    fn no_leaf_makes_it_panic(text in "[{}%#| a-z.()'\"\\[\\]~-]{0,30}") {
        let _ = Template::parse("x.yaml", &format!("a: |\n  {text}\n"));
        let _ = Template::parse("x.yaml", &format!("a: {text}\n"));
    }
}

#[test]
fn a_template_has_the_format_of_its_ending() {
    let rows = [
        ("x.yaml", Format::Yaml, "gitlab: { token: \"{{ tokens.a }}\" }", r#"["gitlab"]["token"]"#),
        ("x.json", Format::Json, "{\"gitlab\": {\"token\": \"{{ tokens.a }}\"}}", r#"["gitlab"]["token"]"#),
        ("x.env", Format::Dotenv, "# c\nTOKEN={{ tokens.a }}\n", r#"["TOKEN"]"#),
        ("x.ini", Format::Ini, "; c\n[gitlab]\ntoken = {{ tokens.a }}\n", r#"["gitlab"]["token"]"#),
        ("x.txt", Format::Yaml, "token: \"{{ tokens.a }}\"", r#"["token"]"#),
    ];
    for (name, format, text, path) in rows {
        let template = Template::parse(name, text).unwrap();
        assert_eq!(template.format(), format);
        let slots: Vec<_> =
            template.slots().map(|leaf| (leaf.path.to_string(), leaf.source.as_str())).collect();
        assert_eq!(slots, [(path.to_owned(), "{{ tokens.a }}")]);
        template.check(&environment(&["a"])).unwrap();
    }
    let error = Template::parse("x.env", "TOKEN\n").unwrap_err().to_string();
    assert_eq!(error, "templates/x.env:1:1: neither a comment nor `KEY=value`: the line has no `=`");
    let error = Template::parse("x.ini", "[a]\nk = {{ tokens.nope }}\n").unwrap().check(&environment(&["a"]));
    assert!(error.unwrap_err().to_string().starts_with("templates/x.ini:2:"));
}
