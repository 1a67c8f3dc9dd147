//! Times of day as text. The text of a second is cached, because most lines are from the same second as the
//! line before.

use jiff::{Timestamp, tz::TimeZone};

use crate::text::{line::Line, number::push_nine};

/// Formats times of day, with a cache of recent seconds. It holds several, because the line of a
/// connection's end also has the time of its beginning.
pub struct Seconds {
    zone: TimeZone,
    pattern: &'static str,
    cache: [CachedSecond; 16],
}

/// The text of a second, padded: see [`Line::push_first`].
#[derive(Clone, Copy)]
struct CachedSecond {
    second: i64,
    bytes: [u8; 32],
    len: usize,
}

impl Seconds {
    /// Formats in this time zone, with a pattern as for `strftime`.
    #[must_use]
    pub fn new(zone: TimeZone, pattern: &'static str) -> Self {
        Self { zone, pattern, cache: [CachedSecond { second: i64::MIN, bytes: [0; 32], len: 0 }; 16] }
    }

    /// Formats as RFC 3339 in UTC, for [`Seconds::push_rfc3339`].
    #[must_use]
    pub fn rfc3339() -> Self {
        Self::new(TimeZone::UTC, "%Y-%m-%dT%H:%M:%S")
    }

    /// Appends the second of a time in nanoseconds since 1970. Also returns the nanoseconds after that
    /// second.
    pub fn push<'a>(&mut self, line: Line<'a>, wall_ns: i64) -> (Line<'a>, u64) {
        let second = wall_ns.div_euclid(1_000_000_000);
        let rest_ns = wall_ns.rem_euclid(1_000_000_000).unsigned_abs();
        let slot = usize::try_from(second.rem_euclid(16)).unwrap_or_default();
        if self.cache[slot].second != second {
            self.cache[slot] = self.format(second);
        }
        let cached = &self.cache[slot];
        (line.push_first(&cached.bytes, cached.len), rest_ns)
    }

    #[cold]
    fn format(&self, second: i64) -> CachedSecond {
        // This cannot fail: a timestamp has a larger range than 64 bits of nanoseconds.
        let time = Timestamp::from_second(second).unwrap_or_default();
        let text = time.to_zoned(self.zone.clone()).strftime(self.pattern).to_string();
        let mut bytes = [0; 32];
        let len = Line::new(&mut bytes).push_all(text.as_bytes()).len();
        CachedSecond { second, bytes, len }
    }

    /// Appends a time with nine fractional digits and `Z`.
    pub fn push_rfc3339<'a>(&mut self, line: Line<'a>, wall_ns: i64) -> Line<'a> {
        let (line, rest_ns) = self.push(line, wall_ns);
        push_nine(line.push(b'.'), rest_ns).push(b'Z')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::line::ROOM;

    proptest! {
        #[test]
        fn times_equal_those_of_jiff(wall_ns: i64) {
            let mut seconds = Seconds::rfc3339();
            let time = Timestamp::from_nanosecond(wall_ns.into()).unwrap();
            for _ in 0..2 {
                let mut room = [0; ROOM];
                let line = seconds.push_rfc3339(Line::new(&mut room), wall_ns);
                prop_assert_eq!(String::from_utf8_lossy(line.as_bytes()), format!("{time:.9}"));
            }
        }
    }
}
