//! Types of TCP that all other modules use: states, reasons, endpoints, limits.
//!
//! # Layout
//! - [`state`]: TCP states and their names
//! - [`reason`]: why connections end
//! - [`reset`]: direction of an RST, and the kernel's reasons for sending one
//! - [`endpoint`]: addresses, ports, tuples, tasks
//! - [`limits`]: how long a connection may stay in a state before it counts as stuck
//! - [`colour`]: the colours of states

pub mod colour;
pub mod endpoint;
pub mod limits;
pub mod reason;
pub mod reset;
pub mod state;
