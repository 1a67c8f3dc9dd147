//! The part of a recording that is shown: from one moment to another.

use jiff::{Timestamp, tz::TimeZone};

use crate::time::{clock::Anchor, spec::TimeSpec};

/// A part of a recording as the user gives it (`--since`, `--until`).
#[derive(Clone, Debug)]
pub struct SpanSpec {
    /// From this moment on.
    pub since: Option<TimeSpec>,
    /// Up to this moment.
    pub until: Option<TimeSpec>,
    /// The time zone of both.
    pub zone: TimeZone,
}

/// A part of a recording in nanoseconds of the kernel's monotonic clock. Both ends are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeSpan {
    /// Its beginning; `None`: that of the recording.
    pub since_ns: Option<u64>,
    /// Its end; `None`: that of the recording.
    pub until_ns: Option<u64>,
}

/// When a recording was made, on both clocks.
#[derive(Clone, Debug)]
pub struct RecordedTime {
    /// Its first moment.
    pub begin: Anchor,
    /// Its last moment; `None` if it is not known yet.
    pub end: Option<Anchor>,
    /// What the wall clock was at some moments, in their order.
    pub anchors: Vec<Anchor>,
}

impl SpanSpec {
    /// Whether it has no end on either side.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Whether one of the moments counts from the recording's end.
    #[must_use]
    pub fn needs_end(&self) -> bool {
        [self.since, self.until].iter().flatten().any(|moment| matches!(moment, TimeSpec::BeforeEnd(_)))
    }

    /// This part of a recording.
    #[must_use]
    pub fn within(&self, recorded: &RecordedTime) -> TimeSpan {
        self.at(recorded.wall(), recorded)
    }

    /// This part of several recordings together, the first of which begins, and the last of which ends at these
    /// moments, in one of them.
    #[must_use]
    pub fn at(&self, all: (Timestamp, Timestamp), recorded: &RecordedTime) -> TimeSpan {
        let at_ns = |moment: TimeSpec| recorded.monotonic_ns(moment.within(all, &self.zone));
        TimeSpan { since_ns: self.since.map(at_ns), until_ns: self.until.map(at_ns) }
    }
}

impl TimeSpan {
    /// Whether a moment is in it.
    #[must_use]
    pub fn has(&self, time_ns: u64) -> bool {
        !self.is_before(time_ns) && self.until_ns.is_none_or(|until_ns| time_ns <= until_ns)
    }

    /// Whether a moment is before it.
    #[must_use]
    pub fn is_before(&self, time_ns: u64) -> bool {
        self.since_ns.is_some_and(|since_ns| time_ns < since_ns)
    }

    /// Whether something of a recording is in it.
    #[must_use]
    pub fn is_of(&self, recorded: &RecordedTime) -> bool {
        let end_ns = recorded.end.map_or(u64::MAX, |end| end.monotonic_ns);
        let (since_ns, until_ns) = (self.since_ns.unwrap_or_default(), self.until_ns.unwrap_or(end_ns));
        since_ns <= until_ns.min(end_ns) && until_ns >= recorded.begin.monotonic_ns
    }
}

impl RecordedTime {
    /// The first and the last moment; the last one is far away if it is not known yet.
    #[must_use]
    pub fn wall(&self) -> (Timestamp, Timestamp) {
        let at = |anchor: Anchor| Timestamp::from_nanosecond(anchor.wall_ns.into()).unwrap_or_default();
        (at(self.begin), self.end.map_or(Timestamp::MAX, at))
    }

    /// The time of the kernel's monotonic clock at a moment of the wall clock.
    #[must_use]
    pub fn monotonic_ns(&self, at: Timestamp) -> u64 {
        let wall_ns = i64::try_from(at.as_nanosecond()).unwrap_or(if at < Timestamp::UNIX_EPOCH {
            i64::MIN
        } else {
            i64::MAX
        });
        let index = self.anchors.iter().rposition(|anchor| anchor.wall_ns <= wall_ns).unwrap_or_default();
        let anchor = self.anchors.get(index).unwrap_or(&self.begin);
        let time_ns = anchor.monotonic_ns.saturating_add_signed(wall_ns.saturating_sub(anchor.wall_ns));
        // A moment that the clock has skipped is when it was set.
        self.anchors.get(index + 1).map_or(time_ns, |next| time_ns.min(next.monotonic_ns))
    }

