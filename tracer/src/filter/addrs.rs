//! `--addr`, `--local-addr`, `--remote-addr`: addresses and prefixes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{filter::PerEnd, text::escape::escaped};

/// An address, or a prefix such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cidr(IpNet);

/// A text that is not an address or prefix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address or CIDR prefix: give a list such as 10.0.0.0/8,2001:db8::1")]
pub struct Error(String);

/// The prefix of v4-mapped addresses, `::ffff:0:0/96` (RFC 4291, 2.5.5.2).
const MAPPED_PREFIX: Prefix = Prefix { bits: 0xffff_0000_0000, len: 96 };
const MAPPED_LEN: u8 = MAPPED_PREFIX.len;

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let net = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| Error(escaped(text.as_bytes())))?;
        Ok(Self(without_mapping(net).trunc()))
    }
}

impl Cidr {
    /// Its first and its last address, and those next to them: where marks may change.
    pub(super) fn edges(&self) -> impl Iterator<Item = Ipv6Addr> + use<> {
        let Prefix { bits, len } = Prefix::of(&self.0);
        let last = bits | u128::MAX.checked_shr(len.into()).unwrap_or(0);
        [bits.wrapping_sub(1), bits, last, last.wrapping_add(1)].map(Ipv6Addr::from_bits).into_iter()
    }
}

impl Cidr {
    /// A prefix of the same length that begins as another address does, which is in network byte order, with IPv4 as
    /// v4-mapped.
    #[must_use]
    pub fn with_address(&self, other: impl FnOnce([u8; 16]) -> [u8; 16]) -> Self {
        let Prefix { bits, len } = Prefix::of(&self.0);
        let bits = u128::from_be_bytes(other(bits.to_be_bytes()));
        Self(Prefix { bits, len }.net().trunc())
    }
}

impl From<Cidr> for String {
    fn from(Cidr(net): Cidr) -> Self {
        net.to_string()
    }
}

impl TryFrom<String> for Cidr {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

/// Turns a prefix of v4-mapped addresses into one of IPv4 addresses.
fn without_mapping(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= MAPPED_LEN => v6
            .addr()
            .to_ipv4_mapped()
            .and_then(|addr| Ipv4Net::new(addr, v6.prefix_len() - MAPPED_LEN).ok())
            .map_or(net, IpNet::V4),
        net => net,
    }
}

/// A prefix of 128-bit addresses, with IPv4 as v4-mapped addresses: a key of the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    bits: u128,
    /// The length in bits.
    pub len: u8,
}

impl Prefix {
    fn of(net: &IpNet) -> Self {
        match net {
            IpNet::V4(v4) => {
                Self { bits: v4.network().to_ipv6_mapped().to_bits(), len: v4.prefix_len() + MAPPED_LEN }
            }
            IpNet::V6(v6) => Self { bits: v6.network().to_bits(), len: v6.prefix_len() },
        }
    }

    /// The address in network byte order.
    #[must_use]
    pub fn octets(&self) -> [u8; 16] {
        self.bits.to_be_bytes()
    }

    /// The prefix as one of IPv4 or IPv6 addresses.
    fn net(self) -> IpNet {
        let address = Ipv6Addr::from_bits(self.bits);
        match (address.to_ipv4_mapped(), self.len.checked_sub(MAPPED_LEN)) {
            (Some(v4), Some(len)) => IpNet::V4(Ipv4Net::new(v4, len).unwrap_or_default()),
            _ => IpNet::V6(Ipv6Net::new(address, self.len).unwrap_or_default()),
        }
    }
}

/// The kernel's table of prefixes. The kernel finds only the longest prefix of an address, so each prefix
/// has the marks of all prefixes of the filter that cover it.
///
/// `::/0` means IPv6 and not IPv4. So the v4-mapped prefix is always in the table, to stop IPv4 addresses
/// from matching `::/0`.
#[must_use]
pub fn marks(ends: &PerEnd<Cidr>) -> BTreeMap<Prefix, u8> {
    let mut by_net: BTreeMap<IpNet, u8> = BTreeMap::new();
    for (Cidr(net), mark) in ends.marked() {
        *by_net.entry(*net).or_default() |= mark;
    }
    let mut table: BTreeMap<Prefix, u8> = BTreeMap::from([(MAPPED_PREFIX, 0)]);
    for net in by_net.keys() {
        table.insert(Prefix::of(net), 0);
    }
    for (prefix, marks) in &mut table {
        *marks = marks_covering(&by_net, prefix.net());
    }
    table
}

