//! `provision keys remove`: somebody who leaves.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::super::Exit;
use super::super::rekeying::{self, Job, Outcome};
use super::super::writer;
use super::succeed::Rotation;
use crate::cli::KeysRemoveArgs;
use crate::deliver::look_at;
use crate::error::{Error, Kind, Result};
use crate::hint::Here;
use crate::observe::environments;
use crate::observe::readership::{history, policy, policy_of, present};
use crate::plan::deliver::Topic;
use crate::plan::message::Done as Rotated;
use crate::plan::rekey::{self, Done, Elsewhere};
use crate::plan::{Note, Plan};
use crate::profile::Environment;
use crate::readership::Readable;
use crate::readership::leaving::{Renamed, keys_in, reads_by};
use crate::readership::succession::{LeftBehind, left_behind};
use crate::repo::Repository;
use crate::sops::{Policy, PolicyEdit, PolicyEditError, Reader};
use crate::ui::{self, Ui};
use crate::world::World;

/// The command's name, as others that wait for it read it.
const VERB: &str = "keys remove";

/// What git knows of somebody.
struct Past {
    /// Every key that was theirs.
    keys: BTreeSet<Reader>,
    readable: Readable,
    /// Files of which some version cannot be read.
    unreadable: BTreeSet<String>,
    left_behind: Vec<LeftBehind>,
    here: Here,
    /// The profiles, where tokens are to be replaced.
    environments: Vec<Environment>,
}

impl Past {
    /// As a run with these options would find it: with all that the remote has, where it delivers.
    fn of(args: &KeysRemoveArgs, repo: &Rc<Repository>, ui: Ui, world: &World) -> Result<Self> {
        let run = args.write.run;
        let way = run.delivery.way();
        let _lock = way.map(|_| writer::lock(repo, VERB, run.lock_timeout, ui)).transpose()?;
        look_at(world, repo, way, &topic(args), |repo| Self::at(args, repo))
    }

    fn at(args: &KeysRemoveArgs, repo: &Repository) -> Result<Self> {
        let name = &args.name;
        let history = history(repo)?;
        let mut keys = history.keys_of(name);
        let policy = policy(repo)?;
        let present_keys = leaving(name, &keys, &policy)?;
        keys.extend(present_keys);
        let others = policy.readers().into_iter().collect();
        let left_behind = left_behind(&history, &present(repo)?, &keys, &others);
        let readable = history.readable_by(&keys);
        let unreadable = history.unreadable().into_iter().map(str::to_owned).collect();
        let environments = if args.rotate_tokens { environments::all(repo)? } else { Vec::new() };
        let here = repo.here().clone();
        Ok(Self { keys, readable, unreadable, left_behind, here, environments })
    }
}

/// Edits the policy, rekeys, commits; replaces tokens where that was asked for; says what they could ever read.
///
/// # Errors
/// See the exit codes.
pub(super) async fn run(args: &KeysRemoveArgs, repo: &Rc<Repository>, ui: Ui, world: &World) -> Result<Exit> {
    let mut past = Past::of(args, repo, ui, world)?;
    if past.keys.is_empty() {
        return Err(Error::new(Kind::Usage, format!("no .sops.yaml has ever called anybody {}", args.name))
            .hint("provision keys list shows the names; a public key will do too"));
    }
    let rotation = args.rotate_tokens.then(|| Rotation::new(args, ui, world)).transpose()?;
    let keys = past.keys.clone();
    let has_them = |policy: &Policy| reads_by(policy, &args.name, &keys);
    let (tokens, waits) = match &rotation {
        Some(rotation) => (
            rotation.rehearse(&past.readable, &past.environments, repo).await?,
            rotation.awaits_merge(repo, has_them)?,
        ),
        None => (Some(Vec::new()), false),
    };
    let then = tokens.as_deref().filter(|_| !waits).unwrap_or_default();
    let (exit, done) = match remove(args, &past.keys, then, repo, ui, world).await? {
        Outcome::Planned(plan, notes) => {
            let dry_run = DryRun { plan: &plan, notes: &notes, tokens: tokens.as_deref(), waits };
            return dry_run.show(args, &past, ui);
        }
        Outcome::Done(exit, done) => (exit, done),
    };
    let read_on = read_on(&done.elsewhere, &past.keys);
    for Elsewhere { file, policy, .. } in &read_on {
        let name = &args.name;
        ui.note(true, &format!("{file} is left to {policy}: {name} goes on reading it until that policy and sops updatekeys end it"));
    }
    let are_out = done.skipped.is_empty() && read_on.is_empty();
    let exit = if read_on.is_empty() { exit } else { Exit::Attention };
    // Somebody may have been faster. Where the remote is gone now, what was seen of it counts.
    past = Past::of(args, repo, ui, world).unwrap_or(past);
    let Some(rotation) = rotation else {
        report(args, &past, Some(&done), &[], ui)?;
        return Ok(ended(exit, &past.readable));
    };
    if rotation.awaits_merge(repo, has_them)? {
        report(args, &past, Some(&done), &[], ui)?;
        ui.note(true, "tokens are not replaced yet: their successors would be encrypted for who leaves, too");
        ui.note(true, "once .sops.yaml is merged without them, run the same command again");
        return Ok(Exit::Attention);
    }
    if !ui.json() {
        ui::rekey::done(ui, &done)?;
    }
    let (rotated, replaced) = match rotation.check_that_they_are_out(repo, has_them) {
        Ok(()) => rotation.run(&past.readable, &past.environments, repo, then, are_out).await,
        Err(error) => (Err(error), Vec::new()),
    };
    past = Past::of(args, repo, ui, world).unwrap_or(past);
    report(args, &past, Some(&done).filter(|_| ui.json()), &replaced, ui)?;
    Ok(if rotated? == Exit::Attention { Exit::Attention } else { ended(exit, &past.readable) })
}

