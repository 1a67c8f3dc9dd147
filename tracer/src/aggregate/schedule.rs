//! When reports are due, and which period each covers. All times are event time: nanoseconds of the kernel's
//! monotonic clock.

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
/// // A late report covers the intervals that were missed.
/// assert_eq!(schedule.next(38, &clock).duration_ns, 33);
/// assert_eq!(schedule.due(), Some(45));
/// ```
#[derive(Debug)]
pub struct Schedule {
    interval_ns: u64,
    /// How many intervals there are; `None` for no limit.
    count: Option<u64>,
    due_ns: Option<u64>,
    /// `None` before the first interval begins.
    begun_ns: Option<u64>,
    /// When the present interval began.
    last_ns: u64,
    /// How many intervals have ended.
    finished: u64,
}

impl Schedule {
    /// Intervals of this length. `count`: how many; `None` for no limit.
    #[must_use]
    pub fn new(interval: Duration, count: Option<u64>) -> Self {
        // Too long an interval becomes 584 years.
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { interval_ns, count, due_ns: None, begun_ns: None, last_ns: 0, finished: 0 }
    }

    /// Begins the first interval at this time.
    pub fn begin(&mut self, at_ns: u64) {
        (self.begun_ns, self.last_ns, self.finished) = (Some(at_ns), at_ns, 0);
        self.due_ns = at_ns.checked_add(self.interval_ns);
    }

    /// Extends the first period back to an event from before it: one between attaching and the beginning.
    pub fn reach_back(&mut self, time_ns: u64) {
        if self.finished == 0 && time_ns < self.last_ns {
            (self.begun_ns, self.last_ns) = (Some(time_ns), time_ns);
        }
    }

    /// When the next report is due.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        self.due_ns
    }

    /// Ends the present interval at `now_ns`, returns its period, and begins the next one.
    pub fn next(&mut self, now_ns: u64, clock: &Clock) -> Period {
        let period = period(PeriodKind::Interval, self.last_ns, now_ns, clock);
        self.last_ns = now_ns;
        self.finished += 1;
        // Due times stay multiples of the interval: those that have passed are skipped.
        self.due_ns = self.due_ns.and_then(|due_ns| {
            let missed = now_ns.saturating_sub(due_ns) / self.interval_ns;
            self.interval_ns.checked_mul(missed + 1).and_then(|later_ns| due_ns.checked_add(later_ns))
        });
        period
    }

    /// The whole period up to `now_ns`.
    #[must_use]
    pub fn all(&self, now_ns: u64, clock: &Clock) -> Period {
        period(PeriodKind::Total, self.begun_ns.unwrap_or(now_ns), now_ns, clock)
    }

    /// Whether intervals are reported. If there is only one, the report on the whole period says the same.
    #[must_use]
    pub fn tells_intervals(&self) -> bool {
        self.count != Some(1)
    }

    /// Whether an unfinished interval follows finished ones at `now_ns`.
    #[must_use]
    pub fn has_rest(&self, now_ns: u64) -> bool {
        self.finished > 0 && !self.is_over() && now_ns > self.last_ns
    }

    /// Whether all intervals have ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.count.is_some_and(|count| self.finished >= count)
    }
}

fn period(kind: PeriodKind, from_ns: u64, to_ns: u64, clock: &Clock) -> Period {
    let at = |ns: u64| -> Timestamp { clock.wall(ns) };
    Period { kind, from: at(from_ns), to: at(to_ns), duration_ns: to_ns.saturating_sub(from_ns) }
}
