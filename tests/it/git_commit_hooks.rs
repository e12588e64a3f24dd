//! The hand-over: hooks and templates are git's business, and what they made is looked at.

use std::fs;

use super::repo_sandbox::{Repo, Road, Sandbox};
use crate::support::program::shell;

/// On the PATH there is git, and no hook yet.
fn repo() -> Repo {
    let repo = Repo::empty(&Sandbox::new(), "repo");
    repo.fill();
    repo
}

#[test]
fn every_hook_runs_once_on_our_files_alone_and_its_output_does_not_reach_stdout() {
    let repo = repo();
    for hook in ["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"] {
        repo.hook(hook, &format!("echo loud {hook}; echo {hook} >>\"$HOME/hooks\""));
    }
    repo.write("a", "A\n");
    repo.git(&["add", "a"]);
    repo.write("new.yaml", "n\n");
    let answer = repo.commit(&["new.yaml"], "h");
    answer.assert_made(Road::Git);
    assert!(answer.value["notes"][0].as_str().unwrap().contains("the pre-commit hook"));
    let ran = fs::read_to_string(repo.sandbox().path().join("home/hooks")).unwrap();
    assert_eq!(ran, "pre-commit\nprepare-commit-msg\ncommit-msg\npost-commit\n");
    assert!(answer.stderr.contains("loud pre-commit") && answer.stderr.contains("loud post-commit"));
    assert!(!answer.stdout.contains("loud"), "{}", answer.stdout);
    assert_eq!((repo.status(), repo.changed()), ("M  a".to_owned(), "A\tnew.yaml".to_owned()));
    repo.assert_sound();
}

#[test]
fn a_hook_sees_our_files_staged_and_its_own_patterns_work() {
    let repo = repo();
    repo.hook("pre-commit", "git diff --cached --name-only -- '*.yaml' >\"$HOME/seen\"");
    repo.write("new [1].yaml", "n\n");
    repo.write("s.yaml", "s: 2\n");
    repo.commit(&["new [1].yaml", "s.yaml"], "h").assert_made(Road::Git);
    let seen = fs::read_to_string(repo.sandbox().path().join("home/seen")).unwrap();
    assert_eq!(seen, "new [1].yaml\ns.yaml\n");
}

#[test]
fn a_hook_that_refuses_leaves_no_trace_of_a_new_file() {
    for first_commit in [false, true] {
        let repo = match first_commit {
            true => Repo::empty(&Sandbox::new(), "repo"),
            false => repo(),
        };
        repo.hook("pre-commit", "echo not like this >&2; exit 1");
        repo.write("new.yaml", "n\n");
        let answer = repo.commit(&["new.yaml"], "h");
        answer.assert_refused("git commit failed (exit status 1)");
        assert!(answer.stderr.contains("not like this"));
        assert!(answer.value["made"].is_null());
        assert_eq!(repo.status(), "?? new.yaml");
        repo.assert_nothing_left();
    }
}

#[test]
fn a_hook_that_refuses_leaves_a_known_file_and_all_else_as_it_was() {
    let repo = repo();
    repo.hook("commit-msg", "exit 3");
    repo.write("a", "A\n");
    repo.git(&["add", "a"]);
    repo.write("s.yaml", "s: 2\n");
    let before = (repo.full_status(""), repo.head());
    repo.commit(&["s.yaml"], "h").assert_refused("git commit failed");
    assert_eq!((repo.full_status(""), repo.head()), before);
    repo.assert_sound();
}

#[test]
fn a_hook_that_rewrites_our_file_is_found_out() {
    let repo = repo();
    repo.hook("pre-commit", "echo formatted >s.yaml; git add s.yaml");
    repo.write("s.yaml", "s: 2\n");
    let answer = repo.commit(&["s.yaml"], "h");
    answer.assert_refused("a hook changed what it holds at s.yaml");
    assert_eq!(answer.value["made"].as_str(), Some(repo.head().as_str()));
}

#[test]
fn a_hook_that_adds_another_file_is_found_out() {
    let repo = repo();
    repo.hook("pre-commit", "echo more >d/e/more; git add d/e/more");
    repo.write("s.yaml", "s: 2\n");
    let answer = repo.commit(&["s.yaml"], "h");
    answer.assert_refused("a hook changed what it holds at d/e/more");
    assert_eq!(answer.value["made"].as_str(), Some(repo.head().as_str()));
}

#[test]
fn a_hook_that_commits_once_more_is_found_out() {
    let repo = repo();
    repo.hook(
        "post-commit",
        "[ -e \"$HOME/once\" ] || { : >\"$HOME/once\"; git commit -q --allow-empty -m more; }",
    );
    repo.write("s.yaml", "s: 2\n");
    let answer = repo.commit(&["s.yaml"], "h");
    answer.assert_refused("a hook moved HEAD to");
    assert_eq!(answer.value["made"].as_str(), Some(repo.head().as_str()));
}

