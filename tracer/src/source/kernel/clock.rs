//! The host's clocks.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::time::clock::Anchor;

/// How far the two clocks may drift apart before the wall clock is believed anew. Below it times of one
/// run stay strictly in order; a larger step is the administrator's.
const TOLERANCE_NS: i64 = 1_000_000;

/// Three readings of clocks that take longer than this have been interrupted.
const PROMPT_NS: i64 = 20_000;
const ATTEMPTS: u32 = 10;

/// Notices when somebody sets the wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WallClock {
    /// How far the wall clock was ahead of the monotonic one when that was told last.
    offset_ns: Option<i64>,
}

impl WallClock {
    /// What both clocks say, if that is news: the first time, and after a step.
    pub(super) fn news(&mut self) -> Option<Anchor> {
        let anchor = anchor();
        let offset_ns = anchor.wall_ns - anchor.monotonic_ns.cast_signed();
        if self.offset_ns.is_some_and(|told| (offset_ns - told).abs() <= TOLERANCE_NS) {
            return None;
        }
        self.offset_ns = Some(offset_ns);
        Some(anchor)
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds: the same as `bpf_ktime_get_ns`.
#[must_use]
pub fn monotonic_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic)).cast_unsigned()
}

/// Reads the wall clock between two readings of the other, as often as it takes for nothing to have come
/// between.
#[must_use]
pub fn anchor() -> Anchor {
    let mut best = (i64::MAX, 0, 0);
    for _ in 0..ATTEMPTS {
        let before = nanoseconds(clock_gettime(ClockId::Monotonic));
        let wall = nanoseconds(clock_gettime(ClockId::Realtime));
        let after = nanoseconds(clock_gettime(ClockId::Monotonic));
        best = best.min((after - before, i64::midpoint(before, after), wall));
        if best.0 < PROMPT_NS {
            break;
        }
    }
    Anchor { monotonic_ns: best.1.cast_unsigned(), wall_ns: best.2 }
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::time::clock::Clock;

    #[test]
    fn now_is_now() {
        let apart = Clock::new(anchor()).wall(monotonic_ns()).duration_until(Timestamp::now());
        assert!(apart.as_millis().abs() < 1000, "{apart:?}");
    }

    #[test]
    fn a_clock_that_runs_on_is_no_news() {
        let mut clock = WallClock::default();
        assert!(clock.news().is_some());
        assert!(clock.news().is_none());
    }
}
