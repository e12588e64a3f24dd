//! Files of ours that differ from what HEAD has: what somebody has to do about each of them first.

use std::slice;

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

/// What stands in the way of writing a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InTheWay {
    /// It is not as HEAD has it.
    Differs(Difference),
    /// Somebody was taken out of it and knows the data key, which it still has.
    KeepsDataKey,
}

/// Refuses where something stands in the way of a file: all those that are named are so for the same reason.
pub(super) fn refuse(files: &[(RelPath, InTheWay)]) -> Result<()> {
    let Some((_, first)) = files.first() else { return Ok(()) };
    let alike = files.iter().filter(|(_, why)| why == first);
    let alike: Vec<RelPath> = alike.map(|(path, _)| path.clone()).collect();
    Err(match first {
        InTheWay::Differs(difference) => all_uncommitted(&alike, *difference),
        InTheWay::KeepsDataKey => {
            let names = alike.iter().map(RelPath::as_str).collect::<Vec<_>>().join(", ");
            let what = format!("{names}: other readers, not committed, and still the data key that it had");
            Error::new(Kind::Refused, what)
                .because("sops updatekeys keeps the data key, and whoever was taken out may know it")
                .hint(Hint::from(RESTORE).paths(&alike))
                .hint("then run the same command again: it makes new data keys")
        }
    })
}

const RESTORE: &str = "go back to the committed state: git restore --staged --worktree ";

/// What is said of a file that differs so, with the commands that mend it.
pub(crate) fn uncommitted(path: &RelPath, difference: Difference) -> Error {
    all_uncommitted(slice::from_ref(path), difference)
}

/// The same of several files, which differ all in the same way.
fn all_uncommitted(paths: &[RelPath], difference: Difference) -> Error {
    let names = paths.iter().map(RelPath::as_str).collect::<Vec<_>>().join(", ");
    let refused = |what: &str| Error::new(Kind::Refused, format!("{names} {what}"));
    let [it, they, is, was, has, holds] = if paths.len() == 1 {
        ["it", "it", "is", "was", "has", "holds"]
    } else {
        ["them", "they", "are", "were", "have", "hold"]
    };
    let command = |command: &str| Hint::from(command.to_owned()).paths(paths);
    let add = |before: &str| command(&format!("{before}commit {it}: git add ")).then(" && git commit");
    let restore = |before: &str| command(&format!("{before}{RESTORE}"));
    let deleted = format!("{was} deleted, and the deletion is not committed");
    let added = format!("{is} added, but not committed");
    match difference {
        Difference::Staged | Difference::Unstaged | Difference::StagedAndUnstaged => {
            refused(&format!("{has} changes that are not committed")).hint(add("")).hint(restore("or "))
        }
        Difference::Untracked => refused(&format!("{is} there, but not committed"))
            .hint(add(&format!("if {they} {is} right, and {holds} no secret in the clear, ")))
            .hint(format!("or move {it} out of the way")),
        Difference::Ignored => refused(&format!("{is} there, but ignored by git"))
            .hint(command("git check-ignore -v ").then(" shows the rule; or move the file out of the way")),
        Difference::Missing => refused(&deleted)
            .hint(restore(""))
            .hint(command("or, to have it made anew, commit the deletion: git rm ").then(" && git commit")),
        Difference::Removed => refused(&deleted).hint("commit the deletion: git commit").hint(restore("or ")),
        Difference::Conflicted => refused(&format!("{has} merge conflicts"))
            .hint(command("resolve them, then git add ").then(" && git commit")),
        Difference::Added => refused(&added)
            .hint(format!("commit {it}: git commit"))
            .hint(command(&format!("or take {it} back: git rm --cached "))),
        // git asks for --force where the index has what nothing else has; the file stays.
        Difference::AddedAndEdited => refused(&format!("{added}, and {was} edited since"))
            .hint(add(""))
            .hint(command(&format!("or take {it} back: git rm --cached --force "))),
        Difference::AddedAndMissing => refused(&format!("{added}, and {was} deleted since"))
            .hint(
                command(&format!("bring {it} back: git restore "))
                    .then(format!(", and commit {it}: git commit")),
            )
            .hint(command(&format!("or take {it} back: git rm --cached "))),
        Difference::OutsideSparse | Difference::Skipped => {
            let Some(path) = paths.first().cloned() else { return refused("not here") };
            match difference {
                Difference::Skipped => RepoError::Skipped { path }.into(),
                _ => RepoError::OutsideSparse { path }.into(),
            }
        }
    }
}
