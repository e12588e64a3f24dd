//! What is refused, before anything is minted and again at the commit, and leaves everything as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::repo_sandbox::{Repo, Road, Sandbox, both};
use crate::support::lab::Lab;
use crate::support::program::shell;

#[test]
fn no_repository_and_a_bare_one_are_told_apart() {
    let sandbox = Sandbox::new();
    let nothing = Repo::at(&sandbox, "nothing");
    fs::create_dir(&nothing.path).unwrap();
    let answer = nothing.preflight(&[]);
    answer.assert_refused("no git repository at");
    assert!(answer.hint().contains("git init"));

    let bare = Repo::at(&sandbox, "bare");
    fs::create_dir(&bare.path).unwrap();
    bare.git(&["init", "-q", "--bare"]);
    bare.preflight(&[]).assert_refused("is a bare repository");
}

#[test]
fn a_worktree_of_a_bare_repository_is_not_bare() {
    both(|road| {
        let seed = Repo::new(road);
        seed.git(&["clone", "-q", "--bare", ".", "../bare"]);
        let bare = seed.beside("bare");
        bare.git(&["worktree", "add", "-q", "../linked", "main"]);
        let mut linked = seed.beside("linked");
        linked = linked.on(road);
        linked.write("s.yaml", "s: 2\n");
        linked.commit(&["s.yaml"], "w").assert_made(road);
        assert_eq!(linked.status(), "");
        linked.assert_sound();
    });
}

#[test]
fn a_reftable_repository_is_refused_with_the_way_out() {
    let repo = Repo::with(Road::Gix, &["--ref-format=reftable"]);
    repo.write("s.yaml", "s: 2\n");
    let answer = repo.commit(&["s.yaml"], "rt");
    answer.assert_refused("reftable, which is not supported");
    assert!(answer.hint().contains("git refs migrate"));
    assert_eq!(repo.subject(), "base");
}

#[test]
fn a_repository_of_another_user_is_refused_until_safe_directory_names_it() {
    let repo = Repo::new(Road::Gix);
    let foreign = |id| {
        for path in super::repo_sandbox::files_below(&repo.path).iter().flat_map(|file| file.ancestors()) {
            if path.starts_with(&repo.path) {
                std::os::unix::fs::lchown(path, Some(id), Some(id))?;
            }
        }
        Ok::<(), std::io::Error>(())
    };
    if let Err(error) = foreign(1234) {
        // Only root can give files away; then there is nothing foreign to look at.
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        return;
    }
    repo.write("s.yaml", "s: 2\n");
    let answer = repo.commit(&["s.yaml"], "o");
    answer.assert_refused("belongs to another user");
    assert!(answer.hint().contains(repo.path.to_str().unwrap()), "{}", answer.hint());
    repo.git(&["config", "--global", "--add", "safe.directory", repo.path.to_str().unwrap()]);
    repo.commit(&["s.yaml"], "o").assert_made(Road::Gix);
    foreign(0).unwrap();
}

