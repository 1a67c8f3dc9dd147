//! Whole seconds as text: most lines are of the same second as the one before.

use jiff::{Timestamp, tz::TimeZone};

use crate::text::{line::Line, number::push_nine};

/// The texts of the seconds that were asked for last; of several, because the line of a connection's
/// end tells of its beginning, too.
pub struct Seconds {
    zone: TimeZone,
    pattern: &'static str,
    texts: [Text; 16],
}

/// A second as text, in more bytes than it has: see [`Line::push_first`].
#[derive(Clone, Copy)]
struct Text {
    second: i64,
    bytes: [u8; 32],
    len: usize,
}

impl Seconds {
    /// In this time zone, and written so; see `strftime`.
    #[must_use]
    pub fn new(zone: TimeZone, pattern: &'static str) -> Self {
        Self { zone, pattern, texts: [Text { second: i64::MIN, bytes: [0; 32], len: 0 }; 16] }
    }

    /// RFC 3339 in UTC, for [`Seconds::push_rfc3339`].
    #[must_use]
    pub fn rfc3339() -> Self {
        Self::new(TimeZone::UTC, "%Y-%m-%dT%H:%M:%S")
    }

    /// Appends the second of this time, which is in nanoseconds since 1970; gives how many nanoseconds
    /// are behind it, too.
    pub fn push<'a>(&mut self, line: Line<'a>, wall_ns: i64) -> (Line<'a>, u64) {
        let second = wall_ns.div_euclid(1_000_000_000);
        let rest_ns = wall_ns.rem_euclid(1_000_000_000).unsigned_abs();
        let place = usize::try_from(second.rem_euclid(16)).unwrap_or_default();
        if self.texts[place].second != second {
            self.texts[place] = self.text(second);
        }
        let text = &self.texts[place];
        (line.push_first(&text.bytes, text.len), rest_ns)
    }

    #[cold]
    fn text(&self, second: i64) -> Text {
        // A timestamp reaches further than nanoseconds in 64 bits.
        let time = Timestamp::from_second(second).unwrap_or_default();
        let text = time.to_zoned(self.zone.clone()).strftime(self.pattern).to_string();
        let mut bytes = [0; 32];
        let len = Line::new(&mut bytes).push_all(text.as_bytes()).len();
        Text { second, bytes, len }
    }

    /// With nanoseconds and the mark of UTC.
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
        fn times_are_what_the_library_makes_of_them(wall_ns: i64) {
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
