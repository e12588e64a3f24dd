//! The forms of names and paths in a profile. A name that becomes part of a path, a branch or a URL is checked here,
//! once, so that nobody has to check it again.

use std::fmt;
use std::str::FromStr;

/// The place in a secrets file's path that takes the user name.
pub const USER: &str = "{user}";

/// Why a name or path is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

impl NameError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A GitLab user name, safe as one component of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(String);

impl UserName {
    /// The name as GitLab has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for UserName {
    type Err = NameError;

    /// Takes what GitLab takes (`NAMESPACE_FORMAT_REGEX` of `lib/gitlab/path_regex.rb`): letters, digits, `_`, `-` and
    /// `.`, not `-` first, not `.` last, no end in `.git` or `.atom`. None of these can leave a folder or be `.git`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let folded = text.to_ascii_lowercase();
        let is_name = is_word(text)
            && text.len() <= 255
            && !text.starts_with('-')
            && !text.ends_with('.')
            && ![".git", ".atom"].iter().any(|end| folded.ends_with(end));
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError::new(format!("`{}` is not a GitLab user name", text.escape_debug())))
    }
}

/// Checks the name of an environment: it becomes a file name and the end of a branch name (git-check-ref-format).
pub(super) fn environment(name: &str) -> Result<(), NameError> {
    component(name).map_err(|why| {
        NameError::new(format!("`{}` cannot be the name of an environment: {why}", name.escape_debug()))
    })
}

/// Checks the key of a token: templates name it as `tokens.<key>`.
pub(super) fn token_key(key: &str) -> Result<(), NameError> {
    let starts_well = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts_well && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && key.len() <= 64
    {
        return Ok(());
    }
    let folded: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let usable =
        !folded.is_empty() && !folded.starts_with(|first: char| first.is_ascii_digit()) && folded.len() <= 64;
    let fix = if usable { format!("; write `{folded}`") } else { String::new() };
    Err(NameError::new(format!(
        "`{}` cannot be the key of a token: templates name it as `tokens.<key>`, so it has letters, digits and `_` \
         only and starts with no digit{fix}",
        key.escape_debug()
    )))
}

/// Checks the name that GitLab shows: `personal_access_tokens.name` is required and at most 255 characters.
pub(super) fn token_name(name: &str) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::new("`name` is empty"));
    }
    if name.chars().count() > 255 {
        return Err(NameError::new("`name` is longer than the 255 characters that GitLab takes"));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return Err(NameError::new("`name` has white space around it or control characters in it"));
    }
    Ok(())
}

/// Checks the file name of a template.
pub(super) fn template(name: &str) -> Result<(), NameError> {
    if name.contains('/') {
        return Err(NameError::new(format!(
            "`{name}` is a path; write the name of a file in templates/, such as backstage.yaml"
        )));
    }
    component(name).map_err(|why| {
        NameError::new(format!("`{}` cannot be the name of a template: {why}", name.escape_debug()))
    })
}

/// Checks the full path of a group (`alithya-csna/mws`).
///
/// # Errors
/// Where it cannot be one.
pub fn group_path(path: &str) -> Result<(), NameError> {
    gitlab_path(path, "group", "alithya-csna")
}

/// Checks the full path of a project (`alithya-csna/backstage`).
pub(super) fn project_path(path: &str) -> Result<(), NameError> {
    gitlab_path(path, "project", "alithya-csna/backstage")?;
    if path.contains('/') {
        return Ok(());
    }
    Err(NameError::new(format!(
        "`{path}` lacks the project's group; write the full path, such as alithya-csna/{path}"
    )))
}

fn gitlab_path(path: &str, what: &str, example: &str) -> Result<(), NameError> {
    if path.contains("://") {
        return Err(NameError::new(format!(
            "`{what}` is a URL; write the full path alone, such as {example}"
        )));
    }
    let is_segment =
        |segment: &str| is_word(segment) && ![".", ".."].contains(&segment) && !segment.starts_with('-');
    if path.split('/').all(is_segment) {
        return Ok(());
    }
    let shown = path.escape_debug();
    Err(NameError::new(format!("`{shown}` is not the full path of a {what}, such as {example}")))
}

/// Checks the path of a secrets file: relative, normal, within the repository, away from our own files.
pub(super) fn secrets_path(path: &str, own: bool) -> Result<(), NameError> {
    let refuse = |why: &str| Err(NameError::new(format!("`file: {}` {why}", path.escape_debug())));
    if path.is_empty() {
        return Err(NameError::new("`file` is empty"));
    }
    if path.starts_with('/') || path.contains('\\') || path.as_bytes().get(1) == Some(&b':') {
        return refuse("must be relative to the repository's root, with `/` between its parts");
    }
    if path.chars().any(char::is_control) {
        return refuse("has control characters");
    }
    let rest = match path.matches(USER).count() {
        0 => path.to_owned(),
        _ if !own => return refuse("has `{user}`, which is for files with `recipients: self`"),
        1 => path.replacen(USER, "u", 1),
        _ => return refuse("has `{user}` more than once"),
    };
    if rest.contains(['{', '}']) {
        return refuse("has braces; the only placeholder is `{user}`");
    }
    for part in rest.split('/') {
        match part {
            "" | "." => return refuse("has an empty part or `.`; write it without"),
            ".." => return refuse("leaves its folder with `..`"),
            _ if part.eq_ignore_ascii_case(".git") => return refuse("is inside of `.git`"),
            _ => {}
        }
    }
    let first = rest.split('/').next().unwrap_or_default();
    if rest == ".sops.yaml" || ["environments", "templates"].contains(&first) {
        return refuse("is where provision keeps other things; choose a path such as secrets/qa.sops.yaml");
    }
    Ok(())
}

/// Not empty, and of the characters that GitLab has in paths.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether a text can be one component of a path, and the end of a branch name.
pub(crate) fn is_component(text: &str) -> bool {
    component(text).is_ok()
}

/// One component of a path that is also a good end of a branch name.
fn component(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("it is empty")
    } else if text.len() > 200 {
        Err("it is longer than 200 characters")
    } else if !is_word(text) {
        Err("it may have letters, digits, `_`, `-` and `.` only")
    } else if text.starts_with(['.', '-']) || text.ends_with('.') || text.contains("..") {
        Err("it must not start with `.` or `-`, end with `.`, or contain `..`")
    } else if [".lock", ".git"].iter().any(|end| text.to_ascii_lowercase().ends_with(end)) {
        Err("it must not end with `.lock` or `.git`")
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
