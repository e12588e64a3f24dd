//! The nodes of a tree. Each takes little room: a secrets file may have tens of thousands, and a run holds its trees
//! before and after a change.

use std::borrow::Cow;
use std::ops::Range;

use super::Style;

/// Names a node of one tree; good for that tree only.
pub(crate) type Id = u32;

/// All nodes in the order of the text, a collection before what is in it.
#[derive(Default)]
pub(super) struct Nodes {
    all: Vec<Data>,
    mappings: Vec<Vec<(Id, Id)>>,
    sequences: Vec<Vec<Id>>,
    /// Texts that do not stand in the source as they are.
    texts: Vec<Box<str>>,
    /// The aliases.
    aliases: Vec<Id>,
    /// Tags and anchors of the few nodes that have one, in the order of the nodes.
    properties: Vec<(Id, Properties)>,
}

struct Data {
    /// The content: from the first quote, text, `|`, `-`, `[` … to its last byte.
    span: Range<u32>,
    /// Where its anchor or tag begins; `span.start` without them.
    start: u32,
    parent: Option<Id>,
    content: Content,
}

#[derive(Clone, Copy)]
pub(super) enum Content {
    Scalar(Text, Style),
    /// The number of its entries' list.
    Mapping(u32, Flow),
    /// The number of its items' list.
    Sequence(u32, Flow),
    Alias(Id),
}

/// Whether a collection has brackets.
type Flow = bool;

/// Where the text of a scalar is.
#[derive(Clone, Copy)]
pub(super) enum Text {
    /// It is exactly the span.
    Span,
    /// It is the span without its quotes.
    InQuotes,
    /// The number of a text of its own.
    Own(u32),
}

#[derive(Default)]
struct Properties {
    tag: Option<Box<str>>,
    anchor: Option<Box<str>>,
}

