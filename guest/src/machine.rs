//! Sets up the virtual machine and turns it off: the work of an init process.

use std::{fs, process::Command};

use rustix::{
    mount::{MountFlags, mount},
    system::{RebootCommand, reboot},
};
use tests::program::run;

/// File systems and their mount points.
const MOUNTS: [(&str, &str); 7] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tracefs", "/sys/kernel/tracing"),
    ("bpf", "/sys/fs/bpf"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
];

/// Lists the kernel modules to load, in order, one path per line.
const MODULES: &str = "/modules";

/// Mounts file systems, loads modules, and brings the loopback device up.
pub(crate) fn set_up() -> Result<(), String> {
    for (kind, place) in MOUNTS {
        fs::create_dir_all(place).map_err(|error| format!("{place}: {error}"))?;
        mount(kind, place, kind, MountFlags::empty(), None)
            .map_err(|error| format!("mounting {kind}: {error}"))?;
    }
    for module in fs::read_to_string(MODULES).unwrap_or_default().lines() {
        run(Command::new("insmod").arg(module));
    }
    run(Command::new("ip").args(["link", "set", "lo", "up"]));
    Ok(())
}

/// Turns the machine off.
pub(crate) fn off() {
    rustix::fs::sync();
    // A restart ends the virtual machine, too: the host runs it without reboots, and sees from the console
    // that it ended by itself.
    let _ = reboot(RebootCommand::Restart);
}
