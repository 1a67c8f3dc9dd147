//! Small tools for time. A capture's time is that of its facts; only [`wait`] waits in real time.
//!
//! # Layout
//! - [`clock`]: converts the kernel's clock to the time of day
//! - [`duration`]: durations in arguments
//! - [`spec`]: moments in arguments, such as `--since -5m`; [`span`]: the part of a recording between two
//! - [`wait`]: waits for an optional deadline
//! - [`zone`]: the user's time zone
//!
//! # Example
//! ```
//! use tracer::time::{clock::{Anchor, Clock}, duration};
//!
//! let clock = Clock::new(Anchor { monotonic_ns: 1_000, wall_ns: 0 });
//! let later_ns = u64::try_from(duration::parse("1h 30m")?.as_nanos())?;
//! assert_eq!(clock.wall(1_000 + later_ns).to_string(), "1970-01-01T01:30:00Z");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod clock;
pub mod duration;
pub mod span;
pub mod spec;
pub mod wait;
pub mod zone;
