//! What files are at a commit, and how they differ from HEAD.

use std::io::Read;

use gix::ObjectId;
use gix::bstr::BStr;
use gix::filter::plumbing::pipeline::convert::ToWorktreeOutcome;
use gix::index::entry::{Flags, Mode, Stage};
use gix::objs::tree::EntryKind;

use super::error::{Doing, RepoError, why};
use super::path::RelPath;
use super::{Repository, guards, index, inherited, native};

/// How a file differs from HEAD, as far as a person must deal with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Unmerged.
    Conflicted,
    /// The index has a file that HEAD has not; the file is as the index.
    Added,
    /// The index has a file that HEAD has not; the file is otherwise.
    AddedAndEdited,
    /// The index has a file that HEAD has not; there is no file.
    AddedAndMissing,
    /// The index differs from HEAD; the file is as the index.
    Staged,
    /// The file differs from the index.
    Unstaged,
    /// Both.
    StagedAndUnstaged,
    /// Only in the worktree.
    Untracked,
    /// Only in the worktree, and an ignore rule matches.
    Ignored,
    /// In HEAD and the index, gone from the worktree.
    Missing,
    /// In HEAD, left out of the worktree by the sparse checkout.
    OutsideSparse,
    /// Marked by hand as not to be looked at (`git update-index --skip-worktree`).
    Skipped,
}

/// What git keeps of a file: its bytes' id, and whether it is a program or a link.
type Entry = Option<(ObjectId, Mode)>;

impl Repository {
    /// The file at HEAD as git would check it out; `None` when HEAD has none, or there is no commit.
    ///
    /// # Errors
    /// When the path leaves the repository, is no file there, or a filter fails.
    pub fn content_at_head(&self, path: &RelPath) -> Result<Option<Vec<u8>>, RepoError> {
        match self.head()?.commit {
            Some(commit) => self.content_at(commit, path),
            None => Ok(None),
        }
    }

    /// The file at HEAD as it is stored, before any filter; `None` when HEAD has none, or there is no commit.
    ///
    /// # Errors
    /// When the path leaves the repository, or is no file there.
    pub fn stored_at_head(&self, path: &RelPath) -> Result<Option<Vec<u8>>, RepoError> {
        let path = self.resolve(path)?;
        match self.head()?.commit {
            Some(commit) => self.blob_at(commit, &path),
            None => Ok(None),
        }
    }

    /// The file at `commit` as git would check it out here. The path is followed through the symlinks of the
    /// worktree, not of the commit.
    ///
    /// # Errors
    /// When the path leaves the repository, is no file there, or a filter fails.
    pub fn content_at(&self, commit: ObjectId, path: &RelPath) -> Result<Option<Vec<u8>>, RepoError> {
        let path = self.resolve(path)?;
        match self.blob_at(commit, &path)? {
            Some(blob) => self.smudge(&path, &blob).map(Some),
            None => Ok(None),
        }
    }

    /// The file's bytes in the commit, as stored.
    pub(super) fn blob_at(&self, commit: ObjectId, path: &RelPath) -> Result<Option<Vec<u8>>, RepoError> {
        let object = format!("{commit}:{path}");
        self.read_or_fetch(|| self.blob_here(commit, path), &["cat-file", "blob", &object])
    }

    fn blob_here(&self, commit: ObjectId, path: &RelPath) -> Result<Option<Vec<u8>>, RepoError> {
        let Some((id, mode)) = self.entry_at(commit, path)? else { return Ok(None) };
        if !matches!(mode, Mode::FILE | Mode::FILE_EXECUTABLE) {
            return Err(RepoError::NotAFile { path: path.clone() });
        }
        let mut blob = self.git.find_blob(id).doing(format!("read {path} at {commit}"))?;
        Ok(Some(blob.take_data()))
    }

    fn entry_at(&self, commit: ObjectId, path: &RelPath) -> Result<Entry, RepoError> {
        let doing = || format!("read the tree of {commit}");
        let tree = self.git.find_commit(commit).and_then(|commit| commit.tree()).doing(doing())?;
        for directory in path.directories() {
            let entry = tree.lookup_entry(directory.split('/')).doing(doing())?;
            if entry.is_some_and(|entry| entry.mode().is_commit()) {
                return Err(RepoError::InOtherRepository { path: path.clone(), other: directory.to_owned() });
            }
        }
        let entry = tree.lookup_entry(path.as_str().split('/')).doing(doing())?;
        Ok(entry.map(|entry| (entry.object_id(), mode_of(entry.mode().kind()))))
    }

    fn smudge(&self, path: &RelPath, blob: &[u8]) -> Result<Vec<u8>, RepoError> {
        let failed = |why| RepoError::Filter { path: path.clone(), why };
        let (mut pipeline, mut attributes) = inherited::filters(&self.git)?;
        let name: &BStr = path.as_str().into();
        let entry = attributes.at_entry(name, None, &self.git.objects);
        let entry = entry.map_err(|error| failed(error.to_string()))?;
        let mut matching = |_: &BStr, found: &mut gix::attrs::search::Outcome| {
            entry.matching_attributes(found);
        };
        let outcome = pipeline
            .convert_to_worktree(blob, name, &mut matching, Default::default())
            .map_err(|error| failed(why(&error)))?;
        match outcome {
            ToWorktreeOutcome::Unchanged(bytes) => Ok(bytes.to_vec()),
            ToWorktreeOutcome::Buffer(bytes) => Ok(bytes.to_vec()),
            mut process @ ToWorktreeOutcome::Process(_) => {
                let mut bytes = Vec::new();
                process.read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
                Ok(bytes)
            }
        }
    }

