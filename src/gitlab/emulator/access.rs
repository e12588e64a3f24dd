//! Who is asking and what they may do: credentials, scopes, roles, visibility (`lib/gitlab/auth/auth_finders.rb`,
//! `app/policies/group_policy.rb` and `project_policy.rb` of GitLab).

use jiff::{SignedDuration, Timestamp};

use super::refusal::Refusal;
use super::state::{GitLab, Resource, Token, Visibility};
use crate::token::Role;

/// Who is asking, once the token was accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) user: u64,
    pub(super) token: u64,
}

/// Which scopes open a route (`allow_access_with_scope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opens {
    /// `api`; for reading `read_api` too.
    Api,
    /// As `Api`, and `read_user` for reading.
    ReadUser,
    /// `api` or `self_rotate`.
    SelfRotate,
    /// `api`, `read_api` or `read_repository`, for reading.
    Repository,
    /// Any token may look at itself and withdraw itself.
    Any,
}

/// What a request wants to get through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    pub(super) opens: Opens,
    /// GET or HEAD.
    pub(super) reading: bool,
    /// The path is that of a rotation.
    pub(super) rotating: bool,
}

impl Opens {
    /// Whether a token with these scopes gets in. `read_api` and `read_user` open reading only.
    fn accepts(self, token: &Token, reading: bool) -> bool {
        let reads = |scope| reading && token.has_scope(scope);
        match self {
            Self::Any => true,
            Self::Api => token.has_scope("api") || reads("read_api"),
            Self::ReadUser => token.has_scope("api") || reads("read_api") || reads("read_user"),
            Self::Repository => token.has_scope("api") || reads("read_api") || reads("read_repository"),
            Self::SelfRotate => token.has_scope("api") || token.has_scope("self_rotate"),
        }
    }

    /// What the refusal names: the scopes registered for the route's class, then those for all of the API, whether
    /// or not they would do for this method (`scopes_registered_for_endpoint` in `lib/api/api_guard.rb`).
    fn registered(self) -> &'static [&'static str] {
        match self {
            Self::Any => &[],
            Self::Api => &["api", "read_api"],
            Self::ReadUser => &["read_user", "api", "read_api"],
            Self::Repository => &["read_repository", "api", "read_api"],
            Self::SelfRotate => &["api", "self_rotate", "api", "read_api"],
        }
    }
}

/// `last_used_at` moves at most this often.
const USE_GRANULARITY: SignedDuration = SignedDuration::from_mins(10);

impl GitLab {
    /// Accepts the credential and notes its use.
    ///
    /// A revoked token on a rotate route means that somebody has a stolen or a stale copy: its whole family is
    /// revoked then, and only then.
    ///
    /// # Errors
    /// 401 in the three shapes, 403 for a missing scope.
    pub(super) fn authenticate(
        &mut self,
        value: Option<&str>,
        now: Timestamp,
        door: Door,
    ) -> Result<Caller, Refusal> {
        let token = value.and_then(|value| self.token_by_value(value)).ok_or(Refusal::Unauthorized)?;
        let id = token.id;
        if token.expired(now) {
            return Err(Refusal::Expired);
        }
        if token.revoked {
            if door.rotating {
                self.revoke_family(id);
            }
            return Err(Refusal::Revoked);
        }
        if !door.opens.accepts(token, door.reading) {
            return Err(Refusal::InsufficientScope(door.opens.registered().to_vec()));
        }
        let caller = Caller { user: token.user, token: id };
        self.note_use(id, now);
        Ok(caller)
    }

    fn note_use(&mut self, id: u64, now: Timestamp) {
        if let Some(token) = self.tokens.get_mut(&id) {
            let stale = token.last_used_at.is_none_or(|last| now.duration_since(last) >= USE_GRANULARITY);
            if stale {
                token.last_used_at = Some(now);
            }
        }
    }

