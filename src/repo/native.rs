//! The commit made with gix.
//!
//! Order: lock the index, read it, take the files in, write objects and the new index (into the lock), sign,
//! move the reference by compare-and-swap, put the index in place. Until the reference moves nothing is
//! visible.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix::ObjectId;
use gix::filter::plumbing::pipeline::convert::ToGitOutcome;
use gix::index::entry::{Mode, Stat};
use gix::prelude::Find as _;
use gix::refs::Target;
use gix::refs::transaction::{PreviousValue, RefEdit};

use super::commit::{By, Change, CommitRequest, Committed, refuse_moved_head, stored_message};
use super::durable::{self, RefFiles};
use super::error::{CommitError, Doing, RepoError, why};
use super::fingerprint::Fingerprint;
use super::index::{LockedIndex, Staged};
use super::path::RelPath;
use super::sharing::Sharing;
use super::{Repository, guards, inherited, signals};

/// git's own defaults of core.filesRefLockTimeout and core.packedRefsTimeout.
const REF_PATIENCE: Duration = Duration::from_millis(100);
const PACKED_PATIENCE: Duration = Duration::from_secs(1);

/// Makes the commit. The index is locked, and free again when this returns.
pub(super) fn commit(
    repo: &Repository,
    git: &gix::Repository,
    mut locked: LockedIndex,
    sharing: Sharing,
    request: &CommitRequest,
    changes: &[Change],
    notes: Vec<String>,
) -> Result<Option<Committed>, CommitError> {
    refuse_moved_head(git, &request.expected_head)?;
    let mut objects = Objects { git, sharing, written: Vec::new() };
    let Some(tree) = take_in(repo, &mut objects, &mut locked, request, changes)? else { return Ok(None) };
    let message = stored_message(&request.message);
    let parent = request.expected_head.commit;
    let commit = signed_commit(git, tree, parent, &message)?;
    let id = objects.write(&commit)?;
    locked.write(git)?;
    durable::sync_objects(git, &objects.written)?;
    publish(git, locked, sharing, request, id, &message)?;
    Ok(Some(Committed { id, by: By::Gix, notes }))
}

/// Blobs and trees of the commit, and the index entries for them. `None` when HEAD's tree is the same
/// already.
fn take_in(
    repo: &Repository,
    objects: &mut Objects<'_>,
    locked: &mut LockedIndex,
    request: &CommitRequest,
    changes: &[Change],
) -> Result<Option<ObjectId>, CommitError> {
    let git = objects.git;
    let base = match request.expected_head.commit {
        Some(id) => {
            git.find_commit(id).and_then(|commit| Ok(commit.tree_id()?.detach())).doing("read HEAD's tree")?
        }
        None => ObjectId::empty_tree(git.object_hash()),
    };
    let mut editor = git.edit_tree(base).doing("read HEAD's tree")?.detach();
    for change in changes {
        guards::refuse_path(git, &locked.index, repo.root(), &change.path)?;
        let staged = stage(repo, objects, &locked.index, change)?;
        let components = change.path.as_str().split('/');
        match &staged {
            Some(file) => editor.upsert(components, file.kind(), file.id).doing("edit the tree")?,
            None => editor.remove(components).doing("edit the tree")?,
        };
        locked.record(&change.path, staged.as_ref());
    }
    let tree = editor.write(|tree| objects.write(tree))?;
    Ok((tree != base).then_some(tree))
}

fn stage(
    repo: &Repository,
    objects: &mut Objects<'_>,
    index: &gix::index::State,
    change: &Change,
) -> Result<Option<Staged>, CommitError> {
    let Some(read) = read(repo, objects.git, index, change)? else { return Ok(None) };
    Ok(Some(Staged { id: objects.write_blob(&read.for_git)?, stat: read.stat, executable: read.executable }))
}

/// A file of the worktree that is what was written.
pub(super) struct ReadFile {
    /// What git stores of it.
    pub(super) for_git: Vec<u8>,
    stat: Stat,
    pub(super) executable: bool,
}

/// Reads a file and holds it against what was written, looking at its stat before and after.
pub(super) fn read(
    repo: &Repository,
    git: &gix::Repository,
    index: &gix::index::State,
    change: &Change,
) -> Result<Option<ReadFile>, CommitError> {
    let path = &change.path;
    let file = path.below(repo.root());
    let changed = || CommitError::Changed { path: path.clone() };
    let before = stat(&file);
    let Some(wanted) = change.content else {
        return if before.is_none() { Ok(None) } else { Err(changed()) };
    };
    let (before, metadata) = before.ok_or_else(changed)?;
    if !metadata.is_file() {
        return Err(RepoError::NotAFile { path: path.clone() }.into());
    }
    let bytes = super::read::bytes(&file);
    let bytes = bytes.map_err(|source| RepoError::Io { doing: "read", path: file.clone(), source })?;
    if Fingerprint::of(&bytes) != wanted {
        return Err(changed());
    }
    let for_git = clean(git, index, path, &bytes)?;
    if stat(&file).is_none_or(|(after, _)| after != before) {
        return Err(changed());
    }
    let executable = is_executable(git, index, path, &metadata)?;
    Ok(Some(ReadFile { for_git, stat: before, executable }))
}

