//! `provision resume`: finishes what an interrupted run began, or undoes it.

use std::rc::Rc;

use super::Exit;
use super::chosen;
use super::writer::{self, Job};
use crate::cli::ResumeArgs;
use crate::error::Result;
use crate::observe::interrupted;
use crate::plan::invocation::Verb;
use crate::plan::options::{Options, Renew};
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
    let (verb, renew, abandon) = (Verb::Resume, Renew::Nothing, args.abandon);
    let options = Options { verb, renew, abandon, ..args.write.options() };
    let job = Job {
        verb: "provision resume",
        environments: chosen::named(&names, &repo)?,
        pasted: None,
        leaked: None,
        options: &|_| options.clone(),
    };
    writer::run(&job, repo, &args.write, ui, world).await
}
