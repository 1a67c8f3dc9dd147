//! When reports are due, and what time they cover. All times are the events' own: nanoseconds of the
//! kernel's monotonic clock.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    aggregate::report::{Period, PeriodKind},
    time::clock::Clock,
};

/// Intervals of the same length.
///
/// ```
/// use std::time::Duration;
/// use tracer::{aggregate::schedule::Schedule, time::clock::Clock};
///
/// let clock = Clock::fixed(0, 0);
/// let mut schedule = Schedule::new(Duration::from_nanos(10), None);
/// schedule.begin(5);
/// assert_eq!(schedule.due(), Some(15));
/// // Whoever comes late lets some of them go.
/// assert_eq!(schedule.next(38, &clock).duration_ns, 33);
/// assert_eq!(schedule.due(), Some(45));
/// ```
#[derive(Debug)]
pub struct Schedule {
    interval_ns: u64,
    count: Option<u64>,
    due_ns: Option<u64>,
    /// `None` before it begins.
    begun_ns: Option<u64>,
    last_ns: u64,
    done: u64,
}

impl Schedule {
    /// So long each, and so many of them; for ever without a count.
    #[must_use]
    pub fn new(interval: Duration, count: Option<u64>) -> Self {
        // Longer than anybody waits.
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { interval_ns, count, due_ns: None, begun_ns: None, last_ns: 0, done: 0 }
    }

    /// The first one begins at this time.
    pub fn begin(&mut self, at_ns: u64) {
        (self.begun_ns, self.last_ns, self.done) = (Some(at_ns), at_ns, 0);
        self.due_ns = at_ns.checked_add(self.interval_ns);
    }

    /// When the next report is due.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        self.due_ns
    }

    /// The interval that ends at `now_ns`; the next one begins.
    pub fn next(&mut self, now_ns: u64, clock: &Clock) -> Period {
        let period = period(PeriodKind::Interval, self.last_ns, now_ns, clock);
        self.last_ns = now_ns;
        self.done += 1;
        // At even distances.
        self.due_ns = self.due_ns.and_then(|due_ns| {
            let missed = now_ns.saturating_sub(due_ns) / self.interval_ns;
            self.interval_ns.checked_mul(missed + 1).and_then(|later_ns| due_ns.checked_add(later_ns))
        });
        period
    }

    /// All of it, up to `now_ns`.
    #[must_use]
    pub fn all(&self, now_ns: u64, clock: &Clock) -> Period {
        period(PeriodKind::Total, self.begun_ns.unwrap_or(now_ns), now_ns, clock)
    }

    /// Whether the interval that ends is to be told: not the only one, which the report on all of it
    /// tells as well.
    #[must_use]
    pub fn tells_intervals(&self) -> bool {
        self.count != Some(1)
    }

    /// Whether a part of an interval is left at `now_ns`, after others.
    #[must_use]
    pub fn has_rest(&self, now_ns: u64) -> bool {
        self.done > 0 && !self.is_over() && now_ns > self.last_ns
    }

    /// Whether there were as many intervals as asked for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.count.is_some_and(|count| self.done >= count)
    }
}

fn period(kind: PeriodKind, from_ns: u64, to_ns: u64, clock: &Clock) -> Period {
    let at = |ns: u64| -> Timestamp { clock.wall(ns) };
    Period { kind, from: at(from_ns), to: at(to_ns), duration_ns: to_ns.saturating_sub(from_ns) }
}
