//! What there is to take over: tokens that people put into SOPS files by hand. Values are opened in memory, shown to their
//! GitLab alone, and never leave this module.

use std::collections::{BTreeMap, BTreeSet};

use super::environments;
use super::inspect::has_metadata;
use crate::error::Result;
use crate::gitlab::client::Client;
use crate::gitlab::looks::{Looks, look_at};
use crate::instance::Instance;
use crate::lock;
use crate::plan::adopt::{Found, Left, minted_elsewhere};
use crate::profile::Environment;
use crate::repo::{RelPath, Repository};
use crate::secret::Secret;
use crate::sops::{Encrypted, Format, Identities, Path};
use crate::token::{Kind, Owner, Record, TokenId};
use crate::world::World;

/// A leaf whose value looks like a token; not yet shown to anybody.
pub struct Candidate {
    file: String,
    path: Path,
    digest: String,
    value: Secret,
}

/// What a look into the files has found.
#[derive(Default)]
pub struct Search {
    /// What can be asked about.
    pub candidates: Vec<Candidate>,
    /// What cannot, and why.
    pub left: Vec<Left>,
}

impl Search {
    /// The files that something was found in.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = self.candidates.iter().map(|one| one.file.as_str()).collect();
        files.dedup();
        files
    }

    fn leave(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left { place: place.into(), why: why.into() });
    }
}

/// The tracked SOPS files that no environment names.
///
/// # Errors
/// Where the repository cannot be read.
pub fn files(repo: &Repository, environments: &[Environment]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for tracked in repo.tracked()? {
        let name = tracked.path.to_string();
        let is_named = environments.iter().flat_map(|one| &one.secrets).any(|secrets| secrets.matches(&name));
        let content = if is_named { None } else { repo.content_at_head(&tracked.path)? };
        if content.is_some_and(|bytes| {
            has_metadata(&bytes) && Encrypted::parse(Format::of_path(&name), &bytes).is_ok()
        }) {
            files.push(name);
        }
    }
    Ok(files)
}

/// Names that new files cannot have: environments and templates (`templates/NAME`) that are there.
///
/// # Errors
/// Where the repository cannot be read.
pub fn taken(repo: &Repository) -> Result<BTreeSet<String>> {
    let mut taken: BTreeSet<String> = environments::names(repo)?.into_iter().collect();
    taken.extend(environments::locks(repo)?.into_iter().map(|(name, _, _)| name));
    let templates = std::fs::read_dir(repo.root().join("templates")).into_iter().flatten().flatten();
    taken.extend(templates.map(|entry| format!("templates/{}", entry.file_name().to_string_lossy())));
    Ok(taken)
}

/// Opens these files, and finds what looks like a token.
///
/// # Errors
/// Where the repository or the identities cannot be read. A file that cannot be opened is left.
pub fn search(files: &[String], repo: &Repository, world: &World) -> Result<Search> {
    let identities = world.identities()?;
    let mut search = Search::default();
    for file in files {
        let path = RelPath::new(file)?;
        let Some(bytes) = repo.content_at_head(&path)? else {
            search.leave(file, "it is not committed");
            continue;
        };
        if repo.differs_from_head(&path)?.is_some() {
            search.leave(file, "it has changes that are not committed");
            continue;
        }
        look_into(file, &bytes, &identities, &mut search)?;
    }
    Ok(search)
}

fn look_into(file: &str, bytes: &[u8], identities: &Identities, search: &mut Search) -> Result<()> {
    let format = Format::of_path(file);
    if format == Format::Binary {
        search.leave(file, "it is one value for sops: a template cannot name a token in it");
        return Ok(());
    }
    let encrypted = match Encrypted::parse(format, bytes) {
        Ok(encrypted) => encrypted,
        Err(error) => {
            search.leave(file, error.to_string());
            return Ok(());
        }
    };
    let opened = match encrypted.open(identities) {
        Ok(opened) => opened,
        Err(error) => {
            search.leave(file, error.to_string());
            return Ok(());
        }
    };
    for (leaf, bytes) in opened.file().leaves().zip(opened.raw_values()).filter(|(leaf, _)| leaf.selected) {
        // What is not text is no token.
        let Some(text) = bytes.as_ref().and_then(|bytes| str::from_utf8(bytes).ok()) else { continue };
        let value = Secret::new(text.to_owned());
        let place = || format!("{file} {}", leaf.place());
        match look_at(&value) {
            Looks::Token if leaf.document > 0 => {
                search.leave(place(), "it is behind the first document, the only one that templates lead to");
            }
            Looks::Token => {
                let digest = lock::digest(leaf.stored);
                search.candidates.push(Candidate { file: file.to_owned(), path: leaf.path, digest, value });
            }
            Looks::Other(why) => search.leave(place(), why),
            Looks::Nothing => {}
        }
    }
    Ok(())
}

