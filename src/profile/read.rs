//! Reads a profile. Goes on after a problem, so that a person sees all of them at once.

use std::collections::BTreeSet;
use std::str::FromStr;

use jiff::{Span, ToSpan};

use super::fields::{Fields, Reader};
use super::spelling::nearest;
use super::{
    Environment, Expires, ProfileError, Recipients, SecretsFile, Strategy, Token, expiry, names, scope,
};
use crate::instance::Instance;
use crate::token::{Kind, Role, Scopes};
use crate::yaml::{Mapping, Node, Position};

/// Where tokens live when a profile does not say.
pub const DEFAULT_GITLAB: &str = "https://gitlab.com";

pub(super) const ENVIRONMENT_KEYS: [&str; 3] = ["gitlab", "secrets", "tokens"];
pub(super) const SECRETS_KEYS: [&str; 4] = ["file", "template", "recipients", "commit"];
pub(super) const TOKEN_KEYS: [&str; 11] = [
    "kind",
    "group",
    "project",
    "name",
    "role",
    "scopes",
    "expires",
    "renew_before",
    "overlap",
    "strategy",
    "moved_from",
];

impl Environment {
    /// Reads the profile of the environment `name`. `path` is the profile's own path, relative to the repository
    /// root, and stands in error texts.
    ///
    /// # Errors
    /// Everything that is wrong in it, each with line and column.
    pub fn read(name: &str, path: &str, text: &str) -> Result<Self, ProfileError> {
        let mut reader = Reader::default();
        if let Err(error) = names::environment(name) {
            reader.report_at(Position { line: 1, column: 1 }, error.to_string());
        }
        let environment = reader.parse(text, |reader, root| environment(reader, root, name, path));
        match environment {
            Some(environment) if reader.problems.is_empty() => Ok(environment),
            _ => Err(ProfileError::new(path, reader.problems)),
        }
    }
}

fn environment(reader: &mut Reader, root: Node<'_>, name: &str, path: &str) -> Option<Environment> {
    let fields = reader.fields(root, "a profile", &ENVIRONMENT_KEYS)?;
    let gitlab = match fields.optional("gitlab") {
        Some(node) => reader.text(node).and_then(|text| reader.parsed::<Instance>(node, text)),
        None => DEFAULT_GITLAB.parse().ok(),
    };
    let secrets = reader.required(&fields, "secrets").and_then(|node| secrets(reader, node));
    let tokens = reader.required(&fields, "tokens").and_then(|node| tokens(reader, node));
    Some(Environment {
        name: name.to_owned(),
        path: path.to_owned(),
        gitlab: gitlab?,
        secrets: secrets?,
        tokens: tokens?,
        is_unlisted: false,
    })
}

fn secrets(reader: &mut Reader, node: Node<'_>) -> Option<Vec<SecretsFile>> {
    let entries: Vec<Node<'_>> = match node.as_sequence() {
        Some(list) => list.items().collect(),
        None => vec![node],
    };
    if entries.is_empty() {
        reader.report(node, "`secrets` is empty; name at least one file");
    }
    let mut files: Vec<SecretsFile> = Vec::new();
    for entry in entries {
        let Some(file) = secrets_file(reader, entry) else { continue };
        if files.iter().any(|other| other.file == file.file) {
            reader.report(entry, format!("`file: {}` stands twice in `secrets`", file.file));
        }
        if files.first().is_some_and(|first| first.recipients != file.recipients) {
            let why = "files for everybody and files with `recipients: self` cannot share tokens; \
                       make two environments of them";
            reader.report(entry, why);
        }
        files.push(file);
    }
    Some(files)
}

