//! Environments that have no profile any more while a lock still names tokens of theirs: what the locks remember is enough
//! to end them.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Kind, Result};
use crate::hint::Hint;
use crate::instance::Instance;
use crate::lock::{self, FOLDER, Lock};
use crate::profile::{Environment, Recipients, SecretsFile, USER};
use crate::repo::{RelPath, Repository};

use super::environments;
use super::files::GroundFile;
use super::interrupted;

/// The locks of one environment, and of whom each is where it is personal.
type Locks = Vec<(Option<String>, Lock)>;

/// Names of the environments without a profile that locks, or journals of interrupted runs, still know; sorted.
///
/// # Errors
/// When something cannot be read.
pub fn names(repo: &Repository) -> Result<Vec<String>> {
    let listed = environments::names(repo)?;
    let mut names: BTreeSet<String> = locks(repo)?.into_keys().collect();
    names.extend(interrupted::environments(repo)?.into_iter().filter(|name| !listed.contains(name)));
    Ok(names.into_iter().collect())
}

/// Those of them that are not for each person alone.
///
/// # Errors
/// When something cannot be read.
pub fn shared(repo: &Repository) -> Result<Vec<Environment>> {
    let all = names(repo)?.into_iter().map(|name| find(repo, &name)).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().flatten().filter(|environment| !environment.is_personal()).collect())
}

/// The environment of this name: by its profile, or, where that is gone, by what is left of it.
///
/// # Errors
/// Where there is neither, or its profile says something impossible.
pub fn read(repo: &Repository, name: &str) -> Result<Environment> {
    let profile = RelPath::new(&format!("environments/{name}.yaml"))?;
    let unlisted = if repo.work_tree_content(&profile)?.is_none() { find(repo, name)? } else { None };
    unlisted.map_or_else(|| environments::read(repo, name), Ok)
}

/// What is left of an environment without a profile: it has no entries, and the files that its locks remember.
///
/// # Errors
/// When something cannot be read.
pub fn find(repo: &Repository, name: &str) -> Result<Option<Environment>> {
    let mut locks = locks(repo)?.remove(name).unwrap_or_default();
    let is_shared = locks.iter().any(|(user, _)| user.is_none());
    locks.retain(|(user, _)| user.is_none() == is_shared);
    let of_lock = locks.iter().flat_map(|(_, lock)| lock.tokens.values()).next();
    let gitlab = match of_lock {
        Some(entry) => Some(entry.gitlab.clone()),
        None => of_an_interrupted_run(repo, name)?,
    };
    let Some(gitlab) = gitlab else { return Ok(None) };
    let mut secrets: Vec<SecretsFile> = Vec::new();
    for (user, lock) in &locks {
        for file in secrets_files(name, user.as_deref(), lock, repo)? {
            if !secrets.iter().any(|known| known.file == file.file) {
                secrets.push(file);
            }
        }
    }
    let path = format!("environments/{name}.yaml");
    let name = name.to_owned();
    Ok(Some(Environment { name, path, gitlab, secrets, tokens: Vec::new(), is_unlisted: true }))
}

/// Locks that name tokens of environments without a profile: as the work tree has them, or HEAD, where an interrupted run of
/// ours has removed one and not committed that yet.
fn locks(repo: &Repository) -> Result<BTreeMap<String, Locks>> {
    let listed = environments::names(repo)?;
    let mut paths: BTreeSet<String> = environments::lock_paths(repo)?.into_iter().collect();
    if let Some(commit) = repo.head()?.commit {
        paths.extend(repo.files_at(commit, FOLDER)?.iter().map(ToString::to_string));
    }
    let mut locks: BTreeMap<String, Locks> = BTreeMap::new();
    for path in &paths {
        let Some((environment, user)) = lock::owner(path) else { continue };
        if listed.iter().any(|name| name == environment) {
            continue;
        }
        let at = RelPath::new(path)?;
        let bytes = match repo.work_tree_content(&at)? {
            Some(bytes) => Some(bytes),
            None => repo.content_at_head(&at)?,
        };
        let lock = Lock::read(path, &String::from_utf8_lossy(&bytes.unwrap_or_default()))?;
        if !lock.tokens.is_empty() {
            locks.entry(environment.to_owned()).or_default().push((user.map(str::to_owned), lock));
        }
    }
    Ok(locks)
}

