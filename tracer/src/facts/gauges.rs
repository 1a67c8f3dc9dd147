//! Gauges of network namespaces: what the kernel counts only for a whole namespace, and its limits there.
//!
//! What is not told is `None`, or the namespace is missing.

use std::{collections::HashMap, ops::RangeInclusive};

use crate::{facts::counts::KernelCounts, tcp::netns::NetnsId};

/// What the kernel counts in each network namespace, and its limits there.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Gauges {
    /// When they were read, in nanoseconds of the kernel's monotonic clock; 0 if never. With thousands of
    /// namespaces some are older: [`NetnsGauges::read_ns`].
    pub read_ns: u64,
    /// Those of each namespace that could be entered and read.
    pub by_netns: HashMap<NetnsId, NetnsGauges>,
}

impl Gauges {
    /// The gauges of a namespace.
    #[must_use]
    pub fn of(&self, netns: NetnsId) -> Option<&NetnsGauges> {
        let without_cookie = NetnsId { cookie: 0, ..netns };
        let exact = self.by_netns.get(&netns).or_else(|| self.by_netns.get(&without_cookie));
        exact.or_else(|| {
            if netns.cookie != 0 {
                return None;
            }
            self.by_netns.iter().find_map(|(other, gauges)| netns.may_be(*other).then_some(gauges))
        })
    }
}

/// The gauges of a network namespace. Unless a field says otherwise, the kernel counts for this namespace alone and
/// since it was made, and has the limit for it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct NetnsGauges {
    /// When they were read, in nanoseconds of the kernel's monotonic clock.
    pub read_ns: u64,
    /// The counters of connections; `None` in older recordings, and where the kernel does not show them all.
    pub counts: Option<KernelCounts>,
    /// `ListenOverflows`: SYNs and last ACKs of handshakes for which an accept queue had no room. A client
    /// that repeats its own counts again.
    pub listen_overflows: u64,
    /// `ListenDrops`: the same, and those that were dropped for another reason.
    pub listen_drops: u64,
    /// `SyncookiesSent`.
    pub syncookies_sent: u64,
    /// `TCPReqQFullDrop`: SYNs for which there was no room among the half-open connections, without SYN cookies.
    pub request_queue_drops: u64,
    /// `TCPTimeWaitOverflow`: connections without a TIME_WAIT, because there were `max_timewait` or no memory.
    pub time_wait_overflows: u64,
    /// `OutNoRoutes` of IPv4: what could not be sent because there is no route. A connect that fails so
    /// (`ENETUNREACH`) changes no state. UDP and forwarded packets count, too.
    pub no_routes: u64,
    /// Timewait sockets, also those in FIN_WAIT2, of IPv4 and IPv6.
    pub timewait: u64,
    /// Their limit, `net.ipv4.tcp_max_tw_buckets`.
    pub max_timewait: Option<u64>,
    /// Orphans of the whole host. Only the first namespace tells: others show the same number without a limit.
    pub orphans: Option<u64>,
    /// Their limit, `net.ipv4.tcp_max_orphans`, which only the first namespace has.
    pub max_orphans: Option<u64>,
    /// The ports that connects get.
    pub ports: Option<EphemeralPorts>,
}

/// The local ports from which the kernel chooses: `net.ipv4.ip_local_port_range` without
/// `net.ipv4.ip_local_reserved_ports`. They are those of IPv6, too.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "Ranges")]
pub struct EphemeralPorts {
    range: RangeInclusive<u16>,
    /// Those in the range, in order, none twice.
    reserved: Vec<RangeInclusive<u16>>,
}

/// The same from a recording, in which they may be anything.
#[derive(serde::Deserialize)]
struct Ranges {
    range: RangeInclusive<u16>,
    reserved: Vec<RangeInclusive<u16>>,
}

impl From<Ranges> for EphemeralPorts {
    fn from(Ranges { range, reserved }: Ranges) -> Self {
        Self::new(range, reserved)
    }
}

impl EphemeralPorts {
    /// The ports of a range without reserved ones, which may be in any order, overlap, and reach beyond it.
    #[must_use]
    pub fn new(range: RangeInclusive<u16>, mut reserved: Vec<RangeInclusive<u16>>) -> Self {
        reserved.sort_unstable_by_key(|ports| *ports.start());
        let mut next = u32::from(*range.start());
        reserved.retain_mut(|ports| {
            let first = u32::from(*ports.start()).max(next);
            let last = *ports.end().min(range.end());
            next = next.max(u32::from(last) + 1);
            u16::try_from(first).is_ok_and(|first| {
                *ports = first..=last;
                first <= last
            })
        });
        Self { range, reserved }
    }

    /// How many there are.
    #[must_use]
    pub fn available(&self) -> u64 {
        let reserved: usize = self.reserved.iter().map(ExactSizeIterator::len).sum();
        (self.range.len() - reserved) as u64
    }

    /// Whether this port is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let at = self.reserved.partition_point(|ports| *ports.end() < port);
        self.range.contains(&port) && !self.reserved.get(at).is_some_and(|ports| ports.contains(&port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_found_by_its_number_and_cookie() {
        let gauges = |listen_drops| NetnsGauges { listen_drops, ..NetnsGauges::default() };
        let known = [(NetnsId::new(7, 1), gauges(1)), (NetnsId::new(8, 0), gauges(2))];
        let all = Gauges { read_ns: 1, by_netns: HashMap::from(known) };
        let drops = |inum, cookie| all.of(NetnsId::new(inum, cookie)).map(|found| found.listen_drops);
        assert_eq!((drops(7, 1), drops(7, 0), drops(7, 2)), (Some(1), Some(1), None));
        assert_eq!((drops(8, 0), drops(8, 5), drops(9, 0)), (Some(2), Some(2), None));
    }

    #[test]
    fn reserved_ports_are_counted_once() {
        let ports = EphemeralPorts::new(100..=299, vec![250..=400, 1..=99, 110..=119, 115..=120, 112..=113]);
        assert_eq!(ports.available(), 200 - 50 - 11);
        let free: Vec<_> = (0..=u16::MAX).filter(|port| ports.contains(*port)).collect();
        assert_eq!(free.len() as u64, ports.available());
        assert_eq!((free[0], free[10], free[free.len() - 1]), (100, 121, 249));
    }

    #[test]
    fn all_ports_may_be_ephemeral_or_none() {
        let available = |range, reserved| EphemeralPorts::new(range, reserved).available();
        assert_eq!(available(0..=u16::MAX, Vec::new()), 65_536);
        assert_eq!(available(0..=u16::MAX, vec![0..=u16::MAX, 0..=u16::MAX, u16::MAX..=u16::MAX]), 0);
        assert_eq!(available(1..=u16::MAX, vec![u16::MAX..=u16::MAX, RangeInclusive::new(5, 4)]), 65_534);
        assert_eq!(available(RangeInclusive::new(9, 8), vec![1..=20]), 0);
    }
}
