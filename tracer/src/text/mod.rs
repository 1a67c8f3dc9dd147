//! Small tools for text: numbers, durations, widths, escaping.
//!
//! # Layout
//! - [`mod@line`]: a line of fixed capacity, which the other tools append to
//! - [`number`], [`duration`], [`second`]: digits, durations, times of day
//! - [`escape`]: escaping of text from outside
//! - [`glob`]: patterns for names
//! - [`choice`]: values of a filter, some of which take away
//! - [`charset`]: what the terminal can show
//! - [`width`]: text cut and padded to a display width; [`painted`]: text with colours
//!
//! # Example
//! ```
//! use tracer::text::{duration::duration, escape::escaped, width::short};
//!
//! assert_eq!(duration(12_345), "12.3us");
//! assert_eq!(escaped(b"a\x1b[2J"), "a\\x1b[2J");
//! assert_eq!(short(1_250_000), "1.2M");
//! ```

pub mod charset;
pub mod choice;
pub mod duration;
pub mod escape;
pub mod glob;
pub mod line;
pub mod number;
pub mod painted;
pub mod second;
pub mod width;
pub mod wrap;

/// What was attempted when the host had no room for a thread, with the usual causes.
pub(crate) const STARTING_A_THREAD: &str =
    "starting a thread (is `ulimit -u` or the cgroup's pids.max reached?)";
