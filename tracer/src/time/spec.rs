//! Moments of a recording in arguments.

use std::{str::FromStr, time::Duration};

use jiff::{Timestamp, ToSpan as _, civil, tz::TimeZone};

use crate::time::duration;

/// A moment as the user gives it.
///
/// ```
/// use tracer::time::spec::TimeSpec;
/// use jiff::{Timestamp, tz::TimeZone};
///
/// let span: (Timestamp, Timestamp) = ("2026-01-31T23:50:00Z".parse()?, "2026-02-01T00:20:00Z".parse()?);
/// let at = |text: &str| text.parse::<TimeSpec>().map(|moment| moment.within(span, &TimeZone::UTC).to_string());
/// assert_eq!(at("-5m")?, "2026-02-01T00:15:00Z");
/// assert_eq!(at("+30s")?, "2026-01-31T23:50:30Z");
/// assert_eq!(at("00:10")?, "2026-02-01T00:10:00Z");
/// assert_eq!(at("2026-02-01T01:00:00+01:00")?, "2026-02-01T00:00:00Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSpec {
    /// On the time line.
    At(Timestamp),
    /// A date and a time of day in the user's time zone.
    Local(civil::DateTime),
    /// A time of day in the user's time zone.
    TimeOfDay(civil::Time),
    /// So long after the beginning.
    AfterBeginning(Duration),
    /// So long before the end.
    BeforeEnd(Duration),
}

/// The text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "give a time such as 2026-01-31T12:00:00Z, 2026-01-31 12:00, 12:00:30, -5m (before the end) or +30s (after the beginning)"
)]
pub struct Error;

impl FromStr for TimeSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let after = |rest: &str| match rest.trim() {
            // Zero is no duration, but a moment.
            "0" | "0s" => Ok(Duration::ZERO),
            rest => duration::parse(rest).map_err(|_| Error),
        };
        if let Some(rest) = text.strip_prefix('-') {
            return after(rest).map(Self::BeforeEnd);
        }
        if let Some(rest) = text.strip_prefix('+') {
            return after(rest).map(Self::AfterBeginning);
        }
        let is_date = text.get(4..5) == Some("-");
        match (is_date, text.parse::<Timestamp>(), text.parse::<civil::DateTime>()) {
            (true, Ok(timestamp), _) => Ok(Self::At(timestamp)),
            (true, _, Ok(local)) => Ok(Self::Local(local)),
            (true, ..) => Err(Error),
            // As `--time unix` writes it.
            _ if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => unix(text).ok_or(Error),
            _ => text.parse().map(Self::TimeOfDay).map_err(|_| Error),
        }
    }
}

/// Parses seconds since 1970.
fn unix(text: &str) -> Option<TimeSpec> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    let nanoseconds = digits(fraction).then(|| format!("{fraction:0<9}"))?.parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanoseconds).ok().map(TimeSpec::At)
}

impl TimeSpec {
    /// This moment in a recording with this beginning and end. A time of day is that of the first day on which it is
    /// in the recording; if it is on none, the one that is nearest to it.
    #[must_use]
    pub fn within(self, (begin, end): (Timestamp, Timestamp), zone: &TimeZone) -> Timestamp {
        match self {
            Self::At(timestamp) => timestamp,
            Self::Local(local) => zone.to_timestamp(local).unwrap_or(begin),
            Self::AfterBeginning(duration) => {
                begin.saturating_add(signed(duration)).unwrap_or(Timestamp::MAX)
            }
            Self::BeforeEnd(duration) => end.saturating_sub(signed(duration)).unwrap_or(Timestamp::MIN),
            Self::TimeOfDay(time) => of_day(time, (begin, end), zone),
        }
    }
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

fn of_day(time: civil::Time, (begin, end): (Timestamp, Timestamp), zone: &TimeZone) -> Timestamp {
    let day = zone.to_datetime(begin).date();
    let on = |day: civil::Date| zone.to_timestamp(day.to_datetime(time)).ok();
    let days = [day.checked_sub(1.day()).ok(), Some(day), day.checked_add(1.day()).ok()];
    let distance = |at: &Timestamp| {
        let outside = if *at < begin { begin.duration_since(*at) } else { at.duration_since(end) };
        outside.max(jiff::SignedDuration::ZERO)
    };
    // The first of those that are equally near.
    days.into_iter().flatten().filter_map(on).min_by_key(distance).unwrap_or(begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_those_of_the_recording() {
        let span = ("2026-01-31T23:00:00Z".parse().unwrap(), "2026-02-01T01:00:00Z".parse().unwrap());
        let at = |text: &str| text.parse::<TimeSpec>().unwrap().within(span, &TimeZone::UTC).to_string();
        assert_eq!(at("23:30"), "2026-01-31T23:30:00Z");
        assert_eq!(at("00:30:00.5"), "2026-02-01T00:30:00.5Z");
        assert_eq!(at("22:00"), "2026-01-31T22:00:00Z", "before it begins");
        assert_eq!(at("02:00"), "2026-02-01T02:00:00Z", "after its end");
        let east = TimeZone::fixed(jiff::tz::offset(2));
        let local = "01:30".parse::<TimeSpec>().unwrap().within(span, &east);
        assert_eq!(local.to_string(), "2026-01-31T23:30:00Z");
        let local = "2026-02-01 01:30".parse::<TimeSpec>().unwrap().within(span, &east);
        assert_eq!(local.to_string(), "2026-01-31T23:30:00Z");
    }

    #[test]
    fn all_forms_are_understood() {
        let parse = |text: &str| text.parse::<TimeSpec>();
        assert_eq!(parse("-5m"), Ok(TimeSpec::BeforeEnd(Duration::from_secs(300))));
        assert_eq!(parse("+1h 30m"), Ok(TimeSpec::AfterBeginning(Duration::from_secs(5400))));
        assert_eq!(parse("+0"), Ok(TimeSpec::AfterBeginning(Duration::ZERO)));
        assert_eq!(parse("0"), Ok(TimeSpec::At(Timestamp::UNIX_EPOCH)));
        let expected: Timestamp = "2026-01-01T00:00:00.25Z".parse().unwrap();
        assert_eq!(parse("1767225600.25"), Ok(TimeSpec::At(expected)));
        for text in ["", "-", "+x", "yesterday", "25:00", "2026-13-01T00:00:00Z", "1.2.3", "-5 fortnights"] {
            assert_eq!(parse(text), Err(Error), "{text}");
        }
    }
}
