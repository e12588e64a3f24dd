//! The profiles, templates and locks that a repository has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::lock::Lock;
use crate::profile::{Environment, SecretsFile};
use crate::repo::{RelPath, Repository, read};
use crate::sops::Format;
use crate::template::Template;
use crate::template::disjoint::{self, Shape};
use crate::token::TokenId;

/// The largest profile or template that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;
/// The largest lock: some kilobytes a token.
const LOCK_LIMIT: u64 = 64 * LIMIT;

/// Names of all environments, sorted: `environments/*.yaml`.
///
/// # Errors
/// When the folder cannot be read.
pub fn names(repo: &Repository) -> Result<Vec<String>> {
    let mut names: Vec<String> = yaml_files(&repo.root().join("environments"))?
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Reads one environment.
///
/// # Errors
/// Where there is none of that name, or its profile says something impossible.
pub fn read(repo: &Repository, name: &str) -> Result<Environment> {
    let path = RelPath::new(&format!("environments/{name}.yaml"))?;
    let Some(text) = text(repo, &path)? else { return Err(unknown(repo, name)?) };
    Environment::read(name, path.as_str(), &text).map_err(Error::from)
}

fn unknown(repo: &Repository, name: &str) -> Result<Error> {
    let names = names(repo)?;
    let error = Error::new(Kind::Usage, format!("there is no environment {name}"))
        .because(format!("environments/{name}.yaml does not exist"));
    if names.is_empty() {
        return Ok(error.hint("run provision init to make the first ones"));
    }
    Ok(error.hint(format!("there are: {}", names.join(", "))))
}

/// Reads the template of a secrets file that the profile at `profile` names.
///
/// # Errors
/// Where there is none, or it is not one.
pub fn template(repo: &Repository, secrets: &SecretsFile, profile: &str) -> Result<Template> {
    let path = RelPath::new(&format!("templates/{}", secrets.template))?;
    let Some(text) = text(repo, &path)? else {
        return Err(Error::new(Kind::Usage, format!("there is no template {path}"))
            .because(format!("{profile} names it for {}", secrets.file))
            .hint("write it, or name another one in the profile; provision init makes backstage.yaml"));
    };
    let template = Template::parse(&secrets.template, &text)?;
    let format = Format::of_path(&secrets.file);
    if format == Format::Binary {
        return Err(Error::new(Kind::Usage, format!("{} would be a binary file for sops", secrets.file))
            .because("a file made from a template ends in .yaml, .yml, .json, .env or .ini".to_owned()));
    }
    if template.format() != format {
        let what = format!("{path} is {}, and {} is {format}", template.format(), secrets.file);
        return Err(Error::new(Kind::Usage, what)
            .because("a template has the format, and the ending, of the file made from it".to_owned()));
    }
    Ok(template)
}

/// Several environments may share a secrets file as long as no leaf has two masters. The others of the repository are
/// looked at too, as far as they can be read.
///
/// # Errors
/// Where one of `chosen` writes what another environment writes.
pub fn check_disjoint(repo: &Repository, chosen: &[Environment]) -> Result<()> {
    let is_chosen = |name: &String| chosen.iter().any(|environment| environment.name == *name);
    let others = names(repo)?.into_iter().filter(|name| !is_chosen(name));
    let others: Vec<Environment> = others.filter_map(|name| read(repo, &name).ok()).collect();
    let mut read = Vec::new();
    for environment in chosen {
        read.push((environment, templates(repo, environment)?));
    }
    for environment in &others {
        if let Ok(templates) = templates(repo, environment) {
            read.push((environment, templates));
        }
    }
    let templates: Vec<Vec<&Template>> =
        read.iter().map(|(_, templates)| templates.iter().collect()).collect();
    let shapes = read.iter().zip(&templates);
    let shapes: Vec<Shape<'_>> =
        shapes.map(|((environment, _), templates)| Shape { environment, templates }).collect();
    Ok(disjoint::check_disjoint(&shapes)?)
}

fn templates(repo: &Repository, environment: &Environment) -> Result<Vec<Template>> {
    environment.secrets.iter().map(|secrets| template(repo, secrets, &environment.path)).collect()
}

/// The text of a file in the work tree; `None` where there is none. Symlinks may not lead out of the repository.
fn text(repo: &Repository, path: &RelPath) -> Result<Option<String>> {
    text_up_to(LIMIT, repo, path)
}

fn text_up_to(limit: u64, repo: &Repository, path: &RelPath) -> Result<Option<String>> {
    let real = repo.resolve(path)?.below(repo.root());
    let cannot = |why: String| Error::new(Kind::Usage, format!("cannot read {path}")).because(why);
    match std::fs::metadata(&real) {
        Ok(found) if found.len() > limit => return Err(cannot(format!("it is larger than {limit} bytes"))),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error.to_string())),
    }
    read::text(&real).map(Some).map_err(|error| cannot(error.to_string()))
}

/// The folder of all locks.
pub const LOCKS: &str = "environments/locks";

/// All locks of the work tree: the environment, the user of a personal one, and the lock.
///
/// # Errors
/// When one cannot be read.
pub fn locks(repo: &Repository) -> Result<Vec<(String, Option<String>, Lock)>> {
    let named = |(path, lock): (String, Lock)| {
        let name =
            path.trim_start_matches(LOCKS).trim_start_matches('/').trim_end_matches(".yaml").to_owned();
        match name.split_once('/') {
            Some((environment, user)) => (environment.to_owned(), Some(user.to_owned()), lock),
            None => (name, None, lock),
        }
    };
    Ok(lock_files(repo)?.into_iter().map(named).collect())
}

/// All locks of the work tree by their paths: those of environments, then those of users.
///
/// # Errors
/// When one cannot be read.
pub fn lock_files(repo: &Repository) -> Result<Vec<(String, Lock)>> {
    let folder = repo.root().join(LOCKS);
    let mut paths = yaml_files(&folder)?;
    for environment in folders(&folder)? {
        paths.extend(yaml_files(&environment)?);
    }
    let mut locks = Vec::new();
    for path in paths {
        let shown = path.strip_prefix(repo.root()).unwrap_or(&path).display().to_string();
        locks.push((shown, lock(repo, &path)?));
    }
    Ok(locks)
}

/// Ids that any lock of the work tree names as current.
///
/// # Errors
/// When a lock cannot be read.
pub fn current_ids(repo: &Repository) -> Result<BTreeSet<TokenId>> {
    let locks = lock_files(repo)?;
    Ok(locks.iter().flat_map(|(_, lock)| lock.tokens.values().map(|entry| entry.id)).collect())
}

fn lock(repo: &Repository, path: &Path) -> Result<Lock> {
    let shown = path.strip_prefix(repo.root()).unwrap_or(path).display().to_string();
    let text = text_up_to(LOCK_LIMIT, repo, &RelPath::new(&shown)?)?.unwrap_or_default();
    Ok(Lock::read(&shown, &text)?)
}

/// Whatever is called so: what is no file is named when it is read.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, |path| path.extension().is_some_and(|extension| extension == "yaml"))
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, Path::is_dir)
}

/// Sorted; an absent folder has none.
fn entries(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let cannot = |error: std::io::Error| {
        Error::new(Kind::Failed, format!("cannot read {}", folder.display())).because(error.to_string())
    };
    let read = match std::fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot(error)),
    };
    let mut found = Vec::new();
    for entry in read {
        let path = entry.map_err(cannot)?.path();
        if wanted(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
