//! What the tests on the real kernel share: the tracer as a user runs it, what it is held against,
//! places to test in, and traffic.
//!
//! Everything here panics when it cannot do its work: a test that cannot run has failed.

pub mod bpftrace;
pub mod event;
pub mod facts;
pub mod incidents;
pub mod patience;
pub mod place;
pub mod processors;
pub mod program;
pub mod remote;
pub mod screen;
pub mod story;
pub mod tracefs;
pub mod tracer;
pub mod traffic;
pub mod types;
