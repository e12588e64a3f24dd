//! Every place where the stock sops looks for identities: we look there too, once in a run, and ask nothing of a place
//! that cannot have what a file is for.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::support::holder::{Holder, Machine, fixture};
use crate::support::lab::{Lab, Said, said};
use crate::support::plugin::{self, Plugin};
use crate::support::program::shell;
use crate::support::sops;

const FILE: &str = "secrets/x.sops.yaml";

/// A home with nothing in it, and what is put into it.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".gitconfig"), crate::support::lab::GIT_CONFIG).unwrap();
        Self { folder }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A pipe that gives `text` to the first who reads it, and is gone then: a second look finds nothing.
    fn put_once(&self, path: &str, text: &str) -> PathBuf {
        let (path, text) = (self.path(path), text.to_owned());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let pipe = path.clone();
        thread::spawn(move || {
            let mut end = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
            fs::remove_file(&pipe).unwrap();
            end.write_all(text.as_bytes()).unwrap();
        });
        path
    }

    /// A program that prints `text` and writes down that it was started.
    fn command(&self, name: &str, text: &str) -> String {
        let program = self.path(name);
        let log = self.path(&format!("{name}.log"));
        shell(&program, &format!("echo x >>'{}'\ncat <<'END'\n{text}\nEND", log.display()));
        program.display().to_string()
    }

    fn starts(&self, name: &str) -> usize {
        let log = fs::read_to_string(self.path(&format!("{name}.log")));
        log.map_or(0, |text| text.lines().count())
    }

    fn ours(&self, lab: &Lab, variables: &[(&str, &str)], args: &[&str]) -> Said {
        let mut command = lab.command(args);
        said(command.env("HOME", self.folder.path()).envs(variables.iter().copied()))
    }

    fn stock(&self, lab: &Lab, variables: &[(&str, &str)], args: &[&str]) -> Said {
        let mut command = sops::command();
        let command = command.env("HOME", self.folder.path()).envs(variables.iter().copied());
        said(command.current_dir(lab.repo()).args(args))
    }
}

fn policy(lab: &Lab, regex: &str, keys: &[&str]) {
    let keys: String = keys.iter().map(|key| format!("\n    - '{key}'")).collect();
    lab.write(".sops.yaml", &format!("creation_rules:\n- path_regex: {regex}\n  age:{keys}\n"));
}

fn lab(keys: &[&str]) -> Lab {
    let lab = Lab::bare(None);
    policy(&lab, "^secrets/", keys);
    lab.write(FILE, "a: one\n");
    lab.sops(["encrypt", "-i", FILE]).ok();
    lab.commit_all("file");
    lab
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// A name, the reader of the file, what puts the identity there, and whether the stock sops 3.11.0 looks there too.
type Row<'a> = (&'a str, &'a str, Box<dyn Fn(&Home) -> Vec<(&'static str, String)> + 'a>, bool);

#[test]
fn every_place_of_the_stock_sops_is_looked_at() {
    let (identity, native) = provision::sops::generate_identity();
    let (native, identity) = (native.to_string(), identity.expose().to_owned());
    let ssh = |name: &str| (Holder::ssh(name).key, text(&fixture(name)));
    let (ed, ed_key) = ssh("id_ed25519");
    let (rsa, rsa_key) = ssh("id_rsa");
    let file = |home: &Home, path: &str, text: &str| home.put(path, text).display().to_string();
    let rows: [Row<'_>; 11] = [
        ("SOPS_AGE_KEY", &native, Box::new(|_| vec![("SOPS_AGE_KEY", identity.clone())]), true),
        (
            "SOPS_AGE_KEY with comments",
            &native,
            Box::new(|_| vec![("SOPS_AGE_KEY", format!("# mine\n\n{identity}\n"))]),
            true,
        ),
        (
            "SOPS_AGE_KEY_FILE",
            &native,
            Box::new(|home| vec![("SOPS_AGE_KEY_FILE", file(home, "k", &identity))]),
            true,
        ),
        (
            "SOPS_AGE_KEY_CMD",
            &native,
            Box::new(|home| vec![("SOPS_AGE_KEY_CMD", home.command("k", &identity))]),
            true,
        ),
        (
            "SOPS_AGE_KEY_CMD with quotes",
            &native,
            Box::new(|home| {
                home.command("k", &identity);
                vec![("SOPS_AGE_KEY_CMD", format!("sh -c 'exec \"$0\"/k' '{}'", home.path("").display()))]
            }),
            true,
        ),
        (
            "~/.config",
            &native,
            Box::new(|home| {
                home.put(".config/sops/age/keys.txt", &identity);
                Vec::new()
            }),
            true,
        ),
        (
            "XDG_CONFIG_HOME",
            &native,
            Box::new(|home| {
                home.put("xdg/sops/age/keys.txt", &identity);
                vec![("XDG_CONFIG_HOME", home.path("xdg").display().to_string())]
            }),
            true,
        ),
        (
            "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
            &rsa,
            Box::new(|home| vec![("SOPS_AGE_SSH_PRIVATE_KEY_FILE", file(home, "k", &rsa_key))]),
            true,
        ),
        (
            "~/.ssh/id_ed25519",
            &ed,
            Box::new(|home| {
                home.put(".ssh/id_ed25519", &ed_key);
                Vec::new()
            }),
            true,
        ),
        (
            "~/.ssh/id_rsa",
            &rsa,
            Box::new(|home| {
                home.put(".ssh/id_rsa", &rsa_key);
                Vec::new()
            }),
            true,
        ),
        // From 3.12 on.
        (
            "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
            &ed,
            Box::new(|home| vec![("SOPS_AGE_SSH_PRIVATE_KEY_CMD", home.command("k", &ed_key))]),
            false,
        ),
    ];
    for (name, reader, put, stock) in rows {
        let (lab, home) = (lab(&[reader]), Home::new());
        home.ours(&lab, &[], &["show", FILE, "--reveal"]).refused(7, "there is no age identity");
        let variables = put(&home);
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let said = home.ours(&lab, &variables, &["show", FILE, "--reveal"]);
        assert_eq!((said.status, said.out.as_str()), (0, "a: one\n"), "{name}: {}", said.err);
        let read = home.stock(&lab, &variables, &["decrypt", FILE]);
        assert_eq!(read.status == 0, stock, "{name}: {}", read.err);
    }
}

