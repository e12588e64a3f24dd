//! `provision rekey`: every secrets file as the committed policy says; with `--check`, only whether it is.

use std::rc::Rc;

use super::Exit;
use super::rekeying::{self, Job};
use super::within::within;
use crate::cli::RekeyArgs;
use crate::error::Result;
use crate::repo::Repository;
use crate::ui::{self, Ui};
use crate::world::World;

/// Brings files into line, or lists those that are not.
///
/// # Errors
/// See the exit codes.
pub async fn run(args: &RekeyArgs, ui: Ui, world: &World) -> Result<Exit> {
    let repo = Rc::new(Repository::discover(&world.directory)?);
    let within = within(&args.paths, &repo, world)?.unwrap_or_default();
    if args.check {
        return super::check::readers(within, args.code_quality.as_deref(), &repo, ui, world);
    }
    let job = Job { verb: "rekey", topic: "rekey", within, subject: None, edit: None };
    let (exit, done) = rekeying::run(&job, &repo, &args.write, ui, world).await?;
    if let Some(done) = done {
        ui::rekey::done(ui, &done)?;
    }
    Ok(exit)
}
