//! `provision keys remove --rotate-tokens`: successors for the tokens that somebody who left could read. They come after
//! the commit that takes the person out, so that no successor is ever encrypted for who leaves. Nothing is remembered in
//! between: what is left to rotate is what git's history says, and the next run of the same command finds it there.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::Exit;
use super::super::connection::Connections;
use super::super::rotate::with_overlap;
use super::super::writer::{self, Job};
use crate::cli::{ConnectionArgs, KeysRemoveArgs, WriteArgs};
use crate::error::{Error, Kind, Result};
use crate::observe::{POLICY, interrupted};
use crate::plan::Plan;
use crate::plan::deliver::Way;
use crate::plan::invocation::Verb;
use crate::plan::message::Done;
use crate::plan::options::{Chosen, Options, Renew};
use crate::profile::Environment;
use crate::readership::Readable;
use crate::readership::succession::succession;
use crate::repo::{RelPath, Repository, Upstream};
use crate::sops::Policy;
use crate::ui::Ui;
use crate::world::World;

/// What is needed to rotate.
pub(super) struct Rotation<'a> {
    name: &'a str,
    options: Options,
    write: WriteArgs,
    connections: Connections<'a>,
    ui: Ui,
    world: &'a World,
}

/// What is rotated.
struct Chose {
    environments: Vec<Environment>,
    keys: BTreeMap<String, BTreeSet<String>>,
    /// Environments whose tokens wait: who leaves may know the data key of this file.
    wait: BTreeMap<String, String>,
}

impl Chose {
    /// The tokens in use; and environments whose interrupted run is to be finished. `left` are files that a removal could
    /// not bring into line: a successor in them would be one more that who leaves can read.
    fn of(
        readable: &Readable,
        all: &[Environment],
        left: &BTreeSet<String>,
        repo: &Repository,
    ) -> Result<Self> {
        let mut keys = succession(readable, all).chosen;
        let mut wait = BTreeMap::new();
        for Environment { name, secrets, .. } in all {
            let is_its = |path: &&String| secrets.iter().any(|one| one.matches(path));
            if let Some(file) = left.iter().find(is_its)
                && keys.remove(name).is_some()
            {
                wait.insert(name.clone(), file.clone());
            }
        }
        let interrupted = interrupted::environments(repo)?;
        let is_concerned = |name: &String| {
            let could_be_read = readable.tokens.iter().any(|token| token.environment == *name);
            keys.contains_key(name) || (interrupted.contains(name) && could_be_read)
        };
        let environments = all.iter().filter(|one| is_concerned(&one.name)).cloned().collect();
        Ok(Self { environments, keys, wait })
    }
}

impl<'a> Rotation<'a> {
    /// With what the command line says.
    ///
    /// # Errors
    /// An overlap that is none, a credential that cannot be read.
    pub(super) fn new(args: &'a KeysRemoveArgs, ui: Ui, world: &'a World) -> Result<Self> {
        let run = args.write.run;
        let write = WriteArgs { accept_more: false, run, connection: ConnectionArgs::default() };
        let options = Options { force: args.force, ..write.options() };
        let options = with_overlap(args.overlap.as_deref(), options, &[])?;
        let connections = Connections::new(&args.connection, ui, world)?;
        Ok(Self { name: &args.name, options, write, connections, ui, world })
    }

    /// What is going to become of their tokens, found out before anybody is taken out; `None` where the repository is
    /// against it, which may be what the removal mends: files that do not follow the policy, an edit that was interrupted.
    ///
    /// # Errors
    /// Why GitLab will not let them be replaced.
    pub(super) async fn rehearse(
        &self,
        readable: &Readable,
        environments: &[Environment],
        repo: &Rc<Repository>,
    ) -> Result<Option<Vec<Plan>>> {
        let Chose { environments, keys, .. } = Chose::of(readable, environments, &BTreeSet::new(), repo)?;
        let options = |environment: &str| self.options(keys.get(environment));
        let job = job(environments, &options);
        let rehearsed = writer::rehearse(&job, Rc::clone(repo), &self.connections, self.ui, self.world).await;
        match rehearsed {
            Err(error) if matches!(error.kind(), Kind::Refused | Kind::HalfWay) => Ok(None),
            Err(error) => {
                let without =
                    format!("provision keys remove {} without --rotate-tokens needs no GitLab", self.name);
                Err(error.hint(without))
            }
            Ok(plans) => Ok(Some(plans)),
        }
    }

