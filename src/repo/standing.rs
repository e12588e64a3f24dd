//! All tracked files at once, each with what HEAD and the index have of it: to look at thousands without reading the
//! index for each.

use std::collections::HashMap;

use gix::ObjectId;
use gix::index::entry::{Flags, Mode, Stage};

use super::error::{Doing, RepoError};
use super::path::RelPath;
use super::{Repository, content, index};

/// One regular file of the index.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub path: RelPath,
    staged: Option<ObjectId>,
    at_head: Option<ObjectId>,
}

impl Standing {
    /// Whether a file with these bytes is as HEAD and the index have it. `false` decides nothing: a filter may stand
    /// between, and [`Repository::differs_from_head`] knows of those.
    #[must_use]
    pub fn is_plainly(&self, bytes: &[u8]) -> bool {
        let Some(at_head) = self.at_head else { return false };
        let id = gix::objs::compute_hash(at_head.kind(), gix::objs::Kind::Blob, bytes);
        self.staged == Some(at_head) && id.is_ok_and(|id| id == at_head)
    }
}

impl Repository {
    /// The regular files of the index in its order; files in conflict, links, submodules, and names that are not UTF-8 or
    /// have control characters are left out.
    ///
    /// # Errors
    /// When the index or the tree of HEAD cannot be read.
    pub fn standing(&self) -> Result<Vec<Standing>, RepoError> {
        let is_file = |mode: Mode| matches!(mode, Mode::FILE | Mode::FILE_EXECUTABLE);
        let head = self.tree_of_head()?;
        let at_head: HashMap<&[u8], ObjectId> = head
            .iter()
            .flat_map(|head| {
                head.entries().iter().filter(|entry| is_file(entry.mode)).map(|entry| {
                    let name: &[u8] = entry.path(head);
                    (name, entry.id)
                })
            })
            .collect();
        let index = index::read(&self.git)?;
        let files = index
            .entries()
            .iter()
            .filter(|entry| entry.stage() == Stage::Unconflicted && is_file(entry.mode));
        let standing = files.filter_map(|entry| {
            let name: &[u8] = entry.path(&index);
            let path = RelPath::new(str::from_utf8(name).ok()?).ok()?;
            let has_content = !entry.flags.contains(Flags::INTENT_TO_ADD);
            Some(Standing {
                path,
                staged: has_content.then_some(entry.id),
                at_head: at_head.get(name).copied(),
            })
        });
        Ok(standing.collect())
    }

    fn tree_of_head(&self) -> Result<Option<gix::index::File>, RepoError> {
        let Some(commit) = self.head()?.commit else { return Ok(None) };
        let tree = self.git.find_commit(commit).doing("read the commit of HEAD")?.tree_id();
        let tree = tree.doing("read the tree of HEAD")?;
        self.git.index_from_tree(&tree).map(Some).doing("read the tree of HEAD")
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
