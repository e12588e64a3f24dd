//! The commit handed to the user's `git`, where gix cannot do what git would.
//!
//! The paths are given as `:(top,literal)…` and not with `--literal-pathspecs`: that option would reach the
//! hooks through the environment and break the patterns they use.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::commit::{By, Change, CommitRequest, Committed, refuse_moved_head, stored_message};
use super::error::{CommitError, Doing, RepoError};
use super::path::RelPath;
use super::program::{self, is_program, run, undo};
use super::sharing::Sharing;
use super::{Repository, guards, head, index, native, signals, verify};

/// Every hook that a commit runs, or that sees what it does.
const HOOKS: [&str; 6] = [
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "post-index-change",
    "reference-transaction",
];

/// Why git should make the commit.
pub(super) enum Need {
    /// Without it the user's rules would be passed over.
    Must(String),
    /// Without it something of the index would be lost, though nothing of the user's work.
    Better(String),
}

/// Whether git should make the commit here.
pub(super) fn need(
    git: &gix::Repository,
    root: &Path,
    index: &gix::index::State,
) -> Result<Option<Need>, RepoError> {
    if let Some(hook) = enabled_hook(git, root)? {
        return Ok(Some(Need::Must(format!("the {hook} hook"))));
    }
    let config = git.config_snapshot();
    if config.string("commit.template").is_some() {
        return Ok(Some(Need::Must("commit.template".to_owned())));
    }
    let sparse = index.is_sparse() || config.boolean("core.sparseCheckout") == Some(true);
    let kept_by_git_alone = [
        (sparse, "the sparse checkout"),
        (index.version() == gix::index::Version::V4, "index version 4"),
        (index.fs_monitor().is_some(), "the index's file system monitor"),
        (index.untracked().is_some(), "the index's cache of untracked files"),
        (index.resolve_undo().is_some(), "the index's record of resolved conflicts"),
        (has_shared_index(git.git_dir()), "the split index"),
    ];
    let found = kept_by_git_alone.into_iter().find(|(there, _)| *there);
    Ok(found.map(|(_, what)| Need::Better(what.to_owned())))
}

/// The first hook that git would run: a program in the hooks directory, or one named in the configuration.
fn enabled_hook(git: &gix::Repository, root: &Path) -> Result<Option<String>, RepoError> {
    let directory = configured_hooks(git, root)?.unwrap_or_else(|| git.common_dir().join("hooks"));
    if let Some(hook) = HOOKS.iter().find(|hook| is_program(&directory.join(hook))) {
        return Ok(Some((*hook).to_owned()));
    }
    let config = git.config_snapshot();
    let sections = config.plumbing().sections_by_name("hook").into_iter().flatten();
    let events = sections.flat_map(|section| section.values("event"));
    let mut events = events.map(|event| event.to_string());
    Ok(events.find(|event| HOOKS.contains(&event.as_str())))
}

/// The directory that `core.hooksPath` names.
pub(super) fn configured_hooks(git: &gix::Repository, root: &Path) -> Result<Option<PathBuf>, RepoError> {
    let config = git.config_snapshot();
    let configured = config.trusted_path("core.hooksPath").doing("read core.hooksPath")?;
    Ok(configured.map(|path| root.join(path)))
}

/// A split index keeps its larger part in a file beside it.
fn has_shared_index(git_dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(git_dir) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("sharedindex."))
}

