//! Regular expressions of policies and files, with the meaning they have in Go's RE2 syntax (regexp/syntax), which is
//! what sops uses. What the two engines read differently is translated; what cannot be is refused, as a rule that
//! means something else to the next reader decides which values are encrypted.

mod translation;

use regex::Regex;

use translation::Translation;

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a valid regular expression: {reason}")]
pub struct PatternError {
    /// The pattern, or the beginning of a long one.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// As much of a pattern as an error can show.
fn beginning(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A compiled pattern; equal to another when its text is.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// A pattern that Go would refuse, or that cannot be given the same meaning here.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let error = |reason: String| PatternError { pattern: beginning(text), reason };
        let translated = Translation::run(text).map_err(|reason| error(reason.to_owned()))?;
        let regex = Regex::new(&translated).map_err(|cause| {
            // The first lines of the engine's message show the translated pattern, which nobody wrote.
            let text = cause.to_string();
            error(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
        })?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// Whether it is found anywhere in `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap().is_match(text)
    }

    #[test]
    fn classes_are_ascii_as_in_go() {
        assert!(matches(r"^\d+$", "123"));
        assert!(!matches(r"^\d+$", "١٢٣"));
        assert!(!matches(r"^\w$", "é"));
        assert!(matches(r"^\W$", "é"));
        assert!(!matches(r"\s", "\u{a0}"));
        assert!(!matches(r"\s", "\u{b}"));
        assert!(matches(r"^[\d_]+$", "1_2"));
        assert!(!matches(r"^[^\d]$", "5"));
        assert!(matches(r"é\b", "éa"));
    }

    #[test]
    fn search_is_unanchored_and_unicode() {
        assert!(matches("^(data|stringData)$", "data"));
        assert!(!matches("^(data|stringData)$", "mydata"));
        assert!(matches("pass", "my_password"));
        assert!(matches("^.$", "é"));
        assert!(matches("(?i)TOKEN", "gitlab_token"));
    }

    #[test]
    fn what_is_literal_in_go_stays_literal() {
        assert!(matches("^[a&&b]+$", "a&b"));
        assert!(matches("^[[a]+$", "[a"));
        assert!(matches("^[]a]+$", "]a"));
        assert!(matches("^[~~]$", "~"));
        assert!(matches(r"^\Qa.b\E$", "a.b"));
        assert!(!matches(r"^\Qa.b\E$", "axb"));
        assert!(matches("^[[:alpha:]]+$", "abc"));
        assert!(matches(r"^\<TOKEN\>$", "<TOKEN>"));
        assert!(!matches(r"\<TOKEN\>", "TOKEN"));
        assert!(matches(r"^[\<\>]+$", "<>"));
        assert!(matches(r"^\ \%\_\-\#$", " %_-#"));
        assert!(matches("^[+--]+$", "+,-"));
        assert!(matches("^[--a]+$", "-9A_a"));
        assert!(matches("^[a-c-e]+$", "a-e"));
        assert!(!matches("[a-c-e]", "d"));
        assert!(matches(r"^[\d-z]+$", "5-z"));
        assert!(!matches(r"[\d-z]", "a"));
        assert!(matches("^[A-[:b]+$", "Z[:b"));
        assert!(matches("^[a[b]+$", "[ab"));
        assert!(matches("^[a~~b^]+$", "~^"));
        assert!(matches("^[[:^alpha:]]+$", "5é"));
        assert!(matches(r"^\Ba\B$|^é\Bé$", "éé"));
    }

    #[test]
    fn escapes_with_braces_are_read_whole() {
        assert!(matches(r"^\p{Greek}\pL$", "αa"));
        assert!(!matches(r"^\P{Lu}$", "A"));
        assert!(matches(r"^\x{e9}{2}$", "éé"));
        for pattern in
            [r"\p{Alphabetic}", r"\p{greek}", r"\p{^L}", r"\p{L", r"\p", r"\p{}", r"\x{}", r"\x{", r"\pX"]
        {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in
            ["(unclosed", "a**", "a{2}{3}", "a{1001}", r"\1", "(?x)a", "(?=a)", "[a", r"a\", "[z-a]", "*a"]
        {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        for class in ["[[:foo:]]", "[[:oddsa:]]", "[[:^foo:]]", "[[:Alpha:]]", "[[:word :]]"] {
            assert!(Pattern::new(class).is_err(), "{class}");
        }
        for range in [r"[a-\d]", r"[A-\w]", r"[A-\pL]", "[a-[:alpha:]]"] {
            assert!(Pattern::new(range).is_err(), "{range}");
        }
        for escape in [
            r"\Z",
            r"\G",
            r"\C",
            r"\R",
            r"\X",
            r"\K",
            r"\h",
            r"\E",
            r"\x4",
            r"[\x4]",
            r"\q",
            r"\é",
            r"\u0041",
            r"\U00000041",
            r"\u{41}",
        ] {
            assert!(Pattern::new(escape).is_err(), "{escape}");
        }
        for group in [
            "(?P<é>a)",
            "(?P<a.b>a)",
            "(?<a[0]>a)",
            "(?P<>a)",
            "(?P=a)",
            "(?<!a)",
            "(?<=a)",
            "(?R)",
            "(?u)a",
            "(?i--s)a",
            "(?#a)",
        ] {
            assert!(Pattern::new(group).is_err(), "{group}");
        }
    }

    #[test]
    fn what_goes_repeats_would_make_too_large_is_refused() {
        for pattern in [
            "^(.{1,40}){1,30}$",
            "(a{2}){501}",
            "((a{10}){10}){11}",
            "(?:b|c(?P<x>a{11}d)e*){100,}",
            "((a{2}x)*){501}",
            "a{99999999999}",
            "(b{500}|a{2}){501}",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        for pattern in ["(a{2}){500}", "(a{500}b{500}){2}", "((a{10}){10}){10}", "(a{1000}){0}", "(a{1000})*"]
        {
            assert!(Pattern::new(pattern).is_ok(), "{pattern}");
        }
        // 2 million instructions for each of the two.
        assert!(Pattern::new(&format!("({}){{1000}}", "()".repeat(2000))).is_err());
    }

    #[test]
    fn what_cannot_be_written_the_same_way_is_refused() {
        for pattern in [r"\b{start}x", r"a+\Q\E?", "a{01}", "a{,2}", r"\pC", r"\012"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn the_error_shows_the_pattern_as_written() {
        let error = Pattern::new("(unclosed").unwrap_err().to_string();
        assert_eq!(error, "`(unclosed` is not a valid regular expression: unclosed group");
    }
}
