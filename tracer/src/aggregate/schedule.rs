//! When reports are due, and what time they cover.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    aggregate::report::{Period, PeriodKind},
    time::clock::{Clock, monotonic_ns},
};

/// The intervals.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    count: Option<u64>,
    due: Option<Instant>,
    begun_ns: u64,
    last_ns: u64,
    done: u64,
}

impl Schedule {
    /// From now on.
    #[must_use]
    pub fn new(interval: Duration, count: Option<u64>) -> Self {
        let now_ns = monotonic_ns();
        let due = Instant::now().checked_add(interval);
        Self { interval, count, due, begun_ns: now_ns, last_ns: now_ns, done: 0 }
    }

    /// Begins now.
    pub fn begin(&mut self) {
        *self = Self::new(self.interval, self.count);
    }

    /// When the next report is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The interval that ends at `now_ns`; the next one begins.
    pub fn next(&mut self, now_ns: u64, clock: &Clock) -> Period {
        let period = period(PeriodKind::Interval, self.last_ns, now_ns, clock);
        self.last_ns = now_ns;
        self.done += 1;
        // At even distances; who comes too late lets some of them go.
        let after = self.due.and_then(|due| due.checked_add(self.interval));
        self.due = after.map(|due| due.max(Instant::now()));
        period
    }

    /// All of it, up to `now_ns`.
    #[must_use]
    pub fn all(&self, now_ns: u64, clock: &Clock) -> Period {
        period(PeriodKind::Total, self.begun_ns, now_ns, clock)
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
    Period { kind, from: at(from_ns), to: at(to_ns), lasted_ns: to_ns.saturating_sub(from_ns) }
}
