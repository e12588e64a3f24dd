//! Whether one entry's current token is what the profile asks for, and if not, why.

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

/// What shows that GitLab's record is not of the token that the lock describes.
pub(super) fn foreign(entry: &lock::Entry, record: &Record) -> Option<String> {
    if record.name != entry.name {
        return Some(format!("its name is \"{}\", not \"{}\"", record.name, entry.name));
    }
    if record.created_at != entry.created {
        return Some(format!("it was made at {}, not at {}", record.created_at, entry.created));
    }
    match &entry.mark {
        Some(mark) if record.description.is_some() && !record.carries(mark) => {
            Some("its description does not have the lock's mark".to_owned())
        }
        _ => None,
    }
}

fn end_of_life(token: &Token, record: &Record, today: Date) -> Option<Reason> {
    if record.revoked {
        return Some(Reason::Revoked);
    }
    let expires = record.expires_at?;
    if expires <= today || !record.active {
        return Some(Reason::Expired { on: expires });
    }
    let created = record.created_at.to_zoned(TimeZone::UTC).date();
    let since = token.due_on(created, expires);
    (since <= today).then_some(Reason::Due { expires, since })
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
