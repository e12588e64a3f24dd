//! The same pattern for the engine here (regexp/syntax/parse.go of Go; the syntax of the crate `regex`). Nothing is
//! handed on because it looks alike: an escape, a class or a group is written anew, or refused.

use std::iter::Peekable;
use std::str::Chars;

/// How often Go lets anything be repeated, the counts of all repetitions around it taken together.
const MAX_REPEAT: u32 = 1000;

/// Go refuses what would compile to more than 3,355,443 instructions. No character makes more than two of them, unless
/// it is repeated.
const MAX_SIZE: usize = 1_600_000;

/// The classes that Go knows by name. What else stands between `[:` and `:]` it refuses, and the engine here takes for
/// a class inside the class.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// General categories, and the scripts that people use, as Go spells them. Not `C`, which has all unassigned characters
/// only since Go 1.25.
const PROPERTIES: [&str; 48] = [
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

const BRACE: &str = "a brace that is not a repetition must be written \\{";
const GROUP: &str = "a group or flag that sops does not know";
const CLASS: &str = "a class that is not closed";

pub(super) struct Translation<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
    /// For each open group, and the whole: how often its most repeated part is.
    groups: Vec<u32>,
    /// How often the most repeated part of what was read last is.
    last: u32,
}

impl<'p> Translation<'p> {
    /// The pattern for the engine here, or why there is none.
    pub(super) fn run(pattern: &'p str) -> Result<String, &'static str> {
        let rest = pattern.chars().peekable();
        let mut translation = Self { rest, out: String::new(), groups: vec![1], last: 1 };
        let (mut repeated, mut most) = (false, 1);
        while let Some(char) = translation.rest.next() {
            repeated = translation.one(char, repeated)?;
            most = most.max(translation.last);
        }
        if pattern.len().saturating_mul(most as usize) > MAX_SIZE {
            return Err("an expression that is too large with its repetitions");
        }
        Ok(translation.out)
    }

    /// What begins with this character; whether it was a repetition.
    fn one(&mut self, char: char, repeated: bool) -> Result<bool, &'static str> {
        match char {
            '*' | '+' | '?' => return self.repeat(char, repeated).map(|()| true),
            '{' => return self.counted(repeated).map(|()| true),
            ')' => {
                self.last = self.groups.pop().unwrap_or(1);
                self.count();
                self.out.push(')');
                return Ok(false);
            }
            _ => self.last = 1,
        }
        match char {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.group()?,
            other => self.out.push(other),
        }
        Ok(false)
    }

    /// What was read last is part of the group that is open.
    fn count(&mut self) {
        if let Some(most) = self.groups.last_mut() {
            *most = self.last.max(*most);
        }
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
        let body = self.until('}').ok_or(BRACE)?;
        let (least, most) = body.split_once(',').unwrap_or((&body, &body));
        let least = bound(least)?;
        // Nothing behind the comma: what must be there is compiled, and the rest is a loop.
        let times = if most.is_empty() { least } else { bound(most)? };
        if repeated {
            return Err("a repetition of a repetition");
        }
        self.last = self.last.saturating_mul(times);
        if least.max(self.last) > MAX_REPEAT {
            return Err("a repetition of more than 1000, with those inside it");
        }
        self.count();
        self.out.push('{');
        self.out.push_str(&body);
        self.out.push('}');
        self.lazy();
        Ok(())
    }

