//! From the parser's events to a [`Tree`].

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::sync::OnceLock;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::nodes::{Content, Nodes};
use super::{Comment, DocumentData, Error, Id, MAX_BYTES, MAX_DEPTH, Placement, Position, Style, Tree};

/// What may follow `|` or `>`: the chomping and indentation indicators (YAML 1.2.2 §8.1.1).
const HEADER_FIELDS: [char; 11] = ['+', '-', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

pub(super) fn load(text: String) -> Result<Tree, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::TooLong { bytes: text.len() });
    }
    let mut loader = Loader::new(&text);
    loader.run()?;
    loader.comments.sort_by_key(|comment| comment.span.start);
    loader.finish_block_scalars();
    loader.finish_absent_scalars();
    loader.refresh_collections();
    let Loader { nodes, documents, comments, .. } = loader;
    Ok(Tree { text, nodes, documents, comments, lines: OnceLock::new() })
}

struct Loader<'s> {
    text: &'s str,
    nodes: Nodes,
    documents: Vec<DocumentData>,
    comments: Vec<Comment>,
    /// Collections that are open, with the key that waits for its value.
    open: Vec<Open>,
    anchors: HashMap<usize, Id>,
    hasher: RandomState,
    block_scalars: Vec<Id>,
    /// Plain scalars that are not there.
    absent: Vec<Id>,
}

struct Open {
    id: Id,
    key: Option<Id>,
}

impl<'s> Loader<'s> {
    fn new(text: &'s str) -> Self {
        Self {
            text,
            // Most lines have a key and a value.
            nodes: Nodes::with_capacity(2 * line_breaks(text)),
            documents: Vec::new(),
            comments: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            hasher: RandomState::new(),
            block_scalars: Vec::new(),
            absent: Vec::new(),
        }
    }

    fn position(&self, offset: usize) -> Position {
        Position::of(self.text, offset)
    }

    fn run(&mut self) -> Result<(), Error> {
        // The parser's own limits only say less well what ours say; comments are bounded by the text's length.
        let options = granit_parser::options! {
            emit_anchor_events: true,
            max_buffered_comment_events: usize::MAX,
            flow_nesting_limit: MAX_DEPTH + 1,
            block_nesting_limit: MAX_DEPTH + 1,
        };
        for event in Parser::new_from_str_with_options(self.text, options) {
            let (event, span) = event.map_err(|error| {
                let position = self.position(error.marker().byte_offset().unwrap_or(self.text.len()));
                match error.kind() {
                    ErrorKind::RecursionLimitExceeded => Error::TooDeep { position },
                    kind => Error::Syntax { position, message: kind.to_string() },
                }
            })?;
            let range = span.byte_range().unwrap_or_default();
            self.take(event, &span, range)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: &Span, range: Range<usize>) -> Result<(), Error> {
        match event {
            Event::DocumentStart(..) => self.documents.push(DocumentData { start: range.start, root: None }),
            Event::Comment(..) => self.comment(range),
            Event::Anchor(_, name) => {
                // The parser names the anchor right behind the event of its node.
                if let Some(node) = self.nodes.newest() {
                    self.nodes.set_anchor(node, name.into());
                    self.nodes.extend_start(node, range.start);
                }
            }
            Event::Scalar(value, style, anchor, tag) => {
                // A node that is not there is reported as `~` with an empty span; its text is what is there: nothing.
                let is_absent = style == ScalarStyle::Plain && range.is_empty();
                let value = if is_absent { "" } else { &*value };
                let id = self.nodes.scalar(self.text, range, value, style_of(style));
                self.add(id, anchor, tag.as_deref(), span)?;
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    self.block_scalars.push(id);
                } else if is_absent {
                    self.absent.push(id);
                }
            }
            Event::Alias(anchor) => {
                let Some(target) = self.anchors.get(&anchor).copied() else {
                    let message = "an alias without its anchor".to_owned();
                    return Err(Error::Syntax { position: self.position(range.start), message });
                };
                if self.open.iter().any(|open| open.id == target) {
                    let message = "an alias within what it stands for".to_owned();
                    return Err(Error::Syntax { position: self.position(range.start), message });
                }
                let id = self.nodes.alias(range, target);
                self.add(id, 0, None, span)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                let id = self.nodes.mapping(range, style == StructureStyle::Flow);
                self.open(id, anchor, tag.as_deref(), span)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                let id = self.nodes.sequence(range, style == StructureStyle::Flow);
                self.open(id, anchor, tag.as_deref(), span)?;
            }
            Event::MappingEnd | Event::SequenceEnd => self.close(&range)?,
            _ => {}
        }
        Ok(())
    }

