//! Interfaces, and labels of their addresses.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    io,
};

use netlink_packet_core::NlasIterator;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressHeader, AddressMessage},
    link::{LinkHeader, LinkMessage, Stats64},
};

use crate::{
    facts::network::{InterfaceName, NetworkInterface, Traffic},
    source::netlink::{Dump, Netlink},
    tcp::netns::NetnsId,
};

// Attributes (`include/uapi/linux/if_link.h`, `if_addr.h`). The library's own reader takes names for UTF-8, which they
// need not be, and fails for all of a link if it does not know how one of its many attributes looks.
const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const STATE: u16 = 16;
const STATS64: u16 = 23;
const LABEL: u16 = 3;

/// Bytes of the headers of messages (`struct ifinfomsg`, `struct ifaddrmsg`).
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

/// Hardware addresses are no longer (`MAX_ADDR_LEN`).
const LONGEST_ADDRESS: usize = 32;

/// Lists interfaces, and the labels of IPv4 addresses, which netstat takes for interfaces, too.
pub(super) fn list(netlink: &mut Netlink, netns: NetnsId) -> io::Result<(Vec<NetworkInterface>, Dump)> {
    let mut found: Vec<NetworkInterface> = Vec::new();
    let links = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), &mut |payload| {
        found.push(interface(netns, payload)?);
        Ok(())
    })?;
    let by_index: HashMap<u32, usize> =
        found.iter().enumerate().map(|(at, interface)| (interface.index, at)).collect();
    let mut names: HashSet<InterfaceName> = found.iter().map(|interface| interface.name).collect();
    let mut request = AddressMessage::default();
    request.header.family = AddressFamily::Inet;
    let labels = netlink.dump(RouteNetlinkMessage::GetAddress(request), &mut |payload| {
        if let Some((index, label)) = label(payload)?
            && let Some(device) = by_index.get(&index).and_then(|at| found.get(*at))
            && names.insert(label)
        {
            let labelled = NetworkInterface { name: label, traffic: None, ..device.clone() };
            found.push(labelled);
        }
        Ok(())
    })?;
    Ok((found, links.and(labels)))
}

/// The names of interfaces by their indices.
pub(super) fn names(netlink: &mut Netlink) -> io::Result<(HashMap<u32, InterfaceName>, Dump)> {
    let mut names = HashMap::new();
    let dump = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), &mut |payload| {
        let header = LinkHeader::parse(payload).map_err(io::Error::other)?;
        names.extend(name(payload, LINK_HEADER, NAME)?.map(|name| (header.index, name)));
        Ok(())
    })?;
    Ok((names, dump))
}

fn interface(netns: NetnsId, payload: &[u8]) -> io::Result<NetworkInterface> {
    let header = LinkHeader::parse(payload).map_err(io::Error::other)?;
    let mut interface = NetworkInterface {
        netns,
        name: InterfaceName::default(),
        index: header.index,
        mtu: None,
        flags: header.flags.bits(),
        state: None,
        hardware_addr: None,
        traffic: None,
    };
    for attribute in NlasIterator::new(payload.get(LINK_HEADER..).unwrap_or_default()) {
        let attribute = attribute.map_err(io::Error::other)?;
        let value = attribute.value();
        match attribute.kind() {
            NAME => interface.name = padded(value),
            ADDRESS => interface.hardware_addr = hardware_addr(value),
            MTU => interface.mtu = value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes)),
            STATE => interface.state = value.first().copied(),
            STATS64 => interface.traffic = Some(traffic(&Stats64::parse(value).map_err(io::Error::other)?)),
            _ => {}
        }
    }
    Ok(interface)
}

/// As `/proc/net/dev` sums them up, which netstat reads.
fn traffic(stats: &Stats64) -> Traffic {
    Traffic {
        rx_packets: stats.rx_packets,
        rx_bytes: stats.rx_bytes,
        rx_errors: stats.rx_errors,
        rx_dropped: stats.rx_dropped.wrapping_add(stats.rx_missed_errors),
        rx_overruns: stats.rx_fifo_errors,
        tx_packets: stats.tx_packets,
        tx_bytes: stats.tx_bytes,
        tx_errors: stats.tx_errors,
        tx_dropped: stats.tx_dropped,
        tx_overruns: stats.tx_fifo_errors,
    }
}

/// The index of an interface and a label that one of its addresses has.
fn label(payload: &[u8]) -> io::Result<Option<(u32, InterfaceName)>> {
    let header = AddressHeader::parse(payload).map_err(io::Error::other)?;
    Ok(name(payload, ADDRESS_HEADER, LABEL)?.map(|label| (header.index, label)))
}

/// The name in an attribute of a message with a header of this size.
fn name(payload: &[u8], header: usize, kind: u16) -> io::Result<Option<InterfaceName>> {
    for attribute in NlasIterator::new(payload.get(header..).unwrap_or_default()) {
        let attribute = attribute.map_err(io::Error::other)?;
        if attribute.kind() == kind {
            return Ok(Some(padded(attribute.value())));
        }
    }
    Ok(None)
}

fn padded(value: &[u8]) -> InterfaceName {
    let mut name = InterfaceName::default();
    let len = value.len().min(name.len() - 1);
    name[..len].copy_from_slice(&value[..len]);
    name
}

/// `None` for a device without an address, such as a tunnel.
fn hardware_addr(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(3 * bytes.len());
    for (index, byte) in bytes.iter().take(LONGEST_ADDRESS).enumerate() {
        let separator = if index == 0 { "" } else { ":" };
        // Writing into a String cannot fail.
        let _ = write!(text, "{separator}{byte:02x}");
    }
    (!text.is_empty()).then_some(text)
}

/// What interfaces are sorted by: their names, with the number at the end as a number, so that eth2 comes before eth10.
pub(super) fn in_order(name: &InterfaceName) -> (&[u8], u64, &[u8]) {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let whole = &name[..end];
    let digits = whole.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (stem, number) = whole.split_at(end - digits);
    (stem, str::from_utf8(number).ok().and_then(|number| number.parse().ok()).unwrap_or_default(), whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let mut names =
            ["eth10", "lo", "eth2", "br0", "eth2.7", "eth", "eth02"].map(|name| padded(name.as_bytes()));
        names.sort_by(|a, b| in_order(a).cmp(&in_order(b)));
        let sorted = names.map(|name| String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned());
        assert_eq!(sorted, ["br0", "eth", "eth02", "eth2", "eth10", "eth2.7", "lo"]);
    }

    #[test]
    fn an_address_may_have_any_length() {
        assert_eq!(hardware_addr(&[]), None);
        assert_eq!(hardware_addr(&[2, 0, 0xff]).as_deref(), Some("02:00:ff"));
        assert_eq!(hardware_addr(&[0; 99]).unwrap().len(), 3 * LONGEST_ADDRESS - 1);
    }
}
