//! The branches that are known here, and what files a commit has in a folder.

use gix::ObjectId;

use super::Repository;
use super::error::{Doing, RepoError};
use super::path::RelPath;

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
}
