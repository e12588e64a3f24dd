//! One commit with exactly our paths, and nothing else of the user's touched: each case on both roads.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use super::repo_sandbox::{Repo, Sandbox, both};

#[test]
fn everything_else_staged_or_unstaged_stays_byte_for_byte() {
    both(|road| {
        let repo = Repo::new(road);
        repo.write("a", "a\nA\n");
        repo.git(&["add", "a"]);
        repo.write("a", "a\nA\nA2\n");
        repo.write("b", "b\nB\n");
        repo.git(&["rm", "-q", "--cached", "c"]);
        repo.write("u", "U\n");
        repo.git(&["add", "-N", "u"]);
        repo.write("s.yaml", "s: 2\n");
        let except = [":!s.yaml"];
        let diff = |kind: &[&str]| repo.git(&[kind, &["--", "."], &except].concat());
        let before = (repo.full_status("s.yaml"), diff(&["diff", "--cached"]), diff(&["diff"]));
        let staged = repo.git(&["rev-parse", ":a"]);

        repo.commit(&["s.yaml"], "two").assert_made(road);

        assert_eq!((repo.full_status(""), repo.git(&["diff", "--cached"]), repo.git(&["diff"])), before);
        assert_eq!(repo.changed(), "M\ts.yaml");
        assert_eq!(repo.git(&["reflog", "-1", "--format=%gs"]), "commit: two");
        assert_eq!(repo.git(&["rev-parse", ":a"]), staged);
        assert_eq!(repo.git(&["log", "-1", "--format=%B"]), "two");
        repo.assert_sound();
    });
}

