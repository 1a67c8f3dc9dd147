//! The columns of routes (`list -r`). Text has those of `netstat -r`, whose words for what is not there are netstat's,
//! too; JSON and CSV have nothing there.

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    facts::{
        context::Context,
        network::{NetworkRoute, RouteUse},
    },
    format::{
        columns::{
            Align::{self, Left, Right},
            Column, DefaultIn, Views,
        },
        links::padded,
        subject::Subject,
        value::{
            DataType::{self, Boolean, UInt64, Utf8},
            Value,
        },
    },
    tcp::endpoint::Family,
};

/// Routes.
#[derive(Clone, Copy, Debug)]
pub struct Routes;

/// A route, and what is known besides.
#[derive(Clone, Debug)]
pub struct RouteRow<'a> {
    /// The route.
    pub route: &'a NetworkRoute,
    /// What is known besides.
    pub context: &'a Context,
    prefix: &'a str,
}

impl<'a> RouteRow<'a> {
    /// A row; `prefix` has room for its destination as text.
    pub fn new(route: &'a NetworkRoute, context: &'a Context, prefix: &'a mut String) -> Self {
        *prefix = format!("{}/{}", route.destination, route.prefix_len);
        Self { route, context, prefix }
    }
}

impl Subject for Routes {
    type About<'a> = RouteRow<'a>;
    type ValueOf = for<'a> fn(&RouteRow<'a>) -> Value<'a>;

    fn value<'a>(column: &Column<Self>, row: &Self::About<'a>) -> Value<'a> {
        (column.value)(row)
    }

    fn columns() -> &'static [Column<Self>] {
        ROUTE_COLUMNS
    }

    /// netstat has other titles for IPv6.
    fn title(column: &Column<Self>, output: DefaultIn) -> &'static str {
        let other =
            TITLES6.iter().find(|(key, _)| output.includes(DefaultIn::ROUTES6_TEXT) && *key == column.key);
        other.map_or(column.title, |(_, title)| title)
    }
}

const TITLES6: [(&str, &str); 6] = [
    ("gateway", "Next Hop"),
    ("flags", "Flag"),
    ("metric", "Met"),
    ("references", "Ref"),
    ("uses", "Use"),
    ("interface", "If"),
];

const fn column(
    (key, title): (&'static str, &'static str),
    data_type: DataType,
    (align, width): (Align, usize),
    default_in: DefaultIn,
    help: &'static str,
    value: <Routes as Subject>::ValueOf,
) -> Column<Routes> {
    Column { key, data_type, title, width, align, help, views: Views::ROUTES, default_in, needs: &[], value }
}

use DefaultIn as S;

const DATA: S = S::ROUTES_DATA;
const PLACE: S = DATA.and(S::NAMESPACES_TEXT);
const FOUR: S = S::ROUTES_TEXT.and(S::MORE_ROUTES_TEXT);
const ALWAYS: S = FOUR.and(S::ROUTES6_TEXT).and(DATA);
const USE: S = S::MORE_ROUTES_TEXT.and(S::ROUTES6_TEXT).and(DATA);
const TCP: S = S::ROUTES_TEXT.and(DATA);

