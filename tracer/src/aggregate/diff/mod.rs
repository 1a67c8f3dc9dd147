//! Comparing what was counted in two spans, before and after something.
//!
//! # Layout
//! - [`side`]: one side; [`name`]: what its connections are grouped by; [`group`]: what is counted of a group
//! - [`blocks`], [`spread`], [`arrivals`]: its parts: shares, durations, rates, each with how far they vary
//! - [`chance`]: the tests' probabilities
//! - [`compare`]: both sides, measure by measure ([`measure`])
//! - [`report`]: what comes out, ready to be written

pub mod arrivals;
pub mod blocks;
pub mod chance;
pub mod compare;
pub mod group;
pub mod measure;
pub mod name;
pub mod report;
pub mod side;
pub mod spread;
