//! Text from repositories and from GitLab, as it may be shown on a terminal.
//!
//! A name that holds control characters could clear a line of the plan or write another one over it, and one that turns the
//! direction of writing could show a word that it is not. Both are shown as escapes in place of being obeyed.

use std::borrow::Cow;

use super::Style;

/// `text` with everything visible but line ends, tabs, and the few sequences of [`Style`].
#[must_use]
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(acts) {
        let (plain, from) = rest.split_at(at);
        out += plain;
        if let Some(sequence) = Style::sequence_at(from) {
            out += sequence;
            rest = &from[sequence.len()..];
            continue;
        }
        let mut chars = from.chars();
        out.extend(chars.next().into_iter().flat_map(char::escape_unicode));
        rest = chars.as_str();
    }
    Cow::Owned(out + rest)
}

/// Control characters (C0, DEL, C1), and those that change the direction of writing (Unicode Standard Annex 9) or end a line
/// where nobody expects it.
fn acts(char: char) -> bool {
    match char {
        '\n' | '\t' => false,
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => true,
        _ => char.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_shown() {
        assert_eq!(visible("a\u{1b}[2K\rb"), "a\\u{1b}[2K\\u{d}b");
        assert_eq!(visible("\u{202e}ydaer\u{9b}8m"), "\\u{202e}ydaer\\u{9b}8m");
        assert_eq!(visible("\u{1b}[8mhidden"), "\\u{1b}[8mhidden");
    }

    #[test]
    fn lines_tabs_and_our_own_styles_stay() {
        let text = "\u{1b}[1;31merror: \u{1b}[0mé\tñ\n";
        assert_eq!(visible(text), text);
    }
}
