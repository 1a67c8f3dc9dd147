//! bpftrace, with a script that prints the fields of the classic tracepoint.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::Result;

use super::{Counts, Kind, Ready};
use crate::places;

const SCRIPT: &str = r#"tracepoint:sock:inet_sock_set_state /args->protocol == 6/ {
  printf("= %llu %p %d %s %d %s %d %s %d %d %d\n", nsecs, args->skaddr, pid, comm, args->family,
    ntop(args->saddr_v6), args->sport, ntop(args->daddr_v6), args->dport, args->oldstate, args->newstate);
}"#;

/// bpftrace prints a line before it attaches, and none afterwards.
pub(super) static KIND: Kind = Kind {
    is_here: |_| places::on_path(&[PROGRAM]).is_some(),
    command,
    ready: Ready::Line("Attaching tracepoint:"),
    attaches_within: Duration::from_millis(500),
    counts,
};

const PROGRAM: &str = "bpftrace";

#[expect(clippy::unnecessary_wraps, reason = "the other kinds' functions can fail")]
fn command(_: &[&str]) -> Result<Command> {
    let mut command = Command::new(PROGRAM);
    // It prints the line about attaching only with -v.
    command.args(["-v", "-e", SCRIPT]);
    Ok(command)
}

fn counts(output: &Path, stderr: &str) -> Result<Counts> {
    let mut counts = Counts { seen: Some(0), lost: Some(lost(stderr)) };
    for line in BufReader::new(File::open(output)?).split(b'\n') {
        let line = line?;
        if line.starts_with(b"= ") {
            counts.seen = counts.seen.map(|seen| seen + 1);
        } else if let Ok(text) = std::str::from_utf8(&line) {
            counts.lost = counts.lost.map(|sum| sum + lost(text));
        }
    }
    Ok(counts)
}

/// The sum of lines such as `Lost 123 events`.
fn lost(text: &str) -> u64 {
    let counts = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Lost ")?.strip_suffix(" events")?.parse::<u64>().ok());
    counts.sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn losses_add_up() {
        assert_eq!(super::lost("INFO: x\nLost 12 events\nLost 3 events"), 15);
    }
}
