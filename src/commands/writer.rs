//! The one way of every command that makes or revokes tokens: lock → observe → plan → show → confirm → apply for each
//! environment → report. The commands differ in what they plan.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use super::Exit;
use super::connection::{Connections, need_yes};
use super::paste::{Beforehand, Pasting};
use crate::apply::{self, arrive, interrupted};
use crate::cli::WriteArgs;
use crate::deliver::Delivery;
use crate::error::{Error, Kind, Result};
use crate::hint::Here;
use crate::hint::Hint;
use crate::observe::{self, Ground, Leaked, Wish, at_gitlab, deliverable, environments, owners, unlisted};
use crate::plan::Plan;
use crate::plan::access::Requested;
use crate::plan::deliver::{Topic, Way};
use crate::plan::message::{Done, Refusal, Refused, Unrevoked};
use crate::plan::options::Options;
use crate::plan::provision::plan;
use crate::profile::Environment;
use crate::repo::Repository;
use crate::repo::lock::{Holder, RepoLock};
use crate::ui::progress::Progress;
use crate::ui::{Ui, interrupt, prompt, report};
use crate::world::World;

/// What always ends a token.
pub(super) const BY_HAND: &str = "or revoke it at GitLab, under Access tokens";

/// What a command wants done, and where.
pub(super) struct Job<'a> {
    /// The command's name, as others that wait for it read it.
    pub(super) verb: &'static str,
    /// The environments, in this order.
    pub(super) environments: Vec<Environment>,
    /// A personal token that was pasted before anything was looked at.
    pub(super) pasted: Option<Beforehand>,
    /// The token that leaked, whose value proves that it is the one to be ended.
    pub(super) leaked: Option<Leaked>,
    /// What the person chose for an environment.
    pub(super) options: &'a dyn Fn(&str) -> Options,
}

impl Job<'_> {
    /// The command that does what was asked for in one environment.
    fn again(&self, environment: &str) -> String {
        (self.options)(environment).command(environment).to_string()
    }

    /// The same for these entries of it only.
    fn again_for(&self, environment: &str, keys: &BTreeSet<&str>) -> String {
        (self.options)(environment).command(environment).only(keys.iter().copied()).to_string()
    }
}

/// What is needed to look at an environment again.
struct Run<'a> {
    job: &'a Job<'a>,
    repo: Rc<Repository>,
    way: Option<Way>,
    /// All that were begun, each to be closed at the end.
    deliveries: RefCell<Vec<Rc<Delivery>>>,
    connections: &'a Connections<'a>,
    agreed: &'a [Plan],
    /// What was done so far.
    done: RefCell<Vec<Done>>,
    /// What would be done.
    planned: RefCell<Option<Vec<Plan>>>,
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
    let carried = carry_out(job, repo, args, &connections, &[], ui, world).await;
    carried.report(ui, None)?;
    carried.outcome
}

/// How far a job came.
pub(super) struct Carried {
    /// How it ended.
    pub(super) outcome: Result<Exit>,
    /// What was done, however it ended.
    pub(super) done: Vec<Done>,
    /// What would be done, where that was all that was wanted.
    pub(super) planned: Option<Vec<Plan>>,
    here: Here,
}

impl Carried {
    /// A job that did not begin.
    pub(super) fn stopped(error: Error, repo: &Repository) -> Self {
        Self { outcome: Err(error), done: Vec::new(), planned: None, here: repo.here().clone() }
    }

    /// Says what was done, or would be; `access`: what was asked for beside it, which is part of the one JSON document.
    pub(super) fn report(&self, ui: Ui, access: Option<&Requested>) -> Result<()> {
        if let Some(plans) = &self.planned {
            return report::planned(ui, plans, access);
        }
        if self.outcome.is_ok() || !self.done.is_empty() || access.is_some() {
            report::done(ui, &self.done, access, &self.here)
        } else {
            Ok(())
        }
    }
}

/// Does the job and leaves the report to the command. Nobody is asked for what they `agreed` to before.
pub(super) async fn carry_out(
    job: &Job<'_>,
    repo: Rc<Repository>,
    args: &WriteArgs,
    connections: &Connections<'_>,
    agreed: &[Plan],
    ui: Ui,
    world: &World,
) -> Carried {
    let way = args.run.delivery.way();
    let (deliveries, done, planned) = (RefCell::default(), RefCell::default(), RefCell::default());
    let run = Run { job, repo, way, deliveries, connections, agreed, done, planned, ui, world };
    let outcome = run.alone(args).await;
    run.close();
    let here = run.repo.here().clone();
    Carried { outcome, done: run.done.into_inner(), planned: run.planned.into_inner(), here }
}

