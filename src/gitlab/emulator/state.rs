//! What the embedded GitLab knows: users, groups, projects, memberships, tokens, settings. Pure data and look-ups;
//! time comes in as a value. No token value is in here, only its SHA-256.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::clock::day;
use super::code::Code;
use super::value::Fingerprint;
use crate::token::{Kind, Role};

/// Everything.
#[derive(Debug, Default)]
pub(super) struct GitLab {
    pub(super) settings: Settings,
    pub(super) users: BTreeMap<u64, User>,
    pub(super) groups: BTreeMap<u64, Group>,
    pub(super) projects: BTreeMap<u64, Project>,
    pub(super) members: Vec<Membership>,
    pub(super) tokens: BTreeMap<u64, Token>,
}

/// How the instance is configured.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// As `GET /version` says it.
    pub(super) version: String,
    /// Whether tokens have descriptions (17.7 and later).
    pub(super) descriptions: bool,
    /// `require_personal_access_token_expiry`.
    pub(super) require_expiry: bool,
    /// `max_personal_access_token_lifetime` in days (Ultimate); `None`: GitLab's own 365.
    pub(super) max_lifetime: Option<u16>,
    /// As gitlab.com's Free tier: no group and project access tokens.
    pub(super) free_tier: bool,
    /// Whether the registry scopes exist.
    pub(super) container_registry: bool,
    /// Whether the virtual registry scopes exist.
    pub(super) dependency_proxy: bool,
    /// Whether administrators need the scope `admin_mode`.
    pub(super) admin_mode: bool,
    /// What token values begin with.
    pub(super) token_prefix: String,
    /// Requests a user may make in one minute; `None`: no limit and no `RateLimit-*` headers, as a new
    /// self-managed instance has it.
    pub(super) requests_per_minute: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: "19.6.0-ee".to_owned(),
            descriptions: true,
            require_expiry: true,
            max_lifetime: None,
            free_tier: false,
            container_registry: true,
            dependency_proxy: true,
            admin_mode: false,
            token_prefix: "glpat-".to_owned(),
            requests_per_minute: None,
        }
    }
}

/// A person, or the bot that a group or project token acts as.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) username: String,
    pub(super) name: String,
    pub(super) admin: bool,
    /// `user_type: project_bot`, for group tokens too.
    pub(super) bot: bool,
    pub(super) created_at: Timestamp,
}

/// Who may see a group or project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Visibility {
    /// Members only.
    Private,
    /// Everybody who is logged in.
    Internal,
    /// Everybody.
    Public,
}

impl Visibility {
    /// Whether those who are no members may read it.
    pub(super) fn is_open(self) -> bool {
        self != Self::Private
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

/// A group or subgroup.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) full_path: String,
    pub(super) visibility: Visibility,
    pub(super) created_at: Timestamp,
}

/// A project; its group is found by its path.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) full_path: String,
    pub(super) visibility: Visibility,
    pub(super) created_at: Timestamp,
    /// What `main` holds, by path.
    pub(super) files: BTreeMap<String, String>,
    pub(super) code: Code,
}

/// A group or a project: what has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Group(u64),
    Project(u64),
}

impl Resource {
    /// `group` or `project`: GitLab's `source_type`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Group(_) => "group",
            Self::Project(_) => "project",
        }
    }

    pub(super) fn id(self) -> u64 {
        match self {
            Self::Group(id) | Self::Project(id) => id,
        }
    }
}

/// Direct membership of a user.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) resource: Resource,
    pub(super) user: u64,
    pub(super) role: Role,
    pub(super) created_at: Timestamp,
}

/// Whose token it is. Service accounts and others come in as further variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenOwner {
    User(u64),
    Resource(Resource),
}

impl TokenOwner {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::User(_) => Kind::Personal,
            Self::Resource(Resource::Group(_)) => Kind::Group,
            Self::Resource(Resource::Project(_)) => Kind::Project,
        }
    }
}

