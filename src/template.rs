//! Templates: the plaintext shape of a secrets file, in the format of that file.
//!
//! A template is read as YAML (or as JSON, dotenv or INI, by the ending of its name) first, and its leaves are rendered afterwards, one by one, so that a value can never
//! become syntax. A leaf may hold expressions (`{{ … }}`) and no statements: what an expression uses can be found
//! without running it, and a leaf is given no other token than those that it names.
//!
//! Names in a leaf: `environment`, `gitlab.url`, `gitlab.host`, `tokens.<key>` (the value), and the public facts
//! `tokens.<key>.id`, `.name`, `.expires`, `.username`. Filters: `b64encode`, `tojson`, `docker_auth(host, user)`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::civil::Date;

use crate::instance::Instance;
use crate::problem::{Problem, Problems, only_root};
use crate::profile::Environment;
use crate::profile::spelling::did_you_mean;
use crate::secret::Secret;
use crate::sops::{Format, Path, Segment};
use crate::token::TokenId;
use crate::yaml::{Kind, Node, Position};

pub mod disjoint;
mod expression;
mod filters;
mod unquoted;

/// A template that was read and whose leaves can be rendered.
#[derive(Clone, Debug)]
pub struct Template {
    path: String,
    format: Format,
    text: String,
    leaves: Vec<Leaf>,
}

/// One scalar of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Where it hangs in the tree.
    pub path: Path,
    /// Where its content starts in the text.
    pub position: Position,
    /// Its bytes in [`Template::text`], quotes or block header included.
    pub span: Range<usize>,
    /// Its text, without YAML's quoting.
    pub source: String,
    /// Whether it has expressions. Without them it is written as it stands, with its YAML type.
    pub rendered: bool,
    /// The tokens that it uses, be it for a public fact only. Empty: not a slot.
    pub tokens: BTreeSet<String>,
    /// Those of them whose value it holds.
    pub values: BTreeSet<String>,
    /// Those of them whose user name it shows: [`TokenFacts::username`] has to be known for them.
    pub usernames: BTreeSet<String>,
}

impl Leaf {
    /// Whether it follows a token.
    #[must_use]
    pub fn is_slot(&self) -> bool {
        !self.tokens.is_empty()
    }
}

/// What leaves are rendered from.
#[derive(Debug)]
pub struct Context<'a> {
    /// Name of the environment.
    pub environment: &'a str,
    /// Where its tokens live.
    pub gitlab: &'a Instance,
    /// By key; at least those that the leaf uses.
    pub tokens: BTreeMap<String, TokenFacts<'a>>,
}

/// A token as a leaf may show it.
#[derive(Debug)]
pub struct TokenFacts<'a> {
    /// `tokens.<key>`
    pub value: &'a Secret,
    /// `tokens.<key>.id`
    pub id: TokenId,
    /// `tokens.<key>.name`
    pub name: &'a str,
    /// `tokens.<key>.expires`: the date, or `never`.
    pub expires: Option<Date>,
    /// `tokens.<key>.username`: the user that the token acts as; an error in a leaf that uses it when it is `None`.
    pub username: Option<&'a str>,
}

/// Why a template cannot be used. No text in it comes from a rendered value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template is wrong, or does not fit the profile.
    #[error(transparent)]
    Invalid(#[from] Problems),
    /// A token would be minted and kept nowhere.
    #[error(
        "{profile}: no slot holds token `{token}`, so its value would be lost; add a line such as \
         `{line}` to {template}"
    )]
    Unused {
        /// Path of the profile.
        profile: String,
        /// Key of the token.
        token: String,
        /// What to add.
        line: String,
        /// Path of the template to add it to.
        template: String,
    },
    /// A leaf could not be rendered.
    #[error("{path}:{position}: {message}")]
    Render {
        /// Path of the template.
        path: String,
        /// Where the leaf starts.
        position: Position,
        /// What went wrong, without any value.
        message: String,
    },
}

impl Template {
    /// Reads the template `templates/<name>`.
    ///
    /// # Errors
    /// Everything that is wrong in it, each with line and column.
    pub fn parse(name: &str, text: &str) -> Result<Self, TemplateError> {
        let path = format!("templates/{name}");
        // What no ending tells is YAML: a template of a binary file would have no leaves.
        let format = match Format::of_path(name) {
            Format::Binary => Format::Yaml,
            format => format,
        };
        let tree = format.tree(text.to_owned()).map_err(|error| {
            let explained = unquoted::explain(text, error.position()).filter(|_| format == Format::Yaml);
            let problem = explained.unwrap_or_else(|| Problem {
                position: error.position().unwrap_or(Position { line: 1, column: 1 }),
                message: error.message(),
            });
            Problems::new(&path, vec![problem])
        })?;
        let root = only_root(&tree, "a template").map_err(|problem| Problems::new(&path, vec![problem]))?;
        let mut reader = Reader::default();
        reader.root(root);
        if !reader.problems.is_empty() {
            return Err(Problems::new(&path, reader.problems).into());
        }
        Ok(Self { path, format, text: text.to_owned(), leaves: reader.leaves })
    }

    /// One that says nothing, for a secrets file whose profile is gone.
    #[must_use]
    pub fn without_leaves(file: &str) -> Self {
        Self { path: String::new(), format: Format::of_path(file), text: String::new(), leaves: Vec::new() }
    }

    /// Its path, relative to the repository root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its format, which must be that of the secrets file.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Its text as it was read: the layout of a new secrets file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its leaves in the order of the text.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Its leaves that follow a token.
    pub fn slots(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.iter().filter(|leaf| leaf.is_slot())
    }

