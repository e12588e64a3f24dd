//! Whether one entry's current token is what the profile asks for, and if not, why.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::observed::Live;
use super::pasted::are_as_accepted;
use super::{PlanError, Reason};
use crate::lock;
use crate::profile::Token;
use crate::token::{Owner, Record, Scopes};

/// The reasons to replace the current token of an entry; none: it is healthy.
///
/// GitLab's record decides on scopes, role and life; the lock only on what GitLab does not keep (the expiry as it was
/// asked for). Roles of GitLab that have no name here are compared by number.
///
/// # Errors
/// When the lock describes another token than GitLab has under that id: it was forged or damaged, and neither keeping
/// nor replacing would be right.
pub fn reasons(
    token: &Token,
    owner: &Owner,
    entry: Option<&lock::Entry>,
    live: Option<&Live>,
    today: Date,
) -> Result<Vec<Reason>, PlanError> {
    let Some(entry) = entry else { return Ok(vec![Reason::New]) };
    let record = match live {
        Some(Live::Known(record)) => record,
        Some(Live::OutOfSight) if is_of_another(owner, entry) => {
            return Ok(vec![changed_owner(owner, entry)]);
        }
        Some(Live::Gone | Live::OutOfSight) | None => return Ok(vec![Reason::Gone]),
    };
    if let Some(why) = foreign(entry, record) {
        return Err(PlanError::NotOurs { key: token.key.clone(), id: entry.id, why });
    }
    let mut reasons = Vec::new();
    reasons.extend(end_of_life(token, record, today));
    reasons.extend(changes(token, owner, entry, record));
    Ok(reasons)
}

/// What shows that GitLab's record is not of the token that the lock describes. A GitLab before 17.7 keeps no description, so
/// that one without any says nothing.
fn foreign(entry: &lock::Entry, record: &Record) -> Option<String> {
    let known = entry.known();
    match known.mark {
        Some(_) if record.description.is_some() => known.contradiction(record),
        Some(_) | None => known.difference(record),
    }
}

fn end_of_life(token: &Token, record: &Record, today: Date) -> Option<Reason> {
    match Life::of(record, Some(token), today) {
        Life::Lives => None,
        Life::Due { expires, since } => Some(Reason::Due { expires, since }),
        Life::Expired { on } => Some(Reason::Expired { on }),
        Life::Revoked => Some(Reason::Revoked),
    }
}

/// How far a token has come in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is not due yet.
    Lives,
    /// It is to be replaced.
    Due {
        /// First day on which it no longer works.
        expires: Date,
        /// From which day on it counts as due.
        since: Date,
    },
    /// It has come to its end.
    Expired {
        /// First day on which it no longer worked.
        on: Date,
    },
    /// It was withdrawn.
    Revoked,
}

impl Life {
    /// As GitLab says. `token` is the entry of the profile, which says when it is due; without one it never is.
    #[must_use]
    pub fn of(record: &Record, token: Option<&Token>, today: Date) -> Self {
        match record.expires_at {
            _ if record.revoked => Self::Revoked,
            Some(on) if !record.active => Self::Expired { on },
            expires => Self::by_dates(record.created_at, expires, token, today),
        }
    }

    /// As far as the dates say, which the lock has too.
    #[must_use]
    pub fn by_dates(created: Timestamp, expires: Option<Date>, token: Option<&Token>, today: Date) -> Self {
        let Some(expires) = expires else { return Self::Lives };
        if expires <= today {
            return Self::Expired { on: expires };
        }
        let since = token.map(|token| token.due_on(created.to_zoned(TimeZone::UTC).date(), expires));
        match since {
            Some(since) if since <= today => Self::Due { expires, since },
            Some(_) | None => Self::Lives,
        }
    }
}

fn changes(token: &Token, owner: &Owner, entry: &lock::Entry, record: &Record) -> Vec<Reason> {
    let mut changes = Vec::new();
    if is_of_another(owner, entry) {
        changes.push(changed_owner(owner, entry));
    }
    let mut differ = |field, was: String, wanted: String| {
        if was != wanted {
            changes.push(Reason::Changed { field, was, wanted });
        }
    };
    differ("name", record.name.clone(), token.name.clone());
    if !are_as_accepted(&record.scopes, &token.scopes, &entry.accepted) {
        differ("scopes", listed(&record.scopes), listed(&token.scopes));
    }
    if let (Some(level), Some(wanted)) = (record.access_level, token.role) {
        let was = crate::token::Role::from_access_level(level)
            .map_or_else(|| level.to_string(), |role| role.to_string());
        differ("role", was, wanted.to_string());
    }
    differ("expires", entry.requested.clone(), token.expires_as_written.clone());
    changes
}

fn is_of_another(owner: &Owner, entry: &lock::Entry) -> bool {
    (entry.owner.kind, entry.owner.id) != (owner.kind, owner.id)
}

fn changed_owner(owner: &Owner, entry: &lock::Entry) -> Reason {
    Reason::Changed { field: "owner", was: described(&entry.owner), wanted: described(owner) }
}

fn described(owner: &Owner) -> String {
    format!("{} {}", owner.kind, owner.path)
}

fn listed(scopes: &Scopes) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
