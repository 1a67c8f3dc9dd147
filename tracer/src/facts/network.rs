//! The network interfaces and routes that are there now, as `tracer list -i` and `-r` show them.

use std::net::IpAddr;

use crate::tcp::{endpoint::Family, netns::NetnsId};

/// A name of an interface, padded with zeros (`IFNAMSIZ`). The kernel allows nearly any bytes in it.
pub type InterfaceName = [u8; 16];

/// What an interface counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received that were bad.
    pub rx_errors: u64,
    /// Packets received that were dropped, by the kernel or because the device had no room.
    pub rx_dropped: u64,
    /// Packets that came faster than the device takes them.
    pub rx_overruns: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
    /// Packets to be sent that were dropped.
    pub tx_dropped: u64,
    /// Packets that the device did not take in time.
    pub tx_overruns: u64,
}

/// A network interface, or a label that one of its addresses has.
#[derive(Clone, Debug)]
pub struct NetworkInterface {
    /// Its network namespace.
    pub netns: NetnsId,
    /// Its name, or the label.
    pub name: InterfaceName,
    /// Its index.
    pub index: u32,
    /// The most bytes that a packet may have.
    pub mtu: Option<u32>,
    /// Properties: `IFF_UP` and its like (`linux/if.h`).
    pub flags: u32,
    /// The kernel's number of its operational state (RFC 2863).
    pub state: Option<u8>,
    /// Its hardware address as text.
    pub hardware_addr: Option<String>,
    /// What it counts; `None` for a label, which shares its interface's counts.
    pub traffic: Option<Traffic>,
}

impl NetworkInterface {
    /// The flag of an interface that is up.
    pub const UP: u32 = 1;
}

/// What a route is for, by the kernel's numbers (`RTN_UNICAST` and its like).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteKind(pub u8);

impl RouteKind {
    /// Others make it, and say so with an error.
    pub const UNREACHABLE: Self = Self(7);
    const NAMES: [&str; 12] = [
        "unspec",
        "unicast",
        "local",
        "broadcast",
        "anycast",
        "multicast",
        "blackhole",
        "unreachable",
        "prohibit",
        "throw",
        "nat",
        "xresolve",
    ];

    /// Its name, as `ip route` has it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::NAMES.get(usize::from(self.0)).copied()
    }

    /// Whether packets are answered by an ICMP error.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self.name(), Some("unreachable" | "prohibit"))
    }

    /// Whether packets to it go to no device.
    #[must_use]
    pub fn leads_nowhere(self) -> bool {
        self.is_refused() || matches!(self.name(), Some("blackhole" | "throw"))
    }

    /// Whether it is for packets to several hosts.
    #[must_use]
    pub fn is_to_many(self) -> bool {
        matches!(self.name(), Some("broadcast" | "multicast"))
    }
}

/// What a route tells TCP; `None` where it tells nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteMetrics {
    /// Bits of the metrics that are locked.
    pub locked: u32,
    /// The most bytes that a packet may have.
    pub mtu: Option<u32>,
    /// The largest window.
    pub window: Option<u32>,
    /// Round-trip time to begin with, in eighths of milliseconds.
    pub rtt: Option<u32>,
    /// The largest segment that is advertised to peers.
    pub advmss: Option<u32>,
}

/// What only `/proc/net/ipv6_route` tells of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteUse {
    /// Flags of the kernel (`RTF_UP` and its like).
    pub flags: u32,
    /// References to it.
    pub references: u32,
    /// How often it was looked up; current kernels do not count that.
    pub uses: u32,
}

/// A next hop of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its number, from 1.
    pub number: u32,
    /// Its share of the traffic.
    pub weight: u32,
}

/// A route; of one with several next hops, one of them.
#[derive(Clone, Debug)]
pub struct NetworkRoute {
    /// Its network namespace.
    pub netns: NetnsId,
    /// Its address family.
    pub family: Family,
    /// The destination.
    pub destination: IpAddr,
    /// How many leading bits of the destination count.
    pub prefix_len: u8,
    /// The next router; `None` if the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The name of the interface; `None` if it has none.
    pub interface: Option<InterfaceName>,
    /// The number of its table; `None` if only `/proc` tells of it.
    pub table: Option<u32>,
    /// What it is for.
    pub kind: RouteKind,
    /// Who has made it, by the kernel's number.
    pub protocol: Option<u8>,
    /// Its priority: the lowest is taken.
    pub metric: u32,
    /// The address that packets get.
    pub source: Option<IpAddr>,
    /// What it tells TCP.
    pub metrics: RouteMetrics,
    /// The number of the nexthop object that it uses.
    pub nexthop: Option<u32>,
    /// Which one of several next hops this is.
    pub hop: Option<Hop>,
    /// Whether it goes away by itself.
    pub expires: bool,
    /// The rest.
    pub in_use: Option<RouteUse>,
}

impl NetworkRoute {
    /// Whether only the number of its nexthop object is known.
    #[must_use]
    pub fn is_unresolved(&self) -> bool {
        let leads = self.gateway.is_some() || self.interface.is_some() || self.hop.is_some();
        self.nexthop.is_some() && !leads
    }
}

/// What was found of a network.
#[derive(Clone, Debug)]
pub struct Network<T> {
    /// Interfaces or routes.
    pub found: Vec<T>,
    /// What could not be listed, and why.
    pub missing: Vec<String>,
}

impl<T> Default for Network<T> {
    fn default() -> Self {
        Self { found: Vec::new(), missing: Vec::new() }
    }
}
