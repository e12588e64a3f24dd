//! Regular expressions of policies and files, with the meaning they have in Go's RE2 syntax (regexp/syntax), which is
//! what sops uses. What the two engines read differently is translated; what cannot be is refused, as a rule that
//! means something else to the next reader decides which values are encrypted.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// Go refuses to repeat more often.
const MAX_REPEAT: u32 = 1000;

/// General categories, and the scripts that people use, as Go spells them.
const PROPERTIES: [&str; 49] = [
    "C",
    "Cc",
    "Cf",
    "Co",
    "L",
    "Ll",
    "Lm",
    "Lo",
    "Lt",
    "Lu",
    "M",
    "Mc",
    "Me",
    "Mn",
    "N",
    "Nd",
    "Nl",
    "No",
    "P",
    "Pc",
    "Pd",
    "Pe",
    "Pf",
    "Pi",
    "Po",
    "Ps",
    "S",
    "Sc",
    "Sk",
    "Sm",
    "So",
    "Z",
    "Zl",
    "Zp",
    "Zs",
    "Arabic",
    "Armenian",
    "Cyrillic",
    "Devanagari",
    "Georgian",
    "Greek",
    "Han",
    "Hangul",
    "Hebrew",
    "Hiragana",
    "Katakana",
    "Latin",
    "Tamil",
    "Thai",
];

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

struct Translation<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
}

impl<'p> Translation<'p> {
    fn run(pattern: &'p str) -> Result<String, &'static str> {
        let mut translation = Self { rest: pattern.chars().peekable(), out: String::new() };
        let mut repeated = false;
        while let Some(char) = translation.rest.next() {
            let repeats = match char {
                '\\' => translation.escape(false).map(|()| false)?,
                '[' => translation.class().map(|()| false)?,
                '(' => translation.group().map(|()| false)?,
                '*' | '+' | '?' => translation.repeat(char, repeated).map(|()| true)?,
                '{' => translation.counted(repeated).map(|()| true)?,
                other => {
                    translation.out.push(other);
                    false
                }
            };
            repeated = repeats;
        }
        Ok(translation.out)
    }

    /// `*`, `+`, `?`, with the `?` that makes it lazy. Go refuses a repetition of a repetition.
    fn repeat(&mut self, operator: char, repeated: bool) -> Result<(), &'static str> {
        if repeated {
            return Err("a repetition of a repetition");
        }
        self.out.push(operator);
        self.lazy();
        Ok(())
    }

    fn lazy(&mut self) {
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
    }

