//! What an interrupted run left: its journal, compared with what GitLab and the repository are now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Kind, Result, word};
use crate::gitlab::client::Client;
use crate::instance::Instance;
use crate::journal::{Open, Push, Replay, Written};
use crate::lock::{self, Lock};
use crate::plan::observed::{Branches, Elsewhere, Outcome, Pending};
use crate::repo::{Difference, Head, ObjectId, RelPath, Repository};
use crate::repo::{read, write};
use crate::sops::{Encrypted, Format};
use crate::token::{Record, TokenId};
use crate::world::World;

use super::every_lock::EveryLock;
use super::files::GroundFile;

/// Where the journal of an environment is: under the common git directory, so that all linked worktrees share it.
#[must_use]
pub fn journal_path(repo: &Repository, environment: &str) -> PathBuf {
    repo.common_dir().join("provision").join(format!("{environment}.journal"))
}

/// The environments that have a journal, sorted.
///
/// # Errors
/// When the folder cannot be read.
pub fn environments(repo: &Repository) -> Result<Vec<String>> {
    let folder = repo.common_dir().join("provision");
    let cannot = |error: std::io::Error| {
        Error::new(Kind::Failed, format!("cannot read {}", folder.display())).because(error.to_string())
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(cannot)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(".journal")).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Reads the journal; an absent one is an empty one.
///
/// # Errors
/// When it cannot be read, or a line is not one of this version.
pub fn replay(repo: &Repository, environment: &str) -> Result<Replay> {
    let path = journal_path(repo, environment);
    let shown = path.display().to_string();
    let bytes = match read::bytes(&path) {
        Ok(bytes) => bytes,
        // A run that died while it wrote its first line left that behind: there is something to clear away.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Replay { exists: write::was_cut_off(&path), ..Replay::default() });
        }
        Err(error) => {
            return Err(Error::new(Kind::Failed, format!("cannot read the journal {shown}"))
                .because(error.to_string()));
        }
    };
    // A torn line may end within a character.
    Replay::read(&shown, &String::from_utf8_lossy(&bytes)).map_err(|error| {
        Error::from_source(Kind::HalfWay, &error)
            .hint("an interrupted run of another version wrote it; let that version finish, or look at GitLab by hand")
    })
}

/// What became of each open mint; and what the locks of all branches have of the tokens that were to be revoked.
///
/// # Errors
/// Where GitLab or a remote that was pushed to refuses or cannot be reached.
pub async fn pending(
    replay: &Replay,
    client: &Client,
    repo: &Repository,
    head: &Head,
    (lock_path, lock): (&RelPath, &Lock),
    world: &World,
) -> Result<(Vec<Pending>, Branches)> {
    let arrived = arrived(replay, repo, world)?;
    let is_any_made = replay.open.iter().any(|open| open.minted.is_some());
    let every = if is_any_made || !replay.retiring.is_empty() {
        EveryLock::of(repo, client.instance())?
    } else {
        EveryLock::default()
    };
    let mut pending = Vec::new();
    for open in &replay.open {
        let outcome = match &open.minted {
            Some((record, sealed)) => {
                let committed = every.names(record.id)
                    || is_in(&arrived.commits, record.id, &open.intent.gitlab, repo, lock_path)?;
                let now = client.get(&open.intent.owner, record.id).await?;
                let record = now.unwrap_or_else(|| ended(record));
                Outcome::Recorded { record, opens: opens(sealed, world), committed }
            }
            None => unanswered(open, replay, lock, client).await?.map_or(Outcome::NotFound, Outcome::Found),
        };
        pending.push(Pending {
            intent: open.intent.clone(),
            outcome,
            elsewhere: elsewhere(open, repo, head, lock),
            out_of_reach: arrived.out_of_reach.clone(),
            given_up: open.given_up,
        });
    }
    let involved = replay.retiring.iter().flat_map(|begun| [Some(begun.token.id), begun.successor]);
    let branches = every.about(involved.flatten());
    Ok((pending, branches))
}

/// The token that a request without a reply has made. GitLab's rotate hands the mark on, so a successor is the youngest of
/// those that have the mark and came after the one that was to be rotated, and that nobody has accounted for.
async fn unanswered(open: &Open, replay: &Replay, lock: &Lock, client: &Client) -> Result<Option<Record>> {
    let intent = &open.intent;
    let Some(old) = &intent.rotates else {
        return Ok(client.find_by_mark(&intent.owner, &intent.mark).await?.into_iter().next());
    };
    let Some(mark) = &old.mark else { return Ok(None) };
    let mut found = client.find_by_mark(&old.owner, mark).await?;
    let recorded: BTreeSet<TokenId> =
        replay.open.iter().filter_map(|open| open.minted.as_ref()).map(|(record, _)| record.id).collect();
    let is_known = |id| recorded.contains(&id) || lock.names(id, client.instance());
    found.retain(|record| record.id > old.id && !is_known(record.id));
    Ok(found.into_iter().max_by_key(|record| record.id))
}

/// GitLab no longer knows it: as good as revoked.
fn ended(record: &Record) -> Record {
    Record { active: false, revoked: true, ..record.clone() }
}

fn opens(sealed: &str, world: &World) -> bool {
    let Ok(identities) = world.identities() else { return false };
    Encrypted::parse(Format::Yaml, sealed.as_bytes()).is_ok_and(|document| document.open(&identities).is_ok())
}

/// What can be seen of the pushes of an interrupted run.
#[derive(Default)]
struct Arrived {
    /// The commits at the remote that may have what was pushed: its branch, and the default branch, into which a merge
    /// request may have been merged since.
    commits: BTreeSet<ObjectId>,
    /// A remote that was pushed to, and that this clone has no more.
    out_of_reach: Option<String>,
}

