//! The emulator's time: it can start anywhere, stand still, and be moved.
#![expect(clippy::disallowed_methods, reason = "the embedded GitLab is a server with a clock of its own")]

use std::time::Instant;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A clock that stands still or runs on from a given time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    at: Timestamp,
    running_since: Option<Instant>,
}

impl Clock {
    /// Runs on from `start`; without one, from the machine's time.
    pub(super) fn running(start: Option<Timestamp>) -> Self {
        Self { at: start.unwrap_or_else(Timestamp::now), running_since: Some(Instant::now()) }
    }

    /// Stands at `at` until it is moved.
    pub(super) fn frozen(at: Timestamp) -> Self {
        Self { at, running_since: None }
    }

    pub(super) fn now(&self) -> Timestamp {
        let passed = self.running_since.map_or(SignedDuration::ZERO, |since| {
            SignedDuration::try_from(since.elapsed()).unwrap_or(SignedDuration::ZERO)
        });
        self.at.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Moves to `time`; a running clock runs on from there.
    pub(super) fn set(&mut self, time: Timestamp) {
        self.at = time;
        self.running_since = self.running_since.map(|_| Instant::now());
    }

    /// Moves forward, or back where `by` is negative.
    pub(super) fn advance(&mut self, by: SignedDuration) {
        self.set(self.now().checked_add(by).unwrap_or(Timestamp::MAX));
    }
}

/// The day in UTC: the only calendar that GitLab's expiry knows.
pub(super) fn day(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// ISO 8601 with milliseconds and `Z`, as GitLab's API writes times.
pub(super) fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A date for HTTP headers (RFC 9110 §5.6.7).
pub(super) fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A span of time as a person writes it, in whole days or smaller units: `10d`, `36h`, `50ms`.
pub(super) fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let span: jiff::Span =
        text.parse().map_err(|_| format!("`{text}` is not a duration such as 10d, 2h or 50ms"))?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("`{text}` has months or years, whose length varies; give days"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let start: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let mut clock = Clock::frozen(start);
        assert_eq!(clock.now(), start);
        clock.advance(parse_duration("10d").unwrap());
        assert_eq!(iso(clock.now()), "2026-12-01T08:00:00.000Z");
        clock.advance(parse_duration("-1h").unwrap());
        assert_eq!(http_date(clock.now()), "Tue, 01 Dec 2026 07:00:00 GMT");
    }

    #[test]
    fn durations_without_a_fixed_length_are_refused() {
        assert!(parse_duration("1mo").is_err());
        assert!(parse_duration("soon").is_err());
    }
}
