//! Small tools for time. The time of a capture is that of its facts; only [`wait`] waits.
//!
//! # Layout
//! - [`clock`]: from the kernel's clock to time of day
//! - [`duration`]: times that users give
//! - [`wait`]: waiting for a time that may never come

pub mod clock;
pub mod duration;
pub mod wait;
