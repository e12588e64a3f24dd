//! Files written whole and durably, and the lock of one writer at a time.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use provision::repo::lock::{Holder, LockError, RepoLock};
use provision::repo::write::{NewFile, append_durable, create_private, remove_durable, replace};

use super::repo_sandbox::{Repo, Road, mode};

fn dir() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    (dir, path)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_new_file_gets_the_mode_that_any_program_would_give_it() {
    let (_dir, dir) = dir();
    replace(&dir.join("ours"), b"x", NewFile::Ordinary).unwrap();
    fs::write(dir.join("anybodys"), b"x").unwrap();
    assert_eq!(mode(&dir.join("ours")), mode(&dir.join("anybodys")));
    assert_eq!(names(&dir), ["anybodys", "ours"]);
}

#[test]
fn a_new_private_file_and_the_directories_made_for_it_are_the_owners_alone() {
    let (_dir, dir) = dir();
    let path = dir.join("a/b/f");
    replace(&path, b"x", NewFile::Private).unwrap();
    assert_eq!((mode(&path), mode(&dir.join("a")), mode(&dir.join("a/b"))), (0o600, 0o700, 0o700));
}

#[test]
fn a_replaced_file_keeps_its_mode_and_owner() {
    let (_dir, dir) = dir();
    let path = dir.join("f");
    fs::write(&path, b"old").unwrap();
    let foreign = std::os::unix::fs::chown(&path, Some(1234), Some(1235)).is_ok();
    set_mode(&path, 0o640);
    replace(&path, b"new", NewFile::Ordinary).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o640, b"new".to_vec()));
    if foreign {
        assert_eq!((metadata.uid(), metadata.gid()), (1234, 1235));
    }
}

#[test]
fn a_reader_that_has_the_old_file_open_still_reads_the_old_bytes() {
    let (_dir, dir) = dir();
    let path = dir.join("f");
    fs::write(&path, b"old").unwrap();
    let open = File::open(&path).unwrap();
    replace(&path, b"new", NewFile::Ordinary).unwrap();
    assert_eq!(io::read_to_string(open).unwrap(), "old");
}

#[test]
fn a_symlink_stays_and_what_it_points_to_is_replaced_or_made() {
    let (_dir, dir) = dir();
    fs::create_dir(dir.join("real")).unwrap();
    fs::write(dir.join("real/f"), b"old").unwrap();
    symlink("real/f", dir.join("one")).unwrap();
    symlink("one", dir.join("two")).unwrap();
    symlink("real/new", dir.join("dangling")).unwrap();
    replace(&dir.join("two"), b"new", NewFile::Ordinary).unwrap();
    replace(&dir.join("dangling"), b"made", NewFile::Ordinary).unwrap();
    assert!(
        dir.join("two").is_symlink() && dir.join("one").is_symlink() && dir.join("dangling").is_symlink()
    );
    assert_eq!(fs::read(dir.join("real/f")).unwrap(), b"new");
    assert_eq!(fs::read(dir.join("real/new")).unwrap(), b"made");
    symlink("loop", dir.join("loop")).unwrap();
    assert!(replace(&dir.join("loop"), b"x", NewFile::Ordinary).is_err());
}

#[test]
fn a_failure_leaves_the_old_and_no_temporary_file() {
    let (_dir, dir) = dir();
    fs::create_dir(dir.join("d")).unwrap();
    assert!(replace(&dir.join("d"), b"x", NewFile::Ordinary).is_err());
    assert!(replace(&dir.join("d/\0"), b"x", NewFile::Ordinary).is_err());
    fs::write(dir.join("f"), b"old").unwrap();
    assert!(replace(&dir.join("f/below"), b"x", NewFile::Ordinary).is_err());
    assert_eq!((names(&dir), names(&dir.join("d"))), (vec!["d".to_owned(), "f".to_owned()], Vec::new()));
    assert_eq!(fs::read(dir.join("f")).unwrap(), b"old");
}

#[test]
fn a_private_file_is_created_once_and_never_replaced() {
    let (_dir, dir) = dir();
    let path = dir.join("k/keys.txt");
    create_private(&path, b"one").unwrap();
    assert_eq!((mode(&path), mode(&dir.join("k"))), (0o600, 0o700));
    let error = create_private(&path, b"two").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(names(&dir.join("k")), ["keys.txt"]);
}

