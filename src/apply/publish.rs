//! Files in the clear that a command writes and commits by itself: a policy, profiles, templates, locks.

use crate::error::{Error, Kind, Result};
use crate::repo::{CommitRequest, Committed, FileChange, Head, RelPath, Repository};
use crate::world::{Content, World};

/// Writes the files, and commits them and nothing else on `head`. Returns the commit; `None` where HEAD has them so already.
///
/// # Errors
/// Before anything is written: where HEAD is another one meanwhile, or git would not take a commit of these files. Then,
/// with kind "half-way", where the commit fails: the files stand in the work tree.
pub fn publish(
    files: &[(RelPath, Content<'_>)],
    message: String,
    head: Head,
    repo: &Repository,
    world: &World,
) -> Result<Option<Committed>> {
    repo.settle_interrupted_commit()?;
    if repo.head()? != head {
        return Err(Error::new(Kind::Refused, "HEAD has changed since it was looked at")
            .hint("run the same command again"));
    }
    let paths: Vec<RelPath> = files.iter().map(|(path, _)| path.clone()).collect();
    repo.preflight(&paths)?;
    let mut changes = Vec::new();
    for (path, content) in files {
        world.effects().write(repo, path, content)?;
        changes.push(FileChange::of(path.clone(), content.bytes()));
    }
    let request = CommitRequest { message, files: changes, expected_head: head };
    Ok(world.effects().commit(repo, &request)?)
}
