//! Asking to become a reader: a change of the policy, as a merge request that a maintainer approves.

use std::cell::Cell;
use std::rc::Rc;

use super::connection::need_yes;
use super::writer;
use crate::deliver::{Change, deliver};
use crate::error::{Error, Kind, Result};
use crate::observe::readership::present;
use crate::observe::rekey::policy_at_head;
use crate::observe::{POLICY, environments};
use crate::plan::Note;
use crate::plan::access::{self, Access};
use crate::plan::deliver::{Topic, Way};
use crate::profile::Environment;
use crate::repo::{CommitRequest, FileChange, RelPath, Repository};
use crate::sops::{Policy, Recipient};
use crate::ui::{Ui, interrupt, prompt};
use crate::world::{Content, World};

/// How far the person agreed beforehand.
#[derive(Clone, Copy)]
pub(super) struct Consent {
    /// Whether to go ahead without asking.
    pub(super) yes: bool,
    /// How long to wait for another run in this clone.
    pub(super) lock_timeout: jiff::SignedDuration,
    /// The command, as others that wait for it read it.
    pub(super) verb: &'static str,
}

/// Opens the merge request, or brings the one that is open up to date.
///
/// # Errors
/// See the exit codes.
pub(super) async fn request(
    wanted: &[Environment],
    called: &str,
    consent: Consent,
    repo: &Rc<Repository>,
    ui: Ui,
    world: &World,
) -> Result<()> {
    let own = world.identities()?.own_recipients()?;
    let Some(recipient) = own.first() else {
        return Err(Error::new(Kind::CannotDecrypt, "there is no key of your own to ask for")
            .hint("provision bootstrap makes one"));
    };
    interrupt::before_any_effect();
    need_yes(ui, consent.yes)?;
    let called = access::name(called);
    let _lock = writer::lock(repo, consent.verb, consent.lock_timeout, ui)?;
    let asked = Cell::new(consent.yes);
    let work = async |repo: &Rc<Repository>, notes: &[Note]| {
        let Some((access, text)) = plan(wanted, &called, recipient, repo)? else {
            ui.say(&format!("access: {called} is a reader already"));
            return Ok(None);
        };
        ui.say(&access.text());
        for note in notes {
            ui.note(note.attention, &note.text);
        }
        if !asked.replace(true) {
            prompt::confirm(ui, "Ask for it in a merge request?", "--yes")?;
        }
        interrupt::under_way();
        commit(&access, &text, repo, world)
    };
    let topic = Topic::of(&format!("access-{called}"));
    let done = deliver(world, repo, Some(Way::MergeRequest), &topic, work).await?;
    if let Some(to) = &done.to {
        let request = done.merge_request.map(|url| format!(", merge request {url}")).unwrap_or_default();
        ui.result(&format!("access: pushed to {to}{request}\n"))?;
        ui.say("a maintainer merges it; the files open for you once they are rekeyed after that");
    }
    for note in &done.notes {
        ui.note(false, note);
    }
    Ok(())
}

/// A name in the policy is that of one key: whoever goes is taken out by it.
///
/// # Errors
/// Where another key has it.
pub(super) fn is_free(name: &str, recipient: &Recipient, policy: &Policy) -> Result<()> {
    let own = recipient.clone().into();
    let Some(other) = policy.names().named(name).find(|one| *one != own) else { return Ok(()) };
    Err(Error::new(Kind::Refused, format!("the name {name} is taken"))
        .because(format!("it is what .sops.yaml calls {other}"))
        .hint(format!("choose another one, such as {name}-laptop")))
}

/// The change, and the policy with it; `None` where there is nothing to ask for.
fn plan(
    wanted: &[Environment],
    called: &str,
    recipient: &Recipient,
    repo: &Repository,
) -> Result<Option<(Access, String)>> {
    let text = policy_at_head(repo)?;
    if let Ok(policy) = Policy::parse(&text) {
        is_free(called, recipient, &policy)?;
    }
    let wanted: Vec<Environment> =
        wanted.iter().map(|one| environments::read(repo, &one.name)).collect::<Result<_>>()?;
    let shared = present(repo)?.into_iter().filter(|file| !file.personal);
    let shared: Vec<String> = shared.map(|file| file.path).collect();
    let planned = access::plan(&wanted, called, recipient, &text, &shared).map_err(|error| {
        Error::from_source(Kind::Refused, &error).context(format!("{POLICY} is not changed"))
    })?;
    Ok(planned)
}

fn commit(access: &Access, text: &str, repo: &Repository, world: &World) -> Result<Option<Change>> {
    let path = RelPath::new(POLICY)?;
    let head = repo.head()?;
    world.effects().write(repo, &path, &Content::Policy(text))?;
    let files = vec![FileChange::of(path, text.as_bytes())];
    let request = CommitRequest { message: access.message(), files, expected_head: head };
    let committed = world.effects().commit(repo, &request)?;
    Ok(committed.map(|committed| Change { commit: committed.id, text: access.request() }))
}
