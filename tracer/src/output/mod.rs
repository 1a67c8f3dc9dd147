//! Standard output and standard error.
//!
//! # Layout
//! - [`stdout`]: the output, written in large batches on a separate thread
//! - [`stderr`]: messages for the user: readiness, warnings, the receipt

pub mod stderr;
pub mod stdout;
