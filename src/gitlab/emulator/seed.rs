//! What the emulator starts with, as YAML: settings, users, groups, projects, tokens.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use super::code::Code;
use super::mint::{Random, Wish};
use super::state::{GitLab, Group, Membership, Project, Resource, Settings, User, Visibility};
use crate::secret::Secret;
use crate::token::Role;

const DEFAULT: &str = include_str!("default_seed.yaml");

/// Users, groups, projects and tokens to start with. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    #[serde(default)]
    settings: SeedSettings,
    users: Vec<SeedUser>,
    #[serde(default)]
    groups: Vec<SeedGroup>,
    #[serde(default)]
    projects: Vec<SeedProject>,
    tokens: Vec<SeedToken>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedSettings {
    version: Option<String>,
    descriptions: Option<bool>,
    require_expiry: Option<bool>,
    max_lifetime: Option<u16>,
    free_tier: Option<bool>,
    container_registry: Option<bool>,
    dependency_proxy: Option<bool>,
    admin_mode: Option<bool>,
    token_prefix: Option<String>,
    requests_per_minute: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedUser {
    username: String,
    name: Option<String>,
    id: Option<u64>,
    #[serde(default)]
    admin: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedGroup {
    path: String,
    name: Option<String>,
    id: Option<u64>,
    visibility: Option<Visibility>,
    #[serde(default)]
    members: BTreeMap<String, Role>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedProject {
    path: String,
    name: Option<String>,
    id: Option<u64>,
    visibility: Option<Visibility>,
    #[serde(default)]
    members: BTreeMap<String, Role>,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedToken {
    label: String,
    name: String,
    user: Option<String>,
    group: Option<String>,
    project: Option<String>,
    role: Option<Role>,
    scopes: Vec<String>,
    description: Option<String>,
    expires_at: Option<Date>,
    #[serde(default)]
    revoked: bool,
}

/// Why a seed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Not YAML, or not of this shape; the text has the position.
    #[error("the seed is not valid: {0}")]
    Shape(#[from] serde_yaml::Error),
    /// A name that stands nowhere.
    #[error("the seed names {what} `{name}`, which it does not define")]
    Unknown {
        /// `user`, `group` or `project`.
        what: &'static str,
        /// As written.
        name: String,
    },
    /// A token of nobody, or of two.
    #[error("token `{0}` of the seed needs exactly one of user, group and project")]
    Owner(String),
    /// A value that GitLab's own rules refuse.
    #[error("token `{label}` of the seed is refused: {reason}")]
    Refused {
        /// The token's label.
        label: String,
        /// GitLab's sentence.
        reason: String,
    },
    /// Twice the same label, path, number or name.
    #[error("the seed has `{0}` twice")]
    Twice(String),
    /// A label that the program needs.
    #[error("the seed has no token with the label `{0}`")]
    Missing(&'static str),
}

/// The labels that must be there: the emulator prints these two tokens.
pub(super) const OPERATOR: &str = "operator";
/// See [`OPERATOR`].
pub(super) const ADMIN: &str = "admin";

impl Seed {
    /// Reads a seed.
    ///
    /// # Errors
    /// [`SeedError::Shape`], with line and column.
    pub fn parse(yaml: &str) -> Result<Self, SeedError> {
        Ok(serde_yaml::from_str(yaml)?)
    }

    /// What `provision emulator` holds when no seed is given: group `alithya-csna`, owned by the operator, with
    /// subgroups and projects; an administrator; a developer.
    ///
    /// # Errors
    /// None in practice: the text is part of the program and a test parses it.
    pub fn built_in() -> Result<Self, SeedError> {
        Self::parse(DEFAULT)
    }

    /// Builds the state. `random` draws the bytes of one token.
    ///
    /// # Errors
    /// [`SeedError`] for what does not hang together.
    pub(super) fn build(
        &self,
        now: Timestamp,
        random: &mut dyn FnMut() -> Random,
    ) -> Result<(GitLab, BTreeMap<String, Secret>), SeedError> {
        let mut gitlab = GitLab { settings: self.settings.resolve(), ..GitLab::default() };
        for user in &self.users {
            user.insert(&mut gitlab, now)?;
        }
        for group in &self.groups {
            let id = free(group.id, 101, gitlab.groups.keys());
            let row = Group {
                id,
                name: group.name.clone().unwrap_or_else(|| group.path.clone()),
                full_path: group.path.clone(),
                visibility: group.visibility.unwrap_or(Visibility::Private),
                created_at: now,
            };
            if gitlab.group(&group.path).is_some() || gitlab.groups.insert(id, row).is_some() {
                return Err(SeedError::Twice(group.path.clone()));
            }
            enrol(&group.members, &mut gitlab, Resource::Group(id), now)?;
        }
        for project in &self.projects {
            let id = free(project.id, 501, gitlab.projects.keys());
            let row = Project {
                id,
                name: project.name.clone().unwrap_or_else(|| project.path.clone()),
                full_path: project.path.clone(),
                visibility: project.visibility.unwrap_or(Visibility::Private),
                created_at: now,
                files: project.files.clone(),
                code: Code::default(),
            };
            if gitlab.project(&project.path).is_some() || gitlab.projects.insert(id, row).is_some() {
                return Err(SeedError::Twice(project.path.clone()));
            }
            enrol(&project.members, &mut gitlab, Resource::Project(id), now)?;
        }
        let mut values = BTreeMap::new();
        for token in &self.tokens {
            let value = token.mint(&mut gitlab, now, &random())?;
            if values.insert(token.label.clone(), value).is_some() {
                return Err(SeedError::Twice(token.label.clone()));
            }
        }
        match [OPERATOR, ADMIN].into_iter().find(|label| !values.contains_key(*label)) {
            Some(label) => Err(SeedError::Missing(label)),
            None => Ok((gitlab, values)),
        }
    }
}

/// The wanted number, or one more than the largest so far.
fn free<'a>(wanted: Option<u64>, first: u64, taken: impl DoubleEndedIterator<Item = &'a u64>) -> u64 {
    wanted.unwrap_or_else(|| taken.last().map_or(first, |last| last + 1))
}

/// Descriptions came with GitLab 17.7. A version that cannot be read counts as newer.
fn has_descriptions(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let major = numbers.next();
    (major, numbers.next()) >= (Some(17), Some(7)) || major.is_none()
}

impl SeedSettings {
    fn resolve(&self) -> Settings {
        let default = Settings::default();
        let version = self.version.clone().unwrap_or(default.version);
        Settings {
            descriptions: self.descriptions.unwrap_or_else(|| has_descriptions(&version)),
            version,
            require_expiry: self.require_expiry.unwrap_or(default.require_expiry),
            max_lifetime: self.max_lifetime,
            free_tier: self.free_tier.unwrap_or(default.free_tier),
            container_registry: self.container_registry.unwrap_or(default.container_registry),
            dependency_proxy: self.dependency_proxy.unwrap_or(default.dependency_proxy),
            admin_mode: self.admin_mode.unwrap_or(default.admin_mode),
            token_prefix: self.token_prefix.clone().unwrap_or(default.token_prefix),
            requests_per_minute: self.requests_per_minute,
        }
    }
}

impl SeedUser {
    fn insert(&self, gitlab: &mut GitLab, now: Timestamp) -> Result<(), SeedError> {
        let id = free(self.id, 1, gitlab.users.keys());
        let user = User {
            id,
            username: self.username.clone(),
            name: self.name.clone().unwrap_or_else(|| self.username.clone()),
            admin: self.admin,
            bot: false,
            created_at: now,
        };
        if gitlab.user_by_name(&self.username).is_some() || gitlab.users.insert(id, user).is_some() {
            return Err(SeedError::Twice(self.username.clone()));
        }
        Ok(())
    }
}

fn enrol(
    members: &BTreeMap<String, Role>,
    gitlab: &mut GitLab,
    resource: Resource,
    now: Timestamp,
) -> Result<(), SeedError> {
    for (username, role) in members {
        let user = user_id(gitlab, username)?;
        gitlab.members.push(Membership { resource, user, role: *role, created_at: now });
    }
    Ok(())
}

fn user_id(gitlab: &GitLab, username: &str) -> Result<u64, SeedError> {
    let user = gitlab.user_by_name(username).map(|user| user.id);
    user.ok_or_else(|| SeedError::Unknown { what: "user", name: username.to_owned() })
}

impl SeedToken {
    fn mint(&self, gitlab: &mut GitLab, now: Timestamp, random: &Random) -> Result<Secret, SeedError> {
        let wish = Wish {
            name: self.name.clone(),
            description: self.description.clone(),
            scopes: self.scopes.clone(),
            expires_at: self.expires_at,
        };
        let unknown = |what, name: &String| SeedError::Unknown { what, name: name.clone() };
        let role = self.role.unwrap_or(Role::Maintainer);
        let minted = match (&self.user, &self.group, &self.project) {
            (Some(user), None, None) => {
                let user = user_id(gitlab, user)?;
                gitlab.mint_personal(user, wish, now, random)
            }
            (None, Some(path), None) => {
                let group = gitlab.group(path).ok_or_else(|| unknown("group", path))?.id;
                gitlab.mint_resource(Resource::Group(group), role, wish, now, random)
            }
            (None, None, Some(path)) => {
                let project = gitlab.project(path).ok_or_else(|| unknown("project", path))?.id;
                gitlab.mint_resource(Resource::Project(project), role, wish, now, random)
            }
            _ => return Err(SeedError::Owner(self.label.clone())),
        };
        let (id, value) =
            minted.map_err(|reason| SeedError::Refused { label: self.label.clone(), reason })?;
        if self.revoked {
            gitlab.revoke(id);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(yaml: &str) -> Result<(GitLab, BTreeMap<String, Secret>), SeedError> {
        let mut counter = 0;
        let mut random = || {
            counter += 1;
            Random { value: [counter; 16], bot: [counter; 16] }
        };
        Seed::parse(yaml)?.build("2026-11-21T08:00:00Z".parse().unwrap(), &mut random)
    }

    #[test]
    fn the_built_in_seed_has_an_owner_of_alithya_csna() {
        let (gitlab, values) = build(DEFAULT).unwrap();
        assert!(values.contains_key(OPERATOR) && values.contains_key(ADMIN));
        let group = Resource::Group(gitlab.group("alithya-csna").unwrap().id);
        let owner = gitlab.user_by_name("maude").unwrap().id;
        assert_eq!(gitlab.membership(owner, group).map(|member| member.role), Some(Role::Owner));
    }

    #[test]
    fn descriptions_follow_the_version() {
        for (version, expected) in
            [("17.6.2-ee", false), ("17.7.0", true), ("16.11.1", false), ("19.6.0-ee", true)]
        {
            assert_eq!(has_descriptions(version), expected, "{version}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let error = build("users: []\ntokens: []\ngruops: []\n").unwrap_err().to_string();
        assert!(error.contains("gruops") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn names_must_hang_together() {
        let text = "users: [{username: a}]\ntokens: [{label: x, name: n, group: nowhere, scopes: [api]}]\n";
        assert_eq!(
            build(text).unwrap_err().to_string(),
            "the seed names group `nowhere`, which it does not define"
        );
        let text = "users: [{username: a}, {username: A}]\ntokens: []\n";
        assert_eq!(build(text).unwrap_err().to_string(), "the seed has `A` twice");
        let text = "users: [{username: a}]\ntokens: [{label: x, name: n, scopes: [api]}]\n";
        assert!(build(text).unwrap_err().to_string().starts_with("token `x` of the seed needs exactly one"));
        let text = "users: [{username: a}]\ntokens: []\n";
        assert_eq!(build(text).unwrap_err().to_string(), "the seed has no token with the label `operator`");
    }
}
