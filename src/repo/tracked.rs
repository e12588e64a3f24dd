//! The files that git tracks, and what the index holds of them.

use gix::ObjectId;
use gix::index::entry::{Flags, Mode, Stage};

use super::error::{Doing, RepoError};
use super::path::RelPath;
use super::{Repository, index};

/// A regular file of the index.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// Its name.
    pub path: RelPath,
    /// What is staged; `None` after `git add --intent-to-add`.
    blob: Option<ObjectId>,
}

impl Repository {
    /// The regular files of the index in its order. Files in conflict, links, submodules, and names that are not UTF-8
    /// or have control characters are left out. A hook's index is the one that git names to it.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn tracked(&self) -> Result<Vec<Tracked>, RepoError> {
        let index = index::read(&self.git)?;
        let files = index.entries().iter().filter(|entry| {
            entry.stage() == Stage::Unconflicted && matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE)
        });
        let tracked = files.filter_map(|entry| {
            let path = RelPath::new(str::from_utf8(entry.path(&index)).ok()?).ok()?;
            let has_content = !entry.flags.contains(Flags::INTENT_TO_ADD);
            Some(Tracked { path, blob: has_content.then_some(entry.id) })
        });
        Ok(tracked.collect())
    }

    /// The staged bytes of a file, as git stores them; `None` where only its name is staged.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn staged_content(&self, file: &Tracked) -> Result<Option<Vec<u8>>, RepoError> {
        let Some(id) = file.blob else { return Ok(None) };
        let mut blob = self.git.find_blob(id).doing(format!("read {} of the index", file.path))?;
        Ok(Some(blob.take_data()))
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
