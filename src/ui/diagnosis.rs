//! What `doctor` found.

use super::{Style, Ui};
use crate::checks::doctor::{Finding, Grade};

/// What stands before the text of a finding.
const INDENT: &str = "           ";

/// One paragraph a topic: the grade, what was seen, and below it what mends it. Text is broken between words where the
/// terminal ends; commands are not.
#[must_use]
pub fn text(ui: Ui, findings: &[Finding], columns: Option<usize>) -> String {
    let width = columns.map_or(usize::MAX, |columns| columns.saturating_sub(INDENT.len()).max(20));
    let mut out = String::new();
    let mut topic = "";
    for finding in findings {
        if finding.topic != topic {
            topic = finding.topic;
            out += &format!("{}\n", ui.paint(Style::Bold, topic));
        }
        let grade = ui.paint(style(finding.grade), &format!("{:<7}", finding.grade));
        let mut lines = finding.says.lines().flat_map(|line| wrapped(line, width));
        out += &format!("  {grade}  {}\n", lines.next().unwrap_or_default());
        for line in lines {
            out += &format!("{INDENT}{line}\n");
        }
        if let Some(mend) = &finding.mend {
            for line in mend.to_string().lines() {
                out += &format!("{INDENT}-> {line}\n");
            }
        }
    }
    let care = findings.iter().filter(|finding| finding.grade.needs_care()).count();
    out += &match care {
        0 => "all is well\n".to_owned(),
        1 => "1 thing needs care\n".to_owned(),
        many => format!("{many} things need care\n"),
    };
    out
}

/// Lines of at most `width` characters, as far as its words allow that.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn style(grade: Grade) -> Style {
    match grade {
        Grade::Ok => Style::Good,
        Grade::Note | Grade::Skipped => Style::Dim,
        Grade::Warning => Style::Warn,
        Grade::Wrong => Style::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_nothing_of_it_is_lost() {
        let text = "1 identity from /home/ana/.config/sops/age/keys.txt: age1x";
        assert_eq!(wrapped(text, usize::MAX), [text]);
        let narrow = wrapped(text, 20);
        assert_eq!(narrow, ["1 identity from", "/home/ana/.config/sops/age/keys.txt:", "age1x"]);
        assert_eq!(narrow.join(" "), text);
        assert_eq!(wrapped("", 20), [""]);
    }
}
