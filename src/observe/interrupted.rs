//! What an interrupted run left: its journal, compared with what GitLab and the repository are now.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Kind, Result};
use crate::gitlab::client::Client;
use crate::journal::{Open, Replay};
use crate::lock::{self, Lock};
use crate::plan::observed::{Outcome, Pending};
use crate::repo::{Head, Repository};
use crate::sops::{Encrypted, Format};
use crate::world::World;

/// Where the journal of an environment is: under the common git directory, so that all linked worktrees share it.
#[must_use]
pub fn journal_path(repo: &Repository, environment: &str) -> PathBuf {
    repo.common_dir().join("provision").join(format!("{environment}.journal"))
}

/// Reads the journal; an absent one is an empty one.
///
/// # Errors
/// When it cannot be read, or a line is not one of this version.
pub fn replay(repo: &Repository, environment: &str) -> Result<Replay> {
    let path = journal_path(repo, environment);
    let shown = path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Replay::default()),
        Err(error) => {
            return Err(Error::new(Kind::Failed, format!("cannot read the journal {shown}"))
                .because(error.to_string()));
        }
    };
    Replay::read(&shown, &text).map_err(|error| {
        Error::from_source(Kind::HalfWay, &error)
            .hint("an interrupted run of another version wrote it; let that version finish, or look at GitLab by hand")
    })
}

/// What became of each open mint.
///
/// # Errors
/// Where GitLab refuses or cannot be reached.
pub async fn pending(
    replay: &Replay,
    client: &Client,
    repo: &Repository,
    head: &Head,
    lock: &Lock,
    world: &World,
) -> Result<Vec<Pending>> {
    let mut pending = Vec::new();
    for open in &replay.open {
        let outcome = match &open.minted {
            Some((record, sealed)) => {
                let now = client.get(&open.intent.owner, record.id).await?;
                let record = now.unwrap_or_else(|| ended(record));
                Outcome::Recorded { record, opens: opens(sealed, world) }
            }
            None => {
                match client.find_by_mark(&open.intent.owner, &open.intent.mark).await?.into_iter().next() {
                    Some(record) => Outcome::Found(record),
                    None => Outcome::NotFound,
                }
            }
        };
        pending.push(Pending {
            intent: open.intent.clone(),
            outcome,
            same_ground: same_ground(open, repo, head, lock),
        });
    }
    Ok(pending)
}

/// GitLab no longer knows it: as good as revoked.
fn ended(record: &crate::token::Record) -> crate::token::Record {
    crate::token::Record { active: false, revoked: true, ..record.clone() }
}

fn opens(sealed: &str, world: &World) -> bool {
    let Ok(identities) = world.identities() else { return false };
    Encrypted::parse(Format::Yaml, sealed.as_bytes()).is_ok_and(|document| document.open(&identities).is_ok())
}

fn same_ground(open: &Open, repo: &Repository, head: &Head, lock: &Lock) -> bool {
    open.intent.worktree == repo.worktree_id()
        && open.intent.branch == head.branch
        && open.intent.planned_on == entry_digest(lock, &open.intent.key)
}

/// Identifies a lock entry by its id and all that was written with it.
#[must_use]
pub fn entry_digest(lock: &Lock, key: &str) -> Option<String> {
    let entry = lock.tokens.get(key)?;
    let alone = Lock { tokens: [(key.to_owned(), entry.clone())].into() };
    Some(lock::digest(&alone.write()))
}

/// SHA-256 of a file's content, hexadecimal.
#[must_use]
pub fn content_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
