//! `provision keys who`: readers of a file or a token, present and former ones.

use crate::error::{Error, Kind, Result};
use crate::observe::readership::{history, policy, present};
use crate::readership::{Former, History};
use crate::repo::Repository;
use crate::sops::Reader;
use crate::ui::keys::{Answer, FileReaders};
use crate::ui::{self, Ui};
use crate::world::World;

/// Prints them.
///
/// # Errors
/// Where `what` is neither a secrets file nor a token, or the history is not whole.
pub(super) fn run(what: &str, repo: &Repository, ui: Ui, world: &World) -> Result<()> {
    let history = history(repo)?;
    let present = present(repo)?;
    let readers_of = |path: &str| -> Result<Vec<Reader>> {
        let Some(file) = present.iter().find(|file| file.path == path) else { return Ok(Vec::new()) };
        file.readers
            .clone()
            .map_err(|why| Error::new(Kind::Failed, format!("{path} cannot be read")).because(why))
    };
    let names = policy(repo)?;
    let name_of =
        |reader: &Reader| names.names().of(reader).map(str::to_owned).or_else(|| history.name_of(reader));
    let file = |path: String, former: &dyn Fn(&[Reader]) -> Vec<Former>| -> Result<FileReaders> {
        let now = readers_of(&path)?;
        let together = present.iter().find(|file| file.path == path).and_then(|file| file.together.as_ref());
        Ok(FileReaders::new(path, &now, &former(&now), name_of).in_groups(together))
    };
    let mut answer = Answer { token: None, files: Vec::new(), unreadable: unreadable(&history) };
    if let Some(path) = path_of(what, repo, world)
        && (present.iter().any(|file| file.path == path) || history.has_secrets(&path))
    {
        let known = path.clone();
        answer.files.push(file(path, &|now| history.former_readers(&known, now))?);
    } else {
        let token = history.find(what).map_err(|several| not_one(what, &several))?;
        for path in token.files.clone() {
            answer.files.push(file(path, &|now| history.former_readers_of(&token, now))?);
        }
        answer.token = Some(token.into());
    }
    ui::keys::who(ui, &answer)
}

fn unreadable(history: &History) -> Vec<String> {
    history.unreadable().into_iter().map(str::to_owned).collect()
}

/// The path relative to the root, whether there is such a file or not.
fn path_of(what: &str, repo: &Repository, world: &World) -> Option<String> {
    let whole = world.directory.join(what);
    let real = whole.canonicalize().unwrap_or_else(|_| repo.root().join(what));
    Some(repo.relative(&real).ok()?.to_string())
}

fn not_one(what: &str, several: &[String]) -> Error {
    if several.is_empty() {
        return Error::new(Kind::Usage, format!("{what} is neither a secrets file nor a token of a lock"))
            .hint("provision status lists the tokens, git ls-files the files");
    }
    Error::new(Kind::Usage, format!("{what} stands for several tokens"))
        .hint(format!("name one: {}", several.join(", ")))
}