/// gix's own metadata: std's has the birth time where git keeps the change time.
fn stat(file: &Path) -> Option<(Stat, gix::index::fs::Metadata)> {
    let metadata = gix::index::fs::Metadata::from_path_no_follow(file).ok()?;
    Some((Stat::from_fs(&metadata).ok()?, metadata))
}

/// The bytes as git stores them: line endings, encoding, ident and clean filters applied.
pub(super) fn clean(
    git: &gix::Repository,
    index: &gix::index::State,
    path: &RelPath,
    content: &[u8],
) -> Result<Vec<u8>, RepoError> {
    let failed = |why| RepoError::Filter { path: path.clone(), why };
    let (mut pipeline, mut attributes) = inherited::filters(git)?;
    let place = Path::new(path.as_str());
    let entry = attributes.at_path(place, None, &git.objects);
    let entry = entry.map_err(|error| failed(error.to_string()))?;
    // The index has a say only where `core.autocrlf` must know how the file is stored now.
    let mut stored = |buffer: &mut Vec<u8>| {
        let Some(known) = index.entry_by_path(path.as_str().into()) else { return Ok(None) };
        let object = git.objects.try_find(&known.id, buffer)?;
        Ok(object.filter(|object| object.kind == gix::objs::Kind::Blob).map(|_| ()))
    };
    let mut matching = |_: &gix::bstr::BStr, found: &mut gix::attrs::search::Outcome| {
        entry.matching_attributes(found);
    };
    let outcome = pipeline
        .convert_to_git(content, place, &mut matching, &mut stored)
        .map_err(|error| failed(why(&error)))?;
    match outcome {
        ToGitOutcome::Unchanged(_) => Ok(content.to_vec()),
        ToGitOutcome::Buffer(bytes) => Ok(bytes.to_vec()),
        ToGitOutcome::Process(mut output) => {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
            Ok(bytes)
        }
    }
}

/// With core.fileMode=false the index knows, not the file.
fn is_executable(
    git: &gix::Repository,
    index: &gix::index::State,
    path: &RelPath,
    metadata: &gix::index::fs::Metadata,
) -> Result<bool, RepoError> {
    let trusted = git.filesystem_options().doing("read core.fileMode")?.executable_bit;
    let known = index.entry_by_path(path.as_str().into());
    Ok(match known {
        _ if trusted => metadata.is_executable(),
        Some(entry) => entry.mode == Mode::FILE_EXECUTABLE,
        None => false,
    })
}

fn signed_commit(
    git: &gix::Repository,
    tree: ObjectId,
    parent: Option<ObjectId>,
    message: &str,
) -> Result<gix::objs::Commit, RepoError> {
    let (author, committer) = identities(git)?;
    let commit = gix::objs::Commit {
        tree,
        parents: parent.into_iter().collect(),
        author,
        committer,
        encoding: None,
        message: message.into(),
        extra_headers: Vec::new(),
    };
    let setting = inherited::signing_program(git);
    let failed = |why| RepoError::Signing { why, setting };
    match inherited::signing(git).map_err(|error| failed(why(&error)))? {
        Some(options) => {
            commit.sign(options).map_err(|error| failed(format!("that failed: {}", why(&error))))
        }
        None => Ok(commit),
    }
}

/// Author and committer, with the times of now or of `GIT_*_DATE`. gix never guesses a name.
pub(super) fn identities(
    git: &gix::Repository,
) -> Result<(gix::actor::Signature, gix::actor::Signature), RepoError> {
    let author = git.author().ok_or(RepoError::NoIdentity { who: "author" })?;
    let committer = git.committer().ok_or(RepoError::NoIdentity { who: "committer" })?;
    let author = author.and_then(|author| author.to_owned()).doing("read the author's identity")?;
    let committer = committer.and_then(|one| one.to_owned()).doing("read the committer's identity")?;
    Ok((author, committer))
}

