//! The one way of every command that makes or revokes tokens: lock → observe → plan → show → confirm → apply for each
//! environment → report. The commands differ in what they plan.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::Exit;
use super::connection::{Connections, need_yes};
use super::paste::{Beforehand, Pasting};
use crate::apply::{arrive, interrupted};
use crate::cli::WriteArgs;
use crate::deliver::Delivery;
use crate::error::{Error, Kind, Result};
use crate::observe::{self, Ground, Wish, at_gitlab, deliverable, environments};
use crate::plan::deliver::Way;
use crate::plan::message::Done;
use crate::plan::{Plan, observed::Observed};
use crate::profile::Environment;
use crate::repo::Repository;
use crate::repo::lock::{Holder, RepoLock};
use crate::ui::progress::Progress;
use crate::ui::{Ui, interrupt, prompt, report};
use crate::world::World;

/// What a command wants done, and where.
pub(super) struct Job<'a> {
    /// The command's name, as others that wait for it read it.
    pub(super) verb: &'static str,
    /// The environments, in this order.
    pub(super) environments: Vec<Environment>,
    /// What to look at.
    pub(super) wish: Wish,
    /// A personal token that was pasted before anything was looked at.
    pub(super) pasted: Option<Beforehand>,
    /// Decides about one environment.
    pub(super) plan: &'a dyn Fn(&Environment, &Observed) -> Result<Plan>,
}

/// What is needed to look at an environment again.
struct Run<'a> {
    job: &'a Job<'a>,
    repo: Rc<Repository>,
    way: Option<Way>,
    /// All that were begun, each to be closed at the end.
    deliveries: RefCell<Vec<Rc<Delivery>>>,
    connections: Connections<'a>,
    ui: Ui,
    world: &'a World,
}

/// Does the job.
///
/// # Errors
/// See the exit codes.
pub(super) async fn run(
    job: &Job<'_>,
    repo: Rc<Repository>,
    args: &WriteArgs,
    ui: Ui,
    world: &World,
) -> Result<Exit> {
    let connections = Connections::new(&args.connection, ui, world)?;
    run_with(job, repo, args, connections, ui, world).await
}

/// The same over connections that the command has prepared.
///
/// # Errors
/// See the exit codes.
pub(super) async fn run_with(
    job: &Job<'_>,
    repo: Rc<Repository>,
    args: &WriteArgs,
    connections: Connections<'_>,
    ui: Ui,
    world: &World,
) -> Result<Exit> {
    environments::check_disjoint(&repo, &job.environments)?;
    let way = args.delivery.way();
    // A run that delivers has a worktree, which is one writer's, even if it only looks.
    let alone = !args.dry_run || way.is_some();
    let _lock = if alone { Some(lock(&repo, job.verb, args.lock_timeout, ui)?) } else { None };
    let run = Run { job, repo, way, deliveries: RefCell::default(), connections, ui, world };
    let exit = run.whole(args).await;
    run.close();
    exit
}

