//! `provision rotate`: successors for tokens, whether they are due or not.

use std::rc::Rc;

use super::Exit;
use super::writer::{self, Job};
use crate::cli::RotateArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::Wish;
use crate::plan::options::{Chosen, Options, Overlap, Renew};
use crate::plan::provision::plan;
use crate::profile::expiry;
use crate::repo::Repository;
use crate::ui::{Ui, interrupt};
use crate::world::World;

/// Observes, plans, shows, asks, applies, reports.
///
/// # Errors
/// See the exit codes.
pub async fn run(args: &RotateArgs, ui: Ui, world: &World) -> Result<Exit> {
    interrupt::before_any_effect();
    let repo = Rc::new(Repository::discover(&world.directory)?);
    let options = options(args)?;
    let job = Job {
        verb: "provision rotate",
        environments: writer::chosen(&args.env, args.all, &repo)?,
        wish: Wish { revokes: options.at_once(), ..Wish::default() },
        pasted: None,
        plan: &|environment, observed, shown| {
            let options = shown.map_or_else(|| options.clone(), |shown| options.still(shown));
            plan(environment, observed, &options).map_err(Error::from)
        },
    };
    writer::run(&job, repo, &args.write, ui, world).await
}

fn options(args: &RotateArgs) -> Result<Options> {
    let chosen: Chosen = args.token.iter().cloned().collect();
    let renew = if args.due { Renew::Due(chosen) } else { Renew::Now(chosen) };
    let overlap = args.overlap.as_deref().map(overlap).transpose()?;
    let options = Options { renew, overlap, force: args.force, ..Options::default() };
    if options.at_once() && !options.force && !args.write.delivery.push {
        let what = "--overlap 0s would revoke tokens whose successors nobody has yet";
        return Err(Error::new(Kind::Usage, what)
            .hint("--push as well: they are revoked once their successors are upstream")
            .hint("or --force as well: they are revoked as soon as their successors are committed"));
    }
    Ok(options)
}

fn overlap(text: &str) -> Result<Overlap> {
    let span = expiry::fixed(text).map_err(|error| Error::new(Kind::Usage, format!("--overlap: {error}")))?;
    Ok(Overlap { written: text.to_owned(), span })
}
