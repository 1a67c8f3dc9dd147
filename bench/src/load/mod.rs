//! The loads that contestants are measured on.

pub(crate) mod churn;
pub(crate) mod hold;
pub(crate) mod time_wait;
