//! Which tokens are revoked as soon as their successors are where the person wanted them: those that this run replaces
//! without an overlap, and those that an interrupted run was about to revoke. None of them is forgotten while it lives.

use super::invocation::Verb;
use super::observed::{Live, Observed, Outcome, Pending};
use super::options::{Options, Renew};
use super::retire::{Stands, ours};
use super::{Note, Once, Plan, Retire, Step, Why};
use crate::instance::Instance;
use crate::journal::Retiring;
use crate::lock::{self, Lock};
use crate::token::{Known, TokenId};

/// What is to be done and said about them.
#[derive(Debug, Default)]
pub(super) struct AtOnce {
    /// Revoked after the commit of this run.
    pub(super) due: Vec<Retire>,
    /// Not revoked by this run, and not to be forgotten.
    pub(super) later: Vec<Retiring>,
    /// What a person should know.
    pub(super) notes: Vec<Note>,
}

/// `plan` has the steps that make successors; `gitlab` is where the environment's tokens are.
pub(super) fn plan(plan: &Plan, gitlab: &Instance, observed: &Observed, options: &Options) -> AtOnce {
    let view = View { plan, gitlab, observed, options };
    let mut found = AtOnce::default();
    let chosen = view.chosen();
    for retiring in &chosen {
        match view.due(retiring) {
            Ok(retire) => found.due.push(retire),
            Err(why) => found.notes.push(Note::attention(format!(
                "token {} of {} is replaced, but not revoked: {why}{}",
                retiring.token.id,
                retiring.key,
                view.elsewhere(retiring)
            ))),
        }
    }
    for retiring in view.begun(&chosen) {
        let leaked = retiring.is_leaked();
        let what = format!(
            "token {} of {}{} was to be revoked by an interrupted run",
            retiring.token.id,
            retiring.key,
            if leaked { ", which leaked," } else { "" }
        );
        match view.due(&retiring) {
            _ if view.is_undone(&retiring) && !leaked => {
                found.notes.push(Note::info(format!("{what}, which is undone: it lives on")));
            }
            Ok(retire) => found.due.push(retire),
            Err(why) => {
                found.notes.push(Note::attention(format!("{what}, and is not yet: {why}")));
                found.later.push(retiring);
            }
        }
    }
    found
}

struct View<'a> {
    plan: &'a Plan,
    gitlab: &'a Instance,
    observed: &'a Observed,
    options: &'a Options,
}

