//! All committed and tracked files at once, each with what HEAD and the index have of it: to look at thousands without reading the
//! index for each.

use std::collections::BTreeMap;

use gix::ObjectId;

use super::error::{Doing, RepoError};
use super::path::RelPath;
use super::tracked::name_of_file;
use super::{Repository, content};

/// One regular file of HEAD or the index.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub path: RelPath,
    staged: Option<ObjectId>,
    at_head: Option<ObjectId>,
    conflicted: bool,
}

impl Standing {
    /// Whether a file with these bytes is as HEAD and the index have it. `false` decides nothing: a filter may stand
    /// between, and [`Repository::differs_from_head`] knows of those.
    #[must_use]
    pub fn is_plainly(&self, bytes: &[u8]) -> bool {
        let Some(at_head) = self.at_head else { return false };
        let id = gix::objs::compute_hash(at_head.kind(), gix::objs::Kind::Blob, bytes);
        !self.conflicted && self.staged == Some(at_head) && id.is_ok_and(|id| id == at_head)
    }
}

impl Repository {
    /// The regular files of HEAD and the index, sorted: those too that a sparse checkout leaves out, whose merge is not done,
    /// or whose deletion is not committed. Links, submodules, and names that are not UTF-8 or have control characters are
    /// left out.
    ///
    /// # Errors
    /// When the index or the tree of HEAD cannot be read.
    pub fn standing(&self) -> Result<Vec<Standing>, RepoError> {
        let mut files = BTreeMap::new();
        for file in self.tracked()? {
            let name = file.path.to_string();
            let (staged, conflicted) = (file.blob, file.conflicted);
            files.insert(name, Standing { path: file.path, staged, at_head: None, conflicted });
        }
        if let Some(head) = self.tree_of_head()? {
            for entry in head.entries() {
                let Some(path) = name_of_file(entry.mode, entry.path(&head)) else { continue };
                let new = || Standing { path: path.clone(), staged: None, at_head: None, conflicted: false };
                files.entry(path.to_string()).or_insert_with(new).at_head = Some(entry.id);
            }
        }
        Ok(files.into_values().collect())
    }

    /// What HEAD has of the file, as stored; `None` where it has none, or a partial clone has not fetched it.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn content_standing(&self, file: &Standing) -> Result<Option<Vec<u8>>, RepoError> {
        let Some(id) = file.at_head else { return Ok(None) };
        let object = self.git.try_find_object(id).doing(format!("read {} at HEAD", file.path))?;
        Ok(object.map(|mut object| std::mem::take(&mut object.data)))
    }

    fn tree_of_head(&self) -> Result<Option<gix::index::File>, RepoError> {
        let Some(commit) = self.head()?.commit else { return Ok(None) };
        let tree = self.git.find_commit(commit).doing("read the commit of HEAD")?.tree_id();
        let tree = tree.doing("read the tree of HEAD")?.detach();
        self.files_of_tree(tree).map(Some)
    }

    /// The file's bytes in the work tree. Unlike [`Repository::work_tree_content`] it can be called on any thread.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn reader(&self) -> impl Fn(&RelPath) -> Result<Option<Vec<u8>>, RepoError> + Sync + use<> {
        let root = self.root.clone();
        move |path| content::read(&path.below(&root))
    }
}
