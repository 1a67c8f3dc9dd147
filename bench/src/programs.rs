//! What the kernel says of BPF programs.

use std::{collections::HashSet, os::fd::OwnedFd};

use anyhow::{Context as _, Result};
use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};
use serde::{Deserialize, Serialize};

/// How often programs ran, and how long.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ran {
    /// Runs, all programs together.
    pub runs: u64,
    /// The time that they took.
    pub time_ns: u64,
}

/// The programs that there are.
pub(crate) fn loaded() -> HashSet<u32> {
    // One that goes away while we look is none of ours.
    loaded_programs().flatten().map(|program| program.id()).collect()
}

/// The kernel measures every program's runs while this is there; it stops with the descriptor,
/// whatever becomes of us, as the sysctl would not.
pub(crate) fn measure() -> Result<OwnedFd> {
    enable_stats(Stats::RunTime).context("asking the kernel for statistics of BPF programs")
}

/// How these have run up to now.
pub(crate) fn ran(ids: &HashSet<u32>) -> Ran {
    let mut ran = Ran::default();
    for program in loaded_programs().flatten().filter(|program| ids.contains(&program.id())) {
        ran.runs += program.run_count();
        ran.time_ns += u64::try_from(program.run_time().as_nanos()).unwrap_or(u64::MAX);
    }
    ran
}

impl Ran {
    /// What happened since then.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { runs: self.runs - before.runs, time_ns: self.time_ns - before.time_ns }
    }
}
