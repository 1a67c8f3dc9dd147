//! The host that runs, for the header of a recording.

use std::{fs, thread};

use rustix::{
    system::uname,
    time::{ClockId, clock_gettime},
};

use crate::{recording::header::Header, source::kernel::clock::WallClock, text::escape::tamed};

/// What the hashes are for: they differ from those of other programs.
const MACHINE: &str = "tracer 2026-11 machine id of a recording";
const BOOT: &str = "tracer 2026-12 boot id of a recording";

/// What this host is, and the time.
#[must_use]
pub fn header() -> Header {
    let system = uname();
    let begun_ns = WallClock::default().if_changed().map_or(0, |anchor| anchor.wall_ns);
    let uptime = clock_gettime(ClockId::Boottime);
    let uptime_ns = uptime.tv_sec.saturating_mul(1_000_000_000).saturating_add(uptime.tv_nsec);
    Header {
        tracer: env!("CARGO_PKG_VERSION").to_owned(),
        host: name(),
        // The machine id itself should not be given away (machine-id(5)).
        machine: hash_of("/etc/machine-id", MACHINE).unwrap_or_default(),
        boot: hash_of("/proc/sys/kernel/random/boot_id", BOOT).unwrap_or_default(),
        release: system.release().to_string_lossy().into_owned(),
        arch: system.machine().to_string_lossy().into_owned(),
        cpus: thread::available_parallelism().map_or(0, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
        booted_ns: begun_ns.saturating_sub(uptime_ns),
        begun_ns,
        ..Header::default()
    }
}

/// The name of this host, with nothing that does harm on a terminal.
#[must_use]
pub fn name() -> String {
    tamed(uname().nodename().to_string_lossy().into_owned())
}

/// A hash of what is in a file, for this purpose.
fn hash_of(file: &str, purpose: &str) -> Option<String> {
    let id = fs::read(file).ok()?;
    let id = id.trim_ascii();
    let hash = blake3::derive_key(purpose, id);
    (!id.is_empty()).then(|| format!("{:032x}", u128::from_be_bytes(*hash.first_chunk().unwrap_or(&[0; 16]))))
}