/// A row of `personal_access_tokens`: group and project tokens are rows of their bot users.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) id: u64,
    pub(super) fingerprint: Fingerprint,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) owner: TokenOwner,
    /// Whom it acts as.
    pub(super) user: u64,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Date>,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) revoked: bool,
    /// `previous_personal_access_token_id`.
    pub(super) previous: Option<u64>,
}

impl Token {
    /// Dead from 00:00 UTC of the day on (`PersonalAccessToken#expired?`).
    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|date| date <= day(now))
    }

    pub(super) fn active(&self, now: Timestamp) -> bool {
        !self.revoked && !self.expired(now)
    }

    pub(super) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|have| have == scope)
    }
}

impl GitLab {
    /// The number for a new user or token: one more than the largest.
    pub(super) fn next_token_id(&self) -> u64 {
        self.tokens.keys().next_back().map_or(4201, |last| last + 1)
    }

    pub(super) fn next_user_id(&self) -> u64 {
        self.users.keys().next_back().map_or(1, |last| last + 1)
    }

    pub(super) fn token_by_value(&self, value: &str) -> Option<&Token> {
        let fingerprint = Fingerprint::of(value);
        self.tokens.values().find(|token| token.fingerprint == fingerprint)
    }

    pub(super) fn user_by_name(&self, username: &str) -> Option<&User> {
        self.users.values().find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// The group with this number or full path.
    pub(super) fn group(&self, id_or_path: &str) -> Option<&Group> {
        match id_or_path.parse::<u64>() {
            Ok(id) => self.groups.get(&id),
            Err(_) => self.groups.values().find(|group| group.full_path.eq_ignore_ascii_case(id_or_path)),
        }
    }

    /// The project with this number or full path.
    pub(super) fn project(&self, id_or_path: &str) -> Option<&Project> {
        match id_or_path.parse::<u64>() {
            Ok(id) => self.projects.get(&id),
            Err(_) => {
                self.projects.values().find(|project| project.full_path.eq_ignore_ascii_case(id_or_path))
            }
        }
    }

    /// Full path and visibility of a group or project that exists.
    pub(super) fn place(&self, resource: Resource) -> Option<(&str, Visibility)> {
        match resource {
            Resource::Group(id) => {
                self.groups.get(&id).map(|group| (group.full_path.as_str(), group.visibility))
            }
            Resource::Project(id) => {
                self.projects.get(&id).map(|project| (project.full_path.as_str(), project.visibility))
            }
        }
    }

    /// The groups above `resource`, nearest first.
    pub(super) fn ancestors(&self, resource: Resource) -> Vec<&Group> {
        let mut path = self.place(resource).map_or("", |(path, _)| path);
        let mut above = Vec::new();
        while let Some((parent, _)) = path.rsplit_once('/') {
            above.extend(self.groups.values().find(|group| group.full_path == parent));
            path = parent;
        }
        above
    }

    /// The membership with the highest role, direct or inherited from the groups above.
    pub(super) fn membership(&self, user: u64, resource: Resource) -> Option<&Membership> {
        let above: Vec<Resource> =
            self.ancestors(resource).iter().map(|group| Resource::Group(group.id)).collect();
        self.members
            .iter()
            .filter(|member| member.user == user)
            .filter(|member| member.resource == resource || above.contains(&member.resource))
            .max_by_key(|member| member.role.access_level())
    }

    /// The role of a resource token: its bot's.
    pub(super) fn role_of(&self, token: &Token) -> Option<Role> {
        match token.owner {
            TokenOwner::User(_) => None,
            TokenOwner::Resource(resource) => self.membership(token.user, resource).map(|member| member.role),
        }
    }

    /// Every token of the rotation family of `id`, itself included: predecessors and successors.
    pub(super) fn family(&self, id: u64) -> Vec<u64> {
        let mut family = vec![id];
        let mut seen = 0;
        while seen < family.len() {
            let current = family[seen];
            seen += 1;
            let before = self.tokens.get(&current).and_then(|token| token.previous);
            let after =
                self.tokens.values().filter(|token| token.previous == Some(current)).map(|token| token.id);
            let found: Vec<u64> = before.into_iter().chain(after).filter(|id| !family.contains(id)).collect();
            family.extend(found);
        }
        family
    }
}
