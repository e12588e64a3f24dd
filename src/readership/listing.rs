//! Who can read which files now, and who should.

use serde::Serialize;

use crate::sops::{Policy, Reader};

/// A secrets file, and who can read it as it says.
#[derive(Debug)]
pub struct Present {
    /// Relative to the root.
    pub path: String,
    /// Everybody; or why that cannot be told.
    pub readers: Result<Vec<Reader>, String>,
    /// The groups that they are in, where it takes keys of several to open the file.
    pub together: Option<Together>,
    /// Whether it belongs to one person, so that the policy says nothing about it.
    pub personal: bool,
    /// Whether it lies below a policy other than the one at the root, which says nothing about it either.
    pub nested: bool,
}

impl Present {
    /// Whether the policy at the root says who reads it.
    #[must_use]
    pub fn follows_policy(&self) -> bool {
        !self.personal && !self.nested
    }
}

/// Groups of readers of whom none can open a file alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// How many groups it takes.
    pub threshold: usize,
    /// The groups.
    pub groups: Vec<Vec<Reader>>,
}

/// One reader.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What the policy calls them.
    pub name: Option<String>,
    /// Their key in full.
    pub key: String,
    /// The same, short.
    #[serde(skip)]
    pub short: String,
    /// What the key is: age, ssh, PGP …
    pub kind: String,
    /// Whether the policy has them.
    pub in_policy: bool,
    /// Files that they can read.
    pub reads: Vec<String>,
    /// Files that they will be able to read after a rekey.
    pub will_read: Vec<String>,
    /// Files that they can read and, by the policy, should not.
    pub should_not_read: Vec<String>,
}

/// Everybody whom the policy or a file has: the policy's readers in its order, then others.
#[must_use]
pub fn rows(policy: &Policy, files: &[Present]) -> Vec<Row> {
    let named = policy.readers();
    let mut all = named.clone();
    for reader in files.iter().flat_map(|file| file.readers.iter().flatten()) {
        if !all.contains(reader) {
            all.push(reader.clone());
        }
    }
    all.iter().map(|reader| row(reader, named.contains(reader), policy, files)).collect()
}

fn row(reader: &Reader, in_policy: bool, policy: &Policy, files: &[Present]) -> Row {
    let mut row = Row {
        name: policy.names().of(reader).map(str::to_owned),
        key: reader.to_string(),
        short: reader.short(),
        kind: reader.kind().to_owned(),
        in_policy,
        reads: Vec::new(),
        will_read: Vec::new(),
        should_not_read: Vec::new(),
    };
    for file in files {
        let Ok(readers) = &file.readers else { continue };
        let reads = readers.contains(reader);
        let should = if file.follows_policy() { should(reader, policy, &file.path) } else { Some(reads) };
        if reads {
            row.reads.push(file.path.clone());
        }
        match should {
            Some(true) if !reads => row.will_read.push(file.path.clone()),
            Some(false) if reads => row.should_not_read.push(file.path.clone()),
            _ => {}
        }
    }
    row
}

/// Whether the policy lets them read the file; `None` where it has no rule for it.
fn should(reader: &Reader, policy: &Policy, path: &str) -> Option<bool> {
    let rule = policy.rule_for(path).ok()?;
    Some(match reader {
        Reader::Age(recipient) => rule.recipients().contains(recipient),
        Reader::Other(other) => rule.other_readers().iter().any(|one| one.is_same_key(other)),
    })
}
