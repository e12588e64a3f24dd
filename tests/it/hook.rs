//! `provision hook`: what it does to a repository, and what it never does.

use std::fs;

use crate::diff::git;
use crate::show::encrypted_by_sops;
use crate::support::lab::Lab;

const HOOK: &str = ".git/hooks/pre-commit";

#[test]
fn the_hook_stops_a_commit_with_a_secret_in_the_clear_and_lets_others_pass() {
    let lab = Lab::new();
    lab.provision(["hook", "install"]).ok();
    lab.provision(["hook", "install"]).ok();
    lab.write("secrets/x.sops.yaml", "password: hunter2\n");
    lab.git(["add", "-A"]);
    let head = lab.head();
    let out = git(&lab, &["commit", "-qm", "oops"]);
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(!out.status.success());
    assert!(said.contains("secrets/x.sops.yaml:1: not encrypted"), "{said}");
    assert_eq!(lab.head(), head);

    encrypted_by_sops(&lab, "secrets/x.sops.yaml", "password: hunter2\n");
    // Still the clear text is what is staged.
    assert!(!git(&lab, &["commit", "-qm", "oops"]).status.success());
    lab.git(["add", "-A"]);
    assert!(git(&lab, &["commit", "-qm", "good"]).status.success());
    assert_ne!(lab.head(), head);

    lab.provision(["hook", "uninstall"]).ok();
    assert!(!lab.repo().join(HOOK).exists());
    lab.provision(["hook", "uninstall"]).ok();
}

#[test]
fn our_own_commits_pass_the_hook() {
    let lab = Lab::new();
    lab.provision(["hook", "install", "--diff"]).ok();
    lab.commit_all("attributes");
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.err.contains("1 secrets file checked: all as they should be"), "{}", said.err);
    lab.provision_as_admin(["--env", "devmode", "--yes"]).ok();
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "4");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    lab.provision(["check"]).ok();
}

#[test]
fn the_hook_looks_at_the_index_of_a_partial_commit() {
    let lab = Lab::new();
    lab.provision(["hook", "install"]).ok();
    lab.write("secrets/x.sops.yaml", "password: hunter2\n");
    lab.git(["add", "-A"]);
    lab.write("README", "text\n");
    lab.git(["add", "README"]);
    // The clear file stays out of this commit.
    assert!(git(&lab, &["commit", "-qm", "readme", "--only", "README"]).status.success());
    assert!(!git(&lab, &["commit", "-qm", "oops", "--only", "secrets/x.sops.yaml"]).status.success());
}

#[test]
fn somebodys_hook_is_never_overwritten_and_the_line_to_add_is_said() {
    let line = "provision check --staged";
    let lab = Lab::new();
    fs::create_dir_all(lab.repo().join(".git/hooks")).unwrap();
    lab.write(HOOK, "#!/bin/sh\nexit 0\n");
    lab.provision(["hook", "install"]).refused(5, "add this line to it: provision check --staged");
    assert_eq!(lab.read(HOOK), "#!/bin/sh\nexit 0\n");
    lab.provision(["hook", "uninstall"]).ok();
    assert_eq!(lab.read(HOOK), "#!/bin/sh\nexit 0\n");
    fs::remove_file(lab.repo().join(HOOK)).unwrap();

    lab.git(["config", "core.hooksPath", "team-hooks"]);
    lab.provision(["hook", "install"]).refused(5, "team-hooks/pre-commit");
    lab.git(["config", "--unset", "core.hooksPath"]);
    fs::create_dir(lab.repo().join(".husky")).unwrap();
    lab.provision(["hook", "install"]).refused(5, ".husky/pre-commit");
    lab.write(".pre-commit-config.yaml", "repos: []\n");
    lab.provision(["hook", "install"]).refused(5, line);
    assert!(!lab.repo().join(HOOK).exists());
}