    /// `{n}`, `{n,}`, `{n,m}`; any other brace is a plain one for Go.
    fn counted(&mut self, repeated: bool) -> Result<(), &'static str> {
        let body: String = self.rest.clone().take_while(|char| *char != '}').collect();
        let closed = self.rest.clone().nth(body.chars().count()) == Some('}');
        let bounds: Vec<&str> = body.splitn(2, ',').collect();
        let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let counted = closed
            && bounds.first().is_some_and(is_number)
            && bounds.get(1).is_none_or(|most| most.is_empty() || is_number(most));
        if !counted {
            return Err("a brace that is not a repetition must be written \\{");
        }
        if bounds
            .iter()
            .any(|bound| !bound.is_empty() && bound.parse().is_ok_and(|count: u32| count > MAX_REPEAT))
        {
            return Err("a repetition of more than 1000");
        }
        if repeated {
            return Err("a repetition of a repetition");
        }
        self.out.push('{');
        self.out.push_str(&body);
        self.out.push('}');
        self.rest.nth(body.chars().count());
        self.lazy();
        Ok(())
    }

    /// Only Go's flags: i, m, s, U.
    fn group(&mut self) -> Result<(), &'static str> {
        self.out.push('(');
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('?') {
            return Ok(());
        }
        if matches!(ahead.peek(), Some('P' | '<')) {
            return Ok(());
        }
        let flags: String = ahead.take_while(|char| !matches!(char, ':' | ')')).collect();
        if flags.chars().all(|flag| "imsU-".contains(flag)) {
            Ok(())
        } else {
            Err("a group or flag that sops does not know")
        }
    }

    fn escape(&mut self, in_class: bool) -> Result<(), &'static str> {
        let Some(char) = self.rest.next() else { return Err("a backslash at the end") };
        match char {
            'd' => self.out.push_str("[0-9]"),
            'D' => self.out.push_str("[^0-9]"),
            's' => self.out.push_str(r"[\t\n\f\r ]"),
            'S' => self.out.push_str(r"[^\t\n\f\r ]"),
            'w' => self.out.push_str("[0-9A-Za-z_]"),
            'W' => self.out.push_str("[^0-9A-Za-z_]"),
            'b' if !in_class => self.out.push_str(r"(?-u:\b)"),
            'B' if !in_class => self.out.push_str(r"(?-u:\B)"),
            'A' | 'z' if !in_class => self.plain_escape(char),
            'Q' if !in_class => self.quoted(),
            'a' | 'f' | 't' | 'n' | 'r' | 'v' => self.plain_escape(char),
            'x' => {
                self.plain_escape(char);
                if self.rest.peek() == Some(&'{') {
                    self.braced().ok_or("a brace that is not closed")?;
                }
            }
            'p' | 'P' => {
                self.plain_escape(char);
                return self.property();
            }
            other if other.is_ascii_punctuation() => self.plain_escape(other),
            _ => return Err("an escape that is not supported"),
        }
        Ok(())
    }

    fn plain_escape(&mut self, char: char) {
        self.out.push('\\');
        self.out.push(char);
    }

    /// What follows in braces, as it is.
    fn braced(&mut self) -> Option<String> {
        self.rest.next_if_eq(&'{')?;
        let mut body = String::new();
        while let Some(char) = self.rest.next_if(|char| *char != '}') {
            body.push(char);
        }
        self.out.push('{');
        self.out.push_str(&body);
        self.rest.next_if_eq(&'}')?;
        self.out.push('}');
        Some(body)
    }

    /// `\pL` or `\p{Greek}`. This engine knows more names than Go, and takes them in any spelling.
    fn property(&mut self) -> Result<(), &'static str> {
        let name = match self.rest.peek() {
            Some('{') => self.braced().ok_or("a brace that is not closed")?,
            _ => {
                let char = self.rest.next().ok_or("a property without its name")?;
                self.out.push(char);
                char.to_string()
            }
        };
        if PROPERTIES.contains(&name.as_str()) {
            Ok(())
        } else {
            Err("a property of Unicode that is not supported")
        }
    }

    /// `\Q…\E`: everything as it is.
    fn quoted(&mut self) {
        let rest: String = self.rest.clone().collect();
        let (text, skip) = match rest.find(r"\E") {
            Some(at) => (&rest[..at], rest[..at].chars().count() + 2),
            None => (rest.as_str(), rest.chars().count()),
        };
        self.out.push_str(&regex::escape(text));
        for _ in 0..skip {
            self.rest.next();
        }
    }

    /// `[…]`. Inside, this engine knows set operations and nested classes that Go takes literally.
    fn class(&mut self) -> Result<(), &'static str> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        if self.rest.next_if_eq(&']').is_some() {
            self.out.push_str(r"\]");
        }
        while let Some(char) = self.rest.next() {
            match char {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' if self.rest.peek() == Some(&':') => self.posix()?,
                '[' | '&' | '~' => self.plain_escape(char),
                '-' if self.rest.peek() == Some(&'-') => return Err("two hyphens in a class: write \\-"),
                other => self.out.push(other),
            }
        }
        Err("a class that is not closed")
    }

    /// `[:alpha:]`
    fn posix(&mut self) -> Result<(), &'static str> {
        let name: String = self.rest.clone().take_while(|char| *char != ']').collect();
        if name.len() < 3 || !name.ends_with(':') {
            return Err("a bracket in a class must be written \\[");
        }
        self.out.push('[');
        self.out.push_str(&name);
        self.out.push(']');
        self.rest.nth(name.chars().count());
        Ok(())
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
    }

    #[test]
    fn the_error_shows_the_pattern_as_written() {
        let error = Pattern::new("(unclosed").unwrap_err().to_string();
        assert_eq!(error, "`(unclosed` is not a valid regular expression: unclosed group");
    }
}
