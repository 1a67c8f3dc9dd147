//! What is played.

pub(crate) mod check;
pub(crate) mod hooks;
pub(crate) mod kernel;
pub(crate) mod load;
pub(crate) mod oracle;
pub(crate) mod story;
