//! From the kernel's clock to the wall's.

use jiff::Timestamp;

/// What both clocks say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// `CLOCK_MONOTONIC` in nanoseconds: what `bpf_ktime_get_ns` tells, and events carry.
    pub monotonic_ns: u64,
    /// Time of day in nanoseconds since 1970, UTC.
    pub wall_ns: i64,
}

/// Translates the kernel's monotonic time into time of day.
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
    /// Of a run that starts at this moment.
    #[must_use]
    pub const fn new(anchor: Anchor) -> Self {
        Self { offset_ns: offset_ns(anchor), started_ns: anchor.monotonic_ns }
    }

    /// Of a run that started at `started_ns`, when the wall clock was so much ahead.
    #[must_use]
    pub const fn fixed(started_ns: u64, offset_ns: i64) -> Self {
        Self { offset_ns, started_ns }
    }

    /// Somebody has set the wall clock.
    pub fn set(&mut self, anchor: Anchor) {
        self.offset_ns = offset_ns(anchor);
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

    /// Nanoseconds since the run started; negative for what happened before.
    #[must_use]
    pub fn since_start_ns(&self, monotonic_ns: u64) -> i64 {
        monotonic_ns.cast_signed().wrapping_sub(self.started_ns.cast_signed())
    }
}

const fn offset_ns(anchor: Anchor) -> i64 {
    anchor.wall_ns.wrapping_sub(anchor.monotonic_ns.cast_signed())
}
