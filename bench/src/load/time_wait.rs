//! How full TIME_WAIT is.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

use crate::interrupt;

/// After so many seconds, all sockets that are in TIME_WAIT now are gone: it takes a minute.
const LASTS_S: u32 = 80;

/// How many sockets are in TIME_WAIT in this network namespace.
pub(crate) fn sockets() -> Result<u64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let mut words = text.split_whitespace().skip_while(|word| *word != "tw");
    words.nth(1).context("no tw in /proc/net/sockstat")?.parse().context("tw in /proc/net/sockstat")
}

/// How many the kernel allows. Beyond that, connections end without TIME_WAIT.
pub(crate) fn limit() -> Result<u64> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_max_tw_buckets")?;
    text.trim().parse().context("tcp_max_tw_buckets")
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
