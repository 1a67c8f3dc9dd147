//! When the kernel program wakes the reader.
//!
//! A wakeup costs more than all the rest of the program, so not each event gets one. The first event after a
//! pause does, so that a quiet host's events are shown at once. Once awake, the reader polls every
//! [`TICK_NS`] until it finds nothing. Under load the ring buffers fill while the reader sleeps, and it is
//! woken early only when one of them has filled by another step.

/// Nanoseconds without a wakeup after which the next event wakes the reader.
pub const PAUSE_NS: u64 = 20_000_000;

/// Nanoseconds between two polls of the reader while events come. More than [`PAUSE_NS`], so that the next
/// poll finds events that did not wake the reader because it had just been woken.
pub const TICK_NS: u64 = 25_000_000;

const _: () = assert!(TICK_NS > PAUSE_NS);
