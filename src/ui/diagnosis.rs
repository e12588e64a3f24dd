//! What `doctor` found.

use super::{Style, Ui};
use crate::checks::doctor::{Finding, Grade};

/// One paragraph a topic: the grade, what was seen, and below it what mends it.
#[must_use]
pub fn text(ui: Ui, findings: &[Finding]) -> String {
    let mut out = String::new();
    let mut topic = "";
    for finding in findings {
        if finding.topic != topic {
            topic = finding.topic;
            out += &format!("{}\n", ui.paint(Style::Bold, topic));
        }
        let grade = ui.paint(style(finding.grade), &format!("{:<7}", finding.grade));
        let mut lines = finding.says.lines();
        out += &format!("  {grade}  {}\n", lines.next().unwrap_or_default());
        for line in lines {
            out += &format!("           {line}\n");
        }
        if let Some(mend) = &finding.mend {
            for line in mend.lines() {
                out += &format!("           -> {line}\n");
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

fn style(grade: Grade) -> Style {
    match grade {
        Grade::Ok => Style::Good,
        Grade::Note | Grade::Skipped => Style::Dim,
        Grade::Warning => Style::Warn,
        Grade::Wrong => Style::Bad,
    }
}
