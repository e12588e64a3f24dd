//! A directory with keys and a policy in which stock sops runs.

use std::fs;
use std::process::Output;

use age::secrecy::ExposeSecret as _;
use jiff::Timestamp;
use provision::secret::Secret;
use provision::sops::{Draft, Encrypted, Format, Identities, Opened, Path, Policy, Recipient, Rule};
use tempfile::TempDir;

use crate::support;

/// What stock sops prints beside the values.
pub(super) struct Decrypted {
    pub(super) stdout: String,
    pub(super) stderr: String,
}

pub(super) struct Workshop {
    dir: TempDir,
    private: String,
    pub(super) recipient: Recipient,
    /// Two more people, whose private keys nobody here has.
    pub(super) others: [Recipient; 2],
}

pub(super) fn recipient() -> Recipient {
    age::x25519::Identity::generate().to_public().to_string().parse().unwrap()
}

pub(super) fn now() -> Timestamp {
    "2026-11-21T08:00:00.5Z".parse().unwrap()
}

/// How many random cases run: few, or as many times more as PROVISION_TEST_FACTOR says (`just random 10`).
pub(super) fn cases(few: u32) -> u32 {
    let factor = std::env::var("PROVISION_TEST_FACTOR").ok().map_or(1, |factor| factor.parse().unwrap());
    few * factor
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(super) fn path(text: &str) -> Path {
    text.parse().unwrap()
}

impl Workshop {
    pub(super) fn new() -> Self {
        let key = age::x25519::Identity::generate();
        let private = key.to_string().expose_secret().to_owned();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("keys.txt"), format!("# a comment\n{private}\n")).unwrap();
        let recipient = key.to_public().to_string().parse().unwrap();
        Self { dir, private, recipient, others: [self::recipient(), self::recipient()] }
    }

    /// A rule for the three, with more lines of a creation rule; the policy in the directory says the same.
    pub(super) fn rule(&self, lines: &str) -> Rule {
        let [ben, eva] = &self.others;
        let text = format!(
            "creation_rules:\n  - path_regex: .*\n    age: {},{ben},{eva}\n    {lines}\n",
            self.recipient
        );
        self.write(".sops.yaml", &text);
        Policy::parse(&text).unwrap().rule_for("file.yaml").unwrap().clone()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub(super) fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    /// Runs stock sops in the directory.
    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        support::sops::command()
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("SOPS_AGE_KEY_FILE", self.dir.path().join("keys.txt"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Runs it and expects it to succeed.
    pub(super) fn sops(&self, arguments: &[&str]) -> Decrypted {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "sops {}: {stderr}", arguments.join(" "));
        Decrypted { stdout: String::from_utf8(output.stdout).unwrap(), stderr }
    }

    /// `text` as stock sops encrypts it under the policy in the directory.
    pub(super) fn encrypt(&self, text: &str) -> String {
        self.write("plain.yaml", text);
        self.sops(&["encrypt", "plain.yaml"]).stdout
    }

    /// `text` as stock sops decrypts it.
    pub(super) fn decrypt(&self, text: &str) -> serde_json::Value {
        self.write("file.yaml", text);
        serde_json::from_str(&self.sops(&["decrypt", "--output-type", "json", "file.yaml"]).stdout).unwrap()
    }

    /// The data key of a YAML file for us.
    pub(super) fn data_key(&self, text: &str) -> Vec<u8> {
        let identity: age::x25519::Identity = self.private.parse().unwrap();
        let of_us = text.split_once(&self.recipient.to_string()).unwrap().1;
        let end = "-----END AGE ENCRYPTED FILE-----";
        let armor = &of_us[of_us.find("-----BEGIN").unwrap()..of_us.find(end).unwrap() + end.len()];
        let lines: String = armor.lines().map(|line| format!("{}\n", line.trim())).collect();
        age::decrypt(&identity, lines.as_bytes()).unwrap()
    }

    pub(super) fn private_key(&self) -> &str {
        &self.private
    }

    /// Those that stock sops finds in the directory.
    pub(super) fn identities(&self) -> Identities {
        let files = ["keys.txt", ".ssh/id_ed25519", ".ssh/id_rsa"].into_iter();
        let found =
            files.filter_map(|name| Some((name, Secret::new(fs::read_to_string(self.file(name)).ok()?))));
        Identities::parse(found).unwrap()
    }

    /// A draft sealed by us.
    pub(super) fn seal(draft: &str, rule: &Rule) -> String {
        let sealed = Draft::parse(Format::Yaml, draft)
            .unwrap()
            .seal(rule, &provision::sops::Alone, now(), &[])
            .unwrap();
        String::from_utf8(sealed.bytes().to_vec()).unwrap()
    }

    pub(super) fn open(&self, text: &str) -> Opened {
        self.open_as(Format::Yaml, text)
    }

    pub(super) fn open_as(&self, format: Format, text: &str) -> Opened {
        Encrypted::parse(format, text.as_bytes()).unwrap().open(&self.identities()).unwrap()
    }

    /// A draft of another format, sealed by us.
    pub(super) fn seal_as(format: Format, draft: impl AsRef<[u8]>, rule: &Rule) -> String {
        let sealed =
            Draft::parse(format, draft).unwrap().seal(rule, &provision::sops::Alone, now(), &[]).unwrap();
        String::from_utf8(sealed.bytes().to_vec()).unwrap()
    }

    /// The file after changes by us.
    pub(super) fn edit(&self, text: &str, change: impl FnOnce(&mut Opened)) -> String {
        self.edit_as(Format::Yaml, text, change)
    }

    pub(super) fn edit_as(&self, format: Format, text: &str, change: impl FnOnce(&mut Opened)) -> String {
        let mut opened = self.open_as(format, text);
        change(&mut opened);
        let sealed = opened.seal(now(), &[]).unwrap();
        String::from_utf8(sealed.bytes().to_vec()).unwrap()
    }
}

/// Holds every leaf of an opened file against what stock sops decrypted it to.
pub(super) fn assert_same_values(opened: &Opened, json: &serde_json::Value) {
    let file = opened.file();
    let mut compared = 0;
    for at in file.leaf_paths() {
        let leaf = file.leaf(&at).unwrap();
        if leaf.contains("type:comment]") {
            // Stock sops keeps a comment in a list as an element, and JSON has no place for it.
            return;
        }
        let wanted = at.0.iter().fold(json, |value, segment| match segment {
            provision::sops::Segment::Key(key) => &value[key.as_str()],
            provision::sops::Segment::Index(index) => &value[*index],
        });
        let value = opened.get(&at).unwrap();
        match (value.as_ref().map(Secret::expose), wanted) {
            (None, serde_json::Value::Null) => {}
            (Some(text), serde_json::Value::String(wanted)) => assert_eq!(text, wanted, "{at}"),
            (Some(text), serde_json::Value::Bool(wanted)) => assert_eq!(text == "True", *wanted, "{at}"),
            (Some(text), serde_json::Value::Number(wanted)) => {
                // serde_json may be off by the last bit of a float; the MAC holds the exact bytes to account.
                let (ours, theirs) = (text.parse::<f64>().unwrap(), wanted.as_f64().unwrap());
                assert!((ours - theirs).abs() <= theirs.abs() * 1e-15, "{at}: {ours} is not {theirs}");
            }
            (text, wanted) => panic!("{at}: {text:?} is not {wanted}"),
        }
        compared += 1;
    }
    assert!(compared > 0);
}

/// Lines that one text has and the other has not, in order: `-old`, `+new`.
pub(super) fn diff(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let mut longest = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i][j] = if old[i] == new[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            lines.push(format!("-{}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    lines
}
