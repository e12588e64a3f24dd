//! Secrets files as they lie on disk: which ones a person means, and what is in them without a key.

use std::collections::BTreeMap;
use std::path::Path;

use super::uncommitted;
use crate::error::{Error, Kind, Result};
use crate::hint::Hint;
use crate::lock::{self, Lock};
use crate::profile::{Environment, SecretsFile, USER, UserName};
use crate::repo::{RelPath, Repository, read};
use crate::sops::{self, DocumentError, Encrypted, Format, Identities};

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
pub fn parse(name: &str, bytes: &[u8]) -> Result<Encrypted, DocumentError> {
    Encrypted::parse(Format::of_path(name), bytes)
}

/// Reads the file at `path`, which is called `name`.
///
/// # Errors
/// Where it cannot be read, or is no SOPS file.
pub fn read(name: &str, path: &Path) -> Result<Secrets> {
    let bytes = read::bytes(path)
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
        if candidates.is_empty() && before_user(&secrets.file).is_none() {
            let path = RelPath::new(&secrets.file)?;
            if let Some(difference) = repo.differs_from_head(&path)? {
                return Err(uncommitted(&path, difference));
            }
        }
        if candidates.len() > 1 {
            let own = identities()?;
            let is_own = |file: &Secrets| {
                file.file.recipients().iter().any(|one| own.recipients().any(|own| own == *one))
            };
            let (mine, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_own);
            if mine.len() != 1 {
                return Err(not_one(secrets, &mine, &others));
            }
            candidates = mine;
        }
        found.extend(candidates);
    }
    if found.is_empty() {
        return Err(Error::new(Kind::Usage, format!("{} has no secrets file yet", environment.name)).hint(
            if environment.is_personal() {
                format!("make it: provision bootstrap --env {}", environment.name)
            } else {
                format!("make it: provision --env {}", environment.name)
            },
        ));
    }
    Ok(found)
}

/// Of several files of a personal entry, none or more than one are for the keys that are here.
fn not_one(secrets: &SecretsFile, mine: &[Secrets], others: &[Secrets]) -> Error {
    let named =
        |files: &[Secrets]| files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
    let error = Error::new(Kind::Usage, format!("{} stands for several files", secrets.file));
    if mine.is_empty() {
        return error
            .because(format!("{} are other people's: no key here is among their readers", named(others)))
            .hint("provision bootstrap makes one for you");
    }
    error.because(format!("{} are all for a key of yours", named(mine))).hint(
        Hint::from("name the file that you want in place of the environment, such as ").path(&mine[0].name),
    )
}

/// The files of this entry that are in the work tree: one, or one for each person.
///
/// # Errors
/// Where one is there and cannot be read.
pub fn existing(secrets: &SecretsFile, repo: &Repository) -> Result<Vec<Secrets>> {
    let mut found = Vec::new();
    for path in paths(secrets, repo) {
        let real = repo.resolve(&RelPath::new(&path)?)?.below(repo.root());
        if real.exists() {
            found.push(read(&path, &real)?);
        }
    }
    Ok(found)
}

/// Entries of a lock whose slots in files that git does not keep hold something else than it says, with the file. One that
/// is not here is somebody else's. What git keeps is what was reviewed.
///
/// # Errors
/// Where a path leads out of the repository.
pub fn strayed(
    environment: &Environment,
    user: Option<&UserName>,
    lock: &Lock,
    repo: &Repository,
) -> Result<BTreeMap<String, String>> {
    let mut strayed = BTreeMap::new();
    for path in environment.secrets.iter().filter(|file| !file.commit).filter_map(|file| file.path_for(user))
    {
        let real = repo.resolve(&RelPath::new(&path)?)?.below(repo.root());
        let Ok(bytes) = read::bytes(&real) else { continue };
        let file = parse(&path, &bytes).ok();
        let holds = |slot: &sops::Path, digest: &String| {
            let leaf = file.as_ref().and_then(|file| file.leaf(slot));
            leaf.is_some_and(|leaf| lock::digest(leaf) == *digest)
        };
        for (key, entry) in &lock.tokens {
            let mut slots = entry.slots.get(&path).into_iter().flatten();
            if !slots.all(|(slot, digest)| holds(slot, digest)) {
                strayed.insert(key.clone(), path.clone());
            }
        }
    }
    Ok(strayed)
}

/// Files of a shared environment that git does not keep, whose values the lock knows, and that are not here.
///
/// # Errors
/// Where a path leads out of the repository.
pub fn elsewhere(environment: &Environment, lock: &Lock, repo: &Repository) -> Result<Vec<String>> {
    let mut elsewhere = Vec::new();
    if environment.is_personal() {
        return Ok(elsewhere);
    }
    for path in environment.secrets.iter().filter(|file| !file.commit).filter_map(|file| file.path_for(None))
    {
        let is_made = lock.tokens.values().any(|entry| entry.slots.contains_key(&path));
        if is_made && !repo.resolve(&RelPath::new(&path)?)?.below(repo.root()).exists() {
            elsewhere.push(path);
        }
    }
    Ok(elsewhere)
}

/// Where they are, sorted; the one file of several people whether it is there or not.
pub(super) fn paths(secrets: &SecretsFile, repo: &Repository) -> Vec<String> {
    let Some((folder, rest)) = before_user(&secrets.file) else { return vec![secrets.file.clone()] };
    let Ok(entries) = std::fs::read_dir(repo.root().join(folder)) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let paths = names.map(|name| format!("{folder}{name}{rest}"));
    let mut paths: Vec<String> = paths.filter(|path| secrets.matches(path)).collect();
    paths.sort();
    paths
}

/// The folder of the component with `{user}` in it, and what is behind that component.
fn before_user(file: &str) -> Option<(&str, &str)> {
    let at = file.find(USER)?;
    let start = file[..at].rfind('/').map_or(0, |slash| slash + 1);
    let end = file[at..].find('/').map_or(file.len(), |slash| at + slash);
    Some((&file[..start], &file[end..]))
}

/// Whether a file of this name holds keys and values; any other is encrypted as one whole.
#[must_use]
pub fn is_structured(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["yaml", "yml", "json", "env", "ini"].contains(&extension)
}

/// Whether a file is one of `within`, or in one of its folders.
#[must_use]
pub fn is_within(path: &str, within: &[String]) -> bool {
    let below =
        |folder: &String| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'));
    within.iter().any(|one| path == one || below(one))
}
