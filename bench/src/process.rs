//! CPU time, wakeups and memory of a process, from `/proc`.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use rustix::param::clock_ticks_per_second;

use crate::interrupt;

/// How often it is checked whether a process is idle.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// After so many checks a process counts as idle even if it is not.
const POLLS: u32 = 100;

/// A process with all its threads.
#[derive(Clone, Copy)]
pub(crate) struct Process(u32);

/// Peak memory of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeakMemory {
    /// All resident memory.
    pub mib: f64,
    /// The same without the buffers that it shares with the kernel.
    pub beside_ring_mib: f64,
}

impl Process {
    /// The process with this id.
    pub(crate) fn of(pid: u32) -> Self {
        Self(pid)
    }

    fn read(self, file: &str) -> Result<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.0))
            .with_context(|| format!("reading /proc/{}/{file}", self.0))
    }

    /// CPU time so far, in user space and in the kernel, in ticks.
    pub(crate) fn cpu_ticks(self) -> Result<u64> {
        let stat = self.read("stat")?;
        // The name before the last parenthesis may contain anything.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        ticks(11).zip(ticks(12)).map(|(user, system)| user + system).context("times in /proc/PID/stat")
    }

    /// The same in nanoseconds, of the threads that exist now.
    pub(crate) fn cpu_ns(self) -> Result<u64> {
        self.sum_over_threads("schedstat", |text| text.split_whitespace().next())
    }

    /// How often its threads went to sleep, and so how often they were woken.
    pub(crate) fn wakeups(self) -> Result<u64> {
        self.sum_over_threads("status", |text| value_of(text, "voluntary_ctxt_switches:"))
    }

    fn sum_over_threads(self, file: &str, value: impl Fn(&str) -> Option<&str>) -> Result<u64> {
        let mut sum = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.0))? {
            // A thread may end meanwhile.
            let Ok(text) = fs::read_to_string(thread?.path().join(file)) else { continue };
            sum += value(&text).with_context(|| format!("no such value in {file}"))?.parse::<u64>()?;
        }
        Ok(sum)
    }

    /// Its peak memory so far, in MiB.
    pub(crate) fn peak_mib(self) -> Result<f64> {
        let status = self.read("status")?;
        Ok(mib(value_of(&status, "VmHWM:").context("no VmHWM")?.parse()?))
    }

    /// Its peak memory so far. A mapped ring buffer is resident from the beginning, and counts twice: the
    /// kernel maps its data two times in a row, so that records are contiguous.
    pub(crate) fn peak_memory(self) -> Result<PeakMemory> {
        let status = self.read("status")?;
        let peak_kib: u64 = value_of(&status, "VmHWM:").context("no VmHWM")?.parse()?;
        let shared_kib = shared_kib(&self.read("smaps")?);
        Ok(PeakMemory { mib: mib(peak_kib), beside_ring_mib: mib(peak_kib.saturating_sub(shared_kib)) })
    }

    /// Waits until it has done its work and is nearly idle.
    pub(crate) fn wait_until_idle(self) -> Result<()> {
        let mut before = self.cpu_ticks()?;
        for _ in 0..POLLS {
            interrupt::sleep(POLL_INTERVAL)?;
            let now = self.cpu_ticks()?;
            if now - before <= 1 {
                break;
            }
            before = now;
        }
        Ok(())
    }
}

/// Ticks as seconds.
#[expect(clippy::cast_precision_loss, reason = "a run has few ticks")]
pub(crate) fn ticks_s(ticks: u64) -> f64 {
    ticks as f64 / clock_ticks_per_second() as f64
}

#[expect(clippy::cast_precision_loss, reason = "no process is that large")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next())
}

/// Resident memory of mapped BPF maps and perf buffers.
fn shared_kib(smaps: &str) -> u64 {
    let mut is_shared = false;
    let mut sum = 0;
    for line in smaps.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if !first.ends_with(':') {
            is_shared = line.contains("bpf-map") || line.contains("bpf_map") || line.contains("[perf_event]");
        } else if first == "Rss:" && is_shared {
            sum += value_of(line, "Rss:").and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_buffers_are_shared() {
        let smaps = "7f00-7f10 rw-s 0 00:0e 9 anon_inode:bpf-map\nSize: 8 kB\nRss: 8 kB\n\
                     7f20-7f30 rw-p 0 00:00 0 [heap]\nRss: 100 kB\n\
                     7f40-7f50 rw-s 0 00:0e 9 anon_inode:[perf_event]\nRss: 4 kB\n";
        assert_eq!(shared_kib(smaps), 12);
    }

    #[test]
    fn we_have_used_memory_and_time() {
        let ours = Process::of(std::process::id());
        assert!(ours.peak_memory().unwrap().mib > 0.1);
        assert!(ours.cpu_ns().unwrap() > 0);
    }
}