/// All columns of routes, in display order.
#[rustfmt::skip]
pub static ROUTE_COLUMNS: &[Column<Routes>] = &[
    column(("netns", "NETNS"), UInt64, (Right, 10), PLACE,
        "inode number of the route's network namespace",
        |row| Value::Uint(row.route.netns.inum.into())),
    column(("netns_name", "NETNS_NAME"), Utf8, (Left, 10), S::NAMESPACES_TEXT,
        "name of the file that keeps that namespace, as `ip netns` lists it; none if none does",
        |row| row.context.names.netns(row.route.netns).map_or(Value::Null, Value::Text)),
    column(("family", "FAMILY"), Utf8, (Left, 6), DATA,
        "ipv4 or ipv6", |row| Value::Word(row.route.family.name())),
    column(("prefix", "Destination"), Utf8, (Left, 30), S::ROUTES6_TEXT.and(DATA),
        "destination with its length, such as 2001:db8::/32", |row| Value::Text(row.prefix)),
    column(("destination", "Destination"), Utf8, (Left, 15), FOUR.and(DATA),
        "address of the destination", |row| Value::Addr(row.route.destination)),
    column(("gateway", "Gateway"), Utf8, (Left, 15), ALWAYS,
        "next router; none if the destination is on the link or refused, where text has netstat's 0.0.0.0, :: or -, which also \
         stands where a nexthop object is not known",
        gateway),
    column(("genmask", "Genmask"), Utf8, (Left, 15), FOUR,
        "mask of an IPv4 destination", |row| mask(row.route).map_or(Value::Null, Value::Addr)),
    column(("prefix_len", "PREFIX"), UInt64, (Right, 6), DATA,
        "how many leading bits of the destination count", |row| Value::Uint(row.route.prefix_len.into())),
    column(("flags", "Flags"), Utf8, (Left, 5), ALWAYS,
        "netstat's letters: U up, ! refused, G through a gateway, H a host; of IPv6 also D default, A from address \
         configuration, C cached, a all on the link, e expires, m modified, n no next hop, f with a flow",
        |row| Value::Name(padded(letters(row.route)))),
    column(("metric", "Metric"), UInt64, (Left, 6), USE,
        "priority; the lowest is taken. None, -1 in text as in netstat, at the end of a table of IPv6",
        metric),
    column(("references", "Ref"), UInt64, (Left, 3), USE,
        "the kernel's references to a route of IPv6; of IPv4 it does not tell them: text has netstat's 0",
        |row| if is_only_refused(row.route) { Value::Null } else { used(row, |used| used.references) }),
    column(("uses", "Use"), UInt64, (Right, 6), USE,
        "lookups of a route of IPv6, which current kernels do not count; of IPv4 text has netstat's 0",
        |row| used(row, |used| used.uses)),
    column(("mss", "MSS"), UInt64, (Right, 5), TCP,
        "largest segment that TCP advertises (advmss) and 40 bytes of headers, as netstat has it; none, 0 in text, if \
         the route says nothing",
        |row| told(row, row.route.metrics.advmss.map(|advmss| u64::from(advmss) + 40))),
    column(("window", "Window"), UInt64, (Left, 6), TCP,
        "largest window of TCP; none, 0 in text, if the route says nothing",
        |row| told(row, row.route.metrics.window.map(u64::from))),
    column(("irtt_ms", "irtt"), UInt64, (Right, 5), TCP,
        "round-trip time to begin with, in milliseconds; none, 0 in text, if the route says nothing",
        |row| told(row, row.route.metrics.rtt.map(|rtt| u64::from(rtt / 8)))),
    column(("mtu", "MTU"), UInt64, (Right, 5), DATA,
        "the most bytes that a packet may have; none if the route says nothing",
        |row| number(row.route.metrics.mtu)),
    column(("mtu_locked", "LOCKED"), Boolean, (Left, 6), DATA,
        "whether no smaller path MTU is taken; none without an mtu",
        |row| row.route.metrics.mtu.map_or(Value::Null, |_| Value::Bool(row.route.metrics.locked & MTU_LOCK != 0))),
    column(("interface", "Iface"), Utf8, (Left, 8), ALWAYS,
        "interface; none for a route that leads nowhere, where text has netstat's * or -", interface),
    column(("type", "TYPE"), Utf8, (Left, 11), DATA,
        "what the route is for: unicast, local, multicast, blackhole, unreachable, prohibit, throw",
        |row| row.route.kind.name().filter(|_| row.route.table.is_some()).map_or(Value::Null, Value::Word)),
    column(("table", "TABLE"), UInt64, (Right, 5), DATA,
        "number of its table: 254 main, 255 local; none for the end of a table of IPv6, which only /proc tells",
        |row| number(row.route.table)),
    column(("protocol", "PROTO"), UInt64, (Right, 5), DATA,
        "who has made it, as /etc/iproute2/rt_protos numbers them: 2 the kernel, 3 ip, 4 static, 9 router advertisements, \
         16 DHCP",
        |row| row.route.protocol.map_or(Value::Null, |protocol| Value::Uint(protocol.into()))),
    column(("source", "SOURCE"), Utf8, (Left, 15), DATA,
        "source address that packets get; none if it is chosen otherwise",
        |row| row.route.source.map_or(Value::Null, Value::Addr)),
    column(("nexthop", "NHID"), UInt64, (Right, 4), DATA,
        "number of the nexthop object that the route uses, as `ip nexthop` has it; none if it uses none",
        |row| number(row.route.nexthop)),
    column(("hop", "HOP"), UInt64, (Right, 3), DATA,
        "number of the next hop, of a route with several, each of which has a line: netstat shows only the first of IPv4",
        |row| number(row.route.hop.map(|hop| hop.number))),
    column(("weight", "WEIGHT"), UInt64, (Right, 6), DATA,
        "share of that next hop", |row| number(row.route.hop.map(|hop| hop.weight))),
];

/// The bit of the MTU in the metrics that are locked (`RTAX_MTU`).
const MTU_LOCK: u32 = 1 << 2;

fn number<'a>(number: Option<u32>) -> Value<'a> {
    number.map_or(Value::Null, |number| Value::Uint(number.into()))
}

/// netstat tells only that an IPv4 destination is refused.
fn is_only_refused(route: &NetworkRoute) -> bool {
    route.family == Family::Ipv4 && route.kind.is_refused()
}

