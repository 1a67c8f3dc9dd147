//! The filters on what is constant over a connection: a file for each, with its type, its parser
//! and its meaning. The kernel runs them from the tables made here; user space runs the same test
//! where the kernel could not decide yet.

pub mod addrs;
pub mod netns;
pub mod ports;

use tracer_common::{
    Event,
    filter::{Active, EITHER, LOCAL, REMOTE, family, selects},
};

use crate::{
    filter::{addrs::Cidrs, netns::Inum, ports::Ports},
    state::State,
};

/// What was asked for, each with the mark of the end it was asked for at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends<T>(Vec<(T, u8)>);

impl<T> Ends<T> {
    /// What was asked for at either end, at the local and at the remote one.
    #[must_use]
    pub fn new(either: Vec<T>, local: Vec<T>, remote: Vec<T>) -> Self {
        let marked = [(either, EITHER), (local, LOCAL), (remote, REMOTE)];
        Self(
            marked
                .into_iter()
                .flat_map(|(values, mark)| values.into_iter().map(move |value| (value, mark)))
                .collect(),
        )
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
    pub netns: Vec<Inum>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { ports: Ends::default(), addrs: Ends::default(), families: family::ANY, netns: Vec::new() }
    }
}

impl Filter {
    /// Which filters the kernel program has to run.
    #[must_use]
    pub fn active(&self) -> Active {
        Active {
            ports: self.ports.active(),
            addrs: self.addrs.active(),
            families: self.families,
            netns: u8::from(!self.netns.is_empty()),
        }
    }

    /// Whether the event's ports pass, as far as it knows them.
    #[must_use]
    pub fn judge_ports(&self, marks: &ports::Marks, event: &Event) -> Verdict {
        let active = self.ports.active();
        let (local, remote) = (marks.of(event.local_port), marks.of(event.remote_port));
        if selects(active, local, remote) {
            Verdict::Pass
        } else if is_port_open(event) && selects(active, local | EITHER | LOCAL, remote) {
            Verdict::Undecided
        } else {
            Verdict::Fail
        }
    }
}

/// What a filter says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is one of those asked for.
    Pass,
    /// It is not.
    Fail,
    /// That depends on a port which is not chosen yet.
    Undecided,
}

/// A client's local port is chosen only after its `CLOSE -> SYN_SENT`; and it never is when none
/// is free, which ends in `SYN_SENT -> CLOSE`.
fn is_port_open(event: &Event) -> bool {
    event.local_port == 0 && State::from_kernel(event.new_state) == State::SYN_SENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_common::state;
    use zerocopy::FromZeros as _;

    fn filter(local: &str, either: &str) -> Filter {
        let parse = |text: &str| {
            if text.is_empty() { vec![] } else { vec![text.parse().unwrap()] }
        };
        Filter { ports: Ends::new(parse(either), parse(local), vec![]), ..Filter::default() }
    }

    fn connect(local_port: u16, remote_port: u16) -> Event {
        let mut event = Event::new_zeroed();
        event.old_state = state::CLOSE;
        event.new_state = state::SYN_SENT;
        event.local_port = local_port;
        event.remote_port = remote_port;
        event
    }

    #[test]
    fn a_port_not_chosen_yet_decides_nothing() {
        let filter = filter("5000", "");
        let marks = ports::Marks::new(&filter.ports, true);
        assert_eq!(filter.judge_ports(&marks, &connect(0, 443)), Verdict::Undecided);
        assert_eq!(filter.judge_ports(&marks, &connect(5000, 443)), Verdict::Pass);
        assert_eq!(filter.judge_ports(&marks, &connect(5001, 443)), Verdict::Fail);
    }

    #[test]
    fn a_remote_port_that_matches_decides() {
        let filter = filter("", "443");
        let marks = ports::Marks::new(&filter.ports, true);
        assert_eq!(filter.judge_ports(&marks, &connect(0, 443)), Verdict::Pass);
        assert_eq!(filter.judge_ports(&marks, &connect(0, 80)), Verdict::Undecided);
    }

    #[test]
    fn a_listener_has_no_remote_port_and_that_is_decided() {
        let filter = filter("", "443");
        let marks = ports::Marks::new(&filter.ports, true);
        let mut listen = connect(80, 0);
        listen.new_state = state::LISTEN;
        assert_eq!(filter.judge_ports(&marks, &listen), Verdict::Fail);
    }
}
