//! `KEY: {{ … }}` without quotes: YAML takes the braces for a mapping, and its own error helps nobody.

use crate::problem::Problem;
use crate::yaml::Position;

/// The reason of a YAML error, when that is an unquoted expression: on the line of the error, else on the first line
/// that has one.
pub(super) fn explain(text: &str, error: Option<Position>) -> Option<Problem> {
    let mut found = text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, line, unquoted(line)?)));
    let here = error.map(|position| position.line);
    let first = found.next()?;
    let (number, line, offset) = if Some(first.0) == here {
        first
    } else {
        found.find(|(number, ..)| Some(*number) == here).unwrap_or(first)
    };
    let message = message(&line[..offset], &line[offset..]);
    let column = Position::of(line, offset).column;
    Some(Problem { position: Position { line: number, column }, message })
}

fn message(before: &str, rest: &str) -> String {
    let code = rest.split(" #").next().unwrap_or(rest).trim_end();
    let expression_end = code.find("}}").map_or(code.len(), |at| at + 2);
    if code[expression_end..].starts_with(':') {
        return "a key cannot have expressions: only values are rendered".to_owned();
    }
    let in_list = before.trim_end().ends_with(['[', ',']);
    let value = if in_list { &code[..expression_end] } else { code };
    let quote = if value.contains('"') { '\'' } else { '"' };
    format!("an expression must stand in quotes, else YAML reads a mapping; write {quote}{value}{quote}")
}

/// Offset of `{{` where it starts a value: at the start of the line, or behind `: `, `- `, `[` or `,`.
fn unquoted(line: &str) -> Option<usize> {
    let code = line.split(" #").next().unwrap_or(line);
    code.match_indices("{{").map(|(at, _)| at).find(|at| {
        let before = &code[..*at];
        let quotes = before.matches('"').count() % 2 + before.matches('\'').count() % 2;
        let head = before.trim_end();
        let starts = head.is_empty()
            || head.ends_with(['[', ','])
            || (head.len() < before.len() && head.ends_with([':', '-']));
        quotes == 0 && starts && !code.trim_start().starts_with('#')
    })
}
