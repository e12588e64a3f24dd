//! What a person is asked for a key: once in a run, however many files there are, and by both programs.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::holder::{Holder, Machine, fixture};
use crate::support::lab::{Lab, said};
use crate::support::plugin::{self, Plugin};
use crate::support::sops;
use crate::support::terminal::Terminal;

const FILES: usize = 20;
const PASSPHRASE: &str = "swordfish";

fn file(number: usize) -> String {
    format!("secrets/x{number}.sops.yaml")
}

/// A repository with many files of the stock sops for these recipients. `machine` has what their keys need.
fn lab(machine: &Machine, recipients: &[&str]) -> Lab {
    let lab = Lab::bare(None);
    policy(&lab, recipients);
    lab.write(&file(0), "a: one\n");
    machine.stock(&lab, &[], &["encrypt", "-i", &file(0)]).ok();
    for number in 1..FILES {
        fs::copy(lab.repo().join(file(0)), lab.repo().join(file(number))).unwrap();
    }
    lab.commit_all("files");
    lab
}

fn policy(lab: &Lab, recipients: &[&str]) {
    let keys: String = recipients.iter().map(|key| format!("\n    - '{key}'")).collect();
    lab.write(".sops.yaml", &format!("creation_rules:\n- path_regex: ^secrets/\n  age:{keys}\n"));
}

/// A run of ours on a terminal, with nothing but what these variables give.
fn asks(machine: &Machine, lab: &Lab, variables: &[(&str, &OsStr)], args: &[&str]) -> Terminal {
    let mut command = lab.command(args);
    machine.seat(&mut command, &[]);
    command.envs(variables.iter().copied());
    Terminal::start(command)
}

/// The same without a terminal.
fn alone(machine: &Machine, lab: &Lab, variables: &[(&str, &OsStr)], args: &[&str]) -> Command {
    let mut command = lab.command(args);
    machine.seat(&mut command, &[]);
    command.envs(variables.iter().copied());
    command
}

/// A key that needs a passphrase: who it is for, the variable that names it, the file.
struct Locked {
    recipient: String,
    variable: &'static str,
    file: PathBuf,
}

impl Locked {
    fn ssh(name: &str) -> Self {
        let recipient = Holder::ssh(name).key;
        Self { recipient, variable: "SOPS_AGE_SSH_PRIVATE_KEY_FILE", file: fixture(name) }
    }

    /// As `age -p` makes it, with or without armor, and with less work than there.
    fn age(folder: &Path, armored: bool) -> Self {
        let (identity, recipient) = provision::sops::generate_identity();
        let mut lock = age::scrypt::Recipient::new(PASSPHRASE.to_owned().into());
        lock.set_work_factor(4);
        let bytes = if armored {
            age::encrypt_and_armor(&lock, identity.expose().as_bytes()).unwrap().into_bytes()
        } else {
            age::encrypt(&lock, identity.expose().as_bytes()).unwrap()
        };
        let file = folder.join("keys.age");
        fs::write(&file, bytes).unwrap();
        Self { recipient: recipient.to_string(), variable: "SOPS_AGE_KEY_FILE", file }
    }

    fn variables(&self) -> [(&str, &OsStr); 1] {
        [(self.variable, self.file.as_os_str())]
    }

    /// What it is called in questions and errors.
    fn name(&self) -> String {
        format!("{} ({})", self.variable, self.file.display())
    }

    fn check(&self) {
        let machine = Machine::for_all(&[]);
        let eva = Holder::native();
        let lab = lab(&machine, &[&self.recipient]);
        let ours = |args: &[&str]| asks(&machine, &lab, &self.variables(), args);
        // A passphrase that is none of it: asked for once, nothing is written, and it says what was wrong.
        policy(&lab, &[&self.recipient, &eva.key]);
        lab.commit_all("eva comes");
        let mut terminal = ours(&["show", &file(0), "--reveal"]);
        terminal.expect("Passphrase of the ");
        terminal.paste("mackerel");
        let (status, all) = terminal.end();
        assert_eq!((status, questions(&all)), (7, 1), "{all}");
        let reason = format!("this is not the passphrase of {}", self.name());
        assert!(flat(&all).contains(&flat(&reason)), "{all}");
        assert!(!all.contains("mackerel"), "{all}");
        let head = lab.head();
        let mut terminal = ours(&["rekey", "--yes"]);
        terminal.expect("Passphrase of the ");
        terminal.paste("mackerel");
        let (status, all) = terminal.end();
        assert_eq!((status, questions(&all)), (3, 1), "{all}");
        assert_eq!((lab.head(), lab.git(["status", "--porcelain"])), (head, String::new()));
        // The right one opens all files.
        let mut terminal = ours(&["rekey", "--yes"]);
        terminal.expect("Passphrase of the ");
        terminal.paste(PASSPHRASE);
        let (status, all) = terminal.end();
        assert_eq!((status, questions(&all)), (0, 1), "{all}");
        assert!(!all.contains(PASSPHRASE), "{all}");
        machine.stock(&lab, &[&eva], &["decrypt", &file(FILES - 1)]).ok();
        // Where there is a key that needs no answer, nobody is asked, and nobody without a terminal.
        let mut command = alone(&machine, &lab, &self.variables(), &["show", &file(1), "a", "--reveal"]);
        machine.seat(&mut command, &[&eva]);
        assert_eq!(said(&mut command).ok().out.trim_end(), "one");
        let mut command = alone(&machine, &lab, &self.variables(), &["show", &file(1), "a", "--reveal"]);
        let refused = said(&mut command).refused(7, "there is no terminal to ask on");
        assert!(refused.err.contains(&self.name()), "{}", refused.err);
        assert!(refused.err.contains("hint: run it in a terminal"), "{}", refused.err);
        // The stock sops asks too, for each file.
        let mut stock = Command::new(sops::binary());
        let value = ["set", &file(2), "[\"a\"]", "\"set by sops\""];
        stock.args(value).env_clear().env("HOME", "/nonexistent");
        stock.env("SOPS_DISABLE_VERSION_CHECK", "1").env("PATH", std::env::var_os("PATH").unwrap());
        stock.envs(self.variables()).current_dir(lab.repo());
        let mut terminal = Terminal::start(stock);
        terminal.expect("passphrase");
        terminal.paste(PASSPHRASE);
        let (status, all) = terminal.end();
        assert_eq!(status, 0, "{all}");
        let mut terminal = ours(&["show", &file(2), "a", "--reveal"]);
        terminal.expect("Passphrase of the ");
        terminal.paste(PASSPHRASE);
        let (status, all) = terminal.end();
        assert!(status == 0 && all.contains("set by sops"), "{all}");
    }
}

