//! `provision keys`: who can read what, and who comes and goes.

use std::rc::Rc;

use serde::Serialize;

use super::access::Consent;
use super::{Exit, access};
use crate::cli::{KeysArgs, KeysCommand, KeysRequestArgs};
use crate::error::Result;
use crate::observe::environments;
use crate::observe::readership::{policy, present};
use crate::plan::access::Requested;
use crate::readership::listing::rows;
use crate::repo::Repository;
use crate::ui::{self, Ui, interrupt};
use crate::world::World;

mod add;
mod remove;
mod succeed;
mod who;

#[derive(Serialize)]
struct Report {
    access: Requested,
}

/// Does what was asked for.
///
/// # Errors
/// See the exit codes.
pub async fn run(args: &KeysArgs, ui: Ui, world: &World) -> Result<Exit> {
    let repo = Rc::new(Repository::discover(&world.directory)?);
    match &args.command {
        KeysCommand::List => {
            let rows = rows(&policy(&repo)?, &present(&repo)?);
            ui::keys::list(ui, &rows).map(|()| Exit::Done)
        }
        KeysCommand::Who { what } => who::run(what, &repo, ui, world).map(|()| Exit::Done),
        KeysCommand::Add(args) => add::run(args, &repo, ui, world).await,
        KeysCommand::Remove(args) => remove::run(args, &repo, ui, world).await,
        KeysCommand::Request(args) => {
            interrupt::before_any_effect();
            let wanted = args.env.iter().map(|name| environments::read(&repo, name));
            let wanted = wanted.collect::<Result<Vec<_>>>()?;
            let KeysRequestArgs { yes, dry_run, lock_timeout, .. } = *args;
            let consent = Consent { yes, dry_run, lock_timeout, verb: "keys request" };
            let access = access::request(&wanted, &args.name, consent, &repo, ui, world).await?;
            if ui.json() { ui.result_json(&Report { access }) } else { Ok(()) }.map(|()| Exit::Done)
        }
    }
}
