//! What the repository says of itself: where it is, what HEAD holds, how files differ, what is upstream.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::repo_sandbox::{Repo, Road, Sandbox};

fn repo() -> Repo {
    Repo::new(Road::Gix)
}

fn difference(repo: &Repo, path: &str) -> Value {
    repo.look(&[path])["files"][0]["difference"].clone()
}

#[test]
fn it_is_found_from_below_and_names_its_places() {
    let repo = repo();
    let mut request = repo.request("look", &[]);
    request["dir"] = repo.path.join("d/e").to_str().into();
    let found = repo.ask(&request).value;
    assert_eq!(found["root"], json!(repo.path));
    assert_eq!(found["git_dir"], json!(repo.path.join(".git")));
    assert_eq!(found["common_dir"], found["git_dir"]);
    assert_eq!((&found["worktree"], &found["state"]), (&Value::Null, &Value::Null));
    assert_eq!(found["commit"], json!(repo.head()));
    assert_eq!(found["branch"], "refs/heads/main");
}

#[test]
fn a_linked_worktree_has_a_name_and_shares_the_common_directory() {
    let main = repo();
    main.git(&["worktree", "add", "-q", "--detach", "../linked"]);
    let found = main.beside("linked").look(&[]);
    assert_eq!(found["worktree"], "linked");
    assert_eq!(found["common_dir"], json!(main.path.join(".git")));
    assert_eq!(found["git_dir"], json!(main.path.join(".git/worktrees/linked")));
    assert_eq!((&found["branch"], &found["commit"]), (&Value::Null, &json!(main.head())));
}

#[test]
fn a_branch_without_commits_has_a_name_and_no_commit() {
    let repo = Repo::empty(&Sandbox::new(), "repo");
    let found = repo.look(&["s.yaml"]);
    assert_eq!((&found["branch"], &found["commit"]), (&json!("refs/heads/main"), &Value::Null));
    assert_eq!(found["files"][0]["at_head"], Value::Null);
    assert_eq!(found["files"][0]["difference"], Value::Null);
}

