//! Measures what tracer costs, compared with other tools. All contestants take turns in one run, on the same
//! load, and next to each of them the untraced load is measured.
//!
//! Everything runs in the host's own network namespace, as tracer does for its users. The load leaves sockets
//! in TIME_WAIT, which make ports scarcer and the kernel slower, up to a plateau. TIME_WAIT is filled up to
//! that plateau before each measurement. The output of contestants goes into memory (a tmpfs) and is
//! discarded, because the speed of a disk is not tracer's. The kernel's statistics of BPF programs cost
//! throughput themselves, so they are taken in a second window.
//!
//! # Layout
//! - `cli`: the command line
//! - `contestant`: the tools that are measured, and how they run
//! - `load`: the loads that they are measured on
//! - `measure`: measures contestants in rounds
//! - `scenes`: measures tracer alone: size, start, memory, an idle host; `replay`: how fast recordings
//!   are shown; `fleet`: questions about many hosts
//! - `report`: the results, as they are kept in JSON
//! - `targets`: the bounds that tracer has to meet
//! - `render`: the results as tables and as a chart
//! - `reader`: loads the C programs that tracer is compared with
//! - `child`, `process`, `programs`: run other programs, and read what the kernel knows of processes and of
//!   BPF programs
//! - `interrupt`, `places`, `stats`: Ctrl-C, paths, statistics

mod child;
mod cli;
mod contestant;
mod fleet;
mod interrupt;
mod load;
mod measure;
mod places;
mod process;
mod programs;
mod reader;
mod render;
mod replay;
mod report;
mod scenes;
mod stats;
mod targets;

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;

use crate::{
    cli::{Args, Verb},
    render::{chart::chart, tables},
    report::{Report, pair::ROUNDS_AT_LEAST, verdict::Verdict},
};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    interrupt::install()?;
    if let Some(Verb::Reader { object }) = &args.verb {
        reader::read(object)?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        !(args.check && args.against.is_some() && args.rounds() < ROUNDS_AT_LEAST),
        "--check of two builds needs at least {ROUNDS_AT_LEAST} rounds"
    );
    let report = match &args.from {
        Some(file) => read(file)?,
        None => measure::measure(args)?,
    };
    // Printed first, so that the results are not lost if a file cannot be written.
    print!("{}", tables(&report));
    if args.from.is_none() {
        let file = args.json.clone().map_or_else(|| places::folder().map(|at| at.join("report.json")), Ok)?;
        write(&file, &serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(file) = &args.svg {
        write(file, &chart(&report))?;
    }
    Ok(if args.check { check(&report) } else { ExitCode::SUCCESS })
}

/// Reads an earlier report. The targets may have changed since, so the figures are judged again.
fn read(file: &Path) -> Result<Report> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let mut report: Report = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a report of this bench", file.display()))?;
    report.verdicts = targets::verdicts(&report);
    Ok(report)
}

fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::write(file, text.to_owned() + "\n").with_context(|| format!("writing {}", file.display()))?;
    eprintln!("bench: wrote {}", file.display());
    Ok(())
}

fn check(report: &Report) -> ExitCode {
    let missed: Vec<_> = report.verdicts.iter().filter(|verdict| verdict.is_met == Some(false)).collect();
    for verdict in &missed {
        let Verdict { what, asked, .. } = verdict;
        let advice = if verdict.is_unclear { "; it may be noise, which more rounds would show" } else { "" };
        eprintln!("bench: missed: {what}: {}, asked {asked}{advice}", verdict.measured());
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
