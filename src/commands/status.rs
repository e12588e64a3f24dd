//! `provision status`: what was minted, and what is due, expired or revoked.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::Exit;
use super::connection::Connections;
use crate::checks::{self, Row, Severity};
use crate::cli::{FailOn, StatusArgs};
use crate::error::Result;
use crate::lock::Lock;
use crate::observe::{environments, interrupted, live, secrets, unlisted};
use crate::plan::options::Options;
use crate::profile::{Environment, UserName};
use crate::repo::Repository;
use crate::ui::{Ui, status};
use crate::world::World;

#[derive(Serialize)]
struct Report<'a> {
    /// `locks` or `gitlab`.
    source: &'static str,
    tokens: &'a [Row],
    /// Environments with a run that was not finished.
    unfinished: &'a [String],
}

/// Prints the table. Without `--live` it needs no key and no network.
///
/// # Errors
/// Where a profile or lock cannot be read; with `--live`, where GitLab refuses or cannot be reached.
pub async fn run(args: &StatusArgs, ui: Ui, world: &World) -> Result<Exit> {
    let repo = Repository::discover(&world.directory)?;
    let names = if args.env.is_empty() { all(&repo)? } else { args.env.clone() };
    let locks = environments::locks(&repo)?;
    let connections = if args.live { Some(Connections::new(&args.connection, ui, world)?) } else { None };
    let (mut rows, mut notes, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
    let mend = Options::default();
    for name in &names {
        let environment = unlisted::read(&repo, name)?;
        for (user, lock) in of_environment(&environment, &locks) {
            let mut now = world.effects().now();
            let live = match &connections {
                None => None,
                Some(connections) => {
                    let client = connections.client(&environment.gitlab)?;
                    let records = live::records(&client, &lock, &[], live::is_hidden).await?;
                    now = client.server_time().unwrap_or(now);
                    Some(records)
                }
            };
            let today = now.to_zoned(TimeZone::UTC).date();
            let mut those = checks::status(&environment, user.as_deref(), &lock, live.as_ref(), today);
            let person = user.as_deref().and_then(|user| user.parse::<UserName>().ok());
            let strayed = secrets::strayed(&environment, person.as_ref(), &lock, &repo)?;
            those.iter_mut().filter(|row| strayed.contains_key(&row.key)).for_each(Row::differs);
            notes.extend(strayed.values().collect::<BTreeSet<_>>().into_iter().map(|file| {
                format!("{file} does not hold what the lock says: {} mends it", mend.command(name))
            }));
            elsewhere.extend(secrets::elsewhere(&environment, &lock, &repo)?);
            if those.iter().any(|row| row.state.severity() == Severity::Dead) {
                notes.extend(user.as_deref().and_then(|user| {
                    let mend =
                        checks::of_a_person(&environment, user, |path| repo.root().join(path).exists())?;
                    Some(format!("{name}/{user}: {}", mend.at(repo.here())))
                }));
            }
            rows.extend(those);
        }
    }
    let mut unfinished = interrupted::environments(&repo)?;
    unfinished.retain(|name| names.contains(name));
    if ui.json() {
        let source = if args.live { "gitlab" } else { "locks" };
        ui.result_json(&Report { source, tokens: &rows, unfinished: &unfinished })?;
    } else {
        let source = if args.live { "as GitLab says" } else { "according to the locks" };
        ui.result(&status::text(ui, &rows, source))?;
        for note in &notes {
            ui.note(true, note);
        }
        for file in &elsewhere {
            ui.note(
                false,
                &format!("{file} is not here, and git does not keep it: nothing is said of what it holds"),
            );
        }
        for name in &unfinished {
            let way = interrupted::replay(&repo, name).ok().and_then(|replay| replay.way());
            let resume = Options::resume(way);
            let on = resume.command(name);
            ui.note(true, &format!("{name}: a run was not finished: {on} goes on with it"));
        }
    }
    let limit = match args.fail_on {
        FailOn::Due => Severity::Due,
        FailOn::Expired => Severity::Dead,
    };
    let bad = !unfinished.is_empty() || rows.iter().any(|row| row.state.severity() >= limit);
    Ok(if bad { Exit::Attention } else { Exit::Done })
}

/// Names of the environments that have a profile, then of those that a lock still knows.
fn all(repo: &Repository) -> Result<Vec<String>> {
    Ok([environments::names(repo)?, unlisted::names(repo)?].concat())
}

/// The locks of an environment: one, or one for each person who has minted. A shared environment without a lock is
/// shown as missing; a personal one is nobody's yet.
fn of_environment(
    environment: &Environment,
    locks: &[(String, Option<String>, Lock)],
) -> Vec<(Option<String>, Lock)> {
    let mut found: Vec<_> = locks
        .iter()
        .filter(|(name, user, _)| *name == environment.name && user.is_some() == environment.is_personal())
        .map(|(_, user, lock)| (user.clone(), lock.clone()))
        .collect();
    if found.is_empty() && !environment.is_personal() {
        found.push((None, Lock::default()));
    }
    found
}