/// Texts are no longer than `MAX_BYTES`, and there are no more nodes than bytes, but for a few that have no text.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Nodes {
    /// With room for so many nodes.
    pub(super) fn with_capacity(nodes: usize) -> Self {
        Self { all: Vec::with_capacity(nodes), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn ids(&self) -> Range<Id> {
        0..narrow(self.all.len())
    }

    /// The node that was added last.
    pub(super) fn newest(&self) -> Option<Id> {
        self.all.len().checked_sub(1).map(narrow)
    }

    fn add(&mut self, span: Range<usize>, content: Content) -> Id {
        let span = narrow(span.start)..narrow(span.end);
        let start = span.start;
        self.all.push(Data { span, start, parent: None, content });
        narrow(self.all.len() - 1)
    }

    /// A scalar; `source` is what all spans are of.
    pub(super) fn scalar(&mut self, source: &str, span: Range<usize>, text: &str, style: Style) -> Id {
        let written = source.get(span.clone()).unwrap_or_default();
        let in_quotes = || written.get(1..written.len().checked_sub(1)?);
        // The span of a block moves to its header later.
        let is_block = matches!(style, Style::Literal | Style::Folded);
        let place = if !is_block && text == written {
            Text::Span
        } else if !is_block && in_quotes() == Some(text) {
            Text::InQuotes
        } else {
            self.texts.push(text.into());
            Text::Own(narrow(self.texts.len() - 1))
        };
        self.add(span, Content::Scalar(place, style))
    }

    pub(super) fn mapping(&mut self, span: Range<usize>, flow: Flow) -> Id {
        self.mappings.push(Vec::new());
        self.add(span, Content::Mapping(narrow(self.mappings.len() - 1), flow))
    }

    pub(super) fn sequence(&mut self, span: Range<usize>, flow: Flow) -> Id {
        self.sequences.push(Vec::new());
        self.add(span, Content::Sequence(narrow(self.sequences.len() - 1), flow))
    }

    pub(super) fn alias(&mut self, span: Range<usize>, target: Id) -> Id {
        let id = self.add(span, Content::Alias(target));
        self.aliases.push(id);
        id
    }

    /// All aliases in the order of the text, each with what it stands for.
    pub(super) fn aliases(&self) -> impl Iterator<Item = (Id, Id)> {
        self.aliases.iter().filter_map(|id| match self.content(*id) {
            Content::Alias(target) => Some((*id, target)),
            _ => None,
        })
    }

    /// Puts a key and its value into a mapping.
    pub(super) fn push_entry(&mut self, mapping: Id, key: Id, value: Id) {
        if let Content::Mapping(entries, _) = self.content(mapping) {
            self.mappings[entries as usize].push((key, value));
        }
    }

    /// Puts an item into a sequence.
    pub(super) fn push_item(&mut self, sequence: Id, item: Id) {
        if let Content::Sequence(items, _) = self.content(sequence) {
            self.sequences[items as usize].push(item);
        }
    }

    pub(super) fn set_parent(&mut self, id: Id, parent: Option<Id>) {
        self.all[id as usize].parent = parent;
    }

    pub(super) fn set_span(&mut self, id: Id, span: Range<usize>) {
        self.all[id as usize].span = narrow(span.start)..narrow(span.end);
    }

    /// Lets the node begin at `start` already, if that is before where it begins now.
    pub(super) fn extend_start(&mut self, id: Id, start: usize) {
        let node = &mut self.all[id as usize];
        node.start = node.start.min(narrow(start));
    }

    pub(super) fn set_tag(&mut self, id: Id, tag: Box<str>) {
        self.properties_mut(id).tag = Some(tag);
    }

    pub(super) fn set_anchor(&mut self, id: Id, anchor: Box<str>) {
        self.properties_mut(id).anchor = Some(anchor);
    }

    fn properties_mut(&mut self, id: Id) -> &mut Properties {
        let at = self.properties.binary_search_by_key(&id, |(id, _)| *id).unwrap_or_else(|at| {
            self.properties.insert(at, (id, Properties::default()));
            at
        });
        &mut self.properties[at].1
    }

    fn properties(&self, id: Id) -> Option<&Properties> {
        let at = self.properties.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.properties[at].1)
    }

    pub(super) fn tag(&self, id: Id) -> Option<&str> {
        self.properties(id)?.tag.as_deref()
    }

    pub(super) fn anchor(&self, id: Id) -> Option<&str> {
        self.properties(id)?.anchor.as_deref()
    }

    pub(super) fn content(&self, id: Id) -> Content {
        self.all[id as usize].content
    }

    pub(super) fn parent(&self, id: Id) -> Option<Id> {
        self.all[id as usize].parent
    }

    pub(super) fn span(&self, id: Id) -> Range<usize> {
        let Range { start, end } = self.all[id as usize].span;
        start as usize..end as usize
    }

    /// The span with the anchor and the tag before it.
    pub(super) fn full_span(&self, id: Id) -> Range<usize> {
        let node = &self.all[id as usize];
        node.start as usize..node.span.end as usize
    }

    /// Entries of a mapping; none of any other node.
    pub(super) fn entries(&self, id: Id) -> &[(Id, Id)] {
        match self.content(id) {
            Content::Mapping(entries, _) => &self.mappings[entries as usize],
            _ => &[],
        }
    }

    /// The key of which this node is the value.
    pub(super) fn key_of(&self, value: Id) -> Option<Id> {
        let entries = self.entries(self.parent(value)?);
        entries.iter().find(|(_, of)| *of == value).map(|(key, _)| *key)
    }

    /// Items of a sequence; none of any other node.
    pub(super) fn items(&self, id: Id) -> &[Id] {
        match self.content(id) {
            Content::Sequence(items, _) => &self.sequences[items as usize],
            _ => &[],
        }
    }

    /// Whether it is a collection with brackets.
    pub(super) fn is_flow(&self, id: Id) -> bool {
        matches!(self.content(id), Content::Mapping(_, true) | Content::Sequence(_, true))
    }

    /// The last value or item of a collection.
    pub(super) fn last(&self, id: Id) -> Option<Id> {
        match self.content(id) {
            Content::Mapping(..) => self.entries(id).last().map(|(_, value)| *value),
            _ => self.items(id).last().copied(),
        }
    }

    /// Text of a scalar, where it is in the source; `None` where it is a text of its own.
    fn text_in<'s>(&self, source: &'s str, id: Id) -> Option<&'s str> {
        let span = self.span(id);
        match self.content(id) {
            Content::Scalar(Text::Span, _) => Some(&source[span]),
            Content::Scalar(Text::InQuotes, _) => Some(&source[span.start + 1..span.end - 1]),
            _ => None,
        }
    }

    /// Text of a scalar; empty for any other node.
    pub(super) fn text<'t>(&'t self, source: &'t str, id: Id) -> &'t str {
        match self.content(id) {
            Content::Scalar(Text::Own(text), _) => &self.texts[text as usize],
            _ => self.text_in(source, id).unwrap_or_default(),
        }
    }

    /// The same, for longer than the nodes are borrowed.
    pub(super) fn cow<'s>(&self, source: &'s str, id: Id) -> Cow<'s, str> {
        match self.text_in(source, id) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.text(source, id).to_owned()),
        }
    }
}
