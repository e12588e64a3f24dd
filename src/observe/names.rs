//! What the policy near a file calls the readers of secrets files: for messages, never for decisions.

use std::path::Path;

use super::{POLICY, environments};
use crate::sops::{Names, Policy};

/// The names of the policy that stock sops would find from `directory`; none where there is no policy that can be read.
#[must_use]
pub fn near(directory: &Path) -> Names {
    let file = directory.ancestors().map(|folder| folder.join(POLICY)).find(|file| file.exists());
    let text = file.filter(|file| is_small_file(file)).and_then(|file| std::fs::read_to_string(file).ok());
    let policy = text.and_then(|text| Policy::parse(&text).ok());
    policy.map(|policy| policy.names().clone()).unwrap_or_default()
}

/// A link may lead to a device, which never ends.
fn is_small_file(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|found| found.is_file() && found.len() <= environments::LIMIT)
}
