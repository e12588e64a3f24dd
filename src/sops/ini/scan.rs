//! INI as go-ini reads it with the options of sops (parser.go of gopkg.in/ini.v1). What it would join or number by
//! itself is refused, as the place of a value in the file is its place in the MAC here.

use std::ops::Range;

use crate::sops::flat::{self, Field};
use crate::yaml::build::{Builder, Scanned};
use crate::yaml::{Error, Id, Placement, Position, Style};

use super::{DEFAULT, METADATA};

/// What may stand between a key and its value.
const DELIMITERS: [char; 2] = ['=', ':'];

/// A value as it is read.
pub(super) struct Value {
    /// With its quotes; the comment behind it not.
    pub(super) span: Range<usize>,
    pub(super) text: String,
    pub(super) comment: Option<Range<usize>>,
    /// The end of its last line, before the line break.
    pub(super) end: usize,
}

struct Scanner<'t> {
    text: &'t str,
    builder: Builder<'t>,
    root: Id,
    /// Where the keys go; `None` inside of sops's own section.
    section: Option<Id>,
    /// The header of sops's own section, and what is in it.
    sops: Option<Range<usize>>,
    fields: Vec<Field>,
}

/// Reads an INI file.
pub(in crate::sops) fn scan(text: &str) -> Result<Scanned, Error> {
    let mut builder = Builder::new(text);
    let root = builder.mapping(0..text.len(), false);
    let mut scanner = Scanner { text, builder, root, section: None, sops: None, fields: Vec::new() };
    let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    while at < text.len() {
        at = scanner.line(at, line_end(text, at))? + 1;
    }
    if let Some(at) = &scanner.sops {
        flat::attach(&mut scanner.builder, text, root, &scanner.fields, at)?;
    }
    Ok(scanner.builder.finish(root))
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline)
}

fn error(text: &str, at: usize, message: &str) -> Error {
    Error::Syntax { position: Position::of(text, at), message: message.to_owned() }
}

impl Scanner<'_> {
    /// Takes the line, and those that belong to it; the end of the last of them.
    fn line(&mut self, start: usize, end: usize) -> Result<usize, Error> {
        let line = self.text[start..end].trim_start();
        let at = end - line.len();
        match line.chars().next() {
            None => {}
            Some('#' | ';') => self.builder.comment(at..at + line.trim_end().len(), Placement::OwnLine),
            Some('[') => self.header(at, line)?,
            Some(_) => return self.key(at, end),
        }
        Ok(end)
    }

    fn header(&mut self, at: usize, line: &str) -> Result<(), Error> {
        let close = line.rfind(']').ok_or_else(|| error(self.text, at, "the section has no `]`"))?;
        let name = &line[1..close];
        if name.is_empty() {
            return Err(error(self.text, at, "the section has no name"));
        }
        let end = at + close + 1;
        if let Some(comment) = line[close + 1..].find(['#', ';']) {
            let comment = end + comment..at + line.trim_end().len();
            self.builder.comment(comment, Placement::EndOfLine);
        }
        if name == METADATA {
            if self.sops.replace(at..end).is_some() {
                return Err(error(self.text, at, "a second section `sops`"));
            }
            self.section = None;
            return Ok(());
        }
        self.section = Some(self.open(at + 1..at + close, name, at..end)?);
        Ok(())
    }

    fn open(&mut self, key: Range<usize>, name: &str, span: Range<usize>) -> Result<Id, Error> {
        let key = self.builder.scalar(key, name, Style::Double);
        let section = self.builder.mapping(span, false);
        match self.builder.entry(self.root, key, section) {
            // Stock sops keeps them apart under one name; a path would name two places.
            Err(Error::DuplicateKey { position, first, .. }) => {
                let line = first.line;
                let message =
                    format!("the section `{name}` is already at line {line}: put their keys together");
                Err(Error::Syntax { position, message })
            }
            added => added.map(|()| section),
        }
    }

    fn key(&mut self, at: usize, end: usize) -> Result<usize, Error> {
        let (key, name, from) = key_name(self.text, at, end)?;
        let value = value(self.text, from, end)?;
        if let Some(comment) = &value.comment {
            self.builder.comment(comment.clone(), Placement::EndOfLine);
        }
        if self.sops.is_some() && self.section.is_none() {
            let text = flat::decoded(name, &value.text);
            let field = Field { key: name.to_owned(), key_span: key, value: text, value_span: value.span };
            self.fields.push(field);
            return Ok(value.end);
        }
        let section = match self.section {
            Some(section) => section,
            None => self.open(at..at, DEFAULT, at..at)?,
        };
        self.section = Some(section);
        let key = self.builder.scalar(key, name, Style::Double);
        self.builder.end(section, value.span.end);
        let value_node = self.builder.scalar(value.span, &value.text, Style::Double);
        self.builder.entry(section, key, value_node)?;
        Ok(value.end)
    }
}

