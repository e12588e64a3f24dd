//! The expressions of one leaf: what they use, and what they give.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr, Value};
use minijinja::{Environment, Error, UndefinedBehavior};
use zeroize::Zeroizing;

use super::filters::{self, FILTERS};
use super::{Context, Leaf};
use crate::instance::Instance;
use crate::problem::Problem;
use crate::profile::spelling::did_you_mean;
use crate::secret::Secret;
use crate::yaml::{Node, Position};

const PLAIN_NAMES: [&str; 3] = ["environment", "gitlab.host", "gitlab.url"];
const GITLAB_STAND_IN: (&str, &str) = ("https://gitlab.example", "gitlab.example");
const FACTS: [&str; 4] = ["id", "name", "expires", "username"];

/// The tokens that a leaf uses, and those whose value it holds.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub(super) tokens: BTreeSet<String>,
    pub(super) values: BTreeSet<String>,
    pub(super) usernames: BTreeSet<String>,
}

/// Whether a text has expressions, and so is rendered.
pub(super) fn is_in(text: &str) -> bool {
    text.contains("{{")
}

/// What the leaf `text` at `node` uses, found without a value.
pub(super) fn analyse(node: Node<'_>, text: &str) -> Result<Used, Vec<Problem>> {
    let problem = |needle: &str, message: String| {
        vec![Problem { position: locate(node.position(), node.source(), needle), message }]
    };
    if text.contains("{%") {
        // Statements could rename what they use, which no analysis sees (`{% with tokens = tokens %}`).
        let message = "statements (`{% … %}`) are not for templates; write `{{ a if condition else b }}`";
        return Err(problem("{%", message.to_owned()));
    }
    if !is_in(text) {
        return Ok(Used::default());
    }
    if text.contains("{#") {
        return Err(problem(
            "{#",
            "comments (`{# … #}`) are not for templates; write a YAML comment".to_owned(),
        ));
    }
    let engine = engine().map_err(|error| problem("{{", describe(&error)))?;
    let compiled = match engine.template_from_str(text) {
        Ok(compiled) => compiled,
        Err(error) => return Err(problem("{{", describe(&error))),
    };
    let mut names: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
    names.sort();
    let mut used = Used::default();
    let mut problems = Vec::new();
    for name in &names {
        match token_name(name) {
            Some((key, fact)) => {
                used.tokens.insert(key.to_owned());
                match fact {
                    None => _ = used.values.insert(key.to_owned()),
                    Some("username") => _ = used.usernames.insert(key.to_owned()),
                    Some(_) => {}
                }
            }
            None if PLAIN_NAMES.contains(&name.as_str()) => {}
            None => problems.extend(problem(name, unknown(name))),
        }
    }
    if problems.is_empty()
        && let Err(error) = compiled.render(stand_ins("stand-in", GITLAB_STAND_IN, &used.tokens))
    {
        problems.extend(problem("{{", describe(&error)));
    }
    if problems.is_empty() { Ok(used) } else { Err(problems) }
}

/// Renders a leaf for this environment with stand-ins for its tokens.
pub(super) fn rehearse(leaf: &Leaf, environment: &str, gitlab: &Instance) -> Result<(), String> {
    let (url, host) = (gitlab.to_string(), gitlab.host());
    let scope = stand_ins(environment, (&url, &host), &leaf.tokens);
    let outcome = engine().and_then(|engine| engine.template_from_str(&leaf.source)?.render(scope));
    outcome.map(|_| ()).map_err(|error| describe(&error))
}

/// The text of a leaf. Only the tokens that it names are at hand.
pub(super) fn render(leaf: &Leaf, context: &Context<'_>) -> Result<Secret, Error> {
    let tokens = leaf.tokens.iter().filter_map(|key| {
        let facts = context.tokens.get(key)?;
        let token = Token {
            value: Zeroizing::new(facts.value.expose().to_owned()),
            id: facts.id.0,
            name: facts.name.to_owned(),
            expires: facts.expires.map_or_else(|| "never".to_owned(), |date| date.to_string()),
            username: facts.username.map(str::to_owned),
        };
        Some((key.clone(), token))
    });
    let (url, host) = (context.gitlab.to_string(), context.gitlab.host());
    let scope = scope(context.environment, (&url, &host), tokens);
    engine()?.template_from_str(&leaf.source)?.render(scope).map(Secret::new)
}