    /// Whether successors have to wait for a merge: what is committed with them stands on a policy that still has who
    /// leaves.
    ///
    /// # Errors
    /// When the policy cannot be read.
    pub(super) fn awaits_merge(&self, repo: &Repository, has: impl Fn(&Policy) -> bool) -> Result<bool> {
        Ok(self.write.run.delivery.way() == Some(Way::MergeRequest) && self.stands_on(repo, has)?)
    }

    fn stands_on(&self, repo: &Repository, has: impl Fn(&Policy) -> bool) -> Result<bool> {
        let base = match (self.write.run.delivery.way(), repo.upstream()?) {
            (Some(_), Upstream::RemoteBranch { commit, .. }) => Some(commit),
            _ => repo.head()?.commit,
        };
        let Some(base) = base else { return Ok(false) };
        let text = repo.content_at(base, &RelPath::new(POLICY)?)?.unwrap_or_default();
        let there = Policy::parse(&String::from_utf8_lossy(&text)).map_err(|error| {
            Error::from_source(Kind::Refused, &error).context("upstream's .sops.yaml cannot be used")
        })?;
        Ok(has(&there))
    }

    /// Makes sure that no successor is encrypted for who leaves.
    ///
    /// # Errors
    /// The policy still `has` them, or cannot be read.
    pub(super) fn check_that_they_are_out(
        &self,
        repo: &Repository,
        has: impl Fn(&Policy) -> bool,
    ) -> Result<()> {
        if self.stands_on(repo, has)? {
            let what =
                format!("{} is still in the .sops.yaml that successors would be encrypted by", self.name);
            return Err(Error::new(Kind::HalfWay, what).hint("run the same command again"));
        }
        Ok(())
    }

    /// Rotates, one environment after the other, and says what was done. Nobody is asked for what they `agreed` to.
    /// `are_out` says that they can read no file any more; `left` are the files that are not as they should be.
    /// An error has the kind "half-way": who leaves is out already.
    pub(super) async fn run(
        &self,
        readable: &Readable,
        environments: &[Environment],
        repo: &Rc<Repository>,
        agreed: &[Plan],
        are_out: bool,
        left: &BTreeSet<String>,
    ) -> (Result<Exit>, Vec<Done>) {
        let Chose { environments, keys, wait } = match Chose::of(readable, environments, left, repo) {
            Ok(chose) => chose,
            Err(error) => return (Err(error), Vec::new()),
        };
        for (environment, file) in &wait {
            let what =
                format!("{environment} is not rotated: {} may read what is written into {file}", self.name);
            self.ui.note(true, &what);
        }
        if environments.is_empty() {
            return (Ok(Exit::Done), Vec::new());
        }
        let options = |environment: &str| self.options(keys.get(environment));
        let job = job(environments, &options);
        let (repo, ui, world) = (Rc::clone(repo), self.ui, self.world);
        let carried = writer::carry_out(&job, repo, &self.write, &self.connections, agreed, ui, world).await;
        let outcome = carried.outcome.map_err(|error| {
            let out = if are_out { format!("{} reads nothing new, and ", self.name) } else { String::new() };
            error
                .context(format!("{out}not all tokens have successors yet"))
                .of_kind(Kind::HalfWay)
                .hint("run the same command again: it goes on with the tokens that are still old")
        });
        (outcome, carried.done)
    }

    /// The options for an environment of which these tokens are rotated; `None`: what an interrupted run left is finished.
    fn options(&self, keys: Option<&BTreeSet<String>>) -> Options {
        let (verb, renew) = match keys {
            Some(keys) => (Verb::Rotate, Renew::Now(Chosen::These(keys.clone()))),
            None => (Verb::Resume, Renew::Nothing),
        };
        Options { verb, renew, ..self.options.clone() }
    }
}

fn job<'j>(environments: Vec<Environment>, options: &'j dyn Fn(&str) -> Options) -> Job<'j> {
    Job { verb: "keys remove", environments, pasted: None, leaked: None, options }
}