    fn revoke_family(&mut self, id: u64) {
        for member in self.family(id) {
            if let Some(token) = self.tokens.get_mut(&member) {
                token.revoked = true;
            }
        }
    }

    /// The token that the caller came with.
    pub(super) fn own_token(&self, caller: Caller) -> Option<&Token> {
        self.tokens.get(&caller.token)
    }

    /// Whether the caller acts as an administrator: in Admin Mode only a token with that scope does.
    pub(super) fn is_admin(&self, caller: Caller) -> bool {
        let admin = self.users.get(&caller.user).is_some_and(|user| user.admin);
        let mode = !self.settings.admin_mode
            || self.own_token(caller).is_some_and(|token| token.has_scope("admin_mode"));
        admin && mode
    }

    fn is_bot(&self, caller: Caller) -> bool {
        self.users.get(&caller.user).is_some_and(|user| user.bot)
    }

    /// The caller's highest role here; administrators count as owners.
    pub(super) fn role(&self, caller: Caller, resource: Resource) -> Option<Role> {
        if self.is_admin(caller) {
            return Some(Role::Owner);
        }
        self.membership(caller.user, resource).map(|member| member.role)
    }

    /// Whether the caller sees that this exists. A member of something inside a group sees the group.
    pub(super) fn sees(&self, caller: Caller, resource: Resource) -> bool {
        let Some((path, visibility)) = self.place(resource) else { return false };
        if visibility != Visibility::Private || self.role(caller, resource).is_some() {
            return true;
        }
        let inside = format!("{path}/");
        matches!(resource, Resource::Group(_))
            && self.members.iter().any(|member| {
                member.user == caller.user
                    && self.place(member.resource).is_some_and(|(path, _)| path.starts_with(&inside))
            })
    }

    /// The group or project that `id` names.
    ///
    /// # Errors
    /// 404 where there is none, or none that the caller sees.
    pub(super) fn find_resource(&self, caller: Caller, word: Word, id: &str) -> Result<Resource, Refusal> {
        let found = match word {
            Word::Group => self.group(id).map(|group| Resource::Group(group.id)),
            Word::Project => self.project(id).map(|project| Resource::Project(project.id)),
        };
        found.filter(|resource| self.sees(caller, *resource)).ok_or(Refusal::NotFound(word.title()))
    }

    /// `read_resource_access_tokens`, `destroy_resource_access_tokens`: Owner of a group, Maintainer of a project.
    /// gitlab.com Free has the feature for nobody (EE policy; from general knowledge).
    pub(super) fn may_read_tokens(&self, caller: Caller, resource: Resource) -> bool {
        let enough = match resource {
            Resource::Group(_) => Role::Owner,
            Resource::Project(_) => Role::Maintainer,
        };
        let level = self.role(caller, resource).map_or(0, Role::access_level);
        !self.settings.free_tier && level >= enough.access_level()
    }

    /// `create_resource_access_tokens`, `manage_resource_access_tokens`: as reading, but never by a bot.
    pub(super) fn may_manage_tokens(&self, caller: Caller, resource: Resource) -> bool {
        self.may_read_tokens(caller, resource) && !self.is_bot(caller)
    }

    /// Whether the caller's role holds everything that `role` does. Only Maintainers and Owners get here, and the
    /// roles below them are all parts of theirs.
    pub(super) fn encompasses(&self, caller: Caller, resource: Resource, role: Role) -> bool {
        self.role(caller, resource).is_some_and(|own| own.access_level() >= role.access_level())
    }
}

/// `group` or `project` before the resource is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Group,
    Project,
}

impl Word {
    pub(super) fn from_plural(plural: &str) -> Option<Self> {
        match plural {
            "groups" => Some(Self::Group),
            "projects" => Some(Self::Project),
            _ => None,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Group => "Group",
            Self::Project => "Project",
        }
    }

    /// What a 404 for a missing token names; GitLab leaves the word in lower case here.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Group => "group Access Token",
            Self::Project => "project Access Token",
        }
    }
}
