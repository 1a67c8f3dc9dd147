//! The tcpstates of libbpf-tools and of bcc, if this machine has them.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{Counts, Kind, Ready};
use crate::places;

/// Distributions' names for the one of libbpf-tools, which is written in C.
pub(super) const LIBBPF_TOOLS: &[&str] = &["tcpstates", "bpf-tcpstates"];
/// The same for bcc's, which is written in Python and compiles its BPF program when it starts.
pub(super) const BCC: &[&str] = &["tcpstates-bpfcc"];

/// tcpstates prints nothing when it is ready.
pub(super) static KIND: Kind =
    Kind { is_here, command, ready: Ready::Loaded, attaches_within: Duration::from_millis(500), counts };

fn is_here(names: &[&str]) -> bool {
    places::on_path(names).is_some()
}

fn command(names: &[&str]) -> Result<Command> {
    Ok(Command::new(places::on_path(names).context("no tcpstates")?))
}

fn counts(output: &Path, stderr: &str) -> Result<Counts> {
    let lines = BufReader::new(File::open(output)?).split(b'\n').count() as u64;
    // The first line is the header.
    Ok(Counts { seen: Some(lines.saturating_sub(1)), lost: Some(lost(stderr)) })
}

/// The sum of lines such as `lost 123 events on CPU #1!` (C) or `Possibly lost 123 samples` (Python).
fn lost(stderr: &str) -> u64 {
    let words = |line: &str| line.split("lost ").nth(1)?.split(' ').next()?.parse::<u64>().ok();
    stderr.lines().filter_map(words).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn losses_of_both_add_up() {
        let stderr = "lost 12 events on CPU #0!\nPossibly lost 3 samples\nnothing else lost here";
        assert_eq!(super::lost(stderr), 15);
    }
}
