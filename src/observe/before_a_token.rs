//! What can be known of an environment before a person makes a token for it.

use super::files::GroundFile;
use super::{POLICY, environments, interrupted, secrets_files, unlisted};
use crate::error::Result;
use crate::lock;
use crate::profile::{Environment, USER, UserName};
use crate::repo::{RelPath, Repository};
use crate::world::World;

/// The secrets files and the lock of an environment, as far as they can be known without GitLab: before a person is asked to
/// make a token there.
///
/// # Errors
/// What would be refused later just as well.
pub fn look(
    environment: &Environment,
    user: Option<&UserName>,
    repo: &Repository,
    world: &World,
) -> Result<(Vec<GroundFile>, RelPath)> {
    environments::check_disjoint(repo, std::slice::from_ref(environment))?;
    let replay = interrupted::replay(repo, &environment.name)?;
    interrupted::left_elsewhere(&replay, repo, &environment.name)?;
    let files = secrets_files(environment, user, repo, &RelPath::new(POLICY)?, &replay, world)?;
    unlisted::check(environment, &files, repo)?;
    let lock_path = lock::path(environment, user).unwrap_or_else(|| lock::path_of_user(environment, USER));
    Ok((files, RelPath::new(&lock_path)?))
}
