//! What tracer costs, beside what others cost: every contestant in turn in one run, on the same
//! load, next to measurements with nobody tracing.
//!
//! All is measured in the host's own network namespace, where users run tracer too. The load leaves
//! TIME_WAIT behind, which makes ports scarcer and the kernel slower up to a plateau; it is brought
//! there before the first measurement and before each one after it. What contestants write goes into
//! memory (a tmpfs) and is thrown away: a disk's speed is not tracer's. A contestant's window is
//! measured without the kernel's statistics of BPF programs, which cost throughput themselves; they
//! are taken in a second one.

mod child;
mod cli;
mod contestant;
mod interrupt;
mod load;
mod measure;
mod places;
mod process;
mod programs;
mod reader;
mod render;
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
    // First: what cannot be written is not lost then.
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

/// The targets may have changed since; they are held against the figures anew.
fn read(file: &Path) -> Result<Report> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let mut report: Report = serde_json::from_str(&text)
        .with_context(|| format!("{} is no report of this bench", file.display()))?;
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
        let advice = if verdict.is_unclear { "; noise may be all of it, and more rounds tell" } else { "" };
        eprintln!("bench: missed: {what}: {}, asked {asked}{advice}", verdict.measured());
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
