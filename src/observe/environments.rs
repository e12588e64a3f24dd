//! The profiles, templates and locks that a repository has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::instance::Instance;
use crate::lock::{self, Lock};
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

/// All environments, sorted by name.
///
/// # Errors
/// As [`read`].
pub fn all(repo: &Repository) -> Result<Vec<Environment>> {
    names(repo)?.iter().map(|name| read(repo, name)).collect()
}

/// Reads one environment.
///
/// # Errors
/// Where there is none of that name, or its profile says something impossible, or names a secrets file by a link.
pub fn read(repo: &Repository, name: &str) -> Result<Environment> {
    let path = RelPath::new(&format!("environments/{name}.yaml"))?;
    let Some(text) = text(repo, &path)? else { return Err(unknown(repo, name)?) };
    let environment = Environment::read(name, path.as_str(), &text)?;
    for secrets in &environment.secrets {
        refuse_link(repo, &RelPath::new(&secrets.file)?, path.as_str())?;
    }
    Ok(environment)
}

/// Refuses a secrets file of the profile at `profile` that is a symlink, or below one. Locks, git's history and the policy
/// know a file by the name that it has in git, and who could read a token would not be found by another one.
///
/// # Errors
/// The file's name in git; or that the link leaves the repository.
pub fn refuse_link(repo: &Repository, path: &RelPath, profile: &str) -> Result<()> {
    let real = repo.resolve(path)?;
    if real == *path {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, format!("{path} is behind a symlink: the file is {real}"))
        .because(format!("{profile} names it, and git knows it by its own name alone"))
        .hint(format!("write `file: {real}` in {profile}, and commit it")))
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

/// Reads the template of a secrets file of this environment; where its profile is gone, nothing is known of one.
///
/// # Errors
/// Where there is none, or it is not one.
pub fn template(repo: &Repository, secrets: &SecretsFile, environment: &Environment) -> Result<Template> {
    if environment.is_unlisted {
        return Ok(Template::without_leaves(&secrets.file));
    }
    let path = RelPath::new(&format!("templates/{}", secrets.template))?;
    let Some(text) = text(repo, &path)? else {
        return Err(Error::new(Kind::Usage, format!("there is no template {path}"))
            .because(format!("{} names it for {}", environment.path, secrets.file))
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
    environment.secrets.iter().map(|secrets| template(repo, secrets, environment)).collect()
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

/// All locks of the work tree: the environment, the user of a personal one, and the lock.
///
/// # Errors
/// When one cannot be read.
pub fn locks(repo: &Repository) -> Result<Vec<(String, Option<String>, Lock)>> {
    let named = |(path, lock): (String, Lock)| {
        let (environment, user) = lock::owner(&path)?;
        Some((environment.to_owned(), user.map(str::to_owned), lock))
    };
    Ok(lock_files(repo)?.into_iter().filter_map(named).collect())
}

/// All locks of the work tree by their paths: those of environments, then those of users.
///
/// # Errors
/// When one cannot be read.
pub fn lock_files(repo: &Repository) -> Result<Vec<(String, Lock)>> {
    let read = |path: String| Ok((path.clone(), read_lock(repo, &path)?));
    lock_paths(repo)?.into_iter().map(read).collect()
}

/// Paths of the locks of the work tree, relative to the repository root.
pub(super) fn lock_paths(repo: &Repository) -> Result<Vec<String>> {
    let folder = repo.root().join(lock::FOLDER);
    let mut paths = yaml_files(&folder)?;
    for environment in folders(&folder)? {
        paths.extend(yaml_files(&environment)?);
    }
    let shown = |path: &PathBuf| path.strip_prefix(repo.root()).unwrap_or(path).display().to_string();
    Ok(paths.iter().map(shown).collect())
}

/// Ids that any lock of the work tree names as current at this instance.
///
/// # Errors
/// When a lock cannot be read.
pub fn current_ids(repo: &Repository, instance: &Instance) -> Result<BTreeSet<TokenId>> {
    let locks = lock_files(repo)?;
    Ok(locks.iter().flat_map(|(_, lock)| lock.current_at(instance)).collect())
}

fn read_lock(repo: &Repository, path: &str) -> Result<Lock> {
    let text = text_up_to(LOCK_LIMIT, repo, &RelPath::new(path)?)?.unwrap_or_default();
    Ok(Lock::read(path, &text)?)
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
