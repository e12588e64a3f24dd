//! The environments and templates at the top of this repository, as a user copies them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use provision::profile::Environment;
use provision::secret::Secret;
use provision::template::disjoint::{Shape, check_disjoint};
use provision::template::{Context, Template, TokenFacts, check_all};
use provision::token::TokenId;

use crate::support::sops;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    files
}

fn environments() -> Vec<Environment> {
    let read = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        Environment::read(name, &format!("environments/{name}.yaml"), &fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{error}"))
    };
    yaml_files("environments").iter().map(read).collect()
}

fn template(name: &str) -> Template {
    let text = fs::read_to_string(root().join("templates").join(name)).unwrap();
    Template::parse(name, &text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_shipped_environment_fits_its_templates_and_the_others() {
    let environments = environments();
    let names: BTreeSet<_> = environments.iter().map(|environment| environment.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["dev", "devmode", "qa"]));
    let templates: Vec<Vec<Template>> = environments
        .iter()
        .map(|environment| environment.secrets.iter().map(|secrets| template(&secrets.template)).collect())
        .collect();
    let templates: Vec<Vec<&Template>> = templates.iter().map(|list| list.iter().collect()).collect();
    for (environment, templates) in environments.iter().zip(&templates) {
        check_all(environment, templates).unwrap_or_else(|error| panic!("{error}"));
    }
    let shapes: Vec<Shape<'_>> = environments
        .iter()
        .zip(&templates)
        .map(|(environment, templates)| Shape { environment, templates })
        .collect();
    check_disjoint(&shapes).unwrap();
}

#[test]
fn the_kubernetes_secret_keeps_its_names_in_the_clear_under_a_rule_for_its_data() {
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let output = sops::command()
        .args(["encrypt", "--age", &recipient, "--encrypted-regex", "^(data|stringData)$"])
        .arg(root().join("templates/kubernetes-secret.yaml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sealed = String::from_utf8(output.stdout).unwrap();
    assert!(sealed.contains("kind: Secret\n") && sealed.contains("name: backstage-gitlab\n"), "{sealed}");
    assert!(sealed.contains("GITLAB_TOKEN: ENC[AES256_GCM,"), "{sealed}");
}

#[test]
fn every_shipped_template_gives_what_backstage_reads() {
    let value = Secret::new("glpat-value".to_owned());
    let gitlab = "https://gitlab.com".parse().unwrap();
    let environments = environments();
    let qa = environments.iter().find(|environment| environment.name == "qa").unwrap();
    for path in yaml_files("templates") {
        let template = template(path.file_name().unwrap().to_str().unwrap());
        template.check(qa).unwrap();
        let facts = TokenFacts { value: &value, id: TokenId(1), name: "n", expires: None, username: None };
        let tokens = BTreeMap::from([("backstage".to_owned(), facts)]);
        let context = Context { environment: "qa", gitlab: &gitlab, tokens };
        let rendered: BTreeMap<String, String> = template
            .leaves()
            .iter()
            .filter(|leaf| leaf.rendered)
            .map(|leaf| {
                let text = template.render(leaf, &context).unwrap().expose().to_owned();
                (leaf.path.to_string().rsplit('[').next().unwrap().to_owned(), text)
            })
            .collect();
        let expected = [("\"GITLAB_HOST\"]", "gitlab.com"), ("\"GITLAB_TOKEN\"]", "glpat-value")];
        assert_eq!(rendered, expected.map(|(key, text)| (key.to_owned(), text.to_owned())).into());
    }
}
