//! The one way of every command that brings secrets files into line with the policy: lock → observe → plan → show →
//! confirm → apply → deliver → report. The commands differ in what they do to the policy first.

use std::cell::RefCell;
use std::rc::Rc;

use super::Exit;
use super::connection::need_yes;
use super::writer;
use crate::apply::rekey::{How, rekey};
use crate::cli::FileWriteArgs;
use crate::deliver::{self, Bench, deliver_all};
use crate::error::Result;
use crate::observe::deliverable;
use crate::observe::rekey::{Ground, Wish, observe, policy_at_head};
use crate::plan::deliver::{Topic, Waiting};
use crate::plan::rekey::{Done, Plan, plan};
use crate::plan::request::{RequestText, code};
use crate::plan::{Note, Plan as TokenPlan};
use crate::repo::Repository;
use crate::ui::progress::Progress;
use crate::ui::{self, Ui, interrupt, prompt};
use crate::world::World;

/// From the text of the committed policy to the one that it is to have.
pub(super) type Edit<'a> = &'a dyn Fn(&str) -> Result<String>;

/// What a command wants done.
pub(super) struct Job<'a> {
    /// The command's name, as others that wait for it read it.
    pub(super) verb: &'static str,
    /// What a merge request is about.
    pub(super) topic: Topic,
    /// Only these files and folders, relative to the root; empty means everything.
    pub(super) within: Vec<String>,
    /// Subject of the commit, where there is a better one than that files follow the policy.
    pub(super) subject: Option<String>,
    /// What becomes of the policy first.
    pub(super) edit: Option<Edit<'a>>,
    /// What the command does after that, so that one question is about both.
    pub(super) then: &'a [TokenPlan],
}

/// How it ended.
pub(super) enum Outcome {
    /// After `--dry-run`: what would be done, and what a person should know besides.
    Planned(Plan, Vec<Note>),
    /// What was done.
    Done(Exit, Done),
}

struct Run<'a> {
    job: &'a Job<'a>,
    args: &'a FileWriteArgs,
    ui: Ui,
    world: &'a World,
    /// What was shown, and agreed to.
    agreed: RefCell<Option<String>>,
    outcome: RefCell<Option<Outcome>>,
}

/// Says what was done, or would be.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn report(outcome: &Outcome, args: &FileWriteArgs, ui: Ui) -> Result<Exit> {
    match outcome {
        Outcome::Planned(plan, notes) => ui::rekey::dry_run(ui, plan, notes, args.run.exit_code),
        Outcome::Done(exit, done) => ui::rekey::done(ui, done).map(|()| *exit),
    }
}

/// Does the job.
///
/// # Errors
/// See the exit codes.
pub(super) async fn run(
    job: &Job<'_>,
    repo: &Rc<Repository>,
    args: &FileWriteArgs,
    ui: Ui,
    world: &World,
) -> Result<Outcome> {
    interrupt::before_any_effect();
    let way = args.run.delivery.way();
    let alone = !args.run.dry_run || way.is_some();
    let _lock = if alone { Some(writer::lock(repo, job.verb, args.run.lock_timeout, ui)?) } else { None };
    if let Some(way) = way {
        deliverable::check_files(repo, &job.within, way)?;
    }
    let run = Run { job, args, ui, world, agreed: RefCell::default(), outcome: RefCell::default() };
    let work = async |bench: Bench<'_>| run.once(bench.repo, bench.notes);
    let delivered = deliver_all(world, repo, way, &job.topic, work, |waiting| run.agree(waiting)).await?;
    let mut outcome = run.outcome.take().unwrap_or_else(|| Outcome::Done(Exit::Done, Done::default()));
    if let Outcome::Done(_, done) = &mut outcome {
        done.pushed = delivered.to;
        done.merge_request = delivered.merge_request;
        done.notes.extend(delivered.notes);
    }
    Ok(outcome)
}

impl Run<'_> {
    fn once(&self, repo: &Rc<Repository>, notes: &[Note]) -> Result<Option<deliver::Change>> {
        let (ground, plan) = self.look(repo)?;
        if self.args.run.dry_run {
            *self.outcome.borrow_mut() = Some(Outcome::Planned(plan, notes.to_vec()));
            return Ok(None);
        }
        self.consent(&plan, notes)?;
        interrupt::under_way();
        let progress = Progress::start(self.ui, "opening the files");
        let how = How { commit: !self.args.no_commit, subject: self.job.subject.as_deref() };
        let (done, commit) = rekey(plan, &ground, how, self.world, &progress)?;
        drop(progress);
        let text = done.request(how.subject);
        let exit = if done.skipped.is_empty() { Exit::Done } else { Exit::Attention };
        *self.outcome.borrow_mut() = Some(Outcome::Done(exit, done));
        Ok(commit.map(|commit| deliver::Change { commit, text }))
    }

    /// Asks whether commits that wait are to be pushed; what their merge request says.
    fn agree(&self, waiting: &Waiting) -> Result<Option<RequestText>> {
        let Waiting { to, commits, files } = waiting;
        let counted = if *commits == 1 { "1 commit".to_owned() } else { format!("{commits} commits") };
        let pushes = format!("{counted} of yours to {to}, with {}", files.join(", "));
        if let Some(Outcome::Planned(plan, _)) = &mut *self.outcome.borrow_mut() {
            plan.pushes = Some(pushes);
            return Ok(None);
        }
        ui::rekey::push(self.ui, &pushes);
        need_yes(self.ui, self.args.run.yes)?;
        if !self.args.run.yes {
            prompt::confirm(self.ui, "Go ahead?", "--yes")?;
        }
        interrupt::under_way();
        let title = self.job.subject.clone();
        let title = title
            .unwrap_or_else(|| "provision(rekey): bring secrets files into line with .sops.yaml".to_owned());
        let named = files.iter().map(|file| format!("- {}", code(file)));
        let lines =
            [format!("Brings {counted} that changed these files:"), String::new()].into_iter().chain(named);
        Ok(Some(RequestText { title, lines: lines.collect() }))
    }

    fn look(&self, repo: &Rc<Repository>) -> Result<(Ground, Plan)> {
        let _progress = Progress::start(self.ui, "looking at the secrets files");
        let policy = match self.job.edit {
            Some(edit) => {
                let text = policy_at_head(repo)?;
                Some(edit(&text)?).filter(|new| *new != text)
            }
            None => None,
        };
        let wish = Wish { within: self.job.within.clone(), policy };
        let (ground, observed) = observe(repo, self.world, wish)?;
        Ok((ground, plan(observed)?))
    }

    /// Shows the plan, and asks where there is something to do that was not agreed to before.
    fn consent(&self, plan: &Plan, notes: &[Note]) -> Result<()> {
        let agreement = Some(plan.agreement());
        if plan.is_empty() || *self.agreed.borrow() == agreement {
            return Ok(());
        }
        let asking = self.ui.before_question(!self.args.run.yes);
        ui::rekey::show(asking, plan, notes);
        ui::report::plans(asking, &self.job.then.iter().collect::<Vec<_>>());
        need_yes(self.ui, self.args.run.yes)?;
        if !self.args.run.yes {
            prompt::confirm(self.ui, "Go ahead?", "--yes")?;
        }
        *self.agreed.borrow_mut() = agreement;
        Ok(())
    }
}
