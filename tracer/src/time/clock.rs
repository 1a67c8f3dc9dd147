//! Converts the kernel's clock to the wall clock.

use jiff::Timestamp;

/// The kernel's clock and the wall clock, read at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Anchor {
    /// `CLOCK_MONOTONIC` in nanoseconds, as `bpf_ktime_get_ns` returns it and events carry it.
    pub monotonic_ns: u64,
    /// Time of day in nanoseconds since 1970, UTC.
    pub wall_ns: i64,
}

/// Converts the kernel's monotonic time to the time of day.
///
/// ```
/// use tracer::time::clock::{Anchor, Clock};
///
/// let clock = Clock::new(Anchor { monotonic_ns: 1_000, wall_ns: 1_700_000_000_000_000_000 });
/// assert_eq!(clock.wall(1_500).to_string(), "2023-11-14T22:13:20.0000005Z");
/// assert_eq!(clock.since_start_ns(1_500), 500);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset_ns: i64,
    started_ns: u64,
}

impl Clock {
    /// A clock for a run that starts at this moment.
    #[must_use]
    pub const fn new(anchor: Anchor) -> Self {
        Self { offset_ns: offset_ns(anchor), started_ns: anchor.monotonic_ns }
    }

    /// A clock for a run that started at `started_ns`; the wall clock minus the monotonic clock is
    /// `offset_ns`.
    #[must_use]
    pub const fn fixed(started_ns: u64, offset_ns: i64) -> Self {
        Self { offset_ns, started_ns }
    }

    /// Updates the clock after the wall clock has been set.
    pub fn set(&mut self, anchor: Anchor) {
        self.offset_ns = offset_ns(anchor);
    }

    /// The time of day for a kernel time.
    #[must_use]
    pub fn wall(&self, monotonic_ns: u64) -> Timestamp {
        // 64 bits of nanoseconds reach from 1677 to 2262, which is within the range of a timestamp.
        Timestamp::from_nanosecond(self.wall_ns(monotonic_ns).into()).unwrap_or(Timestamp::MAX)
    }

    /// The time of day in nanoseconds since 1970.
    #[must_use]
    pub fn wall_ns(&self, monotonic_ns: u64) -> i64 {
        i64::try_from(monotonic_ns).unwrap_or(i64::MAX).saturating_add(self.offset_ns)
    }

    /// Nanoseconds since the run started; negative for earlier times.
    #[must_use]
    pub fn since_start_ns(&self, monotonic_ns: u64) -> i64 {
        monotonic_ns.cast_signed().wrapping_sub(self.started_ns.cast_signed())
    }
}

const fn offset_ns(anchor: Anchor) -> i64 {
    anchor.wall_ns.wrapping_sub(anchor.monotonic_ns.cast_signed())
}
