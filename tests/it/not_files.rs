//! A named pipe or a directory in the place of a file that is read or written: it is named and refused, and nothing waits for
//! somebody who would write into the pipe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::support::lab::{Lab, Said};

/// After so long a program is taken to wait for ever; it decides no test that passes.
const STUCK: Duration = Duration::from_secs(300);

fn ends(command: &mut Command) -> Said {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (says, said) = channel();
    thread::spawn(move || says.send(child.wait_with_output()));
    match said.recv_timeout(STUCK) {
        Ok(output) => Said::of(&output.unwrap()),
        Err(_) => {
            Command::new("kill").arg(id.to_string()).status().unwrap();
            panic!("it waits: {command:?}");
        }
    }
}

/// Puts a named pipe, then a directory, where a file was, and takes them away again.
fn each_in_place_of(path: &Path, mut look: impl FnMut(&str)) {
    let aside = path.with_extension("aside");
    let there = path.exists();
    if there {
        fs::rename(path, &aside).unwrap();
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    look("a named pipe");
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    look("a directory");
    fs::remove_dir(path).unwrap();
    if there {
        fs::rename(&aside, path).unwrap();
    }
}

fn furnished() -> Lab {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab
}

#[test]
fn in_the_place_of_a_file_of_the_repository() {
    let lab = furnished();
    let readers: &[&[&str]] = &[
        &["--env", "qa", "--yes"],
        &["rotate", "--env", "qa", "--yes"],
        &["rekey", "--yes"],
        &["adopt", "--yes"],
        &["keys", "list"],
        &["check"],
        &["status"],
        &["doctor", "--offline"],
        &["diff"],
        &["show", "--env", "qa"],
        &["exec", "--env", "qa", "--", "true"],
        &["export", "--env", "qa", "--reveal"],
        &["init", "--gitlab", lab.gitlab.url(), "--group", "alithya-csna", "--yes"],
    ];
    // Which of the commands cannot go on without it, by their numbers above.
    let places: [(&str, &[usize]); 5] = [
        ("environments/qa.yaml", &[0, 1, 3, 6, 9, 10, 11]),
        ("templates/backstage.yaml", &[0, 1]),
        (".sops.yaml", &[0, 1, 2]),
        ("secrets/qa.sops.yaml", &[0, 1, 9, 10, 11]),
        ("environments/locks/qa.yaml", &[0, 1]),
    ];
    let head = lab.head();
    for (place, needed_by) in places {
        each_in_place_of(&lab.repo().join(place), |what| {
            for (number, args) in readers.iter().enumerate() {
                let said = ends(&mut lab.command(*args));
                let is_named = said.err.contains(place) && said.err.contains(" file");
                let refused = said.status != 0 && (is_named || said.out.contains(place));
                assert!(refused || !needed_by.contains(&number), "{what} as {place}: {args:?}: {said:?}");
            }
        });
        assert_eq!(lab.git(["status", "--porcelain"]), "", "{place}");
    }
    assert_eq!((lab.head(), lab.minted().len()), (head, 1));
}

#[test]
fn in_the_place_of_a_file_of_this_user() {
    let lab = furnished();
    let qa: &[&str] = &["--env", "qa", "--yes"];
    let (home, git) = (lab.home(), lab.repo().join(".git/provision"));
    let places: [(PathBuf, &[&str]); 4] = [
        (home.join("token"), &["--env", "qa", "--yes", "--token-file", "../home/token"]),
        (home.join("ca.pem"), &["--env", "qa", "--yes", "--ca-file", "../home/ca.pem"]),
        (git.join("qa.journal"), qa),
        (git.join("lock"), qa),
    ];
    for (place, args) in places {
        each_in_place_of(&place, |what| {
            let said = ends(&mut lab.command(args));
            assert!(said.status != 0 && said.err.contains(what), "{}: {said:?}", place.display());
            ends(&mut lab.command(["doctor", "--offline"]));
        });
    }
    each_in_place_of(&home.join(".local/state/provision/approvals"), |what| {
        let mut command = lab.command(qa);
        let said = ends(command.env_remove("GITLAB_HOST"));
        assert!(said.status != 0 && said.err.contains(what), "{said:?}");
        let said = ends(&mut lab.command(["trust", "--yes"]));
        assert!(said.status != 0 && said.err.contains(what), "{said:?}");
    });
    // A pipe is a way to hand over a key. A source that is no good is named where no other opens the file.
    let key = home.join("key");
    fs::create_dir(&key).unwrap();
    for name in ["SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"] {
        let mut command = lab.command(["show", "--env", "qa", "--reveal"]);
        let said = ends(command.env_remove("SOPS_AGE_KEY").env("HOME", "/nonexistent").env(name, &key));
        assert!(said.status != 0 && said.err.contains("a directory"), "{said:?}");
    }
    assert_eq!(lab.minted().len(), 1);
}

#[test]
fn what_a_shell_has_opened_is_read_as_a_file_is() {
    let lab = furnished();
    let script = "exec \"$0\" show --env qa --reveal GITLAB_TOKEN 3<&0";
    let mut command = Command::new("sh");
    let program = lab.command([""; 0]);
    command.args(["-c", script]).arg(program.get_program()).current_dir(lab.repo());
    command.env_clear().env("HOME", "/nonexistent").env("SOPS_AGE_KEY_FILE", "/dev/fd/3");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lab.identity().as_bytes()).unwrap();
    let said = Said::of(&child.wait_with_output().unwrap()).ok();
    assert_eq!(said.out, lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN"));
}
