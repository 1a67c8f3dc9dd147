//! Nexthop objects (`ip nexthop`, since Linux 5.3). With the sysctl `net.ipv4.nexthop_compat_mode=0` the kernel tells of a
//! route that uses one only its number. netlink-packet-route does not read them.

use std::{collections::HashMap, io, net::IpAddr};

use netlink_packet_core::{NetlinkSerializable, NlasIterator};

use crate::{
    facts::network::{Hop, InterfaceName, NetworkRoute},
    source::netlink::{Dump, Netlink},
};

/// The message that asks for them (`RTM_GETNEXTHOP`), and its header (`struct nhmsg`).
const GET: u16 = 106;
const HEADER: usize = 8;

/// Attributes (`include/uapi/linux/nexthop.h`).
const ID: u16 = 1;
const GROUP: u16 = 2;
const BLACKHOLE: u16 = 4;
const INTERFACE: u16 = 5;
const GATEWAY: u16 = 6;

/// The index of the loopback device in every namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// Bytes of a member of a group (`struct nexthop_grp`): its number, and its weight less one, of which 6.12 has an upper byte.
const MEMBER: usize = 8;

/// A request for all of them.
struct All;

impl NetlinkSerializable for All {
    fn message_type(&self) -> u16 {
        GET
    }

    fn buffer_len(&self) -> usize {
        HEADER
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

/// A nexthop object.
#[derive(Debug, Default, PartialEq, Eq)]
struct Nexthop {
    gateway: Option<IpAddr>,
    interface: Option<u32>,
    /// The numbers of others, with their weights.
    group: Vec<(u32, u32)>,
}

/// Replaces routes of which only the number of a nexthop object is told by what that object says: one of a group once for each
/// member. An object that is gone leaves the number.
pub(super) fn resolve(
    netlink: &mut Netlink,
    names: &HashMap<u32, InterfaceName>,
    routes: Vec<NetworkRoute>,
) -> io::Result<(Vec<NetworkRoute>, Dump)> {
    if !routes.iter().any(NetworkRoute::is_unresolved) {
        return Ok((routes, Dump::Whole));
    }
    let mut nexthops = HashMap::new();
    let dump = netlink.dump(All, &mut |payload| {
        nexthops.extend(read(payload));
        Ok(())
    })?;
    let name = |index: Option<u32>| index.and_then(|index| names.get(&index).copied());
    let mut resolved = Vec::with_capacity(routes.len());
    for route in routes {
        let nexthop = route.nexthop.filter(|_| route.is_unresolved()).and_then(|id| nexthops.get(&id));
        let Some(nexthop) = nexthop else {
            resolved.push(route);
            continue;
        };
        if nexthop.group.is_empty() {
            let (gateway, interface) = (nexthop.gateway, name(nexthop.interface));
            resolved.push(NetworkRoute { gateway, interface, ..route });
            continue;
        }
        for (number, (id, weight)) in (1..).zip(&nexthop.group) {
            let member = nexthops.get(id);
            resolved.push(NetworkRoute {
                gateway: member.and_then(|member| member.gateway),
                interface: name(member.and_then(|member| member.interface)),
                hop: Some(Hop { number, weight: *weight }),
                ..route.clone()
            });
        }
    }
    Ok((resolved, dump))
}

fn read(payload: &[u8]) -> Option<(u32, Nexthop)> {
    let (mut id, mut nexthop) = (None, Nexthop::default());
    for attribute in NlasIterator::new(payload.get(HEADER..)?).flatten() {
        let value = attribute.value();
        let number = value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        match attribute.kind() {
            ID => id = number,
            // The kernel gives these routes the loopback device, and tells it only of the route.
            BLACKHOLE => nexthop.interface = Some(LOOPBACK),
            INTERFACE => nexthop.interface = number,
            GATEWAY => nexthop.gateway = addr(value),
            GROUP => nexthop.group = value.chunks_exact(MEMBER).filter_map(member).collect(),
            _ => {}
        }
    }
    Some((id?, nexthop))
}

fn addr(bytes: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from).or_else(four)
}

fn member(bytes: &[u8]) -> Option<(u32, u32)> {
    let [a, b, c, d, low, high, ..] = *bytes else { return None };
    Some((u32::from_ne_bytes([a, b, c, d]), u32::from(u16::from_le_bytes([low, high])) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len() + 4).unwrap();
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
    }

    #[test]
    fn objects_and_groups_are_read() {
        let of = |attributes: &[Vec<u8>]| read(&[vec![0; HEADER], attributes.concat()].concat());
        let id = attribute(ID, &7_u32.to_ne_bytes());
        let one =
            of(&[id.clone(), attribute(INTERFACE, &3_u32.to_ne_bytes()), attribute(GATEWAY, &[10, 0, 0, 1])]);
        let expected = Nexthop { gateway: Some([10, 0, 0, 1].into()), interface: Some(3), group: Vec::new() };
        assert_eq!(one, Some((7, expected)));
        let members = [5_u32.to_ne_bytes(), [0; 4], 6_u32.to_ne_bytes(), [255, 1, 0, 0]].concat();
        let group = of(&[id, attribute(GROUP, &members)]).unwrap().1.group;
        assert_eq!(group, [(5, 1), (6, 512)]);
        assert_eq!(of(&[]), None, "without a number");
        assert_eq!(read(&[0; 3]), None);
        assert_eq!(addr(&[0; 5]), None);
    }
}
