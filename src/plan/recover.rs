//! What is to be done with what an interrupted run left: finish it where everything is still as it was planned,
//! withdraw it otherwise. Only tokens whose mark stands in our own journal are ever touched here.

use std::fmt;

use super::error::Regain;
use super::observed::{Elsewhere, Live, Observed, Outcome, Pending};
use super::options::Options;
use super::retire::{Stands, ours};
use super::{Note, Proof, Step, TakesOver};
use crate::journal::{Intent, WATCH};
use crate::profile::Token;
use crate::token::{Kind, Known, Owner, Record, TokenId};

/// What an interrupted run leaves to do.
#[derive(Debug)]
pub(super) enum Recovery {
    /// The token is in the lock, here or on the branch that it was made on: the run had done its work.
    Done,
    /// Use it for its entry.
    Finish(Box<Step>),
    /// Revoke it.
    Withdraw(Box<Step>),
    /// Rotate it in its turn: its value was lost, and a person wants its bot user kept.
    Rotate(Known),
    /// The request may still arrive, and a person wants its token rotated now: that settles it either way.
    RotateNow,
    /// No token has that mark yet, and the request is young enough to be committed late.
    Watch(Note),
    /// The same for a rotation that a person gave up.
    GiveUp(Note),
    /// No token that lives has that mark, and none will.
    Forget(Option<Note>),
    /// It is not to be used here, and it cannot be seen whether it is in use at a remote that is gone: a person has to
    /// decide.
    OutOfReach(TokenId),
    /// A person has to decide.
    Undecided {
        /// What is known.
        why: String,
        /// The token that the lost reply was about, where there is one.
        successor: Option<TokenId>,
        /// How its value can still be used, where that was recorded.
        regain: Option<Regain>,
    },
}

/// Decides about one pending mint. `wanted` is the entry that it was meant for and its owner, where the profile
/// still has it and it has got no other successor.
pub(super) fn decide(
    pending: &Pending,
    wanted: Option<(&Token, &Owner)>,
    observed: &Observed,
    options: &Options,
) -> Recovery {
    let intent = &pending.intent;
    match (&pending.outcome, &intent.rotates) {
        (Outcome::Recorded { record, opens, committed }, rotates) => {
            if *committed || observed.lock.names(record.id, &intent.gitlab) {
                return Recovery::Done;
            }
            if !record.active {
                return Recovery::Forget(None);
            }
            match unusable(pending, wanted, *opens, options) {
                Some(_) if pending.out_of_reach.is_some() && !options.abandon => {
                    Recovery::OutOfReach(record.id)
                }
                Some(why) if why.mends() && rotates.is_some() => {
                    let text = format!("token {} cannot be used here: {why}", record.id);
                    let regain = regain(pending, &why, options);
                    stuck_rotation(pending, record, wanted, (text, regain), observed, options)
                }
                Some(why) => withdraw_recorded(pending, record, *opens, &why, observed),
                None => finish(pending, record, observed),
            }
        }
        (Outcome::Found(record), _) if !record.active => Recovery::Forget(None),
        (Outcome::Found(record), Some(_)) if pending.given_up => {
            withdraw(pending, record.id, &Unusable::Abandoned.to_string())
        }
        (Outcome::Found(record), Some(old)) => {
            let text = format!(
                "GitLab has rotated token {} into token {}, and the reply with its value was lost: the old value is \
                 dead, and nobody has the new one",
                old.id, record.id
            );
            stuck_rotation(pending, record, wanted, (text, None), observed, options)
        }
        (Outcome::Found(record), None) => withdraw(pending, record.id, "its value was lost with the reply"),
        (Outcome::NotFound, Some(old)) => {
            unanswered_rotation(pending, old, wanted.is_some(), observed, options)
        }
        (Outcome::NotFound, None) if is_young(pending, observed) => Recovery::Watch(Note::info(format!(
            "a request for {} had no reply; it is watched for until it can no longer arrive",
            intent.key
        ))),
        (Outcome::NotFound, None) => Recovery::Forget(Some(never_found(pending))),
    }
}

pub(super) fn is_young(pending: &Pending, observed: &Observed) -> bool {
    observed.now.duration_since(pending.intent.at) < WATCH
}

/// Why a recorded token is not used.
enum Unusable {
    Abandoned,
    NotWanted,
    Sealed,
    OtherGround,
    OtherProfile,
}

impl Unusable {
    /// Whether a person can bring back what it takes to use it.
    fn mends(&self) -> bool {
        matches!(self, Self::Sealed | Self::OtherGround)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Abandoned => "the interrupted run is undone",
            Self::NotWanted => "its entry needs no new token any more",
            Self::Sealed => "no identity here opens its recorded value",
            Self::OtherGround => "branch, worktree or lock are not those it was planned on",
            Self::OtherProfile => "the profile asks for something else now",
        })
    }
}

fn unusable(
    pending: &Pending,
    wanted: Option<(&Token, &Owner)>,
    opens: bool,
    options: &Options,
) -> Option<Unusable> {
    if options.abandon {
        return Some(Unusable::Abandoned);
    }
    let Some((token, owner)) = wanted else { return Some(Unusable::NotWanted) };
    if !opens {
        return Some(Unusable::Sealed);
    }
    if pending.elsewhere.is_some() {
        return Some(Unusable::OtherGround);
    }
    (!asks_for_the_same(pending, token, owner)).then_some(Unusable::OtherProfile)
}