/// Plans, so that what would stop the job is known before something else is done.
///
/// # Errors
/// The first that stops it.
pub(super) async fn rehearse(
    job: &Job<'_>,
    repo: Rc<Repository>,
    connections: &Connections<'_>,
    ui: Ui,
    world: &World,
) -> Result<Vec<Plan>> {
    environments::check_disjoint(&repo, &job.environments)?;
    let (deliveries, done, planned) = (RefCell::default(), RefCell::default(), RefCell::default());
    let run = Run { job, repo, way: None, deliveries, connections, agreed: &[], done, planned, ui, world };
    let mut plans = Vec::new();
    for environment in &job.environments {
        plans.push(run.plan(environment).await?.1);
    }
    Ok(plans)
}

/// One writer at a time in a clone; `verb` is what others that wait for this one read.
pub(super) fn lock(repo: &Repository, verb: &str, timeout: jiff::SignedDuration, ui: Ui) -> Result<RepoLock> {
    let me = Holder::this_process(verb);
    let wait = |holder: &Holder| ui.say(&format!("waiting for another run in this repository: {holder}"));
    let timeout = Duration::try_from(timeout).unwrap_or_default();
    Ok(RepoLock::acquire(repo.common_dir(), &me, timeout, wait)?)
}

/// Shows the plans, and asks where there is something to do that nobody has `agreed` to.
fn consent(plans: &[&Plan], agreed: &[Plan], args: &WriteArgs, ui: Ui) -> Result<()> {
    let is_agreed = |plan: &&Plan| {
        let shown = agreed.iter().find(|shown| shown.environment == plan.environment);
        shown.is_some_and(|shown| !plan.exceeds_but_for_readers(shown))
    };
    if plans.iter().all(is_agreed) && !plans.is_empty() {
        return Ok(());
    }
    if plans.iter().all(|plan| plan.is_empty()) {
        report::notes(ui, plans);
        return Ok(());
    }
    report::plans(ui.before_question(!args.run.yes), plans);
    need_yes(ui, args.run.yes)?;
    if args.run.yes { Ok(()) } else { prompt::confirm(ui, "Go ahead?", "--yes") }
}

