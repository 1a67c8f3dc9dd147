//! Output.

pub mod stderr;
pub mod stdout;
