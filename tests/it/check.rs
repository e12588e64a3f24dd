//! `provision check` on real repositories: files of stock sops and our own, and what goes wrong with them.

use std::fs;

use provision::sops::generate_identity;

use crate::show::encrypted_by_sops;
use provision::lock::Lock;

use crate::support::lab::Lab;

const QA: &str = "secrets/qa.sops.yaml";

/// A lab with two files in git: ours, and one that stock sops made.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    encrypted_by_sops(&lab, "secrets/stock.sops.yaml", "# note\na: one\nb:\n    - 2\n    - null\n");
    lab.commit_all("stock");
    // Nothing needs a key.
    fs::remove_file(lab.home().join(".config/sops/age/keys.txt")).unwrap();
    lab
}

#[track_caller]
fn finds(lab: &Lab, args: &[&str], wanted: &[&str]) -> String {
    let said = lab.provision(std::iter::once(&"check").chain(args));
    assert_eq!(said.status, 3, "{}{}", said.out, said.err);
    for wanted in wanted {
        assert!(said.out.contains(wanted), "{wanted:?} is not in {}", said.out);
    }
    said.out
}

#[test]
fn a_repository_in_order_has_no_finding() {
    let lab = lab();
    let said = lab.provision(["check"]).ok();
    assert_eq!(said.out, "");
    assert_eq!(said.err, "2 secrets files checked: all as they should be\n");
    lab.provision(["check", "--staged"]).ok();
    let json: serde_json::Value = serde_json::from_str(&lab.provision(["check", "--json"]).ok().out).unwrap();
    assert_eq!(json, serde_json::json!({ "checked": 2, "findings": [] }));
}

#[test]
fn plaintext_that_a_rule_covers_is_found_and_staged_looks_at_the_index() {
    let lab = lab();
    lab.write("secrets/new.sops.yaml", "password: hunter2\n");
    lab.provision(["check"]).ok();
    lab.git(["add", "secrets/new.sops.yaml"]);
    let out = finds(&lab, &["--staged"], &["secrets/new.sops.yaml:1: not encrypted"]);
    assert!(!out.contains("hunter2"));
    lab.write("secrets/new.sops.yaml", "");
    lab.provision(["check"]).ok();
    finds(&lab, &["--staged"], &["secrets/new.sops.yaml:1: not encrypted"]);
    lab.provision(["check", "--staged", "environments", QA]).ok();
    finds(&lab, &["--staged", "secrets"], &["secrets/new.sops.yaml:1"]);
    lab.provision(["check", "nowhere"]).refused(2, "cannot look at nowhere");
}

#[test]
fn an_injected_recipient_and_somebody_elses_file_are_found() {
    let lab = lab();
    let (_, stranger) = generate_identity();
    let text = lab.read(QA);
    lab.write(
        QA,
        &text
            .replace("    age:\n", &format!("    age:\n        - recipient: {stranger}\n          enc: x\n")),
    );
    finds(&lab, &[], &[&format!("{stranger} can read the file and should not")]);
    lab.write(QA, &text.replace(&lab.recipient, &stranger.to_string()));
    finds(&lab, &[], &[&format!("{} should read the file and cannot", lab.recipient)]);
}

#[test]
fn a_policy_that_drifted_from_the_files_is_found() {
    let lab = lab();
    lab.write(".sops.yaml", &(lab.read(".sops.yaml") + "    encrypted_regex: ^GITLAB_TOKEN$\n"));
    finds(&lab, &[], &["qa.sops.yaml", "the rule has `encrypted_regex: ^GITLAB_TOKEN$`"]);
}