/// The place of the first `needle` in the source of a leaf; where it starts if the source does not have it as it is
/// (it may be escaped).
pub(super) fn locate(start: Position, source: &str, needle: &str) -> Position {
    let ends_there = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let mut found = source.match_indices(needle).map(|(at, _)| at);
    let Some(offset) = found.find(|at| ends_there(&source[at + needle.len()..])) else { return start };
    let within = Position::of(source, offset);
    let column = if within.line == 1 { start.column + within.column - 1 } else { within.column };
    Position { line: start.line + within.line - 1, column }
}

/// Nothing but our filters: minijinja's own functions could show what a leaf does not name.
fn engine() -> Result<Environment<'static>, Error> {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    filters::add(&mut engine);
    Ok(engine)
}

/// `tokens.<key>` or `tokens.<key>.<fact>`.
fn token_name(name: &str) -> Option<(&str, Option<&str>)> {
    let rest = name.strip_prefix("tokens.")?;
    match rest.split_once('.') {
        None => Some((rest, None)),
        Some((key, fact)) if FACTS.contains(&fact) => Some((key, Some(fact))),
        Some(_) => None,
    }
}

fn unknown(name: &str) -> String {
    match name.strip_prefix("tokens").map(|rest| rest.trim_start_matches('.').split_once('.')) {
        Some(Some((_, fact))) => {
            let meant = did_you_mean(fact, FACTS);
            let known = if meant.is_empty() { "; it has id, name, expires, username".to_owned() } else { meant };
            format!("a token has no `{fact}`{known}")
        }
        Some(None) if name == "tokens" => {
            "`tokens` alone does not say which token; write `tokens.<key>` with the key as it stands in the profile"
                .to_owned()
        }
        _ => {
            let meant = did_you_mean(name, PLAIN_NAMES.into_iter().chain(["tokens"]));
            let known = if meant.is_empty() {
                "; a template has environment, gitlab.url, gitlab.host and tokens.<key>".to_owned()
            } else {
                meant
            };
            format!("unknown name `{name}`{known}")
        }
    }
}

/// An error from before any value was there, so that its detail can be shown.
fn describe(error: &Error) -> String {
    let known = match error.kind() {
        minijinja::ErrorKind::UnknownFilter => format!("; a template has {}", FILTERS.join(", ")),
        _ => String::new(),
    };
    match error.detail() {
        Some(detail) => format!("{}: {detail}{known}", error.kind()),
        None => format!("{}{known}", error.kind()),
    }
}

fn stand_ins(environment: &str, gitlab: (&str, &str), tokens: &BTreeSet<String>) -> Value {
    let tokens = tokens.iter().map(|key| {
        let token = Token {
            value: Zeroizing::new("stand-in".to_owned()),
            id: 1,
            name: "stand-in".to_owned(),
            expires: "never".to_owned(),
            username: Some("stand-in".to_owned()),
        };
        (key.clone(), token)
    });
    scope(environment, gitlab, tokens)
}

fn scope(environment: &str, gitlab: (&str, &str), tokens: impl Iterator<Item = (String, Token)>) -> Value {
    let tokens = tokens.map(|(key, token)| (key, Value::from_object(token)));
    Value::from_pairs([
        ("environment", Value::from(environment)),
        ("gitlab", Value::from_pairs([("url", gitlab.0), ("host", gitlab.1)])),
        ("tokens", Value::from_pairs(tokens)),
    ])
}

/// A token inside of minijinja: it renders as its value and has its public facts as attributes.
struct Token {
    value: Zeroizing<String>,
    id: u64,
    name: String,
    expires: String,
    username: Option<String>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Object for Token {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "id" => Some(Value::from(self.id)),
            "name" => Some(Value::from(self.name.as_str())),
            "expires" => Some(Value::from(self.expires.as_str())),
            "username" => self.username.as_deref().map(Value::from),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}
