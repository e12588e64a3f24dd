//! What the policy near a file calls the readers of secrets files: for messages, never for decisions.

use std::path::Path;

use super::POLICY;
use crate::sops::{Names, Policy};

/// The names of the policy that stock sops would find from `directory`; none where there is no policy that can be read.
#[must_use]
pub fn near(directory: &Path) -> Names {
    let text = directory.ancestors().find_map(|folder| std::fs::read_to_string(folder.join(POLICY)).ok());
    let policy = text.and_then(|text| Policy::parse(&text).ok());
    policy.map(|policy| policy.names().clone()).unwrap_or_default()
}
