//! The commands of a guide, as a reader finds them: in blocks, section by section.

use std::fs;

/// The text of a document of this repository.
pub(crate) fn text(document: &str) -> String {
    fs::read_to_string(format!("{}/{document}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// One line that a reader types, and what the guide shows that it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) line: String,
    pub(crate) shown: Vec<String>,
}

/// The lines to type below each heading, in the order of the headings; what stands before the first has none.
///
/// They are those of indented blocks, and those after `$ ` in blocks of `console`, where what follows is what is said.
pub(crate) fn sections(text: &str) -> Vec<(String, Vec<Typed>)> {
    let mut sections: Vec<(String, Vec<Typed>)> = Vec::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        if let Some(info) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(info) };
            continue;
        }
        if let (None, Some(heading)) = (fence, line.strip_prefix('#')) {
            sections.push((heading.trim_start_matches('#').trim().to_owned(), Vec::new()));
            continue;
        }
        let Some((_, typed)) = sections.last_mut() else { continue };
        let block = line.starts_with("    ").then(|| line.trim());
        match (fence, line.strip_prefix("$ "), typed.last_mut()) {
            (Some("console"), Some(line), _) => {
                typed.push(Typed { line: line.to_owned(), shown: Vec::new() });
            }
            (Some("console"), None, Some(last)) => last.shown.push(line.to_owned()),
            (None, ..) => typed.extend(block.map(|line| Typed { line: line.to_owned(), shown: Vec::new() })),
            _ => {}
        }
    }
    for typed in sections.iter_mut().flat_map(|(_, typed)| typed) {
        while typed.shown.last().is_some_and(String::is_empty) {
            typed.shown.pop();
        }
    }
    sections
}

/// Without what differs from run to run: numbers, dates and the names of commits.
pub(crate) fn shape(said: &str) -> String {
    let word = |word: &str| {
        let is_commit = word.len() >= 7 && word.chars().all(|letter| letter.is_ascii_hexdigit());
        let mut shape = String::new();
        for letter in if is_commit { "0" } else { word }.chars() {
            let letter = if letter.is_ascii_digit() { '#' } else { letter };
            if letter != '#' || !shape.ends_with('#') {
                shape.push(letter);
            }
        }
        shape
    };
    let lines = said.lines().map(|line| line.trim_end().split(' ').map(word).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}
