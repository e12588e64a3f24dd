//! `provision resume`: finishes what an interrupted run began, or undoes it.

use std::rc::Rc;

use super::Exit;
use super::writer::{self, Job};
use crate::cli::ResumeArgs;
use crate::error::{Error, Result};
use crate::observe::{Wish, interrupted};
use crate::plan::options::{Options, Renew};
use crate::plan::provision::plan;
use crate::repo::Repository;
use crate::ui::{Ui, interrupt};
use crate::world::World;

/// Looks for journals, and brings them to an end.
///
/// # Errors
/// See the exit codes.
pub async fn run(args: &ResumeArgs, ui: Ui, world: &World) -> Result<Exit> {
    interrupt::before_any_effect();
    let repo = Rc::new(Repository::discover(&world.directory)?);
    let names = if args.env.is_empty() { interrupted::environments(&repo)? } else { args.env.clone() };
    if names.is_empty() {
        ui.say("no run was interrupted here: there is no journal");
        return Ok(Exit::Done);
    }
    let options = Options { renew: Renew::Nothing, abandon: args.abandon, ..Options::default() };
    let job = Job {
        verb: "provision resume",
        environments: writer::named(&names, &repo)?,
        wish: Wish::default(),
        pasted: None,
        leaked: None,
        plan: &|environment, observed, _| plan(environment, observed, &options).map_err(Error::from),
        again: |environment, _| format!("provision --env {environment}"),
    };
    writer::run(&job, repo, &args.write, ui, world).await
}
