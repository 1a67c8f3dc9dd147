//! The host's monotonic clock and wall clock.

use std::{fs, io::ErrorKind, sync::LazyLock, time::Duration};

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};
use tokio::time::Instant;

use crate::time::{clock::Anchor, wait::at};

/// How far the two clocks may drift apart before a new anchor is taken, in nanoseconds. Smaller drifts are
/// ignored, so that the times of one run stay in order; a larger step means that somebody has set the clock.
const TOLERANCE_NS: i64 = 1_000_000;

/// Three readings of clocks that take longer than this, in nanoseconds, were interrupted.
const UNINTERRUPTED_NS: i64 = 20_000;
const ATTEMPTS: u32 = 10;

/// How far this process's `CLOCK_MONOTONIC` is ahead of that of the initial time namespace, in nanoseconds
/// (time_namespaces(7), since Linux 5.6). `bpf_ktime_get_ns` knows no time namespaces.
static NAMESPACE_OFFSET_NS: LazyLock<i64> = LazyLock::new(|| match fs::read_to_string(TIME_OFFSETS) {
    Ok(offsets) => monotonic_offset_ns(&offsets).unwrap_or_else(|| {
        log::warn!("{TIME_OFFSETS} cannot be understood; in a time namespace all times are wrong");
        0
    }),
    // A kernel without time namespaces.
    Err(error) if error.kind() == ErrorKind::NotFound => 0,
    Err(error) => {
        log::warn!("{TIME_OFFSETS} cannot be read ({error}); in a time namespace all times are wrong");
        0
    }
});

const TIME_OFFSETS: &str = "/proc/self/timens_offsets";

/// The clock that the file calls `monotonic`, in seconds and nanoseconds.
fn monotonic_offset_ns(offsets: &str) -> Option<i64> {
    let line = offsets.lines().find_map(|line| line.strip_prefix("monotonic"))?;
    let mut numbers = line.split_whitespace().map(str::parse::<i64>);
    let (seconds, nanoseconds) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

/// How far this process's `CLOCK_MONOTONIC` is ahead of that of the initial time namespace, in nanoseconds.
#[must_use]
pub fn namespace_offset_ns() -> i64 {
    *NAMESPACE_OFFSET_NS
}

/// Length of a jiffy in nanoseconds, which is the resolution of the coarse clocks (`KTIME_LOW_RES` in
/// `kernel/time/posix-timers.c`).
#[must_use]
pub fn tick_ns() -> u64 {
    let resolution = clock_getres(ClockId::MonotonicCoarse);
    u64::try_from(resolution.tv_nsec).unwrap_or_default()
}

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

/// `CLOCK_MONOTONIC` of the initial time namespace in nanoseconds: the same as `bpf_ktime_get_ns`.
#[must_use]
pub fn monotonic_ns() -> u64 {
    host_monotonic_ns().cast_unsigned()
}

fn host_monotonic_ns() -> i64 {
    nanoseconds(clock_gettime(ClockId::Monotonic)) - namespace_offset_ns()
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
        let before = host_monotonic_ns();
        let wall = nanoseconds(clock_gettime(ClockId::Realtime));
        let after = host_monotonic_ns();
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
    fn offsets_are_seconds_and_nanoseconds() {
        let file = "monotonic     -500         5\nboottime       7         0\n";
        assert_eq!(monotonic_offset_ns(file), Some(-499_999_999_995));
        for damaged in
            ["", "boottime 1 0\n", "monotonic\n", "monotonic x 0\n", "monotonic 9223372036854775807 0\n"]
        {
            assert_eq!(monotonic_offset_ns(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn a_clock_that_was_not_set_has_not_changed() {
        let mut clock = WallClock::default();
        assert!(clock.if_changed().is_some());
        assert!(clock.if_changed().is_none());
    }
}
