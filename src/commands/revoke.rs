//! `provision revoke`: withdraws tokens, and what is here of them.

use std::rc::Rc;

use super::Exit;
use super::writer::{self, Job};
use crate::cli::RevokeArgs;
use crate::error::{Error, Result};
use crate::observe::Wish;
use crate::plan::options::{End, Options, Renew};
use crate::plan::provision::plan;
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
    let end = if args.orphans { End::Nothing } else { End::These(args.token.iter().cloned().collect()) };
    let orphans = args.orphans.then_some(args.older_than);
    let options = Options { renew: Renew::Nothing, end, orphans, force: args.force, ..Options::default() };
    let job = Job {
        verb: "provision revoke",
        environments: writer::chosen(&args.env, args.all, ui, &repo)?,
        wish: Wish { revokes: true, values: !args.orphans, orphans: args.orphans, ..Wish::default() },
        pasted: None,
        leaked: None,
        plan: &|environment, observed, _| plan(environment, observed, &options).map_err(Error::from),
        again: if args.orphans { orphans_again } else { again },
    };
    writer::run(&job, repo, &args.write, ui, world).await
}

fn again(environment: &str, keys: &[&str]) -> String {
    match keys {
        [] => format!("provision revoke --env {environment}"),
        _ => format!("provision revoke --env {environment} --token {}", keys.join(",")),
    }
}

fn orphans_again(environment: &str, _: &[&str]) -> String {
    format!("provision revoke --env {environment} --orphans")
}
