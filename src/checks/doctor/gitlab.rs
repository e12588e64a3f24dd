//! Checks of the way to GitLab: credential, token, version, clock.

use jiff::tz::TimeZone;

use super::{Asked, Observed, Said};
use crate::error::Kind;

/// How far this machine's clock may be from GitLab's, in seconds.
const SKEW: i64 = 120;
/// How many days before its end the operator's own token is mentioned.
const SOON: i64 = 14;

pub(super) fn credential(observed: &Observed) -> Vec<Said> {
    let each = observed.instances.iter().flat_map(|instance| match &instance.credential {
        Ok(source) => {
            let (own, others): (Vec<_>, Vec<_>) = instance
                .environments
                .iter()
                .cloned()
                .partition(|name| source.own.as_ref().is_none_or(|own| own == name));
            let (address, name, by) = (&instance.address, &source.name, &source.bound_by);
            let served =
                Said::ok(format!("{address}: the token from {name}, bound by {by} (for {})", own.join(", ")));
            let unserved = Said::note(format!(
                "{address}: no token to act with for {}: that takes one of a maintainer's",
                others.join(", ")
            ));
            if others.is_empty() { vec![served] } else { vec![served, unserved] }
        }
        Err(error) => {
            let mut said = Said::of_error(error);
            said.grade = super::Grade::Warning;
            let personal = observed.repository.iter().flat_map(|repository| &repository.personal);
            let own = personal.into_iter().find(|name| instance.environments.contains(name));
            if let Some(name) = own.filter(|_| error.kind() == Kind::NotAllowed) {
                said.mend =
                    Some(format!("provision bootstrap --env {name} makes a token of your own").into());
            }
            said.says = format!("{}: {}", instance.address, said.says);
            vec![said]
        }
    });
    each.collect()
}

/// What `provision trust` remembers for this clone.
pub(super) fn approved(observed: &Observed) -> Vec<Said> {
    match &observed.approvals {
        Err(error) => vec![Said::of_error(error)],
        Ok(origins) if origins.is_empty() => Vec::new(),
        Ok(origins) => {
            vec![Said::note(format!("you have approved {} for this repository", origins.join(", ")))]
        }
    }
}

/// The troubles that people have with a token: invalid, expired, a scope that is missing, no way to GitLab. The error says
/// which one it is.
pub(super) fn token(observed: &Observed) -> Vec<Said> {
    let each = observed.instances.iter().filter(|instance| instance.credential.is_ok());
    each.flat_map(|instance| match &instance.asked {
        None => vec![Said::skipped(format!("{} was not asked (--offline)", instance.address))],
        Some(Asked { token: Err(error), .. }) => vec![Said::of_error(error)],
        Some(Asked { token: Ok(operator), time, .. }) => {
            let today = time.unwrap_or(observed.now).to_zoned(TimeZone::UTC).date();
            let mut said = Vec::new();
            let name = &operator.name;
            let mints = instance.credential.as_ref().is_ok_and(|source| source.own.is_none());
            if mints && instance.needs_api && !operator.scopes.contains("api") {
                let has: Vec<&str> = operator.scopes.iter().map(String::as_str).collect();
                said.push(Said::wrong(
                    format!("the token \"{name}\" has {}, and minting takes api", has.join(", ")),
                    format!(
                        "make one with the scope api: {}/-/user_settings/personal_access_tokens",
                        instance.address
                    ),
                ));
            }
            said.push(match operator.expires {
                Some(end) if end <= today.saturating_add(jiff::Span::new().days(SOON)) => Said::warning(
                    format!("the token \"{name}\" expires on {end}"),
                    if mints {
                        format!("make another: {}/-/user_settings/personal_access_tokens", instance.address)
                    } else {
                        "provision bootstrap".to_owned()
                    },
                ),
                Some(end) => Said::ok(format!("{}: \"{name}\" works until {end}", instance.address)),
                None => Said::ok(format!("{}: \"{name}\" works and never expires", instance.address)),
            });
            said
        }
    })
    .collect()
}

/// The way to a GitLab for which there is no token: what is wrong with it, apart from that.
pub(super) fn reached(observed: &Observed) -> Vec<Said> {
    let each = observed.instances.iter().filter(|instance| instance.credential.is_err());
    let said = each.map(|instance| match &instance.reached {
        None => Said::skipped(format!("{} was not asked", instance.address)),
        Some(Ok(_)) => Said::ok(format!("{} answers", instance.address)),
        Some(Err(error)) => Said::of_error(error),
    });
    said.collect()
}

pub(super) fn version(observed: &Observed) -> Vec<Said> {
    let each = observed.instances.iter().filter_map(|instance| {
        let asked = instance.asked.as_ref().filter(|asked| asked.token.is_ok())?;
        let address = &instance.address;
        Some(match asked.version {
            None => Said::note(format!("{address} does not say its version to this token (that takes read_user or api)")),
            Some((major, minor)) if (major, minor) < (17, 7) => Said::warning(
                format!("{address} is GitLab {major}.{minor}: tokens have no description to find them by after a crash"),
                "GitLab 17.7 and later have; until then a lost reply is reported, and withdrawn by hand",
            ),
            Some((major, minor)) if (major, minor) < (18, 9) => {
                Said::ok(format!("{address} is GitLab {major}.{minor}: the form of personal tokens is the old one"))
            }
            Some((major, minor)) => Said::ok(format!("{address} is GitLab {major}.{minor}: all that provision uses is there")),
        })
    });
    each.collect()
}

pub(super) fn clock(observed: &Observed) -> Vec<Said> {
    let each = observed.instances.iter().filter_map(|instance| {
        let answered = instance.reached.as_ref().and_then(|reached| reached.as_ref().ok().copied());
        let theirs = instance.asked.as_ref().map(|asked| asked.time).or(answered)??;
        let skew = observed.now.duration_since(theirs).as_secs();
        let address = &instance.address;
        Some(if skew.abs() > SKEW {
            let way = if skew > 0 { "ahead of" } else { "behind" };
            Said::warning(
                format!("this machine's clock is {} s {way} that of {address}", skew.abs()),
                "set the clock; expiry is decided by GitLab's, but dates of commits and files are this machine's",
            )
        } else {
            Said::ok(format!("this machine and {address} agree about the time"))
        })
    });
    each.collect()
}