fn secrets_file(reader: &mut Reader, node: Node<'_>) -> Option<SecretsFile> {
    let fields = reader.fields(node, "an entry of `secrets`", &SECRETS_KEYS)?;
    let recipients = reader.choice(
        &fields,
        "recipients",
        Some(Recipients::Policy),
        &[("policy", Recipients::Policy), ("self", Recipients::Own)],
    );
    let commit = reader.choice(&fields, "commit", Some(true), &[("true", true), ("false", false)]);
    let own = recipients == Some(Recipients::Own);
    let file = reader
        .required_text(&fields, "file", |text| names::secrets_path(text, own).map(|()| text.to_owned()));
    let template =
        reader.required_text(&fields, "template", |text| names::template(text).map(|()| text.to_owned()));
    Some(SecretsFile { file: file?, template: template?, recipients: recipients?, commit: commit? })
}

fn tokens(reader: &mut Reader, node: Node<'_>) -> Option<Vec<Token>> {
    let Some(mapping) = node.as_mapping() else {
        reader
            .report(node, format!("`tokens` must be a mapping of keys to tokens, not a {}", node.describe()));
        return None;
    };
    if mapping.entries().len() == 0 {
        reader.report(node, "`tokens` is empty; name at least one token");
    }
    let mut tokens = Vec::new();
    for entry in mapping.entries() {
        if let Err(error) = names::token_key(entry.key) {
            reader.report(entry.key_node, error.to_string());
        }
        tokens.extend(token(reader, entry.key, entry.key_node, entry.value));
    }
    check_moves(reader, mapping);
    Some(tokens)
}

/// An entry that moved has left its old key, and no other entry comes from there.
fn check_moves(reader: &mut Reader, tokens: Mapping<'_>) {
    let mut seen = BTreeSet::new();
    for entry in tokens.entries() {
        let Some(node) = entry.value.as_mapping().and_then(|fields| fields.get("moved_from")) else {
            continue;
        };
        let Some(from) = node.as_str() else { continue };
        if tokens.get(from).is_some() {
            reader.report(
                node,
                format!("`{from}` is still an entry of its own; a renamed entry has one key only"),
            );
        }
        if !seen.insert(from) {
            reader.report(node, format!("two entries cannot both come from `{from}`"));
        }
    }
}

fn former_key(reader: &mut Reader, node: Node<'_>) -> Option<String> {
    let key = reader.text(node)?;
    names::token_key(key).map_err(|error| reader.report(node, error.to_string())).ok()?;
    Some(key.to_owned())
}

fn token(reader: &mut Reader, key: &str, key_node: Node<'_>, node: Node<'_>) -> Option<Token> {
    if node.is_null() {
        reader.report(key_node, format!("token `{key}` is empty; it needs kind, name and scopes"));
        return None;
    }
    let fields = reader.fields(node, &format!("token `{key}`"), &TOKEN_KEYS)?;
    let owner = owner(reader, &fields);
    let kind = owner.as_ref().map(|(kind, _)| *kind);
    let name =
        reader.required_text(&fields, "name", |text| names::token_name(text).map(|()| text.to_owned()));
    let role = role(reader, &fields, kind);
    let scopes = reader.required(&fields, "scopes").and_then(|node| scopes(reader, node, kind));
    let (expires, expires_as_written) = expires(reader, &fields);
    let renew_before = span(reader, &fields, "renew_before", expiry::days, 30.days());
    let overlap = span(reader, &fields, "overlap", expiry::fixed, 24.hours());
    let strategies = [("replace", Strategy::Replace), ("in-place", Strategy::InPlace)];
    let strategy = reader.choice(&fields, "strategy", Some(Strategy::Replace), &strategies);
    let moved_from = fields.optional("moved_from").and_then(|node| former_key(reader, node));
    let (kind, owner) = owner?;
    Some(Token {
        key: key.to_owned(),
        kind,
        owner,
        name: name?,
        role: role?,
        scopes: scopes?,
        expires: expires?,
        expires_as_written,
        renew_before: renew_before?,
        overlap: overlap?,
        strategy: strategy?,
        moved_from,
    })
}

