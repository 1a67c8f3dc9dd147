//! The vocabulary that all other rooms use: states, reasons, endpoints, limits.
//!
//! # Layout
//! - [`state`]: TCP states and their names
//! - [`reason`]: why connections end
//! - [`reset`]: RST segments and the kernel's reasons for sending one
//! - [`endpoint`]: addresses, ports, tuples, tasks
//! - [`limits`]: how long a connection may stay in a state
//! - [`colour`]: the same colours wherever states are shown

pub mod colour;
pub mod endpoint;
pub mod limits;
pub mod reason;
pub mod reset;
pub mod state;
