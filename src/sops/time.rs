//! Points in time as Go's `time` package reads and writes them: the text is checked and put into its one form, no
//! arithmetic. Source: Go's time/format.go (`Parse`, `MarshalText`) and go-yaml v3's resolve.go (`parseTimestamp`).

use std::fmt::Write as _;

/// A civil time with its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
    /// Minutes east of UTC.
    offset: i32,
}

/// Reads a text from left to right.
struct Cursor<'t>(&'t str);

impl Cursor<'_> {
    fn literal(&mut self, wanted: char) -> Option<()> {
        self.0 = self.0.strip_prefix(wanted)?;
        Some(())
    }

    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let digits = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if digits < least {
            return None;
        }
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        number.parse().ok()
    }

    /// A fraction of a second; digits beyond nanoseconds are dropped.
    fn fraction(&mut self) -> u32 {
        let Some(rest) = self.0.strip_prefix(['.', ',']) else { return 0 };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return 0;
        }
        self.0 = &rest[digits..];
        let kept = &rest[..digits.min(9)];
        format!("{kept:0<9}").parse().unwrap_or(0)
    }

    /// `Z` or `+02:00`.
    fn offset(&mut self) -> Option<i32> {
        if self.literal('Z').is_some() {
            return Some(0);
        }
        let sign = match self.0.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        self.0 = &self.0[1..];
        let hours = self.number(2, 2)?;
        self.literal(':')?;
        let minutes = self.number(2, 2)?;
        let total = i32::try_from(hours * 60 + minutes).ok()?;
        (hours <= 24 && minutes <= 60).then_some(sign * total)
    }
}

impl Time {
    /// RFC 3339 with full fields, as `lastmodified` and `type:time` have it.
    pub(super) fn parse_rfc3339(text: &str) -> Option<Self> {
        Self::parse(text, 2, &['T'], true)
    }

    /// A plain YAML scalar that go-yaml takes for a timestamp.
    pub(super) fn parse_yaml(text: &str) -> Option<Self> {
        let year_digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if year_digits != 4 {
            return None;
        }
        Self::parse(text, 1, &['T', 't'], true)
            .or_else(|| Self::parse(text, 1, &[' '], false))
            .or_else(|| Self::parse(text, 1, &[], false))
    }

    /// `least` digits at least in a field; `separators` before the time of day, none for a date alone.
    fn parse(text: &str, least: usize, separators: &[char], zone: bool) -> Option<Self> {
        let mut at = Cursor(text);
        let year = at.number(4, 4)?;
        at.literal('-')?;
        let month = at.number(least, 2)?;
        at.literal('-')?;
        let day = at.number(least, 2)?;
        let mut time = Self { year, month, day, hour: 0, minute: 0, second: 0, nanosecond: 0, offset: 0 };
        if !separators.is_empty() {
            separators.iter().find_map(|separator| at.literal(*separator))?;
            time.hour = at.number(least, 2)?;
            at.literal(':')?;
            time.minute = at.number(least, 2)?;
            at.literal(':')?;
            time.second = at.number(least, 2)?;
            time.nanosecond = at.fraction();
            if zone {
                time.offset = at.offset()?;
            }
        }
        (at.0.is_empty() && time.is_real()).then_some(time)
    }

    fn is_real(&self) -> bool {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return false,
        };
        (1..=days).contains(&self.day) && self.hour < 24 && self.minute < 60 && self.second < 60
    }

    /// RFC 3339 in seconds: what the MAC is bound to.
    pub(super) fn seconds(&self) -> String {
        let Self { year, month, day, hour, minute, second, .. } = self;
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        self.write_offset(&mut text);
        text
    }

    /// RFC 3339 with as many digits of a second as needed; `None` where Go refuses (an offset of a day or more).
    pub(super) fn canonical(&self) -> Option<String> {
        if self.offset.abs() >= 24 * 60 {
            return None;
        }
        let Self { year, month, day, hour, minute, second, nanosecond, .. } = self;
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if *nanosecond > 0 {
            let fraction = format!("{nanosecond:09}");
            text.push('.');
            text.push_str(fraction.trim_end_matches('0'));
        }
        self.write_offset(&mut text);
        Some(text)
    }

    fn write_offset(&self, text: &mut String) {
        if self.offset == 0 {
            text.push('Z');
            return;
        }
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs();
        // Writing to a String cannot fail.
        let _ = write!(text, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_timestamps_are_put_into_one_form() {
        let rows = [
            ("2001-12-14", Some("2001-12-14T00:00:00Z")),
            ("2001-1-4", Some("2001-01-04T00:00:00Z")),
            ("2001-12-14t21:59:43.10-05:00", Some("2001-12-14T21:59:43.1-05:00")),
            ("2001-12-14 21:59:43", Some("2001-12-14T21:59:43Z")),
            ("2001-1-1 1:1:1,5", Some("2001-01-01T01:01:01.5Z")),
            ("2001-01-01T00:00:00+00:60", Some("2001-01-01T00:00:00+01:00")),
            ("2001-01-01T00:00:00-00:00", Some("2001-01-01T00:00:00Z")),
            ("2000-02-29", Some("2000-02-29T00:00:00Z")),
            ("2001-02-29", None),
            ("2001-13-01", None),
            ("2001-12-14 21:59:43.10 -5", None),
            ("2001-12-14T21:59:43", None),
            ("12001-01-01", None),
            ("2001-01-01x", None),
        ];
        for (text, wanted) in rows {
            assert_eq!(Time::parse_yaml(text).and_then(|time| time.canonical()).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn an_offset_of_a_day_has_no_canonical_form() {
        assert!(Time::parse_yaml("2001-01-01T00:00:00+24:00").unwrap().canonical().is_none());
    }

    #[test]
    fn the_mac_is_bound_to_whole_seconds() {
        let time = Time::parse_rfc3339("2026-11-21T09:29:36.999+02:00").unwrap();
        assert_eq!(time.seconds(), "2026-11-21T09:29:36+02:00");
        assert_eq!(
            Time::parse_rfc3339("2026-11-21T09:29:36+00:00").unwrap().seconds(),
            "2026-11-21T09:29:36Z"
        );
        assert!(Time::parse_rfc3339("2026-11-21").is_none());
        assert!(Time::parse_rfc3339("2026-1-21T09:29:36Z").is_none());
    }
}
