//! `cargo xtask instructions`: counts the instructions per event, from the ring buffer's bytes to the bytes
//! of output.
//!
//! Times say little on a noisy machine, but instructions are the same in every run. Their counts are kept in
//! the repository, and the tests compare with them.

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
    /// Write the counts into tracer/benches/instructions.txt
    #[arg(long)]
    update: bool,
}

impl Args {
    /// The arguments without `--update`.
    pub(crate) fn check() -> Self {
        Self { update: false }
    }
}

/// The command lines of `tracer` whose instructions are counted.
const WAYS: [&str; 6] = [
    "log --time utc",
    "log -o json",
    "log -o csv",
    "log --raw --time utc",
    "life --time utc",
    "life -o json",
];

/// Connections of the two runs, with ten events each. Startup and shutdown cancel out in the difference.
const FEW: u64 = 1000;
const MANY: u64 = 3000;
const EVENTS: u64 = (MANY - FEW) * 10;

/// A count may grow by so many percent before it has to be confirmed with `--update`.
const TOLERANCE: u64 = 5;

/// The same, if the kept counts were made with another compiler.
const TOLERANCE_OF_COMPILERS: u64 = 20;

const KEPT: &str = "tracer/benches/instructions.txt";

/// Builds the program whose instructions are counted.
pub(crate) fn build() -> Result<()> {
    let example = ["--package", "tcp-tracer", "--example", "whole_way"];
    run(cargo().current_dir(root()).args(["build", "--quiet", "--release", "--locked"]).args(example))
}

/// Counts, then compares with the kept counts or replaces them.
pub(crate) fn instructions(args: &Args) -> Result<ExitCode> {
    setup::packages(setup::INSTRUCTIONS)?;
    build()?;
    let compiler = output(Command::new("rustc").arg("-V"))?;
    let mut record = format!("# Instructions per event, by `cargo xtask instructions --update`. {compiler}");
    let kept = fs::read_to_string(root().join(KEPT)).unwrap_or_default();
    let before = parse(&kept);
    let tolerance = if kept.contains(compiler.trim()) { TOLERANCE } else { TOLERANCE_OF_COMPILERS };
    let mut grown = Vec::new();
    for way in WAYS {
        let count = count(way, MANY)?.saturating_sub(count(way, FEW)?) / EVENTS;
        writeln!(record, "{count:>6} {way}")?;
        let before = before.get(way).copied();
        println!("{count:>6} instructions per event, {}: {way}", change(before, count));
        // A command line without a kept count counts as grown: it should have one.
        if before.is_none_or(|before| count * 100 > before * (100 + tolerance)) {
            grown.push(way);
        }
    }
    if args.update {
        fs::write(root().join(KEPT), record)?;
        println!("wrote {KEPT}");
    } else if !grown.is_empty() {
        bail!(
            "more than {tolerance} % more instructions than in {KEPT}: {}. If that is intended: cargo xtask instructions --update",
            grown.join(", ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts the instructions of a whole run of the program.
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

// The figures are only printed.
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
