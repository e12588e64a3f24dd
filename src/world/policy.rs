//! The policy near a folder: for the names in messages, and for what a key service may be asked. Whom files are encrypted
//! for is never decided by it: that takes the committed one.

use std::path::Path;

use crate::repo::{RelPath, Repository};
use crate::sops::Policy;

/// Its name in every folder.
const NAME: &str = ".sops.yaml";
/// The largest that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// The policy that stock sops would find from `directory`: in it, or in the nearest folder above it (config/config.go).
/// `None` where there is none, or it cannot be read.
#[must_use]
pub fn near(directory: &Path) -> Option<Policy> {
    Policy::parse(&text_near(directory)?).ok()
}

fn text_near(directory: &Path) -> Option<String> {
    let file = directory.ancestors().map(|folder| folder.join(NAME)).find(|file| file.exists())?;
    // A link may lead to a device, which never ends.
    let is_small = file.metadata().is_ok_and(|found| found.is_file() && found.len() <= LIMIT);
    if is_small { std::fs::read_to_string(file).ok() } else { None }
}

/// The version of that policy before it, on the first-parent way back from HEAD: files may still be as that one wanted
/// them. `None` where there is none, or it cannot be read.
#[must_use]
pub fn before(directory: &Path) -> Option<Policy> {
    let now = text_near(directory)?.into_bytes();
    let repo = Repository::discover(directory).ok()?;
    let head = repo.head().ok()?.commit?;
    let text = repo.content_before(head, &RelPath::new(NAME).ok()?, Some(now)).ok()??;
    Policy::parse(str::from_utf8(&text).ok()?).ok()
}
