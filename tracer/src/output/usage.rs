//! What this process uses.

use std::fs;

/// Processor time in microseconds, of all threads.
#[must_use]
pub fn cpu_us() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes a time into it.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    let us = |time: libc::timespec| {
        Some(u64::try_from(time.tv_sec).ok()? * 1_000_000 + u64::try_from(time.tv_nsec).ok()? / 1_000)
    };
    us(time).filter(|_| result == 0).unwrap_or_default()
}

/// Memory in bytes (`VmRSS`); `None` if that cannot be read.
#[must_use]
pub fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn something_is_used() {
        assert!(super::cpu_us() > 0 && super::memory().unwrap() > 1 << 20);
    }
}
