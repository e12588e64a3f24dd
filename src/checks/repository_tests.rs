use jiff::Timestamp;

use super::*;
use crate::sops::{Draft, Format, generate_identity};

struct Team {
    recipient: String,
    policy: String,
}

impl Team {
    fn new(rule: &str) -> Self {
        let recipient = generate_identity().1.to_string();
        let policy = format!("creation_rules:\n- path_regex: ^secrets/\n  age: {recipient}\n{rule}");
        Self { recipient, policy }
    }

    fn sealed(&self, draft: &str) -> String {
        let policy = Policy::parse(&self.policy).unwrap();
        let rule = policy.rule_for("secrets/x.yaml").unwrap();
        let sealed = Draft::parse(Format::Yaml, draft)
            .unwrap()
            .seal(rule, &crate::sops::Alone, Timestamp::UNIX_EPOCH, &[])
            .unwrap();
        String::from_utf8(sealed.bytes().to_vec()).unwrap()
    }

    fn own(&self) -> Own {
        Own::with_policy(Some((".sops.yaml".to_owned(), self.policy.clone())))
    }

    fn findings(&self, path: &str, text: &str) -> Vec<Finding> {
        findings(&self.own(), &[file(path, text)])
    }

    fn found(&self, text: &str) -> Vec<(&'static str, usize)> {
        names(&self.findings("secrets/x.yaml", text))
    }
}

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
        parsed: Encrypted::parse(Format::Yaml, text.as_bytes()),
        personal: false,
        nested: None,
        should_be_untracked: false,
    }
}

fn findings(own: &Own, files: &[File]) -> Vec<Finding> {
    let judge = Judge::by(own);
    let mut judged: Vec<Judged> = files.iter().map(|file| judge.file(file)).collect();
    judge.findings(&mut judged)
}

fn names(findings: &[Finding]) -> Vec<(&'static str, usize)> {
    findings.iter().map(|finding| (finding.check, finding.line)).collect()
}

const DRAFT: &str = "a: one\nb: two\n";

#[test]
fn a_file_as_the_policy_wants_it_has_no_finding() {
    let team = Team::new("");
    assert_eq!(team.found(&team.sealed(DRAFT)), []);
}

#[test]
fn a_file_in_the_clear_that_a_rule_covers_is_found() {
    let team = Team::new("");
    assert_eq!(team.found(DRAFT), [("file-encrypted", 1)]);
    assert_eq!(team.found("not: [yaml"), [("file-encrypted", 1)]);
}

#[test]
fn a_value_that_was_put_in_the_clear_is_found_in_its_line() {
    let team = Team::new("");
    let text = team.sealed(DRAFT);
    let clear = text.lines().map(|line| if line.starts_with("b:") { "b: two" } else { line });
    let clear = clear.collect::<Vec<_>>().join("\n");
    assert_eq!(team.found(&clear), [("value-encrypted", 2)]);
}

#[test]
fn a_file_in_which_nothing_is_encrypted_is_found() {
    let team = Team::new("");
    let text = team.sealed(DRAFT);
    let block = &text[text.find("sops:").unwrap()..];
    let hidden = block.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: ^nothing$");
    assert_eq!(team.found(&format!("{DRAFT}{hidden}")), [("file-encrypted", 3), ("rule", 3)]);
}

#[test]
fn ciphertext_where_the_rule_leaves_values_clear_is_found() {
    let team = Team::new("  encrypted_regex: ^a$\n");
    let text = team.sealed(DRAFT);
    let a = text.lines().next().unwrap().strip_prefix("a: ").unwrap().to_owned();
    assert_eq!(team.found(&text.replace("b: two", &format!("b: {a}"))), [("value-clear", 2)]);
}

