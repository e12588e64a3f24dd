//! What to do about each failure at GitLab, concretely.

use super::credential::{GLAB, log_in};
use super::errors::{ErrorKind, GitLabError, Subject};
use crate::token::Kind;

/// The page where people make personal tokens; newer versions lead on from it to their form.
const TOKEN_PAGE: &str = "-/user_settings/personal_access_tokens";

pub(super) fn hint(error: &GitLabError) -> Option<String> {
    let call = error.call();
    let page = call.instance.page(TOKEN_PAGE);
    let source = &call.source;
    let text = match error.kind() {
        ErrorKind::TokenUnknown | ErrorKind::TokenExpired | ErrorKind::TokenRevoked
            if call.subject == Subject::Itself =>
        {
            return None;
        }
        ErrorKind::TokenUnknown | ErrorKind::TokenExpired | ErrorKind::TokenRevoked if source == GLAB => {
            log_in(&call.instance)
        }
        ErrorKind::TokenUnknown => format!(
            "check that {source} holds a token of {}, copied whole; a new one, with the scope api, is made at {page}",
            call.instance
        ),
        ErrorKind::TokenExpired | ErrorKind::TokenRevoked => {
            format!("make a new token with the scope api at {page} and give it through {source}")
        }
        ErrorKind::ImpersonationOff => {
            format!("use a personal access token with the scope api, made at {page}")
        }
        ErrorKind::DpopRequired => {
            "use a token of a user for whom DPoP is not demanded; provision sends no DPoP proofs".to_owned()
        }
        ErrorKind::InsufficientScope { needed } => insufficient_scope(needed, page.as_str()),
        ErrorKind::Forbidden => forbidden(&call.subject)?,
        ErrorKind::AdministratorOnly { form, form_before_18_9 } => format!(
            "make the token yourself at {form} (before GitLab 18.9: {form_before_18_9}), or use the token of an \
             administrator, with the scope admin_mode where Admin Mode is on"
        ),
        ErrorKind::NotFound => not_found(&call.subject, source),
        ErrorKind::NoSuchRoute => format!(
            "check the address {}: GitLab may live below a path (https://host/gitlab), or be too old for this",
            call.instance
        ),
        ErrorKind::Invalid { problems } => invalid(&call.subject, problems)?,
        ErrorKind::ExpiryTooFar { latest } => {
            format!("write `expires: {latest}` or `expires: max` in the profile")
        }
        ErrorKind::NotPermittedToCreate => not_permitted(error)?,
        ErrorKind::AccessLevelTooHigh => {
            "lower `role` in the profile, or act with the token of somebody who has that role".to_owned()
        }
        ErrorKind::LimitReached => limit_reached(error),
        ErrorKind::MethodNotAllowed => {
            format!(
                "use a personal access token with the scope api, made at {page}, instead of another kind of token"
            )
        }
        ErrorKind::Conflict => "run the command again in a moment".to_owned(),
        ErrorKind::PreconditionFailed => "run the command again: it looks at GitLab anew".to_owned(),
        ErrorKind::Unprocessable => "compare the profile's entry with what GitLab says".to_owned(),
        ErrorKind::RateLimited { retry_after } => match retry_after {
            Some(pause) => format!("run the command again after {} s", pause.as_secs().max(1)),
            None => "run the command again in a minute".to_owned(),
        },
        ErrorKind::ServerError => {
            format!("run the command again later; is {} under maintenance?", call.instance)
        }
        ErrorKind::NotGitLab { .. } => format!(
            "check the address {}: GitLab may live below a path (https://host/gitlab), or a proxy or a login page \
             stands before it",
            call.instance
        ),
        ErrorKind::Redirected { .. } => redirected(&call.subject),
        // webpki's name for it; RFC 5280 lets an authority's certificate sign others, not be a server's.
        ErrorKind::Unreachable { reason } if reason.contains("CaUsedAsEndEntity") => {
            "the server shows the certificate of an authority (CA:TRUE) as its own: give it one that its authority has signed, \
             or a self-signed one made with openssl req -x509 -addext basicConstraints=critical,CA:FALSE, which --ca-file takes"
                .to_owned()
        }
        ErrorKind::Unreachable { reason } if reason.contains("TLS cannot be set up") => {
            "install the system's certificates (the package ca-certificates), or look at the file that --ca-file names"
                .to_owned()
        }
        ErrorKind::Unreachable { reason } if reason.contains("certificate") => {
            "if the instance has a certificate of your own authority, give it with --ca-file FILE (PEM)"
                .to_owned()
        }
        ErrorKind::Unreachable { .. } => {
            "check the address and the network; HTTPS_PROXY and NO_PROXY are honoured".to_owned()
        }
        ErrorKind::OutcomeUnknown { .. } => {
            "run the command again: before it makes anything it looks for what may have been made".to_owned()
        }
        ErrorKind::WrongOrigin { .. } => {
            "set `gitlab` in the profile to the address that GitLab itself uses (its external_url)".to_owned()
        }
        ErrorKind::UnexpectedReply { .. } => return None,
    };
    Some(text)
}

