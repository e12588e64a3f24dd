//! `provision revoke`: withdraws tokens, and what is here of them.

use std::rc::Rc;

use super::Exit;
use super::chosen;
use super::writer::{self, Job};
use crate::cli::RevokeArgs;
use crate::error::Result;
use crate::plan::invocation::Verb;
use crate::plan::options::{Chosen, End, Options, Renew};
use crate::repo::Repository;
use crate::ui::{Ui, interrupt};
use crate::world::World;

/// Observes, plans, shows, asks, applies, reports.
///
/// # Errors
/// See the exit codes.
pub async fn run(args: &RevokeArgs, ui: Ui, world: &World) -> Result<Exit> {
    interrupt::before_any_effect();
    let repo = Rc::new(Repository::discover(&world.directory)?);
    let end = if args.orphans { End::Nothing } else { End::These(Chosen::named(&args.token)) };
    let orphans = args.orphans.then_some(args.older_than);
    let (verb, renew, force) = (Verb::Revoke, Renew::Nothing, args.force);
    let options = Options { verb, renew, force, end, orphans, ..args.write.options() };
    let job = Job {
        verb: "provision revoke",
        environments: chosen::these_or_all(&args.env, args.all, options.way, ui, &repo)?,
        pasted: None,
        leaked: None,
        options: &|_| options.clone(),
    };
    writer::run(&job, repo, &args.write, ui, world).await
}
