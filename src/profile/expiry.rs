//! Days on which tokens end, and when they are due. Pure: today is an argument, always the UTC date.
//!
//! GitLab lets a token end at 00:00 UTC on its `expires_at`, so that day is the first on which it no longer works
//! (`app/models/personal_access_token.rb`). A duration of N days from today therefore lives up to N days, less the
//! part of today that has passed, and the earliest date that makes a working token is tomorrow.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, ToSpan, Unit};

use super::{Expires, Token};

/// The longest life, in days, that GitLab allows unless an administrator changed it
/// (`max_personal_access_token_lifetime` is Ultimate; the 400-day flag is off by default, and never raises the
/// default of group and project tokens).
pub const MAX_LIFE_DAYS: i32 = 365;

/// What to send as `expires_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// No end: `expires_at` stays empty, and an instance that enforces expiry answers with a date of its own.
    Never,
    /// The first day (UTC) on which the token no longer works.
    On(Date),
}

impl Asked {
    /// The date to send; `None` for no end.
    #[must_use]
    pub fn date(self) -> Option<Date> {
        match self {
            Self::Never => None,
            Self::On(date) => Some(date),
        }
    }
}

/// Why no token can be minted with this expiry today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// A token ends at 00:00 UTC of its date, so today's date makes a dead one.
    #[error(
        "`expires: {date}` is over: a token ends at 00:00 UTC of that day, so the earliest date is {earliest}"
    )]
    TooSoon {
        /// The date that was asked for.
        date: Date,
        /// Tomorrow.
        earliest: Date,
    },
    /// The date lies beyond the calendar.
    #[error("`expires` is too far in the future")]
    TooFar,
}

/// Why a text is not an expiry or a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpiryError {
    /// Neither a word, a duration nor a date.
    #[error(
        "`{0}` is not an expiry; write max, never, a duration such as 90d or P1Y, or a date such as 2027-06-30"
    )]
    NotAnExpiry(String),
    /// Not a duration at all.
    #[error("`{0}` is not a duration; write one such as 30d, 24h or P1M")]
    NotADuration(String),
    /// Hours or smaller units where GitLab counts days.
    #[error("`{0}` has hours or smaller units, but GitLab counts whole days; write one such as 30d")]
    NotWholeDays(String),
    /// Months or years where the length must not depend on the calendar.
    #[error("`{0}` has months or years, whose length varies; write days or hours such as 7d or 24h")]
    NotFixed(String),
    /// Zero or negative.
    #[error("`{0}` is too short; the least is one day")]
    TooShort(String),
    /// Negative.
    #[error("`{0}` is negative")]
    Negative(String),
    /// Longer than the calendar.
    #[error("`{0}` is too long")]
    TooLong(String),
}

impl FromStr for Expires {
    type Err = ExpiryError;

    /// Reads `max`, `never`, a duration of whole days (`90d`, `P1Y`) or a date (`2027-06-30`).
    fn from_str(text: &str) -> Result<Self, ExpiryError> {
        match text {
            "max" => return Ok(Self::Max),
            "never" => return Ok(Self::Never),
            _ => {}
        }
        if looks_like_a_date(text) {
            let date = text.parse().map_err(|_| ExpiryError::NotAnExpiry(text.to_owned()))?;
            return Ok(Self::On(date));
        }
        match days(text) {
            Ok(span) => Ok(Self::After(span)),
            Err(ExpiryError::NotADuration(text)) => Err(ExpiryError::NotAnExpiry(text)),
            Err(error) => Err(error),
        }
    }
}

