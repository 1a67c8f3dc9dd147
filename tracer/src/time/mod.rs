//! Small tools for time. A capture's time is that of its facts; only [`wait`] waits in real time.
//!
//! # Layout
//! - [`clock`]: converts the kernel's clock to the time of day
//! - [`duration`]: durations in arguments
//! - [`wait`]: waits for an optional deadline

pub mod clock;
pub mod duration;
pub mod wait;