/// What it takes to use it.
fn regain(pending: &Pending, why: &Unusable, options: &Options) -> Option<Regain> {
    let Intent { branch, way, .. } = &pending.intent;
    if matches!(why, Unusable::Sealed) {
        return Some(Regain::WithKey);
    }
    match pending.elsewhere.as_ref()? {
        Elsewhere::Entry => None,
        Elsewhere::Branch => {
            let branch = branch.as_deref()?.strip_prefix("refs/heads/")?;
            Some(Regain::OnBranch(branch.to_owned()))
        }
        Elsewhere::Worktree(Some(root)) if way.is_none() && options.way.is_none() => {
            Some(Regain::InWorktree(root.clone()))
        }
        Elsewhere::Worktree(_) => (*way != options.way).then_some(Regain::ThatWay),
    }
}

fn withdraw(pending: &Pending, id: TokenId, why: &str) -> Recovery {
    let intent = &pending.intent;
    Recovery::Withdraw(Box::new(Step::Withdraw {
        key: intent.key.clone(),
        owner: intent.owner.clone(),
        id,
        mark: intent.mark.clone(),
        proof: Proof::Mark(carries(pending)),
        why: why.to_owned(),
    }))
}

/// A token whose reply came. Its mark proves that it is ours; where it has none (before GitLab 17.7, or because a person has
/// made it), the value that was recorded does. A person's own is theirs to end.
fn withdraw_recorded(
    pending: &Pending,
    record: &Record,
    opens: bool,
    why: &Unusable,
    observed: &Observed,
) -> Recovery {
    let Intent { key, owner, mark, .. } = &pending.intent;
    if record.carries(&carries(pending)) {
        return withdraw(pending, record.id, &why.to_string());
    }
    let what = format!("token {} (\"{}\"), made for {key}, is not used", record.id, record.name);
    if owner.kind == Kind::Personal && !observed.personal_by_api {
        return Recovery::Forget(Some(Note::attention(format!(
            "{what}: {why}; it is your own, and lives: revoke it in GitLab if you do not need it"
        ))));
    }
    if !opens {
        return Recovery::Forget(Some(Note::attention(format!(
            "{what}: {why}; it has no mark, so it cannot be proved to be ours: revoke it in GitLab"
        ))));
    }
    Recovery::Withdraw(Box::new(Step::Withdraw {
        key: key.clone(),
        owner: owner.clone(),
        id: record.id,
        mark: mark.clone(),
        proof: Proof::Value,
        why: why.to_string(),
    }))
}

/// The mark in the description of the token that the interrupted run made: GitLab's rotate hands on that of the old one.
fn carries(pending: &Pending) -> String {
    let intent = &pending.intent;
    intent.rotates.as_ref().and_then(|old| old.mark.as_ref()).unwrap_or(&intent.mark).clone()
}

fn finish(pending: &Pending, record: &Record, observed: &Observed) -> Recovery {
    let intent = &pending.intent;
    Recovery::Finish(Box::new(Step::Finish {
        key: intent.key.clone(),
        owner: intent.owner.clone(),
        record: record.clone(),
        mark: intent.mark.clone(),
        carries: carries(pending),
        takes_over: TakesOver::of(
            observed.lock.tokens.get(&intent.key).map(|entry| entry.id),
            intent.rotates.as_ref(),
        ),
        overlap: intent.overlap.clone(),
    }))
}

/// GitLab has rotated, and the value of the token that it made is out of reach. Whether to keep its bot user is not ours
/// to say.
fn stuck_rotation(
    pending: &Pending,
    record: &Record,
    wanted: Option<(&Token, &Owner)>,
    (why, regain): (String, Option<Regain>),
    observed: &Observed,
    options: &Options,
) -> Recovery {
    if options.abandon {
        return withdraw(pending, record.id, &Unusable::Abandoned.to_string());
    }
    let Some((token, owner)) = wanted else {
        return withdraw(pending, record.id, &Unusable::NotWanted.to_string());
    };
    if !asks_for_the_same(pending, token, owner) {
        return withdraw(pending, record.id, &Unusable::OtherProfile.to_string());
    }
    let decided = options.force && options.renew.chooses(&pending.intent.key);
    let known = pending.intent.rotates.as_ref().map(|old| Known {
        id: record.id,
        created: record.created_at,
        ..old.clone()
    });
    match known.map(|known| ours(known, record, observed, Stands::Superseded)) {
        Some(Ok(known)) if decided => Recovery::Rotate(known),
        _ => Recovery::Undecided { why, successor: Some(record.id), regain },
    }
}

/// No successor is there. As long as the request may still arrive, the token that it was about may die any moment.
fn unanswered_rotation(
    pending: &Pending,
    old: &Known,
    is_wanted: bool,
    observed: &Observed,
    options: &Options,
) -> Recovery {
    let lives = observed.live.get(&old.id).is_some_and(Live::is_active);
    if !lives || !is_young(pending, observed) {
        return Recovery::Forget(None);
    }
    let given_up = options.abandon || pending.given_up || !is_wanted;
    if !given_up && options.force && options.renew.chooses(&pending.intent.key) {
        return Recovery::RotateNow;
    }
    if given_up {
        return Recovery::GiveUp(Note::info(format!(
            "a rotation of token {} of {} had no answer and was given up; it is watched for until it can no longer \
             arrive",
            old.id, pending.intent.key
        )));
    }
    Recovery::Undecided {
        why: format!(
            "GitLab was asked to rotate token {} at {} and gave no answer; it lives, and the request may still arrive",
            old.id, pending.intent.at
        ),
        successor: None,
        regain: None,
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
