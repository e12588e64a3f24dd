//! The shape of a secrets file, as far as its tokens go: a template with a leaf for each of them and nothing else, so that
//! no other value of the file is ever written from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Found;
use crate::sops::{Format, Path, Segment};

/// Those that a template can name: in a list, every item before one has to be in the template too.
pub(super) fn that_fit(group: Vec<&Found>) -> (Vec<&Found>, Vec<&Found>) {
    let mut fit = group;
    let mut odd = Vec::new();
    loop {
        let (stay, go): (Vec<&Found>, Vec<&Found>) =
            fit.iter().copied().partition(|one| items_before(one).all(|path| is_known(&fit, one, &path)));
        if go.is_empty() {
            return (stay, odd);
        }
        odd.extend(go);
        fit = stay;
    }
}

/// The items of lists that stand before those that the path goes through.
fn items_before(one: &Found) -> impl Iterator<Item = Path> {
    let segments = &one.path.0;
    segments.iter().enumerate().flat_map(move |(at, segment)| {
        let before = match segment {
            Segment::Index(index) => *index,
            Segment::Key(_) => 0,
        };
        (0..before)
            .map(move |index| Path(segments[..at].iter().cloned().chain([Segment::Index(index)]).collect()))
    })
}

fn is_known(group: &[&Found], one: &Found, item: &Path) -> bool {
    group.iter().any(|other| other.file == one.file && other.path.0.starts_with(&item.0))
}

/// The text of a template in which each path holds the token of its key.
pub(super) fn template(format: Format, leaves: &[(&Path, &str)]) -> String {
    let expression = |key: &str| format!("{{{{ tokens.{key} }}}}");
    match format {
        Format::Dotenv => {
            lines(leaves.iter().map(|(path, key)| {
                (None, path.keys().last().unwrap_or_default().to_owned(), expression(key))
            }))
        }
        Format::Ini => lines(leaves.iter().map(|(path, key)| {
            let keys: Vec<&str> = path.keys().collect();
            let section = keys.first().filter(|_| keys.len() > 1).map(|section| (*section).to_owned());
            (section, keys.last().copied().unwrap_or_default().to_owned(), expression(key))
        })),
        Format::Yaml | Format::Json | Format::Binary => {
            let mut root = Value::Object(Map::new());
            for (path, key) in leaves {
                put(&mut root, &path.0, expression(key));
            }
            let json = || serde_json::to_string_pretty(&root).unwrap_or_default() + "\n";
            if format == Format::Yaml { serde_yaml::to_string(&root).unwrap_or_default() } else { json() }
        }
    }
}

fn put(node: &mut Value, path: &[Segment], text: String) {
    let Some((first, rest)) = path.split_first() else {
        *node = Value::from(text);
        return;
    };
    let next = match first {
        Segment::Key(key) => {
            if !node.is_object() {
                *node = Value::Object(Map::new());
            }
            node.as_object_mut().map(|map| map.entry(key.clone()).or_insert(Value::Null))
        }
        Segment::Index(index) => {
            if !node.is_array() {
                *node = Value::Array(Vec::new());
            }
            node.as_array_mut().and_then(|list| {
                if list.len() <= *index {
                    list.resize(*index + 1, Value::Null);
                }
                list.get_mut(*index)
            })
        }
    };
    if let Some(next) = next {
        put(next, rest, text);
    }
}

/// Lines of `key=value`, below their sections.
fn lines(leaves: impl Iterator<Item = (Option<String>, String, String)>) -> String {
    let mut sections: BTreeMap<Option<String>, Vec<(String, String)>> = BTreeMap::new();
    for (section, key, value) in leaves {
        sections.entry(section).or_default().push((key, value));
    }
    let mut text = String::new();
    for (section, lines) in sections {
        if let Some(section) = &section {
            let _ = writeln!(text, "[{section}]");
        }
        for (key, value) in lines {
            let _ = if section.is_some() {
                writeln!(text, "{key} = {value}")
            } else {
                writeln!(text, "{key}={value}")
            };
        }
    }
    text
}
