//! Whether GitLab made what was asked for: unknown parameters are ignored there, so a 201 proves nothing.

use std::fmt;

use jiff::civil::Date;

use super::tokens::MintRequest;
use crate::token::{Record, Role, Scopes, TokenId};

/// One difference between what was wanted and what GitLab says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The value belongs to another token.
    Id {
        /// The token that was made.
        wanted: TokenId,
        /// The token that answered.
        got: TokenId,
    },
    /// The name differs.
    Name {
        /// As asked.
        wanted: String,
        /// As made.
        got: String,
    },
    /// The sets of scopes differ.
    Scopes {
        /// Asked for and not given.
        missing: Scopes,
        /// Given and not asked for.
        extra: Scopes,
    },
    /// The expiry differs.
    Expiry {
        /// As asked; `None`: never.
        wanted: Option<Date>,
        /// As made.
        got: Option<Date>,
    },
    /// The role differs.
    Role {
        /// As asked.
        wanted: Role,
        /// As made: GitLab's access level.
        got: u8,
    },
    /// The token is revoked or expired.
    Inactive,
}

/// Compares `record` with `request`, and with the `id` of the creation where the record comes from another reply.
///
/// A record without an access level (`/personal_access_tokens/self` has none) says nothing of the role. Descriptions are
/// not compared: GitLab before 17.7 has none, and the caller decides what that means for the mark.
#[must_use]
pub fn compare(request: &MintRequest, id: Option<TokenId>, record: &Record) -> Vec<Mismatch> {
    let mut found = Vec::new();
    if let Some(wanted) = id
        && wanted != record.id
    {
        found.push(Mismatch::Id { wanted, got: record.id });
    }
    if request.name != record.name {
        found.push(Mismatch::Name { wanted: request.name.clone(), got: record.name.clone() });
    }
    if request.scopes != record.scopes {
        let missing = request.scopes.difference(&record.scopes).cloned().collect();
        let extra = record.scopes.difference(&request.scopes).cloned().collect();
        found.push(Mismatch::Scopes { missing, extra });
    }
    if request.expires_at != record.expires_at {
        found.push(Mismatch::Expiry { wanted: request.expires_at, got: record.expires_at });
    }
    if let (Some(wanted), Some(got)) = (request.role, record.access_level)
        && wanted.access_level() != got
    {
        found.push(Mismatch::Role { wanted, got });
    }
    if !record.active || record.revoked {
        found.push(Mismatch::Inactive);
    }
    found
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id { wanted, got } => write!(f, "the value belongs to token {got}, not to token {wanted}"),
            Self::Name { wanted, got } => write!(f, "its name is `{got}`, not `{wanted}`"),
            Self::Scopes { missing, extra } => {
                f.write_str("its scopes differ:")?;
                let signed =
                    |sign, scopes: &Scopes| scopes.iter().map(|scope| format!(" {sign}{scope}")).collect();
                let (missing, extra): (String, String) = (signed('-', missing), signed('+', extra));
                write!(f, "{missing}{extra}")
            }
            Self::Expiry { wanted, got } => write!(f, "it expires {}, not {}", when(*got), when(*wanted)),
            Self::Role { wanted, got } => match Role::from_access_level(*got) {
                Some(got) => write!(f, "its role is {got}, not {wanted}"),
                None => write!(f, "its access level is {got}, not {} ({wanted})", wanted.access_level()),
            },
            Self::Inactive => f.write_str("it is not active"),
        }
    }
}

fn when(date: Option<Date>) -> String {
    date.map_or_else(|| "never".to_owned(), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(names: &[&str]) -> Scopes {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn request() -> MintRequest {
        MintRequest {
            name: "Backstage".to_owned(),
            description: "mark".to_owned(),
            scopes: scopes(&["read_api", "read_repository"]),
            role: Some(Role::Developer),
            expires_at: Some("2027-01-01".parse().unwrap()),
        }
    }

    fn record() -> Record {
        Record {
            id: TokenId(7),
            name: "Backstage".to_owned(),
            description: None,
            scopes: scopes(&["read_repository", "read_api"]),
            user_id: 3,
            created_at: "2026-11-21T10:00:00Z".parse().unwrap(),
            expires_at: Some("2027-01-01".parse().unwrap()),
            last_used_at: None,
            active: true,
            revoked: false,
            access_level: Some(30),
        }
    }

    #[test]
    fn what_was_asked_for_has_no_mismatch() {
        assert_eq!(compare(&request(), Some(TokenId(7)), &record()), []);
        assert_eq!(compare(&request(), None, &Record { access_level: None, ..record() }), []);
    }

    #[test]
    fn every_difference_is_found_and_said() {
        let odd = |record: Record| {
            let found = compare(&request(), Some(TokenId(7)), &record);
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        for (record, expected) in [
            (Record { id: TokenId(8), ..record() }, "the value belongs to token 8, not to token 7"),
            (Record { name: "Other".to_owned(), ..record() }, "its name is `Other`, not `Backstage`"),
            (
                Record { scopes: scopes(&["read_api", "api"]), ..record() },
                "its scopes differ: -read_repository +api",
            ),
            (Record { expires_at: None, ..record() }, "it expires never, not 2027-01-01"),
            (Record { access_level: Some(40), ..record() }, "its role is maintainer, not developer"),
            (Record { access_level: Some(37), ..record() }, "its access level is 37, not 30 (developer)"),
            (Record { active: false, ..record() }, "it is not active"),
            (Record { revoked: true, ..record() }, "it is not active"),
        ] {
            assert_eq!(odd(record), expected);
        }
    }
}
