//! From the kernel's clock to the wall's.

use jiff::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// How far the two clocks may drift apart before the wall clock is believed anew. Below it times
/// of one run stay strictly in order; a larger step is the administrator's.
const TOLERANCE_NS: i64 = 1_000_000;

/// Three looks at clocks that take longer than this have been interrupted.
const PROMPT_NS: i64 = 20_000;
const ATTEMPTS: u32 = 10;

/// Translates `CLOCK_MONOTONIC`, which events carry, into time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset_ns: i64,
    started_ns: u64,
}

impl Clock {
    /// Reads both clocks.
    #[must_use]
    pub fn new() -> Self {
        Self { offset_ns: measure_offset_ns(), started_ns: monotonic_ns() }
    }

    /// Of a run that started at `started_ns`, when the wall clock was so much ahead: for what is not
    /// live.
    #[must_use]
    pub const fn fixed(started_ns: u64, offset_ns: i64) -> Self {
        Self { offset_ns, started_ns }
    }

    /// Follows a wall clock that was set while we run.
    pub fn follow(&mut self) {
        let offset_ns = measure_offset_ns();
        if (offset_ns - self.offset_ns).abs() > TOLERANCE_NS {
            self.offset_ns = offset_ns;
        }
    }

    /// Time of day of a kernel time.
    #[must_use]
    pub fn wall(&self, monotonic_ns: u64) -> Timestamp {
        // 64 bits reach from 1677 to 2262, less than a timestamp does.
        Timestamp::from_nanosecond(self.wall_ns(monotonic_ns).into()).unwrap_or(Timestamp::MAX)
    }

    /// The same, in nanoseconds since 1970.
    #[must_use]
    pub fn wall_ns(&self, monotonic_ns: u64) -> i64 {
        i64::try_from(monotonic_ns).unwrap_or(i64::MAX).saturating_add(self.offset_ns)
    }

    /// Nanoseconds since this clock was made; negative for events from before.
    #[must_use]
    pub fn since_start_ns(&self, monotonic_ns: u64) -> i64 {
        monotonic_ns.cast_signed().wrapping_sub(self.started_ns.cast_signed())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds: the same as `bpf_ktime_get_ns`.
#[must_use]
pub fn monotonic_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic)).cast_unsigned()
}

/// Reads the wall clock between two looks at the other, as often as it takes for nothing to have
/// come between.
fn measure_offset_ns() -> i64 {
    let mut best = (i64::MAX, 0);
    for _ in 0..ATTEMPTS {
        let before = nanoseconds(clock_gettime(ClockId::Monotonic));
        let wall = nanoseconds(clock_gettime(ClockId::Realtime));
        let after = nanoseconds(clock_gettime(ClockId::Monotonic));
        best = best.min((after - before, wall - i64::midpoint(before, after)));
        if best.0 < PROMPT_NS {
            break;
        }
    }
    best.1
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_now() {
        let clock = Clock::new();
        let apart = clock.wall(monotonic_ns()).duration_until(Timestamp::now());
        assert!(apart.as_millis().abs() < 1000, "{apart:?}");
    }
}
