//! What is made of events: a file for each view.

pub mod log;