/// Makes the commit with git: its hooks, its signing, its index.
pub(super) fn commit(
    repo: &Repository,
    git: &gix::Repository,
    sharing: Sharing,
    request: &CommitRequest,
    changes: &[Change],
    why: &str,
) -> Result<Option<Committed>, CommitError> {
    refuse_moved_head(git, &request.expected_head)?;
    // git would guess a name from the system; neither road does.
    native::identities(git)?;
    let paths: Vec<RelPath> = changes.iter().map(|change| change.path.clone()).collect();
    refuse_outside_sparse(repo, git, &paths)?;
    let index = index::read(git)?;
    let mut wanted = Vec::with_capacity(changes.len());
    for change in changes {
        guards::refuse_path(git, &index, repo.root(), &change.path)?;
        let read = native::read(repo, git, &index, change)?;
        wanted.push(verify::Wanted::of(git, &change.path, read.as_ref())?);
    }
    let parent = request.expected_head.commit;
    if verify::first_difference(git, parent, &wanted)?.is_none() {
        return Ok(None);
    }
    let is_new = |change: &&Change| {
        change.content.is_some() && index.entry_by_path(change.path.as_str().into()).is_none()
    };
    let new: Vec<RelPath> = changes.iter().filter(is_new).map(|change| change.path.clone()).collect();
    if let Err(failed) = run_git(repo, git, &new, &paths, request) {
        // git also fails after HEAD has moved, when it cannot put the index in place.
        return Err(match verify::made(git, request, &wanted) {
            Ok(commit) => CommitError::IndexNotReplaced { commit, why: failed.to_string() },
            Err(_) => failed,
        });
    }
    let id = verify::made(git, request, &wanted)?;
    verify::settle(git, sharing, request, id, &wanted)?;
    Ok(Some(Committed { id, by: By::Git, notes: vec![format!("committed with git, because of {why}")] }))
}

/// `git add -N` for what git does not know, then `git commit --only`. What the first did is undone when the
/// second fails. A signal goes to git and waits here until git and the undoing are done.
fn run_git(
    repo: &Repository,
    git: &gix::Repository,
    new: &[RelPath],
    all: &[RelPath],
    request: &CommitRequest,
) -> Result<(), CommitError> {
    let _shield = signals::shield();
    let git_command = || program::git(repo);
    if !new.is_empty() {
        let mut add = git_command()?;
        add.args(["add", "--intent-to-add", "--"]).args(pathspecs(new));
        run(add, "add")?;
    }
    let mut commit = git_command()?;
    commit.args(["commit", "--quiet", "--only", "--cleanup=whitespace", "-m"]);
    commit.arg(stored_message(&request.message)).arg("--").args(pathspecs(all));
    let committed = run(commit, "commit");
    let is_made = || head(git).is_ok_and(|head| head != request.expected_head);
    if committed.is_err() && !new.is_empty() && !is_made() {
        let mut forget = git_command()?;
        forget.args(["rm", "--quiet", "--cached", "--force", "--ignore-unmatch", "--"]).args(pathspecs(new));
        undo(forget, "rm")?;
    }
    committed
}

fn pathspecs(paths: &[RelPath]) -> Vec<String> {
    paths.iter().map(|path| format!(":(top,literal){path}")).collect()
}

/// Refuses a path that the sparse checkout leaves out, as far as this git can tell (2.41 and later).
pub(super) fn refuse_outside_sparse(
    repo: &Repository,
    git: &gix::Repository,
    paths: &[RelPath],
) -> Result<(), RepoError> {
    if !guards::is_sparse(git) {
        return Ok(());
    }
    match inside_sparse(repo, paths) {
        Some(inside) => match paths.iter().find(|path| !inside.contains(path.as_str().as_bytes())) {
            Some(path) => Err(RepoError::OutsideSparse { path: path.clone() }),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// Those of these paths that the sparse checkout has; `None` where this git cannot tell.
fn inside_sparse(repo: &Repository, paths: &[RelPath]) -> Option<HashSet<Vec<u8>>> {
    let mut command = program::git(repo).ok()?;
    command.args(["sparse-checkout", "check-rules", "-z"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut names = child.stdin.take()?;
    // git answers while it still reads: neither pipe may fill up while nobody empties it.
    let asked = move || paths.iter().try_for_each(|path| write!(names, "{path}\0"));
    let output = std::thread::scope(|scope| {
        let asking = scope.spawn(asked);
        let output = child.wait_with_output();
        asking.join().ok()?.ok()?;
        output.ok().filter(|output| output.status.success())
    })?;
    Some(output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
}
