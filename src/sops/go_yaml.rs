//! What go-yaml does not read as YAML 1.2 readers do: a draft that has it would become a file that stock sops cannot
//! read, or reads otherwise.

use crate::yaml::{Kind, Node, Position, Style};

use super::document::Document;

/// Where a document has something that go-yaml reads otherwise, and what it is.
pub(super) fn foreign(document: &Document) -> Option<(Position, String)> {
    let text = document.text();
    let (at, what) = character(text).or_else(|| tab(document))?;
    Some((Position::of(text, at), what))
}

/// Three more characters are line breaks (yamlprivateh.go, `is_break`), and control characters are refused (readerc.go).
fn character(text: &str) -> Option<(usize, String)> {
    let is_foreign = |char: char| {
        matches!(char, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
            || char.is_control() && !matches!(char, '\t' | '\n' | '\r')
    };
    let (at, char) = text.char_indices().find(|(_, char)| is_foreign(*char))?;
    let code = u32::from(char);
    let what = format!("the character U+{code:04X} as it stands: write \"\\u{code:04X}\", in double quotes");
    Some((at, what))
}

/// A tab where something may begin, which is not taken for a blank (scannerc.go, `yaml_parser_scan_to_next_token`).
fn tab(document: &Document) -> Option<(usize, String)> {
    let text = document.text();
    let mut starts = Vec::new();
    let mut line = 0;
    for end in text.match_indices(['\n', '\r']).map(|(at, _)| at).chain([text.len()]) {
        let before = text[line..end].trim_start_matches([' ', '-', '\t']);
        let before = &text[line..end - before.len()];
        starts.extend(before.find('\t').map(|at| line + at));
        line = end + 1;
    }
    if starts.is_empty() {
        return None;
    }
    let roots = document.tree().documents().filter_map(|document| document.root());
    roots.for_each(|root| allow(&mut starts, text, root));
    let what = "a tab before what stands on a line: use blanks, or quotes where it belongs to a value";
    starts.first().map(|at| (*at, what.to_owned()))
}

/// Takes those tabs out that stand in brackets, in quotes, or in the lines of a block.
fn allow(tabs: &mut Vec<usize>, text: &str, node: Node<'_>) {
    let span = node.span();
    match node.kind() {
        Kind::Mapping(mapping) if !mapping.is_flow() => {
            for entry in mapping.entries() {
                allow(tabs, text, entry.key_node);
                allow(tabs, text, entry.value);
            }
        }
        Kind::Sequence(list) if !list.is_flow() => list.items().for_each(|item| allow(tabs, text, item)),
        Kind::Scalar(_, Style::Literal | Style::Folded) => {
            let header = text[span.clone()].find('\n').map_or(span.end, |end| span.start + end);
            let has_indent = text[span.start..header].contains(|char: char| char.is_ascii_digit());
            let is_blank = |line: &&str| line.chars().all(|char| matches!(char, ' ' | '\r'));
            let first =
                text[header..span.end].lines().skip(1).find(|line| !is_blank(line)).unwrap_or_default();
            let spaces = first.len() - first.trim_start_matches(' ').len();
            let is_lost = !has_indent && first[spaces..].starts_with('\t');
            let indent = if has_indent { 1 } else { spaces };
            let column = |at: usize| at - text[..at].rfind(['\n', '\r']).map_or(0, |line| line + 1);
            tabs.retain(|at| !span.contains(at) || is_lost || column(*at) < indent);
        }
        Kind::Scalar(_, Style::Plain) | Kind::Alias(_) => {}
        Kind::Scalar(..) | Kind::Mapping(_) | Kind::Sequence(_) => tabs.retain(|at| !span.contains(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    /// Our own parser finds some of it.
    fn is_refused(text: &str) -> bool {
        Document::of_text(Format::Yaml, text.to_owned()).map_or(true, |document| foreign(&document).is_some())
    }

    #[test]
    fn tabs_are_found_where_something_may_begin() {
        let refused = [
            "a: 1\n\t\nb: 2\n",
            "a: x\n\t# w\nb: 1\n",
            "a: |\n  \tx\n",
            "a: |\n  \t\n  x\n",
            "a: >\n  x\n\t\n  y\n",
            "l:\n-\ta\n",
        ];
        for text in refused {
            assert!(is_refused(text), "{text:?}");
        }
        let read = [
            "a: |\n\n  x\n  \ty\n",
            "a: |2\n  \tx\n",
            "a: \"x\n  \ty\"\n",
            "a: [x,\n\ty]\n",
            "a:\t1\t# w\nb: 2\t\n",
            "a: |\r\n  x\r\n  \ty\r\n",
        ];
        for text in read {
            assert!(!is_refused(text), "{text:?}");
        }
    }

    #[test]
    fn characters_are_found_that_end_a_line_or_are_refused() {
        for text in ["a: x\u{2028}y\n", "# \u{85}\na: 1\n", "a: '\u{2029}'\n", "a: \"\u{7f}\"\n"] {
            assert!(is_refused(text), "{text:?}");
        }
        assert!(!is_refused("a: é\u{a0}😀\r\n# \u{a0}\n"));
    }
}
