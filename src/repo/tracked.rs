//! The files that git tracks, and what the index holds of them.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::index::entry::{Flags, Mode, Stage};

use super::error::{Doing, RepoError};
use super::path::RelPath;
use super::{Repository, index};

/// A regular file of the index.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// Its name.
    pub path: RelPath,
    /// What is staged, of a conflict our side; `None` after `git add --intent-to-add`.
    pub(super) blob: Option<ObjectId>,
    /// Whether the merge of the file is not done.
    pub(super) conflicted: bool,
    /// Whether the sparse checkout leaves it out of the work tree.
    outside_sparse: bool,
}

impl Repository {
    /// The regular files of the index, sorted; those too that a sparse checkout leaves out, and those in conflict. Links,
    /// submodules, and names that are not UTF-8 or have control characters are left out. A hook's index is the one that
    /// git names to it.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn tracked(&self) -> Result<Vec<Tracked>, RepoError> {
        let mut files = BTreeMap::new();
        let index = index::read(&self.git)?;
        for entry in index.entries() {
            let name = entry.path(&index);
            if entry.mode == Mode::DIR {
                self.expand(name, entry.id, &mut files)?;
                continue;
            }
            let Some(path) = name_of_file(entry.mode, name) else { continue };
            let has_content = !entry.flags.contains(Flags::INTENT_TO_ADD);
            let stage = entry.stage();
            let file = Tracked {
                path,
                blob: has_content.then_some(entry.id),
                conflicted: stage != Stage::Unconflicted,
                outside_sparse: entry.flags.contains(Flags::SKIP_WORKTREE),
            };
            // The stages of a conflict follow each other: base, ours, theirs.
            if stage != Stage::Theirs || !files.contains_key(file.path.as_str()) {
                files.insert(file.path.to_string(), file);
            }
        }
        Ok(files.into_values().collect())
    }

    /// The files of a folder that a sparse index keeps as one entry, `name` with a slash at its end.
    fn expand(
        &self,
        name: &gix::bstr::BStr,
        tree: ObjectId,
        files: &mut BTreeMap<String, Tracked>,
    ) -> Result<(), RepoError> {
        let below = self.files_of_tree(tree)?;
        for entry in below.entries() {
            let whole = [name.as_bytes(), entry.path(&below).as_bytes()].concat();
            let Some(path) = name_of_file(entry.mode, whole.as_bstr()) else { continue };
            let (blob, conflicted, outside_sparse) = (Some(entry.id), false, true);
            files.insert(path.to_string(), Tracked { path, blob, conflicted, outside_sparse });
        }
        Ok(())
    }

    /// All files of a tree.
    pub(super) fn files_of_tree(&self, tree: ObjectId) -> Result<gix::index::File, RepoError> {
        let read = || self.git.index_from_tree(&tree).doing(format!("read the tree {tree}"));
        self.read_or_fetch(read, &["ls-tree", "-r", &tree.to_string()])
    }

    /// The staged bytes of a file, as git stores them; `None` where only its name is staged.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn staged_content(&self, file: &Tracked) -> Result<Option<Vec<u8>>, RepoError> {
        let Some(id) = file.blob else { return Ok(None) };
        let read = || self.git.find_blob(id).doing(format!("read {} of the index", file.path));
        let mut blob = self.read_or_fetch(read, &["cat-file", "blob", &id.to_string()])?;
        Ok(Some(blob.take_data()))
    }

    /// The file's bytes in the work tree, or as staged where the sparse checkout leaves it out; `None` where there is none,
    /// or no regular file.
    ///
    /// # Errors
    /// When the path leaves the repository, or cannot be read.
    pub fn tracked_content(&self, file: &Tracked) -> Result<Option<Vec<u8>>, RepoError> {
        match self.work_tree_content(&file.path)? {
            None if file.outside_sparse => self.staged_content(file),
            content => Ok(content),
        }
    }

    /// The file's bytes in the work tree; `None` where there is none, or no regular file.
    ///
    /// # Errors
    /// When the path leaves the repository, or cannot be read.
    pub fn work_tree_content(&self, path: &RelPath) -> Result<Option<Vec<u8>>, RepoError> {
        let file = self.resolve(path)?.below(&self.root);
        if !file.is_file() {
            return Ok(None);
        }
        super::read::bytes(&file).map(Some).map_err(|source| RepoError::Io {
            doing: "read",
            path: file,
            source,
        })
    }
}

/// The name of a regular file, where it is one that we can work with.
pub(super) fn name_of_file(mode: Mode, name: &gix::bstr::BStr) -> Option<RelPath> {
    let is_file = matches!(mode, Mode::FILE | Mode::FILE_EXECUTABLE);
    RelPath::new(name.to_str().ok().filter(|_| is_file)?).ok()
}