#[test]
fn recipients_are_those_of_the_policy_and_no_others() {
    let team = Team::new("");
    let other = generate_identity().1.to_string();
    let text = team.sealed(DRAFT);
    let injected =
        text.replace("    age:\n", &format!("    age:\n        - recipient: {other}\n          enc: x\n"));
    let found = team.findings("secrets/x.yaml", &injected);
    assert!(found.iter().all(|finding| finding.check == "recipients" && finding.line == 5), "{found:?}");
    assert!(found.iter().any(|finding| finding.what.contains("should not")));
    assert!(found.iter().any(|finding| finding.what.contains("no age file")));
    let swapped = text.replace(&team.recipient, &other);
    let whats: Vec<String> =
        team.findings("secrets/x.yaml", &swapped).into_iter().map(|one| one.what).collect();
    assert!(whats.iter().any(|what| what.contains("should read the file and cannot")), "{whats:?}");
}

#[test]
fn a_rule_that_drifted_is_found() {
    let team = Team::new("");
    let text = team.sealed(DRAFT);
    let drifted = Team { policy: format!("{}  encrypted_regex: ^a$\n", team.policy), ..team };
    assert_eq!(drifted.found(&text), [("rule", 3)]);
    let text = drifted.sealed(DRAFT);
    let narrow = Team { policy: format!("{}  mac_only_encrypted: true\n", drifted.policy), ..drifted };
    assert_eq!(narrow.found(&text), [("rule", 3)]);
}

#[test]
fn a_personal_file_is_not_held_against_the_policy() {
    let team = Team::new("");
    let text = team.sealed(DRAFT).replace(&team.recipient, &generate_identity().1.to_string());
    let mut file = file("secrets/x.yaml", &text);
    assert!(!findings(&team.own(), std::slice::from_ref(&file)).is_empty());
    file.personal = true;
    assert_eq!(findings(&team.own(), &[file]), []);
}

#[test]
fn a_file_that_no_rule_is_for_and_a_missing_policy_are_found() {
    let team = Team::new("");
    let text = team.sealed(DRAFT);
    assert_eq!(names(&team.findings("other/x.yaml", &text)), [("rule", 3)]);
    let without = Own { policy: None, ..team.own() };
    assert_eq!(names(&findings(&without, &[file("secrets/x.yaml", &text)])), [("rule", 3)]);
}

#[test]
fn damage_is_found_where_it_is() {
    let team = Team::new("");
    let text = team.sealed(DRAFT);
    let without_mac: String =
        text.lines().filter(|line| !line.starts_with("    mac:")).map(|line| format!("{line}\n")).collect();
    assert_eq!(team.found(&without_mac), [("mac-present", 3)]);
    assert_eq!(team.found(&text.replace("    version: 3.11.0\n", ""))[0].0, "file-readable");
    assert_eq!(team.found(&text.replace("b:", "a:")), [("file-readable", 2)]);
}

#[test]
fn a_clear_token_is_found_in_values_and_comments_and_not_shown() {
    let team = Team::new("  encrypted_regex: ^b$\n");
    let token = "glpat-aB3dE5gH7jK9mN1pQ3sT";
    let text = team.sealed(&format!("# {token}\na: {token}\nb: two\n"));
    let found = team.findings("secrets/x.yaml", &text);
    let lines: Vec<usize> = found.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [1, 2]);
    assert!(found.iter().all(|one| one.check == "clear-token" && !one.to_string().contains("aB3d")));
}

#[test]
fn rules_that_are_hidden_or_broken_are_found_in_the_policy() {
    let team = Team::new("- path_regex: ^secrets/qa\n  age: x\n");
    let own = Own::with_policy(Some((".sops.yaml".to_owned(), team.policy)));
    assert_eq!(names(&findings(&own, &[])), [("policy-hidden-rule", 4), ("policy-readable", 5)]);
    let broken = "creation_rules:\n- path_regexp: x\n  age: y\n";
    let own = Own::with_policy(Some((".sops.yaml".to_owned(), broken.to_owned())));
    assert_eq!(names(&findings(&own, &[])), [("policy-readable", 2)]);
}

#[test]
fn every_check_has_a_name_of_its_own() {
    let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), CHECKS.len());
}
