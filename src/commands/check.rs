//! `provision check`: whether the secrets files are what policy, profiles and locks say. No key, no network.

use serde::Serialize;

use super::Exit;
use crate::checks::finding::{Finding, code_quality};
use crate::checks::repository::findings;
use crate::cli::CheckArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::inspect::{Files, Of, observe};
use crate::repo::{Repository, write};
use crate::ui::Ui;
use crate::world::World;

#[derive(Serialize)]
struct Report<'a> {
    checked: usize,
    findings: &'a [Finding],
}

/// Prints what has to be mended, one line each.
///
/// # Errors
/// Where a file cannot be read, or a PATH is none.
pub fn run(args: &CheckArgs, ui: Ui, world: &World) -> Result<Exit> {
    let repo = Repository::discover(&world.directory)?;
    let within = within(&args.paths, &repo, world)?;
    let files = Files::of(&repo, if args.staged { Of::Index } else { Of::WorkTree })?;
    let observed = observe(&files)?;
    let is_meant = |path: &str| {
        let below =
            |folder: &String| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'));
        within.as_ref().is_none_or(|within| within.iter().any(|one| path == one || below(one)))
    };
    let found: Vec<Finding> =
        findings(&observed).into_iter().filter(|finding| is_meant(&finding.path)).collect();
    let checked = observed.files.iter().filter(|file| is_meant(&file.path)).count();
    report(args, ui, world, &found, checked)?;
    Ok(if found.is_empty() { Exit::Done } else { Exit::Attention })
}

/// The paths relative to the root; `None` means everything.
fn within(paths: &[std::path::PathBuf], repo: &Repository, world: &World) -> Result<Option<Vec<String>>> {
    let mut within = Vec::new();
    for path in paths {
        let whole = world.directory.join(path);
        let real = whole.canonicalize().map_err(|error| {
            Error::new(Kind::Usage, format!("cannot look at {}", path.display())).because(error.to_string())
        })?;
        if real == repo.root() {
            return Ok(None);
        }
        within.push(repo.relative(&real)?.to_string());
    }
    Ok((!within.is_empty()).then_some(within))
}

fn report(args: &CheckArgs, ui: Ui, world: &World, found: &[Finding], checked: usize) -> Result<()> {
    if let Some(target) = &args.code_quality {
        if target.as_os_str() == "-" {
            ui.result_json(&code_quality(found))?;
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&code_quality(found))
            .map_err(|error| Error::new(Kind::Failed, "cannot make the report").because(error.to_string()))?;
        let path = world.directory.join(target);
        write::replace(&path, format!("{text}\n").as_bytes(), write::NewFile::Ordinary).map_err(|error| {
            Error::new(Kind::Failed, format!("cannot write {}", target.display())).because(error.to_string())
        })?;
    }
    if ui.json() {
        return ui.result_json(&Report { checked, findings: found });
    }
    let lines: String = found.iter().map(|finding| format!("{finding}\n")).collect();
    ui.result(&lines)?;
    ui.say(&closing(found, checked));
    Ok(())
}

fn closing(found: &[Finding], checked: usize) -> String {
    let files = if checked == 1 { "1 secrets file".to_owned() } else { format!("{checked} secrets files") };
    match found {
        [] => format!("{files} checked: all as they should be"),
        [_] => format!("{files} checked: 1 finding"),
        many => format!("{files} checked: {} findings", many.len()),
    }
}