impl Expires {
    /// What to ask GitLab for on the day `today` (UTC).
    ///
    /// # Errors
    /// A date that is not at least tomorrow, or one beyond the calendar.
    pub fn ask(self, today: Date) -> Result<Asked, AskError> {
        let asked = match self {
            Self::Never => return Ok(Asked::Never),
            Self::Max => today.checked_add(MAX_LIFE_DAYS.days()),
            Self::After(span) => after(today, span),
            Self::On(date) => Ok(date),
        };
        let date = asked.map_err(|_| AskError::TooFar)?;
        let earliest = today.tomorrow().map_err(|_| AskError::TooFar)?;
        if date < earliest { Err(AskError::TooSoon { date, earliest }) } else { Ok(Asked::On(date)) }
    }
}

impl Token {
    /// The day (UTC) from which the token counts as due for renewal.
    ///
    /// That is `renew_before` ahead of its end, but never more than a third of its life ahead, in whole days; a
    /// token that lives longer than a day is due at least one day before its end.
    #[must_use]
    pub fn due_on(&self, created: Date, expires: Date) -> Date {
        let life = created.until((Unit::Day, expires)).map_or(0, |span| span.get_days());
        let most = (life / 3).max(i32::from(life > 1));
        let wanted = expires.checked_sub(self.renew_before).unwrap_or(created);
        let earliest = expires.checked_sub(most.days()).unwrap_or(expires);
        wanted.max(earliest)
    }
}

/// The moment from which a superseded token may be retired, when its successor was upstream at `since`: `overlap` later. A
/// day is 24 hours.
#[must_use]
pub fn overlap_ends(since: Timestamp, overlap: Span) -> Timestamp {
    since.to_zoned(TimeZone::UTC).checked_add(overlap).map_or(Timestamp::MAX, |end| end.timestamp())
}

/// Reads a duration of whole days, at least one: `renew_before`, and `expires` where it is a duration.
///
/// # Errors
/// Not a duration, units below a day, or less than one day.
pub fn days(text: &str) -> Result<Span, ExpiryError> {
    let span = duration(text)?;
    let below_a_day = span.get_hours() != 0
        || span.get_minutes() != 0
        || span.get_seconds() != 0
        || span.get_milliseconds() != 0
        || span.get_microseconds() != 0
        || span.get_nanoseconds() != 0;
    if below_a_day {
        return Err(ExpiryError::NotWholeDays(text.to_owned()));
    }
    if span.is_negative() || span.is_zero() {
        return Err(ExpiryError::TooShort(text.to_owned()));
    }
    Ok(span)
}

/// Reads a duration whose length does not depend on the calendar, zero included: `overlap`. A day is 24 hours.
///
/// # Errors
/// Not a duration, negative, or with months or years.
pub fn fixed(text: &str) -> Result<Span, ExpiryError> {
    let span = duration(text)?;
    if span.is_negative() {
        return Err(ExpiryError::Negative(text.to_owned()));
    }
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err(ExpiryError::NotFixed(text.to_owned()));
    }
    Ok(span)
}

/// An ISO 8601 duration or jiff's friendly form, short enough to be added to a date of this century.
fn duration(text: &str) -> Result<Span, ExpiryError> {
    let span: Span = text.parse().map_err(|_| ExpiryError::NotADuration(text.to_owned()))?;
    let reference = SpanRelativeTo::from(jiff::civil::date(2000, 1, 1));
    match span.total((Unit::Day, reference)) {
        Ok(days) if days.abs() < 1_000_000.0 => Ok(span),
        _ => Err(ExpiryError::TooLong(text.to_owned())),
    }
}

/// A year with a leap day in it is cut to 365 days: that is GitLab's longest life, and `P1Y` must not be refused in
/// one year out of four.
fn after(today: Date, span: Span) -> Result<Date, jiff::Error> {
    let end = today.checked_add(span)?;
    let counts_by_calendar = span.get_years() != 0 || span.get_months() != 0;
    let life = today.until((Unit::Day, end))?.get_days();
    if counts_by_calendar && life == MAX_LIFE_DAYS + 1 { end.yesterday() } else { Ok(end) }
}

fn looks_like_a_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
#[path = "expiry_tests.rs"]
mod tests;
