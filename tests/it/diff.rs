//! `provision diff`, by itself and as git's textconv.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::show::encrypted_by_sops;
use crate::support::lab::Lab;

/// `git` as a person has it who installed the program.
pub(crate) fn git(lab: &Lab, args: &[&str]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_provision")).parent().unwrap().to_str().unwrap().to_owned();
    Command::new("git")
        .env_clear()
        .env("PATH", format!("{program}:{}", std::env::var("PATH").unwrap()))
        .env("HOME", lab.home())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir(lab.repo())
        .args(args)
        .output()
        .unwrap()
}

const FILE: &str = "secrets/x.sops.yaml";

#[test]
fn keys_and_recipients_that_changed_are_named_without_values_or_a_key() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, FILE, "a: one\nb: two\n");
    lab.commit_all("x");
    assert!(lab.provision(["diff"]).ok().err.contains("no secrets file differs"));
    lab.sops(["set", FILE, "[\"b\"]", "\"changed\""]).ok();
    lab.sops(["set", FILE, "[\"c\"]", "\"new\""]).ok();
    let (_, other) = provision::sops::generate_identity();
    lab.sops(["rotate", "-i", "--add-age", &other.to_string(), FILE]).ok();
    fs::remove_file(lab.home().join(".config/sops/age/keys.txt")).unwrap();
    let said = lab.provision(["diff"]).ok().out;
    assert_eq!(
        said,
        format!("{FILE}: ~ [\"a\"] changed, ~ [\"b\"] changed, + [\"c\"] added, + recipient {other}\n")
    );
    assert_eq!(lab.provision(["diff", "--staged"]).ok().out, "");
    lab.git(["add", "-A"]);
    assert_eq!(lab.provision(["diff", "--staged"]).ok().out, said);
    let json: serde_json::Value = serde_json::from_str(&lab.provision(["diff", "--json"]).ok().out).unwrap();
    assert_eq!(json["files"][0]["changes"][2], serde_json::json!({ "kind": "added", "what": "[\"c\"]" }));
    lab.write("secrets/new.sops.yaml", &lab.read(FILE));
    lab.git(["add", "-A"]);
    assert!(lab.provision(["diff"]).ok().out.contains("secrets/new.sops.yaml: + the whole file added"));
    lab.write(FILE, "a: plain\n");
    assert!(lab.provision(["diff"]).ok().out.contains("no longer a SOPS file"));
    lab.git(["rm", "-qf", FILE]);
    for args in [&["diff"][..], &["diff", "--staged"]] {
        let said = lab.provision(args).ok().out;
        assert!(said.contains(&format!("{FILE}: - the whole file removed")), "{args:?}: {said}");
    }
}

#[test]
fn the_textconv_is_stable_and_shows_values_only_with_reveal_and_a_key() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, FILE, "a: hunter2\nb_unencrypted: open\nn:\n");
    let lines = lab.provision(["diff", "--textconv", FILE]).ok().out;
    assert_eq!(lines, lab.provision(["diff", "--textconv", FILE]).ok().out);
    assert!(lines.starts_with("[\"a\"]: encrypted (type str, sha256 "), "{lines}");
    assert!(lines.contains("[\"b_unencrypted\"]: \"open\"\n[\"n\"]: empty\n"), "{lines}");
    assert!(lines.contains("rule unencrypted_suffix: _unencrypted\n"));
    assert!(lines.ends_with(&format!("recipient {}\n", lab.recipient)));
    assert!(!lines.contains("hunter2"));
    let shown = lab.provision(["diff", "--textconv", FILE, "--reveal"]).ok().out;
    assert!(shown.contains("[\"a\"]: \"hunter2\"\n"), "{shown}");
    fs::remove_file(lab.home().join(".config/sops/age/keys.txt")).unwrap();
    assert_eq!(lab.provision(["diff", "--textconv", FILE, "--reveal"]).ok().out, lines);
    lab.write("other.txt", "just\ttext");
    assert_eq!(lab.provision(["diff", "--textconv", "other.txt"]).ok().out, "just\ttext");
}

#[test]
fn git_log_and_git_diff_show_keys_once_it_is_installed() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, FILE, "a: one\nb: two\n");
    lab.commit_all("x");
    lab.write(".gitattributes", "*.png binary");
    lab.provision(["hook", "install", "--diff"]).ok();
    let attributes = lab.read(".gitattributes");
    assert_eq!(attributes, "*.png binary\n/secrets/*.sops.yaml diff=provision\n");
    lab.provision(["hook", "install", "--diff"]).ok();
    assert_eq!(lab.read(".gitattributes"), attributes);

    lab.sops(["set", FILE, "[\"b\"]", "\"changed\""]).ok();
    let changed = |text: &str| -> Vec<String> {
        let is_change = |line: &&str| {
            line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---")
        };
        text.lines().filter(is_change).map(str::to_owned).collect()
    };
    let out = git(&lab, &["diff"]);
    let lines = changed(&String::from_utf8_lossy(&out.stdout));
    assert_eq!(lines.len(), 2, "{out:?}");
    assert!(lines[0].starts_with("-[\"b\"]: encrypted (type str, sha256 "), "{lines:?}");
    assert!(lines[1].starts_with("+[\"b\"]: encrypted (type str, sha256 "), "{lines:?}");
    lab.git(["add", "-A"]);
    assert!(git(&lab, &["commit", "-qm", "change b"]).status.success());
    let out = git(&lab, &["log", "-p", "--format=%s", "--", FILE]);
    let log = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(changed(&log)[..2], lines[..], "{log}");
    assert!(log.contains(&format!("+recipient {}", lab.recipient)), "{log}");

    lab.provision(["hook", "uninstall"]).ok();
    assert!(!git(&lab, &["config", "diff.provision.textconv"]).status.success());
    assert_eq!(lab.read(".gitattributes"), attributes);
}

#[test]
fn a_file_of_several_documents_is_shown_with_the_values_of_each() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, FILE, "a: hunter2\n---\na: hunter3\n");
    lab.commit_all("x");
    let shown = lab.provision(["diff", "--textconv", FILE, "--reveal"]).ok().out;
    assert!(shown.starts_with("[\"a\"]: \"hunter2\"\ndocument 2: [\"a\"]: \"hunter3\"\n"), "{shown}");
    lab.sops(["set", FILE, "[\"a\"]", "\"changed\""]).ok();
    assert!(lab.provision(["diff"]).ok().out.starts_with(&format!("{FILE}: ~ [\"a\"] changed")));
}

#[test]
fn a_clone_that_converts_line_ends_shows_what_is_staged_and_no_more() {
    let lab = Lab::new();
    for name in [FILE, "secrets/y.sops.yaml"] {
        encrypted_by_sops(&lab, name, "a: one\n");
    }
    lab.commit_all("x");
    lab.git(["config", "core.autocrlf", "true"]);
    assert_eq!(lab.provision(["diff", "--staged"]).ok().out, "");
    lab.sops(["set", FILE, "[\"a\"]", "\"changed\""]).ok();
    lab.git(["add", FILE]);
    let said = lab.provision(["diff", "--staged"]).ok().out;
    assert_eq!(said, format!("{FILE}: ~ [\"a\"] changed\n"));
}