#[test]
fn appended_lines_follow_each_other_in_a_file_of_the_owners_alone() {
    let (_dir, dir) = dir();
    let path = dir.join("provision/journal/qa");
    append_durable(&path, b"{\"one\":1}").unwrap();
    append_durable(&path, b"{\"two\":2}").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"{\"one\":1}\n{\"two\":2}\n");
    assert_eq!((mode(&path), mode(&dir.join("provision"))), (0o600, 0o700));
    remove_durable(&path).unwrap();
    assert!(!path.exists());
    assert_eq!(remove_durable(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_line_that_was_cut_short_does_not_swallow_the_next() {
    let (_dir, dir) = dir();
    let path = dir.join("journal");
    fs::write(&path, b"whole\nto").unwrap();
    append_durable(&path, b"next").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole\nto\nnext\n");
}

fn holder(command: &str) -> Holder {
    Holder::this_process(command)
}

#[test]
fn a_second_writer_is_told_who_holds_the_lock_and_gets_it_when_it_is_free() {
    let (_dir, dir) = dir();
    let never = |_: &Holder| panic!("nobody holds it");
    let first = RepoLock::acquire(&dir, &holder("provision --env qa"), Duration::ZERO, never).unwrap();
    assert_eq!((mode(&dir.join("provision")), mode(&dir.join("provision/lock"))), (0o700, 0o600));
    let refused = RepoLock::acquire(&dir, &holder("second"), Duration::ZERO, |_| {}).unwrap_err();
    let LockError::Held { holder: told } = &refused else { panic!("{refused}") };
    assert_eq!(told, &holder("provision --env qa"));
    let pid = std::process::id();
    let shown = refused.to_string();
    assert!(shown.contains(&format!("provision --env qa (process {pid} on ")), "{shown}");

    // The wait ends because the first gives the lock up when it hears that somebody waits.
    let mut first = Some(first);
    let give_up = |told: &Holder| {
        assert_eq!(told.command, "provision --env qa");
        drop(first.take());
    };
    let second = RepoLock::acquire(&dir, &holder("second"), Duration::from_secs(60), give_up).unwrap();
    drop(second);
    assert_eq!(fs::read(dir.join("provision/lock")).unwrap(), b"");
}

#[test]
fn in_a_git_directory_that_a_group_shares_the_group_can_take_the_lock_too() {
    let (_dir, dir) = dir();
    set_mode(&dir, 0o2775);
    RepoLock::acquire(&dir, &holder("me"), Duration::ZERO, |_| {}).unwrap();
    assert_eq!((mode(&dir.join("provision")), mode(&dir.join("provision/lock"))), (0o2770, 0o660));
}

#[test]
fn a_holder_that_left_no_note_or_a_strange_one_is_still_a_holder() {
    let (_dir, dir) = dir();
    fs::create_dir(dir.join("provision")).unwrap();
    let other = File::create(dir.join("provision/lock")).unwrap();
    other.lock().unwrap();
    let refused =
        |_: ()| RepoLock::acquire(&dir, &holder("me"), Duration::ZERO, |_| {}).unwrap_err().to_string();
    assert_eq!(refused(()), "another provision is at work in this repository: a process that left no note");
    fs::write(dir.join("provision/lock"), b"12\nhost\n\x1b[2Jrm -rf\n").unwrap();
    assert_eq!(
        refused(()),
        "another provision is at work in this repository:  [2Jrm -rf (process 12 on host)"
    );
}

#[test]
fn the_lock_dies_with_its_process() {
    let repo = Repo::new(Road::Gix);
    let begun = repo.sandbox().path().join("begun");
    assert!(Command::new("mkfifo").arg(&begun).status().unwrap().success());
    let mut request = repo.request("hold", &[]);
    request["begun"] = begun.to_str().into();
    let mut other = repo.driver(&request).stdin(Stdio::piped()).spawn().unwrap();
    assert_eq!(fs::read_to_string(&begun).unwrap(), "held");
    let take = || RepoLock::acquire(&repo.path.join(".git"), &holder("me"), Duration::ZERO, |_| {});
    let refused = take().unwrap_err().to_string();
    assert!(refused.contains(&format!("the holder (process {} on ", other.id())), "{refused}");
    other.kill().unwrap();
    other.wait().unwrap();
    take().unwrap();
}