#[test]
fn the_next_plain_commit_of_git_keeps_our_content() {
    // gix writes a stale cache of trees back unless it is removed: git would then restore the old d/e/x.
    both(|road| {
        let repo = Repo::new(road);
        repo.git(&["write-tree"]);
        repo.write("d/e/x", "two\n");
        // An old file is not racy: git will not look at its content again, but at the cache of trees.
        let file = fs::File::options().append(true).open(repo.path.join("d/e/x")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
        repo.commit(&["d/e/x"], "ours").assert_made(road);
        repo.write("b", "theirs\n");
        repo.git(&["commit", "-qam", "theirs"]);
        assert_eq!(repo.changed(), "M\tb");
        assert_eq!(repo.git(&["show", "HEAD:d/e/x"]), "two");
        assert_eq!(repo.status(), "");
    });
}

#[test]
fn the_worktree_wins_over_what_is_staged_of_the_same_path() {
    both(|road| {
        let repo = Repo::new(road);
        repo.write("s.yaml", "s: staged\n");
        repo.git(&["add", "s.yaml"]);
        repo.write("s.yaml", "s: worktree\n");
        repo.commit(&["s.yaml"], "x").assert_made(road);
        assert_eq!(repo.git(&["show", "HEAD:s.yaml"]), "s: worktree");
        assert_eq!(repo.status(), "");
    });
}

#[test]
fn the_first_commit_of_a_branch_holds_our_file_alone() {
    both(|road| {
        let repo = Repo::empty(&Sandbox::new(), "repo").on(road);
        repo.write("z", "z\n");
        repo.git(&["add", "z"]);
        repo.write("s.yaml", "s\n");
        repo.commit(&["s.yaml"], "i").assert_made(road);
        assert_eq!(repo.git(&["ls-tree", "--name-only", "HEAD"]), "s.yaml");
        assert_eq!(repo.status(), "A  z");
        assert_eq!(repo.git(&["reflog", "-1", "--format=%gs"]), "commit (initial): i");
        repo.assert_sound();
    });
}

#[test]
fn the_very_first_commit_works_without_an_index() {
    both(|road| {
        let repo = Repo::empty(&Sandbox::new(), "repo").on(road);
        repo.write("deep/er/s.yaml", "s\n");
        repo.preflight(&["deep/er/s.yaml"]);
        repo.commit(&["deep/er/s.yaml"], "i").assert_made(road);
        assert_eq!(repo.status(), "");
        repo.assert_sound();
    });
}

#[test]
fn a_detached_head_moves_and_no_branch_does() {
    both(|road| {
        let repo = Repo::new(road);
        repo.git(&["checkout", "-q", "--detach"]);
        repo.write("s.yaml", "s: 2\n");
        repo.commit(&["s.yaml"], "d").assert_made(road);
        assert!(!repo.git_output(&["symbolic-ref", "-q", "HEAD"]).status.success());
        assert_eq!(repo.subject(), "d");
        assert_eq!(repo.git(&["log", "-1", "--format=%s", "main"]), "base");
        assert_eq!(repo.status(), "");
        repo.assert_sound();
    });
}

#[test]
fn a_linked_worktree_commits_on_its_own_branch() {
    both(|road| {
        let main = Repo::new(road);
        main.git(&["worktree", "add", "-q", "../linked", "-b", "topic/one"]);
        let linked = main.beside("linked");
        linked.write("s.yaml", "s: 2\n");
        linked.write("a", "A\n");
        linked.git(&["add", "a"]);
        linked.commit(&["s.yaml"], "w").assert_made(road);
        assert_eq!(linked.git(&["log", "-1", "--format=%s", "topic/one"]), "w");
        assert_eq!(linked.git(&["log", "-1", "--format=%s", "main"]), "base");
        assert_eq!(linked.status(), "M  a");
        assert_eq!(main.status(), "");
        linked.assert_sound();
    });
}

#[test]
fn inside_a_submodule_the_submodule_gets_the_commit() {
    both(|road| {
        let sub = Repo::new(road);
        let main = Repo::empty(sub.sandbox(), "main");
        main.fill();
        main.git(&["submodule", "--quiet", "add", "../repo", "sub"]);
        main.git(&["commit", "-qm", "sub"]);
        let mut inside = Repo::at(sub.sandbox(), "main/sub");
        inside = inside.on(road);
        inside.write("s.yaml", "s: 2\n");
        inside.commit(&["s.yaml"], "inside").assert_made(road);
        assert_eq!(inside.subject(), "inside");
        assert_eq!(main.status(), " M sub");
        inside.assert_sound();
        // From the outside the same file is another repository's.
        inside.write("s.yaml", "s: 3\n");
        main.on(road).assert_refused(&["sub/s.yaml"], "a repository of its own");
    });
}

#[test]
fn any_name_from_any_directory_is_taken_literally() {
    both(|road| {
        let repo = Repo::new(road);
        let name = "n/o/p/h é*[a] .yaml";
        repo.write(name, "1\n");
        repo.write("n/o/p/h é2a .yaml", "not ours\n");
        let mut request = repo.request("commit", &["./../../n/o/p/h é*[a] .yaml"]);
        request["dir"] = ".".into();
        let child = repo.driver(&request).current_dir(repo.path.join("d/e")).spawn().unwrap();
        repo.finish(&request, child).assert_made(road);
        assert_eq!(repo.changed(), format!("A\t{name}"));
        assert_eq!(
            repo.git(&["-c", "core.quotePath=false", "status", "--porcelain", "-z"]),
            "?? n/o/p/h é2a .yaml\0"
        );

        repo.write("d/e/x", "x\n2\n");
        let absolute = repo.path.join("d/e/x");
        let request = repo.request("commit", &[absolute.to_str().unwrap()]);
        let child = repo.driver(&request).current_dir("/").spawn().unwrap();
        repo.finish(&request, child).assert_made(road);
        assert_eq!(repo.changed(), "M\td/e/x");
        repo.assert_sound();
    });
}

#[test]
fn a_symlink_is_followed_and_kept_and_its_target_is_committed() {
    both(|road| {
        let repo = Repo::new(road);
        repo.write("real/f", "1\n");
        symlink("real", repo.path.join("link")).unwrap();
        symlink("../s.yaml", repo.path.join("d/l")).unwrap();
        repo.git(&["add", "link", "d/l"]);
        repo.git(&["commit", "-qm", "links"]);
        repo.write("s.yaml", "s: 2\n");
        repo.commit(&["link/f", "d/l"], "sl").assert_made(road);
        assert_eq!(repo.changed(), "A\treal/f\nM\ts.yaml");
        assert_eq!(repo.status(), "");
        repo.assert_sound();
        symlink("/etc", repo.path.join("out")).unwrap();
        repo.assert_refused(&["out/passwd"], "leaves the repository through a symlink");
        repo.assert_refused(&["real/f", "link/f"], "are the same file, real/f");
    });
}

#[test]
fn the_executable_bit_is_the_files_or_where_file_mode_is_off_the_indexs() {
    both(|road| {
        let repo = Repo::new(road);
        let set =
            |mode| fs::set_permissions(repo.path.join("s.yaml"), fs::Permissions::from_mode(mode)).unwrap();
        let committed = || repo.git(&["ls-tree", "HEAD", "s.yaml"])[..6].to_owned();
        set(0o755);
        repo.commit(&["s.yaml"], "bit alone").assert_made(road);
        assert_eq!(committed(), "100755");
        repo.git(&["config", "core.fileMode", "false"]);
        set(0o644);
        repo.write("s.yaml", "s: 2\n");
        repo.commit(&["s.yaml"], "content").assert_made(road);
        assert_eq!(committed(), "100755");
        assert_eq!(repo.status(), "");
        repo.assert_sound();
    });
}

#[test]
fn what_head_already_holds_makes_no_commit_and_touches_nothing() {
    both(|road| {
        let repo = Repo::new(road);
        let before = (repo.head(), fs::read(repo.path.join(".git/index")).unwrap());
        assert_eq!(repo.commit(&["s.yaml"], "n").value["unchanged"], true);
        assert_eq!((repo.head(), fs::read(repo.path.join(".git/index")).unwrap()), before);
        repo.assert_nothing_left();
    });
}

#[test]
fn a_removed_file_is_recorded_and_a_file_that_never_was_is_nothing() {
    both(|road| {
        let repo = Repo::new(road);
        fs::remove_file(repo.path.join("s.yaml")).unwrap();
        repo.commit(&["s.yaml"], "del").assert_made(road);
        assert_eq!(repo.changed(), "D\ts.yaml");
        assert_eq!(repo.status(), "");
        assert_eq!(repo.commit(&["nope"], "n").value["unchanged"], true);
        repo.assert_sound();
    });
}

#[test]
fn a_file_takes_the_place_of_a_directory() {
    both(|road| {
        let repo = Repo::new(road);
        fs::remove_dir_all(repo.path.join("d")).unwrap();
        repo.write("d", "file\n");
        repo.commit(&["d"], "df").assert_made(road);
        assert_eq!(repo.changed(), "A\td\nD\td/e/x");
        assert_eq!(repo.status(), "");
        repo.assert_sound();
    });
}

#[test]
fn packed_references_and_objects_are_no_obstacle() {
    both(|road| {
        let repo = Repo::new(road);
        repo.git(&["pack-refs", "--all"]);
        repo.git(&["gc", "-q"]);
        repo.write("d/e/x", "2\n");
        repo.commit(&["d/e/x"], "p").assert_made(road);
        assert_eq!(repo.subject(), "p");
        assert_eq!(repo.status(), "");
        repo.assert_sound();
    });
}

#[test]
fn several_files_make_one_commit() {
    both(|road| {
        let repo = Repo::new(road);
        repo.write("secrets/qa.sops.yaml", "1\n");
        repo.write("environments/locks/qa.yaml", "2\n");
        repo.write("a", "changed\n");
        let message = "provision(qa): mint one\n\nProvision-Environment: qa";
        repo.commit(&["secrets/qa.sops.yaml", "environments/locks/qa.yaml"], message).assert_made(road);
        assert_eq!(repo.changed(), "A\tenvironments/locks/qa.yaml\nA\tsecrets/qa.sops.yaml");
        assert_eq!(
            repo.git(&["log", "-1", "--format=%(trailers:key=Provision-Environment,valueonly)"]),
            "qa"
        );
        assert_eq!(repo.status(), " M a");
        repo.assert_sound();
    });
}
