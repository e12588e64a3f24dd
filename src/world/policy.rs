//! The policy near a folder: for the names in messages, and for what a key service may be asked. Whom files are encrypted
//! for is never decided by it: that takes the committed one.

use std::collections::BTreeSet;
use std::path::Path;

use crate::repo::{RelPath, Repository, read};
use crate::sops::{Policy, Reader};

/// Its name in every folder.
const NAME: &str = ".sops.yaml";
/// The largest that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// How many commits are looked at to find another version.
const LOOK_BACK: usize = 200;

/// The policy that stock sops would find from `directory`: in it, or in the nearest folder above it (config/config.go).
/// `None` where there is none, or it cannot be read.
#[must_use]
pub fn near(directory: &Path) -> Option<Policy> {
    let file = directory.ancestors().map(|folder| folder.join(NAME)).find(|file| file.exists())?;
    // A link may lead to a device, which never ends.
    let is_small = file.metadata().is_ok_and(|found| found.is_file() && found.len() <= LIMIT);
    if is_small { Policy::parse(&read::text(&file).ok()?).ok() } else { None }
}

/// The last version of that policy with other keys of the key service, on the first-parent way back from HEAD: files may
/// still be as that one wanted them. `None` where there is none, or it cannot be read.
#[must_use]
pub fn before(directory: &Path) -> Option<Policy> {
    let now = service_keys(&near(directory)?);
    let repo = Repository::discover(directory).ok()?;
    let history = repo.first_parent_content(repo.head().ok()?.commit?, &RelPath::new(NAME).ok()?).ok()?;
    let contents = history.take(LOOK_BACK).map_while(|revision| revision.ok()?.content);
    let policies = contents.filter_map(|content| Policy::parse(str::from_utf8(&content).ok()?).ok());
    policies.into_iter().find(|policy| service_keys(policy) != now)
}

fn service_keys(policy: &Policy) -> BTreeSet<Reader> {
    policy.readers().into_iter().filter(|reader| matches!(reader, Reader::Other(_))).collect()
}
