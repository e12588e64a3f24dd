//! Whether the commit that git and its hooks made is the one that was asked for, and on the disk.

use gix::ObjectId;
use gix::objs::tree::EntryKind;

use super::commit::CommitRequest;
use super::durable::{self, RefFiles};
use super::error::{CommitError, Doing, RepoError};
use super::native::ReadFile;
use super::path::RelPath;
use super::sharing::Sharing;
use super::{Head, content, head};

/// What the commit must hold of one path; `None` is nothing.
pub(super) struct Wanted {
    path: RelPath,
    entry: Option<(ObjectId, EntryKind)>,
}

impl Wanted {
    pub(super) fn of(
        git: &gix::Repository,
        path: &RelPath,
        read: Option<&ReadFile>,
    ) -> Result<Self, RepoError> {
        let entry = match read {
            Some(file) => {
                let kind = if file.executable { EntryKind::BlobExecutable } else { EntryKind::Blob };
                Some((content::blob_id(git, &file.for_git)?, kind))
            }
            None => None,
        };
        Ok(Self { path: path.clone(), entry })
    }
}

/// The first path that the commit does not hold as wanted.
pub(super) fn first_difference(
    git: &gix::Repository,
    commit: Option<ObjectId>,
    wanted: &[Wanted],
) -> Result<Option<RelPath>, RepoError> {
    let tree = tree_of(git, commit)?;
    for want in wanted {
        let found = match &tree {
            Some(tree) => tree.lookup_entry(want.path.as_str().split('/')).doing("read a tree")?,
            None => None,
        };
        let found = found.map(|entry| (entry.object_id(), entry.mode().kind()));
        if found != want.entry {
            return Ok(Some(want.path.clone()));
        }
    }
    Ok(None)
}

/// The commit that HEAD names after git is done: the child of the planned one, with our files and no others.
pub(super) fn made(
    git: &gix::Repository,
    request: &CommitRequest,
    wanted: &[Wanted],
) -> Result<ObjectId, CommitError> {
    let expected = &request.expected_head;
    let found = head(git)?;
    let Some(id) = found.commit.filter(|id| Some(*id) != expected.commit) else {
        return Err(CommitError::GitFailed { command: "commit", status: "no commit was made".to_owned() });
    };
    check(git, request, &found, id, wanted).map_err(|error| match error {
        CommitError::Refused(error) => CommitError::NotDurable { commit: id, why: error.to_string() },
        found => found,
    })?;
    Ok(id)
}

/// Whether the commit follows the planned one and holds what it should.
fn check(
    git: &gix::Repository,
    request: &CommitRequest,
    found: &Head,
    id: ObjectId,
    wanted: &[Wanted],
) -> Result<(), CommitError> {
    let expected = &request.expected_head;
    let commit = git.find_commit(id).doing("read the new commit")?;
    let parents: Vec<ObjectId> = commit.parent_ids().map(gix::Id::detach).collect();
    if parents != expected.commit.into_iter().collect::<Vec<_>>() || found.branch != expected.branch {
        return Err(CommitError::HistoryChanged { commit: id });
    }
    if let Some(path) = first_difference(git, Some(id), wanted)? {
        return Err(CommitError::Altered { commit: id, path: path.to_string() });
    }
    match first_other_change(git, expected.commit, id, wanted)? {
        Some(path) => Err(CommitError::Altered { commit: id, path }),
        None => Ok(()),
    }
}

/// A path that changed between the two commits and is none of ours.
fn first_other_change(
    git: &gix::Repository,
    parent: Option<ObjectId>,
    commit: ObjectId,
    wanted: &[Wanted],
) -> Result<Option<String>, RepoError> {
    let (old, new) = (tree_of(git, parent)?, tree_of(git, Some(commit))?);
    let mut changed = Vec::new();
    compare(git, old.map(|tree| tree.id), new.map(|tree| tree.id), "", &mut changed)?;
    // A file of ours may have taken the place of a directory.
    let ours = |path: &String| {
        wanted.iter().any(|want| {
            let own = want.path.as_str();
            path == own || path.strip_prefix(own).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    Ok(changed.into_iter().find(|path| !ours(path)))
}

/// Entries of one tree: name, id, kind.
type Entries = std::collections::BTreeMap<String, (ObjectId, EntryKind)>;

fn compare(
    git: &gix::Repository,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
    above: &str,
    changed: &mut Vec<String>,
) -> Result<(), RepoError> {
    let (old, new) = (entries(git, old)?, entries(git, new)?);
    for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        let path = format!("{above}{name}");
        let subtree = |entry: Option<&(ObjectId, EntryKind)>| match entry {
            Some((id, EntryKind::Tree)) => Some(*id),
            _ => None,
        };
        let is_leaf = |entry: Option<&(ObjectId, EntryKind)>| entry.is_some() && subtree(entry).is_none();
        if is_leaf(before) || is_leaf(after) {
            changed.push(path.clone());
        }
        if subtree(before).is_some() || subtree(after).is_some() {
            compare(git, subtree(before), subtree(after), &format!("{path}/"), changed)?;
        }
    }
    Ok(())
}

fn entries(git: &gix::Repository, tree: Option<ObjectId>) -> Result<Entries, RepoError> {
    let Some(id) = tree else { return Ok(Entries::new()) };
    let tree = git.find_tree(id).doing("read a tree")?;
    let tree = tree.decode().doing("read a tree")?;
    let entry = |entry: &gix::objs::tree::EntryRef<'_>| {
        (entry.filename.to_string(), (entry.oid.to_owned(), entry.mode.kind()))
    };
    Ok(tree.entries.iter().map(entry).collect())
}

fn tree_of(git: &gix::Repository, commit: Option<ObjectId>) -> Result<Option<gix::Tree<'_>>, RepoError> {
    let Some(id) = commit else { return Ok(None) };
    git.find_commit(id).and_then(|commit| commit.tree()).map(Some).doing(format!("read the tree of {id}"))
}

/// Flushes what git wrote: the commit, the trees down to our files, the blobs, the reference, the index.
pub(super) fn settle(
    git: &gix::Repository,
    sharing: Sharing,
    request: &CommitRequest,
    id: ObjectId,
    wanted: &[Wanted],
) -> Result<(), CommitError> {
    let failed = |why: String| CommitError::NotDurable { commit: id, why };
    let objects = objects_of(git, id, wanted).map_err(|error| failed(error.to_string()))?;
    durable::sync_objects(git, &objects).map_err(|error| failed(error.to_string()))?;
    let files = RefFiles::of(git, request.expected_head.branch.as_deref());
    files.settle(sharing, &[]).map_err(|error| failed(error.to_string()))?;
    let index = git.index_path();
    durable::sync(&index)
        .and_then(|()| durable::sync_parent(&index))
        .map_err(|error| failed(error.to_string()))
}

fn objects_of(git: &gix::Repository, id: ObjectId, wanted: &[Wanted]) -> Result<Vec<ObjectId>, RepoError> {
    let Some(tree) = tree_of(git, Some(id))? else { return Ok(Vec::new()) };
    let mut objects = vec![id, tree.id];
    for want in wanted {
        let on_the_way = want.path.directories().chain([want.path.as_str()]);
        for path in on_the_way {
            let entry = tree.lookup_entry(path.split('/')).doing("read a tree")?;
            objects.extend(entry.map(|entry| entry.object_id()));
        }
    }
    objects.sort();
    objects.dedup();
    Ok(objects)
}