/// Files under a policy of their own that they can read.
fn read_on(elsewhere: &[Elsewhere], keys: &BTreeSet<Reader>) -> Vec<Elsewhere> {
    let keys: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
    let reads = |file: &&Elsewhere| file.readers.iter().any(|reader| keys.contains(&reader.key));
    elsewhere.iter().filter(reads).cloned().collect()
}

fn topic(args: &KeysRemoveArgs) -> Topic {
    Topic::of(&format!("keys-{}", args.name))
}

/// Everything that is encrypted is for the others alone afterwards.
async fn remove(
    args: &KeysRemoveArgs,
    past: &BTreeSet<Reader>,
    then: &[Plan],
    repo: &Rc<Repository>,
    ui: Ui,
    world: &World,
) -> Result<Outcome> {
    let edit = |text: &str| {
        let mut text = text.to_owned();
        for reader in leaving(&args.name, past, &policy_of(&text)?)? {
            text = without(&text, reader, &args.name)?;
        }
        Ok(text)
    };
    let job = Job {
        verb: VERB,
        topic: topic(args),
        within: Vec::new(),
        subject: Some(format!("provision(keys): remove {}", args.name)),
        edit: Some(&edit),
        then,
    };
    rekeying::run(&job, repo, &args.write, ui, world).await
}

fn report(
    args: &KeysRemoveArgs,
    past: &Past,
    done: Option<&Done>,
    rotated: &[Rotated],
    ui: Ui,
) -> Result<()> {
    let leaving = ui::keys::Leaving::new(&args.name, &past.keys, &past.readable, &past.unreadable);
    let leaving = leaving.leaves_behind(&past.left_behind);
    ui::keys::left(ui, &leaving.with(done, rotated), &past.here)
}

/// A token that they could read and that is still the one in use wants attention. One that was replaced ends with its
/// overlap, as it was asked for.
fn ended(exit: Exit, readable: &Readable) -> Exit {
    if readable.is_in_use() { Exit::Attention } else { exit }
}

/// What `--dry-run` has found out.
struct DryRun<'a> {
    plan: &'a rekey::Plan,
    notes: &'a [Note],
    /// What will become of their tokens, where that can be known by now.
    tokens: Option<&'a [Plan]>,
    /// Whether tokens are replaced by a second run, after a merge.
    waits: bool,
}

impl DryRun<'_> {
    fn show(&self, args: &KeysRemoveArgs, past: &Past, ui: Ui) -> Result<Exit> {
        let tokens = self.tokens.unwrap_or_default();
        let leaving = ui::keys::Leaving::new(&args.name, &past.keys, &past.readable, &past.unreadable);
        let leaving = leaving.leaves_behind(&past.left_behind);
        ui::keys::left(ui, &leaving.planned(self.plan, tokens), &past.here)?;
        for note in self.notes {
            ui.note(note.attention, &note.text);
        }
        if self.tokens.is_none() {
            ui.note(
                true,
                "what becomes of their tokens can be planned once the files are as .sops.yaml says",
            );
        }
        if self.waits {
            ui.note(true, "tokens are replaced when this runs again, once .sops.yaml is merged without them");
        }
        let something = !self.plan.is_empty()
            || self.plan.needs_attention()
            || self.plan.pushes.is_some()
            || tokens.iter().any(|plan| !plan.is_empty() || plan.needs_attention());
        Ok(if args.write.run.exit_code && something { Exit::Attention } else { Exit::Done })
    }
}

/// Their keys in the policy.
fn leaving(name: &str, past: &BTreeSet<Reader>, policy: &Policy) -> Result<BTreeSet<Reader>> {
    keys_in(policy, name, past).map_err(|renamed| {
        let Renamed { reader, name: other, theirs } = *renamed;
        let what = format!("{reader}, which was {name}'s, is called {other} in .sops.yaml now");
        let error = Error::new(Kind::Refused, what)
            .because(format!("{other} may be {name} under another name, or somebody who has that key now"))
            .hint(format!("if it is {name}'s: provision keys remove {other}"));
        let keys: Vec<String> = theirs.iter().map(ToString::to_string).collect();
        if keys.is_empty() {
            return error
                .hint(format!("if it is not, nobody is called {name} any more: there is nothing to remove"));
        }
        error.hint(format!("if it is not, name the key: provision keys remove {}", keys.join(", or ")))
    })
}

fn without(text: &str, reader: Reader, name: &str) -> Result<String> {
    let Reader::Age(recipient) = reader else {
        let what = format!("{reader} cannot be taken out of .sops.yaml by this command");
        return Err(Error::new(Kind::Refused, what)
            .hint("take it out by hand, then run provision rekey --with-policy: it commits both, under new data keys")
            .hint(format!("what it could read: provision keys remove {name}, once that is done")));
    };
    match (PolicyEdit::Remove { recipient }).apply(text) {
        Err(PolicyEditError::Unknown { .. }) => Ok(text.to_owned()),
        edited => Ok(edited?),
    }
}
