//! Whether a filter asks for no more than another one has let pass. A recording has only what its own filter let
//! pass, so a replay cannot show more.

use std::{collections::BTreeSet, net::Ipv6Addr};

use tracer_common::filter::{family, selects};

use crate::{
    filter::{
        Filter, PerEnd,
        addrs::{AddrMarks, Cidr},
        ports::{PortMarks, Ports},
    },
    tcp::netns::NetnsFilter,
};

/// A filter asks for more than there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} asks for more than there is: the recording, or the command line, has a filter, too")]
pub struct Wider(&'static str);

impl Filter {
    /// This filter, for facts that `outer` has let pass. Where this one asks for nothing, that one still holds.
    ///
    /// # Errors
    /// This filter lets pass what `outer` does not.
    pub fn within(&self, outer: &Self) -> Result<Self, Wider> {
        let families = match self.families {
            family::ANY => outer.families,
            families if families & !outer.families == 0 => families,
            _ => return Err(Wider("-4 or -6")),
        };
        let ports = narrower(&self.ports, &outer.ports, port_marks).ok_or(Wider("the filter on ports"))?;
        let addrs =
            narrower(&self.addrs, &outer.addrs, addr_marks).ok_or(Wider("the filter on addresses"))?;
        let netns = match (&self.netns, &outer.netns) {
            (NetnsFilter::All, outer) => outer.clone(),
            (inner, outer) if is_netns_within(inner, outer) => inner.clone(),
            _ => return Err(Wider("--netns")),
        };
        Ok(Self { ports, addrs, families, netns, for_stories: self.for_stories })
    }
}

/// A value of the one filter and its marks in both: all values that have the same marks are alike.
type Marks = (IsV4, u8, u8);

/// Both ends of a connection have addresses of the same kind.
type IsV4 = bool;

/// `inner`, or `outer` if it is empty; `None` if it is wider.
fn narrower<T: Clone>(
    inner: &PerEnd<T>,
    outer: &PerEnd<T>,
    marks: fn(&PerEnd<T>, &PerEnd<T>) -> BTreeSet<Marks>,
) -> Option<PerEnd<T>> {
    if inner.active() == 0 {
        return Some(outer.clone());
    }
    let marks = marks(inner, outer);
    // A listener has no peer.
    let remote = marks.iter().copied().chain([(true, 0, 0), (false, 0, 0)]);
    let is_more = remote.into_iter().any(|(kind, inner_remote, outer_remote)| {
        marks.iter().filter(|(other, ..)| *other == kind).any(|(_, inner_local, outer_local)| {
            selects(inner.active(), *inner_local, inner_remote)
                && !selects(outer.active(), *outer_local, outer_remote)
        })
    });
    (!is_more).then(|| inner.clone())
}

fn port_marks(inner: &PerEnd<Ports>, outer: &PerEnd<Ports>) -> BTreeSet<Marks> {
    let (inner, outer) = (PortMarks::new(inner), PortMarks::new(outer));
    (0..=u16::MAX).map(|port| (false, inner.of(port), outer.of(port))).collect()
}

fn addr_marks(inner: &PerEnd<Cidr>, outer: &PerEnd<Cidr>) -> BTreeSet<Marks> {
    let edges = inner.marked().chain(outer.marked()).flat_map(|(prefix, _)| prefix.edges());
    // An address of each family that no prefix may have.
    let edges = edges.chain([Ipv6Addr::from_bits(1), Ipv6Addr::from_bits(0xffff_0000_0001)]);
    let (inner, outer) = (AddrMarks::new(inner), AddrMarks::new(outer));
    edges
        .map(|address| {
            let octets = address.octets();
            (address.to_ipv4_mapped().is_some(), inner.of(&octets), outer.of(&octets))
        })
        .collect()
}

fn is_netns_within(inner: &NetnsFilter, outer: &NetnsFilter) -> bool {
    match (inner, outer) {
        (_, NetnsFilter::All) => true,
        (NetnsFilter::Only(ids), outer) => ids.iter().all(|id| outer.selects(*id)),
        (NetnsFilter::AllBut(left_out), NetnsFilter::AllBut(ids)) => {
            ids.iter().all(|id| left_out.contains(*id))
        }
        (NetnsFilter::All | NetnsFilter::AllBut(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        tcp::netns::NetnsId,
        text::choice::{Choice, Choices},
    };

    fn ports(either: &str, remote: &str) -> Filter {
        let list = |text: &str| text.split_terminator(',').map(|port| port.parse().unwrap()).collect();
        Filter { ports: PerEnd::new(list(either), vec![], list(remote)), ..Filter::default() }
    }

    fn addrs(either: &str) -> Filter {
        let list = |text: &str| text.split_terminator(',').map(|addr| addr.parse().unwrap()).collect();
        Filter { addrs: PerEnd::new(list(either), vec![], vec![]), ..Filter::default() }
    }

    #[test]
    fn a_filter_may_be_narrower_and_not_wider() {
        let recorded = ports("443,8000-8100", "");
        for (narrower, filter) in [
            (true, ports("443", "")),
            (true, ports("8000-8100", "")),
            (true, ports("", "443")),
            (true, ports("443,!8443", "")),
            (false, ports("443,80", "")),
            (false, ports("7999-8000", "")),
            (false, ports("!443", "")),
            (false, ports("", "444")),
        ] {
            assert_eq!(filter.within(&recorded).is_ok(), narrower, "{filter:?}");
        }
        assert_eq!(Filter::default().within(&recorded).unwrap(), recorded, "it still holds");
        assert_eq!(recorded.within(&Filter::default()).unwrap(), recorded);
        assert!(ports("443", "").within(&ports("!22", "")).is_err(), "22 may be the other end's");
        assert!(ports("443,!22", "").within(&ports("!22", "")).is_ok());
    }

    #[test]
    fn prefixes_are_compared() {
        let recorded = addrs("10.0.0.0/8,2001:db8::/32");
        assert!(addrs("10.1.0.0/16").within(&recorded).is_ok());
        assert!(addrs("10.0.0.0/9,10.128.0.0/9").within(&recorded).is_ok());
        assert!(addrs("2001:db8:1::1").within(&recorded).is_ok());
        for wider in ["10.0.0.0/7", "11.0.0.1", "::/0", "2001:db8::/31", "!10.0.0.1"] {
            assert!(addrs(wider).within(&recorded).is_err(), "{wider}");
        }
        assert!(addrs("10.0.0.0/8").within(&addrs("0.0.0.0/0")).is_ok());
    }

    #[test]
    fn families_and_namespaces_are_compared() {
        let only = |ids: &[u32]| {
            let ids = ids.iter().map(|id| Choice::Of(NetnsId::new(*id, 0)));
            Filter { netns: ids.collect::<Choices<_>>().into(), ..Filter::default() }
        };
        assert!(only(&[7]).within(&only(&[7, 8])).is_ok());
        assert!(only(&[7, 9]).within(&only(&[7, 8])).is_err());
        let v4 = Filter { families: family::IPV4, ..Filter::default() };
        let v6 = Filter { families: family::IPV6, ..Filter::default() };
        assert!(v4.within(&v4).is_ok() && v4.within(&v6).is_err());
    }
}
