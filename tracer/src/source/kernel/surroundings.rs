//! What the tracer needs of `/proc` and `/sys`, which a container may hide.

use std::fs::File;

use rustix::fs::{PROC_SUPER_MAGIC, statfs};

use crate::source::kernel::{namespaces::FIN_TIMEOUT, proc_net::sysctl};

/// The CPUs that may ever be online: as many values as the kernel's counters have.
const POSSIBLE_CPUS: &str = "/sys/devices/system/cpu/possible";

/// What is hidden, each with what is not known therefore, and what to do. `hidepid` hides nothing more than missing
/// capabilities do: it asks for the same ones as the files of a process that are read.
#[must_use]
pub fn hidden() -> Vec<&'static str> {
    let is_proc = statfs("/proc").is_ok_and(|stat| stat.f_type == PROC_SUPER_MAGIC);
    // `subset=pid` leaves the processes only.
    let has_settings = !is_proc || sysctl(FIN_TIMEOUT).is_ok();
    let has_sys = File::open(POSSIBLE_CPUS).is_ok();
    let proc = "/proc is hidden: network namespaces, the kernel's own counters and the number of lost events are not known; `mount -t proc proc /proc` shows them";
    let settings = "/proc/sys is hidden: why an orphan's FIN_WAIT2 has ended is not always known; `mount -t proc proc /proc` (without `subset=pid`) shows it";
    let sys = "/sys is hidden: the number of lost events is not known; `mount -t sysfs sysfs /sys` shows it";
    [(is_proc, proc), (has_settings, settings), (has_sys, sys)]
        .into_iter()
        .filter(|(is_there, _)| !is_there)
        .map(|(_, says)| says)
        .collect()
}
