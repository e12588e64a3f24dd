//! The branches that are known here, what files a commit has in a folder, and how two commits differ.

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;

use super::Repository;
use super::error::{Doing, RepoError};
use super::path::RelPath;
use super::tracked::name_of_file;

/// A branch and the commit that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its full name: `refs/heads/main`, `refs/remotes/origin/main`.
    pub name: String,
    /// Its tip.
    pub commit: ObjectId,
}

impl Repository {
    /// All branches, of this clone and of its remotes as they were last fetched.
    ///
    /// # Errors
    /// When the references cannot be read.
    pub fn branches(&self) -> Result<Vec<Branch>, RepoError> {
        let mut branches = Vec::new();
        for folder in ["refs/heads/", "refs/remotes/"] {
            let doing = || format!("read {folder}");
            let platform = self.git.references().doing(doing())?;
            for reference in platform.prefixed(folder).doing(doing())? {
                let mut reference =
                    reference.map_err(|error| RepoError::Git { doing: doing(), why: error.to_string() })?;
                let name = reference.name().as_bstr().to_string();
                let commit = reference.peel_to_commit().doing(format!("read {name}"))?.id;
                branches.push(Branch { name, commit });
            }
        }
        Ok(branches)
    }

    /// The files of `commit` in `folder` and below it, sorted.
    ///
    /// # Errors
    /// When its tree cannot be read.
    pub fn files_at(&self, commit: ObjectId, folder: &str) -> Result<Vec<RelPath>, RepoError> {
        let doing = || format!("read {folder} at {commit}");
        let tree = self.git.find_commit(commit).and_then(|commit| commit.tree()).doing(doing())?;
        let entry = tree.lookup_entry(folder.split('/')).doing(doing())?;
        let Some(entry) = entry.filter(|entry| entry.mode().is_tree()) else { return Ok(Vec::new()) };
        let mut files = Vec::new();
        let mut folders = vec![(folder.to_owned(), entry.object_id())];
        while let Some((folder, id)) = folders.pop() {
            let tree = self.git.find_tree(id).doing(doing())?;
            for entry in tree.iter() {
                let entry = entry.doing(doing())?;
                let path = format!("{folder}/{}", entry.filename());
                if entry.mode().is_tree() {
                    folders.push((path, entry.object_id()));
                } else if let Ok(path) = RelPath::new(&path) {
                    files.push(path);
                }
            }
        }
        files.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        Ok(files)
    }

    /// The regular files that two commits do not have alike, sorted; `one` being `None` has none.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn changed_between(&self, one: Option<ObjectId>, other: ObjectId) -> Result<Vec<RelPath>, RepoError> {
        let blobs = |commit: ObjectId| -> Result<BTreeMap<String, ObjectId>, RepoError> {
            let doing = || format!("read the tree of {commit}");
            let tree = self.git.find_commit(commit).and_then(|commit| commit.tree_id()).doing(doing())?;
            let files = self.files_of_tree(tree.detach())?;
            let named = |entry: &gix::index::Entry| {
                Some((name_of_file(entry.mode, entry.path(&files))?.to_string(), entry.id))
            };
            Ok(files.entries().iter().filter_map(named).collect())
        };
        let (one, other) = (one.map(blobs).transpose()?.unwrap_or_default(), blobs(other)?);
        let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        let changed = names.into_iter().filter(|name| one.get(*name) != other.get(*name));
        Ok(changed.map(|name| RelPath::new(name)).collect::<Result<_, _>>()?)
    }
}
