//! The loads that contestants are measured on.
//!
//! # Layout
//!
//! `churn` makes connections that come and go, `hold` some that stay. `service` is a service with its
//! clients: `nginx` and `wrk`. `time_wait` tells how full TIME_WAIT is, which makes the kernel slower.

pub(crate) mod churn;
pub(crate) mod hold;
mod nginx;
pub(crate) mod service;
pub(crate) mod time_wait;
mod wrk;
