//! The one way of every command that makes or revokes tokens: lock → observe → plan → show → confirm → apply for each
//! environment → report. The commands differ in what they plan.

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::Exit;
use super::connection::{Connections, need_yes};
use crate::apply::apply;
use crate::cli::WriteArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::{self, Ground, Wish, environments};
use crate::plan::message::Done;
use crate::plan::{Plan, observed::Observed};
use crate::profile::Environment;
use crate::repo::Repository;
use crate::repo::lock::{Holder, RepoLock};
use crate::ui::progress::Progress;
use crate::ui::{Ui, interrupt, prompt, report};
use crate::world::World;

/// How long another run in the same clone is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// What a command wants done, and where.
pub(super) struct Job<'a> {
    /// The command's name, as others that wait for it read it.
    pub(super) verb: &'static str,
    /// The environments, in this order.
    pub(super) environments: Vec<Environment>,
    /// What to look at.
    pub(super) wish: Wish,
    /// Decides about one environment.
    pub(super) plan: &'a dyn Fn(&Environment, &Observed) -> Result<Plan>,
}

/// What is needed to look at an environment again.
struct Run<'a> {
    job: &'a Job<'a>,
    repo: Rc<Repository>,
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
    environments::check_disjoint(&repo, &job.environments)?;
    let _lock = if args.dry_run { None } else { Some(lock(&repo, job.verb, ui)?) };
    let connections = Connections::new(&args.connection, ui, world)?;
    let run = Run { job, repo, connections, ui, world };
    let mut planned = Vec::new();
    for environment in &job.environments {
        planned.push(run.plan(environment).await?);
    }
    let plans: Vec<&Plan> = planned.iter().map(|(_, plan)| plan).collect();
    if args.dry_run {
        return dry_run(&plans, args, ui);
    }
    consent(&plans, args, ui)?;
    let attention = plans.iter().any(|plan| plan.needs_attention());
    interrupt::under_way();
    let done = run.apply(planned).await?;
    report::done(ui, &done)?;
    Ok(if attention { Exit::Attention } else { Exit::Done })
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

fn lock(repo: &Repository, verb: &str, ui: Ui) -> Result<RepoLock> {
    let me = Holder::this_process(verb);
    let wait = |holder: &Holder| ui.say(&format!("waiting for another run in this repository: {holder}"));
    Ok(RepoLock::acquire(repo.common_dir(), &me, LOCK_TIMEOUT, wait)?)
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
    async fn plan(&self, environment: &Environment) -> Result<(Ground, Plan)> {
        let client = self.connections.client(&environment.gitlab)?;
        let looking = format!("{}: looking at {}", environment.name, environment.gitlab);
        let progress = Progress::start(self.ui, &looking);
        let observed = observe::environment(
            environment.clone(),
            Rc::clone(&self.repo),
            client,
            self.world,
            self.job.wish,
        )
        .await;
        drop(progress);
        let (ground, observed) = observed?;
        let plan = (self.job.plan)(environment, &observed)?;
        Ok((ground, plan))
    }

    /// One environment after the other, each with a commit of its own. From the second on it is looked at and planned
    /// again, since HEAD has moved; another plan than the one that was shown is not carried out.
    async fn apply(&self, planned: Vec<(Ground, Plan)>) -> Result<Vec<Done>> {
        let mut all: Vec<Done> = Vec::new();
        for (ground, plan) in planned {
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
            let again = self.plan(&ground.environment).await?;
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
        let progress = Progress::start(self.ui, &plan.environment);
        let done = apply(&plan, &ground, self.world, &progress).await;
        drop(progress);
        done.map(|done| report::with_plan(done, &plan))
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
