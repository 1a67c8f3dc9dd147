//! tracer as it ships. Its counts come from its receipt, which does not count lines without an event, such as
//! those about the end of TIME_WAIT.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};

use super::{Counts, Kind, Ready};
use crate::places;

pub(super) static KIND: Kind = Kind {
    is_here: |_| true,
    command: |arguments| Ok(command(&places::built("tracer")?, arguments)),
    ready: Ready::Line("tracer: ready"),
    attaches_within: Duration::ZERO,
    counts,
};

/// The command line for a build of tracer.
pub(super) fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    // For `top`: a terminal with the usual abilities.
    command.args(arguments).env("TERM", "xterm-256color");
    command
}

fn counts(_: &Path, stderr: &str) -> Result<Counts> {
    let receipt = stderr.lines().find(|line| line.contains(", lost ")).context("no receipt")?;
    // Events that the filter in the kernel held back were seen, too.
    let seen = word(receipt, "seen ").or_else(|| word(receipt, "counted "));
    let all = seen.max(word(receipt, "filtered "));
    Ok(Counts { seen: all, lost: word(receipt, "lost ") })
}

fn word(line: &str, before: &str) -> Option<u64> {
    line.split(before).nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(line: &str) -> Counts {
        counts(Path::new(""), &format!("tracer: ready\n{line}\n")).unwrap()
    }

    #[test]
    fn receipts_of_both_kinds() {
        let log = "tracer: seen 381764, shown 550971, filtered 0, lost 3; 169248 tell what was found";
        assert_eq!(counted(log), Counts { seen: Some(381_764), lost: Some(3) });
        let line = "tracer: counted 255000, filtered 0, lost 0";
        assert_eq!(counted(line), Counts { seen: Some(255_000), lost: Some(0) });
    }

    #[test]
    fn what_is_unknown_is_not_zero() {
        assert_eq!(counted("tracer: seen 1, shown 1, filtered 0, lost unknown").lost, None);
    }
}
