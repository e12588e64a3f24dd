//! A commit that fails after the token was made: nothing is lost, and the next run finishes without another token.

use std::fs;

use insta::assert_snapshot;

use crate::support::lab::Lab;
use crate::support::program::shell;

#[track_caller]
fn finishes_with_the_same_token(lab: &Lab) {
    assert_eq!(lab.made_and_living(), (1, 1));
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "1");
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.made_and_living(), (1, 1));
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    let value = lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN");
    assert!(value.starts_with("glpat-"));
    let head = lab.head();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
}

#[test]
fn a_failing_pre_commit_hook_stops_half_way_and_the_next_run_finishes() {
    let lab = Lab::new();
    let hook = lab.repo().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    shell(&hook, "echo the hook says no >&2\nexit 1\n");
    assert_snapshot!(lab.failure(&mut lab.qa()), @r#"
        exit 4
        the hook says no
        error: git commit failed (exit status 1)
          hint: the hook's or git's own message is above
          hint: mend that and run the same command again: it goes on from here
    "#);
    fs::remove_file(hook).unwrap();
    finishes_with_the_same_token(&lab);
}

#[test]
fn a_failing_signing_program_stops_half_way_and_the_next_run_finishes() {
    let lab = Lab::new();
    lab.git(["config", "commit.gpgSign", "true"]);
    let program = lab.home().join("gpg");
    shell(&program, "cat >/dev/null\necho no secret key >&2\nexit 2\n");
    lab.git(["config", "gpg.program", program.to_str().unwrap()]);
    assert_snapshot!(lab.failure(&mut lab.qa()), @r#"
        exit 4
        error: commits are signed here (commit.gpgSign), but that failed: Signing program failed, exit_code=2, exit_status="exit status: 2", program="[DESK]/home/gpg", stderr="no secret key\n", stdout=""
          hint: mend gpg.program and user.signingKey, or git config commit.gpgSign false
          hint: mend that and run the same command again: it goes on from here
    "#);
    lab.git(["config", "commit.gpgSign", "false"]);
    finishes_with_the_same_token(&lab);
}
