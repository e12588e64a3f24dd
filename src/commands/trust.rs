//! `provision trust`: which GitLab this repository may use a token of yours for.

use serde::Serialize;

use crate::cli::TrustArgs;
use crate::error::{Error, Kind, Result};
use crate::instance::Instance;
use crate::observe::environments;
use crate::repo::Repository;
use crate::ui::{Ui, interrupt, prompt};
use crate::world::World;
use crate::world::approvals::Approvals;

#[derive(Serialize)]
struct Report {
    approved: Vec<String>,
}

/// Approves the origins that the profiles name, lists what is approved, or takes it back.
///
/// # Errors
/// Outside a repository, with an address that is none, where the file of approvals cannot be used.
pub fn run(args: &TrustArgs, ui: Ui, world: &World) -> Result<()> {
    interrupt::before_any_effect();
    let repo = Repository::discover(&world.directory)?;
    let approvals = Approvals::read(world)?.ok_or_else(|| {
        Error::new(Kind::Failed, "there is no place to remember it").hint("set HOME or XDG_STATE_HOME")
    })?;
    if args.forget {
        let count = approvals.forget(world)?;
        ui.say(if count == 0 { "nothing was approved" } else { "forgotten" });
        return Ok(());
    }
    let known = approvals.origins();
    if args.list {
        return report(ui, known);
    }
    let wanted = wanted(args, &repo)?;
    let new: Vec<String> = wanted.iter().filter(|origin| !known.contains(origin)).cloned().collect();
    if new.is_empty() {
        ui.say(&format!("nothing to do: {} approved already", wanted.join(", ")));
        return report(ui, known);
    }
    for origin in &new {
        ui.before_question(!args.yes).say(&format!("  approve  {origin}  for {}", repo.root().display()));
    }
    if !args.yes {
        prompt::confirm(ui, "May this repository use your tokens of it?", "--yes")?;
    }
    approvals.add(&new, world)?;
    report(ui, [known, new].concat())
}

fn wanted(args: &TrustArgs, repo: &Repository) -> Result<Vec<String>> {
    let mut origins = Vec::new();
    for address in &args.addresses {
        let instance: Instance = address.parse().map_err(|error| Error::from_source(Kind::Usage, &error))?;
        origins.push(instance.origin().to_string());
    }
    if args.addresses.is_empty() {
        for name in environments::names(repo)? {
            origins.push(environments::read(repo, &name)?.gitlab.origin().to_string());
        }
    }
    origins.sort();
    origins.dedup();
    if origins.is_empty() {
        return Err(Error::new(Kind::Usage, "no profile names a GitLab")
            .hint("name its address: provision trust URL"));
    }
    Ok(origins)
}

fn report(ui: Ui, mut approved: Vec<String>) -> Result<()> {
    approved.sort();
    if ui.json() {
        return ui.result_json(&Report { approved });
    }
    ui.result(&approved.iter().map(|origin| format!("{origin}\n")).collect::<String>())
}
