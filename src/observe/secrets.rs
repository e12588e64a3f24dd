//! Secrets files as they lie on disk: which ones a person means, and what is in them without a key.

use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::profile::{Environment, SecretsFile, USER};
use crate::repo::{RelPath, Repository};
use crate::sops::{DocumentError, Encrypted, Identities};

/// A file of the user's, parsed and not opened.
#[derive(Debug)]
pub struct Secrets {
    /// As the user named it, or relative to the repository root.
    pub name: String,
    /// What it is.
    pub file: Encrypted,
}

/// Parses the bytes of a SOPS file; its name says the format.
///
/// # Errors
/// Where it is no SOPS file.
pub fn parse(_name: &str, bytes: &[u8]) -> Result<Encrypted, DocumentError> {
    Encrypted::parse(bytes)
}

/// Reads the file at `path`, which is called `name`.
///
/// # Errors
/// Where it cannot be read, or is no SOPS file.
pub fn read(name: &str, path: &Path) -> Result<Secrets> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::new(Kind::Usage, format!("cannot read {name}")).because(error.to_string()))?;
    let file = parse(name, &bytes).map_err(|error| {
        Error::from_source(Kind::Failed, &error).context(format!("{name} cannot be read as a SOPS file"))
    })?;
    Ok(Secrets { name: name.to_owned(), file })
}

/// The secrets files of an environment that exist in the work tree. Of a personal environment it is the one file of
/// this person: the only one there is, or the only one that these identities open.
///
/// # Errors
/// Where none exists, one cannot be read, or it is not clear whose file is meant.
pub fn of_environment(
    environment: &Environment,
    repo: &Repository,
    identities: impl Fn() -> Result<std::rc::Rc<Identities>>,
) -> Result<Vec<Secrets>> {
    let mut found = Vec::new();
    for secrets in &environment.secrets {
        let mut candidates = existing(secrets, repo)?;
        if candidates.len() > 1 {
            let own = identities()?;
            candidates.retain(|file| {
                file.file.recipients().iter().any(|one| own.recipients().any(|own| own == *one))
            });
            if candidates.len() != 1 {
                return Err(Error::new(Kind::Usage, format!("{} stands for several files", secrets.file))
                    .because("none of them is for you alone".to_owned())
                    .hint("name the file instead of --env"));
            }
        }
        found.extend(candidates);
    }
    if found.is_empty() {
        return Err(Error::new(Kind::Usage, format!("{} has no secrets file yet", environment.name))
            .hint(format!("make it: provision --env {}", environment.name)));
    }
    Ok(found)
}

fn existing(secrets: &SecretsFile, repo: &Repository) -> Result<Vec<Secrets>> {
    let mut paths = Vec::new();
    match before_user(&secrets.file) {
        Some((folder, name, rest)) => {
            let pattern = UserPattern::new(name);
            let Ok(entries) = std::fs::read_dir(repo.root().join(folder)) else { return Ok(Vec::new()) };
            let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            let mut names: Vec<String> = names.filter(|name| pattern.matches(name)).collect();
            names.sort();
            paths.extend(names.into_iter().map(|name| format!("{folder}{name}{rest}")));
        }
        None => paths.push(secrets.file.clone()),
    }
    let mut found = Vec::new();
    for path in paths {
        let real = repo.resolve(&RelPath::new(&path)?)?.below(repo.root());
        if real.exists() {
            found.push(read(&path, &real)?);
        }
    }
    Ok(found)
}

/// The folder of the component with `{user}` in it, that component, and what is behind it.
fn before_user(file: &str) -> Option<(&str, &str, &str)> {
    let at = file.find(USER)?;
    let start = file[..at].rfind('/').map_or(0, |slash| slash + 1);
    let end = file[at..].find('/').map_or(file.len(), |slash| at + slash);
    Some((&file[..start], &file[start..end], &file[end..]))
}

/// A path with one `{user}` in it.
pub(super) struct UserPattern<'p> {
    before: &'p str,
    after: &'p str,
}

impl<'p> UserPattern<'p> {
    pub(super) fn new(pattern: &'p str) -> Self {
        let (before, after) = pattern.split_once(USER).unwrap_or((pattern, ""));
        Self { before, after }
    }

    /// Whether the path is this one with one component's worth of a user name filled in.
    pub(super) fn matches(&self, path: &str) -> bool {
        let user = path.strip_prefix(self.before).and_then(|rest| rest.strip_suffix(self.after));
        user.is_some_and(|user| !user.is_empty() && !user.contains('/'))
    }
}
