//! Files and folders of the command line.

use std::path::PathBuf;

use crate::error::{Error, Kind, Result};
use crate::repo::Repository;
use crate::world::World;

/// The paths relative to the root; `None` means everything.
///
/// # Errors
/// Where one is not there, or outside the repository.
pub(super) fn within(paths: &[PathBuf], repo: &Repository, world: &World) -> Result<Option<Vec<String>>> {
    let mut within = Vec::new();
    for path in paths {
        let whole = world.directory.join(path);
        let real = whole.canonicalize().map_err(|error| {
            Error::new(Kind::Usage, format!("cannot look at {}", path.display())).because(error.to_string())
        })?;
        if real == repo.root() {
            return Ok(None);
        }
        within.push(repo.relative(&real)?.to_string());
    }
    Ok((!within.is_empty()).then_some(within))
}
