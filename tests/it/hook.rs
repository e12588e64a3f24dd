//! `provision hook`: what it does to a repository, and what it never does.

use std::fs;

use crate::diff::git;
use crate::show::encrypted_by_sops;
use crate::support::lab::Lab;
use crate::support::people::{Person, policy};

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
fn a_diff_driver_in_the_global_configuration_is_left_there() {
    let lab = Lab::new();
    lab.git(["config", "--global", "diff.provision.textconv", "cat"]);
    lab.provision(["hook", "uninstall"]).ok();
    assert_eq!(lab.git(["config", "diff.provision.textconv"]), "cat");
    lab.provision(["hook", "install", "--diff"]).ok();
    assert_ne!(lab.git(["config", "diff.provision.textconv"]), "cat");
    lab.provision(["hook", "uninstall"]).ok();
    assert_eq!(lab.git(["config", "diff.provision.textconv"]), "cat");
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
    lab.provision(["hook", "install"]).refused(5, "/pre-commit: provision check --staged || exit 1");
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

#[test]
fn a_policy_edited_by_hand_is_committed_with_the_files_that_follow_it_in_one_go() {
    let lab = Lab::new();
    let (ana, ben) = (Person::owner_of(&lab), Person::new("ben"));
    lab.write(".sops.yaml", &policy(&[&ana], &[("^secrets/", &["ana"])]));
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", "password: hunter2\n");
    lab.commit_all("ana alone");
    lab.provision(["hook", "install"]).ok();
    lab.write(".sops.yaml", &policy(&[&ana, &ben], &[("^secrets/", &["ana", "ben"])]));
    lab.git(["add", ".sops.yaml"]);
    let head = lab.head();
    let out = git(&lab, &["commit", "-qm", "ben"]);
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(!out.status.success());
    let hint = "it and the files that follow it, in one commit: provision rekey --with-policy";
    assert!(said.contains(hint), "{said}");
    lab.provision(["rekey", "--yes"]).refused(5, "provision rekey --with-policy");
    let said = lab.provision(["rekey", "--with-policy", "--yes"]).ok();
    assert!(said.err.contains(&format!("ben ({}) will read", ben.recipient)), "{}", said.err);
    assert_eq!(lab.git(["show", "--name-only", "--format="]), ".sops.yaml\nsecrets/x.sops.yaml");
    assert_eq!(lab.git(["rev-list", "--count", &format!("{head}..HEAD")]), "1");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert!(ben.reads(&lab, "secrets/x.sops.yaml").is_some());
    lab.provision(["check"]).ok();
    // What is staged must be what is in the work tree: nothing of the user's is lost.
    lab.write(".sops.yaml", &policy(&[&ana], &[("^secrets/", &["ana"])]));
    lab.git(["add", ".sops.yaml"]);
    lab.write(".sops.yaml", &lab.read(".sops.yaml").replace("laptop", "desk"));
    lab.provision(["rekey", "--with-policy", "--yes"]).refused(5, "changes that are not committed");
}

/// A commit with the hook at work, and what it said.
fn commit(lab: &Lab) -> (bool, String) {
    lab.git(["add", "-A"]);
    let out = git(lab, &["commit", "-qm", "by hand"]);
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (out.status.success(), said)
}

const QA: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";

#[test]
fn a_token_put_into_a_slot_with_sops_can_be_committed_and_is_taken_over() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["hook", "install"]).ok();
    let by_hand = serde_json::json!({
        "name": "Backstage (qa.alithya-mws.com)", "access_level": 30, "expires_at": "2027-11-21",
        "scopes": ["read_api", "read_repository", "write_repository"], "description": "made by hand",
    });
    let made = lab.api("POST", "/groups/alithya-csna/access_tokens", &by_hand);
    let token = made["token"].as_str().unwrap();
    lab.sops(["set", QA, "[\"GITLAB_TOKEN\"]", &format!("\"{token}\"")]).ok();
    let (committed, said) = commit(&lab);
    assert!(committed, "{said}");
    assert!(said.contains("attention: environments/locks/qa.yaml:"), "{said}");
    assert!(said.contains("is taken over once it is committed: provision adopt"), "{said}");
    assert!(said.contains("checked: nothing that stops the commit"), "{said}");
    let check = lab.provision(["check"]);
    assert_eq!(check.status, 3, "{check:?}");
    assert!(check.out.contains("provision adopt"), "{check:?}");
    lab.provision(["adopt", "--yes"]).ok();
    lab.provision(["check"]).ok();
    let status = lab.provision(["status", "--env", "qa", "--live"]).ok();
    assert!(status.out.contains("healthy"), "{status:?}");
    assert!(lab.provision(["--env", "qa"]).ok().out.contains("backstage is healthy"));
    assert_eq!(lab.value(QA, "GITLAB_TOKEN"), token);
}

#[test]
fn a_secrets_file_can_be_taken_out_to_have_it_made_anew() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["hook", "install"]).ok();
    lab.git(["rm", "-q", QA]);
    let (committed, said) = commit(&lab);
    assert!(committed && said.contains("is not there"), "{said}");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["check"]).ok();
}

#[test]
fn file_and_lock_of_two_commits_do_not_come_together() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let old = lab.read(LOCK);
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    lab.provision(["hook", "install"]).ok();
    lab.write(LOCK, &old);
    let (committed, said) = commit(&lab);
    assert!(!committed && said.contains("is not what was written"), "{said}");
}

#[test]
fn doctor_advises_the_line_that_hook_install_does() {
    let lab = Lab::new();
    fs::create_dir_all(lab.repo().join(".git/hooks")).unwrap();
    lab.write(HOOK, "#!/bin/sh\nexit 0\n");
    let advice = "provision check --staged || exit 1";
    lab.provision(["hook", "install"]).refused(5, advice);
    let said = lab.provision(["doctor", "--offline"]);
    assert!(said.out.contains(advice), "{}", said.out);
    // As it was advised, before what somebody's hook does itself.
    fs::write(lab.repo().join(HOOK), format!("#!/bin/sh\n{advice}\ntrue\n")).unwrap();
    make_runnable(&lab);
    lab.write("secrets/x.sops.yaml", "password: hunter2\n");
    assert!(!commit(&lab).0);
    let said = lab.provision(["doctor", "--offline"]);
    assert!(said.out.contains("runs provision check"), "{}", said.out);

    // Behind its end, it is as good as none.
    fs::write(lab.repo().join(HOOK), format!("#!/bin/sh\nexit 0\n{advice}\n")).unwrap();
    let said = lab.provision(["doctor", "--offline"]);
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.out.contains("ends before its line with provision check"), "{}", said.out);

    lab.write(".pre-commit-config.yaml", "repos: []\n");
    for said in [lab.provision(["hook", "install"]).err, lab.provision(["doctor", "--offline"]).out] {
        assert!(said.contains("entry: provision check --staged"), "{said}");
        assert!(said.contains("pass_filenames: false") && !said.contains("|| exit 1"), "{said}");
    }
}

fn make_runnable(lab: &Lab) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(lab.repo().join(HOOK), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_clone_that_converts_line_ends_lets_the_same_commits_pass() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["hook", "install"]).ok();
    lab.git(["config", "core.autocrlf", "true"]);
    lab.sops(["set", QA, "[\"GITLAB_TOKEN\"]", "\"by hand\""]).ok();
    let (committed, said) = commit(&lab);
    assert!(committed && said.contains("the commit is not stopped for it"), "{said}");
}
