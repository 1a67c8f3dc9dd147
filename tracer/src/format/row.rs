//! What a line shows: an event with what user space knows about it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tracer_common::{
    Event,
    event::{AF_INET, COMM_LEN, flag},
};

use crate::{
    tcp::{
        reset::{NO_NAMES, Names},
        state::State,
    },
    text::escape::name,
    time::clock::Clock,
    track::Tracked,
};

/// An address family as users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// As the interface spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Address.
    pub addr: IpAddr,
    /// Port; `None` where not known yet, and for a listener's missing peer.
    pub port: Option<u16>,
}

impl End {
    /// As users see it: a v4-mapped address is IPv4, and port 0 is none.
    #[must_use]
    pub fn of(addr: [u8; 16], port: u16) -> Self {
        end(addr, port, canonical)
    }
}

impl fmt::Display for End {
    /// As `ss` writes it: `10.0.0.1:443`, `[2001:db8::1]:443`, `*` for a port not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr {
            IpAddr::V4(addr) => write!(f, "{addr}:")?,
            IpAddr::V6(addr) => write!(f, "[{addr}]:")?,
        }
        match self.port {
            Some(port) => write!(f, "{port}"),
            None => f.write_str("*"),
        }
    }
}

/// A task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Name, zero-padded, any bytes.
    pub comm: [u8; COMM_LEN],
}

impl Task {
    /// The name without its padding.
    #[must_use]
    pub fn comm(&self) -> &[u8] {
        name(&self.comm)
    }
}

/// A line to be.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The facts.
    pub event: &'a Event,
    /// Its story; none with `--raw`.
    pub story: Option<&'a Tracked>,
    /// To translate times with.
    pub clock: &'a Clock,
    /// To name why an RST was sent with.
    pub names: &'a Names,
    /// State before.
    pub old: State,
    /// State after.
    pub new: State,
    /// Family.
    pub family: Family,
    /// This host's end.
    pub local: End,
    /// The peer's; `None` for a listener.
    pub remote: Option<End>,
    /// The owner as far as known; with `--raw` the task that was on the CPU.
    pub task: Option<Task>,
}

impl<'a> Row<'a> {
    /// Exactly what the tracepoint said.
    #[must_use]
    pub fn raw(event: &'a Event, clock: &'a Clock) -> Self {
        let (family, show): (_, fn(Ipv6Addr) -> IpAddr) =
            if event.family == AF_INET { (Family::Ipv4, canonical) } else { (Family::Ipv6, IpAddr::V6) };
        let remote = end(event.remote_addr, event.remote_port, show);
        let task = Task { pid: event.pid, tid: event.tid, comm: event.comm };
        Self { family, remote: Some(remote), task: Some(task), ..Self::new(event, clock, show) }
    }

    /// As users see connections: a v4-mapped one is IPv4, a listener has no peer, and the task is
    /// the owner.
    #[must_use]
    pub fn told(tracked: &'a Tracked, clock: &'a Clock) -> Self {
        let owner = tracked.connection.owner;
        let task = Task { pid: owner.pid, tid: owner.tid, comm: owner.comm };
        let mut row = Self::new(&tracked.event, clock, canonical);
        if tracked.event.flags & flag::UNBOUND != 0 {
            row.local.port = None;
        }
        Self { story: Some(tracked), task: owner.is_known().then_some(task), ..row }
    }

    fn new(event: &'a Event, clock: &'a Clock, show: fn(Ipv6Addr) -> IpAddr) -> Self {
        let local = end(event.local_addr, event.local_port, show);
        let remote = end(event.remote_addr, event.remote_port, show);
        // A dual-stack listener's own address says IPv6, whatever its peers will be.
        let is_ipv4 = local.addr.is_ipv4() || remote.addr.is_ipv4();
        Self {
            event,
            story: None,
            clock,
            names: &NO_NAMES,
            old: State::from_kernel(event.old_state),
            new: State::from_kernel(event.new_state),
            family: if is_ipv4 { Family::Ipv4 } else { Family::Ipv6 },
            local,
            remote: (remote.port.is_some() || !remote.addr.is_unspecified()).then_some(remote),
            task: None,
        }
    }
}

fn end(addr: [u8; 16], port: u16, show: fn(Ipv6Addr) -> IpAddr) -> End {
    End { addr: show(Ipv6Addr::from(addr)), port: (port != 0).then_some(port) }
}

fn canonical(addr: Ipv6Addr) -> IpAddr {
    let bits = addr.to_bits();
    if bits >> 32 == 0xffff {
        let octets = addr.octets();
        IpAddr::V4(Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]))
    } else {
        IpAddr::V6(addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Tracker;
    use tracer_common::{event::AF_INET6, state};
    use zerocopy::FromZeros as _;

    fn event(family: u8, local: &str, remote: &str) -> Event {
        let mapped = |text: &str| match text.parse().unwrap() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let mut event = Event::new_zeroed();
        event.family = family;
        event.local_addr = mapped(local);
        event.remote_addr = mapped(remote);
        event.local_port = 80;
        event
    }

    fn told(event: &Event) -> Tracked {
        let mut told = None;
        Tracker::new(false).event(event, &mut |tracked| told = Some(*tracked));
        told.unwrap()
    }

    #[test]
    fn a_mapped_connection_is_ipv4_unless_raw() {
        let mut event = event(AF_INET6, "10.0.0.1", "10.0.0.2");
        event.remote_port = 5000;
        event.new_state = state::ESTABLISHED;
        let (clock, tracked) = (Clock::new(), told(&event));
        let row = Row::told(&tracked, &clock);
        assert_eq!((row.family, row.local.addr.to_string()), (Family::Ipv4, "10.0.0.1".into()));
        let row = Row::raw(&event, &clock);
        assert_eq!((row.family, row.local.addr.to_string()), (Family::Ipv6, "::ffff:10.0.0.1".into()));
    }

    #[test]
    fn a_listener_has_no_peer_unless_raw() {
        let mut event = event(AF_INET, "10.0.0.1", "0.0.0.0");
        event.old_state = state::CLOSE;
        event.new_state = state::LISTEN;
        let (clock, tracked) = (Clock::new(), told(&event));
        assert_eq!(Row::told(&tracked, &clock).remote, None);
        let remote = Row::raw(&event, &clock).remote.unwrap();
        assert_eq!((remote.addr.to_string(), remote.port), ("0.0.0.0".into(), None));
    }
}
