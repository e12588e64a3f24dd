//! A signal in the middle of a commit leaves no lock and no half of a commit.
//!
//! The clean filter of the file is where the commit is held: it says over one named pipe that it runs, and
//! waits at another. On the road of gix the index is locked then; on git's road it is the filter that git
//! itself runs.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};

use super::repo_sandbox::{Repo, Road};
use crate::support::program::shell;

/// The commit of `s.yaml`, and `new`, held in the filter of the first.
struct Held {
    repo: Repo,
    child: Child,
    /// While the test has this open the filter waits; it ends when this is dropped.
    go: fs::File,
}

fn held(road: Road, filter: &str) -> Held {
    held_with(road, filter, false)
}

fn held_with(road: Road, filter: &str, farewell: bool) -> Held {
    let repo = Repo::new(road);
    let sandbox = repo.sandbox().path();
    for pipe in ["begun", "go"] {
        let made = Command::new("mkfifo").arg(sandbox.join(pipe)).status().unwrap();
        assert!(made.success());
    }
    // Open for reading and writing: that blocks neither here nor in the filter.
    let go = fs::File::options().read(true).write(true).open(sandbox.join("go")).unwrap();
    let script = sandbox.join("filter");
    shell(&script, &filter.replace("DIR", sandbox.to_str().unwrap()));
    repo.write(".gitattributes", "s.yaml filter=held\n");
    repo.git(&["add", ".gitattributes"]);
    repo.git(&["commit", "-qm", "attributes"]);
    repo.git(&["config", "filter.held.clean", script.to_str().unwrap()]);
    repo.git(&["config", "filter.held.required", "true"]);
    repo.write("s.yaml", "s: 2\n");
    repo.write("new", "n\n");
    let mut request = repo.request("commit", &["new", "s.yaml"]);
    request["farewell"] = farewell.into();
    let child = repo.start(&request);
    // Returns once the filter has opened and closed its end.
    let mut text = String::new();
    fs::File::open(sandbox.join("begun")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "begun\n");
    Held { repo, child, go }
}

const WAIT: &str = "exec 3<DIR/go; echo begun >DIR/begun; cat <&3; cat";

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn is_ignored_here(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (number - 1) & 1 == 1
}

fn assert_as_before(repo: &Repo) {
    repo.git(&["config", "--unset", "filter.held.required"]);
    repo.git(&["config", "--unset", "filter.held.clean"]);
    assert_eq!(repo.subject(), "attributes");
    assert_eq!(repo.status(), " M s.yaml\n?? new");
    repo.assert_sound();
}

#[test]
fn a_signal_while_we_hold_the_index_removes_the_lock_and_ends_the_process_by_that_signal() {
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        // Under nohup and the like we inherit a signal that is ignored, and so does the program.
        if is_ignored_here(number) {
            continue;
        }
        let Held { repo, mut child, go } = held(Road::Gix, WAIT);
        assert!(repo.path.join(".git/index.lock").exists());
        signal(&child, name);
        assert_eq!(child.wait().unwrap().signal(), i32::try_from(number).ok(), "{name}");
        drop(go);
        assert_as_before(&repo);
    }
}

#[test]
fn the_program_may_choose_its_own_end_after_everything_is_cleaned_up() {
    let Held { repo, mut child, go } = held_with(Road::Gix, WAIT, true);
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(100 + 15));
    drop(go);
    assert_as_before(&repo);
}

#[test]
fn a_git_that_wants_the_index_meanwhile_is_told_to_wait() {
    let Held { repo, mut child, go } = held(Road::Gix, WAIT);
    let output = repo.git_output(&["commit", "-q", "--allow-empty", "-m", "blocked"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("index.lock"));
    signal(&child, "TERM");
    child.wait().unwrap();
    drop(go);
    assert_as_before(&repo);
}

#[test]
fn sigkill_leaves_a_lock_that_the_next_run_names() {
    let Held { repo, mut child, go } = held(Road::Gix, WAIT);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(go);
    let lock = repo.path.join(".git/index.lock");
    repo.git(&["config", "--unset", "filter.held.required"]);
    repo.git(&["config", "--unset", "filter.held.clean"]);
    repo.preflight(&["s.yaml"]).assert_refused(lock.to_str().unwrap());
    fs::remove_file(&lock).unwrap();
    repo.commit(&["s.yaml"], "next").assert_made(Road::Gix);
    repo.assert_sound();
}

#[test]
fn a_signal_to_us_alone_is_sent_on_to_git_and_waits_for_the_undoing() {
    // The first run of the filter is ours, to know what must be in the commit; git runs the second.
    let filter = format!("[ -e DIR/ours ] || {{ : >DIR/ours; exec cat; }}\n{WAIT}");
    let Held { repo, mut child, go } = held(Road::Git, &filter);
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    drop(go);
    assert_as_before(&repo);
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let repo = Repo::new(Road::Gix);
    // The filter sends the signal to the whole group in the middle of the commit.
    let script = repo.sandbox().path().join("filter");
    shell(&script, "kill -HUP $PPID; cat");
    repo.write(".gitattributes", "s.yaml filter=hup\n");
    repo.git(&["config", "filter.hup.clean", script.to_str().unwrap()]);
    repo.write("s.yaml", "s: 2\n");
    let request = repo.request("commit", &["s.yaml"]);
    let driver = repo.driver(&request);
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(driver.get_program()).args(driver.get_args());
    ignoring.env_clear().envs(driver.get_envs().filter_map(|(name, value)| Some((name, value?))));
    ignoring.current_dir(&repo.path);
    let child = ignoring.spawn().unwrap();
    repo.finish(&request, child).assert_made(Road::Gix);
    repo.assert_sound();
}
