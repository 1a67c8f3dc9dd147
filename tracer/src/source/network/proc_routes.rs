//! What `/proc/net/ipv6_route` tells of a route and netlink does not: its references, the kernel's own flags, and the
//! end of each table, which refuses what has no route.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    net::IpAddr,
};

use crate::{
    facts::network::{InterfaceName, NetworkRoute, RouteKind, RouteMetrics, RouteUse},
    tcp::{endpoint::Family, netns::NetnsId},
};

/// The kernel refuses packets to it (`RTF_REJECT`).
const REJECT: u32 = 0x200;

/// What both tell of a route: destination and its length, gateway, metric, interface.
type RouteKey = (IpAddr, u8, Option<IpAddr>, u32, Option<InterfaceName>);

/// Completes the routes that netlink has told, and adds those that it does not tell, each behind the one that precedes
/// it in `/proc`. A route that was made or removed between both is told as far as one of them knows it.
pub(super) fn join(told: Vec<NetworkRoute>, netns: NetnsId) -> Vec<NetworkRoute> {
    // Without IPv6 there is no such file.
    let lines = fs::read("/proc/thread-self/net/ipv6_route").unwrap_or_default();
    joined(told, lines.split(|byte| *byte == b'\n').filter_map(|line| parse(line, netns)))
}

fn joined(mut told: Vec<NetworkRoute>, lines: impl Iterator<Item = NetworkRoute>) -> Vec<NetworkRoute> {
    let mut by_key: HashMap<RouteKey, VecDeque<usize>> = HashMap::new();
    for (at, route) in told.iter().enumerate() {
        by_key.entry(key(route)).or_default().push_back(at);
    }
    let mut others: HashMap<Option<usize>, Vec<NetworkRoute>> = HashMap::new();
    let mut before = None;
    for line in lines {
        match by_key.get_mut(&key(&line)).and_then(VecDeque::pop_front) {
            Some(at) => {
                told[at].in_use = line.in_use;
                before = Some(at);
            }
            None => others.entry(before).or_default().push(line),
        }
    }
    let mut all = others.remove(&None).unwrap_or_default();
    for (at, route) in told.into_iter().enumerate() {
        all.push(route);
        all.extend(others.remove(&Some(at)).unwrap_or_default());
    }
    all
}

fn key(route: &NetworkRoute) -> RouteKey {
    (route.destination, route.prefix_len, route.gateway, route.metric, route.interface)
}

/// A line: destination, its length, source, its length, next hop, metric, references, uses, flags, interface. All but
/// the last are hexadecimal.
fn parse(line: &[u8], netns: NetnsId) -> Option<NetworkRoute> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let destination = address(words.next()?)?;
    let prefix_len = u8::try_from(number(words.next()?)?).ok()?;
    let (_, _) = (words.next()?, words.next()?);
    let gateway = address(words.next()?)?;
    let metric = number(words.next()?)?;
    let (references, uses, flags) = (number(words.next()?)?, number(words.next()?)?, number(words.next()?)?);
    let mut interface = InterfaceName::default();
    if let Some(name) = words.next() {
        interface.get_mut(..name.len())?.copy_from_slice(name);
    }
    Some(NetworkRoute {
        netns,
        family: Family::Ipv6,
        destination,
        prefix_len,
        gateway: Some(gateway).filter(|gateway| !gateway.is_unspecified()),
        interface: Some(interface).filter(|name| name[0] != 0),
        table: None,
        kind: if flags & REJECT == 0 { RouteKind::default() } else { RouteKind::UNREACHABLE },
        protocol: None,
        metric,
        source: None,
        metrics: RouteMetrics::default(),
        nexthop: None,
        hop: None,
        expires: false,
        in_use: Some(RouteUse { flags, references, uses }),
    })
}

fn number(word: &[u8]) -> Option<u32> {
    u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok()
}

fn address(word: &[u8]) -> Option<IpAddr> {
    let bits = u128::from_str_radix(str::from_utf8(word).ok()?, 16).ok()?;
    Some(IpAddr::V6(bits.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = "00000000000000000000000000000000";

    fn line(destination: &str, metric: &str, references: u32, name: &str) -> NetworkRoute {
        let text = format!(
            "{destination} 40 {ZERO} 00 {ZERO} {metric} {references:08x} 00000000 00000001 {name:>8}"
        );
        parse(text.as_bytes(), NetnsId::default()).unwrap()
    }

    fn net(number: u16) -> String {
        format!("fd{number:02x}0000000000000000000000000000")
    }

    /// As netlink tells it.
    fn told(line: &NetworkRoute) -> NetworkRoute {
        NetworkRoute { table: Some(254), in_use: None, ..line.clone() }
    }

    fn references(routes: &[NetworkRoute]) -> Vec<Option<u32>> {
        routes.iter().map(|route| route.in_use.map(|used| used.references)).collect()
    }

    #[test]
    fn lines_are_parsed() {
        let route = line(&net(7), "00000400", 3, "eth0");
        assert_eq!((route.destination.to_string(), route.prefix_len), ("fd07::".to_owned(), 64));
        assert_eq!((route.gateway, route.metric), (None, 1024));
        assert_eq!(route.interface.unwrap()[..5], *b"eth0\0");
        assert_eq!(route.in_use, Some(RouteUse { flags: 1, references: 3, uses: 0 }));
        let cut = format!("{} 40 {ZERO} 00 {ZERO} 00000400", net(7));
        assert!(parse(cut.as_bytes(), NetnsId::default()).is_none());
        let long = format!("{} 40 {ZERO} 00 {ZERO} 1 1 1 1 seventeen-letters", net(7));
        assert!(parse(long.as_bytes(), NetnsId::default()).is_none());
    }

    #[test]
    fn each_route_gets_its_own_line() {
        let lines = [
            line(&net(1), "1", 5, "eth0"),
            line(ZERO, "ffffffff", 9, "lo"),
            line(&net(2), "1", 6, "eth0"),
            line(&net(2), "1", 7, "eth1"),
            // The same in another table.
            line(&net(2), "1", 8, "eth0"),
            line(ZERO, "ffffffff", 10, "lo"),
        ];
        let routes: Vec<_> = [0, 2, 3, 4].map(|at| told(&lines[at])).into();
        let all = joined(routes, lines.into_iter());
        assert_eq!(references(&all), [5, 9, 6, 7, 8, 10].map(Some));
        assert_eq!(all.iter().filter(|route| route.table.is_some()).count(), 4);
    }

    #[test]
    fn a_route_that_only_one_of_both_tells_stays() {
        let (gone, made) = (told(&line(&net(1), "1", 5, "eth0")), line(&net(2), "1", 6, "eth0"));
        let all = joined(vec![gone], [made].into_iter());
        assert_eq!(references(&all), [Some(6), None]);
    }
}
