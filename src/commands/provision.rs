//! `provision --env NAME`: makes environments true.

use std::rc::Rc;

use super::Exit;
use super::chosen;
use super::writer::{self, Job};
use crate::cli::ProvisionArgs;
use crate::error::Result;
use crate::plan::options::{End, Options};
use crate::repo::Repository;
use crate::ui::{Ui, interrupt};
use crate::world::World;

/// Observes, plans, shows, asks, applies, reports.
///
/// # Errors
/// See the exit codes.
pub async fn run(args: &ProvisionArgs, ui: Ui, world: &World) -> Result<Exit> {
    interrupt::before_any_effect();
    let repo = Rc::new(Repository::discover(&world.directory)?);
    let options = Options {
        commit: !args.no_commit,
        end: if args.prune { End::Pruned } else { End::Nothing },
        sync_template: args.sync_template,
        ..args.write.options()
    };
    let job = Job {
        verb: "provision",
        environments: chosen::these_or_all(&args.env, args.all, options.way, ui, &repo)?,
        pasted: None,
        leaked: None,
        options: &|_| options.clone(),
    };
    writer::run(&job, repo, &args.write, ui, world).await
}
