//! Counters of the kernel programs, and the kernel's own counters about them.

use std::{
    cell::Cell,
    fs::File,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::FileExt as _,
    },
    thread,
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuArray},
    programs::Program,
};
use tracer_common::event::Counter;

use crate::source::kernel::{
    HOOK,
    error::with_causes,
    hook::{PROGRAMS, take_map},
};

/// The counters of a loaded object.
pub(super) struct ProgramCounts {
    per_cpu: PerCpuArray<MapData, u64>,
    /// `fdinfo` of the first program on the tracepoint. It is opened once, because it is read often.
    first_program: Option<File>,
    /// `fdinfo` of the optional hooks' programs.
    optional_programs: Vec<File>,
    /// The last [`Self::missed`].
    missed: Cell<u64>,
    /// It was said that the counters cannot be read.
    is_told: Cell<bool>,
}

impl ProgramCounts {
    /// Takes the counters of an object whose programs are loaded.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        let first_program = ebpf.program(HOOK).and_then(fdinfo);
        let others = ebpf.programs().filter(|(name, _)| !PROGRAMS.contains(name));
        let optional_programs = others.filter_map(|(_, program)| fdinfo(program)).collect();
        Ok(Self {
            per_cpu: PerCpuArray::try_from(take_map(ebpf, "COUNTS")?)?,
            first_program,
            optional_programs,
            missed: Cell::new(0),
            is_told: Cell::new(false),
        })
    }

    /// The sum of a counter over all CPUs; `None` if it cannot be read.
    pub(super) fn of(&self, counter: Counter) -> Option<u64> {
        match self.per_cpu.get(&(counter as u32), 0) {
            Ok(per_cpu) => {
                log::trace!("{counter:?} per CPU: {:?}", &*per_cpu);
                Some(per_cpu.iter().sum())
            }
            Err(error) => {
                if !self.is_told.replace(true) {
                    let cause = with_causes(&error);
                    log::warn!(
                        "the kernel program's counters cannot be read, so losses are not known: {cause}"
                    );
                }
                None
            }
        }
    }

    /// How many events neither of the two programs has seen: the kernel skipped the first because it was
    /// already running on that CPU, and the second did not report the event either.
    pub(super) fn missed(&self) -> Option<u64> {
        let skipped = self.skipped_by_kernel()?;
        let unreported = || Some(skipped.saturating_sub(self.of(Counter::Nested)?));
        let missed = settled(self.missed.get(), unreported, || thread::sleep(SECOND_READING))?;
        self.missed.set(missed);
        Some(missed)
    }

    /// How many events of optional hooks may be lost: the ring buffer was full, or the kernel skipped the
    /// program.
    pub(super) fn lost_incidents(&self) -> Option<u64> {
        let skipped: Option<u64> = self.optional_programs.iter().map(recursion_misses).sum();
        Some(skipped? + self.of(Counter::LostIncidents)?)
    }

    fn skipped_by_kernel(&self) -> Option<u64> {
        self.first_program.as_ref().and_then(recursion_misses)
    }
}

/// How many of the skips that were read are unreported. The second program counts its work a moment after the kernel has
/// counted the skip; a loss that is none would make durations unknown. So if there seem to be more than are `known`,
/// they are read once more after a pause.
fn settled(known: u64, unreported: impl Fn() -> Option<u64>, pause: impl FnOnce()) -> Option<u64> {
    let mut count = unreported()?;
    if count > known {
        pause();
        count = unreported()?;
    }
    Some(count.max(known))
}

/// How long the second program takes at most.
const SECOND_READING: Duration = Duration::from_millis(1);

/// How often the kernel skipped a program because it would have interrupted itself on a CPU: a softirq in
/// the middle of a task's event. Linux counts that since 5.12, and skips programs on tracepoints since 6.2.
fn recursion_misses(info_of: &File) -> Option<u64> {
    // The file has a dozen short lines.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(known: u64, readings: &[u64]) -> (u64, usize) {
        let at = Cell::new(0);
        let read = || {
            let reading = readings.get(at.get()).copied();
            at.set(at.get() + 1);
            reading
        };
        (settled(known, read, || {}).unwrap(), at.get())
    }

    #[test]
    fn a_loss_is_believed_when_it_stays() {
        assert_eq!(settle(0, &[1, 0]), (0, 2), "the second program had not counted yet");
        assert_eq!(settle(0, &[1, 1]), (1, 2));
        assert_eq!(settle(1, &[1]), (1, 1), "what is known is not read again");
        assert_eq!(settle(1, &[0]), (1, 1), "it does not shrink");
    }
}
