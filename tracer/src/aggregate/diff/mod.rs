//! Comparing what was counted in two spans, before and after something.
//!
//! # Layout
//! - [`side`]: one side; [`name`]: what its connections are grouped by; [`group`]: what is counted of a group
//! - [`blocks`], [`spread`], [`arrivals`]: its parts: shares, durations, rates, each with how far they vary
//! - [`chance`]: the tests' probabilities
//! - [`compare`]: both sides, and what is named; `pair`: a group of both, measure by measure ([`measure`]); `judge`: what is enough to
//!   matter
//! - [`report`]: what comes out, ready to be written; [`words`]: its figures in words

pub mod arrivals;
pub mod blocks;
pub mod chance;
pub mod compare;
pub mod group;
mod judge;
pub mod measure;
pub mod name;
mod pair;
pub mod report;
pub mod side;
pub mod spread;
pub mod words;