    /// `(`, with Go's flags (i, m, s, U) or a name of its letters.
    fn group(&mut self) -> Result<(), &'static str> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
            let has_p = self.rest.next_if_eq(&'P').is_some();
            if self.rest.next_if_eq(&'<').is_some() {
                let name = self.until('>').ok_or(GROUP)?;
                if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                    return Err(GROUP);
                }
                self.out.push_str(&format!("P<{name}>"));
            } else {
                while let Some(flag) = self.rest.next_if(|flag| "imsU-".contains(*flag)) {
                    self.out.push(flag);
                }
                let end = self.rest.next().filter(|end| !has_p && matches!(end, ':' | ')')).ok_or(GROUP)?;
                self.out.push(end);
                if end == ')' {
                    return Ok(());
                }
            }
        }
        self.groups.push(1);
        Ok(())
    }

    /// A backslash outside a class.
    fn escape(&mut self) -> Result<(), &'static str> {
        match self.rest.peek().copied() {
            Some('b') => self.out.push_str(r"(?-u:\b)"),
            Some('B') => self.out.push_str(r"(?-u:\B)"),
            Some('A') => self.out.push_str(r"\A"),
            Some('z') => self.out.push_str(r"\z"),
            Some('Q') => return self.quoted(),
            _ if self.set()? => return Ok(()),
            _ => return self.char_escape(),
        }
        self.rest.next();
        Ok(())
    }

    /// Behind a backslash, where a set of characters has a letter: `d`, `p`. Whether one was read.
    fn set(&mut self) -> Result<bool, &'static str> {
        self.out.push_str(match self.rest.peek().copied() {
            Some('d') => "[0-9]",
            Some('D') => "[^0-9]",
            Some('s') => r"[\t\n\f\r ]",
            Some('S') => r"[^\t\n\f\r ]",
            Some('w') => "[0-9A-Za-z_]",
            Some('W') => "[^0-9A-Za-z_]",
            Some('p' | 'P') => return self.property().map(|()| true),
            _ => return Ok(false),
        });
        self.rest.next();
        Ok(true)
    }

    /// Behind a backslash: one character.
    fn char_escape(&mut self) -> Result<(), &'static str> {
        match self.rest.next().ok_or("a backslash at the end")? {
            char @ ('a' | 'f' | 't' | 'n' | 'r' | 'v') => self.out.extend(['\\', char]),
            'x' => {
                let is_braced = self.rest.next_if_eq(&'{').is_some();
                let digits = match is_braced {
                    true => self.until('}').ok_or("a brace that is not closed")?,
                    false => self.rest.by_ref().take(2).collect::<String>(),
                };
                if !is_braced && digits.len() != 2 {
                    return Err("a character by its number needs two digits");
                }
                self.out.push_str(&format!(r"\x{{{digits}}}"));
            }
            // Go means the character itself, the engine here the start and the end of a word by `\<` and `\>`.
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => self.literal(other),
            _ => return Err("an escape that is not supported"),
        }
        Ok(())
    }

    /// A character that means itself, inside a class too.
    fn literal(&mut self, char: char) {
        self.out.push_str(&regex::escape(char.encode_utf8(&mut [0; 4])));
    }

    /// What stands before this character, which is read too.
    fn until(&mut self, end: char) -> Option<String> {
        let mut body = String::new();
        while let Some(char) = self.rest.next_if(|char| *char != end) {
            body.push(char);
        }
        self.rest.next().map(|_| body)
    }

    /// `\pL` or `\p{Greek}`. This engine knows more names than Go, and takes them in any spelling.
    fn property(&mut self) -> Result<(), &'static str> {
        const UNKNOWN: &str = "a property of Unicode that is not supported";
        let kind = self.rest.next().ok_or(UNKNOWN)?;
        let name = match self.rest.next().ok_or("a property without its name")? {
            '{' => self.until('}').ok_or("a brace that is not closed")?,
            char => char.to_string(),
        };
        if !PROPERTIES.contains(&name.as_str()) {
            return Err(UNKNOWN);
        }
        self.out.push_str(&format!(r"\{kind}{{{name}}}"));
        Ok(())
    }

    /// `Q…\E`: everything as it is.
    fn quoted(&mut self) -> Result<(), &'static str> {
        self.rest.next();
        let rest: String = self.rest.clone().collect();
        let text = rest.split_once(r"\E").map_or(rest.as_str(), |(text, _)| text);
        if text.is_empty() {
            // A `?` behind it would be taken for the one that makes what stands before it lazy.
            return Err(r"an empty \Q\E");
        }
        self.out.push_str(&regex::escape(text));
        self.rest.by_ref().take(text.chars().count() + r"\E".len()).for_each(drop);
        Ok(())
    }

    /// `[…]`, item by item. The engine here knows set operations and classes inside classes that Go takes literally.
    fn class(&mut self) -> Result<(), &'static str> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        while is_first || self.rest.peek() != Some(&']') {
            is_first = false;
            self.class_item()?;
        }
        self.rest.next();
        self.out.push(']');
        Ok(())
    }

    /// A set by its name or letter, a character, or a range.
    fn class_item(&mut self) -> Result<(), &'static str> {
        let mut ahead = self.rest.clone();
        let char = self.rest.next().ok_or(CLASS)?;
        ahead.next();
        match char {
            '[' if ahead.peek() == Some(&':') => {
                if let Some(name) = named_class(ahead.skip(1))? {
                    self.out.push_str(&format!("[:{name}:]"));
                    self.rest.by_ref().take(name.chars().count() + ":".len() + ":]".len()).for_each(drop);
                    return Ok(());
                }
                self.literal(char);
            }
            '\\' if self.set()? => return Ok(()),
            '\\' => self.char_escape()?,
            other => self.literal(other),
        }
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|end| end != ']') {
            self.rest.next();
            self.out.push('-');
            match self.rest.next().ok_or(CLASS)? {
                '\\' => self.char_escape()?,
                other => self.literal(other),
            }
        }
        Ok(())
    }
}

/// A number of a repetition. Go takes none that begins with another 0.
fn bound(text: &str) -> Result<u32, &'static str> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || text.len() > 1 && text.starts_with('0') {
        return Err(BRACE);
    }
    Ok(text.parse().unwrap_or(u32::MAX))
}

/// The name of a class, up to `:]` wherever that is; Go takes the bracket for a plain one where there is no end.
fn named_class(rest: impl Iterator<Item = char>) -> Result<Option<String>, &'static str> {
    let rest: String = rest.collect();
    let Some((name, _)) = rest.split_once(":]") else { return Ok(None) };
    if CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        Ok(Some(name.to_owned()))
    } else {
        Err("a class of characters that sops does not know")
    }
}