    fn comment(&mut self, span: Range<usize>) {
        let line_start = self.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let own_line =
            self.text[line_start..span.start].trim_matches([' ', '\t', '\r', '\u{feff}']).is_empty();
        let placement = if own_line { Placement::OwnLine } else { Placement::EndOfLine };
        self.comments.push(Comment { span, placement });
    }

    fn open(&mut self, id: Id, anchor: usize, tag: Option<&Tag>, span: &Span) -> Result<(), Error> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Error::TooDeep { position: self.position(self.nodes.span(id).start) });
        }
        self.add(id, anchor, tag, span)?;
        self.open.push(Open { id, key: None });
        Ok(())
    }

    /// Ends a collection: a flow one with its bracket, a block one with its last child.
    fn close(&mut self, range: &Range<usize>) -> Result<(), Error> {
        let Some(Open { id, .. }) = self.open.pop() else { return Ok(()) };
        self.check_keys(id)?;
        let start = self.nodes.span(id).start;
        let last_end = self.nodes.last(id).map(|last| self.nodes.span(last).end);
        let flow = self.nodes.is_flow(id);
        let end = if flow { range.end } else { last_end.unwrap_or(range.start).max(start) };
        self.nodes.set_span(id, start..end);
        Ok(())
    }

    /// Puts a node where it belongs.
    fn add(&mut self, id: Id, anchor: usize, tag: Option<&Tag>, span: &Span) -> Result<(), Error> {
        if let Some(tag) = span.tag_span().and_then(|tag| tag.byte_range()) {
            self.nodes.extend_start(id, tag.start);
        }
        if let Some(tag) = tag {
            self.nodes.set_tag(id, format!("{}{}", tag.handle(), tag.suffix()).into());
        }
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        let Some(mut open) = self.open.pop() else {
            if let Some(document) = self.documents.last_mut() {
                document.root = Some(id);
            }
            return Ok(());
        };
        self.nodes.set_parent(id, Some(open.id));
        let attached = self.attach(&mut open, id);
        self.open.push(open);
        attached
    }

    fn attach(&mut self, open: &mut Open, id: Id) -> Result<(), Error> {
        let is_mapping = matches!(self.nodes.content(open.id), Content::Mapping(..));
        match open.key.take() {
            Some(key) => self.nodes.push_entry(open.id, key, id),
            None if is_mapping && !matches!(self.nodes.content(id), Content::Scalar(..)) => {
                return Err(Error::KeyNotScalar { position: self.position(self.nodes.span(id).start) });
            }
            None if is_mapping => open.key = Some(id),
            None => self.nodes.push_item(open.id, id),
        }
        Ok(())
    }

    /// A mapping has each of its keys once.
    fn check_keys(&self, mapping: Id) -> Result<(), Error> {
        let keyed = |key: Id| {
            let text = self.nodes.text(self.text, key);
            // Numbers are sorted faster than texts.
            (self.hasher.hash_one(text), text, key)
        };
        let mut keys: Vec<_> = self.nodes.entries(mapping).iter().map(|(key, _)| keyed(*key)).collect();
        keys.sort_unstable();
        let twice = keys.windows(2).filter_map(|pair| match pair {
            [(_, one, first), (_, two, second)] if one == two => Some((*second, *first, *one)),
            _ => None,
        });
        match twice.min() {
            None => Ok(()),
            Some((second, first, key)) => Err(Error::DuplicateKey {
                position: self.position(self.nodes.span(second).start),
                first: self.position(self.nodes.span(first).start),
                key: key.to_owned(),
            }),
        }
    }

    /// The parser gives a block scalar from its first character to the start of the next token. A span here goes
    /// from `|` or `>` to the end of the last line of content (with `+`, to the last blank line, which is content
    /// too), so that replacing it leaves what follows in place, and what is put behind it is not in it.
    fn finish_block_scalars(&mut self) {
        for id in std::mem::take(&mut self.block_scalars) {
            let content = self.nodes.span(id);
            let header = self.block_header(id, content.start);
            let span = self.block_span(id, &header, content);
            self.nodes.extend_start(id, span.start);
            self.nodes.set_span(id, span);
        }
    }

    /// The parser puts a scalar that is not there somewhere before the next token. Here it is right behind what it
    /// belongs to (`key:`, `-`, a tag), where its text would have to go.
    fn finish_absent_scalars(&mut self) {
        for id in std::mem::take(&mut self.absent) {
            let mut end = self.trimmed(self.nodes.span(id).start).len();
            if self.is_value(id) {
                // The parser may put it in front of the colon.
                let rest = self.text[end..].trim_start_matches([' ', '\t']);
                end = rest.strip_prefix(':').map_or(end, |rest| self.text.len() - rest.len());
            }
            self.nodes.extend_start(id, end);
            self.nodes.set_span(id, end..end);
        }
    }

    fn is_value(&self, id: Id) -> bool {
        let entries = self.nodes.parent(id).map(|parent| self.nodes.entries(parent)).unwrap_or_default();
        // Ids grow with the text.
        entries.binary_search_by_key(&id, |(_, value)| *value).is_ok()
    }

    /// The text up to `offset` without the blanks, line breaks and comments at its end.
    fn trimmed(&self, offset: usize) -> &str {
        let mut head = self.text[..offset].trim_ascii_end();
        while let Some(comment) = self.comment_that_ends_at(head.len()) {
            head = self.text[..comment.span.start].trim_ascii_end();
        }
        head
    }

    /// From the indicator to the end of its line. Behind the indicator a comment may stand, and, where there is no
    /// content, comments on their own lines.
    fn block_header(&self, id: Id, start: usize) -> Range<usize> {
        let from = &self.text[start..];
        let is_blank = self.nodes.text(self.text, id).bytes().all(|byte| byte == b'\n');
        if is_blank && from.starts_with(['|', '>']) {
            // Where no text follows up to the end of the input, the parser starts at the indicator itself.
            let rest = from[1..].trim_start_matches(HEADER_FIELDS);
            return start..self.text.len() - rest.len();
        }
        let head = self.trimmed(start);
        head.trim_end_matches(HEADER_FIELDS).len().saturating_sub(1)..head.len()
    }

    fn comment_that_ends_at(&self, offset: usize) -> Option<&Comment> {
        let after = self.comments.partition_point(|comment| comment.span.start < offset);
        let comment = self.comments.get(after.checked_sub(1)?)?;
        (self.text[comment.span.clone()].trim_ascii_end().len() + comment.span.start == offset)
            .then_some(comment)
    }

    fn block_span(&self, id: Id, header: &Range<usize>, content: Range<usize>) -> Range<usize> {
        if self.nodes.text(self.text, id).is_empty() {
            return header.clone();
        }
        let header_line = self.text[header.end..].find('\n').map_or(self.text.len(), |at| header.end + at);
        // Where the parser stopped, the next token stands: it and the blanks before it are no line of this scalar.
        let body = &self.text[header_line..content.end.max(header_line)];
        let (lines, rest) = body.rsplit_once('\n').unwrap_or((body, ""));
        let lines = if rest.trim_ascii().is_empty() { lines } else { body };
        let lines = if self.text[header.clone()].contains('+') {
            lines
        } else {
            // A line of blanks is content where it is longer than the indentation.
            let line_start = self.text[..content.start].rfind('\n').map_or(0, |at| at + 1);
            let is_content = |line: &str| line.trim_end_matches('\r').len() > content.start - line_start;
            let blank = lines.rsplit('\n').take_while(|line| !is_content(line));
            &lines[..lines.len() - blank.map(|line| line.len() + 1).sum::<usize>().min(lines.len())]
        };
        header.start..header_line + lines.trim_end_matches('\r').len()
    }

    /// Gives block collections that end in a block scalar their right end; children come after their parents.
    fn refresh_collections(&mut self) {
        for id in self.nodes.ids().rev() {
            if self.nodes.is_flow(id) {
                continue;
            }
            if let Some(last) = self.nodes.last(id) {
                let start = self.nodes.span(id).start;
                let end = self.nodes.span(last).end;
                self.nodes.set_span(id, start..end.max(start));
            }
        }
    }
}

/// Counted in pieces that fit into a byte, which a processor adds up many at a time.
fn line_breaks(text: &str) -> usize {
    let count = |piece: &[u8]| usize::from(piece.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>());
    text.as_bytes().chunks(usize::from(u8::MAX)).map(count).sum()
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
        _ => Style::Plain,
    }
}
