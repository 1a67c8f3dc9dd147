//! bcc's tcpstates, if the machine has it.

use std::{
    env,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::contestant::{Counts, Kind};

pub(crate) const NAME: &str = "tcpstates";

/// Names that distributions give it.
const PROGRAMS: [&str; 2] = ["tcpstates-bpfcc", "tcpstates"];

/// It says nothing when it is ready, so it is given the time that its compiler takes.
pub(crate) static KIND: Kind = Kind { command, ready: "", attaches_within: Duration::from_secs(10), counts };

/// Where it is.
pub(crate) fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut candidates = env::split_paths(&path).flat_map(|folder| PROGRAMS.map(|name| folder.join(name)));
    candidates.find(|program| program.is_file())
}

fn command(_: &[&str]) -> Result<Command> {
    Ok(Command::new(program().context("no tcpstates")?))
}

fn counts(output: &Path, _: &str) -> Result<Counts> {
    let lines = BufReader::new(File::open(output)?).split(b'\n').count() as u64;
    // The first is the header. Losses are mentioned, but not added up in one way by all versions.
    Ok(Counts { seen: Some(lines.saturating_sub(1)), lost: None })
}
