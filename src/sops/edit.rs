//! Changes to a text as a list of (range, new text): every byte outside the ranges stays.

use std::ops::Range;

/// Two changes touch the same bytes; a defect of whoever made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overlap;

/// Changes that are applied together.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Puts `text` where `range` is. An empty range inserts; insertions at one place keep the order they were made in.
    pub(super) fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    /// `source` with all changes.
    pub(super) fn apply(mut self, source: &str) -> Result<String, Overlap> {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let grown: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        let mut result = String::with_capacity(source.len() + grown);
        let mut at = 0;
        for (range, text) in self.0 {
            result.push_str(source.get(at..range.start).ok_or(Overlap)?);
            result.push_str(&text);
            at = range.end;
        }
        result.push_str(source.get(at..).ok_or(Overlap)?);
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_apply_in_the_order_of_the_text() {
        let mut edits = Edits::default();
        edits.replace(4..5, "E");
        edits.replace(1..1, "+");
        edits.replace(1..1, "-");
        edits.replace(0..1, "");
        assert_eq!(edits.apply("abcdef").unwrap(), "+-bcdEf");
    }

    #[test]
    fn changes_that_overlap_are_refused() {
        let mut edits = Edits::default();
        edits.replace(0..3, "x");
        edits.replace(2..4, "y");
        assert_eq!(edits.apply("abcdef"), Err(Overlap));
    }
}