/// The marks of all nets that contain `net`: of itself and of each shorter prefix.
fn marks_covering(by_net: &BTreeMap<IpNet, u8>, net: IpNet) -> u8 {
    std::iter::successors(Some(net), IpNet::supernet)
        .filter_map(|net| by_net.get(&net))
        .fold(0, |all, marks| all | marks)
}

/// The same table for user space.
#[derive(Clone, Debug)]
pub struct AddrMarks {
    table: BTreeMap<Prefix, u8>,
    /// The lengths of the prefixes in it, the longest first.
    prefix_lens: Vec<u8>,
}

impl AddrMarks {
    /// Makes the table of a filter.
    #[must_use]
    pub fn new(ends: &PerEnd<Cidr>) -> Self {
        let table = marks(ends);
        let prefix_lens: BTreeSet<u8> = table.keys().map(|prefix| prefix.len).collect();
        Self { table, prefix_lens: prefix_lens.into_iter().rev().collect() }
    }

    /// The marks of an address: those of its longest prefix in the table.
    #[must_use]
    pub fn of(&self, address: &[u8; 16]) -> u8 {
        let bits = u128::from_be_bytes(*address);
        let prefix = |len: u8| {
            let bits = bits & u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or_default();
            self.table.get(&Prefix { bits, len })
        };
        self.prefix_lens.iter().find_map(|len| prefix(*len)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::choice::Choice;
    use tracer_common::filter::{EITHER, LOCAL, NOT_EITHER, NOT_REMOTE, REMOTE};

    fn parse_list(text: &str) -> Vec<Choice<Cidr>> {
        text.split(',').map(|text| text.parse().unwrap()).collect()
    }

    fn lookup(marks: &AddrMarks, address: &str) -> u8 {
        marks.of(&match address.parse::<IpAddr>().unwrap() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        })
    }

    #[test]
    fn a_longer_prefix_keeps_the_marks_of_the_shorter() {
        let table = AddrMarks::new(&PerEnd::new(
            parse_list("10.0.0.0/8"),
            parse_list("10.1.0.0/16,2001:db8::/32"),
            parse_list("10.1.2.3"),
        ));
        assert_eq!(lookup(&table, "10.9.9.9"), EITHER);
        assert_eq!(lookup(&table, "10.1.9.9"), EITHER | LOCAL);
        assert_eq!(lookup(&table, "10.1.2.3"), EITHER | LOCAL | REMOTE);
        assert_eq!(lookup(&table, "11.0.0.1"), 0);
        assert_eq!(lookup(&table, "2001:db8::1"), LOCAL);
    }

    #[test]
    fn what_takes_away_is_marked_below_it_too() {
        let table = AddrMarks::new(&PerEnd::new(
            parse_list("10.0.0.0/8,!10.1.0.0/16"),
            vec![],
            parse_list("!10.1.2.3,!::/0"),
        ));
        assert_eq!(lookup(&table, "10.9.9.9"), EITHER);
        assert_eq!(lookup(&table, "10.1.9.9"), EITHER | NOT_EITHER);
        assert_eq!(lookup(&table, "10.1.2.3"), EITHER | NOT_EITHER | NOT_REMOTE);
        assert_eq!(lookup(&table, "11.0.0.1"), 0);
        assert_eq!(lookup(&table, "fd77::1"), NOT_REMOTE);
    }

    #[test]
    fn all_addresses_of_one_family_exclude_the_other() {
        let table = AddrMarks::new(&PerEnd::new(parse_list("::/0"), vec![], vec![]));
        assert_eq!(lookup(&table, "::1"), EITHER);
        assert_eq!(lookup(&table, "10.0.0.1"), 0);
        let table = AddrMarks::new(&PerEnd::new(parse_list("0.0.0.0/0"), vec![], vec![]));
        assert_eq!(lookup(&table, "::1"), 0);
        assert_eq!(lookup(&table, "10.0.0.1"), EITHER);
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert_eq!("::ffff:10.0.0.0/104".parse::<Cidr>(), "10.0.0.0/8".parse());
        assert_eq!("10.1.2.3/8".parse::<Cidr>(), "10.0.0.0/8".parse());
    }

    #[test]
    fn invalid_addresses_are_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0", "::/129", "10.0.0.1,", "example.org", "10.0.0.0/-1"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
