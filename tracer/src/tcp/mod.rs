//! Types of TCP that all other modules use: states, reasons, endpoints, limits.
//!
//! # Layout
//! - [`state`]: TCP states and their names; [`states`]: sets of them, as filters name them
//! - [`reason`]: why connections end; [`reasons`]: sets of reasons, as filters name them
//! - [`reset`]: direction of an RST, and the kernel's reasons for sending one
//! - [`endpoint`]: addresses, ports, tuples, tasks; [`device`]: network devices
//! - [`netns`], [`cgroup`]: network namespaces and cgroups, and how users name them
//! - [`workload`]: whose a cgroup is: container, pod, unit
//! - [`limits`]: how long a connection may stay in a state before it counts as stuck
//! - [`colour`]: the colours of states
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use tracer::tcp::{limits::Limits, state::State};
//! use tracer_common::state;
//!
//! assert_eq!(State::from_kernel(state::CLOSE_WAIT).to_string(), "CLOSE_WAIT");
//! assert_eq!("close_wait".parse(), Ok(State::from_kernel(state::CLOSE_WAIT)));
//!
//! let mut limits = Limits::defaults();
//! limits.set(&["CLOSE_WAIT=5s".parse()?]);
//! assert_eq!(limits.of(state::CLOSE_WAIT), Some(5_000_000_000));
//! # Ok::<(), tracer::tcp::limits::Error>(())
//! ```

pub mod cgroup;
pub mod colour;
pub mod device;
pub mod endpoint;
pub mod limits;
pub mod netns;
pub mod reason;
pub mod reasons;
pub mod reset;
pub mod state;
pub mod states;
pub mod workload;
