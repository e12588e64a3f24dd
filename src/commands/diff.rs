//! `provision diff`: which keys of secrets files changed since HEAD; as a git textconv, a file as lines to compare.

use std::path::Path;

use serde::Serialize;

use crate::checks::changes::{Change, between};
use crate::cli::DiffArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::inspect::{Files, Of, has_metadata};
use crate::observe::secrets;
use crate::repo::{Repository, read};
use crate::sops::Encrypted;
use crate::ui::{Ui, listing};
use crate::world::World;

#[derive(Serialize)]
struct FileChanges {
    file: String,
    changes: Vec<Change>,
    /// Instead of changes: the whole file is new, gone, or no SOPS file on one side.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<&'static str>,
}

#[derive(Serialize)]
struct Report<'a> {
    files: &'a [FileChanges],
}

/// Prints the changes, a line a file; or with `--textconv` the lines of one file.
///
/// # Errors
/// Outside a repository, or where a file cannot be read.
pub fn run(args: &DiffArgs, ui: Ui, world: &World) -> Result<()> {
    if let Some(file) = &args.textconv {
        return textconv(file, args.reveal, ui, world);
    }
    let repo = Repository::discover(&world.directory)?;
    let files = Files::of(&repo, if args.staged { Of::Index } else { Of::WorkTree })?;
    let mut found = Vec::new();
    // HEAD's too: a file whose removal is staged is not in the index.
    for file in repo.standing()? {
        found.extend(compare(&files, file.path.as_str())?);
    }
    if ui.json() {
        return ui.result_json(&Report { files: &found });
    }
    let lines: String = found.iter().map(line).collect();
    ui.result(&lines)?;
    if found.is_empty() {
        ui.say("no secrets file differs from HEAD");
    }
    Ok(())
}

fn line(file: &FileChanges) -> String {
    let changes: Vec<String> = file.changes.iter().map(ToString::to_string).collect();
    let said = file.whole.map_or_else(|| changes.join(", "), str::to_owned);
    format!("{}: {said}\n", file.file)
}

fn compare(files: &Files<'_>, name: &str) -> Result<Option<FileChanges>> {
    let new = files.content(name)?;
    let old = files.at_head(name)?;
    let is_secret = |bytes: &Option<Vec<u8>>| bytes.as_deref().is_some_and(has_metadata);
    if old == new || !(is_secret(&old) || is_secret(&new)) {
        return Ok(None);
    }
    let parse = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| secrets::parse(name, &bytes).ok());
    let is_there = (old.is_some(), new.is_some());
    let (changes, whole) = match (parse(old), parse(new), is_there) {
        (_, _, (false, _)) => (Vec::new(), Some("+ the whole file added")),
        (_, _, (_, false)) => (Vec::new(), Some("- the whole file removed")),
        (Some(old), Some(new), _) => match between(&old, &new) {
            none if none.is_empty() => {
                (none, Some("~ no key and no recipient changed, the text around them did"))
            }
            changes => (changes, None),
        },
        (None, Some(_), _) => (Vec::new(), Some("~ encrypted, and was not")),
        (_, None, _) => (Vec::new(), Some("~ no longer a SOPS file that can be read")),
    };
    Ok(Some(FileChanges { file: name.to_owned(), changes, whole }))
}

/// git stops a whole diff when a textconv fails, so a file that cannot be read is shown as it is.
fn textconv(file: &Path, reveal: bool, ui: Ui, world: &World) -> Result<()> {
    let bytes = read::bytes(&world.directory.join(file)).map_err(|error| {
        Error::new(Kind::Usage, format!("cannot read {}", file.display())).because(error.to_string())
    })?;
    let name = file.to_string_lossy();
    let Ok(encrypted) = secrets::parse(&name, &bytes) else { return ui.bytes(&bytes) };
    if reveal && let Some(text) = revealed(&name, &bytes, world) {
        return ui.result(&text);
    }
    ui.result(&listing::stable(&encrypted, std::iter::repeat(None)))
}

/// The lines with the values; `None` where no identity opens the file.
fn revealed(name: &str, bytes: &[u8], world: &World) -> Option<String> {
    let file: Encrypted = secrets::parse(name, bytes).ok()?;
    let opened = file.open(&*world.identities().ok()?).ok()?;
    let values = opened.raw_values();
    let shown = values.map(|value| value.map(|value| String::from_utf8_lossy(&value).into_owned()));
    Some(listing::stable(opened.file(), shown))
}
