//! What is played.

pub(crate) mod check;
pub(crate) mod costs;
pub(crate) mod hooks;
pub(crate) mod in_kernel;
pub(crate) mod kernel;
pub(crate) mod load;
pub(crate) mod locked;
pub(crate) mod oracle;
pub(crate) mod story;
pub(crate) mod time_wait;
