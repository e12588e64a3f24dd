//! What the person who runs it chose.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Span, Timestamp};

use super::deliver::Way;
use super::invocation::Verb;
use super::{Once, Plan, PlanError, Reason, Why};
use crate::lock::{self, Lock};
use crate::profile::{Environment, Token};
use crate::token::TokenId;

/// The choices that a plan follows.
#[derive(Clone, Debug)]
pub struct Options {
    /// The command that they were given to.
    pub verb: Verb,
    /// Whether the result is committed. Without a commit nothing is retired either.
    pub commit: bool,
    /// Which entries get a successor.
    pub renew: Renew,
    /// How long superseded tokens live on, where the profile's word does not count.
    pub overlap: Option<Overlap>,
    /// Retire also what GitLab shows to be in use, or what is not superseded upstream yet.
    pub force: bool,
    /// Which entries end.
    pub end: End,
    /// Revoke tokens that no lock names and that are at least this old.
    pub orphans: Option<SignedDuration>,
    /// Undo what an interrupted run made, instead of finishing it.
    pub abandon: bool,
    /// Write the template's other leaves too.
    pub sync_template: bool,
    /// Take a pasted token that may do more than the profile asks for.
    pub accept_more: bool,
    /// What becomes of the commit; `None`: it stays here.
    pub way: Option<Way>,
}

/// Which entries get a successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renew {
    /// Every one that is not healthy.
    Unhealthy,
    /// The chosen ones, healthy or not; of those that were superseded before, none.
    Now(Chosen),
    /// As `Now`, after somebody else was faster: those of the chosen ones whose token is still one of these, or missing.
    Still {
        /// The chosen ones.
        chosen: Chosen,
        /// The tokens that were to be replaced.
        replaced: BTreeSet<TokenId>,
    },
    /// The chosen ones that have come to their end, or are due.
    Due(Chosen),
    /// The one whose current token is this, which is in the wrong hands.
    Leaked {
        /// GitLab's number.
        id: TokenId,
        /// When GitLab last saw it used.
        last_used: Option<Timestamp>,
    },
    /// None: only what an interrupted run left is looked after.
    Nothing,
}

/// Which entries of the lock end: tokens revoked, slots blanked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// None.
    Nothing,
    /// Those that the profile has no more.
    Pruned,
    /// These.
    These(Chosen),
}

/// Entries by their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Every one.
    All,
    /// These; where there are none, none.
    These(BTreeSet<String>),
}

impl Chosen {
    /// What a command line chooses that may name entries: all, where it names none.
    #[must_use]
    pub fn named(keys: &[String]) -> Self {
        if keys.is_empty() { Self::All } else { keys.iter().cloned().collect() }
    }

    /// Whether this entry is one of them.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(keys) => keys.contains(key),
        }
    }
}

impl FromIterator<String> for Chosen {
    fn from_iter<I: IntoIterator<Item = String>>(keys: I) -> Self {
        Self::These(keys.into_iter().collect())
    }
}

/// `--overlap`.
#[derive(Clone, Debug)]
pub struct Overlap {
    /// As it was given.
    pub written: String,
    /// How long.
    pub span: Span,
}

impl Default for Options {
    /// Those of `provision --env`.
    fn default() -> Self {
        Self {
            verb: Verb::default(),
            commit: true,
            renew: Renew::Unhealthy,
            overlap: None,
            force: false,
            end: End::Nothing,
            orphans: None,
            abandon: false,
            sync_template: false,
            accept_more: false,
            way: None,
        }
    }
}

impl Options {
    /// Whether a replaced token is revoked as soon as its successor is committed.
    #[must_use]
    pub fn at_once(&self) -> bool {
        self.overlap.as_ref().is_some_and(|overlap| overlap.span.is_zero())
    }

    /// `--overlap`, where this entry is one of those that the person chose.
    pub(super) fn overlap_of(&self, key: &str) -> Option<&Overlap> {
        self.overlap.as_ref().filter(|_| self.renew.is_about(key))
    }

    /// `--force`, where this entry is one of those that the person chose.
    pub(super) fn forces(&self, key: &str) -> bool {
        self.force && self.renew.is_about(key)
    }

    /// Why a token is revoked that is in the wrong hands: this is the one.
    pub(super) fn leaked(&self, id: TokenId) -> Option<Why> {
        match self.renew {
            Renew::Leaked { id: leaked, last_used } if leaked == id => Some(Why::Leaked { last_used }),
            _ => None,
        }
    }

