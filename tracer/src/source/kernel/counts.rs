//! What the kernel programs count, and what the kernel counts of them.

use std::{
    fs::File,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::FileExt as _,
    },
};

use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuArray},
    programs::Program,
};
use tracer_common::event::Counter;

use crate::source::kernel::{
    HOOK,
    hook::{PROGRAMS, take},
};

/// The counters of an object.
pub(super) struct ProgramCounts {
    per_cpu: PerCpuArray<MapData, u64>,
    /// What the kernel says of the first program. It is read often, and opened once.
    program: Option<File>,
    /// What it says of the programs of hooks that can be done without. None of them has a second one.
    optional: Vec<File>,
}

impl ProgramCounts {
    /// Of an object whose programs are loaded.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        let program = ebpf.program(HOOK).and_then(fdinfo);
        let others = ebpf.programs().filter(|(name, _)| !PROGRAMS.contains(name));
        let optional = others.filter_map(|(_, program)| fdinfo(program)).collect();
        Ok(Self { per_cpu: PerCpuArray::try_from(take(ebpf, "COUNTS")?)?, program, optional })
    }

    /// The sum over CPUs, if it can be read.
    pub(super) fn of(&self, counter: Counter) -> Option<u64> {
        match self.per_cpu.get(&(counter as u32), 0) {
            Ok(per_cpu) => {
                log::trace!("{counter:?} per CPU: {:?}", &*per_cpu);
                Some(per_cpu.iter().sum())
            }
            Err(error) => {
                log::warn!("the counter of {counter:?} events cannot be read: {error}");
                None
            }
        }
    }

    /// How many events neither of the two programs has seen: the kernel did not run the first,
    /// because it was running on that CPU already, and the second did not run in its stead.
    pub(super) fn missed(&self) -> Option<u64> {
        let skipped = self.recursion()?;
        Some(skipped.saturating_sub(self.of(Counter::Nested)?))
    }

    /// How often what is no transition may not be told: the ring buffer was full, or the kernel kept it from
    /// its program in the same way.
    pub(super) fn lost_incidents(&self) -> Option<u64> {
        let skipped: Option<u64> = self.optional.iter().map(skipped).sum();
        Some(skipped? + self.of(Counter::LostIncidents)?)
    }

    fn recursion(&self) -> Option<u64> {
        self.program.as_ref().and_then(skipped)
    }
}

/// How often the kernel skipped a program to keep it from interrupting itself (a softirq in the
/// middle of a task's event). It counts that since 5.12, and does it to programs on tracepoints since
/// 6.2.
fn skipped(info_of: &File) -> Option<u64> {
    // A dozen short lines.
    let mut info = [0; 1024];
    let len = info_of.read_at(&mut info, 0).ok()?;
    let info = str::from_utf8(&info[..len]).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
    line.map_or(Some(0), |count| count.trim().parse().ok())
}

fn fdinfo(program: &Program) -> Option<File> {
    let fd = program.fd().ok()?.as_fd().as_raw_fd();
    File::open(format!("/proc/self/fdinfo/{fd}")).ok()
}
