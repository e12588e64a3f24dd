//! Which tokens are revoked as soon as the commit is there, and what becomes of those that an interrupted run was about to
//! revoke: none of them is forgotten while it lives.

use std::collections::BTreeMap;

use super::observed::{Live, Observed};
use super::options::{Options, Renew};
use super::retire::{Stands, ours};
use super::{Note, Plan, Retire, Step, Why};
use crate::token::{Known, TokenId};

/// What is to be done and said about them.
#[derive(Debug, Default)]
pub(super) struct AtOnce {
    /// Revoked after the commit of this run.
    pub(super) due: Vec<Retire>,
    /// Not revoked by this run, and not to be forgotten.
    pub(super) later: Vec<TokenId>,
    /// What a person should know.
    pub(super) notes: Vec<Note>,
}

/// `plan` has the steps that make successors. Without a commit nothing is revoked: HEAD would hold a dead token.
pub(super) fn plan(plan: &Plan, observed: &Observed, options: &Options) -> AtOnce {
    let mut found = AtOnce::default();
    if options.commit {
        replaced(plan, observed, options, &mut found);
    }
    begun(plan, observed, options, &mut found);
    found
}

/// Tokens that are replaced in this run without an overlap, or were to be in the run that is finished.
fn replaced(plan: &Plan, observed: &Observed, options: &Options, found: &mut AtOnce) {
    let mut replaced = BTreeMap::new();
    for step in &plan.steps {
        match step {
            Step::Mint(mint) | Step::Paste(mint) if mint.rotates.is_none() => {
                let why = match options.renew {
                    Renew::Leaked { last_used, .. } => Some(Why::Leaked { last_used }),
                    _ if options.at_once() && (options.force || observed.arrives_upstream) => {
                        Some(Why::NoOverlap)
                    }
                    _ => None,
                };
                replaced.insert(mint.key.as_str(), why);
            }
            Step::Finish { key, rotated: false, .. } => {
                replaced.insert(key.as_str(), None);
            }
            _ => {}
        }
    }
    for (key, why) in &replaced {
        let begun = observed.retiring.iter().any(|(of, _)| of == key).then_some(Why::NoOverlap);
        let (Some(why), Some(entry)) = (why.clone().or(begun), observed.lock.tokens.get(*key)) else {
            continue;
        };
        let Some(Live::Known(record)) = observed.live.get(&entry.id) else { continue };
        if !record.active {
            continue;
        }
        match ours(entry.known(), record, observed, Stands::Current) {
            Ok(token) => found.due.push(Retire { key: (*key).to_owned(), token, because: why }),
            Err(why) => found.notes.push(Note::attention(format!(
                "token {} of {key} is replaced, but not revoked: {why}",
                entry.id
            ))),
        }
    }
}

/// Tokens that an interrupted run was about to revoke. One that a lock here still names would be missed: HEAD may be on
/// another branch than that run, or behind what it pushed.
fn begun(plan: &Plan, observed: &Observed, options: &Options, found: &mut AtOnce) {
    for (key, token) in &observed.retiring {
        let lives = observed.live.get(&token.id).is_some_and(Live::may_live);
        let is_due = found.due.iter().any(|retire| retire.token.id == token.id);
        let is_retired = plan.steps.iter().any(
            |step| matches!(step, Step::Retire(Retire { token: retired, .. }) if retired.id == token.id),
        );
        if !lives || is_due || is_retired {
            continue;
        }
        let what = format!("token {} of {key} was to be revoked by an interrupted run", token.id);
        let Some(why) = stays(plan, key, token, observed, options) else {
            let because = match options.renew {
                Renew::Leaked { id, last_used } if id == token.id => Why::Leaked { last_used },
                _ => Why::NoOverlap,
            };
            found.due.push(Retire { key: key.clone(), token: token.clone(), because });
            continue;
        };
        if options.abandon {
            found.notes.push(Note::info(format!("{what}, which is undone: it lives on")));
        } else {
            found.notes.push(Note::attention(format!("{what}, and is not yet: {why}")));
            found.later.push(token.id);
        }
    }
}

/// Why it is not revoked in this run.
fn stays(plan: &Plan, key: &str, token: &Known, observed: &Observed, options: &Options) -> Option<String> {
    let environment = &plan.environment;
    if observed.lock.tokens.values().any(|entry| entry.id == token.id) {
        return Some(format!(
            "the lock here has it as the current one; it is revoked where the lock has its successor, or replaced and \
             revoked here by provision rotate --env {environment} --token {key}"
        ));
    }
    if observed.lock.names(token.id) {
        return Some("the lock here has it as superseded; it is revoked when its overlap is over".to_owned());
    }
    if let Some(path) = observed.current_elsewhere.get(&token.id) {
        return Some(format!("{path} has it as a current one"));
    }
    if let Some(Live::OutOfSight) = observed.live.get(&token.id) {
        return Some("this credential is not shown the tokens of its owner".to_owned());
    }
    (!options.commit)
        .then(|| format!("a run that commits revokes it, such as provision resume --env {environment}"))
}
