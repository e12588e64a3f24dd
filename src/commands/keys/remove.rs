//! `provision keys remove`: somebody who leaves.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::super::Exit;
use super::super::rekeying::{self, Job};
use super::succeed::Rotation;
use crate::cli::KeysRemoveArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::readership::{history, policy, policy_of, present};
use crate::plan::deliver::Topic;
use crate::plan::message::Done as Rotated;
use crate::plan::rekey::Done;
use crate::readership::Readable;
use crate::readership::succession::{LeftBehind, left_behind};
use crate::repo::Repository;
use crate::sops::{Policy, PolicyEdit, PolicyEditError, Reader, Recipient};
use crate::ui::{self, Ui};
use crate::world::World;

/// What git knows of somebody.
struct Past {
    /// Every key that was theirs.
    keys: BTreeSet<Reader>,
    readable: Readable,
    /// Files of which some version cannot be read.
    unreadable: BTreeSet<String>,
    left_behind: Vec<LeftBehind>,
}

impl Past {
    fn of(name: &str, repo: &Repository) -> Result<Self> {
        let history = history(repo)?;
        let mut keys = history.keys_of(name);
        let policy = policy(repo)?;
        keys.extend(leaving(name, &policy));
        let others = policy.readers().into_iter().collect();
        let left_behind = left_behind(&history, &present(repo)?, &keys, &others);
        let readable = history.readable_by(&keys);
        let unreadable = history.unreadable().into_iter().map(str::to_owned).collect();
        Ok(Self { keys, readable, unreadable, left_behind })
    }
}

/// Edits the policy, rekeys, commits; replaces tokens where that was asked for; says what they could ever read.
///
/// # Errors
/// See the exit codes.
pub(super) async fn run(args: &KeysRemoveArgs, repo: &Rc<Repository>, ui: Ui, world: &World) -> Result<Exit> {
    let mut past = Past::of(&args.name, repo)?;
    if past.keys.is_empty() {
        return Err(Error::new(Kind::Usage, format!("no .sops.yaml has ever called anybody {}", args.name))
            .hint("provision keys list shows the names; a public key will do too"));
    }
    let rotation = args.rotate_tokens.then(|| Rotation::new(args, ui, world)).transpose()?;
    if let Some(rotation) = &rotation {
        rotation.rehearse(&past.readable, repo).await?;
    }
    let (mut exit, done) = remove(args, repo, ui, world).await?;
    let Some(rotation) = rotation else {
        report(args, &past, done.as_ref(), &[], ui)?;
        return Ok(ended(exit, &past.readable, done.is_some()));
    };
    if rotation.awaits_merge(repo, |policy| is_reader(&args.name, policy))? {
        report(args, &past, done.as_ref(), &[], ui)?;
        ui.note(true, "tokens are not replaced yet: their successors would be encrypted for who leaves, too");
        ui.note(true, "once .sops.yaml is merged without them, run the same command again");
        return Ok(Exit::Attention);
    }
    if let Some(done) = done.as_ref().filter(|_| !ui.json()) {
        ui::rekey::done(ui, done)?;
    }
    let rotated = rotation.run(&past.readable, repo).await;
    past = Past::of(&args.name, repo)?;
    let (its_exit, rotated) = match rotated {
        Ok(rotated) => rotated,
        Err(error) => {
            report(args, &past, None, &[], ui)?;
            return Err(error);
        }
    };
    if its_exit == Exit::Attention {
        exit = its_exit;
    }
    report(args, &past, done.as_ref().filter(|_| ui.json()), &rotated, ui)?;
    Ok(ended(exit, &past.readable, done.is_some()))
}

/// Everything that is encrypted is for the others alone afterwards.
async fn remove(
    args: &KeysRemoveArgs,
    repo: &Rc<Repository>,
    ui: Ui,
    world: &World,
) -> Result<(Exit, Option<Done>)> {
    let edit = |text: &str| {
        let mut text = text.to_owned();
        for reader in leaving(&args.name, &policy_of(&text)?) {
            text = without(&text, reader)?;
        }
        Ok(text)
    };
    let job = Job {
        verb: "keys remove",
        topic: Topic::of(&format!("keys-{}", args.name)),
        within: Vec::new(),
        subject: Some(format!("provision(keys): remove {}", args.name)),
        edit: Some(&edit),
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
    ui::keys::left(ui, &leaving.with(done, rotated))
}

/// What they could read and still works wants attention, unless nothing was to be done.
fn ended(exit: Exit, readable: &Readable, done: bool) -> Exit {
    if readable.old().next().is_some() && done { Exit::Attention } else { exit }
}

/// Whom the policy calls this; or the key itself.
fn leaving(name: &str, policy: &Policy) -> BTreeSet<Reader> {
    if let Ok(recipient) = name.parse::<Recipient>() {
        return BTreeSet::from([Reader::Age(recipient)]);
    }
    let called = policy.readers().into_iter().filter(|one| policy.names().of(one) == Some(name));
    policy.names().named(name).chain(called).collect()
}

/// Whether anything is still encrypted for them by this policy.
fn is_reader(name: &str, policy: &Policy) -> bool {
    let readers = policy.readers();
    leaving(name, policy).iter().any(|one| readers.iter().any(|reader| reader.is_same_key(one)))
}

fn without(text: &str, reader: Reader) -> Result<String> {
    let Reader::Age(recipient) = reader else {
        let what = format!("{reader} cannot be taken out of .sops.yaml by this command");
        return Err(Error::new(Kind::Refused, what)
            .hint("take it out by hand, commit that, then run provision rekey"));
    };
    match (PolicyEdit::Remove { recipient }).apply(text) {
        Err(PolicyEditError::Unknown { .. }) => Ok(text.to_owned()),
        edited => Ok(edited?),
    }
}