fn gateway<'a>(row: &RouteRow<'a>) -> Value<'a> {
    match (row.route.gateway, row.route.family) {
        (Some(gateway), _) => Value::Addr(gateway),
        _ if is_only_refused(row.route) || row.route.is_unresolved() => Value::Null,
        (None, Family::Ipv4) => Value::NullAs("0.0.0.0"),
        (None, Family::Ipv6) => Value::NullAs("::"),
    }
}

/// The end of a table has none, for which the kernel says all ones.
fn metric<'a>(row: &RouteRow<'a>) -> Value<'a> {
    match (row.route.metric, row.route.table) {
        (u32::MAX, None) => Value::NullAs("-1"),
        (metric, _) => Value::Uint(metric.into()),
    }
}

fn interface<'a>(row: &RouteRow<'a>) -> Value<'a> {
    match row.route.interface {
        Some(name) => Value::Name(name),
        None if is_only_refused(row.route) || row.route.is_unresolved() => Value::Null,
        None => Value::NullAs("*"),
    }
}

/// What the route tells TCP.
fn told<'a>(row: &RouteRow<'a>, told: Option<u64>) -> Value<'a> {
    match told {
        Some(told) => Value::Uint(told),
        None if is_only_refused(row.route) => Value::Null,
        None => Value::NullAs("0"),
    }
}

fn used<'a>(row: &RouteRow<'a>, of: impl FnOnce(&RouteUse) -> u32) -> Value<'a> {
    match (&row.route.in_use, row.route.family) {
        (Some(used), _) => Value::Uint(of(used).into()),
        (None, Family::Ipv4) => Value::NullAs("0"),
        (None, Family::Ipv6) => Value::Null,
    }
}

fn mask(route: &NetworkRoute) -> Option<IpAddr> {
    let host_bits = Ipv4Addr::BITS.checked_sub(route.prefix_len.into())?;
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or_default();
    (route.family == Family::Ipv4).then(|| Ipv4Addr::from(mask).into())
}

/// Flags of routes (`linux/route.h`, `linux/ipv6_route.h`).
mod flag {
    pub(super) const UP: u32 = 0x1;
    pub(super) const GATEWAY: u32 = 0x2;
    pub(super) const HOST: u32 = 0x4;
    pub(super) const MODIFIED: u32 = 0x20;
    pub(super) const REJECT: u32 = 0x200;
    pub(super) const DEFAULT: u32 = 0x1_0000;
    pub(super) const ALL_ON_LINK: u32 = 0x2_0000;
    pub(super) const ADDRESS_CONFIGURATION: u32 = 0x4_0000;
    pub(super) const NO_NEXT_HOP: u32 = 0x20_0000;
    pub(super) const EXPIRES: u32 = 0x40_0000;
    pub(super) const CACHE: u32 = 0x100_0000;
    pub(super) const FLOW: u32 = 0x200_0000;
}

/// Letters in netstat's order; the first one is always there.
const LETTERS: [(u32, u8); 10] = [
    (flag::GATEWAY, b'G'),
    (flag::HOST, b'H'),
    (flag::DEFAULT, b'D'),
    (flag::ADDRESS_CONFIGURATION, b'A'),
    (flag::CACHE, b'C'),
    (flag::ALL_ON_LINK, b'a'),
    (flag::EXPIRES, b'e'),
    (flag::MODIFIED, b'm'),
    (flag::NO_NEXT_HOP, b'n'),
    (flag::FLOW, b'f'),
];

fn letters(route: &NetworkRoute) -> impl Iterator<Item = u8> + use<> {
    let flags = route.in_use.map_or_else(|| derived(route), |used| used.flags);
    let first = if flags & flag::REJECT == 0 { b'U' } else { b'!' };
    let others = LETTERS.iter().filter(move |(bit, _)| flags & bit != 0);
    [first].into_iter().chain(others.map(|(_, letter)| *letter))
}

