//! Making, rotating and revoking token rows: the services behind the routes.

use jiff::Timestamp;
use jiff::civil::Date;

use super::lifetime;
use super::scopes;
use super::state::{GitLab, Membership, Resource, Token, TokenOwner, User};
use super::value::{Fingerprint, hex, routable};
use crate::secret::Secret;
use crate::token::Role;

/// Random bytes for one request, drawn before it is handled, so that handling stays pure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Random {
    pub(super) value: [u8; 16],
    pub(super) bot: [u8; 16],
}

/// What a new token should be.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) expires_at: Option<Date>,
}

/// The longest name or description.
const MAX_TEXT: usize = 255;

impl Wish {
    /// The model's validation.
    ///
    /// # Errors
    /// ActiveRecord's sentence, several joined as `to_sentence` does.
    fn check(&self, gitlab: &GitLab, admin: bool) -> Result<(), String> {
        let mut problems = Vec::new();
        if self.name.trim().is_empty() {
            problems.push("Name can't be blank".to_owned());
        }
        if self.name.chars().count() > MAX_TEXT {
            problems.push(format!("Name is too long (maximum is {MAX_TEXT} characters)"));
        }
        let description = self.description.as_deref().unwrap_or_default();
        if gitlab.settings.descriptions && description.chars().count() > MAX_TEXT {
            problems.push(format!("Description is too long (maximum is {MAX_TEXT} characters)"));
        }
        if self.scopes.is_empty() {
            problems.push("Scopes can't be blank".to_owned());
        }
        if !admin && self.scopes.iter().any(|scope| scopes::is_for_admins(scope)) {
            problems.push("Scopes can only contain available scopes".to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join(" and ")) }
    }
}

impl GitLab {
    /// A token of a person.
    ///
    /// # Errors
    /// The model's sentence.
    pub(super) fn mint_personal(
        &mut self,
        user: u64,
        wish: Wish,
        now: Timestamp,
        random: &Random,
    ) -> Result<(u64, Secret), String> {
        let admin = self.users.get(&user).is_some_and(|user| user.admin);
        wish.check(self, admin)?;
        let expires_at = lifetime::of_new(wish.expires_at, &self.settings, now)?;
        Ok(self.store(TokenOwner::User(user), user, Wish { expires_at, ..wish }, None, now, random))
    }

    /// A token of a group or project, with a new bot user that is a member there.
    ///
    /// # Errors
    /// The model's sentence; no bot is left behind then.
    pub(super) fn mint_resource(
        &mut self,
        resource: Resource,
        role: Role,
        wish: Wish,
        now: Timestamp,
        random: &Random,
    ) -> Result<(u64, Secret), String> {
        wish.check(self, false)?;
        let expires_at = lifetime::of_new(wish.expires_at, &self.settings, now)?;
        let bot = self.next_user_id();
        let username = format!("{}_{}_bot_{}", resource.word(), resource.id(), hex(&random.bot));
        self.users.insert(
            bot,
            User { id: bot, username, name: wish.name.clone(), admin: false, bot: true, created_at: now },
        );
        self.members.push(Membership { resource, user: bot, role, created_at: now });
        Ok(self.store(TokenOwner::Resource(resource), bot, Wish { expires_at, ..wish }, None, now, random))
    }

    /// Revokes a token and makes its successor, in one go: same user, name, description and scopes, a new number.
    ///
    /// # Errors
    /// `Token already revoked`, or the model's sentence; nothing is changed then.
    pub(super) fn rotate(
        &mut self,
        id: u64,
        wanted: Option<Date>,
        now: Timestamp,
        random: &Random,
    ) -> Result<(u64, Secret), String> {
        let old = self.tokens.get(&id).ok_or("Failed to revoke token")?;
        if old.revoked {
            return Err("Token already revoked".to_owned());
        }
        let wish = Wish {
            name: old.name.clone(),
            description: old.description.clone(),
            scopes: old.scopes.clone(),
            expires_at: lifetime::of_rotated(wanted, &self.settings, now)?,
        };
        let (owner, user) = (old.owner, old.user);
        self.revoke(id);
        Ok(self.store(owner, user, wish, Some(id), now, random))
    }

    /// Revokes a token; a second time changes nothing.
    pub(super) fn revoke(&mut self, id: u64) {
        if let Some(token) = self.tokens.get_mut(&id) {
            token.revoked = true;
        }
    }

    fn store(
        &mut self,
        owner: TokenOwner,
        user: u64,
        wish: Wish,
        previous: Option<u64>,
        now: Timestamp,
        random: &Random,
    ) -> (u64, Secret) {
        let id = self.next_token_id();
        let value = routable(&self.settings.token_prefix, &random.value, &[('o', 1), ('u', user)]);
        let description = wish.description.filter(|_| self.settings.descriptions);
        self.tokens.insert(
            id,
            Token {
                id,
                fingerprint: Fingerprint::of(value.expose()),
                name: wish.name,
                description,
                scopes: wish.scopes,
                owner,
                user,
                created_at: now,
                expires_at: wish.expires_at,
                last_used_at: None,
                revoked: false,
                previous,
            },
        );
        (id, value)
    }
}
