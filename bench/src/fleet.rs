//! The questions of `examples/fleet`, on made data of a thousand hosts.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{places, report::figure::Figure};

/// Name of this part on the command line.
pub(crate) const NAME: &str = "fleet";
/// Name of a figure: the question that takes longest.
pub(crate) const SLOWEST: &str = "fleet, slowest question";

/// Makes the data, asks, and removes the data: under a gigabyte, on the disk, as users have it.
pub(crate) fn fleet(_: &Path) -> Result<Vec<Figure>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let base = places::folder()?;
    std::fs::create_dir_all(&base)?;
    let data = tempfile::Builder::new().prefix("fleet-").tempdir_in(base)?;
    let mut python = Command::new(root.join("target/tools/python/bin/python"));
    python.arg(root.join("bench/fleet.py")).arg(root.join("examples/fleet")).arg(data.path());
    let output = python.stderr(std::process::Stdio::inherit()).output().context("starting Python")?;
    ensure!(output.status.success(), "bench/fleet.py failed: {}", output.status);
    let mut figures = Vec::new();
    let mut slowest = 0.0_f64;
    for line in String::from_utf8(output.stdout)?.lines() {
        let (name, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
        let value: f64 = value.parse().with_context(|| line.to_owned())?;
        let unit = if name == "rows" { "" } else { "s" };
        if unit == "s" && !name.ends_with("CPU time") {
            slowest = slowest.max(value);
        }
        figures.push(Figure::new(&format!("{NAME}, {name}"), value, unit));
    }
    figures.push(Figure::new(SLOWEST, slowest, "s"));
    Ok(figures)
}
