//! The filters: a file for each, with its type, its parser and its meaning. Those on what is
//! constant over a connection run in the kernel, from the tables made here; user space runs the
//! same test where the kernel lets things pass that it cannot decide.

pub mod addrs;
pub mod netns;
pub mod ports;

use std::collections::HashSet;

use tracer_common::{
    Event,
    event::flag,
    filter::{Active, EITHER, LOCAL, REMOTE, family, selects},
};

use crate::filter::{addrs::Cidrs, netns::Inum, ports::Ports};

/// What was asked for, each with the mark of the end it was asked for at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends<T>(Vec<(T, u8)>);

impl<T> Ends<T> {
    /// What was asked for at either end, at the local and at the remote one.
    #[must_use]
    pub fn new(either: Vec<T>, local: Vec<T>, remote: Vec<T>) -> Self {
        let marked = [(either, EITHER), (local, LOCAL), (remote, REMOTE)];
        let marked =
            marked.into_iter().flat_map(|(values, mark)| values.into_iter().map(move |value| (value, mark)));
        Self(marked.collect())
    }

    /// Each value with its mark.
    pub fn marked(&self) -> impl Iterator<Item = &(T, u8)> {
        self.0.iter()
    }

    /// The kinds of mark in use.
    #[must_use]
    pub fn active(&self) -> u8 {
        self.0.iter().fold(0, |all, (_, mark)| all | mark)
    }
}

impl<T> Default for Ends<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// All filters on constant facts. Different ones are ANDed, values of one are ORed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Ports.
    pub ports: Ends<Ports>,
    /// Addresses.
    pub addrs: Ends<Cidrs>,
    /// Kinds of address, as bits of [`family`].
    pub families: u8,
    /// Network namespaces; none for all.
    pub netns: HashSet<Inum>,
    /// Let the kernel report what stories need.
    pub for_stories: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            ports: Ends::default(),
            addrs: Ends::default(),
            families: family::ANY,
            netns: HashSet::new(),
            for_stories: false,
        }
    }
}

impl Filter {
    /// Which filters the kernel program has to run.
    #[must_use]
    pub fn active(&self) -> Active {
        Active {
            local_ports: ports::local_bounds(&self.ports),
            ports: self.ports.active(),
            addrs: self.addrs.active(),
            families: self.families,
            netns: u8::from(!self.netns.is_empty()),
            story: u8::from(self.for_stories),
            reserved: 0,
        }
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        Active { story: 0, ..self.active() } == Self::default().active()
    }
}

/// What a filter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One of those asked for.
    Pass,
    /// None of them.
    Fail,
    /// That depends on what is not known yet.
    Undecided,
}

/// The filter's test in user space.
#[derive(Debug)]
pub struct Judge {
    active: Active,
    ports: ports::Marks,
    addrs: addrs::Marks,
    netns: HashSet<Inum>,
}

impl Judge {
    /// Prepares the tables.
    #[must_use]
    pub fn new(filter: &Filter) -> Self {
        Self {
            active: filter.active(),
            ports: ports::Marks::new(&filter.ports),
            addrs: addrs::Marks::new(&filter.addrs),
            netns: filter.netns.clone(),
        }
    }

    /// Whether the event passes, as far as it knows its port.
    #[must_use]
    pub fn judge(&self, event: &Event) -> Verdict {
        let Active { ports, addrs, families, netns, .. } = self.active;
        let has_peer = event.remote_port != 0;
        let peers = |marks: u8| if has_peer { marks } else { 0 };
        let is_mapped = |address: &[u8; 16]| std::net::Ipv6Addr::from(*address).to_ipv4_mapped().is_some();
        let family = family::of(event.family, is_mapped(&event.local_addr), is_mapped(&event.remote_addr));
        let is_elsewhere = netns != 0 && !self.netns.contains(&event.netns);
        let is_other_family = families & family == 0;
        if is_elsewhere
            || is_other_family
            || !selects(addrs, self.addrs.of(&event.local_addr), peers(self.addrs.of(&event.remote_addr)))
        {
            return Verdict::Fail;
        }
        let remote = peers(self.ports.of(event.remote_port));
        if event.flags & flag::UNBOUND == 0 {
            let passes = selects(ports, self.ports.of(event.local_port), remote);
            return if passes { Verdict::Pass } else { Verdict::Fail };
        }
        match (selects(ports, 0, remote), selects(ports, EITHER | LOCAL, remote)) {
            (true, _) => Verdict::Pass,
            (false, true) => Verdict::Undecided,
            (false, false) => Verdict::Fail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_common::{event::AF_INET, state};
    use zerocopy::FromZeros as _;

    fn judge(local: &str, either: &str) -> Judge {
        let parse = |text: &str| if text.is_empty() { vec![] } else { vec![text.parse().unwrap()] };
        Judge::new(&Filter { ports: Ends::new(parse(either), parse(local), vec![]), ..Filter::default() })
    }

    fn connect(local_port: u16, remote_port: u16) -> Event {
        let mut event = Event::new_zeroed();
        event.family = AF_INET;
        event.old_state = state::CLOSE;
        event.new_state = state::SYN_SENT;
        event.local_port = local_port;
        event.remote_port = remote_port;
        event
    }

    fn unbound(stale_port: u16, remote_port: u16) -> Event {
        Event { flags: flag::UNBOUND, ..connect(stale_port, remote_port) }
    }

    #[test]
    fn a_port_not_chosen_yet_decides_nothing() {
        let judge = judge("5000", "");
        assert_eq!(judge.judge(&unbound(0, 443)), Verdict::Undecided);
        assert_eq!(judge.judge(&unbound(5000, 443)), Verdict::Undecided, "the port of the one before");
        assert_eq!(judge.judge(&connect(5000, 443)), Verdict::Pass);
        assert_eq!(judge.judge(&connect(5001, 443)), Verdict::Fail);
    }

    #[test]
    fn a_remote_port_that_matches_decides() {
        let judge = judge("", "443");
        assert_eq!(judge.judge(&unbound(0, 443)), Verdict::Pass);
        assert_eq!(judge.judge(&unbound(0, 80)), Verdict::Undecided);
    }

    #[test]
    fn a_listener_has_no_peer() {
        let mut listen = connect(80, 0);
        listen.new_state = state::LISTEN;
        assert_eq!(judge("", "443").judge(&listen), Verdict::Fail);
        assert_eq!(judge("", "80").judge(&listen), Verdict::Pass);
        let any_peer: Cidrs = "0.0.0.0/0".parse().unwrap();
        let filter = Filter { addrs: Ends::new(vec![], vec![], vec![any_peer]), ..Filter::default() };
        assert_eq!(Judge::new(&filter).judge(&listen), Verdict::Fail);
    }
}
