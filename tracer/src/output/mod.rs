//! Where bytes go.
//!
//! # Layout
//! - [`stdout`]: what is shown, in whole batches, on a thread of its own
//! - [`stderr`]: messages for people: readiness, warnings, the receipt

pub mod stderr;
pub mod stdout;
