//! How long sockets have been in their states at least, from stamps that netlink does not tell (`tracer list`). The
//! programs only read; nothing is attached that could slow the host.

use std::collections::HashMap;

use crate::source::kernel::{preflight, privileges, sockets::Sockets};

/// The iterators that tell it.
pub(in crate::source) struct Ages(Sockets);

impl Ages {
    /// Loads the iterators; `None` where that is not allowed, or the kernel has no types.
    pub(in crate::source) fn load() -> Option<Self> {
        privileges::check().ok()?;
        let layout = preflight::hook(&preflight::btf(None).ok()?).ok()?;
        let types = aya::Btf::from_sys_fs().ok()?;
        Sockets::load(&layout, &types).inspect_err(|error| log::debug!("{error}")).ok().map(Self)
    }

    /// Of the full sockets of this thread's network namespace, in nanoseconds, by cookie.
    pub(in crate::source) fn here(&mut self) -> HashMap<u64, u64> {
        let found = self.0.ages_ms().inspect_err(|error| log::debug!("{error}")).unwrap_or_default();
        found.into_iter().map(|(cookie, ms)| (cookie, u64::from(ms) * 1_000_000)).collect()
    }
}