#[test]
fn a_hook_may_change_the_message() {
    let repo = repo();
    repo.hook("commit-msg", "echo 'Reviewed-by: hook' >>\"$1\"");
    repo.write("s.yaml", "s: 2\n");
    repo.commit(&["s.yaml"], "subject\n\n# not a comment\n").assert_made(Road::Git);
    assert_eq!(repo.git(&["log", "-1", "--format=%B"]), "subject\n\n# not a comment\nReviewed-by: hook");
}

#[test]
fn hooks_are_found_where_core_hooks_path_points_and_nowhere_else() {
    let repo = repo();
    repo.hook("pre-commit", "exit 1");
    repo.git(&["config", "core.hooksPath", ".hooks"]);
    repo.write("s.yaml", "s: 2\n");
    repo.commit(&["s.yaml"], "no hook there").assert_made(Road::Gix);
    shell(&repo.path.join(".hooks/pre-commit"), "echo ran >>\"$HOME/ran\"");
    repo.write("s.yaml", "s: 3\n");
    repo.commit(&["s.yaml"], "a hook there").assert_made(Road::Git);
    assert!(repo.sandbox().path().join("home/ran").exists());
}

#[test]
fn a_hook_that_is_not_executable_is_none() {
    let repo = repo();
    fs::write(repo.path.join(".git/hooks/pre-commit"), "#!/bin/sh\nexit 1\n").unwrap();
    repo.write("s.yaml", "s: 2\n");
    repo.commit(&["s.yaml"], "x").assert_made(Road::Gix);
}

#[test]
fn a_linked_worktree_runs_the_hooks_of_the_main_one() {
    let main = repo();
    main.hook("pre-commit", "echo ran >>\"$HOME/ran\"");
    main.git(&["worktree", "add", "-q", "../linked"]);
    let linked = main.beside("linked");
    fs::remove_file(linked.sandbox().path().join("home/ran")).unwrap_or_default();
    linked.write("s.yaml", "s: 2\n");
    linked.commit(&["s.yaml"], "x").assert_made(Road::Git);
    assert!(linked.sandbox().path().join("home/ran").exists());
}

#[test]
fn a_commit_template_is_gits_business() {
    let repo = repo();
    repo.write("../template", "Ticket: \n");
    repo.git(&["config", "commit.template", "../template"]);
    repo.write("s.yaml", "s: 2\n");
    let answer = repo.commit(&["s.yaml"], "t");
    answer.assert_made(Road::Git);
    assert!(answer.value["notes"][0].as_str().unwrap().contains("commit.template"));
    assert_eq!(repo.subject(), "t");
}

#[test]
fn hooks_without_a_git_to_run_them_are_refused_beforehand() {
    let repo = repo().on(Road::Gix);
    repo.hook("pre-commit", "exit 0");
    repo.write("s.yaml", "s: 2\n");
    repo.assert_refused(&["s.yaml"], "needs the git program, because of the pre-commit hook");
}

#[test]
fn a_git_found_through_the_environment_is_told_where_the_repository_is() {
    let mut repo = repo();
    repo.hook("post-commit", "exit 0");
    let elsewhere = repo.sandbox().path().join("elsewhere.git");
    fs::rename(repo.path.join(".git"), &elsewhere).unwrap();
    repo.env.insert("GIT_DIR".to_owned(), "../elsewhere.git".into());
    repo.env.insert("GIT_WORK_TREE".to_owned(), ".".into());
    repo.write("s.yaml", "s: 2\n");
    repo.write("new", "n\n");
    repo.commit(&["s.yaml", "new"], "g").assert_made(Road::Git);
    assert_eq!(repo.subject(), "g");
    assert_eq!(repo.status(), "");
}

#[test]
fn a_hook_named_in_the_configuration_counts() {
    // git 2.54 and later run it; an older git passes it over, and so do we by asking git.
    let repo = repo();
    repo.git(&["config", "hook.tidy.command", "true"]);
    repo.git(&["config", "hook.tidy.event", "pre-commit"]);
    repo.write("s.yaml", "s: 2\n");
    repo.commit(&["s.yaml"], "x").assert_made(Road::Git);
}

#[test]
fn a_git_that_fails_after_head_moved_is_told_with_the_commit_and_nothing_is_undone() {
    let repo = repo();
    // Without its lock git cannot put the index in place.
    repo.hook("reference-transaction", "[ \"$1\" != committed ] || rm -f .git/index.lock");
    repo.write("s.yaml", "s: 2\n");
    repo.write("new", "n\n");
    let answer = repo.commit(&["s.yaml", "new"], "half");
    answer.assert_refused("HEAD moved to it, but the index could not be replaced");
    assert_eq!(answer.value["made"].as_str(), Some(repo.head().as_str()));
    repo.git(&["reset", "-q", "HEAD", "--", "s.yaml", "new"]);
    assert_eq!((repo.subject(), repo.status()), ("half".to_owned(), String::new()));
}