/// Moves HEAD, then puts the index in place. Nothing may come between the two.
fn publish(
    git: &gix::Repository,
    mut locked: LockedIndex,
    sharing: Sharing,
    request: &CommitRequest,
    id: ObjectId,
    message: &str,
) -> Result<(), CommitError> {
    let files = RefFiles::of(git, request.expected_head.branch.as_deref());
    let committer = git.committer().transpose().doing("read the committer's identity")?;
    let missing = files.missing_directories();
    let locks = reference_locks(git, request.expected_head.branch.as_deref());
    let shield = signals::shield();
    locked.announce(id);
    let transaction = git
        .refs
        .transaction()
        .prepare([head_edit(request, id, message)?], REF_PATIENCE.into(), PACKED_PATIENCE.into())
        .map_err(|error| ref_refused(git, request, &error))?;
    locked.beside(&locks);
    // Until here nothing has moved: an error is a refusal.
    files.sync_lock(sharing).map_err(|source| RepoError::Io {
        doing: "flush",
        path: files.lock_path(),
        source,
    })?;
    transaction.commit(committer).map_err(|error| ref_refused(git, request, &error))?;
    let index = locked.publish(&shield);
    // The reference is flushed whatever became of the index.
    let settled = files.settle(sharing, &missing);
    let index =
        index.map_err(|error| CommitError::IndexNotReplaced { commit: id, why: error.to_string() })?;
    settled.doing_commit(id)?;
    durable::sync_parent(&index).doing_commit(id)
}

fn head_edit(request: &CommitRequest, id: ObjectId, message: &str) -> Result<RefEdit, RepoError> {
    let subject = message.lines().next().unwrap_or_default();
    let (expected, log) = match request.expected_head.commit {
        Some(parent) => {
            (PreviousValue::MustExistAndMatch(Target::Object(parent)), format!("commit: {subject}"))
        }
        None => (PreviousValue::MustNotExist, format!("commit (initial): {subject}")),
    };
    let head = gix::refs::FullName::try_from("HEAD")
        .map_err(|error| RepoError::Git { doing: "name HEAD".to_owned(), why: error.to_string() })?;
    Ok(RefEdit::update(head, id, expected, log).with_deref(true))
}

/// What moving HEAD locks: HEAD, the branch it is on, and the packed references, which are read under their lock.
pub(super) fn reference_locks(git: &gix::Repository, branch: Option<&str>) -> Vec<PathBuf> {
    let own = [git.git_dir().join("HEAD.lock"), git.common_dir().join("packed-refs.lock")];
    let branch = branch.map(|name| git.common_dir().join(format!("{name}.lock")));
    own.into_iter().chain(branch).collect()
}

/// The reference was not moved: because it is elsewhere by now, is locked, or for another reason.
fn ref_refused(git: &gix::Repository, request: &CommitRequest, error: &gix::Error) -> CommitError {
    if let Err(moved @ CommitError::HeadMoved { .. }) = refuse_moved_head(git, &request.expected_head) {
        return moved;
    }
    let mut locks = reference_locks(git, request.expected_head.branch.as_deref()).into_iter();
    let refused = match locks.find(|lock| lock.exists()) {
        Some(lock) => RepoError::Locked { lock },
        None => RepoError::Git { doing: "move HEAD to the new commit".to_owned(), why: why(error) },
    };
    refused.into()
}

trait DoingCommit<T> {
    fn doing_commit(self, commit: ObjectId) -> Result<T, CommitError>;
}

impl<T> DoingCommit<T> for std::io::Result<T> {
    fn doing_commit(self, commit: ObjectId) -> Result<T, CommitError> {
        self.map_err(|error| CommitError::NotDurable { commit, why: error.to_string() })
    }
}

/// Writes objects with the repository's modes and remembers them, so that they can be flushed.
struct Objects<'a> {
    git: &'a gix::Repository,
    sharing: Sharing,
    written: Vec<ObjectId>,
}

impl Objects<'_> {
    fn write(&mut self, object: impl gix::objs::WriteTo) -> Result<ObjectId, RepoError> {
        let mut bytes = Vec::new();
        let kind = object.kind();
        object.write_to(&mut bytes).map_err(|error| RepoError::Git {
            doing: "write an object".to_owned(),
            why: error.to_string(),
        })?;
        self.write_bytes(kind, &bytes)
    }

    fn write_blob(&mut self, bytes: &[u8]) -> Result<ObjectId, RepoError> {
        self.write_bytes(gix::objs::Kind::Blob, bytes)
    }

    fn write_bytes(&mut self, kind: gix::objs::Kind, bytes: &[u8]) -> Result<ObjectId, RepoError> {
        let id = gix::objs::compute_hash(self.git.object_hash(), kind, bytes)
            .map_err(|error| RepoError::Git { doing: "hash an object".to_owned(), why: error.to_string() })?;
        self.written.push(id);
        if self.git.has_object(id) {
            return Ok(id);
        }
        let _shield = signals::shield();
        durable::write_object(self.git, self.sharing, kind, bytes, id)?;
        Ok(id)
    }
}
