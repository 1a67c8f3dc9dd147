//! The scenarios. Each panics when something is wrong.
//!
//! # Layout
//! - [`kernel`]: release and type information of the kernel
//! - [`check`]: the output of `tracer check`
//! - [`load`], [`locked`]: loading the kernel programs, also with little lockable memory
//! - [`list`]: `tracer list` beside `ss`
//! - [`oracle`]: `--raw` compared with the kernel's trace buffer
//! - [`story`]: owner, role and reason of known connections
//! - [`owners`]: owners of a prefork server's connections, and of a TLS socket
//! - [`in_kernel`]: the counts of `summary --in-kernel`
//! - [`hooks`]: what the optional hooks report
//! - [`vrf`]: the same addresses and ports in two VRFs
//! - [`time_wait`]: a whole TIME_WAIT
//! - [`power_cut`]: a recording on a disk, before and after a power cut
//! - [`costs`]: CPU time of the kernel programs

pub(crate) mod check;
pub(crate) mod costs;
pub(crate) mod hooks;
pub(crate) mod in_kernel;
pub(crate) mod kernel;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod locked;
pub(crate) mod oracle;
pub(crate) mod owners;
pub(crate) mod power_cut;
pub(crate) mod story;
pub(crate) mod time_wait;
pub(crate) mod vrf;

use std::panic::resume_unwind;

use tests::{program::Ended, tracer};

/// What was played while a tracer ran. If that failed, and the tracer has lost events, the reason may be a line that is
/// missing: then nothing.
pub(crate) fn unless_lost<Played>(played: std::thread::Result<Played>, ended: &Ended) -> Option<Played> {
    match played {
        Ok(played) => {
            assert_eq!(ended.code(), 0, "{}", ended.err);
            Some(played)
        }
        Err(_) if tracer::receipt(ended, "lost") > 0 => None,
        Err(panic) => resume_unwind(panic),
    }
}
