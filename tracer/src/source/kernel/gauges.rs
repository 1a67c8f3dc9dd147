//! Reading the gauges of network namespaces, in parts if there are many.

use std::{
    collections::{HashMap, HashSet},
    io,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use crate::{
    facts::gauges::{EphemeralPorts, Gauges, NetnsGauges},
    source::kernel::{
        clock::monotonic_ns,
        namespaces,
        proc_net::{count, net, pair, sysctl, sysctl_number},
    },
    tcp::netns::{Inum, NetnsId},
};

/// How long namespaces are visited at once.
const VISITS: Duration = Duration::from_millis(100);

/// The gauges that are known, and whose are read next.
#[derive(Default)]
pub(super) struct GaugeTour {
    known: HashMap<Inum, (NetnsId, NetnsGauges)>,
    /// The namespaces that are still to be read before all are read again.
    unread: Vec<Inum>,
    /// It was said that gauges cannot be read.
    is_told: bool,
}

impl GaugeTour {
    /// Whether all have been read.
    pub(super) fn is_over(&self) -> bool {
        self.unread.is_empty()
    }

    /// Begins to read those of all namespaces. The last one in `order` is the first.
    pub(super) fn begin(&mut self, order: Vec<Inum>) {
        let there: HashSet<_> = order.iter().collect();
        self.known.retain(|inum, _| there.contains(inum));
        self.unread = order;
    }

    /// Reads as many as there is time for. `enter` returns whether the thread is in a namespace then.
    pub(super) fn go_on(&mut self, mut enter: impl FnMut(Inum) -> bool) -> Gauges {
        let deadline = Instant::now() + VISITS;
        let mut failure = None;
        while Instant::now() < deadline
            && let Some(inum) = self.unread.pop()
        {
            if !enter(inum) {
                self.known.remove(&inum);
                continue;
            }
            match here() {
                Ok(gauges) => _ = self.known.insert(inum, (namespaces::here(inum), gauges)),
                // What was read before stays: what the kernel counts meanwhile is told with the next reading.
                Err(error) => failure = Some(error.to_string()),
            }
        }
        if self.known.is_empty() && self.is_over() {
            failure.get_or_insert_with(|| "none can be entered".into());
        }
        if let Some(cause) = failure
            && !std::mem::replace(&mut self.is_told, true)
        {
            log::warn!("what the kernel counts in network namespaces cannot be read: {cause}");
        }
        Gauges { read_ns: monotonic_ns(), by_netns: self.known.values().cloned().collect() }
    }
}

/// Reads those of this thread's network namespace.
fn here() -> io::Result<NetnsGauges> {
    let read_ns = monotonic_ns();
    let (snmp, netstat, sockstat) = (net("snmp")?, net("netstat")?, net("sockstat")?);
    let gauges = parse(&snmp, &netstat, &sockstat).ok_or(io::ErrorKind::InvalidData)?;
    let max_orphans = sysctl_number("ipv4/tcp_max_orphans");
    Ok(NetnsGauges {
        read_ns,
        counts: namespaces::kernel_counts(&snmp, &netstat),
        max_timewait: sysctl_number("ipv4/tcp_max_tw_buckets"),
        orphans: gauges.orphans.filter(|_| max_orphans.is_some()),
        max_orphans,
        ports: ports(),
        ..gauges
    })
}

fn parse(snmp: &str, netstat: &str, sockstat: &str) -> Option<NetnsGauges> {
    let extended = |name: &str| count(netstat, "TcpExt:", name);
    Some(NetnsGauges {
        listen_overflows: extended("ListenOverflows")?,
        listen_drops: extended("ListenDrops")?,
        syncookies_sent: extended("SyncookiesSent")?,
        request_queue_drops: extended("TCPReqQFullDrop")?,
        time_wait_overflows: extended("TCPTimeWaitOverflow")?,
        no_routes: count(snmp, "Ip:", "OutNoRoutes")?,
        timewait: pair(sockstat, "TCP:", "tw")?,
        orphans: pair(sockstat, "TCP:", "orphan"),
        ..NetnsGauges::default()
    })
}

fn ports() -> Option<EphemeralPorts> {
    let range = sysctl("ipv4/ip_local_port_range").ok()?;
    let (first, last) = range.trim().split_once(char::is_whitespace)?;
    let reserved = sysctl("ipv4/ip_local_reserved_ports").ok()?;
    let range = first.parse().ok()?..=last.trim().parse().ok()?;
    Some(EphemeralPorts::new(range, port_ranges(reserved.trim())?))
}

/// Parses ports such as `8080,9148-9150`.
fn port_ranges(text: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let ranges = text.split(',').filter(|range| !range.is_empty()).map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 4.16 shows them, without most counters. Newer kernels have more, also between these.
    const SNMP: &str = "Ip: Forwarding OutNoRoutes ReasmTimeout\nIp: 1 2 0\nTcp: RtoAlgorithm\nTcp: 1\n";
    const NETSTAT: &str = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPTimeWaitOverflow TCPReqQFullDrop\n\
                           TcpExt: 4 5 6 7 8\nIpExt: InNoRoutes\nIpExt: 99\n";
    const SOCKSTAT: &str =
        "sockets: used 31\nTCP: inuse 1 orphan 9 tw 10 alloc 1 mem 0\nUDP: inuse 0 mem 0\n";

    #[test]
    fn counters_are_found_in_their_files() {
        let expected = NetnsGauges {
            syncookies_sent: 4,
            listen_overflows: 5,
            listen_drops: 6,
            time_wait_overflows: 7,
            request_queue_drops: 8,
            no_routes: 2,
            orphans: Some(9),
            timewait: 10,
            ..NetnsGauges::default()
        };
        assert_eq!(parse(SNMP, NETSTAT, SOCKSTAT), Some(expected));
        let newer = NETSTAT.replace("ListenDrops", "New ListenDrops").replace("5 6", "5 77 6");
        assert_eq!(parse(SNMP, &newer, SOCKSTAT).unwrap().listen_drops, 6);
    }

    #[test]
    fn files_that_lack_something_tell_nothing() {
        assert_eq!(parse("", NETSTAT, SOCKSTAT), None);
        assert_eq!(parse(SNMP, NETSTAT, "TCP: inuse 1 tw\n"), None);
        for name in
            ["SyncookiesSent", "ListenOverflows", "ListenDrops", "TCPTimeWaitOverflow", "TCPReqQFullDrop"]
        {
            assert_eq!(parse(SNMP, &NETSTAT.replace(name, "x"), SOCKSTAT), None, "{name}");
        }
        let too_large = NETSTAT.replace("4 5", "4 18446744073709551616");
        assert_eq!(parse(SNMP, &too_large, SOCKSTAT), None);
    }

    #[test]
    fn lists_of_ports_are_understood() {
        assert_eq!(port_ranges(""), Some(Vec::new()));
        assert_eq!(port_ranges("8080,9148-9150"), Some(vec![8080..=8080, 9148..=9150]));
        for wrong in ["x", "1-", "-1", "1-2-3", "65536", "1 2"] {
            assert_eq!(port_ranges(wrong), None, "{wrong}");
        }
    }
}
