//! Counting.

pub mod build;
pub mod heavy;
pub mod in_kernel;
pub mod report;
pub mod schedule;
pub mod times;
pub mod totals;
