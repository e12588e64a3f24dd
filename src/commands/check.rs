//! `provision check`: whether the secrets files are what policy, profiles and locks say. No key, no network.

use std::path::Path;

use serde::Serialize;

use super::Exit;
use super::within::within;
use crate::checks::finding::{Finding, code_quality};
use crate::checks::repository::{LOCK_AGREES, LOCK_UNLISTED, MISSING_READERS, is_about_readers};
use crate::cli::CheckArgs;
use crate::error::{Error, Kind, Result};
use crate::hint::Here;
use crate::lock;
use crate::observe::POLICY;
use crate::observe::inspect::{Files, Inspected, Of, inspect};
use crate::observe::secrets::is_within;
use crate::repo::{RelPath, Repository, write};
use crate::ui::Ui;
use crate::world::World;

/// For a person who has edited the policy: no other command can mend what the edit asks for before it is committed.
const WITH_POLICY: &str = ".sops.yaml is not committed yet; it and the files that follow it, in one commit: \
     provision rekey --with-policy";

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
    let within = within(&args.paths, &repo, world)?.unwrap_or_default();
    let files = Files::of(&repo, if args.staged { Of::Index } else { Of::WorkTree })?;
    let mut inspected = inspect(&files)?;
    inspected.findings.retain(|finding| !(args.allow_missing_readers && finding.check == MISSING_READERS));
    let passed = if args.staged { passed(&mut inspected, &files, &repo)? } else { Vec::new() };
    for finding in &passed {
        ui.note(true, &format!("{finding}; the commit is not stopped for it"));
    }
    let with_policy = with_policy(&inspected, &repo)?;
    let exit =
        finish(inspected, &within, args.code_quality.as_deref(), !passed.is_empty(), &repo, ui, world)?;
    if with_policy {
        ui.say(WITH_POLICY);
    }
    Ok(exit)
}

/// The same for `rekey --check`: what a rekey would mend, and what keeps one from doing so.
///
/// # Errors
/// As [`run`].
pub(super) fn readers(
    mut within: Vec<String>,
    code_quality: Option<&Path>,
    repo: &Repository,
    ui: Ui,
    world: &World,
) -> Result<Exit> {
    if !within.is_empty() {
        // A policy that cannot be used says nothing about any file, which must not look as if all were well.
        within.push(POLICY.to_owned());
    }
    let mut inspected = inspect(&Files::of(repo, Of::WorkTree)?)?;
    inspected.findings.retain(|finding| is_about_readers(finding.check));
    let with_policy = with_policy(&inspected, repo)?;
    let exit = finish(inspected, &within, code_quality, false, repo, ui, world)?;
    if with_policy {
        ui.say(WITH_POLICY);
    }
    Ok(exit)
}

/// Takes out what this commit is not to be stopped for.
fn passed(inspected: &mut Inspected, files: &Files<'_>, repo: &Repository) -> Result<Vec<Finding>> {
    let (mut passed, mut others) = (Vec::new(), Vec::new());
    for finding in inspected.findings.drain(..) {
        let passes = match finding.check {
            LOCK_AGREES => is_edited_by_hand(&finding, files, repo)?,
            LOCK_UNLISTED => was_unlisted(&finding, repo)?,
            _ => false,
        };
        if passes { passed.push(finding) } else { others.push(finding) }
    }
    inspected.findings = others;
    Ok(passed)
}

/// Whether somebody has changed a slot by hand, in a commit that leaves the lock as it was: nothing can be done about it
/// before it is committed. A merge or a rebase that brings a file and a lock of two commits together is another matter.
fn is_edited_by_hand(finding: &Finding, files: &Files<'_>, repo: &Repository) -> Result<bool> {
    let is_as_it_was = files.content(&finding.path)? == files.at_head(&finding.path)?;
    Ok(repo.state().is_none() && is_as_it_was)
}

/// Whether a lock was without its profile before this commit.
fn was_unlisted(finding: &Finding, repo: &Repository) -> Result<bool> {
    let Some((environment, _)) = lock::owner(&finding.path) else { return Ok(false) };
    let profile = RelPath::new(&format!("environments/{environment}.yaml"))?;
    Ok(repo.content_at_head(&profile)?.is_none())
}

/// Whether files do not follow a policy that is not committed yet.
fn with_policy(inspected: &Inspected, repo: &Repository) -> Result<bool> {
    let mut found = inspected.findings.iter();
    let lags = found.any(|finding| finding.path != POLICY && is_about_readers(finding.check));
    Ok(lags && repo.differs_from_head(&RelPath::new(POLICY)?)?.is_some())
}

fn finish(
    inspected: Inspected,
    within: &[String],
    code_quality: Option<&Path>,
    edited: bool,
    repo: &Repository,
    ui: Ui,
    world: &World,
) -> Result<Exit> {
    let is_meant = |path: &str| within.is_empty() || is_within(path, within);
    let Inspected { findings: mut found, files } = inspected;
    found.retain(|finding| is_meant(&finding.path));
    let checked = files.iter().filter(|file| is_meant(file)).count();
    let closing = closing(&found, checked, edited);
    report(code_quality, &found, checked, repo.here(), ui, world)?;
    if !ui.json() && code_quality.is_none_or(|target| target.as_os_str() != "-") {
        ui.say(&closing);
    }
    Ok(if found.is_empty() { Exit::Done } else { Exit::Attention })
}

fn report(
    code_quality_to: Option<&Path>,
    found: &[Finding],
    checked: usize,
    here: &Here,
    ui: Ui,
    world: &World,
) -> Result<()> {
    if let Some(target) = code_quality_to {
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
    let lines: String = found.iter().map(|finding| format!("{}\n", finding.clone().at(here))).collect();
    ui.result(&lines)
}

fn closing(found: &[Finding], checked: usize, edited: bool) -> String {
    let files = if checked == 1 { "1 secrets file".to_owned() } else { format!("{checked} secrets files") };
    match found {
        [] if edited => format!("{files} checked: nothing that stops the commit"),
        [] => format!("{files} checked: all as they should be"),
        [_] => format!("{files} checked: 1 finding"),
        many => format!("{files} checked: {} findings", many.len()),
    }
}