#[test]
fn a_leaf_that_is_not_the_locks_and_one_in_the_clear_are_found() {
    let lab = lab();
    let text = lab.read(QA);
    let line = text.lines().find(|line| line.starts_with("GITLAB_TOKEN")).unwrap().to_owned();
    lab.write(QA, &text.replace(&line, "GITLAB_TOKEN: glpat-aB3dE5gH7jK9mN1pQ3sT"));
    let out = finds(
        &lab,
        &[],
        &[
            "is in the clear",
            "looks like a GitLab token",
            "environments/locks/qa.yaml",
            "not what was written",
        ],
    );
    assert!(!out.contains("aB3dE5"));
    lab.git(["rm", "-q", "--cached", QA]);
    fs::remove_file(lab.repo().join(QA)).unwrap();
    finds(&lab, &[], &["secrets/qa.sops.yaml is not there"]);
}

#[test]
fn a_secrets_file_that_was_renamed_leaves_the_lock() {
    const LOCK: &str = "environments/locks/qa.yaml";
    let (old, new) = ("secrets/qa.sops.yaml", "secrets/quality.sops.yaml");
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.git(["mv", old, new]);
    lab.write("environments/qa.yaml", &lab.read("environments/qa.yaml").replace(old, new));
    lab.commit_all("another name");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["check"]).ok();
    assert!(!lab.read(LOCK).contains(old) && lab.minted().len() == 1);
    // One that another version left with both.
    let mut lock = Lock::read(LOCK, &lab.read(LOCK)).unwrap();
    for entry in lock.tokens.values_mut() {
        let slots = entry.slots[new].clone();
        entry.slots.insert(old.to_owned(), slots);
    }
    lab.write(LOCK, &lock.write());
    lab.commit_all("both names");
    assert_eq!(lab.provision(["check"]).status, 3);
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.err.contains(&format!("without {old}, which is gone")), "{}", said.err);
    assert_eq!(lab.git(["log", "-1", "--format=%s"]), format!("provision(qa): forget {old}, which is gone"));
    lab.provision(["check"]).ok();
    let head = lab.head();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
}

#[test]
fn profiles_templates_and_locks_are_read() {
    let lab = lab();
    lab.write("environments/locks/qa.yaml", "version: 1\ntokens: [\n");
    lab.write("environments/dev.yaml", "tokns: {}\n");
    lab.write("templates/backstage.yaml", "a: {{ x }}\n");
    finds(
        &lab,
        &[],
        &["environments/locks/qa.yaml:", "environments/dev.yaml:1:", "templates/backstage.yaml:1:"],
    );
}

#[test]
fn a_code_quality_report_is_what_gitlab_reads() {
    let lab = lab();
    lab.write(
        ".sops.yaml",
        &(lab.read(".sops.yaml") + "  - path_regex: ^secrets/[^/]+\\.sops\\.yaml$\n    age: x\n"),
    );
    finds(
        &lab,
        &["--code-quality", "gl-code-quality-report.json"],
        &[".sops.yaml:4: no file reaches this rule"],
    );
    let report: serde_json::Value = serde_json::from_str(&lab.read("gl-code-quality-report.json")).unwrap();
    assert_eq!(report[0]["check_name"], "policy-hidden-rule");
    assert_eq!(report[0]["location"]["lines"]["begin"], 4);
    assert_eq!(report[0]["fingerprint"].as_str().unwrap().len(), 64);
    let out = finds(&lab, &["--code-quality", "-"], &["policy-hidden-rule"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), report);
}

#[test]
fn personal_files_and_texts_about_sops_are_left_alone() {
    let lab = Lab::new();
    lab.provision_as_admin(["--env", "devmode", "--yes"]).ok();
    let own = lab.read("secrets/devmode/root.sops.yaml");
    lab.write("docs/format.md", &format!("# About\n\n{own}"));
    lab.commit_all("docs");
    lab.provision(["check"]).ok();
}

#[test]
fn a_file_of_certificates_that_holds_none_is_a_mistake_on_the_command_line() {
    let lab = Lab::new();
    let said = lab.provision(["status", "--live", "--ca-file", "environments/qa.yaml"]);
    let said = said.refused(2, "--ca-file environments/qa.yaml holds no certificate in PEM form");
    assert!(said.err.contains("hint: give a file with -----BEGIN CERTIFICATE-----"), "{}", said.err);
}