    /// Why the current token of an entry that gets a successor is revoked without an overlap, where the person chose that for
    /// this entry.
    pub(super) fn at_once_because(&self, key: &str, id: TokenId, arrives_upstream: bool) -> Option<Why> {
        let no_overlap = self.overlap_of(key).is_some_and(|overlap| overlap.span.is_zero());
        let once = match (arrives_upstream, self.force) {
            (true, _) => Some(Once::Upstream),
            (false, true) => Some(Once::Committed),
            (false, false) => None,
        };
        let hurried = once.filter(|_| no_overlap).map(|once| Why::NoOverlap { once });
        self.leaked(id).or(hurried)
    }

    /// Whether it may be that a current token is revoked.
    #[must_use]
    pub fn revokes(&self) -> bool {
        self.at_once()
            || matches!(self.renew, Renew::Leaked { .. })
            || self.end != End::Nothing
            || self.orphans.is_some()
    }

    /// The same choices for the run that `shown` was made for, after somebody else was faster at the remote: what the
    /// winner has replaced is not replaced once more.
    #[must_use]
    pub fn still(&self, shown: &Plan) -> Self {
        let renew = match &self.renew {
            Renew::Now(chosen) => Renew::Still {
                chosen: chosen.clone(),
                replaced: shown.mints().chain(shown.pastes()).filter_map(|mint| mint.replaces).collect(),
            },
            other => other.clone(),
        };
        Self { renew, ..self.clone() }
    }

    /// The entries that were chosen, where the command is one that may name them.
    pub(super) fn named(&self) -> Option<&Chosen> {
        match (&self.end, &self.renew) {
            (End::These(chosen), _)
            | (_, Renew::Now(chosen) | Renew::Still { chosen, .. } | Renew::Due(chosen)) => Some(chosen),
            (End::Nothing | End::Pruned, Renew::Unhealthy | Renew::Leaked { .. } | Renew::Nothing) => None,
        }
    }

    /// Whether every entry that was named is there.
    pub(super) fn check(&self, environment: &Environment, lock: &Lock) -> Result<(), PlanError> {
        let Some(Chosen::These(keys)) = self.named() else { return Ok(()) };
        let is_locked = |key: &String| self.end != End::Nothing && lock.tokens.contains_key(key);
        let unknown = keys.iter().find(|key| environment.token(key).is_none() && !is_locked(key));
        unknown.map_or(Ok(()), |key| {
            Err(PlanError::NoSuchToken {
                environment: environment.name.clone(),
                key: key.clone(),
                known: environment.tokens.iter().map(|token| token.key.clone()).collect(),
            })
        })
    }
}

impl Renew {
    /// Whether a person named this entry, or all, to get a successor now.
    pub(super) fn chooses(&self, key: &str) -> bool {
        matches!(self, Self::Now(chosen) | Self::Still { chosen, .. } if chosen.has(key))
    }

    /// Whether a person named this entry, or all, whatever is to be done about it.
    fn is_about(&self, key: &str) -> bool {
        match self {
            Self::Now(chosen) | Self::Still { chosen, .. } | Self::Due(chosen) => chosen.has(key),
            Self::Unhealthy | Self::Leaked { .. } | Self::Nothing => false,
        }
    }

    /// Of the reasons to replace the current token of an entry, those that count in this run.
    pub(super) fn reasons(
        &self,
        token: &Token,
        entry: Option<&lock::Entry>,
        found: &[Reason],
    ) -> Vec<Reason> {
        let asked = || if found.is_empty() { vec![Reason::Asked] } else { found.to_vec() };
        match self {
            Self::Unhealthy => found.to_vec(),
            Self::Now(chosen) if chosen.has(&token.key) => asked(),
            Self::Still { chosen, replaced }
                if chosen.has(&token.key) && entry.is_none_or(|entry| replaced.contains(&entry.id)) =>
            {
                asked()
            }
            Self::Due(chosen) if chosen.has(&token.key) && found.iter().any(Reason::is_end_of_life) => {
                found.to_vec()
            }
            Self::Leaked { id, .. } if entry.is_some_and(|entry| entry.id == *id) => {
                let mut reasons = vec![Reason::Leaked];
                reasons
                    .extend(found.iter().filter(|reason| matches!(reason, Reason::Changed { .. })).cloned());
                reasons
            }
            Self::Now(_) | Self::Still { .. } | Self::Due(_) | Self::Leaked { .. } | Self::Nothing => {
                Vec::new()
            }
        }
    }
}
