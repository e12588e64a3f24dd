//! `provision keys add`: somebody who will read.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::super::rekeying::{self, Job};
use super::super::within::within;
use super::super::{Exit, access};
use crate::cli::KeysAddArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::environments;
use crate::observe::readership::present;
use crate::observe::rekey::sound;
use crate::plan::deliver::Topic;
use crate::profile::Recipients;
use crate::readership::admission::rules;
use crate::readership::known_keys::KnownKeys;
use crate::readership::listing::Present;
use crate::repo::Repository;
use crate::sops::{PolicyEdit, Recipient, RecipientError};
use crate::ui::Ui;
use crate::world::World;

/// Edits the policy, rekeys, commits.
///
/// # Errors
/// See the exit codes.
pub(super) async fn run(args: &KeysAddArgs, repo: &Rc<Repository>, ui: Ui, world: &World) -> Result<Exit> {
    let recipient: Recipient = args.recipient.parse().map_err(|error: RecipientError| {
        Error::from_source(Kind::Usage, &error)
            .hint("a recipient begins with age1 or ssh-; age-keygen -y FILE prints that of a key")
            .hint("keys of PGP, KMS or a vault are written into .sops.yaml by hand; provision rekey --with-policy does the rest")
    })?;
    let named = within(&args.files, repo, world)?.unwrap_or_default();
    let wanted = wanted(&args.env, named, repo)?;
    let files: Vec<String> =
        present(repo)?.into_iter().filter(Present::follows_policy).map(|one| one.path).collect();
    let edit = |text: &str| {
        let policy = sound(text)?;
        access::is_free(&args.name, &recipient, &policy)?;
        let rules = match &wanted {
            Some(wanted) => rules(&policy, wanted, &files)?,
            None => policy.positions().collect(),
        };
        let (recipient, name) = (recipient.clone(), Some(args.name.clone()));
        Ok(PolicyEdit::Add { recipient, name, rules, group: args.group }.apply(text)?)
    };
    let job = Job {
        verb: "keys add",
        topic: Topic::of(&format!("keys-{}", args.name)),
        within: Vec::new(),
        subject: Some(format!("provision(keys): add {}", args.name)),
        edit: Some(&edit),
        known_keys: KnownKeys::default(),
        then: &[],
    };
    rekeying::report(&rekeying::run(&job, repo, &args.write, ui, world).await?, &args.write, ui)
}

/// The files of these environments and those that were named; `None` means all.
fn wanted(names: &[String], mut files: Vec<String>, repo: &Repository) -> Result<Option<BTreeSet<String>>> {
    if names.is_empty() && files.is_empty() {
        return Ok(None);
    }
    for name in names {
        let environment = environments::read(repo, name)?;
        let secrets = environment.secrets.iter().filter(|one| one.recipients == Recipients::Policy);
        let known = files.len();
        files.extend(secrets.map(|one| one.file.clone()));
        if files.len() == known {
            return Err(Error::new(Kind::Usage, format!("{name} has no file that several people read"))
                .because("its profile says `recipients: self`"));
        }
    }
    Ok(Some(files.into_iter().collect()))
}
