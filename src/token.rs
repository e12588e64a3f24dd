//! GitLab's words for its tokens: kind, owner, role, scopes, and the public facts of one token.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// What sort of token an entry asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Belongs to a person; minted by API for administrators only.
    Personal,
    /// Belongs to a group; GitLab makes a bot user for it.
    Group,
    /// Belongs to a project; GitLab makes a bot user for it.
    Project,
}

impl Kind {
    /// `personal`, `group` or `project`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Group => "group",
            Self::Project => "project",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The number that GitLab gives a token. Not secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub u64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Whose token it is, resolved: what a route is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// Personal, group or project.
    pub kind: Kind,
    /// GitLab's number of the user, group or project. Paths can be renamed, numbers cannot.
    pub id: u64,
    /// Full path of the group or project, or the user name, as it was when resolved.
    pub path: String,
}

/// A member role of a group or project. Planner and Security Manager are not steps of one ladder:
/// roles are compared for equality only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 5
    MinimalAccess,
    /// 10
    Guest,
    /// 15
    Planner,
    /// 20
    Reporter,
    /// 25
    SecurityManager,
    /// 30
    Developer,
    /// 40
    Maintainer,
    /// 50
    Owner,
}

impl Role {
    /// All roles, weakest number first.
    pub const ALL: [Self; 8] = [
        Self::MinimalAccess,
        Self::Guest,
        Self::Planner,
        Self::Reporter,
        Self::SecurityManager,
        Self::Developer,
        Self::Maintainer,
        Self::Owner,
    ];

    /// GitLab's `access_level` (doc/api/access_levels in GitLab's documentation).
    #[must_use]
    pub fn access_level(self) -> u8 {
        match self {
            Self::MinimalAccess => 5,
            Self::Guest => 10,
            Self::Planner => 15,
            Self::Reporter => 20,
            Self::SecurityManager => 25,
            Self::Developer => 30,
            Self::Maintainer => 40,
            Self::Owner => 50,
        }
    }

    /// The role with this `access_level`, if it has a name here.
    #[must_use]
    pub fn from_access_level(level: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.access_level() == level)
    }

    /// The name as it stands in a profile: `developer`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MinimalAccess => "minimal_access",
            Self::Guest => "guest",
            Self::Planner => "planner",
            Self::Reporter => "reporter",
            Self::SecurityManager => "security_manager",
            Self::Developer => "developer",
            Self::Maintainer => "maintainer",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(())
    }
}

/// Scopes as a set: their order means nothing to GitLab.
pub type Scopes = BTreeSet<String>;

/// What GitLab says of one token, without its value. Unknown fields, scopes and roles of newer versions are kept
/// or ignored, never an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// GitLab's number of the token.
    pub id: TokenId,
    /// Not unique; find tokens by id or by mark.
    pub name: String,
    /// `None` where the instance has no descriptions (before 17.7) or the token has none.
    pub description: Option<String>,
    /// As a set.
    pub scopes: Scopes,
    /// The user that the token acts as; a bot user for group and project tokens.
    pub user_id: u64,
    /// When GitLab made it.
    pub created_at: Timestamp,
    /// First day (UTC) on which it no longer works; `None`: never expires.
    pub expires_at: Option<Date>,
    /// Refreshed at most every ten minutes, and by our own verification too.
    pub last_used_at: Option<Timestamp>,
    /// Neither revoked nor expired, as the server computes it.
    pub active: bool,
    /// Withdrawn for good.
    pub revoked: bool,
    /// For group and project tokens: the numeric role.
    pub access_level: Option<u8>,
}

/// A token, and all that must be true of it at the moment before it is revoked or rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// GitLab's number.
    pub id: TokenId,
    /// Whose it is.
    pub owner: Owner,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// The mark in its description. `None`: it was made by hand, and nothing but its value proves which token it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// A token that was just made: its public facts and, this once, its value.
#[derive(Debug)]
pub struct Minted {
    /// What GitLab answered, without the value.
    pub record: Record,
    /// The value, shown once.
    pub value: Secret,
}

impl Known {
    /// What GitLab's record has otherwise, where it is not of this token or cannot be proved to be; compared are name,
    /// time of creation, and the mark in the description.
    #[must_use]
    pub fn contradiction(&self, record: &Record) -> Option<String> {
        self.difference(record).or_else(|| match &self.mark {
            None => Some("it has no mark, so it cannot be proved to be ours".to_owned()),
            Some(mark) => (!record.carries(mark))
                .then(|| "at GitLab its description does not have the lock's mark".to_owned()),
        })
    }

    /// What of name and time of creation the record has otherwise: enough where its value has said that it is this token.
    #[must_use]
    pub fn difference(&self, record: &Record) -> Option<String> {
        if record.name != self.name {
            return Some(format!("at GitLab its name is \"{}\", not \"{}\"", record.name, self.name));
        }
        if record.created_at != self.created {
            return Some(format!("at GitLab it was made at {}, not at {}", record.created_at, self.created));
        }
        None
    }
}

impl Record {
    /// Whether its description carries this mark as a word: `provision qa/backstage <mark>`. A lock that was tampered with
    /// may hold an empty mark, or the beginning that all marks share; neither is anybody's.
    #[must_use]
    pub fn carries(&self, mark: &str) -> bool {
        self.description.as_deref().unwrap_or_default().split_whitespace().any(|word| word == mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_levels_agree_both_ways() {
        for role in Role::ALL {
            assert_eq!(Role::from_access_level(role.access_level()), Some(role));
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!(Role::from_access_level(35), None);
    }

    #[test]
    fn only_a_whole_mark_recognises_a_token() {
        let mut record = Record {
            id: TokenId(42),
            name: String::new(),
            description: Some("provision qa/backstage pv-0123456789abcdef0123".to_owned()),
            scopes: Scopes::new(),
            user_id: 1,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            last_used_at: None,
            active: true,
            revoked: false,
            access_level: None,
        };
        assert!(record.carries("pv-0123456789abcdef0123"));
        for other in ["", "pv-", "pv-0123456789abcdef012", "backstage", "p"] {
            assert!(!record.carries(other), "{other:?}");
        }
        record.description = None;
        assert!(!record.carries("pv-0123456789abcdef0123"));
    }
}
