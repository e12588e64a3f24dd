use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::profile::Strategy as Replacing;
use crate::token::{Kind, Scopes};

fn expires(text: &str) -> Expires {
    text.parse().unwrap()
}

fn token(renew_before: &str, overlap: &str) -> Token {
    Token {
        key: "backstage".to_owned(),
        kind: Kind::Personal,
        owner: None,
        name: "Backstage".to_owned(),
        role: None,
        scopes: Scopes::new(),
        expires: Expires::Max,
        expires_as_written: "max".to_owned(),
        renew_before: days(renew_before).unwrap(),
        overlap: fixed(overlap).unwrap(),
        moved_from: None,
        strategy: Replacing::Replace,
    }
}

#[test]
fn max_asks_for_365_days_and_never_for_none() {
    let today = date(2026, 11, 21);
    assert_eq!(expires("max").ask(today).unwrap(), Asked::On(date(2027, 11, 21)));
    assert_eq!(expires("max").ask(date(2027, 11, 21)).unwrap(), Asked::On(date(2028, 11, 20)));
    assert_eq!(expires("never").ask(today).unwrap().date(), None);
}

#[test]
fn durations_count_from_today_and_months_follow_the_calendar() {
    let today = date(2026, 1, 31);
    assert_eq!(expires("90d").ask(today).unwrap().date(), Some(date(2026, 5, 1)));
    assert_eq!(expires("P1Y").ask(today).unwrap().date(), Some(date(2027, 1, 31)));
    assert_eq!(expires("P1M").ask(today).unwrap().date(), Some(date(2026, 2, 28)));
    assert_eq!(expires("P2W").ask(today).unwrap().date(), Some(date(2026, 2, 14)));
    assert_eq!(expires("1d").ask(today).unwrap().date(), Some(date(2026, 2, 1)));
}

#[test]
fn a_year_with_a_leap_day_is_not_longer_than_gitlab_allows() {
    let today = date(2027, 11, 21);
    for text in ["P1Y", "1y", "P12M"] {
        assert_eq!(expires(text).ask(today).unwrap(), expires("max").ask(today).unwrap(), "{text}");
    }
    assert_eq!(expires("366d").ask(today).unwrap().date(), Some(date(2028, 11, 21)), "days are as written");
    assert_eq!(expires("P2Y").ask(today).unwrap().date(), Some(date(2029, 11, 21)));
}

#[test]
fn a_date_is_asked_as_it_stands_and_must_be_tomorrow_at_least() {
    let asked = expires("2027-06-30");
    assert_eq!(asked.ask(date(2027, 6, 29)).unwrap().date(), Some(date(2027, 6, 30)));
    let error = asked.ask(date(2027, 6, 30)).unwrap_err();
    assert_eq!(error, AskError::TooSoon { date: date(2027, 6, 30), earliest: date(2027, 7, 1) });
    assert_eq!(
        error.to_string(),
        "`expires: 2027-06-30` is over: a token ends at 00:00 UTC of that day, so the earliest date is 2027-07-01"
    );
}

#[test]
fn the_end_of_the_calendar_is_an_error_and_no_panic() {
    assert_eq!(expires("max").ask(Date::MAX), Err(AskError::TooFar));
    assert_eq!(expires("2027-06-30").ask(Date::MAX), Err(AskError::TooFar));
}

#[test]
fn texts_that_are_no_expiry_are_refused_with_the_reason() {
    let message = |text: &str| text.parse::<Expires>().unwrap_err().to_string();
    insta::assert_snapshot!(
        ["soon", "2027-02-30", "24h", "P1DT2H", "0d", "-3d", "", "365", "P99999999D", "Max"].map(message).join("\n"),
        @"
        `soon` is not an expiry; write max, never, a duration such as 90d or P1Y, or a date such as 2027-06-30
        `2027-02-30` is not an expiry; write max, never, a duration such as 90d or P1Y, or a date such as 2027-06-30
        `24h` has hours or smaller units, but GitLab counts whole days; write one such as 30d
        `P1DT2H` has hours or smaller units, but GitLab counts whole days; write one such as 30d
        `0d` is too short; the least is one day
        `-3d` is too short; the least is one day
        `` is not an expiry; write max, never, a duration such as 90d or P1Y, or a date such as 2027-06-30
        `365` is not an expiry; write max, never, a duration such as 90d or P1Y, or a date such as 2027-06-30
        `P99999999D` is not an expiry; write max, never, a duration such as 90d or P1Y, or a date such as 2027-06-30
        `Max` is not an expiry; write max, never, a duration such as 90d or P1Y, or a date such as 2027-06-30
        "
    );
}

#[test]
fn renew_before_is_whole_days_and_overlap_is_a_fixed_length() {
    assert_eq!(days("24h").unwrap_err(), ExpiryError::NotWholeDays("24h".to_owned()));
    assert_eq!(days("0d").unwrap_err(), ExpiryError::TooShort("0d".to_owned()));
    assert_eq!(fixed("1mo").unwrap_err(), ExpiryError::NotFixed("1mo".to_owned()));
    assert_eq!(fixed("-1h").unwrap_err(), ExpiryError::Negative("-1h".to_owned()));
    assert!(fixed("0s").unwrap().is_zero());
}

#[test]
fn a_token_is_due_renew_before_ahead_of_its_end() {
    let due = token("30d", "24h").due_on(date(2026, 11, 21), date(2027, 11, 21));
    assert_eq!(due, date(2027, 10, 22));
}

#[test]
fn renew_before_is_never_more_than_a_third_of_the_life() {
    let token = token("30d", "24h");
    let born = date(2026, 11, 1);
    assert_eq!(token.due_on(born, date(2026, 11, 10)), date(2026, 11, 7));
    assert_eq!(token.due_on(born, date(2026, 11, 3)), date(2026, 11, 2), "two days: one before the end");
    assert_eq!(token.due_on(born, date(2026, 11, 2)), date(2026, 11, 2), "one day: never due when born");
}

#[test]
fn the_overlap_ends_that_much_later() {
    let since: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let ends = |since, overlap| overlap_ends(since, fixed(overlap).unwrap());
    assert_eq!(ends(since, "24h").to_string(), "2026-11-22T10:00:00Z");
    assert_eq!(ends(since, "P1W").to_string(), "2026-11-28T10:00:00Z");
    assert_eq!(ends(since, "0s"), since);
    assert_eq!(ends(Timestamp::MAX, "1s"), Timestamp::MAX);
}

proptest! {
    #[test]
    fn a_token_is_never_due_on_the_day_it_is_born(renew in 1i64..2000, life in 1i64..2000, start in 0i64..20000) {
        let born = date(2000, 1, 1).checked_add(start.days()).unwrap();
        let ends = born.checked_add(life.days()).unwrap();
        let due = token(&format!("{renew}d"), "0s").due_on(born, ends);
        prop_assert!(due > born && due <= ends);
        prop_assert!(life == 1 || due < ends);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in ".{0,20}") {
        if let Ok(expires) = text.parse::<Expires>() {
            let _ = expires.ask(date(2026, 11, 21));
        }
    }
}
