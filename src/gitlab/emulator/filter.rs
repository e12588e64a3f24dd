//! The filters and orders of every list of tokens (`lib/api/helpers/personal_access_tokens_helpers.rb` and
//! `app/finders/personal_access_tokens_finder.rb` of GitLab).

use std::cmp::Reverse;

use jiff::Timestamp;
use jiff::civil::Date;

use super::refusal::Refusal;
use super::request::{Params, Request};
use super::state::Token;

/// What to show and in which order.
#[derive(Debug, Default)]
pub(super) struct Filter {
    revoked: Option<bool>,
    active: Option<bool>,
    created: Between<Timestamp>,
    last_used: Between<Timestamp>,
    expires: Between<Date>,
    search: Option<String>,
    sort: Option<String>,
}

/// Both ends are part of it.
#[derive(Debug)]
struct Between<T> {
    after: Option<T>,
    before: Option<T>,
}

impl<T> Default for Between<T> {
    fn default() -> Self {
        Self { after: None, before: None }
    }
}

impl<T: PartialOrd> Between<T> {
    /// A missing value is outside of any limit, as in SQL.
    fn holds(&self, value: Option<&T>) -> bool {
        let from = self.after.as_ref().is_none_or(|limit| value.is_some_and(|value| value >= limit));
        let until = self.before.as_ref().is_none_or(|limit| value.is_some_and(|value| value <= limit));
        from && until
    }
}

impl Filter {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 with Grape's texts.
    pub(super) fn read(request: &Request) -> Result<Self, Refusal> {
        let mut params = Params::new(&request.params);
        let filter = Self {
            revoked: params.flag("revoked"),
            active: params.choice("state", &["active", "inactive"]).map(|state| state == "active"),
            created: Between { before: params.time("created_before"), after: params.time("created_after") },
            last_used: Between {
                before: params.time("last_used_before"),
                after: params.time("last_used_after"),
            },
            expires: Between { before: params.date("expires_before"), after: params.date("expires_after") },
            search: params.text("search"),
            sort: params.text("sort"),
        };
        params.finish()?;
        Ok(filter)
    }

    /// The tokens that match, in the order asked for; unknown orders are ignored.
    pub(super) fn apply<'a>(
        &self,
        tokens: impl Iterator<Item = &'a Token>,
        now: Timestamp,
    ) -> Vec<&'a Token> {
        let mut found: Vec<&Token> = tokens.filter(|token| self.matches(token, now)).collect();
        match self.sort.as_deref() {
            Some("created_asc" | "created_at_asc") => found.sort_by_key(|token| token.created_at),
            Some("created_desc" | "created_at_desc") => found.sort_by_key(|token| Reverse(token.created_at)),
            Some("expires_asc" | "expires_at_asc") => {
                found.sort_by_key(|token| token.expires_at.unwrap_or(Date::MAX));
            }
            Some("expires_desc" | "expires_at_desc") => {
                found.sort_by_key(|token| Reverse(token.expires_at.unwrap_or(Date::MAX)));
            }
            Some("last_used_asc" | "last_used_at_asc") => {
                found.sort_by_key(|token| token.last_used_at.unwrap_or(Timestamp::MAX));
            }
            Some("last_used_desc" | "last_used_at_desc") => {
                found.sort_by_key(|token| Reverse(token.last_used_at.unwrap_or(Timestamp::MAX)));
            }
            Some("name_asc") => found.sort_by(|one, two| one.name.cmp(&two.name)),
            Some("name_desc") => found.sort_by(|one, two| two.name.cmp(&one.name)),
            _ => {}
        }
        found
    }

    fn matches(&self, token: &Token, now: Timestamp) -> bool {
        let name = token.name.to_lowercase();
        self.revoked.is_none_or(|wanted| token.revoked == wanted)
            && self.active.is_none_or(|wanted| token.active(now) == wanted)
            && self.created.holds(Some(&token.created_at))
            && self.last_used.holds(token.last_used_at.as_ref())
            && self.expires.holds(token.expires_at.as_ref())
            && self.search.as_ref().is_none_or(|text| name.contains(&text.to_lowercase()))
    }
}
