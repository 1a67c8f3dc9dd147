//! Measurements of tracer alone: its size, its start, its memory, and an idle host.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    contestant::{CONTESTANTS, Contestant},
    fleet, interrupt,
    load::{hold::hold, time_wait},
    places,
    process::Process,
    replay::replay,
    report::figure::Figure,
    stats::median,
};

/// Name of a figure: share of a core on an idle host.
pub(crate) const IDLE_CPU: &str = "idle CPU";
/// Name of a figure: wakeups on an idle host.
pub(crate) const IDLE_WAKEUPS: &str = "idle wakeups";
/// Name of a figure: time to start on a busy host.
pub(crate) const READY: &str = "ready on a busy host";
/// Name of a figure: memory with many connections.
pub(crate) const MEMORY: &str = "peak beside ring with 100,000 connections";
/// Name of a figure: size of the program.
pub(crate) const BINARY: &str = "release binary";

/// A measurement: its name on the command line, and the function that does it.
type Scene = (&'static str, fn(&Path) -> Result<Vec<Figure>>);

/// All measurements. Those that need a quiet host come first.
pub(crate) const SCENES: &[Scene] = &[
    ("binary", binary),
    ("idle", idle),
    ("ready", ready),
    ("memory", memory),
    ("replay", replay),
    (fleet::NAME, fleet::fleet),
];

const IDLE: Duration = Duration::from_secs(10);
/// Wait after a start, whose last work must not count.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// The busy host: many processes, each with both ends of a few connections.
const PROCESSES: usize = 1_000;
const CONNECTIONS_EACH: usize = 5;
const STARTS: usize = 9;

/// Processes that hold many connections, and connections in each: few enough for a process's descriptors.
/// On the loopback, tracer sees two connections for each, one per end; together they are the 100,000.
const HOLDERS: usize = 10;
const HELD_EACH: usize = 5_000;

/// So few sockets in TIME_WAIT do not disturb a measurement.
const FEW: u64 = 500;

fn log() -> Result<&'static Contestant> {
    CONTESTANTS.iter().find(|contestant| contestant.name == "log").context("no log among the contestants")
}

#[expect(clippy::cast_precision_loss, reason = "no program is that large")]
fn binary(_: &Path) -> Result<Vec<Figure>> {
    let bytes = fs::metadata(places::built("tracer")?).context("the release build of tracer")?.len();
    Ok(vec![Figure::new(BINARY, bytes as f64 / 1e6, "MB")])
}

#[expect(clippy::cast_precision_loss, reason = "ten seconds")]
fn idle(scratch: &Path) -> Result<Vec<Figure>> {
    time_wait::wait_for_at_most(0)?;
    let running = log()?.start(scratch)?;
    interrupt::sleep(SETTLE_TIME)?;
    let process = Process::of(running.pid());
    let (cpu_ns, wakeups) = (process.cpu_ns()?, process.wakeups()?);
    interrupt::sleep(IDLE)?;
    let cpu_ns = process.cpu_ns()?.saturating_sub(cpu_ns);
    let wakeups = process.wakeups()?.saturating_sub(wakeups);
    running.finish(scratch)?;
    let idle_s = IDLE.as_secs_f64();
    Ok(vec![
        Figure::new(IDLE_CPU, cpu_ns as f64 / 1e9 / idle_s * 100.0, "%"),
        Figure::new(IDLE_WAKEUPS, wakeups as f64 / idle_s, "/s"),
    ])
}

fn ready(scratch: &Path) -> Result<Vec<Figure>> {
    time_wait::wait_for_at_most(FEW)?;
    let crowd = hold(PROCESSES, CONNECTIONS_EACH)?;
    let mut starts_ms = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let running = log()?.start(scratch)?;
        starts_ms.push(running.ready.as_secs_f64() * 1e3);
        running.finish(scratch)?;
    }
    drop(crowd);
    let middle = median(starts_ms).context("no start")?;
    Ok(vec![Figure::new(READY, middle, "ms")])
}

fn memory(scratch: &Path) -> Result<Vec<Figure>> {
    // Started first, so that it sees the beginning of each connection and keeps everything about it.
    let running = log()?.start(scratch)?;
    let held = hold(HOLDERS, HELD_EACH)?;
    let process = Process::of(running.pid());
    process.wait_until_idle()?;
    let peak = process.peak_memory()?;
    running.finish(scratch)?;
    drop(held);
    Ok(vec![Figure::new(MEMORY, peak.beside_ring_mib * 1.048_576, "MB")])
}
