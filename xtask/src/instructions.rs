//! `cargo xtask instructions`: how many instructions an event takes from bytes to bytes. On a noisy
//! machine times say little; instructions are the same in every run. They are kept in the
//! repository, and the tests compare.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    command::{cargo, output, run},
    root, setup, target,
};

/// Arguments of `instructions`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write what is counted into tracer/benches/instructions.txt
    #[arg(long)]
    update: bool,
}

impl Args {
    /// Without `--update`
    pub(crate) fn check() -> Self {
        Self { update: false }
    }
}

/// What is counted: words behind `tracer`.
const WAYS: [&str; 6] = [
    "log --time utc",
    "log -o json",
    "log -o csv",
    "log --raw --time utc",
    "life --time utc",
    "life -o json",
];

/// Connections of two runs, of ten events each: their difference has no beginning and no end in it.
const FEW: u64 = 1000;
const MANY: u64 = 3000;
const EVENTS: u64 = (MANY - FEW) * 10;

/// By how much a count may grow, in hundredths, before somebody has to say that it is meant.
const TOLERANCE: u64 = 5;

/// The same with another compiler than the one that is recorded.
const TOLERANCE_OF_COMPILERS: u64 = 20;

const KEPT: &str = "tracer/benches/instructions.txt";

/// What is counted.
pub(crate) fn build() -> Result<()> {
    let example = ["--package", "tracer", "--example", "whole_way"];
    run(cargo().current_dir(root()).args(["build", "--quiet", "--release", "--locked"]).args(example))
}

/// Counts, and compares with what is kept or replaces it.
pub(crate) fn instructions(args: &Args) -> Result<ExitCode> {
    setup::packages(setup::INSTRUCTIONS)?;
    build()?;
    let compiler = output(Command::new("rustc").arg("-V"))?;
    let mut record = format!("# Instructions an event; `cargo xtask instructions --update`. {compiler}");
    let kept = fs::read_to_string(root().join(KEPT)).unwrap_or_default();
    let before = parse(&kept);
    let tolerance = if kept.contains(compiler.trim()) { TOLERANCE } else { TOLERANCE_OF_COMPILERS };
    let mut grown = Vec::new();
    for way in WAYS {
        let count = count(way, MANY)?.saturating_sub(count(way, FEW)?) / EVENTS;
        writeln!(record, "{count:>6} {way}")?;
        let before = before.get(way).copied();
        println!("{count:>6} instructions an event, {}: {way}", change(before, count));
        // What is not kept cannot be judged, and should be.
        if before.is_none_or(|before| count * 100 > before * (100 + tolerance)) {
            grown.push(way);
        }
    }
    if args.update {
        fs::write(root().join(KEPT), record)?;
        println!("wrote {KEPT}");
    } else if !grown.is_empty() {
        bail!(
            "more than {tolerance} % more instructions than in {KEPT}: {}. If that is meant: cargo xtask instructions --update",
            grown.join(", ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Instructions of the whole program.
fn count(way: &str, connections: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.current_dir(root()).args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(target().join("release/examples/whole_way")).args([connections.to_string().as_str(), "1"]);
    let run = valgrind.args(way.split(' ')).output().context("cannot start valgrind")?;
    let said = String::from_utf8_lossy(&run.stderr);
    let counted = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match counted {
        Some(count) if run.status.success() => Ok(count),
        _ => bail!("valgrind did not count: {said}"),
    }
}

fn parse(kept: &str) -> HashMap<&str, u64> {
    let lines = kept.lines().filter_map(|line| line.trim().split_once(' '));
    lines.filter_map(|(count, way)| Some((way, count.parse().ok()?))).collect()
}

// Figures for people.
#[allow(clippy::cast_precision_loss)]
fn change(before: Option<u64>, count: u64) -> String {
    match before {
        None => "new".to_owned(),
        Some(before) if count >= before => {
            format!("{:.1} % more", 100.0 * (count - before) as f64 / before as f64)
        }
        Some(before) => format!("{:.1} % less", 100.0 * (before - count) as f64 / before as f64),
    }
}
