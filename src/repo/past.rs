//! Every version of every file that any commit here has: of all branches, remote ones too, of tags, and of HEAD.

use std::collections::HashMap;
use std::rc::Rc;

use gix::ObjectId;
use gix::objs::tree::EntryKind;

use super::Repository;
use super::error::{Doing, RepoError};

/// What was made of the files that a commit has, shared with commits that have the same.
pub type PastFiles<T> = Rc<Vec<Rc<T>>>;

/// One commit.
#[derive(Debug)]
pub struct PastCommit<T> {
    /// Its id.
    pub commit: ObjectId,
    /// When it was committed, in seconds since 1970 (UTC).
    pub committed: i64,
    /// Those of its files that are of interest.
    pub files: PastFiles<T>,
}

impl Repository {
    /// Whether the history goes on where it ends here, because the clone is shallow.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn is_shallow(&self) -> Result<bool, RepoError> {
        Ok(self.git.shallow_commits().doing("read the shallow boundary")?.is_some())
    }

    /// All commits, the newest first, with what `read` makes of their files, given path, id and bytes; `None` where a file is
    /// of no interest. Each version of a file is read once. Bytes are as stored, before any checkout filter.
    ///
    /// # Errors
    /// When an object cannot be read, which may be because a partial clone does not have it.
    pub fn past<T>(
        &self,
        read: impl FnMut(&str, ObjectId, &[u8]) -> Option<T>,
    ) -> Result<Vec<PastCommit<T>>, RepoError> {
        let mut trees = Trees { git: &self.git, read, files: HashMap::new(), trees: HashMap::new() };
        let walk = self.git.rev_walk(self.tips()?);
        let by_time = gix::revision::walk::Sorting::ByCommitTime(Default::default());
        let walk = walk.sorting(by_time).all().doing("walk the history")?;
        let mut commits = Vec::new();
        for info in walk {
            let id = info.doing("walk the history")?.id;
            let doing = || format!("read commit {id}");
            let commit = self.git.find_commit(id).doing(doing())?;
            let committed = commit.time().doing(doing())?.seconds;
            let tree = commit.tree_id().doing(doing())?.detach();
            commits.push(PastCommit { commit: id, committed, files: trees.files_of("", tree)? });
        }
        Ok(commits)
    }

    /// The commits that HEAD and the references name.
    fn tips(&self) -> Result<Vec<ObjectId>, RepoError> {
        let doing = "read the references";
        let mut tips: Vec<ObjectId> = self.head()?.commit.into_iter().collect();
        let references = self.git.references().doing(doing)?;
        for reference in references.all().doing(doing)? {
            let mut reference = reference.doing(doing)?;
            // A reference to something that is gone, or to no commit, names no history.
            let Ok(id) = reference.peel_to_id() else { continue };
            if self.git.find_commit(id.detach()).is_ok() {
                tips.push(id.detach());
            }
        }
        tips.sort_unstable();
        tips.dedup();
        Ok(tips)
    }
}

/// Trees and files that were read before.
struct Trees<'r, T, F> {
    git: &'r gix::Repository,
    read: F,
    files: HashMap<(String, ObjectId), Option<Rc<T>>>,
    trees: HashMap<(String, ObjectId), PastFiles<T>>,
}

impl<T, F: FnMut(&str, ObjectId, &[u8]) -> Option<T>> Trees<'_, T, F> {
    fn files_of(&mut self, folder: &str, tree: ObjectId) -> Result<PastFiles<T>, RepoError> {
        let key = (folder.to_owned(), tree);
        if let Some(known) = self.trees.get(&key) {
            return Ok(Rc::clone(known));
        }
        let doing = || format!("read the tree {tree}");
        let object = self.git.find_tree(tree).doing(doing())?;
        let mut found = Vec::new();
        for entry in object.iter() {
            let entry = entry.map_err(|error| RepoError::Git { doing: doing(), why: error.to_string() })?;
            let Ok(name) = str::from_utf8(entry.filename()) else { continue };
            let path = format!("{folder}{name}");
            match entry.mode().kind() {
                EntryKind::Tree => {
                    let below = self.files_of(&format!("{path}/"), entry.object_id())?;
                    found.extend(below.iter().cloned());
                }
                EntryKind::Blob | EntryKind::BlobExecutable => {
                    found.extend(self.file(path, entry.object_id())?);
                }
                EntryKind::Link | EntryKind::Commit => {}
            }
        }
        let found = Rc::new(found);
        self.trees.insert(key, Rc::clone(&found));
        Ok(found)
    }

    fn file(&mut self, path: String, blob: ObjectId) -> Result<Option<Rc<T>>, RepoError> {
        let key = (path, blob);
        if let Some(known) = self.files.get(&key) {
            return Ok(known.clone());
        }
        let object = self.git.find_blob(blob).doing(format!("read {} as it was once", key.0))?;
        let file = (self.read)(&key.0, blob, &object.data).map(Rc::new);
        self.files.insert(key, file.clone());
        Ok(file)
    }
}
