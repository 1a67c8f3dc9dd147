//! The loads that contestants are measured on.
//!
//! # Layout
//! - [`churn`]: connections that are opened and closed
//! - [`hold`]: connections that stay open
//! - [`service`], `nginx`, `wrk`: a service with its clients
//! - [`time_wait`]: how full TIME_WAIT is, which makes the kernel slower

pub(crate) mod churn;
pub(crate) mod hold;
mod nginx;
pub(crate) mod service;
pub(crate) mod time_wait;
mod wrk;
