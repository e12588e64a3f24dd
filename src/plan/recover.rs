//! What is to be done with what an interrupted run left: finish it where everything is still as it was planned,
//! withdraw it otherwise. Only tokens whose mark stands in our own journal are ever touched here.

use super::observed::{Observed, Outcome, Pending};
use super::{Note, Step};
use crate::journal::WATCH;
use crate::profile::Token;
use crate::token::Owner;

/// What an interrupted run leaves to do.
#[derive(Debug)]
pub(super) enum Recovery {
    /// The token is in the lock, here or on the branch that it was made on: the run had done its work.
    Done,
    /// Use it for its entry.
    Finish(Step),
    /// Revoke it.
    Withdraw(Step),
    /// No token has that mark yet, and the request is young enough to be committed late.
    Watch(Note),
    /// No token that lives has that mark, and none will.
    Forget(Option<Note>),
}

/// Decides about one pending mint. `wanted` is the entry that it was meant for and its owner, where the profile
/// still has it and its current token is to be replaced.
pub(super) fn decide(pending: &Pending, wanted: Option<(&Token, &Owner)>, observed: &Observed) -> Recovery {
    let intent = &pending.intent;
    let withdraw = |id, why: &str| {
        Recovery::Withdraw(Step::Withdraw {
            key: intent.key.clone(),
            owner: intent.owner.clone(),
            id,
            mark: intent.mark.clone(),
            why: why.to_owned(),
        })
    };
    match &pending.outcome {
        Outcome::NotFound if observed.now.duration_since(intent.at) < WATCH => {
            Recovery::Watch(Note::info(format!(
                "a request for {} had no reply; it is watched for until it can no longer arrive",
                intent.key
            )))
        }
        Outcome::NotFound => Recovery::Forget(Some(never_found(pending))),
        Outcome::Found(record) if !record.active => Recovery::Forget(None),
        Outcome::Found(record) => withdraw(record.id, "its value was lost with the reply"),
        Outcome::Recorded { record, opens, committed } => {
            if *committed || observed.lock.names(record.id) {
                return Recovery::Done;
            }
            if !record.active {
                return Recovery::Forget(None);
            }
            let Some((token, owner)) = wanted else {
                return withdraw(record.id, "its entry needs no new token any more");
            };
            if !opens {
                return withdraw(record.id, "no identity here opens its recorded value");
            }
            if !pending.same_ground {
                return withdraw(record.id, "branch, worktree or lock are not those it was planned on");
            }
            if !asks_for_the_same(pending, token, owner) {
                return withdraw(record.id, "the profile asks for something else now");
            }
            Recovery::Finish(Step::Finish {
                key: intent.key.clone(),
                owner: owner.clone(),
                record: record.clone(),
                mark: intent.mark.clone(),
                replaces: observed.lock.tokens.get(&intent.key).map(|entry| entry.id),
            })
        }
    }
}

/// GitLab before 17.7 keeps no descriptions, so a token that was made there all the same cannot be recognised.
fn never_found(pending: &Pending) -> Note {
    let intent = &pending.intent;
    Note::info(format!(
        "a request for {} at {} had no reply, and no token has its mark; before GitLab 17.7 tokens have no marks: look \
         for \"{}\" of {} made at that time",
        intent.key, intent.at, intent.name, intent.owner.path
    ))
}

fn asks_for_the_same(pending: &Pending, token: &Token, owner: &Owner) -> bool {
    let intent = &pending.intent;
    (intent.owner.kind, intent.owner.id) == (owner.kind, owner.id)
        && intent.name == token.name
        && intent.scopes == token.scopes
        && intent.access_level == token.role.map(crate::token::Role::access_level)
        && intent.requested == token.expires_as_written
}
