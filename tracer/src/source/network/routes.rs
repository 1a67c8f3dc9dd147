//! Routes, as netlink tells them.

use std::{collections::HashMap, io, net::IpAddr};

use netlink_packet_core::{NlaBuffer, NlasIterator, ParseableParametrized as _};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteLwEnCapType, RouteMessage, RouteMetric,
        RouteNextHop, RouteVia,
    },
};

use crate::{
    facts::network::{Hop, InterfaceName, NetworkRoute, RouteKind, RouteMetrics},
    source::{
        netlink::{Dump, Netlink},
        network::nexthops,
    },
    tcp::{endpoint::Family, netns::NetnsId},
};

/// Bytes of a message's header (`struct rtmsg`).
const HEADER: usize = 12;

/// The attributes that are read (`RTA_DST` and its like in `linux/rtnetlink.h`). What else a route may have, such as an
/// encapsulation, is not shown, and need not be understood.
const SHOWN: [u16; 10] = [1, 4, 5, 6, 7, 8, 9, 12, 15, 18];

/// The number of a nexthop object (`RTA_NH_ID`).
const NEXTHOP: u16 = 30;

/// Lists the routes of a family: of IPv4 those of the main table, of IPv6 those of all tables, as netstat does.
pub(super) fn list(
    netlink: &mut Netlink,
    netns: NetnsId,
    family: Family,
    names: &HashMap<u32, InterfaceName>,
) -> io::Result<(Vec<NetworkRoute>, Dump)> {
    let mut request = RouteMessage::default();
    match family {
        Family::Ipv4 => {
            request.header.address_family = AddressFamily::Inet;
            request.header.table = RouteHeader::RT_TABLE_MAIN;
        }
        Family::Ipv6 => request.header.address_family = AddressFamily::Inet6,
    }
    let mut found = Vec::new();
    let dump = netlink.dump(RouteNetlinkMessage::GetRoute(request), &mut |payload| {
        let route = Route::read(netns, family, names, payload)?;
        let is_shown = match family {
            Family::Ipv4 => {
                route.base.table == Some(RouteHeader::RT_TABLE_MAIN.into()) && !route.base.kind.is_to_many()
            }
            Family::Ipv6 => true,
        };
        if is_shown && !route.is_cached {
            route.push_to(&mut found);
        }
        Ok(())
    });
    match dump {
        // The table has never had a route.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok((Vec::new(), Dump::Whole)),
        dump => {
            let (found, nexthops) = nexthops::resolve(netlink, names, found)?;
            Ok((found, dump?.and(nexthops)))
        }
    }
}

/// A route while it is read.
struct Route<'a> {
    names: &'a HashMap<u32, InterfaceName>,
    base: NetworkRoute,
    next_hops: Vec<RouteNextHop>,
    is_cached: bool,
}

impl<'a> Route<'a> {
    fn read(
        netns: NetnsId,
        family: Family,
        names: &'a HashMap<u32, InterfaceName>,
        payload: &[u8],
    ) -> io::Result<Self> {
        let header = RouteHeader::parse(payload).map_err(io::Error::other)?;
        let mut route = Self {
            names,
            base: NetworkRoute {
                netns,
                family,
                destination: unspecified(family),
                prefix_len: header.destination_prefix_length,
                gateway: None,
                interface: None,
                table: Some(header.table.into()),
                kind: RouteKind(header.kind.into()),
                protocol: Some(header.protocol.into()),
                metric: 0,
                source: None,
                metrics: RouteMetrics::default(),
                nexthop: None,
                hop: None,
                expires: false,
                in_use: None,
            },
            next_hops: Vec::new(),
            is_cached: header.flags.contains(RouteFlags::Cloned),
        };
        for attribute in NlasIterator::new(payload.get(HEADER..).unwrap_or_default()) {
            route.learn(&header, &attribute.map_err(io::Error::other)?)?;
        }
        Ok(route)
    }

    fn learn(&mut self, header: &RouteHeader, attribute: &NlaBuffer<&[u8]>) -> io::Result<()> {
        if attribute.kind() == NEXTHOP {
            self.base.nexthop = attribute.value().first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        }
        if !SHOWN.contains(&attribute.kind()) {
            return Ok(());
        }
        let of = (header.address_family, header.kind, RouteLwEnCapType::None);
        match RouteAttribute::parse_with_param(attribute, of).map_err(io::Error::other)? {
            RouteAttribute::Destination(addr) => self.base.destination = ip(&addr, self.base.family),
            RouteAttribute::Oif(index) => self.base.interface = self.name(index),
            RouteAttribute::Priority(metric) => self.base.metric = metric,
            RouteAttribute::Table(table) => self.base.table = Some(table),
            RouteAttribute::PrefSource(addr) => self.base.source = Some(ip(&addr, self.base.family)),
            RouteAttribute::CacheInfo(info) => self.base.expires = info.expires != 0,
            RouteAttribute::Metrics(metrics) => self.base.metrics = told(&metrics),
            RouteAttribute::MultiPath(next_hops) => self.next_hops = next_hops,
            other => self.base.gateway = gateway(&other, self.base.family).or(self.base.gateway),
        }
        Ok(())
    }

    fn name(&self, index: u32) -> Option<InterfaceName> {
        self.names.get(&index).copied()
    }

    /// Adds the route: one with several next hops once for each of them.
    fn push_to(mut self, found: &mut Vec<NetworkRoute>) {
        let next_hops = std::mem::take(&mut self.next_hops);
        for (number, next) in (1..).zip(&next_hops) {
            let mut gateways = next.attributes.iter();
            found.push(NetworkRoute {
                gateway: gateways.find_map(|other| gateway(other, self.base.family)),
                interface: self.name(next.interface_index),
                hop: Some(Hop { number, weight: u32::from(next.hops) + 1 }),
                ..self.base.clone()
            });
        }
        if next_hops.is_empty() {
            found.push(self.base);
        }
    }
}

/// The next router, which may be of the other family (`via inet6`).
fn gateway(attribute: &RouteAttribute, family: Family) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(addr) => Some(ip(addr, family)),
        RouteAttribute::Via(RouteVia::Inet(addr)) => Some((*addr).into()),
        RouteAttribute::Via(RouteVia::Inet6(addr)) => Some((*addr).into()),
        _ => None,
    }
}

fn ip(addr: &RouteAddress, family: Family) -> IpAddr {
    match addr {
        RouteAddress::Inet(addr) => (*addr).into(),
        RouteAddress::Inet6(addr) => (*addr).into(),
        _ => unspecified(family),
    }
}

pub(super) fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::from([0; 4]),
        Family::Ipv6 => IpAddr::from([0; 16]),
    }
}

fn told(metrics: &[RouteMetric]) -> RouteMetrics {
    let mut told = RouteMetrics::default();
    for metric in metrics {
        match metric {
            RouteMetric::Lock(locked) => told.locked = *locked,
            RouteMetric::Mtu(mtu) => told.mtu = Some(*mtu),
            RouteMetric::Window(window) => told.window = Some(*window),
            RouteMetric::Rtt(rtt) => told.rtt = Some(*rtt),
            RouteMetric::Advmss(advmss) => told.advmss = Some(*advmss),
            _ => {}
        }
    }
    told
}