/// Asks GitLab about each candidate with the token itself, and with ours whose it is. What a lock here has as current is
/// left: two entries with one token could neither replace nor end it.
///
/// # Errors
/// Where GitLab cannot be reached, or a lock cannot be read.
pub async fn ask(search: Search, repo: &Repository, client: &Client) -> Result<(Vec<Found>, Vec<Left>)> {
    let Search { candidates, mut left } = search;
    let held = held(repo, client.instance())?;
    let mut known: BTreeMap<String, Result<(Record, Owner), String>> = BTreeMap::new();
    let mut found = Vec::new();
    for candidate in candidates {
        let print = lock::digest(candidate.value.expose());
        if !known.contains_key(&print) {
            let identified = identify(&candidate.value, client).await?;
            known.insert(print.clone(), identified.and_then(|(record, owner)| free(record, owner, &held)));
        }
        let place = format!("{} {}", candidate.file, candidate.path);
        match known.get(&print) {
            Some(Ok((record, owner))) => found.push(Found {
                file: candidate.file,
                path: candidate.path,
                digest: candidate.digest,
                record: record.clone(),
                owner: owner.clone(),
            }),
            Some(Err(why)) => left.push(Left { place, why: why.clone() }),
            None => {}
        }
    }
    Ok((found, left))
}

/// The current tokens of the locks here at this instance, with their entries: `qa/backstage`.
fn held(repo: &Repository, instance: &Instance) -> Result<BTreeMap<TokenId, String>> {
    let mut held = BTreeMap::new();
    for (environment, _, lock) in environments::locks(repo)? {
        let here = lock.tokens.iter().filter(|(_, entry)| entry.gitlab == *instance);
        held.extend(here.map(|(key, entry)| (entry.id, format!("{environment}/{key}"))));
    }
    Ok(held)
}

fn free(record: Record, owner: Owner, held: &BTreeMap<TokenId, String>) -> Result<(Record, Owner), String> {
    match held.get(&record.id) {
        Some(entry) => Err(format!("token {} is that of {entry}; add this file to its profile", record.id)),
        None => Ok((record, owner)),
    }
}

/// The active tokens of a group or project that neither a lock here names nor this run has found in a file; not the one that
/// we act with.
///
/// # Errors
/// Where GitLab refuses or cannot be reached, or a lock cannot be read.
pub async fn unmanaged(
    owner: &Owner,
    found: &BTreeSet<TokenId>,
    repo: &Repository,
    client: &Client,
) -> Result<Vec<Record>> {
    let locks = environments::locks(repo)?;
    let own = client.own_token().await?.id;
    let named: BTreeSet<TokenId> =
        locks.iter().flat_map(|(_, _, lock)| lock.ids_at(client.instance())).collect();
    let managed = |id| id == own || found.contains(&id) || named.contains(&id);
    let listed = client.list_active(owner).await?;
    Ok(listed.into_iter().filter(|record| !managed(record.id)).collect())
}

/// The token's record with its role, and its owner; or why it cannot be taken over.
async fn identify(value: &Secret, client: &Client) -> Result<Result<(Record, Owner), String>> {
    let record = match client.verify(value, "the value").await {
        Ok(record) => record,
        Err(error) if error.condemns_credential() => return Ok(Err(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let user = client.username(record.user_id).await?;
    let Some((kind, id)) = bot(&user) else {
        return Ok(Err(format!(
            "token {} is a personal one, of {user}: a team's file is better off with one of a group or project",
            record.id
        )));
    };
    let owner = match client.resolve_owner(kind, id).await {
        Ok(owner) => owner,
        Err(error) if error.is_temporary() => return Err(error.into()),
        Err(error) => return Ok(Err(format!("token {}: {error}", record.id))),
    };
    match client.get(&owner, record.id).await {
        Ok(Some(full)) => Ok(minted_elsewhere(&full).map_or(Ok((full, owner)), Err)),
        Ok(None) => Ok(Err(format!("token {} is not among those of the {kind} {}", record.id, owner.path))),
        Err(error) if error.is_temporary() => Err(error.into()),
        Err(error) => Ok(Err(format!("token {}: {error}", record.id))),
    }
}

/// Whose a bot user is: `group_7_bot_…`, `project_7_bot_…` (app/services/resource_access_tokens/create_service.rb).
fn bot(username: &str) -> Option<(Kind, &str)> {
    let (kind, rest) = match username.split_once('_')? {
        ("group", rest) => (Kind::Group, rest),
        ("project", rest) => (Kind::Project, rest),
        _ => return None,
    };
    let (id, _) = rest.split_once("_bot")?;
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then_some((kind, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bots_name_their_group_or_project_and_people_do_not() {
        assert_eq!(bot("group_12_bot_ab"), Some((Kind::Group, "12")));
        assert_eq!(bot("project_7_bot"), Some((Kind::Project, "7")));
        for name in ["ana", "group_", "group_x_bot_a", "project__bot"] {
            assert_eq!(bot(name), None, "{name}");
        }
    }
}