#[test]
fn a_source_that_is_no_good_voids_no_other_as_in_stock_sops() {
    let (identity, native) = provision::sops::generate_identity();
    let (identity, stranger) = (identity.expose(), provision::sops::generate_identity().0);
    let lab = lab(&[native.as_str(), &Holder::ssh("id_ed25519").key]);
    let good = Home::new();
    let path = |name: &str, text: &str| good.put(name, text).display().to_string();
    let (file, bad) = (path("good", identity), path("bad", "CANARY\n"));
    let (missing, ssh) = (path("missing", ""), path("ssh", &text(&fixture("id_ed25519"))));
    fs::remove_file(&missing).unwrap();
    let variables: [&[(&str, &str)]; 9] = [
        &[],
        &[("SOPS_AGE_KEY", identity)],
        &[("SOPS_AGE_KEY", stranger.expose())],
        &[("SOPS_AGE_KEY", "CANARY")],
        &[("SOPS_AGE_KEY_FILE", &file), ("SOPS_AGE_KEY", "CANARY")],
        &[("SOPS_AGE_KEY_FILE", &bad), ("SOPS_AGE_KEY", identity)],
        &[("SOPS_AGE_KEY_FILE", &missing), ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", &bad)],
        &[("SOPS_AGE_KEY_FILE", &missing), ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", &ssh)],
        &[("SOPS_AGE_SSH_PRIVATE_KEY_FILE", &missing), ("SOPS_AGE_KEY", identity)],
    ];
    let with_line = format!("{identity}\nCANARY\n");
    let with_comment = [b"# caf\xe9\n", identity.as_bytes(), b"\n"].concat();
    let defaults: [(&str, Option<&[u8]>); 6] = [
        ("no text at all", Some(b"\xff\xfe\n")),
        ("a bad line", Some(with_line.as_bytes())),
        ("a comment in Latin-1", Some(&with_comment)),
        ("empty", Some(b"")),
        ("a directory", None),
        ("unreadable", None),
    ];
    for (name, content) in defaults {
        let home = Home::new();
        let default = home.path(".config/sops/age/keys.txt");
        fs::create_dir_all(default.parent().unwrap()).unwrap();
        match content {
            Some(content) => fs::write(&default, content).unwrap(),
            None if name == "a directory" => fs::create_dir(&default).unwrap(),
            // Nobody can read a link to itself, root included.
            None => std::os::unix::fs::symlink(&default, &default).unwrap(),
        }
        let is_broken = !matches!(name, "a comment in Latin-1" | "empty");
        for (row, variables) in variables.iter().enumerate() {
            let ours = home.ours(&lab, variables, &["show", FILE, "--reveal"]);
            let stock = home.stock(&lab, variables, &["decrypt", FILE]);
            let said = format!("{name}, row {row}: {} / {}", ours.err, stock.err);
            assert_eq!(ours.status, if stock.status == 0 { 0 } else { 7 }, "{said}");
            assert_eq!(ours.out, if stock.status == 0 { "a: one\n" } else { "" }, "{said}");
            assert!(!ours.err.contains("CANARY"), "{said}");
            if is_broken && stock.status != 0 {
                assert!(ours.err.contains("age/keys.txt"), "{said}");
            }
        }
        let doctor = home.ours(&lab, &[("SOPS_AGE_KEY", identity)], &["doctor", "--offline"]);
        let said = doctor.out + &doctor.err;
        let reasons = ["keys.txt, line 1: not", "keys.txt, line 2: not", "note     cannot read"];
        assert_eq!(reasons.iter().any(|reason| said.contains(reason)), is_broken, "{name}: {said}");
    }
}

#[test]
fn what_is_not_for_a_file_is_not_asked() {
    let (identity, native) = provision::sops::generate_identity();
    let lab = lab(&[native.as_str()]);
    let (home, machine) = (Home::new(), Machine::for_all(&[]));
    // A key that opens it, and beside it everything that could ask: none of it is for this file.
    let keys = format!("# recipient: {}\n{}\n{}\n", plugin::ANA.0, plugin::ANA.1, identity.expose());
    let (path, locked) = (machine.path(), fixture("id_ed25519_locked"));
    let variables = [
        ("SOPS_AGE_KEY", keys.as_str()),
        ("SOPS_AGE_KEY_CMD", &home.command("k", "nothing")),
        ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", locked.to_str().unwrap()),
        ("PATH", path.to_str().unwrap()),
    ];
    assert_eq!(home.ours(&lab, &variables, &["show", FILE, "--reveal"]).ok().out, "a: one\n");
    assert_eq!((home.starts("k"), machine.plugin.starts("unwrap")), (0, 0));
    // A command may print anything, so it is asked; the plugin and the passphrase still are not.
    let variables = [("SOPS_AGE_KEY", plugin::ANA.1), variables[1], variables[2], variables[3]];
    home.ours(&lab, &variables, &["show", FILE, "--reveal"]).refused(7, "SOPS_AGE_KEY_CMD, line 1");
    assert_eq!((home.starts("k"), machine.plugin.starts("unwrap")), (1, 0));
}

/// Two hundred files for five readers, forty for each kind of identity that there is: every place is read once, every
/// command run once.
#[test]
fn identities_are_loaded_once_for_two_hundred_files() {
    let made: [_; 3] = std::array::from_fn(|_| provision::sops::generate_identity());
    let natives: Vec<String> = made.iter().map(|(_, recipient)| recipient.to_string()).collect();
    let ssh = Holder::ssh("id_ed25519").key;
    let eva = Holder::native();
    let strangers: Vec<Holder> = (0..4).map(|_| Holder::native()).collect();
    let readers: Vec<&str> =
        natives.iter().map(String::as_str).chain([ssh.as_str(), plugin::ANA.0]).collect();
    let (home, mut machine) = (Home::new(), Machine::for_all(&[]));
    machine.plugin = Plugin::new();
    let lab = Lab::bare(None);
    let rule = |reader: &str, number: usize, more: &[&str]| {
        let others = strangers.iter().map(|one| one.key.as_str());
        let keys: String = [reader]
            .into_iter()
            .chain(others)
            .chain(more.iter().copied())
            .map(|key| format!("\n    - '{key}'"))
            .collect();
        format!("- path_regex: ^secrets/{number}-\n  age:{keys}\n")
    };
    let policy = |more: &[&str]| {
        let rules: String = readers.iter().enumerate().map(|(at, reader)| rule(reader, at, more)).collect();
        lab.write(".sops.yaml", &format!("creation_rules:\n{rules}"));
    };
    policy(&[]);
    for number in 0..readers.len() {
        let first = format!("secrets/{number}-0.sops.yaml");
        lab.write(&first, "a: one\n");
        machine.stock(&lab, &[], &["encrypt", "-i", &first]).ok();
        for copy in 1..40 {
            let copy = format!("secrets/{number}-{copy}.sops.yaml");
            fs::copy(lab.repo().join(&first), lab.repo().join(copy)).unwrap();
        }
    }
    policy(&[&eva.key]);
    lab.commit_all("eva comes");
    home.put_once(".ssh/id_ed25519", &text(&fixture("id_ed25519")));
    home.put_once(".config/sops/age/keys.txt", made[0].0.expose());
    let plugin_and_native = format!("{}\n{}\n", made[1].0.expose(), plugin::ANA.1);
    let (path, file) = (machine.path(), home.put_once("keys", &plugin_and_native));
    let variables = [
        ("SOPS_AGE_KEY_FILE", file.to_str().unwrap()),
        ("SOPS_AGE_KEY_CMD", &home.command("k", made[2].0.expose())),
        ("PATH", path.to_str().unwrap()),
    ];
    let said = home.ours(&lab, &variables, &["rekey", "--yes"]).ok();
    assert_eq!(lab.git(["show", "--name-only", "--format="]).lines().count(), 200, "{}", said.err);
    assert_eq!(home.starts("k"), 1);
    assert_eq!(machine.plugin.starts("unwrap"), 40, "a file key is opened by the plugin itself");
    for number in 0..readers.len() {
        machine.stock(&lab, &[&eva], &["decrypt", &format!("secrets/{number}-39.sops.yaml")]).ok();
    }
}