/// The environments that were named, or all of them.
///
/// # Errors
/// Where there are none, or a profile cannot be used.
pub(super) fn chosen(names: &[String], all: bool, repo: &Repository) -> Result<Vec<Environment>> {
    let mut names = if all { environments::names(repo)? } else { names.to_vec() };
    if names.is_empty() {
        return Err(Error::new(Kind::Usage, "there are no environments")
            .because("environments/ has no profile")
            .hint("run provision init to make the first ones"));
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names.iter().map(|name| environments::read(repo, name)).collect()
}

/// One writer at a time in a clone; `verb` is what others that wait for this one read.
pub(super) fn lock(repo: &Repository, verb: &str, timeout: jiff::SignedDuration, ui: Ui) -> Result<RepoLock> {
    let me = Holder::this_process(verb);
    let wait = |holder: &Holder| ui.say(&format!("waiting for another run in this repository: {holder}"));
    let timeout = Duration::try_from(timeout).unwrap_or_default();
    Ok(RepoLock::acquire(repo.common_dir(), &me, timeout, wait)?)
}

/// Shows the plans, and asks where there is something to do.
fn consent(plans: &[&Plan], args: &WriteArgs, ui: Ui) -> Result<()> {
    if plans.iter().all(|plan| plan.is_empty()) {
        report::notes(ui, plans);
        return Ok(());
    }
    report::plans(ui, plans);
    need_yes(ui, args.yes)?;
    if args.yes { Ok(()) } else { prompt::confirm(ui, "Go ahead?", "--yes") }
}

impl Run<'_> {
    async fn whole(&self, args: &WriteArgs) -> Result<Exit> {
        let mut planned = Vec::new();
        for environment in &self.job.environments {
            planned.push(self.plan(environment).await?);
        }
        let plans: Vec<&Plan> = planned.iter().map(|(_, plan)| plan).collect();
        if args.dry_run {
            return dry_run(&plans, args, self.ui);
        }
        consent(&plans, args, self.ui)?;
        let attention = plans.iter().any(|plan| plan.needs_attention());
        let pasting = Pasting { accepts_more: args.accept_more, beforehand: self.job.pasted.as_ref() };
        for (ground, plan) in &mut planned {
            ground.pasted = pasting.all(plan, ground, self.ui, self.world).await?;
        }
        interrupt::between_effects();
        let done = self.apply(planned).await?;
        report::done(self.ui, &done)?;
        Ok(if attention { Exit::Attention } else { Exit::Done })
    }

    /// However the run ended, its worktrees go. What is to be finished is in the journal.
    fn close(&self) {
        for delivery in self.deliveries.take() {
            if let Some(note) = delivery.close(self.world) {
                self.ui.note(false, &note);
            }
        }
    }

    async fn plan(&self, environment: &Environment) -> Result<(Ground, Plan)> {
        let looking = format!("{}: looking at {}", environment.name, environment.gitlab);
        let progress = Progress::start(self.ui, &looking);
        let planned = match self.way {
            None => self.look(environment, &self.repo).await,
            Some(way) => self.look_to_deliver(environment, way).await,
        };
        let (ground, mut plan) = planned?;
        at_gitlab::before_minting(&ground, &mut plan).await?;
        drop(progress);
        Ok((ground, plan))
    }

    async fn look(&self, environment: &Environment, repo: &Rc<Repository>) -> Result<(Ground, Plan)> {
        let client = self.connections.client(&environment.gitlab)?;
        let (environment, repo) = (environment.clone(), Rc::clone(repo));
        let (ground, observed) =
            observe::environment(environment, repo, client, self.world, self.job.wish).await?;
        let plan = (self.job.plan)(&ground.environment, &observed)?;
        Ok((ground, plan))
    }

    /// In a worktree of our own, whose profile is the one that counts.
    async fn look_to_deliver(&self, environment: &Environment, way: Way) -> Result<(Ground, Plan)> {
        deliverable::check(&self.repo, environment, way)?;
        let client = self.connections.client(&environment.gitlab)?;
        let delivery = Delivery::begin(self.world, &self.repo, way, &environment.name, Some(&client)).await?;
        let delivery = Rc::new(delivery);
        self.deliveries.borrow_mut().push(Rc::clone(&delivery));
        let there = environments::read(delivery.repo(), &environment.name)?;
        deliverable::check(delivery.repo(), &there, way)?;
        let (mut ground, mut plan) = self.look(&there, delivery.repo()).await?;
        plan.notes.extend_from_slice(delivery.notes());
        plan.push_waiting(delivery.waiting(&ground.lock_path)?);
        ground.delivery = Some(delivery);
        Ok((ground, plan))
    }

    /// One environment after the other, each with a commit of its own. From the second on it is looked at and planned
    /// again, since HEAD has moved; another plan than the one that was shown is not carried out.
    async fn apply(&self, planned: Vec<(Ground, Plan)>) -> Result<Vec<Done>> {
        let mut all: Vec<Done> = Vec::new();
        for (ground, plan) in planned {
            if self.world.effects().asked_to_stop() && !all.is_empty() {
                report::done(self.ui, &all)?;
                return Err(interrupted(Kind::HalfWay));
            }
            match self.one(ground, plan, all.iter().any(|done| done.commit.is_some())).await {
                Ok(done) => all.push(done),
                Err(error) if all.iter().all(|done| done.commit.is_none()) => return Err(error),
                Err(error) => {
                    report::done(self.ui, &all)?;
                    return Err(error.of_kind(Kind::HalfWay));
                }
            }
        }
        Ok(all)
    }

    async fn one(&self, ground: Ground, shown: Plan, moved: bool) -> Result<Done> {
        let (ground, plan) = if moved && !shown.is_empty() {
            let mut again = self.plan(&ground.environment).await?;
            again.0.pasted = ground.pasted;
            if again.1.consent() != shown.consent() {
                return Err(Error::new(
                    Kind::Refused,
                    format!("the plan for {} is no longer the one that was shown", shown.environment),
                )
                .hint("run the same command again and look at the new plan"));
            }
            again
        } else {
            (ground, shown)
        };
        let environment = ground.environment.clone();
        let progress = Progress::start(self.ui, &plan.environment);
        let again = async || match self.way {
            None => self.look(&environment, &self.repo).await,
            Some(way) => self.look_to_deliver(&environment, way).await,
        };
        let done = arrive(ground, &plan, self.world, &progress, again).await;
        drop(progress);
        done
    }
}

#[derive(Serialize)]
struct DryRun<'a> {
    plans: &'a [&'a Plan],
}

fn dry_run(plans: &[&Plan], args: &WriteArgs, ui: Ui) -> Result<Exit> {
    if ui.json() {
        ui.result_json(&DryRun { plans })?;
    } else {
        for plan in plans {
            ui.result(&crate::ui::plan::text(ui, plan))?;
        }
        report::notes(ui, plans);
    }
    let something = plans.iter().any(|plan| !plan.is_empty() || plan.needs_attention());
    Ok(if args.exit_code && something { Exit::Attention } else { Exit::Done })
}
