//! The scenarios. Each panics when something is wrong.
//!
//! # Layout
//! - [`kernel`]: release and type information of the kernel
//! - [`check`]: the output of `tracer check`
//! - [`load`], [`locked`]: loading the kernel programs, also with little lockable memory
//! - [`oracle`]: `--raw` compared with the kernel's trace buffer
//! - [`story`]: owner, role and reason of known connections
//! - [`in_kernel`]: the counts of `summary --in-kernel`
//! - [`hooks`]: what the optional hooks report
//! - [`time_wait`]: a whole TIME_WAIT
//! - [`costs`]: CPU time of the kernel programs

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
