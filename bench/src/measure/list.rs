//! Measures how long lists of sockets take, beside ss and netstat.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::{progress::Progress, turns::from};
use crate::{
    child::Child,
    load::{hold::hold, time_wait},
    places,
    process::Process,
    report::list::{Sample, Sockets},
};

/// Processes, and connections in each, of which both ends are there: 100,000 sockets.
const PROCESSES: usize = 2_000;
const CONNECTIONS_EACH: usize = 25;

/// Sockets in TIME_WAIT, and how many have to be left while they are listed. It lasts a minute.
const WAITING: u64 = 1_000_000;
const WAITING_AT_LEAST: u64 = 990_000;

/// Few others, which would be listed, too.
const FEW: u64 = 500;

/// What is measured: with holders (`-p`), and without.
const HELD: [&str; 6] = ["list -tan", "ss -tan", "list -tanp", "ss -tanp", "netstat -tan", "netstat -tanp"];
/// Nobody holds what is in TIME_WAIT.
const TIME_WAIT: [&str; 3] = ["list -tan", "ss -tan", "netstat -tan"];

/// Measures all commands, on sockets that are held and on those in TIME_WAIT.
pub(crate) fn measure(rounds: u32, scratch: &Path) -> Result<Vec<Sample>> {
    time_wait::wait_for_at_most(FEW)?;
    let crowd = hold(PROCESSES, CONNECTIONS_EACH)?;
    let mut samples = in_turns(Sockets::Held, &HELD, rounds, || Ok(()), scratch)?;
    drop(crowd);
    samples.extend(in_time_wait(rounds, scratch)?);
    Ok(samples)
}

/// In a network namespace of a thread's own, which may have so many. The host's stay as they are.
fn in_time_wait(rounds: u32, scratch: &Path) -> Result<Vec<Sample>> {
    let measured = || {
        // SAFETY: descriptors stay shared.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("making a network namespace")?;
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("starting ip")?;
        ensure!(up.success(), "the loopback device is not up: {up}");
        let fill = || {
            if time_wait::sockets()? >= WAITING_AT_LEAST {
                return Ok(());
            }
            time_wait::wait_for_at_most(0)?;
            time_wait::fill(WAITING)
        };
        in_turns(Sockets::TimeWait, &TIME_WAIT, rounds, fill, scratch)
    };
    thread::scope(|scope| scope.spawn(measured).join()).map_err(|_| anyhow!("a thread panicked"))?
}

/// `fill` sees to it before each round that there is enough to list.
fn in_turns(
    sockets: Sockets,
    commands: &[&str],
    rounds: u32,
    fill: impl Fn() -> Result<()>,
    scratch: &Path,
) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let count = u32::try_from(commands.len()).unwrap_or(u32::MAX);
    let mut progress = Progress::new(sockets.name(), rounds * count);
    for round in 1..=rounds {
        fill()?;
        for command in from(commands, round) {
            progress.next(command);
            samples.push(sample(round, sockets, command, scratch).with_context(|| command.to_owned())?);
        }
    }
    Ok(samples)
}

fn sample(round: u32, sockets: Sockets, command: &str, scratch: &Path) -> Result<Sample> {
    let out = scratch.join("list");
    let (name, flags) = command.split_once(' ').unwrap_or((command, ""));
    let mut program = Command::new(program(name)?);
    if name == "list" {
        program.arg(name);
    }
    program.arg(flags).stdin(Stdio::null()).stdout(File::create(&out)?);
    let mut peak_mib = 0.0;
    // It may end while it is looked at.
    let look = |pid| peak_mib = Process::of(pid).peak_mib().unwrap_or_default().max(peak_mib);
    let seconds = Child::start(&mut program)?.run(look)?.as_secs_f64();
    let lines = BufReader::new(File::open(&out)?).split(b'\n').count() as u64;
    Ok(Sample { round, sockets, command: command.to_owned(), seconds, peak_mib, lines })
}

fn program(name: &str) -> Result<PathBuf> {
    match name {
        "list" => places::built("tracer"),
        other => places::on_path(&[other]).with_context(|| format!("{other} is not on the path")),
    }
}
