//! Values that must not be seen, looked for everywhere: as they are and in base64.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::lab::Lab;

pub(crate) struct Canaries {
    needles: Vec<String>,
}

impl Canaries {
    /// These values, the operators' tokens, and the lab's identity.
    pub(crate) fn of(lab: &Lab, values: impl IntoIterator<Item = String>) -> Self {
        let own = [
            lab.gitlab.operator_token().expose().to_owned(),
            lab.gitlab.admin_token().expose().to_owned(),
            lab.identity().to_owned(),
        ];
        let needles = own.into_iter().chain(values).flat_map(|value| {
            assert!(value.len() >= 20, "not a value: {value}");
            (0..3).map(|shift| in_base64(&value, shift)).chain([value.clone()]).collect::<Vec<_>>()
        });
        Self { needles: needles.collect() }
    }

    pub(crate) fn are_in(&self, bytes: &[u8]) -> bool {
        // Every needle is ASCII, so looking at the bytes as Latin-1 or as broken UTF-8 comes to the same.
        let text = String::from_utf8_lossy(bytes);
        self.needles.iter().any(|needle| text.contains(needle.as_str()))
    }

    /// No file of the lab holds one, but for the user's own key file; and no object of its repository, unpacked.
    #[track_caller]
    pub(crate) fn are_nowhere_in(&self, lab: &Lab) {
        let key_file = lab.home().join(".config/sops/age/keys.txt");
        for file in files(lab.everything()).into_iter().filter(|file| *file != key_file) {
            assert!(!self.are_in(&fs::read(&file).unwrap()), "a secret is in {}", file.display());
        }
        let objects = lab.git(["cat-file", "--batch-all-objects", "--batch"]);
        assert!(objects.contains("environments/qa.yaml") || objects.contains("tokens:"), "{objects}");
        assert!(!self.are_in(objects.as_bytes()), "a secret is in a git object");
    }
}

/// The characters of the value's base64 that are the same whatever stands around it, when `shift` bytes (modulo 3)
/// come before it.
fn in_base64(value: &str, shift: usize) -> String {
    let mut bytes = vec![b' '; shift];
    bytes.extend_from_slice(value.as_bytes());
    let whole = bytes.len() / 3 * 3;
    let text = STANDARD.encode(&bytes[..whole]);
    text[if shift == 0 { 0 } else { 4 }..].to_owned()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn a_canary_is_found_plain_and_in_base64_at_any_offset() {
    let value = "glpat-0123456789abcdefghij";
    let lab = Lab::bare(None);
    let canaries = Canaries::of(&lab, [value.to_owned()]);
    assert!(canaries.are_in(format!("\u{0}a{value}z").as_bytes()));
    for before in ["", "a", "ab", "abc"] {
        let hidden = STANDARD.encode(format!("{before}{value} and more"));
        assert!(canaries.are_in(hidden.as_bytes()), "{before}");
    }
    assert!(!canaries.are_in(b"glpat-0123456789"));
}
