//! What a run is going to do, decided beforehand as data that can be printed, serialised and compared.
//!
//! A planner is a pure function of what is wanted (the profile), what is (`observed`) and the time. `apply` does what
//! a plan says and decides nothing.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use self::deliver::Waiting;
use crate::journal::Retiring;
use crate::token::TokenId;

pub mod access;
pub mod adopt;
mod again;
pub mod at_gitlab;
mod at_once;
pub mod deliver;
mod end;
mod error;
mod fate;
pub mod health;
pub mod invocation;
pub mod message;
pub mod next_lock;
pub mod observed;
pub mod options;
mod orphans;
pub mod partial;
pub mod pasted;
pub mod provision;
mod reason;
pub mod recover;
pub mod rekey;
pub mod request;
pub mod retire;
pub mod review;
mod step;
mod write;

pub use error::{PlanError, Regain};
pub use reason::Reason;
pub use step::{AskedExpiry, Mint, Once, Proof, Readers, Retire, Revoke, Step, TakesOver, Why, Write};

/// What a run does to one environment, in order. Empty `steps`: all is as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The environment.
    pub environment: String,
    /// Address of its GitLab.
    pub gitlab: String,
    /// GitLab's time when it was planned.
    pub at: Timestamp,
    /// What will be done, in this order.
    pub steps: Vec<Step>,
    /// Entries that need nothing.
    pub healthy: Vec<Healthy>,
    /// What a person should know before saying yes, and nothing is done about.
    pub notes: Vec<Note>,
    /// Marks of requests without a reply that may still be committed at GitLab.
    pub watched: Vec<String>,
    /// Those of them that a person gave up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<String>,
    /// Tokens that an interrupted run was about to revoke, and this one does not: they are not forgotten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still_to_revoke: Vec<Retiring>,
}

/// An entry that needs nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Healthy {
    /// Key of the entry.
    pub key: String,
    /// Its current token.
    pub id: TokenId,
    /// Its end, as GitLab says.
    pub expires: Option<Date>,
}

/// Something that a person should know, and nothing is done about.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    /// Whether it makes the exit code 3.
    pub attention: bool,
    /// One sentence.
    pub text: String,
}

impl Note {
    pub(crate) fn info(text: impl Into<String>) -> Self {
        Self { attention: false, text: text.into() }
    }

    pub(crate) fn attention(text: impl Into<String>) -> Self {
        Self { attention: true, text: text.into() }
    }
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether a note asks for care.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.notes.iter().any(|note| note.attention)
    }

    /// Whether this plan does more than another one that a person said yes to: another token, or the revocation of one,
    /// or another file or other readers. Finishing and withdrawing what a run of our own made is never more.
    #[must_use]
    pub fn exceeds(&self, shown: &Self) -> bool {
        let agreed: Vec<String> = shown.steps.iter().filter_map(agreement).collect();
        self.steps.iter().filter_map(agreement).any(|step| !agreed.contains(&step))
    }

    /// The same, whoever will read the files: somebody was taken out of them since.
    #[must_use]
    pub fn exceeds_but_for_readers(&self, shown: &Self) -> bool {
        let without_readers = |plan: &Self| {
            let mut plan = plan.clone();
            for step in &mut plan.steps {
                if let Step::Write(write) = step {
                    write.readers = Readers::default();
                }
            }
            plan
        };
        without_readers(self).exceeds(&without_readers(shown))
    }

    /// The mints, in order.
    pub fn mints(&self) -> impl Iterator<Item = &Mint> {
        self.steps.iter().filter_map(|step| match step {
            Step::Mint(mint) => Some(mint),
            _ => None,
        })
    }

    /// The tokens that are revoked as soon as the commit is there.
    pub fn at_once(&self) -> impl Iterator<Item = &Retire> {
        self.steps.iter().filter_map(|step| match step {
            Step::RetireAtOnce(retire) => Some(retire),
            _ => None,
        })
    }

    /// The tokens that it revokes, but for those of an interrupted run that nobody can use.
    pub fn retirements(&self) -> impl Iterator<Item = &Retire> {
        self.steps.iter().filter_map(|step| match step {
            Step::Retire(retire) | Step::RetireAtOnce(retire) => Some(retire),
            Step::Revoke(revoke) => Some(&revoke.retire),
            _ => None,
        })
    }

    /// Adds the push of what earlier runs committed and the remote does not have, unless a commit of this run takes it
    /// along.
    pub fn push_waiting(&mut self, waiting: Option<Waiting>) {
        let waiting = waiting.filter(|_| !self.commits());
        self.steps.extend(waiting.map(|Waiting { to, commits, .. }| Step::Push { to, commits }));
    }

    /// Whether it makes a commit.
    #[must_use]
    pub fn commits(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Commit { .. }))
    }

    /// The tokens to be taken from a person, in order.
    pub fn pastes(&self) -> impl Iterator<Item = &Mint> {
        self.steps.iter().filter_map(|step| match step {
            Step::Paste(mint) => Some(mint),
            _ => None,
        })
    }

    /// The tokens of entries that end.
    pub fn revocations(&self) -> impl Iterator<Item = &Revoke> {
        self.steps.iter().filter_map(|step| match step {
            Step::Revoke(revoke) => Some(revoke),
            _ => None,
        })
    }

    /// The files to be written, in order.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.steps.iter().filter_map(|step| match step {
            Step::Write(write) => Some(write),
            _ => None,
        })
    }
}

/// What of a step a person has to agree to, comparable with that of another plan.
fn agreement(step: &Step) -> Option<String> {
    match step {
        Step::Mint(mint) | Step::Paste(mint) => serde_json::to_string(mint).ok(),
        Step::Retire(retire) | Step::RetireAtOnce(retire) => {
            Some(format!("revoke {} of {}", retire.token.id, retire.token.owner.path))
        }
        Step::Write(write) => Some(format!("write {} for {:?}", write.file, write.readers)),
        Step::Push { to, .. } => Some(format!("push to {to}")),
        Step::Revoke(revoke) => {
            let token = &revoke.retire.token;
            Some(format!("revoke {} of {}", token.id, token.owner.path))
        }
        Step::Move { .. }
        | Step::Withdraw { .. }
        | Step::Finish { .. }
        | Step::Render { .. }
        | Step::Restore { .. }
        | Step::Lock { .. }
        | Step::Commit { .. } => None,
    }
}

#[cfg(test)]
mod tests;
