//! JSON (RFC 8259) as a tree of spans.

use std::ops::Range;

use crate::yaml::build::{Builder, Scanned};
use crate::yaml::{Error, Id, MAX_DEPTH, Position, Style};

/// Reads one JSON value; what sops would not take at the top is for the caller to refuse.
pub(in crate::sops) fn scan(text: &str) -> Result<Scanned, Error> {
    let mut scanner = Scanner { text, at: 0, depth: 0, builder: Builder::new(text) };
    if text.starts_with('\u{feff}') {
        return Err(scanner.error("a byte order mark, which JSON must not have (RFC 8259 §8.1)"));
    }
    scanner.blanks();
    let root = scanner.value()?;
    scanner.blanks();
    if scanner.at < text.len() {
        return Err(scanner.error("something stands behind the end of the document"));
    }
    Ok(scanner.builder.finish(root))
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    builder: Builder<'t>,
}

impl Scanner<'_> {
    fn error_at(&self, offset: usize, message: &str) -> Error {
        Error::Syntax { position: Position::of(self.text, offset), message: message.to_owned() }
    }

    fn error(&self, message: &str) -> Error {
        self.error_at(self.at, message)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Takes `byte` if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self) -> Result<Id, Error> {
        match self.peek() {
            Some(b'{') => self.collection(Self::object),
            Some(b'[') => self.collection(Self::array),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z') => self.word(),
            None => Err(self.error("the document ends where a value should be")),
            Some(_) => Err(self.error("a value should stand here")),
        }
    }

    fn collection(&mut self, of: fn(&mut Self, usize) -> Result<Id, Error>) -> Result<Id, Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::TooDeep { position: Position::of(self.text, self.at) });
        }
        let start = self.at;
        self.at += 1;
        self.depth += 1;
        let id = of(self, start)?;
        self.depth -= 1;
        self.builder.end(id, self.at);
        Ok(id)
    }

    fn object(&mut self, start: usize) -> Result<Id, Error> {
        let id = self.builder.mapping(start..start, true);
        self.blanks();
        if self.take(b'}') {
            return Ok(id);
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in double quotes should stand here"));
            }
            let key = self.string()?;
            self.blanks();
            if !self.take(b':') {
                return Err(self.error("a colon should stand here"));
            }
            self.blanks();
            let value = self.value()?;
            self.builder.entry(id, key, value)?;
            self.blanks();
            if self.take(b'}') {
                return Ok(id);
            }
            if !self.take(b',') {
                return Err(self.error("a comma or `}` should stand here"));
            }
        }
    }

    fn array(&mut self, start: usize) -> Result<Id, Error> {
        let id = self.builder.sequence(start..start, true);
        self.blanks();
        if self.take(b']') {
            return Ok(id);
        }
        loop {
            self.blanks();
            let value = self.value()?;
            self.builder.item(id, value);
            self.blanks();
            if self.take(b']') {
                return Ok(id);
            }
            if !self.take(b',') {
                return Err(self.error("a comma or `]` should stand here"));
            }
        }
    }

    fn word(&mut self) -> Result<Id, Error> {
        let rest = &self.text[self.at..];
        let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word));
        let word = word.ok_or_else(|| self.error("a value should stand here"))?;
        let span = self.at..self.at + word.len();
        self.at = span.end;
        Ok(self.builder.scalar(span, word, Style::Plain))
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.error("a digit should stand here")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Id, Error> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        if self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
            return Err(self.error_at(start, "not a number of JSON"));
        }
        let span = start..self.at;
        Ok(self.builder.scalar(span.clone(), &self.text[span], Style::Plain))
    }

    fn string(&mut self) -> Result<Id, Error> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        loop {
            let from = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            value.push_str(&self.text[from..self.at]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => value.push(self.escape()?),
                Some(_) => return Err(self.error("a control character must be escaped")),
                None => return Err(self.error_at(start, "this text has no closing quote")),
            }
        }
        self.at += 1;
        Ok(self.builder.scalar(start..self.at, &value, Style::Double))
    }

    fn escape(&mut self) -> Result<char, Error> {
        let start = self.at;
        self.at += 2;
        Ok(match self.text.as_bytes().get(start + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => self.code_point(start)?,
            _ => return Err(self.error_at(start, "not an escape of JSON")),
        })
    }

    /// Half of a surrogate pair becomes U+FFFD, as Go reads it (encoding/json/decode.go).
    fn code_point(&mut self, start: usize) -> Result<char, Error> {
        let unit = |range: Range<usize>| {
            let digits = self.text.get(range)?;
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_hex { u32::from_str_radix(digits, 16).ok() } else { None }
        };
        let first = unit(start + 2..start + 6)
            .ok_or_else(|| self.error_at(start, "four hexadecimal digits should stand behind `\\u`"))?;
        self.at = start + 6;
        if let Some(char) = char::from_u32(first) {
            return Ok(char);
        }
        let second = (self.text.get(self.at..self.at + 2) == Some("\\u"))
            .then(|| unit(self.at + 2..self.at + 6))
            .flatten();
        match second {
            Some(second @ 0xdc00..=0xdfff) if first < 0xdc00 => {
                self.at += 6;
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            _ => Ok(char::REPLACEMENT_CHARACTER),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::yaml::Tree;

    use super::*;

    fn tree(text: &str) -> Result<Tree, Error> {
        scan(text).map(|scanned| scanned.of(text.to_owned()))
    }

    fn text_of(json: &str) -> String {
        tree(json).unwrap().root().unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn escapes_are_read_as_go_reads_them() {
        let rows = [
            (r#""a\"\\\/\b\f\n\r\t""#, "a\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u003cb\u003E""#, "<b>"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83dx""#, "\u{fffd}x"),
            (r#""\ude00\ud83d\u0041""#, "\u{fffd}\u{fffd}A"),
            (r#""é漢""#, "é漢"),
        ];
        for (json, wanted) in rows {
            assert_eq!(text_of(json), wanted, "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let rows = [
            ("", "1:1: the document ends"),
            ("{\"a\": 1,}", "1:9: a key in double quotes"),
            ("{\"a\" 1}", "1:6: a colon"),
            ("{a: 1}", "1:2: a key in double quotes"),
            ("{\"a\": 1 \"b\": 2}", "1:9: a comma or `}`"),
            ("[1 2]", "1:4: a comma or `]`"),
            ("{\"a\": 01}", "1:7: not a number"),
            ("{\"a\": +1}", "1:7: a value"),
            ("{\"a\": .5}", "1:7: a value"),
            ("{\"a\": 1.}", "1:9: a digit"),
            ("{\"a\": nul}", "1:7: a value"),
            ("{\"a\": \"x}", "1:7: this text has no closing quote"),
            ("{\"a\": \"\\x\"}", "1:8: not an escape"),
            ("{\"a\": \"\\u00g0\"}", "1:8: four hexadecimal digits"),
            ("{\"a\": \"\n\"}", "1:8: a control character"),
            ("{} {}", "1:4: something stands behind"),
            ("{\n \"a\": 1,\n \"a\": 2}", "3:2: the key `a` is already at line 2"),
            ("\u{feff}{}", "1:1: a byte order mark"),
            ("{\"a\":\"\\", "1:7: "),
        ];
        for (json, wanted) in rows {
            let error = tree(json).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{json}: {error}");
        }
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert!(matches!(tree(&deep), Err(Error::TooDeep { .. })));
    }
}
