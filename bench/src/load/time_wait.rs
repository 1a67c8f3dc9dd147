//! How full TIME_WAIT is.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{child::Child, interrupt, places::built};

/// How many the kernel allows in a network namespace.
const LIMIT: &str = "/proc/sys/net/ipv4/tcp_max_tw_buckets";

/// After so many seconds, all sockets that are in TIME_WAIT now are gone: it takes a minute.
const LASTS_S: u32 = 80;

/// How many sockets are in TIME_WAIT in the network namespace of this thread.
pub(crate) fn sockets() -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/sockstat")?;
    let mut words = text.split_whitespace().skip_while(|word| *word != "tw");
    words.nth(1).context("no tw in sockstat")?.parse().context("tw in sockstat")
}

/// How many the kernel allows. Beyond that, connections end without TIME_WAIT.
pub(crate) fn limit() -> Result<u64> {
    let text = fs::read_to_string(LIMIT)?;
    text.trim().parse().context("tcp_max_tw_buckets")
}

/// Makes so many, in a network namespace that has no others. TIME_WAIT lasts a minute, of which this takes
/// some.
pub(crate) fn fill(sockets: u64) -> Result<()> {
    fs::write(LIMIT, (sockets * 2).to_string()).context(LIMIT)?;
    let mut command = Command::new(built("load")?);
    let mut load = Child::start(command.args(["time-wait", "--sockets", &sockets.to_string()]))?;
    let status = load.wait(Duration::from_secs(LASTS_S.into()))?;
    ensure!(status.success(), "TIME_WAIT cannot be filled: {}", load.stderr());
    Ok(())
}

/// Waits until no more than `most` sockets are in TIME_WAIT, at most as long as TIME_WAIT takes.
pub(crate) fn wait_for_at_most(most: u64) -> Result<()> {
    for second in 0..LASTS_S {
        let sockets = sockets()?;
        if sockets <= most {
            return Ok(());
        }
        if second == 0 {
            eprintln!("bench: waiting for {} sockets in TIME_WAIT to go", sockets - most);
        }
        interrupt::sleep(Duration::from_secs(1))?;
    }
    Ok(())
}