    /// The time of several parts together.
    #[must_use]
    pub fn of_all(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().reduce(|mut all, part| {
            let begins_first = part.begin.monotonic_ns < all.begin.monotonic_ns;
            all.begin = if begins_first { part.begin } else { all.begin };
            all.end = all
                .end
                .zip(part.end)
                .map(|(one, other)| if one.monotonic_ns < other.monotonic_ns { other } else { one });
            all.anchors.extend(part.anchors);
            all.anchors.sort_by_key(|anchor| anchor.monotonic_ns);
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: u64 = 3_600_000_000_000;

    fn anchor(monotonic_ns: u64, wall: &str) -> Anchor {
        let wall: Timestamp = wall.parse().unwrap();
        Anchor { monotonic_ns, wall_ns: i64::try_from(wall.as_nanosecond()).unwrap() }
    }

    /// From noon to one o'clock; at half past twelve the wall clock was set an hour ahead.
    fn recorded() -> RecordedTime {
        RecordedTime {
            begin: anchor(HOUR_NS, "2026-01-31T12:00:00Z"),
            end: Some(anchor(2 * HOUR_NS, "2026-01-31T14:00:00Z")),
            anchors: vec![
                anchor(HOUR_NS, "2026-01-31T12:00:00Z"),
                anchor(HOUR_NS + HOUR_NS / 2, "2026-01-31T13:30:00Z"),
            ],
        }
    }

    fn span(since: &str, until: &str) -> TimeSpan {
        let moment = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let spec = SpanSpec { since: moment(since), until: moment(until), zone: TimeZone::UTC };
        spec.within(&recorded())
    }

    #[test]
    fn moments_are_those_of_the_recording() {
        assert_eq!(span("", ""), TimeSpan::default());
        let minute_ns = HOUR_NS / 60;
        assert_eq!(span("12:10", "").since_ns, Some(HOUR_NS + 10 * minute_ns));
        assert_eq!(span("+10m", "-5m").since_ns, Some(HOUR_NS + 10 * minute_ns));
        assert_eq!(span("", "-5m").until_ns, Some(2 * HOUR_NS - 5 * minute_ns));
        assert_eq!(span("13:45", "").since_ns, Some(HOUR_NS + 45 * minute_ns), "the clock was set");
        assert_eq!(span("12:50", "").since_ns, Some(HOUR_NS + 30 * minute_ns), "the clock skipped it");
    }

    #[test]
    fn both_ends_are_in_it() {
        let span = TimeSpan { since_ns: Some(5), until_ns: Some(7) };
        assert_eq!([4, 5, 7, 8].map(|time_ns| span.has(time_ns)), [false, true, true, false]);
        assert!(TimeSpan::default().has(0) && TimeSpan::default().has(u64::MAX));
    }

    #[test]
    fn a_span_beside_the_recording_has_nothing_of_it() {
        let has = |since, until| span(since, until).is_of(&recorded());
        assert!(has("", "") && has("12:10", "12:20") && has("+0", "+0") && has("11:00", "12:00"));
        assert!(!has("2026-01-31T14:00:01Z", "") && !has("", "2026-01-31T11:59:59Z") && !has("-5m", "+1m"));
    }

    #[test]
    fn parts_are_one() {
        let whole = recorded();
        let half = Anchor { monotonic_ns: HOUR_NS + HOUR_NS / 2, ..whole.anchors[1] };
        let first = RecordedTime { end: Some(half), anchors: whole.anchors[..1].to_vec(), ..whole.clone() };
        let second = RecordedTime { begin: half, anchors: whole.anchors[1..].to_vec(), ..whole.clone() };
        let both = RecordedTime::of_all([second, first]).unwrap();
        assert_eq!((both.begin, both.end, both.anchors), (whole.begin, whole.end, whole.anchors));
        assert!(RecordedTime::of_all([]).is_none());
    }
}