    /// Whether an ignore rule matches the path; a tracked file may match one all the same.
    ///
    /// # Errors
    /// When the path leaves the repository, or the rules cannot be read.
    pub fn is_ignored(&self, path: &RelPath) -> Result<bool, RepoError> {
        let path = self.resolve(path)?;
        let index = index::read(&self.git)?;
        guards::is_ignored(&self.git, &index, &path)
    }

    /// How the file differs from HEAD, by content; `None` when HEAD, index and worktree agree (also that
    /// there is no such file).
    ///
    /// # Errors
    /// When the path leaves the repository, or something cannot be read.
    pub fn differs_from_head(&self, path: &RelPath) -> Result<Option<Difference>, RepoError> {
        let path = self.resolve(path)?;
        let name: &BStr = path.as_str().into();
        let index = index::read(&self.git)?;
        let stages = [Stage::Base, Stage::Ours, Stage::Theirs];
        if stages.iter().any(|stage| index.entry_by_path_and_stage(name, *stage).is_some()) {
            return Ok(Some(Difference::Conflicted));
        }
        let at_head = match self.head()?.commit {
            Some(commit) => self.entry_at(commit, &path)?,
            None => None,
        };
        let entry = index.entry_by_path(name);
        let is_skipped = entry.is_some_and(|entry| entry.flags.contains(Flags::SKIP_WORKTREE));
        if is_skipped && !guards::is_sparse(&self.git) {
            return Ok(Some(Difference::Skipped));
        }
        if is_skipped || guards::is_collapsed(&index, &path) {
            return Ok(Some(Difference::OutsideSparse));
        }
        // An intent to add is a name without content: the file is as good as untracked.
        let staged = entry.filter(|entry| !entry.flags.contains(Flags::INTENT_TO_ADD));
        let staged: Entry = staged.map(|entry| (entry.id, entry.mode));
        let on_disk = self.on_disk(&index, &path, staged)?;
        if staged.is_none() && at_head.is_none() && on_disk.is_some() {
            let ignored = entry.is_none() && guards::is_ignored(&self.git, &index, &path)?;
            return Ok(Some(if ignored { Difference::Ignored } else { Difference::Untracked }));
        }
        Ok(compare(at_head, staged, on_disk))
    }

    /// Whether the file in the work tree is as `commit` has it; also where neither has it.
    ///
    /// # Errors
    /// When the path leaves the repository, or cannot be read.
    pub fn stands_as(&self, commit: ObjectId, path: &RelPath) -> Result<bool, RepoError> {
        let path = self.resolve(path)?;
        let there = self.entry_at(commit, &path)?;
        let index = index::read(&self.git)?;
        Ok(self.on_disk(&index, &path, there)? == there)
    }

    /// The entry that adding the file now would make.
    fn on_disk(&self, index: &gix::index::State, path: &RelPath, staged: Entry) -> Result<Entry, RepoError> {
        let file = path.below(&self.root);
        let Ok(metadata) = gix::index::fs::Metadata::from_path_no_follow(&file) else { return Ok(None) };
        if metadata.is_symlink() {
            return Ok(None);
        }
        if !metadata.is_file() {
            return Err(RepoError::NotAFile { path: path.clone() });
        }
        let bytes = super::read::bytes(&file).map_err(|source| RepoError::Io {
            doing: "read",
            path: file.clone(),
            source,
        })?;
        let stored = native::clean(&self.git, index, path, &bytes)?;
        let id = blob_id(&self.git, &stored)?;
        let trusted = self.git.filesystem_options().doing("read core.fileMode")?.executable_bit;
        let mode = match staged {
            Some((_, mode)) if !trusted => mode,
            _ if trusted && metadata.is_executable() => Mode::FILE_EXECUTABLE,
            _ => Mode::FILE,
        };
        Ok(Some((id, mode)))
    }
}

/// A regular file's bytes; `None` where there is none.
pub(super) fn read(file: &std::path::Path) -> Result<Option<Vec<u8>>, RepoError> {
    let failed = |source| RepoError::Io { doing: "read", path: file.to_owned(), source };
    match std::fs::symlink_metadata(file) {
        Ok(metadata) if metadata.is_file() => super::read::bytes(file).map(Some).map_err(failed),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn compare(at_head: Entry, staged: Entry, on_disk: Entry) -> Option<Difference> {
    match (at_head == staged, staged == on_disk) {
        (true, true) => None,
        (true, false) if on_disk.is_none() => Some(Difference::Missing),
        (true, false) => Some(Difference::Unstaged),
        (false, true) if at_head.is_none() => Some(Difference::Added),
        (false, true) => Some(Difference::Staged),
        (false, false) if at_head.is_none() && on_disk.is_none() => Some(Difference::AddedAndMissing),
        (false, false) if at_head.is_none() => Some(Difference::AddedAndEdited),
        (false, false) => Some(Difference::StagedAndUnstaged),
    }
}

fn mode_of(kind: EntryKind) -> Mode {
    match kind {
        EntryKind::Blob => Mode::FILE,
        EntryKind::BlobExecutable => Mode::FILE_EXECUTABLE,
        EntryKind::Link => Mode::SYMLINK,
        EntryKind::Commit => Mode::COMMIT,
        EntryKind::Tree => Mode::DIR,
    }
}

/// What a blob's bytes are called.
pub(super) fn blob_id(git: &gix::Repository, bytes: &[u8]) -> Result<ObjectId, RepoError> {
    gix::objs::compute_hash(git.object_hash(), gix::objs::Kind::Blob, bytes)
        .map_err(|error| RepoError::Git { doing: "hash a file".to_owned(), why: error.to_string() })
}
