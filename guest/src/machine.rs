//! What an init does before and after everything else.

use std::{fs, process::Command};

use rustix::{
    mount::{MountFlags, mount},
    system::{RebootCommand, reboot},
};
use tests::program::run;

/// Where what is mounted.
const MOUNTS: [(&str, &str); 7] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tracefs", "/sys/kernel/tracing"),
    ("bpf", "/sys/fs/bpf"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
];

/// Modules in the order in which they load, one path a line.
const MODULES: &str = "/modules";

/// Mounts, modules, loopback.
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
    // The host tells from the console that it ended by itself.
    let _ = reboot(RebootCommand::Restart);
}
