//! Which processes this one can name: in a pid namespace they have other numbers than the kernel programs see.

use std::{
    collections::HashMap,
    fs::{self, DirEntry, File},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use rustix::time::{ClockId, clock_gettime};
use tracer_common::{Event, event::flag};

use crate::{facts::names::UnknownName, source::kernel::clock::monotonic_ns, text::escape::escaped};

/// `PROC_PID_INIT_INO` (`include/linux/proc_ns.h`), since 3.8.
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The inode number of this process's pid namespace.
fn pid_namespace() -> Option<u64> {
    Some(fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

/// Whether this process sees all processes of the host. In a pid namespace it sees only those in it.
pub(in crate::source) fn sees_all() -> bool {
    pid_namespace() == Some(INITIAL_PID_NAMESPACE)
}

/// Refuses process ids of another pid namespace than the host's: the kernel programs tell only those.
pub(super) fn check_ids() -> Result<(), UnknownName> {
    if pid_namespace().is_none_or(|namespace| namespace == INITIAL_PID_NAMESPACE) {
        return Ok(());
    }
    Err(UnknownName(
        "--pid: this is a pid namespace, and the pids of events are the host's: start tracer in the host's pid namespace (with `docker run --pid=host`, `hostPID: true`, or `nsenter -t 1 -p` from outside), or filter by --comm, --cgroup or --uid"
            .to_owned(),
    ))
}

/// The processes of the host, with their names; `None` if not all are seen.
pub(super) fn named() -> Option<HashMap<u32, Vec<u8>>> {
    if !sees_all() {
        return None;
    }
    let named = |entry: DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let mut comm = fs::read(entry.path().join("comm")).ok()?;
        comm.pop_if(|last| *last == b'\n');
        Some((pid, comm))
    };
    Some(fs::read_dir("/proc").ok()?.filter_map(Result::ok).filter_map(named).collect())
}

/// Marks what this process (`own_pid`, as the kernel numbers it) does as done for somebody else. While an iterator looks
/// at a file, it holds a reference to it. If its process closes it meanwhile, this one does the rest of the work
/// (`__fput`).
pub(super) fn disown(events: &mut [Event], own_pid: Option<u32>) {
    for event in events.iter_mut().filter(|event| Some(event.pid) == own_pid) {
        event.flags |= flag::KERNEL_THREAD;
    }
}

/// When a process began, in nanoseconds of the kernel's monotonic clock; `None` if it is gone. `folder`: its folder in
/// `/proc`. The kernel tells it in ticks of 10 ms since boot (`starttime` in proc_pid_stat(5)).
pub(super) fn started_ns(folder: &Path) -> Option<u64> {
    let stat = fs::read(folder.join("stat")).ok()?;
    // A name may have spaces and brackets in it: its end is the last one.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let after = str::from_utf8(stat.get(end + 1..)?).ok()?;
    let ticks: u64 = after.split_ascii_whitespace().nth(STARTTIME - 3)?.parse().ok()?;
    let started_ns = ticks.checked_mul(1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))?;
    let boot = clock_gettime(ClockId::Boottime);
    let boot_ns = u64::try_from(boot.tv_sec).ok()? * 1_000_000_000 + u64::try_from(boot.tv_nsec).ok()?;
    Some(monotonic_ns().saturating_sub(boot_ns.saturating_sub(started_ns)))
}

/// The number of that field, as the manual counts.
const STARTTIME: usize = 22;

/// The most bytes that are read of a command line.
const COMMAND_LINE: u64 = 4096;

/// The escaped command line of a process of this pid namespace, if it is that of the host.
pub(super) fn command_line(pid: u32) -> Option<String> {
    if !sees_all() {
        return None;
    }
    let mut line = Vec::new();
    File::open(format!("/proc/{pid}/cmdline")).ok()?.take(COMMAND_LINE).read_to_end(&mut line).ok()?;
    // Arguments end with zeros.
    let line: Vec<u8> = line.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
    let line = escaped(line.trim_ascii());
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;

    /// The tracker takes a kernel thread for nobody's owner.
    #[test]
    fn only_what_this_process_does_is_disowned() {
        let event = |pid| Event { pid, flags: flag::OWNED, ..Event::new_zeroed() };
        for (own_pid, flags) in [(Some(71), flag::OWNED | flag::KERNEL_THREAD), (None, flag::OWNED)] {
            let mut events = [event(70), event(71)];
            disown(&mut events, own_pid);
            assert_eq!(events.map(|event| event.flags), [flag::OWNED, flags]);
        }
    }
}
