//! The contract between the kernel programs and user space: what both sides must agree on, in one place.
//!
//! # Layout
//!
//! * [`event`]: the record that the kernel programs send. [`found`]: what it tells of an existing socket. [`state`]:
//!   TCP states in it.
//! * [`member`], [`helper`]: what the programs read and call, and how user space finds out whether the
//!   running kernel has it.
//! * [`cgroup`]: the record of a cgroup that is made.
//! * [`filter`]: filters that run in the kernel. [`wakeup`]: when the reader is woken.
//! * [`timewait`]: which transitions to CLOSE are really into TIME_WAIT. [`aggregate`]: what the kernel counts for
//!   `summary --in-kernel`.

#![no_std]

pub mod aggregate;
pub mod cgroup;
pub mod event;
pub mod filter;
pub mod found;
pub mod helper;
pub mod member;
pub mod state;
pub mod timewait;
pub mod wakeup;

pub use event::Event;
