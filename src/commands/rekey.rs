//! `provision rekey`: every secrets file as the committed policy says; with `--check`, only whether it is.

use std::rc::Rc;

use super::Exit;
use super::rekeying::{self, Edit, Job};
use super::within::within;
use crate::cli::RekeyArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::{POLICY, uncommitted};
use crate::plan::deliver::Topic;
use crate::repo::{Difference, RelPath, Repository};
use crate::ui::Ui;
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
    let edited = |_: &str| edited_policy(&repo);
    let edit: Option<Edit<'_>> = if args.with_policy { Some(&edited) } else { None };
    let job = Job { verb: "rekey", topic: Topic::of("rekey"), within, subject: None, edit, then: &[] };
    rekeying::report(&rekeying::run(&job, &repo, &args.write, ui, world).await?, &args.write, ui)
}

/// The policy of the work tree. What is staged of it must not be something else.
fn edited_policy(repo: &Repository) -> Result<String> {
    let path = RelPath::new(POLICY)?;
    if let Some(
        difference @ (Difference::StagedAndUnstaged
        | Difference::AddedAndEdited
        | Difference::AddedAndMissing
        | Difference::Conflicted
        | Difference::Missing),
    ) = repo.differs_from_head(&path)?
    {
        return Err(uncommitted(&path, difference));
    }
    let bytes = repo.work_tree_content(&path)?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| Error::new(Kind::Refused, format!("{POLICY} is not text")))
}