impl Run<'_> {
    async fn alone(&self, args: &WriteArgs) -> Result<Exit> {
        environments::check_disjoint(&self.repo, &self.job.environments)?;
        // A run that delivers has a worktree, which is one writer's, even if it only looks.
        let alone = !args.run.dry_run || self.way.is_some();
        let timeout = args.run.lock_timeout;
        let _lock = if alone { Some(lock(&self.repo, self.job.verb, timeout, self.ui)?) } else { None };
        self.whole(args).await
    }

    async fn whole(&self, args: &WriteArgs) -> Result<Exit> {
        let mut planned = Vec::new();
        let mut failed = Failed::default();
        let pasting = Pasting { accepts_more: args.accept_more, beforehand: self.job.pasted.as_ref() };
        for environment in &self.job.environments {
            match self.plan_with_what_is_given(environment, &pasting).await {
                Ok(plan) => planned.push(plan),
                Err(error) => failed.take(&environment.name, error)?,
            }
        }
        let plans: Vec<&Plan> = planned.iter().map(|(_, plan)| plan).collect();
        if args.run.dry_run {
            let something = plans.iter().any(|plan| !plan.is_empty() || plan.needs_attention());
            let exit = if args.run.exit_code && something { Exit::Attention } else { Exit::Done };
            *self.planned.borrow_mut() = Some(planned.into_iter().map(|(_, plan)| plan).collect());
            return failed.error(&[], self.job).map_or(Ok(exit), Err);
        }
        if planned.is_empty() {
            return failed.error(&[], self.job).map_or(Ok(Exit::Done), Err);
        }
        consent(&plans, self.agreed, args, self.ui)?;
        let attention = plans.iter().any(|plan| plan.needs_attention());
        let mut ready = Vec::new();
        for (mut ground, plan) in planned {
            match self.paste(&pasting, &plan, &mut ground).await {
                Ok(()) => ready.push((ground, plan)),
                Err(error) => failed.take(&plan.environment, error)?,
            }
        }
        interrupt::between_effects();
        self.apply(ready, &mut failed).await?;
        let done = self.done.borrow();
        if let Some(error) = failed.error(&done, self.job) {
            return Err(error);
        }
        let attention = attention || done.iter().any(|done| !done.unrevoked.is_empty());
        Ok(if attention { Exit::Attention } else { Exit::Done })
    }

    /// What is at hand is proved before anybody is asked for a yes.
    async fn plan_with_what_is_given(
        &self,
        environment: &Environment,
        pasting: &Pasting<'_>,
    ) -> Result<(Ground, Plan)> {
        let (mut ground, plan) = self.plan(environment).await?;
        ground.pasted.extend(pasting.given(&plan, &ground).await?);
        Ok((ground, plan))
    }

    /// The tokens that a person makes by hand. What would make them useless is found out before.
    async fn paste(&self, pasting: &Pasting<'_>, plan: &Plan, ground: &mut Ground) -> Result<()> {
        if plan.pastes().next().is_some() {
            apply::rehearse(plan, ground, self.world)?;
        }
        let given = std::mem::take(&mut ground.pasted);
        ground.pasted = pasting.all(plan, ground, given, self.ui, self.world).await?;
        Ok(())
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
            None => self.look(environment, &self.repo, None, None).await,
            Some(way) => self.look_to_deliver(environment, way, None).await,
        };
        let (ground, mut plan) = planned?;
        at_gitlab::before_minting(&ground, &mut plan).await?;
        drop(progress);
        Ok((ground, plan))
    }

    /// `shown` is the plan that a person said yes to, where one was carried out as far as somebody else's push.
    async fn look(
        &self,
        environment: &Environment,
        repo: &Rc<Repository>,
        delivery: Option<&Rc<Delivery>>,
        shown: Option<&Plan>,
    ) -> Result<(Ground, Plan)> {
        let client = self.connections.client(&environment.gitlab)?;
        let (environment, repo) = (environment.clone(), Rc::clone(repo));
        let arrives_upstream = delivery.map_or(Ok(false), |delivery| delivery.arrives_upstream())?;
        let options = (self.job.options)(&environment.name);
        let options = shown.map_or_else(|| options.clone(), |shown| options.still(shown));
        let by_hand = self.job.pasted.as_ref().is_some_and(|pasted| pasted.made_now);
        let leaked = self.job.leaked.clone();
        let wish = Wish { arrives_upstream, by_hand, leaked, ..Wish::of(&options) };
        let (mut ground, observed) =
            observe::environment(environment, repo, client, self.world, wish).await?;
        let plan = plan(&ground.environment, &observed, &options)?;
        owners::confirm(&ground, &plan).await?;
        ground.delivery = delivery.cloned();
        Ok((ground, plan))
    }

    /// In a worktree of our own, whose profile is the one that counts.
    async fn look_to_deliver(
        &self,
        environment: &Environment,
        way: Way,
        shown: Option<&Plan>,
    ) -> Result<(Ground, Plan)> {
        deliverable::check(&self.repo, environment, way)?;
        let client = self.connections.client(&environment.gitlab)?;
        let topic = Topic::of(&environment.name);
        let delivery = Delivery::begin(self.world, &self.repo, way, &topic, Some(&client)).await?;
        let delivery = Rc::new(delivery);
        self.deliveries.borrow_mut().push(Rc::clone(&delivery));
        let there = unlisted::read(delivery.repo(), &environment.name)?;
        deliverable::check(delivery.repo(), &there, way)?;
        let (ground, mut plan) = self.look(&there, delivery.repo(), Some(&delivery), shown).await?;
        plan.notes.extend_from_slice(delivery.notes());
        plan.push_waiting(delivery.waiting(&ground.lock_path)?);
        Ok((ground, plan))
    }

    /// One environment after the other, each with a commit of its own. From the second on it is looked at and planned
    /// again, since HEAD has moved; another plan than the one that was shown is not carried out.
    async fn apply(&self, planned: Vec<(Ground, Plan)>, failed: &mut Failed) -> Result<()> {
        let mut planned = planned.into_iter();
        while let Some((ground, plan)) = planned.next() {
            let name = plan.environment.clone();
            if self.world.effects().asked_to_stop() && !self.done.borrow().is_empty() {
                return Err(interrupted(Kind::HalfWay));
            }
            let moved = self.done.borrow().iter().any(|done| done.commit.is_some());
            match self.one(ground, plan, moved).await {
                Ok(()) => {}
                // What stopped this one half-way, a hook or a full disk, would stop the next one there too.
                Err(error) if error.kind() == Kind::HalfWay => {
                    failed.errors.push((name, error));
                    let rest = planned.map(|(_, plan)| plan).filter(|plan| !plan.is_empty());
                    failed.rest.extend(rest.map(|plan| plan.environment));
                    return Ok(());
                }
                Err(error) => {
                    if let Err(error) = failed.take(&name, error) {
                        let something = self.done.borrow().iter().any(|done| !done.is_nothing());
                        return Err(if something { error.of_kind(Kind::HalfWay) } else { error });
                    }
                }
            }
        }
        Ok(())
    }

    async fn one(&self, ground: Ground, shown: Plan, moved: bool) -> Result<()> {
        let (ground, plan) = if moved && !apply::is_idle(&shown, &ground) {
            let mut again = self.plan(&ground.environment).await?;
            again.0.pasted = ground.pasted;
            if again.1.exceeds(&shown) {
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
            None => self.look(&environment, &self.repo, None, Some(&plan)).await,
            Some(way) => self.look_to_deliver(&environment, way, Some(&plan)).await,
        };
        let mut done = Done::default();
        let arrived = arrive(ground, &plan, self.world, &progress, &mut done, again).await;
        drop(progress);
        let told = match &arrived {
            Ok(()) => Some(Done { planned: plan.notes, ..done }),
            Err(_) => Some(done.for_good()).filter(|done| !done.is_nothing()),
        };
        self.done.borrow_mut().extend(told);
        arrived
    }
}

