//! The text of a merge request, and how it travels: as push options, each of them one line.
//!
//! GitLab takes `merge_request.description` as it is (its push options service knows no escape for a line feed) and git
//! refuses options with one, so lines are set apart by `<br>`, which GitLab's Markdown renders. Names that a profile
//! chose stand in code spans: they can neither mention anybody nor become markup.

/// Longer descriptions are cut: git sends an option in one packet of less than 65,520 bytes.
const LONGEST: usize = 40_000;

/// A merge request's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestText {
    /// One line.
    pub title: String,
    /// The lines of its description, in Markdown; an empty one sets paragraphs apart.
    pub lines: Vec<String>,
}

impl RequestText {
    /// The push options that open the request, or bring an open one up to date.
    #[must_use]
    pub fn options(&self, target: &str) -> Vec<String> {
        vec![
            "merge_request.create".to_owned(),
            format!("merge_request.target={target}"),
            "merge_request.remove_source_branch".to_owned(),
            format!("merge_request.title={}", one_line(&self.title)),
            format!("merge_request.description={}", self.description()),
        ]
    }

    /// The description as one line.
    #[must_use]
    pub fn description(&self) -> String {
        let mut text = String::new();
        for (number, line) in self.lines.iter().enumerate() {
            if text.len() + line.len() > LONGEST {
                text +=
                    &format!("<br>… and {} more lines; the commits have them all", self.lines.len() - number);
                break;
            }
            if number > 0 {
                text += "<br>";
            }
            text += &one_line(line);
        }
        text
    }
}

/// Text from elsewhere, as a code span.
#[must_use]
pub fn code(text: &str) -> String {
    format!("`{}`", one_line(text).replace('`', "'"))
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_one_line_whatever_the_text_has() {
        let text = RequestText {
            title: "two\nlines".to_owned(),
            lines: vec!["**a**".to_owned(), String::new(), code("x`\n/approve @all")],
        };
        let options = text.options("main");
        assert!(options.iter().all(|option| !option.contains(char::is_control)), "{options:?}");
        assert_eq!(options[3], "merge_request.title=two lines");
        assert_eq!(options[4], "merge_request.description=**a**<br><br>`x' /approve @all`");
    }

    #[test]
    fn a_long_description_is_cut_and_says_so() {
        let text = RequestText { title: "t".to_owned(), lines: vec!["x".repeat(1000); 100] };
        let description = text.description();
        assert!(description.len() < 65_000);
        assert!(description.ends_with("more lines; the commits have them all"));
    }
}
