//! Files and folders of the command line.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::observe::secrets::is_within;
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
        let real = match whole.canonicalize() {
            Ok(real) => real,
            Err(error) => {
                within.push(away(&whole, repo)?.ok_or_else(|| {
                    let what = format!("cannot look at {}", path.display());
                    Error::new(Kind::Usage, what).because(error.to_string())
                })?);
                continue;
            }
        };
        if real == repo.root() {
            return Ok(None);
        }
        within.push(repo.relative(&real)?.to_string());
    }
    Ok((!within.is_empty()).then_some(within))
}

/// What HEAD or the index has there and the work tree has not: a file, or a folder.
fn away(path: &Path, repo: &Repository) -> Result<Option<String>> {
    let Ok(name) = repo.relative(path) else { return Ok(None) };
    let named = [name.to_string()];
    let is_there = repo.standing()?.iter().any(|file| is_within(file.path.as_str(), &named));
    Ok(is_there.then(|| name.to_string()))
}
