//! Which environments a command means.

use std::collections::BTreeSet;

use crate::error::{Error, Kind, Result};
use crate::observe::{environments, unlisted};
use crate::plan::deliver::Way;
use crate::profile::Environment;
use crate::repo::Repository;
use crate::ui::Ui;

/// The environments that were named, or all of them that can go this `way`; those whose profile is gone by what their locks
/// remember.
///
/// # Errors
/// Where there are none, or a profile cannot be used.
pub(super) fn these_or_all(
    names: &[String],
    all: bool,
    way: Option<Way>,
    ui: Ui,
    repo: &Repository,
) -> Result<Vec<Environment>> {
    if !all {
        return named(names, repo);
    }
    let (names, unlisted) = (environments::names(repo)?, unlisted::shared(repo)?);
    let is_only = names.is_empty() && !unlisted.is_empty();
    let listed = if is_only { Vec::new() } else { shared(named(&names, repo)?, ui) };
    let listed = match way {
        Some(way) => committed(listed, way, ui),
        None => listed,
    };
    Ok([listed, unlisted].concat())
}

/// The environments of these names, each once.
///
/// # Errors
/// Where there are none, or a profile cannot be used.
pub(super) fn named(names: &[String], repo: &Repository) -> Result<Vec<Environment>> {
    let mut names = names.to_vec();
    if names.is_empty() {
        return Err(Error::new(Kind::Usage, "there are no environments")
            .because("environments/ has no profile")
            .hint("run provision init to make the first ones"));
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names.iter().map(|name| unlisted::read(repo, name)).collect()
}

/// What `--all` means to a run that nobody sits at: a person's own token is made, and its file opened, by that person.
/// Where there is nothing else, that is what was meant.
fn shared(mut environments: Vec<Environment>, ui: Ui) -> Vec<Environment> {
    let is_own = |environment: &Environment| environment.is_personal();
    if !ui.interactive && !environments.iter().all(is_own) {
        for environment in environments.extract_if(.., |environment| is_own(environment)) {
            let name = &environment.name;
            ui.note(false, &format!("{name} is each person's own, and left out: provision --env {name}"));
        }
    }
    environments
}

/// What `--all` means to a run that delivers: what git does not keep is nothing that could be delivered.
fn committed(mut environments: Vec<Environment>, way: Way, ui: Ui) -> Vec<Environment> {
    environments.retain(|environment| {
        let Some(secrets) = environment.outside_git() else { return true };
        let (name, file, option) = (&environment.name, &secrets.file, way.option());
        ui.note(false, &format!("{name} is left out: git does not keep {file}; run it without {option}"));
        false
    });
    environments
}
