//! The scopes of access tokens: which exist, for which kind of token, and what a misspelt one was meant to be.
//!
//! Source: `lib/gitlab/auth.rb` (`non_admin_available_scopes`, `resource_bot_scopes`) and the table of
//! `doc/security/tokens/access_token_scopes.md` in GitLab. What an instance accepts also depends on its
//! configuration, so that GitLab has the last word.

use crate::token::Kind;

/// For whom GitLab offers a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offered {
    /// Personal, group and project tokens.
    Everywhere,
    /// Personal tokens only.
    Personal,
    /// Personal tokens, minted by an administrator.
    Admin,
    /// Internal or OAuth: not for access tokens, even where the API lets the value pass.
    Nowhere,
}

const TABLE: [(&str, Offered); 27] = [
    ("admin_mode", Offered::Admin),
    ("ai_features", Offered::Everywhere),
    ("ai_workflows", Offered::Nowhere),
    ("api", Offered::Everywhere),
    ("create_runner", Offered::Everywhere),
    ("email", Offered::Nowhere),
    ("granular", Offered::Nowhere),
    ("k8s_proxy", Offered::Everywhere),
    ("manage_runner", Offered::Everywhere),
    ("mcp", Offered::Nowhere),
    ("mcp_orbit", Offered::Nowhere),
    ("openid", Offered::Nowhere),
    ("profile", Offered::Nowhere),
    ("read_api", Offered::Everywhere),
    ("read_observability", Offered::Everywhere),
    ("read_registry", Offered::Everywhere),
    ("read_repository", Offered::Everywhere),
    ("read_service_ping", Offered::Admin),
    ("read_user", Offered::Personal),
    ("read_virtual_registry", Offered::Everywhere),
    ("self_rotate", Offered::Everywhere),
    ("sudo", Offered::Admin),
    ("user:*", Offered::Nowhere),
    ("write_observability", Offered::Everywhere),
    ("write_registry", Offered::Everywhere),
    ("write_repository", Offered::Everywhere),
    ("write_virtual_registry", Offered::Everywhere),
];

/// Why a scope is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// So near to a known scope that it is taken for a slip.
    #[error("unknown scope `{scope}`, did you mean `{meant}`?")]
    Misspelt {
        /// As written.
        scope: String,
        /// The known scope nearest to it.
        meant: &'static str,
    },
    /// No scope can look like this.
    #[error("`{0}` cannot be a scope: scopes are lower-case words joined with `_`")]
    NotAScope(String),
    /// Known, but not for this kind of token.
    #[error("scope `{scope}` is not for {kind} tokens, only for personal ones")]
    PersonalOnly {
        /// As written.
        scope: String,
        /// The kind of the entry.
        kind: Kind,
    },
    /// Known, but for no access token.
    #[error(
        "scope `{0}` is not for access tokens: GitLab gives it to OAuth applications or keeps it to itself"
    )]
    NotForTokens(String),
}

/// Checks one scope of a token of this kind.
///
/// A scope that is not in the table is accepted, as a newer GitLab may have it, unless it is so close to a known one
/// that it must be a slip: at most one edit, or one in five letters of a long name.
///
/// # Errors
/// Misspelt, impossible, or not offered for this kind.
pub fn check(scope: &str, kind: Kind) -> Result<(), ScopeError> {
    let Some((_, offered)) = TABLE.iter().find(|(name, _)| *name == scope) else {
        return check_unknown(scope);
    };
    match (offered, kind) {
        (Offered::Everywhere, _) | (Offered::Personal | Offered::Admin, Kind::Personal) => Ok(()),
        (Offered::Personal | Offered::Admin, _) => {
            Err(ScopeError::PersonalOnly { scope: scope.to_owned(), kind })
        }
        (Offered::Nowhere, _) => Err(ScopeError::NotForTokens(scope.to_owned())),
    }
}

/// What a token with `scope` may do without having these scopes too: all that they stand for is part of it.
///
/// Source: `abilities_for_scopes` in `lib/gitlab/auth.rb` for Git and the registry, and the routes of the API, which take
/// `api` everywhere and `read_api` for reading. `write_repository` and `write_registry` imply nothing: the first opens no
/// file by API, the second pulls no image. What `api` means to runners, proxies and agents differs from version to version.
#[must_use]
pub fn implied(scope: &str) -> &'static [&'static str] {
    match scope {
        "api" => &[
            "read_api",
            "read_registry",
            "read_repository",
            "read_user",
            "self_rotate",
            "write_registry",
            "write_repository",
        ],
        "read_api" => &["read_registry", "read_repository", "read_user"],
        _ => &[],
    }
}

/// The scopes that an entry may name, sorted: what an editor offers.
pub fn offered() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|(_, offered)| *offered != Offered::Nowhere).map(|(name, _)| *name)
}

fn check_unknown(scope: &str) -> Result<(), ScopeError> {
    let folded = scope.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    let nearest = offered().map(|known| (strsim::osa_distance(&folded, known), known)).min();
    if let Some((distance, meant)) = nearest
        && distance <= (folded.len() / 5).max(1)
    {
        return Err(ScopeError::Misspelt { scope: scope.to_owned(), meant });
    }
    let plausible = scope.starts_with(|first: char| first.is_ascii_lowercase())
        && scope.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && scope.len() <= 64;
    if plausible { Ok(()) } else { Err(ScopeError::NotAScope(scope.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_no_two_offered_scopes_are_taken_for_slips_of_each_other() {
        assert!(TABLE.is_sorted_by(|left, right| left.0 < right.0));
        for scope in offered() {
            assert_eq!(check(scope, Kind::Personal), Ok(()), "{scope}");
        }
    }

    #[test]
    fn group_and_project_tokens_get_every_scope_but_the_personal_and_admin_ones() {
        for kind in [Kind::Group, Kind::Project] {
            let refused: Vec<_> = offered().filter(|scope| check(scope, kind).is_err()).collect();
            assert_eq!(refused, ["admin_mode", "read_service_ping", "read_user", "sudo"]);
        }
        assert_eq!(
            check("read_user", Kind::Group).unwrap_err().to_string(),
            "scope `read_user` is not for group tokens, only for personal ones"
        );
    }

    #[test]
    fn a_misspelt_scope_gets_the_one_that_was_meant() {
        for (written, meant) in [
            ("read_apis", "read_api"),
            ("read-api", "read_api"),
            ("READ_API", "read_api"),
            ("readapi", "read_api"),
            ("apl", "api"),
            ("read_repositories", "read_repository"),
            ("write_respository", "write_repository"),
            ("read_registery", "read_registry"),
            ("self-rotate", "self_rotate"),
        ] {
            let expected = ScopeError::Misspelt { scope: written.to_owned(), meant };
            assert_eq!(check(written, Kind::Group), Err(expected));
        }
    }

    #[test]
    fn a_scope_of_a_newer_gitlab_is_accepted() {
        for scope in ["read_wiki", "write_package", "manage_environment", "read_job"] {
            assert_eq!(check(scope, Kind::Project), Ok(()), "{scope}");
        }
    }

    #[test]
    fn what_cannot_be_a_scope_and_what_is_not_for_tokens_is_refused() {
        for scope in ["", "read api please", "Owner", "user:*:read", "ünicode_word"] {
            assert_eq!(check(scope, Kind::Personal), Err(ScopeError::NotAScope(scope.to_owned())));
        }
        for scope in ["mcp", "granular", "openid"] {
            assert_eq!(check(scope, Kind::Personal), Err(ScopeError::NotForTokens(scope.to_owned())));
        }
    }
}
