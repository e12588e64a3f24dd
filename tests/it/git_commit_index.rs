//! What the index may be when we commit: sparse, split, of version 4, watched, racy, locked, contended.

use std::fs;
use std::time::{Duration, SystemTime};

use super::repo_sandbox::{Repo, Road, both};
use crate::support::program::shell;

fn sparse(road: Road, sparse_index: bool) -> Repo {
    let mut repo = Repo::new(Road::Gix);
    repo.write("in/s", "one\n");
    repo.write("out/s", "two\n");
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-qm", "more"]);
    let kind = if sparse_index { "--sparse-index" } else { "--no-sparse-index" };
    repo.git(&["sparse-checkout", "set", "--cone", kind, "in"]);
    if road == Road::Git {
        repo.env.insert("PATH".to_owned(), std::env::var_os("PATH").unwrap());
    }
    repo
}

fn entries_but(repo: &Repo, name: &str) -> String {
    let all = repo.git(&["ls-files", "--sparse", "-t", "-s"]);
    all.lines().filter(|line| !line.ends_with(name)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_sparse_checkout_stays_sparse_and_new_files_inside_it_are_committed() {
    both(|road| {
        for sparse_index in [false, true] {
            let repo = sparse(road, sparse_index);
            repo.write("in/s", "two\n");
            let before = entries_but(&repo, "in/s");
            assert_eq!(before.contains("out/\n") || before.ends_with("out/"), sparse_index, "{before}");
            repo.commit(&["in/s"], "edit").assert_made(road);
            assert_eq!(entries_but(&repo, "in/s"), before);
            assert_eq!(repo.changed(), "M\tin/s");
            repo.write("in/new", "n\n");
            repo.preflight(&["in/new"]);
            repo.commit(&["in/new"], "new").assert_made(road);
            assert_eq!(repo.status(), "");
            repo.assert_sound();
        }
    });
}

#[test]
fn a_path_outside_the_sparse_checkout_is_refused() {
    both(|road| {
        for sparse_index in [false, true] {
            let repo = sparse(road, sparse_index);
            repo.write("out/s", "three\n");
            let before = repo.head();
            repo.preflight(&["out/s"]).assert_refused("outside the sparse checkout");
            repo.commit(&["out/s"], "bad").assert_refused("outside the sparse checkout");
            assert_eq!(repo.head(), before);
            repo.assert_nothing_left();
        }
    });
}

#[test]
fn a_new_path_that_git_says_is_outside_the_sparse_checkout_is_refused_beforehand() {
    let repo = sparse(Road::Git, false);
    repo.write("elsewhere/new", "n\n");
    repo.assert_refused(&["elsewhere/new"], "outside the sparse checkout");
}

#[test]
fn a_split_index_keeps_what_is_staged() {
    both(|road| {
        let repo = Repo::new(road);
        repo.git(&["config", "core.splitIndex", "true"]);
        repo.git(&["update-index", "--split-index"]);
        repo.write("a", "A\n");
        repo.git(&["add", "a"]);
        repo.write("s.yaml", "s: 2\n");
        repo.commit(&["s.yaml"], "sp").assert_made(road);
        assert_eq!(repo.status(), "M  a");
        repo.git_output(&["update-index", "--refresh"]);
        assert_eq!(repo.status(), "M  a");
        repo.assert_sound();
    });
}

#[test]
fn a_sha256_repository_gets_sha256_objects() {
    both(|road| {
        let repo = Repo::with(road, &["--object-format=sha256"]);
        repo.write("s.yaml", "s: 2\n");
        repo.commit(&["s.yaml"], "h").assert_made(road);
        assert_eq!(repo.head().len(), 64);
        assert_eq!(repo.status(), "");
        repo.assert_sound();
    });
}

/// Index version 4, cache of untracked files, and a file system monitor that says "everything may have
/// changed".
fn decorated(road: Road) -> Repo {
    let mut repo = Repo::new(Road::Gix);
    let monitor = repo.path.join(".git/monitor");
    shell(&monitor, "printf 'token\\0/\\0'");
    repo.git(&["config", "core.fsmonitor", monitor.to_str().unwrap()]);
    repo.git(&["config", "core.untrackedCache", "true"]);
    repo.git(&["update-index", "--index-version", "4", "--untracked-cache", "--fsmonitor"]);
    repo.git(&["status"]);
    if road == Road::Git {
        repo.env.insert("PATH".to_owned(), std::env::var_os("PATH").unwrap());
    }
    repo.write("a", "A\n");
    repo.git(&["add", "a"]);
    repo.write("b", "B\n");
    repo.write("s.yaml", "s: 2\n");
    repo
}

fn extensions(repo: &Repo) -> Vec<&'static str> {
    let index = fs::read(repo.path.join(".git/index")).unwrap();
    let has = |name: &str| index.windows(4).any(|window| window == name.as_bytes());
    ["UNTR", "FSMN"].into_iter().filter(|name| has(name)).collect()
}

#[test]
fn what_only_git_keeps_of_an_index_is_handed_to_git_without_any_hook() {
    let repo = decorated(Road::Git);
    assert_eq!(extensions(&repo), ["UNTR", "FSMN"]);
    let answer = repo.commit(&["s.yaml"], "f");
    answer.assert_made(Road::Git);
    assert!(answer.value["notes"][0].as_str().unwrap().contains("index version 4"), "{}", answer.value);
    assert_eq!(repo.git(&["update-index", "--show-index-version"]), "4");
    assert_eq!(extensions(&repo), ["UNTR", "FSMN"]);
    assert_eq!(repo.status(), "M  a\n M b");
    repo.assert_sound();
}

#[test]
fn without_git_the_same_index_is_written_plain_and_the_note_says_so() {
    let repo = decorated(Road::Gix);
    let answer = repo.commit(&["s.yaml"], "f");
    answer.assert_made(Road::Gix);
    assert!(answer.value["notes"][0].as_str().unwrap().contains("index version 4 is not kept"));
    assert_eq!(repo.status(), "M  a\n M b");
    repo.assert_sound();
}

#[test]
fn an_edit_of_the_same_length_in_the_same_moment_as_its_add_is_still_seen_after_our_commit() {
    both(|road| {
        let repo = Repo::new(road);
        let a = repo.path.join("a");
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        // Both versions have the same size and time, and the index is as young as they are: only its racy
        // entries' content tells them apart.
        let touch = |path: &std::path::Path| {
            fs::File::options().append(true).open(path).unwrap().set_modified(moment).unwrap();
        };
        repo.git(&["config", "core.trustctime", "false"]);
        repo.write("a", "AAAA\n");
        touch(&a);
        repo.git(&["add", "a"]);
        touch(&repo.path.join(".git/index"));
        fs::write(&a, "BBBB\n").unwrap();
        touch(&a);
        assert_eq!(repo.git(&["--no-optional-locks", "status", "--porcelain", "a"]), "MM a");
        repo.write("s.yaml", "longer: 2\n");
        repo.commit(&["s.yaml"], "r").assert_made(road);
        // An index written now is older than that moment too; make it younger, as it is in a real repository.
        let later = moment + Duration::from_secs(5);
        fs::File::options()
            .append(true)
            .open(repo.path.join(".git/index"))
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_eq!(repo.status(), "MM a");
    });
}

#[test]
fn a_held_index_is_waited_for_and_then_refused_with_the_locks_name() {
    both(|road| {
        let repo = Repo::new(road);
        repo.write("s.yaml", "s: 2\n");
        let lock = repo.path.join(".git/index.lock");
        fs::write(&lock, "").unwrap();
        let answer = repo.commit(&["s.yaml"], "l");
        answer.assert_refused("locked by");
        answer.assert_refused(lock.to_str().unwrap());
        assert!(answer.hint().contains("remove"), "{}", answer.hint());
        assert_eq!(repo.subject(), "base");
        assert!(lock.exists());
        fs::remove_file(&lock).unwrap();
        repo.commit(&["s.yaml"], "l").assert_made(road);
    });
}

#[test]
fn a_held_branch_is_refused_beforehand() {
    both(|road| {
        let repo = Repo::new(road);
        let lock = repo.path.join(".git/refs/heads/main.lock");
        fs::write(&lock, "").unwrap();
        repo.write("s.yaml", "s: 2\n");
        repo.preflight(&["s.yaml"]).assert_refused(lock.to_str().unwrap());
        let answer = repo.commit(&["s.yaml"], "l");
        assert!(answer.value["error"].is_string() && answer.value["made"].is_null(), "{}", answer.value);
        fs::remove_file(&lock).unwrap();
        assert_eq!(repo.status(), " M s.yaml");
        repo.assert_sound();
    });
}

/// Commits `f0` to `f7` at once; `with_git` says which of them git itself commits.
fn eight_at_once(repo: &Repo, with_git: impl Fn(usize) -> bool + Sync) {
    for number in 0..8 {
        repo.write(&format!("f{number}"), "v\n");
    }
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-qm", "files"]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let by_git = with_git(number);
            scope.spawn(move || {
                let name = format!("f{number}");
                repo.write(&name, "n\n");
                // Each is told to try again while another holds the index or has moved HEAD.
                let tries = (1..=500).find(|_| committed(repo, by_git, &name));
                assert!(tries.is_some(), "{name} is never committed");
            });
        }
    });
    let subjects = repo.git(&["log", "--format=%s", "-8"]);
    let mut subjects: Vec<&str> = subjects.lines().collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"]);
    for commit in repo.git(&["log", "--format=%H %s", "-8"]).lines() {
        let (id, subject) = commit.split_once(' ').unwrap();
        assert_eq!(repo.git(&["diff-tree", "--no-commit-id", "--name-only", "-r", id]), subject);
    }
    repo.assert_sound();
}

fn committed(repo: &Repo, by_git: bool, name: &str) -> bool {
    if by_git {
        return repo.git_output(&["commit", "-q", "--only", "-m", name, "--", name]).status.success();
    }
    let mut request = repo.request("commit", &[name]);
    request["message"] = name.into();
    request["name"] = name.into();
    repo.ask(&request).value["id"].is_string()
}

#[test]
fn eight_committers_at_once_make_eight_commits_of_one_file_each_and_lose_nothing_of_the_index() {
    let repo = Repo::new(Road::Gix);
    eight_at_once(&repo, |_| false);
    assert_eq!(repo.status(), "");
}

#[test]
fn gits_and_ours_at_once_make_eight_commits_of_one_file_each() {
    // The index may be behind afterwards: `git commit --only` reads it before it locks it.
    let repo = Repo::new(Road::Gix);
    eight_at_once(&repo, |number| number.is_multiple_of(2));
}