#[test]
fn each_difference_from_head_has_its_name() {
    let repo = repo();
    repo.write(".gitignore", "*.key\n");
    repo.write("staged", "s\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "ig"]);
    repo.write("staged", "x\n");
    repo.write("added", "x\n");
    repo.git(&["add", "staged", "added"]);
    repo.write("a", "A\n");
    repo.write("b", "B\n");
    repo.git(&["add", "b"]);
    repo.write("b", "BB\n");
    fs::remove_file(repo.path.join("c")).unwrap();
    repo.write("new", "n\n");
    repo.write("noted", "n\n");
    repo.git(&["add", "-N", "noted"]);
    repo.write("x.key", "k\n");
    repo.git(&["rm", "-q", "--cached", "d/e/x"]);
    for (path, expected) in [
        ("s.yaml", Value::Null),
        ("nowhere", Value::Null),
        ("added", json!("Added")),
        ("staged", json!("Staged")),
        ("a", json!("Unstaged")),
        ("b", json!("StagedAndUnstaged")),
        ("c", json!("Missing")),
        ("new", json!("Untracked")),
        ("noted", json!("Untracked")),
        ("x.key", json!("Ignored")),
        ("d/e/x", json!("StagedAndUnstaged")),
    ] {
        assert_eq!(difference(&repo, path), expected, "{path}");
    }
    assert_eq!(repo.look(&["x.key", "new"])["files"][0]["ignored"], true);
    assert_eq!(repo.look(&["new"])["files"][0]["ignored"], false);
}

#[test]
fn a_conflict_and_a_file_outside_the_sparse_checkout_have_their_names() {
    let repo = repo();
    repo.git(&["checkout", "-q", "-b", "other"]);
    repo.write("a", "other\n");
    repo.git(&["commit", "-qam", "other"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.write("a", "main\n");
    repo.git(&["commit", "-qam", "main"]);
    repo.git_output(&["merge", "other"]);
    assert_eq!(difference(&repo, "a"), "Conflicted");
    assert_eq!(repo.look(&[])["state"], "a merge");
    repo.git(&["merge", "--abort"]);
    repo.git(&["sparse-checkout", "set", "--cone", "--no-sparse-index", "elsewhere"]);
    assert_eq!(difference(&repo, "d/e/x"), "OutsideSparse");
}

#[test]
fn a_touched_file_with_the_same_content_is_no_difference() {
    let repo = repo();
    let file = fs::File::options().append(true).open(repo.path.join("s.yaml")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(difference(&repo, "s.yaml"), Value::Null);
}

#[test]
fn a_symlink_inside_is_followed_and_one_that_leads_out_is_an_error() {
    let repo = repo();
    symlink("d", repo.path.join("link")).unwrap();
    symlink("../..", repo.path.join("d/out")).unwrap();
    let files = repo.look(&["link/e/x", "d/out/x"]);
    assert_eq!(files["files"][0]["resolved"], "d/e/x");
    assert_eq!(files["files"][0]["at_head"], "x\n");
    let error = files["files"][1]["error"].as_str().unwrap();
    assert!(error.contains("leaves the repository through a symlink"), "{error}");
}

#[test]
fn the_first_parent_history_of_a_file_comes_newest_first() {
    let repo = repo();
    let base = repo.head();
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.write("s.yaml", "s: side\n");
    repo.git(&["commit", "-qam", "side"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    let merge = repo.head();
    let file = &repo.look(&["s.yaml"])["files"][0];
    let history = file["history"].as_array().unwrap();
    let seen: Vec<_> = history.iter().map(|entry| (entry[0].as_str().unwrap(), entry[2].as_str())).collect();
    assert_eq!(seen, [(merge.as_str(), Some("s: side\n")), (base.as_str(), Some("s: 1\n"))]);
    let time: i64 = repo.git(&["log", "-1", "--format=%ct"]).parse().unwrap();
    assert_eq!(history[0][1], time);
    assert_eq!(file["cut_off"], false);
    assert_eq!(repo.look(&["nowhere"])["files"][0]["history"][0][2], Value::Null);
}

#[test]
fn a_shallow_history_says_that_it_is_cut_off() {
    let origin = repo();
    origin.write("s.yaml", "s: 2\n");
    origin.git(&["commit", "-qam", "two"]);
    let url = format!("file://{}", origin.path.display());
    origin.git(&["clone", "-q", "--depth=1", &url, "../shallow"]);
    origin.git(&["clone", "-q", &url, "../whole"]);
    let of = |name: &str| origin.beside(name).look(&["s.yaml"])["files"][0].clone();
    assert_eq!(of("shallow")["history"].as_array().unwrap().len(), 1);
    assert_eq!(of("shallow")["cut_off"], true);
    assert_eq!(of("whole")["history"].as_array().unwrap().len(), 2);
    assert_eq!(of("whole")["cut_off"], false);
}

#[test]
fn upstream_is_head_where_there_is_no_remote() {
    assert_eq!(repo().look(&[])["upstream"], "head");
}

#[test]
fn upstream_is_the_remotes_default_branch_as_last_fetched() {
    let origin = repo();
    origin.git(&["branch", "-m", "trunk"]);
    origin.git(&["clone", "-q", ".", "../clone"]);
    let clone = origin.beside("clone");
    let fetched = origin.head();
    clone.git(&["checkout", "-q", "-b", "topic"]);
    clone.git(&["commit", "-q", "--allow-empty", "-m", "local"]);
    assert_eq!(clone.look(&[])["upstream"], format!("refs/remotes/origin/trunk {fetched}"));
}

#[test]
fn without_a_remote_head_upstream_is_main_or_master_when_one_of_them_exists() {
    let origin = repo();
    let id = origin.head();
    let clone = |name: &str| {
        origin.git(&["clone", "-q", ".", &format!("../{name}")]);
        let clone = origin.beside(name);
        clone.git(&["remote", "set-head", "origin", "--delete"]);
        clone
    };
    assert_eq!(clone("one").look(&[])["upstream"], format!("refs/remotes/origin/main {id}"));
    origin.git(&["branch", "master"]);
    let both = clone("two").look(&[])["upstream"].clone();
    assert!(both.as_str().unwrap().starts_with("unknown: origin has no known default branch"), "{both}");
    let neither = repo();
    neither.git(&["remote", "add", "origin", "nowhere"]);
    let neither = neither.look(&[])["upstream"].clone();
    assert!(neither.as_str().unwrap().contains("git remote set-head origin --auto"), "{neither}");
}

#[test]
fn the_branchs_own_remote_wins_and_several_without_a_rule_are_unknown() {
    let repo = repo();
    let id = repo.head();
    for remote in ["alpha", "beta"] {
        repo.git(&["remote", "add", remote, "nowhere"]);
        repo.git(&["update-ref", &format!("refs/remotes/{remote}/main"), &id]);
    }
    let unknown = repo.look(&[])["upstream"].clone();
    assert!(unknown.as_str().unwrap().contains("several remotes (alpha, beta)"), "{unknown}");
    repo.git(&["config", "branch.main.remote", "beta"]);
    assert_eq!(repo.look(&[])["upstream"], format!("refs/remotes/beta/main {id}"));
    repo.git(&["config", "branch.main.remote", "gone"]);
    repo.git(&["remote", "rename", "alpha", "origin"]);
    assert_eq!(repo.look(&[])["upstream"], format!("refs/remotes/origin/main {id}"));
}
