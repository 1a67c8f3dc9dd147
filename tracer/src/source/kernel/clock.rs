//! The host's monotonic clock and wall clock.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::time::Instant;

use crate::time::{clock::Anchor, wait::at};

/// How far the two clocks may drift apart before a new anchor is taken, in nanoseconds. Smaller drifts are
/// ignored, so that the times of one run stay in order; a larger step means that somebody has set the clock.
const TOLERANCE_NS: i64 = 1_000_000;

/// Three readings of clocks that take longer than this, in nanoseconds, were interrupted.
const UNINTERRUPTED_NS: i64 = 20_000;
const ATTEMPTS: u32 = 10;

/// Detects that somebody has set the wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WallClock {
    /// How far the wall clock was ahead of the monotonic clock in the last anchor.
    offset_ns: Option<i64>,
}

impl WallClock {
    /// A new anchor the first time, and after the wall clock was set; else `None`.
    pub(super) fn if_changed(&mut self) -> Option<Anchor> {
        let anchor = anchor();
        let offset_ns = anchor.wall_ns - anchor.monotonic_ns.cast_signed();
        if self.offset_ns.is_some_and(|last_ns| (offset_ns - last_ns).abs() <= TOLERANCE_NS) {
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

/// Waits until this time of the kernel's monotonic clock, in nanoseconds; for ever if `None`.
pub async fn until(due_ns: Option<u64>) {
    let pause = due_ns.map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(monotonic_ns())));
    at(pause.map(|pause| Instant::now() + pause)).await;
}

/// Reads the wall clock between two readings of the monotonic clock. Repeats this if it was interrupted.
#[must_use]
pub fn anchor() -> Anchor {
    let mut best = (i64::MAX, 0, 0);
    for _ in 0..ATTEMPTS {
        let before = nanoseconds(clock_gettime(ClockId::Monotonic));
        let wall = nanoseconds(clock_gettime(ClockId::Realtime));
        let after = nanoseconds(clock_gettime(ClockId::Monotonic));
        best = best.min((after - before, i64::midpoint(before, after), wall));
        if best.0 < UNINTERRUPTED_NS {
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
    fn the_anchor_is_the_present_time() {
        let apart = Clock::new(anchor()).wall(monotonic_ns()).duration_until(Timestamp::now());
        assert!(apart.as_millis().abs() < 1000, "{apart:?}");
    }

    #[test]
    fn a_clock_that_was_not_set_has_not_changed() {
        let mut clock = WallClock::default();
        assert!(clock.if_changed().is_some());
        assert!(clock.if_changed().is_none());
    }
}
