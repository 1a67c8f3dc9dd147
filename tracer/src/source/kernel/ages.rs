//! How long sockets have been in their states at least, from stamps that netlink does not tell (`tracer list`). The
//! programs only read; nothing is attached that could slow the host.

use std::collections::HashMap;

use crate::source::kernel::{
    preflight, privileges,
    sockets::{Ages, Sockets},
};

/// The iterators that tell it, and what they have told last.
pub(in crate::source) struct KnownAges {
    sockets: Sockets,
    ages: Option<Ages>,
}

impl KnownAges {
    /// Loads the iterators; `None` where that is not allowed, or the kernel has no types.
    pub(in crate::source) fn load() -> Option<Self> {
        privileges::check().ok()?;
        let layout = preflight::hook(&preflight::btf(None).ok()?).ok()?;
        let types = aya::Btf::from_sys_fs().ok()?;
        let sockets = Sockets::load(&layout, &types).inspect_err(|error| log::debug!("{error}")).ok()?;
        Some(Self { sockets, ages: None })
    }

    /// Those of this thread's network namespace, in milliseconds, by cookie; perhaps with others.
    pub(in crate::source) fn here(&mut self) -> Option<&HashMap<u64, u32>> {
        if !self.ages.as_ref().is_some_and(|ages| ages.are_of_all) {
            self.ages = self.sockets.ages_ms().inspect_err(|error| log::debug!("{error}")).ok();
        }
        self.ages.as_ref().map(|ages| &ages.by_cookie)
    }
}
