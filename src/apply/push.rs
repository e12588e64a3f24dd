//! The commit's way to the remote.

use crate::deliver::{Arrival, Delivery};
use crate::error::{Error, Result};
use crate::journal::{Line, Push};
use crate::lock::Lock;
use crate::observe::Ground;
use crate::observe::interrupted::address_digest;
use crate::plan::deliver::Way;
use crate::plan::message::Done;
use crate::plan::review::{Readers, Review};
use crate::profile::Token;
use crate::repo::{ObjectId, Repository};
use crate::sops::{Encrypted, Format};
use crate::world::World;

use super::journalled::Journalled;

/// Announces the push in the journal, and pushes. Returns whether it arrived; when not, somebody else was faster.
///
/// # Errors
/// With kind "half-way": the journal has everything, and the next run goes on from what it finds at the remote.
pub(super) fn push(
    delivery: &Delivery,
    commit: ObjectId,
    ground: &Ground,
    world: &World,
    journal: &Journalled<'_>,
    done: &mut Done,
) -> Result<bool> {
    let half_way = |error: Error| error.mend_and_go_on();
    let text = review(delivery, commit, ground).map_err(half_way)?.text();
    let (remote, branch) = delivery.pushes_to();
    let push = Push {
        remote: remote.to_owned(),
        address: address_digest(&ground.repo, remote).map_err(half_way)?,
        branch: branch.to_owned(),
        commit: commit.to_string(),
    };
    journal.append(&Line::Pushing(push)).map_err(half_way)?;
    match delivery.push(world, commit, &text).map_err(half_way)? {
        Arrival::Overtaken => Ok(false),
        Arrival::Pushed(pushed) => {
            done.pushed = Some(delivery.destination());
            done.merge_request = pushed.merge_request;
            if delivery.way() == Way::MergeRequest {
                // The file is not in the user's work tree.
                done.example = None;
            }
            Ok(true)
        }
    }
}

/// What a reviewer should know: everything that the commit changes at the branch that it is for.
fn review(delivery: &Delivery, commit: ObjectId, ground: &Ground) -> Result<Review> {
    let repo = &ground.repo;
    let lock = |at: Option<ObjectId>| -> Result<Lock> {
        let Some(at) = at else { return Ok(Lock::default()) };
        let Some(bytes) = repo.content_at(at, &ground.lock_path)? else { return Ok(Lock::default()) };
        Ok(Lock::read(ground.lock_path.as_str(), &String::from_utf8_lossy(&bytes))?)
    };
    let mut readers = Vec::new();
    for file in ground.files.iter().filter(|file| file.commit) {
        let at = |commit: Option<ObjectId>| recipients(repo, commit, &file.path);
        readers.push(Readers {
            file: file.path.to_string(),
            before: at(delivery.target_commit())?,
            after: at(Some(commit))?,
        });
    }
    let tokens = &ground.environment.tokens;
    let moved = |token: &Token| Some((token.key.clone(), token.moved_from.clone()?));
    Ok(Review {
        environment: ground.environment.name.clone(),
        before: lock(delivery.target_commit())?,
        after: lock(Some(commit))?,
        overlaps: tokens.iter().map(|token| (token.key.clone(), token.overlap)).collect(),
        moved: tokens.iter().filter_map(moved).collect(),
        readers,
    })
}

/// A file that is none, or cannot be read, has no readers to compare.
fn recipients(
    repo: &Repository,
    commit: Option<ObjectId>,
    path: &crate::repo::RelPath,
) -> Result<Option<Vec<String>>> {
    let Some(commit) = commit else { return Ok(None) };
    let Some(bytes) = repo.content_at(commit, path)? else { return Ok(None) };
    let Ok(file) = Encrypted::parse(Format::of_path(path.as_str()), &bytes) else { return Ok(None) };
    Ok(Some(file.recipients().iter().map(ToString::to_string).collect()))
}
