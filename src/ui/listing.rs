//! What is in a secrets file, without its values.

use std::fmt::Write as _;

use serde::Serialize;

use crate::lock::digest;
use crate::sops::{Encrypted, Form, Path};

/// A file and its keys, for JSON.
#[derive(Debug, Serialize)]
pub struct File<'a> {
    file: &'a str,
    keys: Vec<Key<'a>>,
    recipients: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Key<'a> {
    /// Which of several documents it is in, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<usize>,
    path: Path,
    encrypted: bool,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
}

impl<'a> File<'a> {
    /// The keys of `file` in its order, and everybody who can read it.
    #[must_use]
    pub fn of(name: &'a str, file: &'a Encrypted) -> Self {
        let has_documents = file.leaves().any(|leaf| leaf.document > 0);
        let keys = file.leaves().map(|leaf| {
            let kind = match leaf.form {
                Form::Encrypted(kind) => Some(kind),
                Form::Clear | Form::Empty => None,
            };
            let document = has_documents.then_some(leaf.document + 1);
            Key { document, path: leaf.path, encrypted: kind.is_some(), kind }
        });
        Self { file: name, keys: keys.collect(), recipients: readers(file) }
    }
}

/// Everybody who can read the file, as it says.
#[must_use]
pub fn readers(file: &Encrypted) -> Vec<String> {
    let native = file.recipients().into_iter().map(ToString::to_string);
    native.chain(file.other_readers().iter().map(ToString::to_string)).collect()
}

/// One line for each key: its path, and how it is stored.
#[must_use]
pub fn keys(file: &Encrypted) -> String {
    let lines: Vec<(String, Form<'_>)> = file.leaves().map(|leaf| (leaf.place(), leaf.form)).collect();
    let width = lines.iter().map(|(path, _)| path.chars().count()).max().unwrap_or_default();
    lines.iter().fold(String::new(), |mut text, (path, form)| {
        let _ = writeln!(text, "{path:width$}  {form}");
        text
    })
}

/// A text of a file that changes in a line exactly where the file changed in a key, a reader or the rule: for
/// `git diff`. `values` are what
/// the leaves hold, where that may be shown.
#[must_use]
pub fn stable(file: &Encrypted, values: impl Iterator<Item = Option<String>>) -> String {
    let mut text = String::new();
    for (leaf, value) in file.leaves().zip(values) {
        let path = leaf.place();
        let _ = match (value, leaf.form) {
            (Some(shown), _) => writeln!(text, "{path}: {}", quoted(&shown)),
            (None, Form::Encrypted(kind)) => {
                let digest = digest(leaf.stored);
                writeln!(text, "{path}: encrypted (type {kind}, sha256 {})", &digest[..12])
            }
            (None, Form::Clear) => writeln!(text, "{path}: {}", quoted(leaf.stored)),
            (None, Form::Empty) => writeln!(text, "{path}: empty"),
        };
    }
    let _ = writeln!(text, "rule {}", file.selection());
    if file.mac_only_encrypted() {
        text.push_str("rule mac_only_encrypted: true\n");
    }
    for reader in readers(file) {
        let _ = writeln!(text, "recipient {reader}");
    }
    text
}

/// In one line, whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
