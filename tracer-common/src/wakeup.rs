//! When the kernel program wakes the reader.
//!
//! Waking is the dearest thing that it can do, so it does not for each event. It does for the first
//! event after a pause, so that a quiet host's events are shown at once; the reader, once awake,
//! looks again by itself every [`TICK_NS`] until it finds nothing. Under load the ring buffers
//! therefore fill while the reader sleeps, and the reader is woken early only when one of them
//! has filled by another step.

/// The kernel program wakes the reader if it did not for this long.
pub const PAUSE_NS: u64 = 20_000_000;

/// While events come, the reader looks by itself this often. Longer than [`PAUSE_NS`]: what the
/// kernel program did not announce because it had just woken the reader is found at the next look.
pub const TICK_NS: u64 = 25_000_000;

const _: () = assert!(TICK_NS > PAUSE_NS);
