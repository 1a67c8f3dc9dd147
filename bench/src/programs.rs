//! BPF programs in the kernel: whose they are, how often they ran, and for how long.

use std::{collections::HashSet, fs, os::fd::OwnedFd};

use anyhow::{Context as _, Result};
use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};
use serde::{Deserialize, Serialize};

/// How often programs ran, and for how long.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RunStats {
    /// Runs of all programs together.
    pub runs: u64,
    /// The time that these runs took.
    pub time_ns: u64,
}

/// Ids of the programs that a process holds. Programs that others load meanwhile are not among them.
pub(crate) fn of(pid: u32) -> HashSet<u32> {
    // The process may have ended, and a descriptor may be closed meanwhile.
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .filter_map(|it| program_id(&it))
        .collect()
}

/// The program's id, if the descriptor is a program or a link to one.
fn program_id(fdinfo: &str) -> Option<u32> {
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
}

/// Makes the kernel measure the runs of all programs until the descriptor is closed. Unlike the sysctl, that
/// ends even if the bench is killed.
pub(crate) fn measure_runs() -> Result<OwnedFd> {
    enable_stats(Stats::RunTime).context("asking the kernel for statistics of BPF programs")
}

/// The runs of these programs so far.
pub(crate) fn run_stats(ids: &HashSet<u32>) -> RunStats {
    let mut stats = RunStats::default();
    for program in loaded_programs().flatten().filter(|program| ids.contains(&program.id())) {
        stats.runs += program.run_count();
        stats.time_ns += u64::try_from(program.run_time().as_nanos()).unwrap_or(u64::MAX);
    }
    stats
}

impl RunStats {
    /// The runs since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { runs: self.runs - before.runs, time_ns: self.time_ns - before.time_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_links_have_an_id() {
        let program =
            "pos:\t0\nflags:\t02000002\nprog_type:\t5\nprog_tag:\t0123\nmemlock:\t4096\nprog_id:\t42\n";
        assert_eq!(program_id(program), Some(42));
        let link = "pos:\t0\nlink_type:\tperf\nlink_id:\t7\nprog_tag:\t0123\nprog_id:\t43\n";
        assert_eq!(program_id(link), Some(43));
        assert_eq!(program_id("pos:\t0\nmap_type:\t27\nmap_id:\t9\n"), None);
    }
}
