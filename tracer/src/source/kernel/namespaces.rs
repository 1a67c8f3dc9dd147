//! The network namespaces of the host: where they are, going into them, and the kernel's counters
//! of each.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    ops::RangeInclusive,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{clock::monotonic_ns, track::tally::Counts};

/// Where namespaces without a process may be kept.
const KEPT: [&str; 2] = ["/run/netns", "/run/docker/netns"];

/// The namespaces that can be seen, by inode number, each with a file that stands for it. Files
/// are not kept open: that would keep the namespaces alive.
#[must_use]
pub fn all() -> HashMap<u32, PathBuf> {
    let mut found = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = processes.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    let of_processes = numbered.map(|entry| entry.path().join("ns/net"));
    let kept = KEPT.into_iter().flat_map(fs::read_dir).flatten().flatten().map(|entry| entry.path());
    for path in of_processes.chain(kept) {
        // Processes end while we look; there may be many in one namespace.
        if let Ok(metadata) = fs::metadata(&path)
            && let Ok(inum) = u32::try_from(metadata.ino())
        {
            found.entry(inum).or_insert(path);
        }
    }
    found
}

/// Moves this thread into a namespace.
pub fn enter(inum: u32, path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    if file.metadata()?.ino() != u64::from(inum) {
        // The process that stood for it has gone elsewhere.
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// The counters of the namespace that this thread is in, and during which time they were read.
pub fn counters() -> io::Result<(Counts, RangeInclusive<u64>)> {
    let from_ns = monotonic_ns();
    let text = fs::read_to_string("/proc/thread-self/net/snmp")?;
    let counts = parse(&text).ok_or(io::ErrorKind::InvalidData)?;
    Ok((counts, from_ns..=monotonic_ns()))
}

/// How long the namespace that this thread is in leaves an orphan in FIN_WAIT2.
#[must_use]
pub fn fin_timeout_ns() -> Option<u64> {
    let seconds: u64 = fs::read_to_string("/proc/sys/net/ipv4/tcp_fin_timeout").ok()?.trim().parse().ok()?;
    seconds.checked_mul(1_000_000_000)
}

/// Names and numbers stand in two lines that both begin with `Tcp:`.
fn parse(snmp: &str) -> Option<Counts> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let of: HashMap<&str, &str> = names.split_whitespace().zip(numbers.split_whitespace()).collect();
    let count = |name: &str| of.get(name)?.parse().ok();
    Some(Counts {
        opened: count("ActiveOpens")?,
        accepted: count("PassiveOpens")?,
        failed: count("AttemptFails")?,
        reset: count("EstabResets")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_is_among_them() {
        let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
        assert!(all().contains_key(&u32::try_from(own).unwrap()));
    }

    #[test]
    fn counters_are_found_by_name() {
        let text = "Ip: A B\nIp: 1 2\nTcp: X ActiveOpens PassiveOpens AttemptFails EstabResets Y\nTcp: -1 2 3 4 5 6\n";
        assert_eq!(parse(text), Some(Counts { opened: 2, accepted: 3, failed: 4, reset: 5 }));
        assert_eq!(parse("Tcp: ActiveOpens\nTcp: x"), None);
        assert_eq!(parse(""), None);
        assert!(counters().is_ok());
    }
}
