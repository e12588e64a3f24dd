//! The journal of the run that is under way.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::journal::{Line, Retiring};
use crate::observe::Ground;
use crate::plan::message::Done;
use crate::plan::{Plan, Step};
use crate::token::TokenId;
use crate::world::World;

/// Appends to one environment's journal.
pub(super) struct Journalled<'a> {
    world: &'a World,
    path: &'a Path,
    /// The lines of requests that may still be committed at GitLab, and of tokens that a later run revokes; they outlive
    /// the run.
    watched: Vec<Line>,
    /// What the plan was going to use, and the files that stand in the work tree already: they outlive a run that
    /// did not get so far.
    unfinished: Vec<Line>,
    /// What this run has written down itself.
    appended: RefCell<Vec<Line>>,
}

impl<'a> Journalled<'a> {
    /// Starts from what the plan still needs of an interrupted run's journal. Writing it first proves that the
    /// journal can be written at all, before anything else is done.
    pub(super) fn open(plan: &Plan, ground: &'a Ground, world: &'a World) -> Result<Self> {
        let mut watched = mints(ground, &plan.watched.iter().map(String::as_str).collect());
        watched.extend(plan.given_up.iter().map(|mark| Line::GivenUp { mark: mark.clone() }));
        let marks = |step: fn(&Step) -> Option<&str>| plan.steps.iter().filter_map(step).collect();
        let withdrawn = mints(
            ground,
            &marks(|step| match step {
                Step::Withdraw { mark, .. } => Some(mark),
                _ => None,
            }),
        );
        let mut unfinished = mints(ground, &used(plan));
        if !unfinished.is_empty() {
            unfinished.extend(ground.replay.pushes.iter().cloned().map(Line::Pushing));
        }
        watched.extend(plan.still_to_revoke.iter().cloned().map(Line::Retiring));
        for begun in &ground.replay.retiring {
            let due = plan.retirements().find(|retire| retire.token.id == begun.token.id);
            unfinished.extend(
                due.map(|retire| {
                    Line::Retiring(Retiring { because: retire.because.clone(), ..begun.clone() })
                }),
            );
        }
        if !ground.replay.written.is_empty() {
            unfinished.push(Line::Writing { files: ground.replay.written.clone() });
        }
        let appended = RefCell::default();
        let journal = Self { world, path: &ground.journal, watched, unfinished, appended };
        journal.replace(withdrawn.iter().chain(&journal.watched).chain(&journal.unfinished))?;
        Ok(journal)
    }

    /// Makes lines durable that outlive this run where it gives up.
    pub(super) fn keep(&mut self, lines: [Line; 2]) -> Result<()> {
        for line in lines {
            self.append(&line)?;
            self.unfinished.push(line);
        }
        Ok(())
    }

    /// Makes `line` durable; the effect that it announces comes after.
    pub(super) fn append(&self, line: &Line) -> Result<()> {
        self.world.effects().append_journal(self.path, line).map_err(|error| self.unwritable(&error))?;
        self.appended.borrow_mut().push(line.clone());
        Ok(())
    }

    /// Leaves what was to be revoked, finished or settled, and is not in the rest of the plan that can be done, to a later
    /// run.
    pub(super) fn postpone(&mut self, plan: &Plan, rest: &Plan) {
        let (used, still) = (used(plan), used(rest));
        let is_left = |line: &mut Line| match line {
            Line::Retiring(left) => rest.retirements().all(|retire| retire.token.id != left.token.id),
            line => line.mark().is_some_and(|mark| used.contains(mark) && !still.contains(mark)),
        };
        self.watched.extend(self.unfinished.extract_if(.., is_left));
    }

    /// Whether a later run would revoke this token, should this one not come to that.
    pub(super) fn remembers(&self, id: TokenId) -> bool {
        let is_it = |line: &Line| matches!(line, Line::Retiring(retiring) if retiring.token.id == id);
        self.unfinished.iter().any(is_it) || self.appended.borrow().iter().any(is_it)
    }

    /// The run is over: what is still watched for stays, the tokens that it was to revoke and did not, and the mints with
    /// these marks, for the next run to use.
    pub(super) fn close(&self, kept: &BTreeSet<String>, done: &Done) -> Result<()> {
        let appended = self.appended.borrow();
        let stays = |line: &Line| match line {
            Line::Retiring(retiring) => !done.has_ended(retiring.token.id),
            line => line.mark().is_some_and(|mark| kept.contains(mark)),
        };
        let mut lines = Vec::new();
        for line in self.unfinished.iter().chain(appended.iter()) {
            if stays(line) && !lines.contains(line) {
                lines.push(line.clone());
            }
        }
        self.leave(&lines)
    }

    /// The run has taken back what it did itself: what it found stays, but for what it withdrew.
    pub(super) fn give_up(&self) -> Result<()> {
        self.leave(&self.unfinished)
    }

    fn leave(&self, unfinished: &[Line]) -> Result<()> {
        if self.watched.is_empty() && unfinished.is_empty() {
            return self.world.effects().remove_journal(self.path).map_err(|error| self.unwritable(&error));
        }
        self.replace(self.watched.iter().chain(unfinished))
    }

    fn replace<'l>(&self, lines: impl Iterator<Item = &'l Line>) -> Result<()> {
        let lines: Vec<Line> = lines.cloned().collect();
        self.world.effects().replace_journal(self.path, &lines).map_err(|error| self.unwritable(&error))
    }

    fn unwritable(&self, error: &std::io::Error) -> Error {
        Error::new(Kind::Failed, format!("the journal {} cannot be written", self.path.display()))
            .because(error.to_string())
            .hint("nothing is done without a journal; free space or mend the permissions, then run again")
    }
}

/// The marks of what an interrupted run left and the plan finishes or settles.
fn used(plan: &Plan) -> BTreeSet<&str> {
    let finished = plan.steps.iter().filter_map(|step| match step {
        Step::Finish { mark, .. } => Some(mark.as_str()),
        _ => None,
    });
    finished.chain(plan.mints().flat_map(|mint| mint.settles.iter().map(String::as_str))).collect()
}

/// The lines about these marks.
fn mints(ground: &Ground, marks: &BTreeSet<&str>) -> Vec<Line> {
    let mut lines = Vec::new();
    for open in ground.replay.open.iter().filter(|open| marks.contains(open.intent.mark.as_str())) {
        lines.push(Line::Intent(Box::new(open.intent.clone())));
        if let Some((token, sealed)) = &open.minted {
            lines.push(Line::Minted {
                mark: open.intent.mark.clone(),
                token: token.clone(),
                sealed: sealed.clone(),
            });
        }
    }
    lines
}
