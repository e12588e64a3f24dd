//! Where the comments of a YAML document belong: the collection, and the item that they stand before. go-yaml finds this
//! out while it reads (yamlc.go, `yaml_parser_unfold_comments`; decode.go, `parser.mapping`); where it could see it
//! otherwise than a person would, the answer here is no more than likely.

use std::ops::Range;

use crate::yaml::{Comment, Id, Kind, Mapping, Node, Placement};

use super::path::{Path, Segment};
use super::splice::line_start;

/// Where a comment belongs.
#[derive(Clone, Debug)]
pub(super) struct Home {
    /// The collection.
    pub(super) container: Id,
    /// Its path.
    pub(super) path: Path,
    /// It stands before the first item that starts here or further on.
    pub(super) at: usize,
    pub(super) standing: Standing,
    /// Paths of the other collections that stock sops may see it in.
    pub(super) elsewhere: Vec<Path>,
}

/// How sure it is where a comment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// To a mapping, and every reader sees it so.
    Key,
    /// To a list: stock sops keeps it as an element of the list when it encrypts it.
    Element,
    /// Stock sops may see it elsewhere.
    Unsure,
}

/// One key, or one element of a list, in the order of the text.
struct Item {
    container: Id,
    /// Path of the collection that it is in.
    owner: Path,
    in_list: bool,
    /// How far to the right its hyphen stands, where there is nothing else before it on its line.
    hyphen: Option<usize>,
    /// Whether only blanks stand before it on its line.
    starts_line: bool,
    column: usize,
    start: usize,
    /// The end of its value.
    end: usize,
    /// Whether its value is, or ends in, a list.
    ends_in_list: bool,
    /// Whether its value is a collection on lines of its own.
    is_block: bool,
    /// Its value, where that is a flow collection.
    flow: Option<Flow>,
}

struct Flow {
    id: Id,
    path: Path,
    start: usize,
    is_filled_mapping: bool,
}

/// The comments on lines of their own above another one, between the same two items.
struct Above {
    /// The number of the item behind them.
    after: usize,
    /// How far to the right the one stands that is furthest to the left.
    leftmost: usize,
    /// The end of the last one.
    end: usize,
}

/// The items of one document.
pub(super) struct Outline<'t> {
    text: &'t str,
    root: Id,
    /// Those in block collections; their starts ascend.
    items: Vec<Item>,
    /// Collections in brackets; an inner one behind the one that it is in.
    flows: Vec<(Range<usize>, Id, Path)>,
}

impl<'t> Outline<'t> {
    pub(super) fn of(text: &'t str, root: Mapping<'_>) -> Self {
        let root = root.node();
        let mut outline = Self { text, root: root.id(), items: Vec::new(), flows: Vec::new() };
        outline.collect(root, &Path::default(), false);
        outline
    }

    /// The paths of all collections.
    pub(super) fn owners(&self) -> impl Iterator<Item = &Path> {
        self.items.iter().map(|item| &item.owner).chain(self.flows.iter().map(|(_, _, path)| path))
    }

    fn collect(&mut self, node: Node<'_>, path: &Path, in_flow: bool) {
        match node.kind() {
            Kind::Mapping(mapping) => {
                let in_flow = self.enter(node, path, in_flow || mapping.is_flow());
                for entry in mapping.entries() {
                    let mut below = path.clone();
                    below.0.push(Segment::Key(entry.key.to_owned()));
                    if !in_flow {
                        self.item(node.id(), entry.key_node, entry.value, path, &below);
                    }
                    self.collect(entry.value, &below, in_flow);
                }
            }
            Kind::Sequence(list) => {
                let in_flow = self.enter(node, path, in_flow || list.is_flow());
                for item in list.items() {
                    if !in_flow {
                        self.item(node.id(), item, item, path, path);
                    }
                    self.collect(item, path, in_flow);
                }
            }
            Kind::Scalar(..) | Kind::Alias(_) => {}
        }
    }

    fn enter(&mut self, node: Node<'_>, path: &Path, in_flow: bool) -> bool {
        if in_flow {
            self.flows.push((node.span(), node.id(), path.clone()));
        }
        in_flow
    }

    fn item(&mut self, container: Id, head: Node<'_>, value: Node<'_>, owner: &Path, path: &Path) {
        let start = head.full_span().start;
        let line = line_start(self.text, start);
        let before = &self.text[line..start];
        let in_list = head == value;
        let is_hyphens = before.trim_matches([' ', '-']).is_empty() && before.contains('-');
        self.items.push(Item {
            container,
            owner: owner.clone(),
            in_list,
            hyphen: if in_list && is_hyphens { before.rfind('-') } else { None },
            starts_line: before.bytes().all(|byte| byte == b' '),
            column: start - line,
            start,
            end: value.span().end.max(head.span().end),
            ends_in_list: ends_in_list(value),
            is_block: matches!(value.kind(), Kind::Mapping(_) | Kind::Sequence(_)) && !is_flow(value),
            flow: flow(value, path),
        });
    }