/// Kind and full path of the owner. `group:` or `project:` alone says the kind; a personal token says so itself, as
/// it acts with all rights of a person and should not come from a forgotten line.
fn owner(reader: &mut Reader, fields: &Fields<'_>) -> Option<(Kind, Option<String>)> {
    let kinds = [("personal", Kind::Personal), ("group", Kind::Group), ("project", Kind::Project)];
    let written = match fields.optional("kind") {
        Some(_) => Some(reader.choice(fields, "kind", None, &kinds)?),
        None => None,
    };
    let paths = (fields.optional("group"), fields.optional("project"));
    let kind = match (written, paths) {
        (Some(kind), _) => kind,
        (None, (Some(_), None)) => Kind::Group,
        (None, (None, Some(_))) => Kind::Project,
        (None, (Some(_), Some(node))) => {
            reader.report(node, "a token belongs to a group or to a project, not to both");
            return None;
        }
        (None, (None, None)) => {
            reader.report_at(fields.position(), "missing key `kind`: personal, group or project");
            return None;
        }
    };
    for (key, node) in [("group", paths.0), ("project", paths.1)] {
        if let Some(node) = node
            && kind.as_str() != key
        {
            reader.report(node, format!("`{key}` does not belong to a {kind} token"));
        }
    }
    let path = match kind {
        Kind::Personal => return Some((kind, None)),
        Kind::Group => {
            reader.required_text(fields, "group", |text| names::group_path(text).map(|()| text.to_owned()))
        }
        Kind::Project => reader
            .required_text(fields, "project", |text| names::project_path(text).map(|()| text.to_owned())),
    };
    Some((kind, Some(path?)))
}

/// The outer `None` is a problem, the inner one a personal token.
fn role(reader: &mut Reader, fields: &Fields<'_>, kind: Option<Kind>) -> Option<Option<Role>> {
    let roles = Role::ALL.map(|role| (role.as_str(), role));
    match (kind, fields.optional("role")) {
        (Some(Kind::Personal), Some(node)) => {
            reader.report(
                node,
                "`role` does not belong to a personal token: it acts with the rights of its user",
            );
            None
        }
        (Some(Kind::Personal) | None, None) => Some(None),
        _ => reader.choice(fields, "role", None, &roles).map(Some),
    }
}

fn scopes(reader: &mut Reader, node: Node<'_>, kind: Option<Kind>) -> Option<Scopes> {
    let Some(list) = node.as_sequence() else {
        reader.report(node, format!("`scopes` must be a list such as [read_api], not a {}", node.describe()));
        return None;
    };
    if list.items().len() == 0 {
        reader.report(node, "`scopes` is empty; a token without scopes can do nothing");
    }
    let mut scopes = Scopes::new();
    for item in list.items() {
        let Some(text) = reader.text(item) else { continue };
        // Without a kind the scope is still checked for slips: personal tokens may have the most.
        if let Err(error) = scope::check(text, kind.unwrap_or(Kind::Personal)) {
            reader.report(item, error.to_string());
        } else if !scopes.insert(text.to_owned()) {
            reader.report(item, format!("scope `{text}` stands twice"));
        }
    }
    Some(scopes)
}

fn expires(reader: &mut Reader, fields: &Fields<'_>) -> (Option<Expires>, String) {
    let Some(node) = fields.optional("expires") else { return (Some(Expires::Max), "max".to_owned()) };
    let Some(text) = reader.text(node) else { return (None, String::new()) };
    match Expires::from_str(text) {
        Ok(expires) => (Some(expires), text.to_owned()),
        Err(error) => {
            let meant = nearest(text, ["max", "never"]).map(|word| format!("; did you mean `{word}`?"));
            reader.report(node, format!("{error}{}", meant.unwrap_or_default()));
            (None, String::new())
        }
    }
}

fn span(
    reader: &mut Reader,
    fields: &Fields<'_>,
    key: &str,
    parse: fn(&str) -> Result<Span, expiry::ExpiryError>,
    default: Span,
) -> Option<Span> {
    let Some(node) = fields.optional(key) else { return Some(default) };
    let text = reader.text(node)?;
    parse(text).map_err(|error| reader.report(node, format!("`{key}`: {error}"))).ok()
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