/// The environments that failed while others did not.
#[derive(Default)]
struct Failed {
    /// Why.
    errors: Vec<(String, Error)>,
    /// Those whose turn has not come for that.
    rest: Vec<String>,
}

impl Failed {
    /// Takes note, so that the other environments have their turn.
    ///
    /// # Errors
    /// The error itself, where the others cannot have it.
    fn take(&mut self, environment: &str, error: Error) -> Result<()> {
        if matches!(error.kind(), Kind::Unreachable | Kind::Interrupted) {
            return Err(error);
        }
        self.errors.push((environment.to_owned(), error));
        Ok(())
    }

    /// What is to be said at the end, where anything failed: the first error, and the commands for what is not done.
    fn error(self, done: &[Done], job: &Job<'_>) -> Option<Error> {
        let only = job.environments.len() == 1;
        let names = self.errors.iter().map(|(name, _)| name).chain(&self.rest).filter(|_| !only);
        let commands: Vec<String> = names.map(|name| job.again(name)).collect();
        let something = done.iter().any(|done| !done.is_nothing());
        let mut errors = self
            .errors
            .into_iter()
            .map(|(name, error)| if only { error } else { error.context(format!("{name} failed")) });
        let first = errors.next();
        let left = [refused(done, job), still_to_revoke(done)];
        let mut said = first.into_iter().chain(left.into_iter().flatten());
        let error = said.next()?;
        let error = said.fold(error, |error, other| {
            other.hints().iter().cloned().fold(error.because(other.to_string()), Error::hint)
        });
        let error = errors.fold(error, |error, other| {
            other.causes().iter().take(1).fold(error.because(other.to_string()), Error::because)
        });
        let error =
            commands.iter().fold(error, |error, command| error.hint(format!("for the rest: {command}")));
        Some(if something { error.of_kind(Kind::HalfWay) } else { error })
    }
}

/// The tokens that have a successor, and were not revoked. Nothing else waits for them.
fn still_to_revoke(done: &[Done]) -> Option<Error> {
    let left = done.iter().flat_map(|done| done.still_to_revoke.iter().map(move |token| (done, token)));
    let left: Vec<(&Done, &Unrevoked)> = left.collect();
    let error = match left.as_slice() {
        [] => return None,
        [(_, Unrevoked { id, key, why, .. })] => {
            let what = format!("token {id} of {key} is replaced, but not revoked yet");
            Error::new(Kind::HalfWay, what).because(why)
        }
        several => {
            let what = format!("{} tokens are replaced, but not revoked yet", several.len());
            several.iter().fold(Error::new(Kind::HalfWay, what), |error, (done, token)| {
                let Unrevoked { id, key, why, .. } = token;
                error.because(format!("{}: token {id} of {key}: {why}", done.environment))
            })
        }
    };
    let mut hints: Vec<Hint> = Vec::new();
    let each = left.iter().flat_map(|(_, token)| token.hints.iter().cloned());
    let again = left
        .iter()
        .map(|(done, _)| format!("to try that again: {}", Options::resume(None).command(&done.environment)));
    for hint in each.chain(again.map(Hint::from)).chain([BY_HAND.into()]) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    Some(hints.into_iter().fold(error, Error::hint))
}

/// The tokens that were not made, or not revoked, while others of their environment were.
fn refused(done: &[Done], job: &Job<'_>) -> Option<Error> {
    let all: Vec<&Done> = done.iter().filter(|done| !done.refused.is_empty()).collect();
    let first = all.first()?.refused.first()?;
    let (revocations, mints): (Vec<&Refused>, Vec<&Refused>) =
        all.iter().flat_map(|done| &done.refused).partition(|refused| refused.what == Refusal::Revocation);
    let counted = [(mints.len(), "made"), (revocations.len(), "revoked")];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, verb)| match count {
        1 => format!("1 token was not {verb}"),
        _ => format!("{count} tokens were not {verb}"),
    });
    let what = counted.collect::<Vec<_>>().join(", and ");
    let error = Error::new(Kind::HalfWay, what).because(format!("{}: {}", first.key, first.why));
    Some(all.iter().fold(error, |error, done| {
        let keys: BTreeSet<&str> = done.refused.iter().map(|refused| refused.key.as_str()).collect();
        error.hint(format!("for the rest: {}", job.again_for(&done.environment, &keys)))
    }))
}