    /// Where the comments belong, which are in order.
    pub(super) fn homes(&self, comments: &[&Comment]) -> Vec<Home> {
        let mut above: Option<Above> = None;
        let home = |comment: &&Comment| {
            let mut home = self.home(comment);
            let (at, after) = (comment.span.start, self.after(comment.span.start));
            if comment.placement == Placement::OwnLine {
                let column = at - line_start(self.text, at);
                let known = above.as_ref().filter(|above| above.after == after);
                if known.is_some_and(|above| self.is_parted(above, &home, column)) {
                    home.standing = Standing::Unsure;
                }
                let leftmost = known.map_or(column, |above| above.leftmost.min(column));
                above = Some(Above { after, leftmost, end: comment.span.end });
            }
            if home.standing == Standing::Unsure && !self.flows.iter().any(|(span, ..)| span.contains(&at)) {
                home.elsewhere = self.around(after);
            }
            home
        };
        comments.iter().map(home).collect()
    }

    /// Whether go-yaml may see a comment elsewhere because of those above it, between the same items: it may take it together
    /// with one further to the left, and what a blank line parts from the first one it takes for the head of the next item.
    fn is_parted(&self, above: &Above, home: &Home, column: usize) -> bool {
        let next = self.items.get(above.after);
        let is_below =
            next.map_or(home.container != self.root, |next| next.hyphen.unwrap_or(next.column) < column);
        column > above.leftmost || is_below && has_blank_line(&self.text[above.end..home.at.max(above.end)])
    }

    /// The number of the first item behind `at`.
    fn after(&self, at: usize) -> usize {
        self.items.partition_point(|item| item.start <= at)
    }

    /// The collections between the items before and behind this number, up to the one that both are in.
    fn around(&self, after: usize) -> Vec<Path> {
        let owner = |item: Option<&Item>| item.map_or_else(Path::default, |item| item.owner.clone());
        let owners =
            [owner(after.checked_sub(1).map(|above| &self.items[above])), owner(self.items.get(after))];
        let both = owners[0].0.iter().zip(&owners[1].0).take_while(|(one, other)| one == other).count();
        let up = |owner: &Path| {
            (both..=owner.0.len()).map(|length| Path(owner.0[..length].to_vec())).collect::<Vec<_>>()
        };
        owners.iter().flat_map(up).collect()
    }

    fn home(&self, comment: &Comment) -> Home {
        let at = comment.span.start;
        let within = self.flows.partition_point(|(span, ..)| span.start < at);
        if let Some((span, id, path)) = self.flows[..within].iter().rev().find(|(span, ..)| span.end > at) {
            return self.in_flow(at, span.start, *id, path);
        }
        match comment.placement {
            Placement::EndOfLine => self.behind(at),
            Placement::OwnLine => self.on_its_line(at),
        }
    }

    fn home_of(item: &Item, at: usize, standing: Standing) -> Home {
        Home { container: item.container, path: item.owner.clone(), at, standing, elsewhere: Vec::new() }
    }

    fn unsure(&self, at: usize) -> Home {
        let (container, path) = (self.root, Path::default());
        Home { container, path, at, standing: Standing::Unsure, elsewhere: Vec::new() }
    }

    /// Between brackets it belongs to what stands before it on its line, else to what stands behind it.
    fn in_flow(&self, at: usize, start: usize, container: Id, path: &Path) -> Home {
        let line = line_start(self.text, at);
        let at = if self.text[line..at].trim().is_empty() { at } else { line.max(start + 1) };
        Home { container, path: path.clone(), at, standing: Standing::Unsure, elsewhere: Vec::new() }
    }

    fn last_before(&self, at: usize) -> Option<usize> {
        self.items.partition_point(|item| item.start < at).checked_sub(1)
    }

    /// Behind a key or a value: the mapping of the last key that starts or ends on the line.
    fn behind(&self, at: usize) -> Home {
        let line = line_start(self.text, at);
        let Some(index) = self.last_before(at) else { return self.unsure(at) };
        let item = &self.items[index];
        if item.start < line && !(line..=at).contains(&item.end) {
            return self.behind_a_hyphen(index, at, line);
        }
        match &item.flow {
            // Behind `{…}` it belongs into it, behind `[…]` to its first element.
            Some(flow) if item.end <= at => {
                let is_sure = flow.is_filled_mapping && !item.in_list;
                let standing = if is_sure { Standing::Key } else { Standing::Unsure };
                let at = flow.start + 1;
                Home { container: flow.id, path: flow.path.clone(), at, standing, elsewhere: Vec::new() }
            }
            // A list behind a key on its own lines takes the key's comment for its first element, when it is encrypted.
            _ if item.ends_in_list && item.end > at => Self::home_of(item, item.start, Standing::Element),
            // Nothing but a hyphen stands before it.
            _ if item.in_list && (item.is_block || item.start == item.end) => {
                Self::home_of(item, item.start, Standing::Unsure)
            }
            _ if item.in_list => Self::home_of(item, item.start, Standing::Element),
            _ => Self::home_of(item, item.start, Standing::Key),
        }
    }