/// Asked of the remote, and not remembered: the reply to a push may have been lost.
fn arrived(replay: &Replay, repo: &Repository, world: &World) -> Result<Arrived> {
    let mut arrived = Arrived::default();
    if replay.open.iter().all(|open| open.minted.is_none()) {
        return Ok(arrived);
    }
    for push in &replay.pushes {
        let Some(remote) = pushed_to(push, repo)? else {
            arrived.out_of_reach = Some(push.remote.clone());
            continue;
        };
        let heads = world.effects().look(repo, &remote, &[&push.branch]).map_err(|error| {
            Error::from(error)
                .context("whether the push of an interrupted run arrived cannot be seen")
                .hint("run the same command again when the remote can be reached")
        })?;
        arrived.commits.extend(heads.branches.iter().map(|(_, commit)| *commit));
    }
    Ok(arrived)
}

/// The remote that was pushed to: the one with its address, whatever it is called now, else the one with its name.
fn pushed_to(push: &Push, repo: &Repository) -> Result<Option<String>> {
    let remotes = repo.remotes();
    if push.address.is_some() {
        for remote in &remotes {
            if address_digest(repo, remote)? == push.address {
                return Ok(Some(remote.clone()));
            }
        }
    }
    Ok(remotes.into_iter().find(|remote| *remote == push.remote))
}

/// Tells the address of a remote from others; what it has of a password is not in it.
///
/// # Errors
/// When the configuration cannot be read.
pub fn address_digest(repo: &Repository, remote: &str) -> Result<Option<String>> {
    Ok(repo.shown_url(remote)?.map(|url| content_digest(url.as_bytes())))
}

/// Whether the lock of one of these commits of the remote names the token.
fn is_in(
    commits: &BTreeSet<ObjectId>,
    id: TokenId,
    gitlab: &Instance,
    repo: &Repository,
    lock_path: &RelPath,
) -> Result<bool> {
    for commit in commits {
        let Some(bytes) = repo.content_at(*commit, lock_path)? else { continue };
        let lock = Lock::read(lock_path.as_str(), &String::from_utf8_lossy(&bytes)).map_err(|error| {
            Error::from_source(Kind::Refused, &error).context(format!("the lock of {commit} cannot be read"))
        })?;
        if lock.names(id, gitlab) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The files that still stand as the interrupted run left them. Those that git does not keep are not among them:
/// there is nothing that they could go back to.
///
/// # Errors
/// Where the repository cannot be read.
pub fn left(replay: &Replay, repo: &Repository, files: &[GroundFile]) -> Result<Vec<String>> {
    let mut left = BTreeSet::new();
    for written in &replay.written {
        if files.iter().any(|file| !file.commit && file.path.as_str() == written.path) {
            continue;
        }
        let path = RelPath::new(&written.path)?;
        let file = repo.resolve(&path)?.below(repo.root());
        let ours = stands_as(&file, |digest| digest == written.sha256);
        if ours && repo.differs_from_head(&path)?.is_some_and(|how| how != Difference::Ignored) {
            left.insert(written.path.clone());
        }
    }
    Ok(left.into_iter().collect())
}

/// Refuses where the interrupted run worked in another worktree, which is there and still has the files that it wrote: what
/// becomes of them is decided there. Its token revoked from here would be committed there.
///
/// # Errors
/// With kind "half-way", and the command for that worktree.
pub fn left_elsewhere(replay: &Replay, repo: &Repository, environment: &str) -> Result<()> {
    let here = repo.worktree_id();
    for open in replay.open.iter().filter(|open| open.intent.worktree != here) {
        let Some(root) = repo.root_of_worktree(open.intent.worktree.as_deref()) else { continue };
        let is_left = |written: &&Written| {
            let Ok(path) = RelPath::new(&written.path) else { return false };
            read::bytes(&path.below(&root)).is_ok_and(|bytes| content_digest(&bytes) == written.sha256)
        };
        if let Some(left) = replay.written.iter().find(is_left) {
            let place = word(root.display());
            return Err(Error::new(
                Kind::HalfWay,
                format!("an interrupted run left {} in another worktree", left.path),
            )
            .because("its token would be dead there once it is withdrawn from here")
            .hint(format!("go on with it there: provision -C {place} --env {environment}")));
        }
    }
    Ok(())
}

fn elsewhere(open: &Open, repo: &Repository, head: &Head, lock: &Lock) -> Option<Elsewhere> {
    let intent = &open.intent;
    if intent.worktree != repo.worktree_id() {
        let root = repo.root_of_worktree(intent.worktree.as_deref());
        return Some(Elsewhere::Worktree(root.map(|root| root.display().to_string())));
    }
    if intent.branch != head.branch {
        return Some(Elsewhere::Branch);
    }
    (intent.planned_on != entry_digest(lock, &intent.key)).then_some(Elsewhere::Entry)
}

/// Identifies a lock entry by its current token and all that was written with it. Which earlier ones live on is another
/// matter: the next run may retire one.
#[must_use]
pub fn entry_digest(lock: &Lock, key: &str) -> Option<String> {
    let entry = lock::Entry { superseded: Vec::new(), ..lock.tokens.get(key)?.clone() };
    let alone = Lock { tokens: [(key.to_owned(), entry)].into() };
    Some(lock::digest(&alone.write()))
}

/// Whether a file is what an interrupted run wrote there: its digest, or that of nothing where the run has removed it.
pub(super) fn stands_as(file: &Path, is: impl Fn(&str) -> bool) -> bool {
    match read::bytes(file) {
        Ok(bytes) => is(&content_digest(&bytes)),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound && is(&content_digest(&[])),
    }
}

/// SHA-256 of a file's content, hexadecimal.
#[must_use]
pub fn content_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
