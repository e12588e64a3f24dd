//! `provision keys remove`: somebody who leaves.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::super::Exit;
use super::super::rekeying::{self, Job};
use crate::cli::KeysRemoveArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::readership::{history, policy, policy_of};
use crate::repo::Repository;
use crate::sops::{Policy, PolicyEdit, PolicyEditError, Reader, Recipient};
use crate::ui::{self, Ui};
use crate::world::World;

/// Edits the policy, rekeys, commits, and says what they could ever read.
///
/// # Errors
/// See the exit codes.
pub(super) async fn run(args: &KeysRemoveArgs, repo: &Rc<Repository>, ui: Ui, world: &World) -> Result<Exit> {
    let history = history(repo)?;
    let mut keys = history.keys_of(&args.name);
    keys.extend(leaving(&args.name, &policy(repo)?));
    if keys.is_empty() {
        return Err(Error::new(Kind::Usage, format!("no .sops.yaml has ever called anybody {}", args.name))
            .hint("provision keys list shows the names; a public key will do too"));
    }
    let readable = history.readable_by(&keys);
    let edit = |text: &str| {
        let mut text = text.to_owned();
        for reader in leaving(&args.name, &policy_of(&text)?) {
            text = without(&text, reader)?;
        }
        Ok(text)
    };
    let job = Job {
        verb: "keys remove",
        topic: &format!("keys-{}", args.name),
        within: Vec::new(),
        subject: Some(format!("provision(keys): remove {}", args.name)),
        edit: Some(&edit),
    };
    let (exit, done) = rekeying::run(&job, repo, &args.write, ui, world).await?;
    let leaving = ui::keys::Leaving::new(&args.name, &keys, &readable, history.unreadable(), done.as_ref());
    ui::keys::left(ui, &leaving)?;
    Ok(if readable.old().next().is_some() && done.is_some() { Exit::Attention } else { exit })
}

/// Whom the policy calls this; or the key itself.
fn leaving(name: &str, policy: &Policy) -> BTreeSet<Reader> {
    if let Ok(recipient) = name.parse::<Recipient>() {
        return BTreeSet::from([Reader::Age(recipient)]);
    }
    let called = policy.readers().into_iter().filter(|one| policy.names().of(one) == Some(name));
    policy.names().named(name).chain(called).collect()
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