/// Two branches that changed the same line.
fn divided(road: Road) -> Repo {
    let repo = Repo::new(road);
    repo.git(&["checkout", "-q", "-b", "other"]);
    repo.write("a", "other\n");
    repo.git(&["commit", "-qam", "other"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.write("a", "main\n");
    repo.git(&["commit", "-qam", "main"]);
    repo
}

#[test]
fn in_the_middle_of_another_operation_nothing_is_committed() {
    both(|road| {
        let operations: [(&[&str], &str, &[&str]); 4] = [
            (&["merge", "other"], "a merge is in progress", &["merge", "--abort"]),
            (&["rebase", "other"], "a rebase is in progress", &["rebase", "--abort"]),
            (&["cherry-pick", "other"], "a cherry-pick is in progress", &["cherry-pick", "--abort"]),
            (&["revert", "HEAD~1"], "a revert is in progress", &["revert", "--abort"]),
        ];
        let repo = divided(road);
        repo.write("a", "again\n");
        repo.git(&["commit", "-qam", "again"]);
        for (start, refusal, abort) in operations {
            assert!(!repo.git_output(start).status.success(), "{start:?} stops at a conflict");
            repo.write("s.yaml", "s: 2\n");
            repo.assert_refused(&["s.yaml"], refusal);
            repo.git(&["checkout", "-q", "s.yaml"]);
            repo.git(abort);
        }
        repo.assert_sound();
    });
}

#[test]
fn an_interrupted_am_is_refused_and_a_bisect_is_not() {
    both(|road| {
        let repo = divided(road);
        let patch = repo.git(&["format-patch", "-1", "--stdout", "other"]);
        repo.write("../patch", format!("{patch}\n"));
        assert!(!repo.git_output(&["am", "../patch"]).status.success());
        repo.write("s.yaml", "s: 2\n");
        repo.assert_refused(&["s.yaml"], "git am is in progress");
        repo.git(&["am", "--abort"]);
        repo.git(&["bisect", "start"]);
        repo.write("s.yaml", "s: 2\n");
        repo.commit(&["s.yaml"], "b").assert_made(road);
        repo.assert_sound();
    });
}

#[test]
fn an_unmerged_path_is_refused() {
    both(|road| {
        let repo = divided(road);
        assert!(!repo.git_output(&["merge", "other"]).status.success());
        fs::remove_file(repo.path.join(".git/MERGE_HEAD")).unwrap();
        repo.assert_refused(&["a"], "a has merge conflicts");
    });
}

#[test]
fn an_ignored_path_is_refused_unless_it_is_tracked() {
    both(|road| {
        let repo = Repo::new(road);
        repo.write(".gitignore", "*.key\n/locks/\n");
        repo.git(&["add", "."]);
        repo.git(&["commit", "-qm", "ig"]);
        repo.write("x.key", "s\n");
        repo.write("locks/qa", "s\n");
        repo.assert_refused(&["x.key"], "x.key is ignored by git");
        repo.assert_refused(&["locks/qa"], "locks/qa is ignored by git");
        repo.git(&["add", "-f", "x.key"]);
        repo.commit(&["x.key"], "tracked").assert_made(road);
        assert_eq!(repo.status(), "");
    });
}

#[test]
fn a_path_in_another_repository_or_that_is_a_directory_is_refused() {
    both(|road| {
        let repo = Repo::new(road);
        let nested = repo.beside("repo/nested");
        fs::create_dir(&nested.path).unwrap();
        nested.git(&["init", "-q"]);
        repo.write("nested/s", "s\n");
        repo.assert_refused(&["nested/s"], "inside nested, a repository of its own");
        repo.preflight(&["d"]).assert_refused("d is not a regular file");
    });
}

#[test]
fn without_an_identity_nothing_is_committed_and_the_environments_is_taken() {
    both(|road| {
        let mut repo = Repo::new(road);
        repo.git(&["config", "--global", "--unset", "user.name"]);
        repo.write("s.yaml", "s: 2\n");
        repo.assert_refused(&["s.yaml"], "git does not know who the author is");
        for (name, value) in [
            ("GIT_AUTHOR_NAME", "An"),
            ("GIT_AUTHOR_EMAIL", "a@x"),
            ("GIT_AUTHOR_DATE", "2020-01-02T03:04:05+0200"),
            ("GIT_COMMITTER_NAME", "Co"),
            ("GIT_COMMITTER_EMAIL", "c@x"),
        ] {
            repo.env.insert(name.to_owned(), value.into());
        }
        repo.commit(&["s.yaml"], "i").assert_made(road);
        let who = repo.git(&["log", "-1", "--format=%an %ae %cn %ce %aI"]);
        assert_eq!(who, "An a@x Co c@x 2020-01-02T03:04:05+02:00");
        repo.assert_sound();
    });
}

#[test]
fn a_file_that_is_not_what_was_written_is_refused() {
    both(|road| {
        let repo = Repo::new(road);
        repo.write("s.yaml", "somebody else's\n");
        let before = repo.head();
        let mut request = repo.request("commit", &["s.yaml"]);
        request["content"] = "ours\n".into();
        repo.ask(&request).assert_refused("s.yaml changed while it was being committed");
        assert_eq!((repo.head(), repo.status()), (before, " M s.yaml".to_owned()));
        repo.assert_sound();
    });
}

#[test]
fn a_head_that_moved_since_the_plan_is_refused() {
    both(|road| {
        let repo = Repo::new(road);
        let planned = repo.head();
        repo.git(&["commit", "-q", "--allow-empty", "-m", "theirs"]);
        repo.write("s.yaml", "s: 2\n");
        let mut request = repo.request("commit", &["s.yaml"]);
        request["head"] = planned.into();
        let answer = repo.ask(&request);
        answer.assert_refused("HEAD has moved since the plan was made");
        assert!(answer.value["made"].is_null());
        assert_eq!((repo.subject(), repo.status()), ("theirs".to_owned(), " M s.yaml".to_owned()));
        repo.assert_sound();
    });
}

#[test]
fn a_branch_that_moves_during_the_commit_is_not_overwritten() {
    // The filter runs while the index is locked and HEAD has been read, before the branch is locked.
    let repo = Repo::new(Road::Gix);
    repo.write(".gitattributes", "s.yaml filter=race\n");
    repo.git(&["add", ".gitattributes"]);
    repo.git(&["commit", "-qm", "attributes"]);
    let theirs = repo.git(&["commit-tree", "-p", "HEAD", "-m", "theirs", "HEAD^{tree}"]);
    let race = repo.sandbox().path().join("race");
    shell(&race, &format!("printf '%s\\n' {theirs} >.git/refs/heads/main; cat"));
    repo.git(&["config", "filter.race.clean", race.to_str().unwrap()]);
    repo.write("s.yaml", "s: 2\n");
    let index = fs::read(repo.path.join(".git/index")).unwrap();
    let answer = repo.commit(&["s.yaml"], "mine");
    answer.assert_refused("HEAD has moved");
    assert_eq!(fs::read(repo.path.join(".git/index")).unwrap(), index);
    repo.git(&["config", "--unset", "filter.race.clean"]);
    assert_eq!((repo.head(), repo.subject()), (theirs, "theirs".to_owned()));
    repo.assert_sound();
}

#[test]
fn a_required_filter_that_fails_refuses() {
    both(|road| {
        let repo = Repo::new(road);
        repo.write(".gitattributes", "s.yaml filter=up\n");
        repo.git(&["config", "filter.up.clean", "false"]);
        repo.git(&["config", "filter.up.required", "true"]);
        repo.write("s.yaml", "s: 2\n");
        let before = repo.head();
        repo.commit(&["s.yaml"], "x").assert_refused("the git filter for s.yaml failed");
        assert_eq!(repo.head(), before);
        repo.assert_sound();
    });
}

#[test]
fn a_git_directory_that_cannot_be_written_is_refused_beforehand() {
    let repo = Repo::new(Road::Gix);
    let git = repo.path.join(".git");
    let set = |mode| fs::set_permissions(&git, fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    let answer = repo.preflight(&["s.yaml"]);
    let writable_all_the_same = fs::write(git.join("probe"), "").is_ok();
    set(0o755);
    // Root writes everywhere, and is not refused.
    match writable_all_the_same {
        true => assert!(answer.value["error"].is_null(), "{}", answer.value),
        false => answer.assert_refused("cannot write in"),
    }
}

#[test]
fn an_index_that_cannot_be_put_in_place_after_head_moved_is_told_with_the_commit() {
    let repo = Repo::new(Road::Gix);
    repo.write(".gitattributes", "s.yaml filter=spoil\n");
    let spoil = repo.sandbox().path().join("spoil");
    // While the index is locked and has been read, something puts a directory in its place.
    shell(&spoil, "mv .git/index .git/spared; mkdir .git/index; cat");
    repo.git(&["config", "filter.spoil.clean", spoil.to_str().unwrap()]);
    repo.write("s.yaml", "s: 2\n");
    let answer = repo.commit(&["s.yaml"], "half");
    answer.assert_refused("HEAD moved to it, but the index could not be replaced");
    assert_eq!(answer.value["made"].as_str(), Some(repo.head().as_str()));
    assert!(answer.hint().contains("git reset"));
    fs::remove_dir(repo.path.join(".git/index")).unwrap();
    fs::rename(repo.path.join(".git/spared"), repo.path.join(".git/index")).unwrap();
    repo.git(&["config", "--unset", "filter.spoil.clean"]);
    repo.git(&["reset", "-q", "HEAD", "--", "s.yaml"]);
    assert_eq!((repo.subject(), repo.status()), ("half".to_owned(), "?? .gitattributes".to_owned()));
    repo.assert_sound();
}

#[test]
fn a_file_of_a_submodule_is_refused_by_name() {
    let lab = Lab::new();
    lab.git(["clone", "-q", ".", "sub"]);
    lab.git(["-c", "advice.addEmbeddedRepo=false", "add", "sub"]);
    let profile = lab.read("environments/qa.yaml");
    lab.write("environments/qa.yaml", &profile.replace("secrets/qa.sops.yaml", "sub/secrets/qa.sops.yaml"));
    lab.write(".sops.yaml", &lab.read(".sops.yaml").replace("^secrets", "secrets"));
    lab.commit_all("a file of a submodule");
    let refusal = "sub/secrets/qa.sops.yaml is inside sub, a repository of its own (a submodule)";
    lab.provision(["--env", "qa", "--yes"]).refused(5, refusal);
    // Also where the submodule is not checked out.
    fs::remove_dir_all(lab.repo().join("sub")).unwrap();
    fs::create_dir(lab.repo().join("sub")).unwrap();
    lab.provision(["--env", "qa", "--yes"]).refused(5, refusal);
    assert!(lab.minted().is_empty());
}
