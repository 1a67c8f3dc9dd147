//! The tcpstates of libbpf-tools and of bcc, where the machine has them.

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

/// Names that distributions give the one of libbpf-tools, a program in C.
pub(super) const LIBBPF_TOOLS: &[&str] = &["tcpstates", "bpf-tcpstates"];
/// The same of bcc's, in Python; it compiles its program when it starts.
pub(super) const BCC: &[&str] = &["tcpstates-bpfcc"];

/// It says nothing when it is ready.
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

/// `lost 123 events on CPU #1!` in C, `Possibly lost 123 samples` in Python, whenever some were.
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
