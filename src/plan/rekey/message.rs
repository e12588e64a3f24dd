//! What a rekey did, and how the commit and the merge request say it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::request::{RequestText, code};
use super::{Change, Elsewhere, Reader, Skipped, Wanted};

/// What was done.
#[derive(Debug, Default, Serialize)]
pub struct Done {
    /// Files that are now as the policy says.
    pub rekeyed: Vec<Change>,
    /// Files that should be and are not.
    pub skipped: Vec<Skipped>,
    /// How many of them, the first ones, the plan named that was shown.
    #[serde(skip)]
    pub announced: usize,
    /// Files that another policy decides on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
    /// Whether the policy was written too.
    pub new_policy: bool,
    /// Locks whose digests followed.
    pub locks: Vec<String>,
    /// How many files were as they should be.
    pub in_line: usize,
    /// The commit, where one was made.
    pub commit: Option<String>,
    /// Where the commit was pushed to: `main at origin`.
    pub pushed: Option<String>,
    /// Address of the merge request, where the remote said it.
    pub merge_request: Option<String>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

impl Done {
    /// Subject and body of the commit; `subject` where the work has a better one than that files follow the policy.
    #[must_use]
    pub fn message(&self, subject: Option<&str>) -> String {
        let mut body: String = self.readers().iter().map(|line| format!("{}\n", line.plain())).collect();
        if self.has_new_data_keys() {
            body += "Files that somebody no longer reads have new data keys.\n";
        }
        let subject = self.subject(subject);
        if body.is_empty() { subject } else { format!("{subject}\n\n{body}") }
    }

    /// The merge request's text.
    #[must_use]
    pub fn request(&self, subject: Option<&str>) -> RequestText {
        let mut lines: Vec<String> = self.readers().iter().map(Line::markdown).collect();
        if self.has_new_data_keys() {
            lines.push(
                "Files that somebody no longer reads have new data keys. What they could read before stays \
                 readable to them in the history: rotate the secrets themselves."
                    .to_owned(),
            );
        }
        if !self.rekeyed.is_empty() {
            let files: Vec<String> = self.rekeyed.iter().map(|change| code(&change.file)).collect();
            lines.extend([String::new(), format!("Files: {}", files.join(", "))]);
        }
        lines.extend(self.skipped.iter().map(|file| format!("Left: {}: {}", code(&file.file), file.why)));
        RequestText { title: self.subject(subject), lines }
    }

    fn subject(&self, subject: Option<&str>) -> String {
        subject.map_or_else(
            || format!("provision(rekey): bring {} into line with .sops.yaml", files(self.rekeyed.len())),
            str::to_owned,
        )
    }

    fn has_new_data_keys(&self) -> bool {
        self.rekeyed.iter().any(|change| change.wanted.new_data_key)
    }

    /// Everybody who came or went, with the number of files.
    fn readers(&self) -> Vec<Line<'_>> {
        let of = |verb: &'static str, list: fn(&Wanted) -> &Vec<Reader>| {
            let mut counts: BTreeMap<&Reader, usize> = BTreeMap::new();
            for reader in self.rekeyed.iter().flat_map(|change| list(&change.wanted)) {
                *counts.entry(reader).or_default() += 1;
            }
            counts.into_iter().map(move |(reader, count)| Line { verb, reader, count })
        };
        of("added", |wanted| &wanted.added).chain(of("removed", |wanted| &wanted.removed)).collect()
    }
}

/// One reader who came or went.
struct Line<'d> {
    verb: &'static str,
    reader: &'d Reader,
    count: usize,
}

impl Line<'_> {
    fn plain(&self) -> String {
        format!("{} {} in {}", self.verb, self.reader.full(), files(self.count))
    }

    fn markdown(&self) -> String {
        let Self { verb, reader, count } = self;
        let name = reader.name.as_ref().map(|name| format!("{}, ", code(name))).unwrap_or_default();
        format!("**Reader {verb}**: {name}{} in {}", code(&reader.key), files(*count))
    }
}

/// `1 secrets file`, `3 secrets files`.
fn files(count: usize) -> String {
    if count == 1 { "1 secrets file".to_owned() } else { format!("{count} secrets files") }
}