fn insufficient_scope(needed: &[String], page: &str) -> String {
    let wanted = if needed.is_empty() || needed.iter().any(|scope| scope == "api") {
        "api".to_owned()
    } else {
        needed.join(" or ")
    };
    format!("scopes cannot be added to a token: make one with the scope {wanted} at {page}")
}

fn forbidden(subject: &Subject) -> Option<String> {
    let text = match subject {
        Subject::Tokens { owner, .. } => match owner.kind {
            Kind::Group => "access tokens of a group are managed by its Owners",
            Kind::Project => "access tokens of a project are managed by its Maintainers and Owners",
            Kind::Personal => {
                "personal tokens are managed by their user, or by an administrator (with the scope admin_mode where \
                 Admin Mode is on)"
            }
        },
        Subject::Owner { .. } => "ask a maintainer of it to make the token's user a member",
        Subject::Operator | Subject::Itself => return None,
    };
    Some(text.to_owned())
}

fn not_found(subject: &Subject, source: &str) -> String {
    match subject {
        Subject::Owner { kind: Kind::Personal, path } => format!("check the user name `{path}`"),
        Subject::Owner { kind, path } => format!(
            "check the path `{path}` in the profile; GitLab answers the same for a private {kind} that the user of the \
             token from {source} is no member of"
        ),
        Subject::Tokens { owner, .. } => format!(
            "the {} `{}` was there when it was resolved: it was deleted, or the token's user lost access",
            owner.kind, owner.path
        ),
        Subject::Operator | Subject::Itself => {
            "check the address: GitLab may live below a path (https://host/gitlab)".to_owned()
        }
    }
}

fn invalid(subject: &Subject, problems: &[String]) -> Option<String> {
    let Subject::Tokens { owner, .. } = subject else { return None };
    let about = |word: &str| problems.iter().any(|problem| problem.contains(word));
    if about("scopes") {
        let read_user =
            if owner.kind == Kind::Personal { "" } else { "; read_user is for personal tokens only" };
        return Some(format!(
            "this instance does not offer one of the scopes for {} tokens: registry scopes need its registry, virtual \
             registry scopes its dependency proxy{read_user}",
            owner.kind
        ));
    }
    about("expires_at")
        .then(|| "write the expiry as a date such as 2027-06-30, tomorrow at the earliest".to_owned())
}

/// GitLab's sentence is the same for a role that is too low and for a plan without such tokens.
fn not_permitted(error: &GitLabError) -> Option<String> {
    let Subject::Tokens { owner, .. } = error.subject() else { return None };
    let (kind, role) = match owner.kind {
        Kind::Group => ("group", "Owner"),
        Kind::Project => ("project", "Maintainer or Owner"),
        Kind::Personal => return None,
    };
    if is_gitlab_com(error) {
        let (trial, project) = match owner.kind {
            Kind::Group => ("a trial has none", ", a project of a paid group"),
            _ => ("a trial has one", ""),
        };
        return Some(format!(
            "on gitlab.com {kind} access tokens need Premium or Ultimate ({trial}) and the role {role}; what works \
             instead: a service account (Free since 18.11), a personal token{project}"
        ));
    }
    Some(format!(
        "the token's user needs the role {role} in `{}`, and must be a person: tokens of groups and projects cannot \
         create tokens",
        owner.path
    ))
}

fn limit_reached(error: &GitLabError) -> String {
    let trial = if is_gitlab_com(error) { "; a trial on gitlab.com has one per project" } else { "" };
    format!("revoke access tokens that nobody uses any more{trial}")
}

fn redirected(subject: &Subject) -> String {
    match subject {
        Subject::Owner { kind, path } if *kind != Kind::Personal => format!(
            "if the {kind} `{path}` was moved or renamed, write its new path in the profile; else set `gitlab` to the \
             address that GitLab has now"
        ),
        _ => {
            "set `gitlab` in the profile to the address that GitLab has now (https, no login page before it)"
                .to_owned()
        }
    }
}

fn is_gitlab_com(error: &GitLabError) -> bool {
    error.call().instance.origin().host() == "gitlab.com"
}
