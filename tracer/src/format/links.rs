//! The columns of network interfaces (`list -i`). Text has those of `netstat -i`.

use tracer_common::event::COMM_LEN;

use crate::{
    facts::{
        context::Context,
        network::{NetworkInterface, Traffic},
    },
    format::{
        columns::{
            Align::{self, Left, Right},
            Column, DefaultIn, Views,
        },
        subject::Subject,
        value::{
            DataType::{self, UInt64, Utf8},
            Value,
        },
    },
};

/// Network interfaces.
#[derive(Clone, Copy, Debug)]
pub struct Links;

/// An interface, and what is known besides.
#[derive(Clone, Copy, Debug)]
pub struct LinkRow<'a> {
    /// The interface.
    pub interface: &'a NetworkInterface,
    /// What is known besides.
    pub context: &'a Context,
}

impl Subject for Links {
    type About<'a> = LinkRow<'a>;
    type ValueOf = for<'a> fn(&LinkRow<'a>) -> Value<'a>;

    fn value<'a>(column: &Column<Self>, row: &Self::About<'a>) -> Value<'a> {
        (column.value)(row)
    }

    fn columns() -> &'static [Column<Self>] {
        LINK_COLUMNS
    }
}

const fn column(
    (key, title): (&'static str, &'static str),
    data_type: DataType,
    (align, width): (Align, usize),
    default_in: DefaultIn,
    help: &'static str,
    value: <Links as Subject>::ValueOf,
) -> Column<Links> {
    Column { key, data_type, title, width, align, help, views: Views::LINKS, default_in, needs: &[], value }
}

const ALWAYS: DefaultIn = DefaultIn::LINKS_TEXT.and(DefaultIn::LINKS_DATA);
const DATA: DefaultIn = DefaultIn::LINKS_DATA;
const SOME: DefaultIn = DefaultIn::NOWHERE;
const PLACE: DefaultIn = DATA.and(DefaultIn::NAMESPACES_TEXT);

/// All columns of interfaces, in display order.
#[rustfmt::skip]
pub static LINK_COLUMNS: &[Column<Links>] = &[
    column(("netns", "NETNS"), UInt64, (Right, 10), PLACE,
        "inode number of the interface's network namespace",
        |row| Value::Uint(row.interface.netns.inum.into())),
    column(("netns_name", "NETNS_NAME"), Utf8, (Left, 10), DefaultIn::NAMESPACES_TEXT,
        "name of the file that keeps that namespace, as `ip netns` lists it; none if none does",
        |row| row.context.names.netns(row.interface.netns).map_or(Value::Null, Value::Text)),
    column(("interface", "Iface"), Utf8, (Left, 8), ALWAYS,
        "name; also the labels of IPv4 addresses, such as eth0:1, which have no counts of their own",
        |row| Value::Name(row.interface.name)),
    column(("ifindex", "IFINDEX"), UInt64, (Right, 7), DATA,
        "index, by which the kernel knows the interface",
        |row| Value::Uint(row.interface.index.into())),
    column(("mtu", "MTU"), UInt64, (Right, 5), ALWAYS,
        "the most bytes that a packet may have",
        |row| row.interface.mtu.map_or(Value::Null, |mtu| Value::Uint(mtu.into()))),
    column(("rx_packets", "RX-OK"), UInt64, (Right, 8), ALWAYS,
        "packets received", |row| counted(row, |traffic| traffic.rx_packets)),
    column(("rx_bytes", "RX-BYTES"), UInt64, (Right, 10), DATA,
        "bytes received", |row| counted(row, |traffic| traffic.rx_bytes)),
    column(("rx_errors", "RX-ERR"), UInt64, (Right, 6), ALWAYS,
        "packets received that were bad", |row| counted(row, |traffic| traffic.rx_errors)),
    column(("rx_dropped", "RX-DRP"), UInt64, (Right, 6), ALWAYS,
        "packets received that were dropped, by the kernel or because the device had no room",
        |row| counted(row, |traffic| traffic.rx_dropped)),
    column(("rx_overruns", "RX-OVR"), UInt64, (Right, 6), ALWAYS,
        "packets that came faster than the device takes them", |row| counted(row, |traffic| traffic.rx_overruns)),
    column(("tx_packets", "TX-OK"), UInt64, (Right, 8), ALWAYS,
        "packets sent", |row| counted(row, |traffic| traffic.tx_packets)),
    column(("tx_bytes", "TX-BYTES"), UInt64, (Right, 10), DATA,
        "bytes sent", |row| counted(row, |traffic| traffic.tx_bytes)),
    column(("tx_errors", "TX-ERR"), UInt64, (Right, 6), ALWAYS,
        "packets that could not be sent", |row| counted(row, |traffic| traffic.tx_errors)),
    column(("tx_dropped", "TX-DRP"), UInt64, (Right, 6), ALWAYS,
        "packets to be sent that were dropped", |row| counted(row, |traffic| traffic.tx_dropped)),
    column(("tx_overruns", "TX-OVR"), UInt64, (Right, 6), ALWAYS,
        "packets that the device did not take in time", |row| counted(row, |traffic| traffic.tx_overruns)),
    column(("flags", "Flg"), Utf8, (Left, 4), ALWAYS,
        "netstat's letters: A all multicast, B broadcast, D debugging, L loopback, M multicast, d dynamic, P promiscuous \
         or point-to-point, N no trailers, O no ARP, s slave, m master, R running, U up",
        |row| Value::Name(letters(row.interface.flags))),
    column(("state", "STATE"), Utf8, (Left, 7), DATA,
        "operational state (RFC 2863), as `ip link` has it: up, down, lowerlayerdown, dormant, testing, notpresent, \
         unknown",
        |row| row.interface.state.and_then(state).map_or(Value::Null, Value::Word)),
    column(("hardware_addr", "HWADDR"), Utf8, (Left, 17), DATA,
        "hardware address; none if the device has none",
        |row| row.interface.hardware_addr.as_deref().map_or(Value::Null, Value::Text)),
    column(("interface_flags", "IFFLAGS"), Utf8, (Left, 7), SOME,
        "the flags as the kernel's number, in hex", |row| Value::Hex(row.interface.flags)),
];