/// The GitLab of a run that was broken off when its lock was gone already, or not there yet.
fn of_an_interrupted_run(repo: &Repository, name: &str) -> Result<Option<Instance>> {
    let replay = interrupted::replay(repo, name)?;
    if !replay.exists {
        return Ok(None);
    }
    if let Some(open) = replay.open.first() {
        return Ok(Some(open.intent.gitlab.clone()));
    }
    let Some(head) = repo.head()?.commit else { return Ok(None) };
    let path = format!("{FOLDER}/{name}.yaml");
    for revision in repo.first_parent_content(head, &RelPath::new(&path)?)? {
        let text = revision?.content.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        if let Ok(lock) = Lock::read(&path, &text)
            && let Some(entry) = lock.tokens.into_values().next()
        {
            return Ok(Some(entry.gitlab));
        }
    }
    Ok(None)
}

/// The files with slots of this lock that are still there.
fn secrets_files(
    environment: &str,
    user: Option<&str>,
    lock: &Lock,
    repo: &Repository,
) -> Result<Vec<SecretsFile>> {
    let paths: BTreeSet<&String> = lock.tokens.values().flat_map(|entry| entry.slots.keys()).collect();
    let recipients = if user.is_some() { Recipients::Own } else { Recipients::Policy };
    let mut files = Vec::new();
    for path in paths {
        let at = RelPath::new(path)?;
        let at_head = repo.content_at_head(&at)?.is_some();
        if !at_head && repo.work_tree_content(&at)?.is_none() {
            continue;
        }
        let file = user.map_or_else(|| path.clone(), |user| for_any_user(path, user));
        let commit = at_head || !repo.is_ignored(&at)?;
        files.push(SecretsFile { file, template: String::new(), recipients, commit });
    }
    if files.is_empty() && user.is_some() {
        // It says that the environment is personal; a file that is not there is not looked at.
        let file = format!("secrets/{environment}/{USER}.sops.yaml");
        files.push(SecretsFile { file, template: String::new(), recipients, commit: true });
    }
    Ok(files)
}

/// `secrets/devmode/ana.sops.yaml` as a profile writes it for everybody: `secrets/devmode/{user}.sops.yaml`.
fn for_any_user(path: &str, user: &str) -> String {
    let is_theirs =
        |part: &&str| part.strip_prefix(user).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let parts: Vec<&str> = path.split('/').collect();
    let Some(number) = parts.iter().position(is_theirs) else { return path.to_owned() };
    let mut parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
    parts[number] = parts[number].replacen(user, USER, 1);
    parts.join("/")
}

/// Refuses where a leaf of these files still is what the lock of an environment without a profile remembers: a token that is
/// alive would lose the only place where its value is, as it does when a profile is renamed without its lock.
///
/// # Errors
/// As said, with both ways out.
pub(super) fn check(environment: &Environment, files: &[GroundFile], repo: &Repository) -> Result<()> {
    let name = &environment.name;
    for (other, locks) in locks(repo)? {
        for (key, entry) in locks.iter().flat_map(|(_, lock)| &lock.tokens) {
            for file in files {
                let Some(slots) = entry.slots.get(file.path.as_str()) else { continue };
                let Some(encrypted) = file.encrypted()? else { continue };
                let holds = |path, digest: &String| {
                    encrypted.leaf(path).is_some_and(|stored| lock::digest(stored) == *digest)
                };
                let held = slots.iter().find(|(path, digest)| {
                    holds(path, digest) && file.template.slots().any(|leaf| leaf.path == **path)
                });
                let Some((path, _)) = held else { continue };
                let what = format!(
                    "{} {path} holds token {} ({key}) of {other}, which has a lock and no profile",
                    file.path, entry.id
                );
                return Err(Error::new(Kind::Refused, what)
                    .because(format!("{} writes there too", environment.path))
                    .hint(renamed(&other, name))
                    .hint(format!("to end the tokens of {other}: provision revoke --env {other}")));
            }
        }
    }
    Ok(())
}

/// What to do where one environment became another.
fn renamed(old: &str, new: &str) -> Hint {
    Hint::from(format!("where {old} became {new}, its lock goes along: git mv "))
        .paths([old, new].map(|name| format!("{FOLDER}/{name}.yaml")))
        .then(" && git commit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_one_person_is_written_as_a_profile_has_it_for_everybody() {
        assert_eq!(for_any_user("secrets/devmode/ana.sops.yaml", "ana"), "secrets/devmode/{user}.sops.yaml");
        assert_eq!(for_any_user("anas/ana/x.env", "ana"), "anas/{user}/x.env");
        assert_eq!(for_any_user("secrets/shared.yaml", "ana"), "secrets/shared.yaml");
    }
}
