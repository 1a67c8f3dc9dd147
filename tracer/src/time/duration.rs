//! Durations in arguments.

use std::time::Duration;

/// The time so long after `begin_ns`, in nanoseconds; `None` if no clock gets there.
#[must_use]
pub fn after(begin_ns: u64, duration: Duration) -> Option<u64> {
    begin_ns.checked_add(u64::try_from(duration.as_nanos()).ok()?)
}

/// Parses a duration with its unit, such as `30s`, `5m` or `1h 30m`; a number alone means seconds.
pub fn parse(text: &str) -> Result<Duration, String> {
    let seconds = || text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let friendly = || {
        let span = text.parse::<jiff::Span>().ok()?;
        let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
        Duration::try_from(duration).ok()
    };
    seconds().or_else(friendly).filter(|duration| !duration.is_zero()).ok_or_else(|| {
        "give a time greater than zero: a number of seconds, or one with its unit, up to days, such as 30s, 5m or 1h 30m".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("2d"), Ok(Duration::from_secs(2 * 86_400)));
        assert_eq!(parse("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "0", "-1s", "s", "1 fortnight", "inf", "nan", "1e300"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
