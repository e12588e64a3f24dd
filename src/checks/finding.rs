//! What a check found, and the forms in which it is handed on.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::hint::{Here, Hint};
use crate::yaml::Position;

/// Something at one place of the repository that has to be mended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, relative to the repository root.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// What is wrong; never a value.
    pub what: String,
    /// What helps.
    pub mend: Hint,
    /// Name of the check.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
}

/// How bad a finding is, in the words of GitLab's Code Quality reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not do what somebody thinks.
    Minor,
    /// Something disagrees.
    Major,
    /// Somebody reads who should not, or nothing vouches for what is read.
    Critical,
    /// A secret is in the clear.
    Blocker,
}

impl Finding {
    /// The same for somebody who stands `here`.
    #[must_use]
    pub fn at(self, here: &Here) -> Self {
        Self { mend: self.mend.at(here), ..self }
    }
}

/// `secrets/qa.sops.yaml:12: what (how to mend it)`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.path, self.line, self.what, self.mend)
    }
}

/// A finding before the table gives it its name.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    path: String,
    line: usize,
    what: String,
    mend: Hint,
}

impl Spot {
    pub(super) fn new(path: &str, line: usize, what: impl Into<String>, mend: impl Into<Hint>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), mend: mend.into() }
    }

    /// A spot for an error whose text may start with `line:column: `.
    pub(super) fn of_error(path: &str, error: &str, mend: impl Into<Hint>) -> Self {
        let (line, what) = placed(error).unwrap_or((1, error));
        Self::new(path, line, what, mend)
    }

    pub(super) fn named(self, check: &'static str, severity: Severity) -> Finding {
        let Self { path, line, what, mend } = self;
        Finding { path, line, what, mend, check, severity }
    }
}

fn placed(error: &str) -> Option<(usize, &str)> {
    let (place, what) = error.split_once(": ")?;
    let (line, column) = place.split_once(':')?;
    column.parse::<usize>().ok()?;
    Some((line.parse().ok()?, what))
}

/// The line of a byte of a text.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    Position::of(text, offset).line
}

/// One entry of a GitLab Code Quality report (docs.gitlab.com/ci/testing/code_quality, "Code Quality report format").
#[derive(Debug, Serialize)]
pub struct CodeQuality<'a> {
    description: String,
    check_name: &'a str,
    fingerprint: String,
    severity: Severity,
    location: Location<'a>,
}

#[derive(Debug, Serialize)]
struct Location<'a> {
    path: &'a str,
    lines: Lines,
}

#[derive(Debug, Serialize)]
struct Lines {
    begin: usize,
}

/// The findings as a Code Quality report. A fingerprint stays the same when only the line moves, and no two are equal.
#[must_use]
pub fn code_quality(findings: &[Finding]) -> Vec<CodeQuality<'_>> {
    let mut seen: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let entries = findings.iter().map(|finding| {
        let count = seen.entry((finding.check, &finding.path, &finding.what)).or_default();
        *count += 1;
        let identity = format!("{}\0{}\0{}\0{count}", finding.check, finding.path, finding.what);
        let digest = Sha256::digest(identity.as_bytes());
        CodeQuality {
            description: format!("{} ({})", finding.what, finding.mend),
            check_name: finding.check,
            fingerprint: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            severity: finding.severity,
            location: Location { path: &finding.path, lines: Lines { begin: finding.line } },
        }
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: usize, what: &str) -> Finding {
        Spot::new("a.yaml", line, what, "mend it").named("some-check", Severity::Major)
    }

    #[test]
    fn a_finding_is_one_line_with_place_and_way_out() {
        assert_eq!(finding(3, "is wrong").to_string(), "a.yaml:3: is wrong (mend it)");
    }

    #[test]
    fn an_error_gives_its_line() {
        let spot = Spot::of_error("a", "12:5: no good: at all", "");
        assert_eq!((spot.line, spot.what.as_str()), (12, "no good: at all"));
        let spot = Spot::of_error("a", "no good: at all", "");
        assert_eq!((spot.line, spot.what.as_str()), (1, "no good: at all"));
    }

    #[test]
    fn fingerprints_survive_moved_lines_and_are_unique() {
        let before = [finding(3, "is wrong"), finding(9, "is wrong"), finding(9, "is worse")];
        let after = [finding(4, "is wrong"), finding(10, "is wrong"), finding(10, "is worse")];
        let prints = |findings: &[Finding]| -> Vec<String> {
            code_quality(findings).into_iter().map(|entry| entry.fingerprint).collect()
        };
        assert_eq!(prints(&before), prints(&after));
        let unique: std::collections::BTreeSet<_> = prints(&before).into_iter().collect();
        assert_eq!(unique.len(), 3);
    }

    #[test]
    fn a_report_has_the_fields_that_gitlab_reads() {
        let findings = [finding(3, "is wrong")];
        let json = serde_json::to_value(code_quality(&findings)).unwrap();
        assert_eq!(json[0]["description"], "is wrong (mend it)");
        assert_eq!(json[0]["check_name"], "some-check");
        assert_eq!(json[0]["severity"], "major");
        assert_eq!(json[0]["location"]["path"], "a.yaml");
        assert_eq!(json[0]["location"]["lines"]["begin"], 3);
    }
}
