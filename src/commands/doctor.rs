//! `provision doctor`: what is wrong on this machine and in this repository, and what mends it.

use serde::Serialize;

use super::Exit;
use super::connection::Connections;
use crate::checks::doctor::{Asked, Finding, Instance, Observed, Operator, Source, diagnose};
use crate::cli::DoctorArgs;
use crate::error::Result;
use crate::gitlab::client::Client;
use crate::gitlab::credential::Given;
use crate::instance::Instance as GitLab;
use crate::observe::{doctor, own};
use crate::profile::Environment;
use crate::repo::Repository;
use crate::token::Kind;
use crate::ui::{self, Ui, diagnosis};
use crate::world::World;
use crate::world::approvals::Approvals;

#[derive(Serialize)]
struct Report<'a> {
    findings: &'a [Finding],
}

/// Prints every thing that was looked at with its grade.
///
/// # Errors
/// Where the operator's token cannot be read from where an option says it is.
pub async fn run(args: &DoctorArgs, ui: Ui, world: &World) -> Result<Exit> {
    let (mut observed, environments) = doctor::here(world);
    observed.approvals =
        Approvals::read(world).map(|approvals| approvals.map(|all| all.origins()).unwrap_or_default());
    if observed.approvals.is_ok() {
        let connections = Connections::without_questions(&args.connection, ui, world)?;
        let own = own_token(args, &environments, &connections, ui, world)?;
        ask(&mut observed, &environments, &connections, own.as_ref(), args.offline).await;
    }
    let findings = diagnose(&observed);
    if ui.json() {
        ui.result_json(&Report { findings: &findings })?;
    } else {
        let here = Repository::discover(&world.directory).map(|repo| repo.here().clone()).unwrap_or_default();
        let typed: Vec<_> = findings.iter().cloned().map(|finding| finding.at(&here)).collect();
        ui.result(&diagnosis::text(ui, &typed, ui::columns()))?;
    }
    let needs_care = findings.iter().any(|finding| finding.grade.needs_care());
    Ok(if needs_care { Exit::Attention } else { Exit::Done })
}

/// A developer's own token, and the instance that it is of.
struct OwnToken<'a> {
    environment: String,
    gitlab: GitLab,
    connections: Connections<'a>,
}

/// The token in the person's own secrets file, where nothing else gives one. It is for its own instance alone.
fn own_token<'a>(
    args: &DoctorArgs,
    environments: &[Environment],
    connections: &Connections<'_>,
    ui: Ui,
    world: &'a World,
) -> Result<Option<OwnToken<'a>>> {
    let Ok(repo) = Repository::discover(&world.directory) else { return Ok(None) };
    for environment in environments.iter().filter(|environment| environment.is_personal()) {
        if !connections.is_empty(&environment.gitlab) {
            continue;
        }
        // What cannot be read is reported by the checks of the files and keys.
        if let Ok(Some(own)) = own::find(environment, &repo, world) {
            let connections = Connections::without_questions(&args.connection, ui, world)?;
            connections.act_with(Given { value: own.value, option: own.file });
            let (name, gitlab) = (environment.name.clone(), environment.gitlab.clone());
            return Ok(Some(OwnToken { environment: name, gitlab, connections }));
        }
    }
    Ok(None)
}

async fn ask(
    observed: &mut Observed,
    environments: &[Environment],
    connections: &Connections<'_>,
    own: Option<&OwnToken<'_>>,
    offline: bool,
) {
    for environment in environments {
        let address = environment.gitlab.to_string();
        let needs_api = environment.tokens.iter().any(|token| token.kind != Kind::Personal);
        if let Some(known) = observed.instances.iter_mut().find(|known| known.address == address) {
            known.environments.push(environment.name.clone());
            known.needs_api |= needs_api;
            continue;
        }
        let own = own.filter(|own| own.gitlab == environment.gitlab);
        let client = own.map_or(connections, |own| &own.connections).client(&environment.gitlab);
        let asked = match &client {
            Ok(client) if !offline => Some(asked(client).await),
            _ => None,
        };
        let reached = match &client {
            Err(_) if !offline => connections.answers(&environment.gitlab).await,
            _ => None,
        };
        let credential = client.map(|client| Source {
            name: client.credential().source().to_owned(),
            bound_by: client.credential().bound_by().to_owned(),
            own: own.map(|own| own.environment.clone()),
        });
        let environments = vec![environment.name.clone()];
        observed.instances.push(Instance { address, environments, needs_api, credential, asked, reached });
    }
}

async fn asked(client: &Client) -> Asked {
    let token = client.own_token().await;
    let version = if token.is_ok() { client.version().await.ok().flatten() } else { None };
    let token =
        token.map(|record| Operator { name: record.name, scopes: record.scopes, expires: record.expires_at });
    Asked { token: token.map_err(Into::into), version, time: client.server_time() }
}
