//! Filters on facts that stay the same for the life of a connection. They run in the kernel, with tables
//! that are made here. User space runs the same test on events that the kernel lets pass because it cannot
//! decide yet.
//!
//! # Layout
//! - [`Filter`]: all these filters together; [`Matcher`]: the test in user space
//! - [`addrs`], [`ports`]: each kind of filter, with its type, parser and table; [`services`]: names of ports
//! - `words`: a filter in the words of the command line
//! - [`within`]: whether a filter asks for no more than another one lets pass
//!
//! ```
//! use tracer::filter::{Filter, Matcher, PerEnd, Verdict};
//! use tracer::tcp::endpoint::Tuple;
//! use tracer_common::event::AF_INET;
//!
//! let ports = PerEnd::new(vec!["443".parse()?, "8000-8100".parse()?], vec![], vec!["!8022".parse()?]);
//! let matcher = Matcher::new(&Filter { ports, ..Filter::default() });
//! let tuple = Tuple { remote_port: 8080, ..Tuple::default() };
//! assert_eq!(matcher.judge(&tuple, AF_INET, 0), Verdict::Pass);
//! # Ok::<(), tracer::filter::ports::Error>(())
//! ```

pub mod addrs;
pub mod ports;
pub mod services;
pub mod within;
mod words;

use tracer_common::{
    event::flag,
    filter::{
        Active, BEST_LOCAL, EITHER, LOCAL, NOT_EITHER, NOT_LOCAL, NOT_REMOTE, REMOTE, WORST_LOCAL, family,
        netns, selects,
    },
};

use crate::{
    filter::{addrs::Cidr, ports::Ports},
    tcp::{
        endpoint::Tuple,
        netns::{Inum, NetnsFilter, NetnsId},
    },
    text::choice::Choice,
};

/// Values of a filter, each with the mark of the end that it applies to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PerEnd<T>(Vec<(T, u8)>);

impl<T> PerEnd<T> {
    /// Values for either end, for the local end and for the remote end.
    #[must_use]
    pub fn new(either: Vec<Choice<T>>, local: Vec<Choice<T>>, remote: Vec<Choice<T>>) -> Self {
        let marked = [(either, EITHER, NOT_EITHER), (local, LOCAL, NOT_LOCAL), (remote, REMOTE, NOT_REMOTE)];
        let marked = marked.into_iter().flat_map(|(choices, mark, not_mark)| {
            choices.into_iter().map(move |choice| match choice {
                Choice::Of(value) => (value, mark),
                Choice::Not(value) => (value, not_mark),
            })
        });
        Self(marked.collect())
    }

    /// The same values with the same marks again, or others.
    pub fn from_marked(marked: impl IntoIterator<Item = (T, u8)>) -> Self {
        Self(marked.into_iter().collect())
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

impl<T> Default for PerEnd<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// All filters on facts that never change. Different ones are ANDed, values of one are ORed, and those with `!` take
/// away.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Filter {
    /// Ports.
    pub ports: PerEnd<Ports>,
    /// Addresses and prefixes.
    pub addrs: PerEnd<Cidr>,
    /// Address families, as bits of [`family`].
    pub families: u8,
    /// Network namespaces.
    pub netns: NetnsFilter,
    /// Whether the kernel also lets pass the events that connection tracking needs. User space filters those
    /// again.
    pub for_stories: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            ports: PerEnd::default(),
            addrs: PerEnd::default(),
            families: family::ANY,
            netns: NetnsFilter::All,
            for_stories: false,
        }
    }
}

