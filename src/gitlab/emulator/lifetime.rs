//! When tokens end (`app/models/personal_access_token.rb` and the create and rotate services of GitLab).

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};

use super::clock::day;
use super::state::Settings;

/// GitLab's own limit in days.
const MAX_LIFETIME: u16 = 365;
/// What a rotated token gets when nobody asks for more.
const ROTATED: i64 = 7;

fn in_days(now: Timestamp, days: i64) -> Date {
    day(now).saturating_add(days.days())
}

/// The last day that is accepted.
fn latest(settings: &Settings, now: Timestamp) -> Date {
    in_days(now, i64::from(settings.max_lifetime.unwrap_or(MAX_LIFETIME)))
}

/// The expiry of a new token that asked for `wanted`. A day in the past is accepted: the token is born expired.
///
/// # Errors
/// The model's text where the day is too far; the day that it names is itself still accepted.
pub(super) fn of_new(
    wanted: Option<Date>,
    settings: &Settings,
    now: Timestamp,
) -> Result<Option<Date>, String> {
    let latest = latest(settings, now);
    match wanted {
        Some(date) if date > latest => Err(format!("Expires at must be before {latest}")),
        Some(date) => Ok(Some(date)),
        None if settings.require_expiry || settings.max_lifetime.is_some() => Ok(Some(latest)),
        None => Ok(None),
    }
}

/// The expiry of a rotated token that asked for `wanted`: by default one week where expiry is enforced.
///
/// # Errors
/// As for a new token.
pub(super) fn of_rotated(
    wanted: Option<Date>,
    settings: &Settings,
    now: Timestamp,
) -> Result<Option<Date>, String> {
    let default = settings.require_expiry.then(|| in_days(now, ROTATED));
    match wanted.or(default) {
        None => Ok(None),
        date => of_new(date, settings, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T23:59:59Z".parse().unwrap()
    }

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn the_limit_is_365_days_and_itself_accepted() {
        let settings = Settings::default();
        assert_eq!(of_new(Some(date("2027-11-21")), &settings, now()), Ok(Some(date("2027-11-21"))));
        let refused = of_new(Some(date("2027-11-22")), &settings, now());
        assert_eq!(refused, Err("Expires at must be before 2027-11-21".to_owned()));
    }

    #[test]
    fn without_a_wish_the_limit_counts_where_expiry_is_enforced() {
        let mut settings = Settings::default();
        assert_eq!(of_new(None, &settings, now()), Ok(Some(date("2027-11-21"))));
        settings.require_expiry = false;
        assert_eq!(of_new(None, &settings, now()), Ok(None));
        settings.max_lifetime = Some(30);
        assert_eq!(of_new(None, &settings, now()), Ok(Some(date("2026-12-21"))));
    }

    #[test]
    fn rotation_gives_a_week_by_default() {
        let mut settings = Settings::default();
        assert_eq!(of_rotated(None, &settings, now()), Ok(Some(date("2026-11-28"))));
        settings.require_expiry = false;
        assert_eq!(of_rotated(None, &settings, now()), Ok(None));
    }
}
