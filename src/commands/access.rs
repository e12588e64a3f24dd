//! Asking to become a reader: a change of the policy, as a merge request that a maintainer approves.

use std::rc::Rc;
use std::slice;

use super::connection::need_yes;
use super::writer;
use crate::apply::publish;
use crate::deliver::{Bench, Change, deliver};
use crate::error::{Error, Kind, Result};
use crate::observe::readership::present;
use crate::observe::rekey::policy_at_head;
use crate::observe::{POLICY, environments};
use crate::plan::access::{self, Access, Planned, Requested, shared};
use crate::plan::deliver::{Topic, Way};
use crate::profile::Environment;
use crate::readership::listing::Present;
use crate::repo::{RelPath, Repository};
use crate::sops::{Policy, Recipient};
use crate::ui::{Ui, interrupt, prompt};
use crate::world::{Content, World};

/// How far the person agreed beforehand.
#[derive(Clone, Copy)]
pub(super) struct Consent {
    /// Whether to go ahead without asking.
    pub(super) yes: bool,
    /// Whether to show the request and stop.
    pub(super) dry_run: bool,
    /// How long to wait for another run in this clone.
    pub(super) lock_timeout: jiff::SignedDuration,
    /// The command, as others that wait for it read it.
    pub(super) verb: &'static str,
}

/// Opens the merge request, or brings the one that is open up to date. Says what became of it, but for JSON.
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
) -> Result<Requested> {
    let own = world.identities()?.own_recipients()?;
    let Some(recipient) = own.first() else {
        return Err(Error::new(Kind::CannotDecrypt, "there is no key of your own to ask for")
            .hint("provision bootstrap makes one"));
    };
    interrupt::before_any_effect();
    for Environment { name, .. } in wanted.iter().filter(|one| shared(slice::from_ref(one)).is_empty()) {
        ui.say(&format!("access: {name} is for each person alone: provision bootstrap --env {name}"));
    }
    let wanted = shared(wanted);
    let called = access::name(called);
    let requested = if wanted.is_empty() {
        Requested::Personal
    } else {
        of_shared(&wanted, (&called, recipient), consent, repo, ui, world).await?
    };
    let text = requested.text(&called);
    match &requested {
        Requested::Personal => {}
        _ if ui.json() => {}
        Requested::Open { .. } => {
            ui.result(&format!("{text}\n"))?;
            ui.say("a maintainer merges it; the files open for you once they are rekeyed after that");
        }
        Requested::Planned(_) => ui.result(&format!("{text}\n"))?,
        _ => ui.say(&text),
    }
    Ok(requested)
}

/// Asks for environments that somebody else's files are in too.
async fn of_shared(
    wanted: &[Environment],
    (called, recipient): (&str, &Recipient),
    consent: Consent,
    repo: &Rc<Repository>,
    ui: Ui,
    world: &World,
) -> Result<Requested> {
    if !consent.dry_run {
        need_yes(ui, consent.yes)?;
    }
    let _lock = writer::lock(repo, consent.verb, consent.lock_timeout, ui)?;
    let topic = Topic::of(&format!("access-{called}"));
    let mut asked = consent.yes;
    let (mut opened, mut ended) = (None, None);
    let work = async |bench: Bench<'_>| {
        let (access, text) = match plan(wanted, called, recipient, bench)? {
            Planned::New(access, text) => (access, text),
            Planned::Asked => {
                ended = Some(Requested::Asked { branch: topic.branch() });
                return Ok(None);
            }
            Planned::Reader(name) => {
                ended = Some(Requested::Reader { name });
                return Ok(None);
            }
        };
        let asking = ui.before_question(!asked && !consent.dry_run);
        for note in bench.notes {
            asking.note(note.attention, &note.text);
        }
        if consent.dry_run {
            ended = Some(Requested::Planned(access));
            return Ok(None);
        }
        asking.say(&access.text());
        if !asked {
            prompt::confirm(ui, "Ask for it in a merge request?", "--yes")?;
            asked = true;
        }
        interrupt::under_way();
        let change = commit(&access, &text, bench.repo, world)?;
        opened = Some(access);
        Ok(change)
    };
    let done = deliver(world, repo, Some(Way::MergeRequest), &topic, work).await?;
    for note in &done.notes {
        ui.note(false, note);
    }
    let Some(access) = opened else { return Ok(ended.unwrap_or(Requested::Personal)) };
    let to = done.to.unwrap_or_else(|| topic.branch());
    Ok(Requested::Open { access, to, merge_request: done.merge_request })
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

/// What is to be done, by the policy where the work is and by that of the branch which the request is for.
fn plan(wanted: &[Environment], called: &str, recipient: &Recipient, bench: Bench<'_>) -> Result<Planned> {
    let repo = bench.repo;
    let text = policy_at_head(repo)?;
    let path = RelPath::new(POLICY)?;
    let there = bench.target.map(|target| repo.content_at(target, &path)).transpose()?;
    let there = there.flatten().and_then(|bytes| String::from_utf8(bytes).ok());
    let upstream = there.unwrap_or_else(|| text.clone());
    if let Ok(policy) = Policy::parse(&text) {
        is_free(called, recipient, &policy)?;
    }
    let wanted: Vec<Environment> =
        wanted.iter().map(|one| environments::read(repo, &one.name)).collect::<Result<_>>()?;
    let shared = present(repo)?.into_iter().filter(Present::follows_policy);
    let shared: Vec<String> = shared.map(|file| file.path).collect();
    access::plan(&wanted, called, recipient, &text, &upstream, &shared).map_err(|error| {
        Error::from_source(Kind::Refused, &error).context(format!("{POLICY} is not changed"))
    })
}

fn commit(access: &Access, text: &str, repo: &Repository, world: &World) -> Result<Option<Change>> {
    let files = [(RelPath::new(POLICY)?, Content::Policy(text))];
    let committed = publish(&files, access.message(), repo.head()?, repo, world)?;
    Ok(committed.map(|committed| Change { commit: committed.id, text: access.request() }))
}
