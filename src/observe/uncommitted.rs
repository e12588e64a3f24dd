//! Files of ours that differ from what HEAD has: what somebody has to do about each of them first.

use super::interrupted;
use crate::error::{Error, Kind, Result};
use crate::hint::Hint;
use crate::journal::Replay;
use crate::repo::{Difference, RelPath, RepoError, Repository};

/// Our own files must be as HEAD has them, so that what is written is what was reviewed.
pub(super) fn own_file(repo: &Repository, path: &RelPath, replay: &Replay) -> Result<()> {
    edited(repo, path, replay)?.map_or(Ok(()), |difference| Err(uncommitted(path, difference)))
}

/// How a file differs from what HEAD has. What an interrupted run of ours left in the work tree does not count: it is known
/// by its content.
///
/// # Errors
/// Where the repository cannot be read, or the path leads out of it.
pub fn edited(repo: &Repository, path: &RelPath, replay: &Replay) -> Result<Option<Difference>> {
    let real = repo.resolve(path)?;
    let Some(difference) = repo.differs_from_head(path)? else { return Ok(None) };
    let is_ours =
        interrupted::stands_as(&real.below(repo.root()), |digest| replay.wrote(path.as_str(), digest));
    Ok((!is_ours).then_some(difference))
}

/// What is said of a file that differs so, with the commands that mend it.
pub(crate) fn uncommitted(path: &RelPath, difference: Difference) -> Error {
    let refused = |what: &str| Error::new(Kind::Refused, format!("{path} {what}"));
    let add = |before: &str| Hint::from(before.to_owned()).then("git add ").path(path).then(" && git commit");
    let restore = |before: &str| {
        Hint::from(before.to_owned())
            .then("go back to the committed state: git restore --staged --worktree ")
            .path(path)
    };
    match difference {
        Difference::Staged | Difference::Unstaged | Difference::StagedAndUnstaged => {
            refused("has changes that are not committed").hint(add("commit it: ")).hint(restore("or "))
        }
        Difference::Untracked => refused("is there, but not committed")
            .hint(add("if it is right, and holds no secret in the clear, commit it: "))
            .hint("or move it out of the way"),
        Difference::Ignored => refused("is there, but ignored by git").hint(
            Hint::from("git check-ignore -v ")
                .path(path)
                .then(" shows the rule; or move the file out of the way"),
        ),
        Difference::Missing => {
            refused("was deleted, and the deletion is not committed").hint(restore("")).hint(
                Hint::from("or, to have it made anew, commit the deletion: git rm ")
                    .path(path)
                    .then(" && git commit"),
            )
        }
        Difference::Conflicted => refused("has merge conflicts").hint(add("resolve them, then ")),
        Difference::Added => refused("is added, but not committed")
            .hint("commit it: git commit")
            .hint(Hint::from("or take it back: git rm --cached ").path(path)),
        // git asks for --force where the index has what nothing else has; the file stays.
        Difference::AddedAndEdited => refused("is added, but not committed, and was edited since")
            .hint(add("commit it: "))
            .hint(Hint::from("or take it back: git rm --cached --force ").path(path)),
        Difference::AddedAndMissing => refused("is added, but not committed, and was deleted since")
            .hint(Hint::from("bring it back: git restore ").path(path).then(", and commit it: git commit"))
            .hint(Hint::from("or take it back: git rm --cached ").path(path)),
        Difference::OutsideSparse => RepoError::OutsideSparse { path: path.clone() }.into(),
        Difference::Skipped => RepoError::Skipped { path: path.clone() }.into(),
    }
}
