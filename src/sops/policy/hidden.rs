//! Rules that never match because an earlier one takes all their files: sops follows the first rule that matches, and
//! says nothing of the others.

use std::str::Chars;

use crate::yaml::Position;

use super::super::re2::Pattern;
use super::Entry;

/// A rule that can never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HiddenRule {
    /// Where it stands.
    pub position: Position,
    /// Where the earlier rule stands that matches all its files.
    pub by: Position,
}

pub(super) fn among(entries: &[Entry]) -> Vec<HiddenRule> {
    let hidden = entries.iter().enumerate().filter_map(|(index, later)| {
        let earlier = entries[..index].iter().find(|earlier| hides(earlier, later))?;
        Some(HiddenRule { position: later.position, by: earlier.position })
    });
    hidden.collect()
}

fn hides(earlier: &Entry, later: &Entry) -> bool {
    match (&earlier.path, &later.path) {
        (None, _) => true,
        (Some(earlier), later) if matches_everything(earlier) || later.as_ref() == Some(earlier) => true,
        (Some(_), None) => false,
        (Some(earlier), Some(later)) => {
            let (Some(earlier), Some(later)) = (Shape::of(earlier.as_str()), Shape::of(later.as_str()))
            else {
                return false;
            };
            earlier.is_found_in(&later)
        }
    }
}

fn matches_everything(pattern: &Pattern) -> bool {
    matches!(pattern.as_str(), ".*" | "^" | "$" | "^.*" | ".*$" | "^.*$" | "()" | "(.*)" | ".*?")
}

/// As much of a pattern as can be compared: runs of literal text with unknown text between them.
#[derive(Debug)]
struct Shape {
    starts: bool,
    ends: bool,
    runs: Vec<String>,
}

impl Shape {
    /// `None` where the pattern has alternatives, flags, or anything else that would change what its texts mean.
    fn of(pattern: &str) -> Option<Self> {
        if pattern.contains("(?") || pattern.contains("\\Q") {
            return None;
        }
        let (starts, body) = pattern.strip_prefix('^').map_or((false, pattern), |body| (true, body));
        let is_escaped = |body: &str| body.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        let end = body.strip_suffix('$').filter(|body| !is_escaped(body));
        let (ends, body) = end.map_or((false, body), |body| (true, body));
        let mut runs = vec![String::new()];
        let mut chars = body.chars();
        while let Some(char) = chars.next() {
            match char {
                '\\' => match chars.next()? {
                    escaped if escaped.is_ascii_punctuation() => literal(&mut runs, escaped),
                    escaped if "dDsSwWbB".contains(escaped) => runs.push(String::new()),
                    _ => return None,
                },
                '*' | '+' | '?' => {
                    // What is repeated may be absent, or be there more often.
                    runs.last_mut()?.pop();
                    runs.push(String::new());
                }
                '{' => {
                    runs.last_mut()?.pop();
                    runs.push(String::new());
                    chars.by_ref().find(|char| *char == '}')?;
                }
                '.' => runs.push(String::new()),
                '[' => {
                    skip_class(&mut chars)?;
                    runs.push(String::new());
                }
                '(' => {
                    skip_group(&mut chars)?;
                    runs.push(String::new());
                }
                '|' | ')' | '^' | '$' => return None,
                other => literal(&mut runs, other),
            }
        }
        Some(Self { starts, ends, runs })
    }

    /// Whether this pattern, where it is literal text only, is found in every text that the other matches.
    fn is_found_in(&self, other: &Self) -> bool {
        let [text] = self.runs.as_slice() else { return false };
        let (Some(first), Some(last)) = (other.runs.first(), other.runs.last()) else { return false };
        match (self.starts, self.ends) {
            (false, false) => other.runs.iter().any(|run| run.contains(text)),
            (true, false) => other.starts && first.starts_with(text),
            (false, true) => other.ends && last.ends_with(text),
            (true, true) => other.starts && other.ends && other.runs.len() == 1 && first == text,
        }
    }
}

fn literal(runs: &mut [String], char: char) {
    if let Some(run) = runs.last_mut() {
        run.push(char);
    }
}

/// To the end of a class, whose `[` was read.
fn skip_class(chars: &mut Chars<'_>) -> Option<()> {
    let mut is_first = true;
    loop {
        match chars.next()? {
            '\\' => drop(chars.next()?),
            '^' if is_first => continue,
            ']' if !is_first => return Some(()),
            // A class by name has a bracket of its own; nobody writes it in a path.
            '[' => return None,
            _ => {}
        }
        is_first = false;
    }
}

/// To the end of a group, whose `(` was read.
fn skip_group(chars: &mut Chars<'_>) -> Option<()> {
    let mut depth = 1;
    while depth > 0 {
        match chars.next()? {
            '\\' => drop(chars.next()?),
            '[' => skip_class(chars)?,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    Some(())
}