    /// Behind nothing but a hyphen it belongs to the first item of the element's collection.
    fn behind_a_hyphen(&self, index: usize, at: usize, line: usize) -> Home {
        let is_hyphens = self.text[line..at].trim_matches([' ', '-']).is_empty();
        match self.items.get(index + 1..).unwrap_or_default() {
            [element, first, ..] if is_hyphens && element.in_list && first.start == element.start => {
                Self::home_of(first, at, Standing::Unsure)
            }
            [element, ..] if is_hyphens && element.in_list => Self::home_of(element, at, Standing::Unsure),
            _ => self.unsure(at),
        }
    }

    /// On a line of its own: before the item below it, if it stands right above it.
    fn on_its_line(&self, at: usize) -> Home {
        let column = at - line_start(self.text, at);
        let after = self.after(at);
        let next = self.items.get(after);
        let above = after.checked_sub(1).map(|index| &self.items[index]);
        if let Some(next) = next {
            if !next.in_list && next.starts_line && next.column == column {
                // The elements of a list may stand no further to the right than its key.
                let is_foot =
                    above.is_some_and(|above| self.is_foot(above, at, column) && !self.leads_to(next, at));
                return Self::home_of(next, at, if is_foot { Standing::Unsure } else { Standing::Key });
            }
            if next.hyphen == Some(column) {
                // What touches the element above and not the one below belongs to the end of that one.
                let is_foot = above.is_some_and(|above| {
                    above.container != next.container && self.touches(above, at) && !self.leads_to(next, at)
                });
                return Self::home_of(next, at, if is_foot { Standing::Unsure } else { Standing::Element });
            }
        }
        // Below the last item of a collection: it belongs to the one whose items stand as far to the right.
        let Some(above) = above else { return self.unsure(at) };
        let stands = |item: &&Item| match item.hyphen {
            Some(hyphen) => hyphen == column,
            None => !item.in_list && item.starts_line && item.column == column,
        };
        let Some(sibling) = self.items[..after].iter().rev().find(stands) else {
            return Self::home_of(above, at, Standing::Unsure);
        };
        let is_last = next.is_none_or(|next| next.hyphen.unwrap_or(next.column) < column);
        // At the end of the document, sops's own key stands below what is as far to the left.
        let is_direct = std::ptr::eq(sibling, above) || next.is_none() && sibling.container == self.root;
        let standing = match (is_last && is_direct, sibling.in_list) {
            (true, false) if !sibling.ends_in_list => Standing::Key,
            (true, true) => Standing::Element,
            _ => Standing::Unsure,
        };
        Self::home_of(sibling, at, standing)
    }

    /// Whether no blank line stands between an item and the comment below it.
    fn touches(&self, above: &Item, at: usize) -> bool {
        !has_blank_line(&self.text[above.end.min(at)..at])
    }

    /// Whether no blank line stands between a comment and the item below it.
    fn leads_to(&self, next: &Item, at: usize) -> bool {
        !has_blank_line(&self.text[at..next.start.max(at)])
    }

    /// Whether a comment can be the foot of a list whose hyphens stand in its column.
    fn is_foot(&self, above: &Item, at: usize, column: usize) -> bool {
        let own = self.items.partition_point(|item| item.start <= above.start);
        let is_listed = self.items[..own].iter().rev().take_while(|item| item.column >= column);
        let mut is_listed = is_listed.filter(|item| item.in_list);
        self.touches(above, at) && is_listed.any(|item| item.hyphen == Some(column))
    }
}

fn has_blank_line(text: &str) -> bool {
    let mut lines = text.split('\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_some() && line.trim().is_empty() {
            return true;
        }
    }
    false
}

fn is_flow(node: Node<'_>) -> bool {
    match node.kind() {
        Kind::Mapping(mapping) => mapping.is_flow(),
        Kind::Sequence(list) => list.is_flow(),
        Kind::Scalar(..) | Kind::Alias(_) => false,
    }
}

fn flow(node: Node<'_>, path: &Path) -> Option<Flow> {
    let is_filled_mapping = match node.kind() {
        Kind::Mapping(mapping) if mapping.is_flow() => mapping.entries().len() > 0,
        Kind::Sequence(list) if list.is_flow() => false,
        _ => return None,
    };
    Some(Flow { id: node.id(), path: path.clone(), start: node.span().start, is_filled_mapping })
}

fn ends_in_list(node: Node<'_>) -> bool {
    match node.kind() {
        Kind::Sequence(list) => !list.is_flow(),
        Kind::Mapping(mapping) => {
            mapping.entries().next_back().is_some_and(|entry| ends_in_list(entry.value))
        }
        Kind::Scalar(..) | Kind::Alias(_) => false,
    }
}