    /// Whether it names tokens of this environment only, and whether its leaves can be rendered there: done with
    /// stand-ins, so that nothing has to be minted to find out.
    ///
    /// # Errors
    /// Each leaf that names a token which the profile does not have, or that cannot be rendered.
    pub fn check(&self, environment: &Environment) -> Result<(), TemplateError> {
        let keys = || environment.tokens.iter().map(|token| token.key.as_str());
        let mut problems = Vec::new();
        for leaf in &self.leaves {
            for key in leaf.tokens.iter().filter(|key| environment.token(key).is_none()) {
                let meant = did_you_mean(key, keys());
                let message = format!("{} has no token `{key}`{meant}", environment.path);
                let source = &self.text[leaf.span.clone()];
                let position = expression::locate(leaf.position, source, &format!("tokens.{key}"));
                problems.push(Problem { position, message });
            }
        }
        for leaf in self.leaves.iter().filter(|leaf| leaf.rendered) {
            let rehearsed = expression::rehearse(leaf, &environment.name, &environment.gitlab);
            problems.extend(rehearsed.err().map(|message| Problem { position: leaf.position, message }));
        }
        if problems.is_empty() { Ok(()) } else { Err(Problems::new(&self.path, problems).into()) }
    }

    /// The text of a leaf.
    ///
    /// minijinja makes copies of values that it does not overwrite; they live no longer than the call.
    ///
    /// # Errors
    /// A fact that is not known, or a result with control characters other than line feed and tab.
    pub fn render(&self, leaf: &Leaf, context: &Context<'_>) -> Result<Secret, TemplateError> {
        let failed = |message: String| TemplateError::Render {
            path: self.path.clone(),
            position: leaf.position,
            message,
        };
        if !leaf.rendered {
            return Ok(Secret::new(leaf.source.clone()));
        }
        // The detail of an error of minijinja may show a value, its kind does not.
        let secret = expression::render(leaf, context).map_err(|error| failed(error.kind().to_string()))?;
        if secret.expose().chars().any(|c| c.is_control() && !['\n', '\t'].contains(&c)) {
            return Err(failed("the rendered text has control characters".to_owned()));
        }
        Ok(secret)
    }
}

/// Checks the templates of an environment, one per secrets file: that they name its tokens only, and that the value
/// of each token is held by some slot.
///
/// # Errors
/// The first template that does not fit, or the first token whose value would be lost.
pub fn check_all(environment: &Environment, templates: &[&Template]) -> Result<(), TemplateError> {
    templates.iter().try_for_each(|template| template.check(environment))?;
    let is_held = |key: &str| templates.iter().flat_map(|t| t.slots()).any(|leaf| leaf.values.contains(key));
    let Some(lost) = environment.tokens.iter().find(|token| !is_held(&token.key)) else { return Ok(()) };
    Err(TemplateError::Unused {
        profile: environment.path.clone(),
        token: lost.key.clone(),
        line: format!("{}_TOKEN: \"{{{{ tokens.{} }}}}\"", lost.key.to_uppercase(), lost.key),
        template: templates
            .first()
            .map_or_else(|| "its template".to_owned(), |template| template.path.clone()),
    })
}

/// Walks a tree and keeps leaves and problems.
#[derive(Default)]
struct Reader {
    leaves: Vec<Leaf>,
    problems: Vec<Problem>,
}

impl Reader {
    fn report(&mut self, position: Position, message: impl Into<String>) {
        self.problems.push(Problem { position, message: message.into() });
    }

    fn root(&mut self, root: Node<'_>) {
        let Kind::Mapping(mapping) = root.kind() else {
            let message =
                format!("a template must be a mapping, not a {}: sops takes no other", root.describe());
            return self.report(root.position(), message);
        };
        if let Some(entry) = mapping.entry("sops") {
            self.report(entry.key_node.position(), "the key `sops` belongs to sops itself");
        }
        self.node(root, &mut Path::default());
    }

    fn node(&mut self, node: Node<'_>, path: &mut Path) {
        if node.anchor().is_some() || matches!(node.kind(), Kind::Alias(_)) {
            self.report(
                node.position(),
                "anchors and aliases do not survive encryption; write the value out",
            );
            return;
        }
        if node.tag().is_some() {
            self.report(
                node.position(),
                "tags such as !!str do not survive encryption; write the value without",
            );
            return;
        }
        match node.kind() {
            Kind::Mapping(mapping) => {
                for entry in mapping.entries() {
                    self.key(entry.key, entry.key_node);
                    path.0.push(Segment::Key(entry.key.to_owned()));
                    self.node(entry.value, path);
                    path.0.pop();
                }
            }
            Kind::Sequence(list) => {
                for (index, item) in list.items().enumerate() {
                    path.0.push(Segment::Index(index));
                    self.node(item, path);
                    path.0.pop();
                }
            }
            Kind::Scalar(text, _) => self.leaf(node, text, path),
            Kind::Alias(_) => {}
        }
    }

    fn key(&mut self, key: &str, node: Node<'_>) {
        if key.contains("{{") || key.contains("{%") {
            self.report(node.position(), "a key cannot have expressions: only values are rendered");
        } else if key == "<<" {
            self.report(node.position(), "merge keys do not survive encryption; write the values out");
        } else if node.anchor().is_some() || node.tag().is_some() {
            self.report(node.position(), "a key cannot have an anchor or a tag");
        }
    }

    fn leaf(&mut self, node: Node<'_>, text: &str, path: &Path) {
        let used = match expression::analyse(node, text) {
            Ok(used) => used,
            Err(problems) => return self.problems.extend(problems),
        };
        self.leaves.push(Leaf {
            path: path.clone(),
            position: node.position(),
            span: node.span(),
            source: text.to_owned(),
            rendered: expression::is_in(text),
            tokens: used.tokens,
            values: used.values,
            usernames: used.usernames,
        });
    }
}

#[cfg(test)]
mod tests;
