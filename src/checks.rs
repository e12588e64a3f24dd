//! What is to be said of each token, as data: the table behind `status`. And what is wrong with a repository's files,
//! the tables behind `check`: [`repository`].

pub mod attributes;
pub mod changes;
mod clear_tokens;
pub mod doctor;
pub mod finding;
pub mod hook;
pub mod nested;
mod own_files;
pub mod repository;
pub mod rules;
mod secrets;

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use serde::Serialize;

use crate::hint::Hint;
use crate::lock::{self, Lock};
use crate::plan::health::Life;
use crate::plan::observed::Live;
use crate::profile::{Environment, Token, UserName};
use crate::token::{Kind, TokenId};

/// What helps where a token of one person's own has ended: nobody else can make another. `is_there` tells whether a file,
/// relative to the repository root, exists.
#[must_use]
pub fn of_a_person(environment: &Environment, user: &str, is_there: impl Fn(&str) -> bool) -> Option<Hint> {
    let (name, user) = (&environment.name, user.parse::<UserName>().ok()?);
    let committed = environment.secrets.iter().filter(|secrets| secrets.commit);
    let files = committed.filter_map(|secrets| secrets.path_for(Some(&user)));
    let mut paths: Vec<String> = files.filter(|path| is_there(path)).collect();
    paths.extend(lock::path(environment, Some(&user)));
    let another =
        format!("{user} makes another: provision bootstrap --env {name}; where {user} has left: git rm ");
    Some(Hint::from(another).paths(paths).then(" && git commit"))
}

/// One line of the status table.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The environment.
    pub environment: String,
    /// Whose personal lock it stands in, for environments of one file a person.
    pub user: Option<String>,
    /// Key of the entry.
    pub key: String,
    /// Personal, group or project.
    pub kind: Kind,
    /// Path of the group or project, or the user name.
    pub owner: Option<String>,
    /// GitLab's number, where one was minted.
    pub id: Option<TokenId>,
    /// First day on which it no longer works.
    pub expires: Option<Date>,
    /// How it is.
    pub state: State,
    /// Superseded tokens that are not yet known to be revoked.
    pub superseded: Vec<TokenId>,
}

/// How a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Alive, and not due.
    Healthy,
    /// As far as the lock knows alive and not due; GitLab does not show this credential its owner's tokens.
    Unseen,
    /// Alive, and to be renewed.
    Due,
    /// Alive, and its file, which git does not keep, holds something else than the lock says.
    Differs,
    /// Alive, and its value was never here: it was taken over from GitLab's list.
    Awaited,
    /// At its end.
    Expired,
    /// Withdrawn (GitLab says so).
    Revoked,
    /// GitLab does not know it.
    Gone,
    /// In the profile, never minted.
    Missing,
    /// Minted, and no longer in the profile.
    Unlisted,
}

/// How much care a state needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// None.
    Fine,
    /// Soon.
    Due,
    /// Now: nothing works with it.
    Dead,
}

impl State {
    /// How much care it needs.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Healthy | Self::Unseen => Severity::Fine,
            Self::Due | Self::Differs | Self::Awaited | Self::Missing | Self::Unlisted => Severity::Due,
            Self::Expired | Self::Revoked | Self::Gone => Severity::Dead,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Unseen => "unseen",
            Self::Due => "due",
            Self::Differs => "differs",
            Self::Awaited => "awaited",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Gone => "gone",
            Self::Missing => "missing",
            Self::Unlisted => "unlisted",
        })
    }
}

impl Row {
    /// Notes that its file holds something else; that it has ended, or has no entry any more, counts for more.
    pub fn differs(&mut self) {
        if matches!(self.state, State::Healthy | State::Unseen | State::Due) {
            self.state = State::Differs;
        }
    }
}

/// The rows of one lock, by the profile's keys; without `live` they say what the lock says.
#[must_use]
pub fn status(
    environment: &Environment,
    user: Option<&str>,
    lock: &Lock,
    live: Option<&BTreeMap<TokenId, Live>>,
    today: Date,
) -> Vec<Row> {
    let entry_of = |token: &Token| {
        let renamed = || token.moved_from.as_ref().filter(|key| environment.token(key).is_none());
        lock.tokens.get_key_value(&token.key).or_else(|| lock.tokens.get_key_value(renamed()?))
    };
    let taken: Vec<&String> =
        environment.tokens.iter().filter_map(|token| entry_of(token).map(|(key, _)| key)).collect();
    let listed = environment.tokens.iter().map(|token| {
        let Some((_, entry)) = entry_of(token) else { return missing(environment, user, token) };
        let (state, expires) = state(Some(token), entry, live.map(|live| live.get(&entry.id)), today);
        row(environment, user, &token.key, entry, state, expires)
    });
    let unlisted = lock.tokens.iter().filter(|(key, _)| !taken.contains(key));
    let unlisted = unlisted.map(|(key, entry)| {
        let (state, expires) = state(None, entry, live.map(|live| live.get(&entry.id)), today);
        row(environment, user, key, entry, state, expires)
    });
    listed.chain(unlisted).collect()
}

fn missing(environment: &Environment, user: Option<&str>, token: &Token) -> Row {
    Row {
        environment: environment.name.clone(),
        user: user.map(str::to_owned),
        key: token.key.clone(),
        kind: token.kind,
        owner: token.owner.clone(),
        id: None,
        expires: None,
        state: State::Missing,
        superseded: Vec::new(),
    }
}

fn row(
    environment: &Environment,
    user: Option<&str>,
    key: &str,
    entry: &lock::Entry,
    state: State,
    expires: Option<Date>,
) -> Row {
    Row {
        environment: environment.name.clone(),
        user: user.map(str::to_owned),
        key: key.to_owned(),
        kind: entry.owner.kind,
        owner: Some(entry.owner.path.clone()),
        id: Some(entry.id),
        expires,
        state,
        superseded: entry.superseded.iter().map(|old| old.id).collect(),
    }
}

/// `token`: the profile's entry, where it has one. `live`: GitLab's answer, where it was asked.
fn state(
    token: Option<&Token>,
    entry: &lock::Entry,
    live: Option<Option<&Live>>,
    today: Date,
) -> (State, Option<Date>) {
    let (life, expires) = match live {
        Some(Some(Live::Known(record))) => (Life::of(record, token, today), record.expires_at),
        Some(Some(Live::Gone) | None) => return (State::Gone, entry.expires),
        Some(Some(Live::OutOfSight)) | None => {
            (Life::by_dates(entry.created, entry.expires, token, today), entry.expires)
        }
    };
    let state = match (token, life) {
        (_, Life::Revoked) => State::Revoked,
        (_, Life::Expired { .. }) => State::Expired,
        (None, Life::Lives | Life::Due { .. }) => State::Unlisted,
        (Some(_), Life::Due { .. }) => State::Due,
        (Some(_), Life::Lives) if entry.slots.is_empty() => State::Awaited,
        (Some(_), Life::Lives) if matches!(live, Some(Some(Live::OutOfSight))) => State::Unseen,
        (Some(_), Life::Lives) => State::Healthy,
    };
    (state, expires)
}
