//! One environment is of one GitLab: the values of its tokens are for that one alone, and their numbers mean others elsewhere.

use crate::error::{Error, Kind, Result};
use crate::instance::Instance;
use crate::journal::{Replay, Retiring};
use crate::lock::Lock;
use crate::profile::Environment;
use crate::repo::RelPath;

/// Refuses where the profile has come to name another GitLab than the tokens are of that the lock, or the journal of an
/// interrupted run, has.
///
/// # Errors
/// As said.
pub(super) fn check(
    environment: &Environment,
    lock: &Lock,
    lock_path: &RelPath,
    replay: &Replay,
) -> Result<()> {
    let (name, here) = (&environment.name, &environment.gitlab);
    let is_of = |key: &str, what: &str, there: &Instance| {
        let what = format!("{what} of {key} is of {there}, and the profile of {name} names {here}");
        Error::new(Kind::Refused, what)
    };
    let back = format!("give the profile its old gitlab: back, and run provision resume --env {name}");
    if let Some(open) = replay.open.iter().find(|open| open.intent.gitlab != *here) {
        let intent = &open.intent;
        return Err(
            is_of(&intent.key, "the token that an interrupted run was making", &intent.gitlab).hint(back)
        );
    }
    let is_other = |begun: &&Retiring| begun.gitlab.as_ref().is_some_and(|gitlab| gitlab != here);
    if let Some((begun, there)) =
        replay.retiring.iter().find(is_other).and_then(|begun| Some((begun, begun.gitlab.as_ref()?)))
    {
        let what = format!("token {}, which an interrupted run was about to revoke,", begun.token.id);
        return Err(is_of(&begun.key, &what, there).hint(back));
    }
    let tokens = lock.tokens.iter().flat_map(|(key, entry)| {
        let superseded = entry.superseded.iter().map(move |old| (key, old.id, &old.gitlab));
        std::iter::once((key, entry.id, &entry.gitlab)).chain(superseded)
    });
    let mut others = tokens.filter(|(_, _, gitlab)| *gitlab != here);
    let Some((key, id, there)) = others.next() else { return Ok(()) };
    Err(is_of(key, &format!("token {id}"), there)
        .hint(format!(
            "give the profile its old gitlab: back, and end it there: provision revoke --env {name}"
        ))
        .hint(format!(
            "or, where that is not to be reached any more, take {key} out of {lock_path} and commit that"
        )))
}