/// How many questions were asked.
fn questions(all: &str) -> usize {
    ["Passphrase of the ", "PIN of the test key"].iter().map(|question| all.matches(question).count()).sum()
}

/// A terminal breaks long lines.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("").replace("\u{1b}", "")
}

#[test]
fn the_passphrase_of_an_ed25519_key_is_asked_for_once() {
    Locked::ssh("id_ed25519_locked").check();
}

#[test]
fn the_passphrase_of_an_rsa_key_is_asked_for_once() {
    Locked::ssh("id_rsa_locked").check();
}

#[test]
fn the_passphrase_of_an_identity_file_is_asked_for_once() {
    let folder = tempfile::tempdir().unwrap();
    Locked::age(folder.path(), true).check();
    Locked::age(folder.path(), false).check();
}

#[test]
fn the_pin_of_a_plugin_is_asked_for_once_and_a_wrong_one_is_not_given_again() {
    let mut machine = Machine::for_all(&[]);
    machine.plugin = Plugin::with_pin("4711");
    let eva = Holder::native();
    let lab = lab(&machine, &[plugin::ANA.0]);
    let variables = [("SOPS_AGE_KEY", OsStr::new(plugin::ANA.1))];
    let mut terminal = asks(&machine, &lab, &variables, &["show", &file(0), "--reveal"]);
    terminal.expect("PIN of the test key");
    terminal.paste("0815");
    let (status, all) = terminal.end();
    assert_eq!((status, questions(&all)), (7, 1), "{all}");
    assert!(flat(&all).contains("thisisnotthePIN") && !all.contains("0815"), "{all}");
    policy(&lab, &[plugin::ANA.0, &eva.key]);
    lab.commit_all("eva comes");
    let mut terminal = asks(&machine, &lab, &variables, &["rekey", "--yes"]);
    terminal.expect("PIN of the test key");
    terminal.paste("0815");
    let (status, all) = terminal.end();
    assert_eq!((status, questions(&all)), (3, 1), "{all}");
    assert_eq!(machine.plugin.starts("unwrap"), 2);
    let mut terminal = asks(&machine, &lab, &variables, &["rekey", "--yes"]);
    terminal.expect("PIN of the test key");
    terminal.paste("4711");
    let (status, all) = terminal.end();
    assert_eq!((status, questions(&all)), (0, 1), "{all}");
    machine.stock(&lab, &[&eva], &["decrypt", &file(FILES - 1)]).ok();
    let refused = said(&mut alone(&machine, &lab, &variables, &["show", &file(0), "--reveal"]));
    refused.refused(7, "age-plugin-test");
}

/// Files are opened on all cores; a terminal has room for one question.
#[test]
fn two_keys_are_asked_for_one_after_the_other() {
    let machine = Machine::for_all(&[]);
    let keys = [Locked::ssh("id_ed25519_locked"), Locked::ssh("id_rsa_locked")];
    let eva = Holder::native();
    let lab = lab(&machine, &[&keys[0].recipient]);
    let ssh = lab.home().join(".ssh");
    fs::create_dir(&ssh).unwrap();
    for (key, name) in keys.iter().zip(["id_ed25519", "id_rsa"]) {
        fs::copy(&key.file, ssh.join(name)).unwrap();
    }
    lab.write("y.sops.yaml", "a: one\n");
    let both = |more: &str| {
        let rule = |regex: &str, key: &Locked| {
            format!("- path_regex: {regex}\n  age: ['{}'{more}]\n", key.recipient)
        };
        let (x, y) = (rule("^secrets/", &keys[0]), rule("^y", &keys[1]));
        lab.write(".sops.yaml", &format!("creation_rules:\n{x}{y}"));
    };
    both("");
    machine.stock(&lab, &[], &["encrypt", "-i", "y.sops.yaml"]).ok();
    for number in 1..FILES {
        fs::copy(lab.repo().join("y.sops.yaml"), lab.repo().join(format!("y{number}.sops.yaml"))).unwrap();
    }
    both(&format!(", {}", eva.key));
    lab.commit_all("eva comes");
    let mut terminal = asks(&machine, &lab, &[], &["rekey", "--yes"]);
    for _ in &keys {
        terminal.expect("Passphrase of the ");
        terminal.paste(PASSPHRASE);
    }
    let (status, all) = terminal.end();
    assert_eq!((status, questions(&all)), (0, 2), "{all}");
    machine.stock(&lab, &[&eva], &["decrypt", "y3.sops.yaml"]).ok();
}