/// Span of the key with its quotes, its name, and where the value begins.
fn key_name(text: &str, at: usize, end: usize) -> Result<(Range<usize>, &str, usize), Error> {
    let line = &text[at..end];
    let no_delimiter = || error(text, at, "neither a section, a comment nor `key = value`");
    let quote = ["\"\"\"", "\"", "`"].into_iter().find(|quote| line.starts_with(quote));
    let (name, key_end, delimiter) = match quote {
        Some(quote) => {
            let from = quote.len();
            let close = line[from..].find(quote).map(|close| close + from);
            let close = close.ok_or_else(|| error(text, at, "the key has no closing quote"))?;
            let key_end = close + from;
            let delimiter = line[key_end..].find(DELIMITERS).ok_or_else(no_delimiter)? + key_end;
            (line[from..close].trim(), key_end, delimiter)
        }
        None => {
            let delimiter = line.find(DELIMITERS).ok_or_else(no_delimiter)?;
            let name = line[..delimiter].trim();
            (name, line[..delimiter].trim_end().len(), delimiter)
        }
    };
    match name {
        "" => Err(error(text, at, "the key has no name")),
        "-" => Err(error(text, at, "the key `-` is numbered by sops; give it a name")),
        _ => Ok((at..at + key_end, name, at + delimiter + 1)),
    }
}

/// The value that begins at `from`, on a line that ends at `end`.
pub(super) fn value(text: &str, from: usize, end: usize) -> Result<Value, Error> {
    let rest = text[from..end].trim_start();
    if rest.is_empty() {
        let at = from + usize::from(text[from..end].starts_with(' '));
        return Ok(Value { span: at..at, text: String::new(), comment: None, end });
    }
    let start = end - rest.len();
    let is_longer = rest.len() > 3 || end < text.len();
    let quote =
        ["\"\"\"", "`"].into_iter().find(|quote| rest.starts_with(quote) && (*quote == "`" || is_longer));
    if let Some(quote) = quote {
        return quoted_value(text, start, end, quote);
    }
    let mut value = rest.trim_end();
    if value.ends_with('\\') {
        let message = "a value that goes on in the next line is not supported: write it on one line";
        return Err(error(text, start, message));
    }
    let comment = value.find(['#', ';']).map(|at| start + at..start + value.len());
    if let Some(comment) = &comment {
        value = text[start..comment.start].trim_end();
    }
    let span = start..start + value.len();
    let unquoted = ['\'', '"'].into_iter().find_map(|quote| {
        let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    });
    Ok(Value { span, text: unquoted.unwrap_or(value).to_owned(), comment, end })
}

/// Up to the last such quote of the line; where there is none, up to the last one of the first line that has one. What
/// stands behind the quote is dropped by go-ini, but for a comment on a later line, so it belongs to the span.
fn quoted_value(text: &str, start: usize, end: usize, quote: &str) -> Result<Value, Error> {
    let from = start + quote.len();
    if let Some(close) = text[from..end].rfind(quote) {
        let span = start..start + text[start..end].trim_end().len();
        return Ok(Value { span, text: text[from..from + close].to_owned(), comment: None, end });
    }
    let mut at = end + 1;
    while at < text.len() {
        let end = line_end(text, at);
        if let Some(close) = text[at..end].rfind(quote) {
            let close = at + close;
            let last = start + text[start..end].trim_end().len();
            let comment = text[close..end].find(['#', ';']).map(|at| close + at..last);
            let until = comment.as_ref().map_or(last, |comment| comment.start);
            let span = start..start + text[start..until].trim_end().len();
            return Ok(Value { span, text: text[from..close].to_owned(), comment, end });
        }
        at = end + 1;
    }
    Err(error(text, start, "the value has no closing quote"))
}