/// The flags of a route of which the kernel does not tell them: those of IPv4 as it makes them for netstat.
fn derived(route: &NetworkRoute) -> u32 {
    let is_v4 = route.family == Family::Ipv4;
    let is_refused = route.kind.is_refused() || (!is_v4 && route.kind.leads_nowhere());
    let flags = [
        (flag::UP, true),
        (flag::REJECT, is_refused),
        (flag::GATEWAY, route.gateway.is_some()),
        (flag::HOST, is_v4 && u32::from(route.prefix_len) == Ipv4Addr::BITS),
        (flag::EXPIRES, route.expires),
        (flag::NO_NEXT_HOP, !is_v4 && is_refused),
    ];
    flags.into_iter().filter(|(_, is_set)| *is_set).fold(0, |flags, (bit, _)| flags | bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::network::{RouteKind, RouteMetrics},
        format::{
            Kind, Plan,
            text::{TextStyle, TimeFormat},
        },
        tcp::netns::NetnsId,
        time::clock::Clock,
    };

    fn route(destination: &str, prefix_len: u8) -> NetworkRoute {
        let destination: IpAddr = destination.parse().unwrap();
        NetworkRoute {
            netns: NetnsId::default(),
            family: if destination.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 },
            destination,
            prefix_len,
            gateway: None,
            interface: None,
            table: Some(254),
            kind: RouteKind(1),
            protocol: Some(3),
            metric: 0,
            source: None,
            metrics: RouteMetrics::default(),
            nexthop: None,
            hop: None,
            expires: false,
            in_use: None,
        }
    }

    fn line(route: &NetworkRoute, kind: Kind, keys: &str) -> String {
        let columns = keys.split(',').map(|key| Routes::column(key).unwrap()).collect();
        let style = TextStyle { time: TimeFormat::Utc, colour: false, precise: false };
        let default_in = (S::ROUTES_TEXT, S::ROUTES_DATA);
        let (context, mut prefix, mut out) = (Context::new(Clock::fixed(0, 0)), String::new(), Vec::new());
        let row = RouteRow::new(route, &context, &mut prefix);
        Plan { kind, columns: Some(columns), default_in, style }.format(&[]).line(&row, &mut out);
        let out = String::from_utf8(out).unwrap();
        out.lines().next_back().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn masks_are_of_ipv4() {
        for (len, expected) in
            [(0, "0.0.0.0"), (1, "128.0.0.0"), (20, "255.255.240.0"), (32, "255.255.255.255")]
        {
            assert_eq!(mask(&route("10.0.0.0", len)).unwrap().to_string(), expected);
        }
        assert_eq!(mask(&route("fd00::", 20)), None);
        assert_eq!(mask(&route("10.0.0.0", 33)), None);
    }

    #[test]
    fn only_text_has_netstat_s_words_for_nothing() {
        let keys = "gateway,mss,interface,references,metric";
        let here = route("10.0.0.0", 8);
        assert_eq!(line(&here, Kind::Text, keys), "0.0.0.0 0 * 0 0");
        let null = r#"{"gateway":null,"mss":null,"interface":null,"references":null,"metric":0}"#;
        assert_eq!(line(&here, Kind::Json, keys), null);
        assert_eq!(line(&here, Kind::Csv, keys), ",,,,0");
        let refused = NetworkRoute { kind: RouteKind::UNREACHABLE, ..here };
        assert_eq!(line(&refused, Kind::Text, keys), "- - - - 0");
        let end = NetworkRoute { table: None, metric: u32::MAX, ..route("::", 0) };
        assert_eq!(line(&end, Kind::Text, "gateway,metric,references"), ":: -1 -");
        assert_eq!(line(&end, Kind::Csv, "metric,gateway"), ",");
    }

    #[test]
    fn flags_are_made_where_the_kernel_tells_none() {
        let flags = |route: &NetworkRoute| String::from_utf8(letters(route).collect()).unwrap();
        let refused =
            |destination, len| NetworkRoute { kind: RouteKind::UNREACHABLE, ..route(destination, len) };
        assert_eq!(flags(&route("10.0.0.0", 8)), "U");
        assert_eq!(flags(&route("10.0.0.1", 32)), "UH");
        assert_eq!(flags(&refused("10.0.0.1", 32)), "!H");
        assert_eq!(flags(&refused("fd00::", 64)), "!n");
        let via = NetworkRoute { gateway: Some([0; 4].into()), expires: true, ..route("fd00::1", 128) };
        assert_eq!(flags(&via), "UGe");
    }

    #[test]
    fn values_are_of_the_columns_type() {
        let bare = route("fd00::", 64);
        let full = NetworkRoute {
            gateway: Some([1; 16].into()),
            interface: Some([b'a'; 16]),
            source: Some([2; 16].into()),
            metrics: RouteMetrics { locked: 4, mtu: Some(1), window: Some(1), rtt: Some(8), advmss: Some(1) },
            hop: Some(crate::facts::network::Hop { number: 1, weight: 1 }),
            in_use: Some(RouteUse { flags: u32::MAX, references: 1, uses: 1 }),
            ..bare.clone()
        };
        let context = Context::new(Clock::fixed(0, 0));
        for route in [bare, full] {
            let mut prefix = String::new();
            let row = RouteRow::new(&route, &context, &mut prefix);
            for column in ROUTE_COLUMNS {
                let value = Routes::value(column, &row);
                assert!(value.is_of(column.data_type), "{}: {value:?}", column.key);
            }
        }
    }
}
