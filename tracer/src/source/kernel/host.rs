//! The host that runs, for the header of a recording.

use std::{fs, thread};

use rustix::{
    system::uname,
    time::{ClockId, clock_gettime},
};

use crate::{recording::header::Header, source::kernel::clock::WallClock, text::escape::tamed};

/// What the hash of the machine id is for: it differs from that of other programs.
const PURPOSE: &str = "tracer 2026-11 machine id of a recording";

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
        machine: machine().unwrap_or_default(),
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

/// A hash of the machine id, which itself should not be given away (machine-id(5)).
fn machine() -> Option<String> {
    let id = fs::read("/etc/machine-id").ok()?;
    let id = id.trim_ascii();
    let hash = blake3::derive_key(PURPOSE, id);
    (!id.is_empty()).then(|| format!("{:032x}", u128::from_be_bytes(*hash.first_chunk().unwrap_or(&[0; 16]))))
}
