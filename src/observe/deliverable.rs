//! What must be so in the user's work tree before a run that delivers, which works elsewhere and would pass it over.

use std::collections::BTreeSet;

use super::{POLICY, environments, inspect, interrupted, secrets, uncommitted};
use crate::cores;
use crate::error::{Error, Kind, Result};
use crate::lock;
use crate::plan::deliver::Way;
use crate::profile::Environment;
use crate::repo::{Difference, RelPath, Repository};

/// Refuses what a run in a worktree of its own would not see: profile, templates, policy, locks and secrets files that are
/// not committed, files that git does not keep, and what an interrupted run left here.
///
/// # Errors
/// With the way out.
pub fn check(repo: &Repository, environment: &Environment, way: Way) -> Result<()> {
    let option = way.option();
    if let Some(secrets) = environment.outside_git() {
        let what = format!("{} is kept out of git, so there is nothing of it to deliver", secrets.file);
        return Err(Error::new(Kind::Usage, what)
            .because("the profile says `commit: false`".to_owned())
            .hint(format!("run without {option}")));
    }
    let named = environment.secrets.iter().filter(|_| !environment.is_unlisted);
    let templates = named.map(|secrets| format!("templates/{}", secrets.template));
    for path in templates.chain([environment.path.clone(), POLICY.to_owned()]) {
        let path = RelPath::new(&path)?;
        if let Some(difference) = repo.differs_from_head(&path)? {
            refuse_edited(repo, &path, difference, way)?;
        }
    }
    let replay = interrupted::replay(repo, &environment.name)?;
    for path in written(repo, environment)? {
        // Outside a sparse checkout there is nothing of the user's; the worktree of the run is as sparse.
        match super::edited(repo, &path, &replay)? {
            None | Some(Difference::OutsideSparse) => {}
            Some(difference) => refuse_edited(repo, &path, difference, way)?,
        }
    }
    let left = interrupted::left(&replay, repo, &[])?;
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::HalfWay, format!("an interrupted run left {} in this work tree", left.join(", ")))
        .because(format!("{option} works elsewhere"))
        .hint(format!("run without {option} first: it goes on from there")))
}

/// The same for a command that brings files into line with the policy: it and the secrets files `within` must be committed.
///
/// # Errors
/// With the way out.
pub fn check_files(repo: &Repository, within: &[String], way: Way) -> Result<()> {
    let policy = RelPath::new(POLICY)?;
    if let Some(difference) = repo.differs_from_head(&policy)? {
        refuse_edited(repo, &policy, difference, way).map_err(|error| {
            error.hint("or commit it together with the files that follow it, and then deliver: provision rekey --with-policy")
        })?;
    }
    let files = repo.standing()?;
    let read = repo.reader();
    let plain = cores::on_all(files.len(), |number| -> Result<bool> {
        Ok(read(&files[number].path)?.is_some_and(|bytes| files[number].is_plainly(&bytes)))
    });
    for (file, plain) in files.iter().zip(plain) {
        let path = file.path.as_str();
        let is_meant = within.is_empty() || secrets::is_within(path, within);
        if plain? || !is_meant || inspect::is_clear_by_design(path) {
            continue;
        }
        let is_secrets = |bytes: Option<Vec<u8>>| bytes.is_some_and(|it| inspect::is_secrets_file(path, &it));
        if !is_secrets(read(&file.path)?) && !is_secrets(repo.content_standing(file)?) {
            continue;
        }
        match repo.differs_from_head(&file.path)? {
            None | Some(Difference::OutsideSparse) => {}
            Some(difference) => refuse_edited(repo, &file.path, difference, way)?,
        }
    }
    Ok(())
}

/// What a move of the user's branch that was cut has left is as the remote has it, and no edit (`repo::forward`).
fn refuse_edited(repo: &Repository, path: &RelPath, difference: Difference, way: Way) -> Result<()> {
    let is_as_there = match repo.ahead_at_remote()? {
        Some(there) => repo.stands_as(there, path)?,
        None => false,
    };
    if is_as_there { Ok(()) } else { Err(not_committed(path, difference, way)) }
}

fn not_committed(path: &RelPath, difference: Difference, way: Way) -> Error {
    uncommitted(path, difference).because(format!("{} delivers what is committed", way.option()))
}

/// What runs write: the secrets files and locks of the environment, of all its users, that HEAD, the index or the work tree
/// has.
fn written(repo: &Repository, environment: &Environment) -> Result<BTreeSet<RelPath>> {
    let is_lock = |path: &str| lock::owner(path).is_some_and(|(name, _)| name == environment.name);
    let is_written = |path: &str| is_lock(path) || environment.secrets.iter().any(|one| one.matches(path));
    let standing = repo.standing()?.into_iter().map(|file| file.path);
    let mut paths: BTreeSet<RelPath> = standing.filter(|path| is_written(path.as_str())).collect();
    let mut here = environments::lock_paths(repo)?;
    for secrets in &environment.secrets {
        here.extend(secrets::paths(secrets, repo));
    }
    for path in here.iter().filter(|path| is_written(path)) {
        paths.insert(RelPath::new(path)?);
    }
    Ok(paths)
}
