//! From the parser's events to a [`Tree`].

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::{
    Comment, Content, Data, DocumentData, Error, Id, MAX_BYTES, MAX_DEPTH, Placement, Position, Style, Tree,
};

/// Mappings up to this size are searched for a duplicate key without a hash table.
const SMALL_MAPPING: usize = 8;

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
    let lines = line_starts(&text);
    Ok(Tree { text, nodes, documents, comments, lines })
}

/// Where each line of the text starts.
pub(super) fn line_starts(text: &str) -> Vec<usize> {
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect()
}

struct Loader<'s> {
    text: &'s str,
    nodes: Vec<Data>,
    documents: Vec<DocumentData>,
    comments: Vec<Comment>,
    /// Collections that are open, with the key that waits for its value.
    open: Vec<Open>,
    anchors: HashMap<usize, Id>,
    block_scalars: Vec<Id>,
    /// Plain scalars that are not there.
    absent: Vec<Id>,
}

struct Open {
    id: Id,
    key: Option<Id>,
    /// Keys seen, once there are more than a few.
    keys: HashMap<Box<str>, Id>,
}

impl<'s> Loader<'s> {
    fn new(text: &'s str) -> Self {
        Self {
            text,
            nodes: Vec::new(),
            documents: Vec::new(),
            comments: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
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
            let (event, span) = event.map_err(|error| Error::Syntax {
                position: self.position(error.marker().byte_offset().unwrap_or(self.text.len())),
                message: error.kind().to_string(),
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
                if let Some(node) = self.nodes.last_mut() {
                    node.anchor = Some(name.into());
                    node.start = node.start.min(range.start);
                }
            }
            Event::Scalar(value, style, anchor, tag) => {
                let content = self.scalar(&value, style, &range);
                let is_absent = style == ScalarStyle::Plain && range.is_empty();
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let id = self.add(content, range, anchor, tag.as_deref(), span)?;
                if is_block {
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
                self.add(Content::Alias(target), range, 0, None, span)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                let content = Content::Mapping { entries: Vec::new(), flow: style == StructureStyle::Flow };
                self.open(content, range, anchor, tag.as_deref(), span)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                let content = Content::Sequence { items: Vec::new(), flow: style == StructureStyle::Flow };
                self.open(content, range, anchor, tag.as_deref(), span)?;
            }
            Event::MappingEnd | Event::SequenceEnd => self.close(&range),
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

    fn scalar(&self, value: &str, style: ScalarStyle, range: &Range<usize>) -> Content {
        let style = match style {
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
            _ => Style::Plain,
        };
        // A node that is not there is reported as `~` with an empty span; its text is what is there: nothing.
        let absent = style == Style::Plain && range.is_empty();
        let as_written = absent || (style == Style::Plain && value == &self.text[range.clone()]);
        Content::Scalar(if as_written { None } else { Some(value.into()) }, style)
    }

    fn open(
        &mut self,
        content: Content,
        range: Range<usize>,
        anchor: usize,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<(), Error> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Error::TooDeep { position: self.position(range.start) });
        }
        let id = self.add(content, range, anchor, tag, span)?;
        self.open.push(Open { id, key: None, keys: HashMap::new() });
        Ok(())
    }

    /// Ends a collection: a flow one with its bracket, a block one with its last child.
    fn close(&mut self, range: &Range<usize>) {
        let Some(open) = self.open.pop() else { return };
        let (last, flow) = match &self.nodes[open.id as usize].content {
            Content::Mapping { entries, flow } => (entries.last().map(|(_, value)| *value), *flow),
            Content::Sequence { items, flow } => (items.last().copied(), *flow),
            _ => return,
        };
        let last_end = last.map(|id| self.nodes[id as usize].span.end);
        let node = &mut self.nodes[open.id as usize];
        node.span.end = if flow { range.end } else { last_end.unwrap_or(range.start).max(node.span.start) };
    }

    fn add(
        &mut self,
        content: Content,
        range: Range<usize>,
        anchor: usize,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<Id, Error> {
        let start = span.tag_span().and_then(|tag| tag.byte_range()).map_or(range.start, |tag| tag.start);
        let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()).into());
        let parent = self.open.last().map(|open| open.id);
        let id = Id::try_from(self.nodes.len()).map_err(|_| Error::TooLong { bytes: self.text.len() })?;
        let start = start.min(range.start);
        self.nodes.push(Data { span: range, start, tag, anchor: None, parent, content });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        self.attach(id)?;
        Ok(id)
    }

    fn attach(&mut self, id: Id) -> Result<(), Error> {
        let Some(mut open) = self.open.pop() else {
            if let Some(document) = self.documents.last_mut() {
                document.root = Some(id);
            }
            return Ok(());
        };
        let outcome = self.attach_to(&mut open, id);
        self.open.push(open);
        outcome
    }

    fn attach_to(&mut self, open: &mut Open, id: Id) -> Result<(), Error> {
        let is_mapping = matches!(self.nodes[open.id as usize].content, Content::Mapping { .. });
        if is_mapping && open.key.is_none() {
            self.check_key(open, id)?;
            open.key = Some(id);
            return Ok(());
        }
        match &mut self.nodes[open.id as usize].content {
            Content::Mapping { entries, .. } => entries.extend(open.key.take().map(|key| (key, id))),
            Content::Sequence { items, .. } => items.push(id),
            _ => {}
        }
        Ok(())
    }

    fn key_text(&self, id: Id) -> &str {
        let node = &self.nodes[id as usize];
        match &node.content {
            Content::Scalar(Some(text), _) => text,
            _ => &self.text[node.span.clone()],
        }
    }

    fn check_key(&self, open: &mut Open, id: Id) -> Result<(), Error> {
        let node = &self.nodes[id as usize];
        if !matches!(node.content, Content::Scalar(..)) {
            return Err(Error::KeyNotScalar { position: self.position(node.span.start) });
        }
        let Content::Mapping { entries, .. } = &self.nodes[open.id as usize].content else { return Ok(()) };
        let key = self.key_text(id);
        let first = if entries.len() < SMALL_MAPPING {
            entries.iter().map(|(other, _)| *other).find(|other| self.key_text(*other) == key)
        } else {
            if open.keys.is_empty() {
                open.keys = entries.iter().map(|(other, _)| (self.key_text(*other).into(), *other)).collect();
            }
            open.keys.insert(key.into(), id)
        };
        match first {
            None => Ok(()),
            Some(first) => Err(Error::DuplicateKey {
                position: self.position(node.span.start),
                first: self.position(self.nodes[first as usize].span.start),
                key: key.to_owned(),
            }),
        }
    }

    /// The parser gives a block scalar from its first character to the start of the next token. A span here goes
    /// from `|` or `>` to the end of the last line of content (with `+`, to the last blank line, which is content
    /// too), so that replacing it leaves what follows in place.
    fn finish_block_scalars(&mut self) {
        for id in std::mem::take(&mut self.block_scalars) {
            let node = &self.nodes[id as usize];
            let header = self.block_header(node);
            let span = self.block_span(&header, node.span.clone());
            let node = &mut self.nodes[id as usize];
            node.start = node.start.min(span.start);
            node.span = span;
        }
    }

    /// The parser puts a scalar that is not there somewhere before the next token. Here it is right behind what it
    /// belongs to (`key:`, `-`, a tag), where its text would have to go.
    fn finish_absent_scalars(&mut self) {
        for id in std::mem::take(&mut self.absent) {
            let mut end = self.trimmed(self.nodes[id as usize].span.start).len();
            if self.is_value(id) {
                // The parser may put it in front of the colon.
                let rest = self.text[end..].trim_start_matches([' ', '\t']);
                end = rest.strip_prefix(':').map_or(end, |rest| self.text.len() - rest.len());
            }
            let node = &mut self.nodes[id as usize];
            node.start = node.start.min(end);
            node.span = end..end;
        }
    }

    fn is_value(&self, id: Id) -> bool {
        match self.nodes[id as usize].parent.map(|parent| &self.nodes[parent as usize].content) {
            // Ids grow with the text.
            Some(Content::Mapping { entries, .. }) => {
                entries.binary_search_by_key(&id, |(_, value)| *value).is_ok()
            }
            _ => false,
        }
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
    fn block_header(&self, node: &Data) -> Range<usize> {
        let from = &self.text[node.span.start..];
        if is_blank(&node.content) && from.starts_with(['|', '>']) {
            // Where no text follows up to the end of the input, the parser starts at the indicator itself.
            let rest = from[1..].trim_start_matches(HEADER_FIELDS);
            return node.span.start..self.text.len() - rest.len();
        }
        let head = self.trimmed(node.span.start);
        head.trim_end_matches(HEADER_FIELDS).len().saturating_sub(1)..head.len()
    }

    fn comment_that_ends_at(&self, offset: usize) -> Option<&Comment> {
        let after = self.comments.partition_point(|comment| comment.span.start < offset);
        let comment = self.comments.get(after.checked_sub(1)?)?;
        (self.text[comment.span.clone()].trim_ascii_end().len() + comment.span.start == offset)
            .then_some(comment)
    }

    fn block_span(&self, header: &Range<usize>, content: Range<usize>) -> Range<usize> {
        let start = header.start;
        let following = self.comments.partition_point(|comment| comment.span.start < content.start);
        let limit = self.comments.get(following).map_or(content.end, |next| next.span.start.min(content.end));
        let body = &self.text[content.start.min(limit)..limit];
        let keeps_blank_lines = self.text[header.clone()].contains('+');
        if body.trim_ascii().is_empty() && !keeps_blank_lines {
            return header.clone();
        }
        let end = if keeps_blank_lines {
            // Up to the line break before the line on which the next token stands.
            content.start + body.rfind('\n').unwrap_or(body.len())
        } else {
            let text_end = body.trim_end_matches([' ', '\t', '\r', '\n']).len();
            content.start + body[text_end..].find(['\r', '\n']).map_or(body.len(), |at| text_end + at)
        };
        start..end.max(header.end)
    }

    /// Gives block collections that end in a block scalar their right end; children come after their parents.
    fn refresh_collections(&mut self) {
        for id in (0..self.nodes.len()).rev() {
            let last = match &self.nodes[id].content {
                Content::Mapping { entries, flow: false } => entries.last().map(|(_, value)| *value),
                Content::Sequence { items, flow: false } => items.last().copied(),
                _ => None,
            };
            if let Some(last) = last {
                let end = self.nodes[last as usize].span.end;
                let span = &mut self.nodes[id].span;
                span.end = end.max(span.start);
            }
        }
    }
}

/// Whether a scalar has no character but line breaks.
fn is_blank(content: &Content) -> bool {
    match content {
        Content::Scalar(value, _) => {
            value.as_deref().is_none_or(|text| text.bytes().all(|byte| byte == b'\n'))
        }
        _ => false,
    }
}