impl Filter {
    /// Which filters the kernel program must apply.
    #[must_use]
    pub fn active(&self) -> Active {
        Active {
            local_ports: ports::local_bounds(&self.ports),
            ports: self.ports.active(),
            addrs: self.addrs.active(),
            families: self.families,
            netns: match self.netns {
                NetnsFilter::All => netns::ALL,
                NetnsFilter::Only(_) => netns::LISTED,
                NetnsFilter::AllBut(_) => netns::UNLISTED,
            },
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

impl Filter {
    /// Whether the network namespace with this inode number and this cookie, 0 if it is not known, passes.
    #[must_use]
    pub fn has_netns(&self, inum: Inum, cookie: u64) -> bool {
        self.netns.selects(NetnsId::new(inum, cookie))
    }

    /// Whether everything passes in the namespaces that pass.
    #[must_use]
    pub fn is_open_but_for_netns(&self) -> bool {
        Active { story: 0, netns: netns::ALL, ..self.active() } == Self::default().active()
    }
}

/// The result of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The connection is selected.
    Pass,
    /// It is not.
    Fail,
    /// The result depends on a fact that is not known yet.
    Undecided,
}

/// Applies a [`Filter`] in user space.
#[derive(Debug)]
pub struct Matcher {
    active: Active,
    ports: ports::PortMarks,
    addrs: addrs::AddrMarks,
    netns: NetnsFilter,
}

impl Matcher {
    /// Makes the tables of a filter.
    #[must_use]
    pub fn new(filter: &Filter) -> Self {
        Self {
            active: filter.active(),
            ports: ports::PortMarks::new(&filter.ports),
            addrs: addrs::AddrMarks::new(&filter.addrs),
            netns: filter.netns.clone(),
        }
    }

    /// Whether a connection passes. `family` is the socket's address family. `flags` are bits of
    /// [`tracer_common::event::flag`]: with `UNBOUND` the local port is not known yet, so the result may be
    /// undecided.
    #[must_use]
    pub fn judge(&self, tuple: &Tuple, family: u8, flags: u16) -> Verdict {
        let Active { ports, addrs, families, .. } = self.active;
        let has_peer = tuple.remote_port != 0;
        let of_peer = |marks: u8| if has_peer { marks } else { 0 };
        let is_mapped = |address: &[u8; 16]| std::net::Ipv6Addr::from(*address).to_ipv4_mapped().is_some();
        let kind = family::of(family, is_mapped(&tuple.local_addr), is_mapped(&tuple.remote_addr));
        let is_other_netns = !self.netns.selects(tuple.netns_id());
        let is_other_family = families & kind == 0;
        if is_other_netns
            || is_other_family
            || !selects(addrs, self.addrs.of(&tuple.local_addr), of_peer(self.addrs.of(&tuple.remote_addr)))
        {
            return Verdict::Fail;
        }
        let remote = of_peer(self.ports.of(tuple.remote_port));
        if flags & flag::UNBOUND == 0 {
            let passes = selects(ports, self.ports.of(tuple.local_port), remote);
            return if passes { Verdict::Pass } else { Verdict::Fail };
        }
        match (selects(ports, WORST_LOCAL, remote), selects(ports, BEST_LOCAL, remote)) {
            (true, _) => Verdict::Pass,
            (false, true) => Verdict::Undecided,
            (false, false) => Verdict::Fail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_common::{Event, event::AF_INET, state};
    use zerocopy::FromZeros as _;

    fn matcher(local: &str, either: &str) -> Matcher {
        let parse = |text: &str| if text.is_empty() { vec![] } else { vec![text.parse().unwrap()] };
        Matcher::new(&Filter { ports: PerEnd::new(parse(either), parse(local), vec![]), ..Filter::default() })
    }

    fn judge_event(matcher: &Matcher, event: &Event) -> Verdict {
        matcher.judge(&Tuple::of(event), event.family, event.flags)
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
    fn a_port_that_is_not_chosen_yet_leaves_it_undecided() {
        let matcher = matcher("5000", "");
        assert_eq!(judge_event(&matcher, &unbound(0, 443)), Verdict::Undecided);
        assert_eq!(
            judge_event(&matcher, &unbound(5000, 443)),
            Verdict::Undecided,
            "the port of the socket's last connection"
        );
        assert_eq!(judge_event(&matcher, &connect(5000, 443)), Verdict::Pass);
        assert_eq!(judge_event(&matcher, &connect(5001, 443)), Verdict::Fail);
    }

    #[test]
    fn a_matching_remote_port_passes() {
        let matcher = matcher("", "443");
        assert_eq!(judge_event(&matcher, &unbound(0, 443)), Verdict::Pass);
        assert_eq!(judge_event(&matcher, &unbound(0, 80)), Verdict::Undecided);
    }

    #[test]
    fn what_takes_away_waits_for_the_port_too() {
        let not_local = matcher("!5000", "");
        assert_eq!(judge_event(&not_local, &unbound(0, 443)), Verdict::Undecided);
        assert_eq!(judge_event(&not_local, &connect(5000, 443)), Verdict::Fail);
        assert_eq!(judge_event(&not_local, &connect(5001, 443)), Verdict::Pass);
        let not_either = matcher("", "!443");
        assert_eq!(judge_event(&not_either, &unbound(0, 443)), Verdict::Fail);
        assert_eq!(judge_event(&not_either, &unbound(0, 80)), Verdict::Undecided);
        assert_eq!(judge_event(&not_either, &connect(5000, 80)), Verdict::Pass);
    }

    #[test]
    fn a_listener_has_no_peer() {
        let mut listen = connect(80, 0);
        listen.new_state = state::LISTEN;
        assert_eq!(judge_event(&matcher("", "443"), &listen), Verdict::Fail);
        assert_eq!(judge_event(&matcher("", "80"), &listen), Verdict::Pass);
        let any_peer: Choice<Cidr> = "0.0.0.0/0".parse().unwrap();
        let filter = Filter { addrs: PerEnd::new(vec![], vec![], vec![any_peer]), ..Filter::default() };
        assert_eq!(judge_event(&Matcher::new(&filter), &listen), Verdict::Fail);
    }
}
