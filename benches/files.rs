//! `just bench`: how long work on files takes, as ratios against the stock sops in the same run.
//!
//! Whole processes, from start to exit; medians of runs in turn, theirs and ours. Ratios are taken run by run, so that
//! a machine whose speed drifts does not move them. Peak memory is the kernel's account of a finished child.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench is a program"
)]

#[path = "support/floor.rs"]
mod floor;
#[path = "support/many.rs"]
mod many;
#[path = "support/measure.rs"]
mod measure;
#[path = "../tests/it/support/sops.rs"]
mod sops;
#[path = "support/tokens.rs"]
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use measure::{Compared, Goal, compare};
use provision::repo::write::{NewFile, replace};
use provision::secret::Secret;
use provision::sops::{Encrypted, Format, Identities, generate_identity};

/// The word that makes this program do our half of a row, where no command of ours does it yet.
const CHILD: &str = "set-one-value";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, file, keys, path, value] = arguments.as_slice()
        && word == CHILD
    {
        return set(Path::new(file), Path::new(keys), path, value);
    }
    let desk = Desk::new();
    measure::head();
    start(&desk).print("start (--version)");
    decrypt(&desk, "few.yaml", 21).print("decrypt a 10-key file");
    decrypt(&desk, "many.yaml", 7).print("decrypt a 20,000-key file");
    let row = set_one(&desk);
    row.print("set one value in 20,000 keys");
    floor::report(&desk.read("many.yaml"), &desk.identities(), desk.folder.path(), &row);
    many::rekey(16, false);
    many::rekey(1000, true);
    many::grow(&[1000, 10_000]);
    many::check(1000);
    tokens::report(200);
}

/// A folder with a key and files that the stock sops made.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        let (identity, recipient) = generate_identity();
        fs::write(desk.path("keys.txt"), format!("{}\n", identity.expose())).unwrap();
        for (name, count) in [("few", 10), ("many", 20_000)] {
            let text: String = (0..count).map(|n| format!("key_{n}: value of key {n}\n")).collect();
            fs::write(desk.path("plain.yaml"), text).unwrap();
            let output = desk.sops(&["encrypt", "--age", recipient.as_str(), "plain.yaml"]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            fs::write(desk.path(&format!("{name}.yaml")), output.stdout).unwrap();
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn identities(&self) -> Identities {
        identities(&self.path("keys.txt"))
    }

    fn in_folder(&self, mut command: Command, arguments: &[&str]) -> Command {
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("SOPS_AGE_KEY_FILE", self.path("keys.txt"))
            .args(arguments);
        command
    }

    fn sops(&self, arguments: &[&str]) -> Command {
        self.in_folder(sops::command(), arguments)
    }

    fn ours(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        self.in_folder(command, arguments)
    }

    fn provision(&self, arguments: &[&str]) -> Command {
        self.ours(Path::new(env!("CARGO_BIN_EXE_provision")), arguments)
    }
}

fn identities(keys: &Path) -> Identities {
    let text = Secret::new(fs::read_to_string(keys).unwrap());
    Identities::parse([("keys.txt", text)]).unwrap()
}

fn start(desk: &Desk) -> Compared {
    let goal = Goal { milliseconds: Some(3.0), times: None, mebibytes: Some(8.0) };
    let theirs = |_| desk.sops(&["--version", "--disable-version-check"]);
    compare(21, goal, theirs, |_| desk.provision(&["--version"]))
}

fn decrypt(desk: &Desk, file: &str, runs: usize) -> Compared {
    let goal = Goal { milliseconds: None, times: Some(6.0), mebibytes: None };
    let theirs = |_| desk.sops(&["decrypt", file]);
    compare(runs, goal, theirs, |_| desk.provision(&["show", file, "--reveal"]))
}

fn set_one(desk: &Desk) -> Compared {
    fs::copy(desk.path("many.yaml"), desk.path("theirs.yaml")).unwrap();
    fs::copy(desk.path("many.yaml"), desk.path("ours.yaml")).unwrap();
    let goal = Goal { milliseconds: None, times: Some(25.0), mebibytes: Some(20.0) };
    let path = "[\"key_10000\"]";
    let this = std::env::current_exe().unwrap();
    let theirs = |run| desk.sops(&["set", "theirs.yaml", path, &format!("\"new {run}\"")]);
    compare(7, goal, theirs, |run| {
        desk.ours(&this, &[CHILD, "ours.yaml", "keys.txt", path, &format!("new {run}")])
    })
}

/// Our half: read, verify, change, verify again, and replace the file durably.
fn set(file: &Path, keys: &Path, path: &str, value: &str) {
    let encrypted = Encrypted::of_text(Format::Yaml, fs::read_to_string(file).unwrap()).unwrap();
    let mut opened = encrypted.open(&identities(keys)).unwrap();
    let path = path.parse().unwrap();
    opened.set(&path, &Secret::new(value.to_owned())).unwrap();
    let sealed = opened.seal(Timestamp::now(), std::slice::from_ref(&path)).unwrap();
    replace(file, sealed.bytes(), NewFile::Ordinary).unwrap();
}
