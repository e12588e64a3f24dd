//! `provision --env NAME`: makes environments true.

use std::rc::Rc;

use super::Exit;
use super::writer::{self, Job};
use crate::cli::ProvisionArgs;
use crate::error::{Error, Result};
use crate::observe::Wish;
use crate::plan::options::{End, Options};
use crate::plan::provision::plan;
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
        ..Options::default()
    };
    let job = Job {
        verb: "provision",
        environments: writer::chosen(&args.env, args.all, ui, &repo)?,
        wish: Wish {
            sync_template: args.sync_template,
            revokes: options.revokes(),
            values: args.prune,
            ..Wish::default()
        },
        pasted: None,
        leaked: None,
        plan: &|environment, observed, _| plan(environment, observed, &options).map_err(Error::from),
        again: |environment, _| format!("provision --env {environment}"),
    };
    writer::run(&job, repo, &args.write, ui, world).await
}