impl View<'_> {
    /// What the person chose for tokens that get a successor in this run. What leaked stays what leaked. Without a commit
    /// nothing is revoked: HEAD would hold a dead token.
    fn chosen(&self) -> Vec<Retiring> {
        let mut chosen = Vec::new();
        if !self.options.commit {
            return chosen;
        }
        for (key, id) in replaced(self.plan) {
            let leaked = self.observed.retiring.iter().any(|begun| begun.token.id == id && begun.is_leaked());
            let because = self.options.at_once_because(key, id, self.observed.arrives_upstream);
            if let (Some(because), Some(entry)) = (because, self.observed.lock.tokens.get(key))
                && !leaked
                && self.concerns(id)
            {
                let (key, token) = (key.to_owned(), entry.known());
                let gitlab = Some(self.gitlab.clone());
                chosen.push(Retiring { key, gitlab, token, successor: None, because });
            }
        }
        chosen
    }

    /// What the journal still has to do, but for what the person has chosen anew.
    fn begun(&self, chosen: &[Retiring]) -> Vec<Retiring> {
        let mut begun = self.observed.retiring.clone();
        begun.retain(|begun| {
            self.concerns(begun.token.id) && chosen.iter().all(|chosen| chosen.token.id != begun.token.id)
        });
        for begun in &mut begun {
            if let Some(leaked) = self.options.leaked(begun.token.id) {
                begun.because = leaked;
            }
        }
        begun
    }

    /// Whether it lives, and nothing else of the plan ends it.
    fn concerns(&self, id: TokenId) -> bool {
        let lives = self.observed.live.get(&id).is_some_and(Live::may_live);
        lives && self.plan.retirements().all(|retire| retire.token.id != id)
    }

    /// Whether the run that was about to revoke it is undone: it is still in use, and what was to succeed it is withdrawn by
    /// this plan, dead, or given up by the person, and in no lock.
    fn is_undone(&self, retiring: &Retiring) -> bool {
        let Retiring { key, token, successor, .. } = retiring;
        let is_successor = |id, of: &str| successor.map_or(of == key.as_str(), |successor| successor == id);
        let is_withdrawn =
            |step: &Step| matches!(step, Step::Withdraw { id, key, .. } if is_successor(*id, key));
        let is_dead = |pending: &Pending| match &pending.outcome {
            Outcome::Recorded { record, committed: false, .. } => {
                !record.active && is_successor(record.id, &pending.intent.key)
            }
            _ => false,
        };
        let is_named = successor.is_some_and(|successor| self.observed.branches.named.contains(&successor));
        let is_gone = self.plan.steps.iter().any(is_withdrawn)
            || self.observed.pending.iter().any(is_dead)
            || (self.options.abandon && !is_named);
        is_gone && self.user_of(token.id).is_some()
    }

    /// The lock that has it as a current token, of any branch.
    fn user_of(&self, id: TokenId) -> Option<&str> {
        let here = self.observed.lock.current_at(self.gitlab).any(|current| current == id);
        let elsewhere = self.observed.branches.current.get(&id).map(String::as_str);
        if here { Some(&self.observed.lock_path) } else { elsewhere }
    }

    /// The revocation, where its successor is where the person wanted it when this run ends, and HEAD has it no more.
    fn due(&self, retiring: &Retiring) -> Result<Retire, String> {
        let Retiring { key, token, because, .. } = retiring;
        let (observed, options) = (self.observed, self.options);
        let is_replaced = options.commit && replaced(self.plan).any(|(_, id)| id == token.id);
        let here = is_replaced || self.succeeds(&observed.lock, retiring);
        let upstream = self.succeeds(&observed.upstream, retiring) || (here && observed.arrives_upstream);
        let after_a_push = *because == Why::NoOverlap { once: Once::Upstream };
        if !is_replaced && observed.lock.tokens.values().any(|entry| entry.id == token.id) {
            let way_out = self.way_out(key, after_a_push, upstream);
            return Err(format!("the lock here has it as the current one; {way_out}"));
        }
        if !is_replaced && observed.lock.names(token.id, self.gitlab) {
            return Err(
                "the lock here has it as superseded; it is revoked when its overlap is over".to_owned()
            );
        }
        // What nobody has as a current token is in nobody's use, whatever became of its successor.
        let user = self.user_of(token.id);
        let is_free = !is_replaced && user.is_none() && observed.upstream_unknown.is_none();
        if after_a_push && !upstream && !is_free {
            let why = observed.upstream_unknown.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            return Err(format!("its successor is not known to be upstream{why}"));
        }
        if let Some(user) = user.filter(|_| !after_a_push && !here) {
            return Err(format!(
                "{user} has it as the current one; it is revoked where that has its successor"
            ));
        }
        let Some(Live::Known(record)) = observed.live.get(&token.id) else {
            return Err("this credential is not shown the tokens of its owner".to_owned());
        };
        let stands = match (is_replaced, after_a_push) {
            (true, _) => Stands::Current,
            (false, false) if here => Stands::Pressing,
            (false, _) => Stands::Superseded,
        };
        let token = ours(token.clone(), record, observed, stands)?;
        if !options.commit {
            let resume = Options::resume(None);
            let resume = resume.command(&self.plan.environment);
            return Err(format!("a run that commits revokes it, such as {resume}"));
        }
        Ok(Retire { key: key.clone(), token, because: because.clone() })
    }

    /// Whether this lock has the token's successor, or one that came after that.
    fn succeeds(&self, lock: &Lock, retiring: &Retiring) -> bool {
        let Retiring { key, token: Known { id, .. }, successor, .. } = retiring;
        let entry = lock.tokens.get(key).filter(|entry| entry.gitlab == *self.gitlab);
        successor.is_some_and(|successor| lock.names(successor, self.gitlab))
            || entry.is_some_and(|entry| entry.id > successor.unwrap_or(*id))
    }

    /// How a token that leaked is replaced in the lock of another environment that has it as current too.
    fn elsewhere(&self, retiring: &Retiring) -> String {
        let lock = self.observed.current_elsewhere.get(&retiring.token.id).filter(|_| retiring.is_leaked());
        let other = lock.filter(|lock| !lock.upstream).and_then(|lock| lock::owner(&lock.path));
        other.map(|(other, _)| format!("; next: provision rotate --env {other} --leaked")).unwrap_or_default()
    }

    /// How a token goes that the lock here still has.
    fn way_out(&self, key: &str, after_a_push: bool, upstream: bool) -> String {
        let environment = &self.plan.environment;
        if after_a_push && upstream {
            let resume = Options::resume(None);
            return format!("upstream has its successor: git pull, then {}", resume.command(environment));
        }
        let way = after_a_push.then_some(super::deliver::Way::Push);
        let renew = Renew::Now([key.to_owned()].into());
        let rotate = Options { verb: Verb::Rotate, renew, way, ..Options::default() };
        format!(
            "it is revoked where the lock has its successor, or replaced and revoked here by {}",
            rotate.command(environment)
        )
    }
}

/// The tokens that get a successor in this run and live on beside it, with the keys of their entries.
fn replaced(plan: &Plan) -> impl Iterator<Item = (&str, TokenId)> {
    plan.steps.iter().filter_map(|step| match step {
        Step::Mint(mint) | Step::Paste(mint) if mint.rotates.is_none() => {
            Some((mint.key.as_str(), mint.replaces?))
        }
        Step::Finish { key, replaces, rotated: false, .. } => Some((key.as_str(), (*replaces)?)),
        _ => None,
    })
}
