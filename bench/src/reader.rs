//! `bench reader`: loads one of the C programs, and discards its events.

use std::{
    fs,
    io::{Write as _, stdout},
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{MapData, PerCpuArray, RingBuf},
    programs::BtfTracePoint,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use tracer::source::kernel::buffer::BufferSize;
use tracer_common::{
    Event,
    event::RECORD_SIZE,
    wakeup::{PAUSE_NS, TICK_NS},
};

use crate::interrupt;

const HOOK: &str = "inet_sock_set_state";
/// Time for a program that is running on another CPU to end after it was detached.
const IN_FLIGHT: Duration = Duration::from_millis(2);
/// Bounds a wait, because a signal may come just before the wait begins.
const LONGEST_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
#[expect(clippy::cast_possible_wrap, reason = "milliseconds")]
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: TICK_NS as i64 };

/// What a reader reports at its end. The counts are `None` if the program sends no events.
#[derive(Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// Events read.
    pub seen: Option<u64>,
    /// Events for which the ring buffer had no room, or that happened while the program was running on the
    /// same CPU.
    pub lost: Option<u64>,
}

/// Loads the program, reads until interrupted, and prints the receipt.
pub(crate) fn read(object: &Path) -> Result<()> {
    let size = BufferSize::default();
    let wake_bytes = size.wake_bytes();
    let mut loader = EbpfLoader::new();
    loader
        .override_global("WAKE_BYTES", &wake_bytes, false)
        .override_global("PAUSE_NS", &PAUSE_NS, false)
        .override_global("RECORD_SIZE", &RECORD_SIZE, false)
        .map_max_entries("EVENTS", size.bytes());
    let mut ebpf = loader.load_file(object).with_context(|| format!("loading {}", object.display()))?;
    let ring = ebpf.take_map("EVENTS").map(RingBuf::try_from).transpose()?;
    let program: &mut BtfTracePoint = ebpf.program_mut(HOOK).context("no program")?.try_into()?;
    program.load(HOOK, &Btf::from_sys_fs()?)?;
    let link = program.attach()?;
    eprintln!("bench: ready");
    let mut drain = Drain { ring, seen: 0 };
    drain.until_interrupted()?;
    let program: &mut BtfTracePoint = ebpf.program_mut(HOOK).context("no program")?.try_into()?;
    program.detach(link)?;
    thread::sleep(IN_FLIGHT);
    drain.take()?;
    let is_reporting = drain.ring.is_some();
    let receipt = Receipt {
        seen: is_reporting.then_some(drain.seen),
        lost: is_reporting.then(|| lost(&ebpf)).transpose()?,
    };
    writeln!(stdout(), "{}", serde_json::to_string(&receipt)?)?;
    Ok(())
}

struct Drain {
    ring: Option<RingBuf<MapData>>,
    seen: u64,
}

impl Drain {
    fn until_interrupted(&mut self) -> Result<()> {
        while !interrupt::is_requested() {
            // As tracer does: polls while events come, and else waits to be woken.
            let wait = if self.take()? > 0 { TICK } else { LONGEST_WAIT };
            let waited = match &self.ring {
                Some(ring) => poll(&mut [PollFd::new(ring, PollFlags::IN)], Some(&wait)),
                None => poll(&mut [], Some(&LONGEST_WAIT)),
            };
            match waited {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for events"),
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Result<u64> {
        let mut taken = 0;
        while let Some(record) = self.ring.as_mut().and_then(RingBuf::next) {
            ensure!(record.len() == size_of::<Event>(), "a record is no event");
            taken += 1;
        }
        self.seen += taken;
        Ok(taken)
    }
}

fn lost(ebpf: &Ebpf) -> Result<u64> {
    let counts: PerCpuArray<_, u64> = ebpf.map("LOST").context("no map")?.try_into()?;
    let no_room: u64 = counts.get(&0, 0)?.iter().sum();
    let program: &BtfTracePoint = ebpf.program(HOOK).context("no program")?.try_into()?;
    let fd = program.fd()?.as_fd().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
    let missed = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
    Ok(no_room + missed.map_or(Ok(0), |count| count.trim().parse::<u64>())?)
}