fn counted<'a>(row: &LinkRow<'a>, count: impl FnOnce(&Traffic) -> u64) -> Value<'a> {
    row.interface.traffic.as_ref().map_or(Value::Null, |traffic| Value::Uint(count(traffic)))
}

fn letters(flags: u32) -> [u8; COMM_LEN] {
    let set = FLAGS.iter().filter(|(bit, _)| flags & (1 << bit) != 0);
    padded(set.map(|(_, letter)| *letter))
}

/// Letters as a name. There are fewer of them than a name may have.
pub(super) fn padded(letters: impl Iterator<Item = u8>) -> [u8; COMM_LEN] {
    let mut name = [0; COMM_LEN];
    name.iter_mut().zip(letters).for_each(|(place, letter)| *place = letter);
    name
}

/// Flags by the number of their bit (`linux/if.h`), with netstat's letters, in its order.
const FLAGS: [(u32, u8); 14] = [
    (9, b'A'),
    (1, b'B'),
    (2, b'D'),
    (3, b'L'),
    (12, b'M'),
    (15, b'd'),
    (8, b'P'),
    (5, b'N'),
    (7, b'O'),
    (4, b'P'),
    (11, b's'),
    (10, b'm'),
    (6, b'R'),
    (0, b'U'),
];

fn state(number: u8) -> Option<&'static str> {
    ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"]
        .get(usize::from(number))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{tcp::netns::NetnsId, time::clock::Clock};

    #[test]
    fn letters_are_netstat_s() {
        let of = |flags| String::from_utf8_lossy(&letters(flags)).trim_end_matches('\0').to_owned();
        assert_eq!(of(0), "");
        assert_eq!(of(0x1043), "BMRU");
        assert_eq!(of(0x49), "LRU");
        assert_eq!(of(u32::MAX), "ABDLMdPNOPsmRU");
    }

    #[test]
    fn values_are_of_the_columns_type() {
        let bare = NetworkInterface {
            netns: NetnsId::default(),
            name: [b'a'; COMM_LEN],
            index: 1,
            mtu: None,
            flags: 0,
            state: Some(9),
            hardware_addr: None,
            traffic: None,
        };
        let full = NetworkInterface {
            mtu: Some(1),
            state: Some(6),
            hardware_addr: Some("02:00".into()),
            traffic: Some(Traffic::default()),
            ..bare.clone()
        };
        let context = Context::new(Clock::fixed(0, 0));
        for interface in [bare, full] {
            let row = LinkRow { interface: &interface, context: &context };
            for column in LINK_COLUMNS {
                let value = Links::value(column, &row);
                assert!(value.is_of(column.data_type), "{}: {value:?}", column.key);
            }
        }
    }
}
