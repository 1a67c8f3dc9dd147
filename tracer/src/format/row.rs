//! The content of a line: an event, a transition or a connection, with the context that is needed to write
//! it.

use std::net::IpAddr;

use tracer_common::{
    Event,
    event::{AF_INET, Holder, UID_UNKNOWN, flag, kind},
};

use crate::{
    facts::{context::Context, listing::ListedSocket, process_cgroups::SocketOwner},
    tcp::{
        endpoint::{Endpoint, Family, Task, Tuple},
        netns::NetnsId,
        reset::{NO_REASONS, ResetReasons},
        state::State,
    },
    track::{
        Transition,
        connection::{Connection, Counters, Role},
    },
};

/// The source of a row's facts.
#[derive(Clone, Copy, Debug)]
enum Facts<'a> {
    Event(&'a Event),
    Connection(&'a Connection),
    Socket(&'a ListedSocket),
}

/// The content of a line.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    facts: Facts<'a>,
    /// The transition; `None` for a connection's current state and with `--raw`.
    pub transition: Option<&'a Transition>,
    /// How many connections are in the group that this line is about (`--group`).
    pub group: Option<u64>,
    /// What is known besides.
    pub context: &'a Context,
    /// The names of reasons for a sent RST.
    pub reset_reasons: &'a ResetReasons,
    /// The time of the event or of the connection's state, in nanoseconds of the kernel's monotonic clock.
    pub time_ns: u64,
    /// The CPU of the event, if known.
    pub cpu: Option<u16>,
    /// The pending error of the socket (errno); 0 if there is none.
    pub error: u16,
    /// Other properties of the socket: bits of [`tracer_common::event::flag`].
    pub flags: u16,
    /// The kind of event: one of [`tracer_common::event::kind`].
    pub kind: u8,
    /// A detail whose meaning depends on the kind.
    pub detail: u8,
    /// The directions that are shut down (`sk_shutdown`).
    pub shutdown: u8,
    /// The old state.
    pub old: State,
    /// The new state.
    pub new: State,
    /// The address family.
    pub family: Family,
    /// The local endpoint.
    pub local: Endpoint,
    /// The remote endpoint; `None` for a listener.
    pub remote: Option<Endpoint>,
    /// The owner of the socket, if known; with `--raw` the task that was on the CPU.
    pub task: Option<Task>,
}

impl<'a> Row<'a> {
    /// A row for an event of the tracepoint, with its values unchanged.
    #[must_use]
    pub fn raw(event: &'a Event, context: &'a Context) -> Self {
        let is_v4 = event.family == AF_INET;
        let endpoint = if is_v4 { Endpoint::of } else { Endpoint::raw };
        Self {
            facts: Facts::Event(event),
            transition: None,
            group: None,
            context,
            reset_reasons: &NO_REASONS,
            time_ns: event.time_ns,
            cpu: Some(event.cpu),
            error: event.error,
            flags: event.flags,
            kind: event.kind,
            detail: event.detail,
            shutdown: event.shutdown,
            old: State::from_kernel(event.old_state),
            new: State::from_kernel(event.new_state),
            family: if is_v4 { Family::Ipv4 } else { Family::Ipv6 },
            local: endpoint(event.local_addr, event.local_port),
            remote: Some(endpoint(event.remote_addr, event.remote_port)),
            task: Some(Task { pid: event.pid, tid: event.tid, comm: event.comm }),
        }
    }

    /// A row for an event of a connection, as users see it: a v4-mapped connection is IPv4, a listener has no
    /// peer, and the task is the owner.
    #[must_use]
    pub fn transition(transition: &'a Transition, context: &'a Context, reasons: &'a ResetReasons) -> Self {
        let mut row = Self {
            transition: Some(transition),
            reset_reasons: reasons,
            cpu: transition.cpu,
            error: transition.error,
            flags: transition.flags,
            kind: transition.kind,
            detail: transition.detail,
            shutdown: transition.shutdown,
            old: State::from_kernel(transition.old_state),
            new: State::from_kernel(transition.new_state),
            ..Self::of(&transition.connection, transition.time_ns, context)
        };
        if transition.flags & flag::UNBOUND != 0 {
            row.local.port = None;
        }
        row
    }

    /// A row for the state of a connection at `now_ns`.
    #[must_use]
    #[inline]
    pub fn of(connection: &'a Connection, now_ns: u64, context: &'a Context) -> Self {
        let owner = &connection.owner;
        let (local, remote) = ends(&connection.tuple, context);
        // A dual-stack listener's own address is IPv6, even if its peers use IPv4.
        let is_v4 = local.addr.is_ipv4() || remote.addr.is_ipv4();
        let timewait = if connection.is_timewait { flag::TIME_WAIT } else { 0 };
        let bare = if connection.is_bare() { flag::BARE } else { 0 };
        let state = State::from_kernel(connection.state);
        Self {
            facts: Facts::Connection(connection),
            transition: None,
            group: None,
            context,
            reset_reasons: &NO_REASONS,
            time_ns: now_ns,
            cpu: None,
            error: 0,
            flags: timewait | bare,
            kind: kind::TRANSITION,
            detail: 0,
            shutdown: 0,
            old: state,
            new: state,
            family: if is_v4 { Family::Ipv4 } else { Family::Ipv6 },
            local,
            remote: (remote.port.is_some() || !remote.addr.is_unspecified()).then_some(remote),
            task: owner.is_known().then_some(Task { pid: owner.pid, tid: owner.tid, comm: owner.comm }),
        }
    }

    /// A row for a socket that was found at `now_ns` (`list`).
    #[must_use]
    pub fn listed(socket: &'a ListedSocket, now_ns: u64, context: &'a Context) -> Self {
        let (local, remote) = ends(&socket.tuple, context);
        let is_v4 = local.addr.is_ipv4() || remote.addr.is_ipv4();
        let state = State::from_kernel(socket.state);
        let holder = socket.holders.as_deref().and_then(<[Holder]>::first);
        Self {
            facts: Facts::Socket(socket),
            transition: None,
            group: None,
            context,
            reset_reasons: &NO_REASONS,
            time_ns: now_ns,
            cpu: None,
            error: 0,
            flags: if socket.uid.is_none() { flag::BARE } else { 0 },
            kind: kind::TRANSITION,
            detail: 0,
            shutdown: socket.shutdown,
            old: state,
            new: state,
            family: if is_v4 { Family::Ipv4 } else { Family::Ipv6 },
            local,
            remote: (remote.port.is_some() || !remote.addr.is_unspecified()).then_some(remote),
            task: holder.map(|holder| Task { pid: holder.pid, tid: holder.pid, comm: holder.comm }),
        }
    }

    /// The connection; `None` with `--raw` and in `list`.
    #[must_use]
    pub fn connection(&self) -> Option<&'a Connection> {
        match self.facts {
            Facts::Event(_) | Facts::Socket(_) => None,
            Facts::Connection(connection) => Some(connection),
        }
    }

    /// The socket that was found; only in `list`.
    #[must_use]
    pub fn socket(&self) -> Option<&'a ListedSocket> {
        match self.facts {
            Facts::Event(_) | Facts::Connection(_) => None,
            Facts::Socket(socket) => Some(socket),
        }
    }

    /// The socket's cookie; 0 if it has none.
    #[must_use]
    pub fn cookie(&self) -> u64 {
        match self.facts {
            Facts::Event(event) => event.cookie,
            Facts::Connection(connection) => connection.cookie,
            Facts::Socket(socket) => socket.cookie,
        }
    }

    /// The inode number of the network namespace; 0 if the kernel lacks it.
    #[must_use]
    pub fn netns(&self) -> u32 {
        match self.facts {
            Facts::Event(event) => event.netns,
            Facts::Connection(connection) => connection.tuple.netns,
            Facts::Socket(socket) => socket.tuple.netns,
        }
    }

    /// The cookie of the network namespace; 0 if the kernel lacks it.
    #[must_use]
    pub fn netns_cookie(&self) -> u32 {
        match self.facts {
            Facts::Event(event) => Tuple::of(event).netns_cookie,
            Facts::Connection(connection) => connection.tuple.netns_cookie,
            Facts::Socket(socket) => socket.tuple.netns_cookie,
        }
    }

    /// The network namespace.
    #[must_use]
    pub fn netns_id(&self) -> NetnsId {
        match self.facts {
            Facts::Event(event) => NetnsId::new(event.netns, event.netns_cookie),
            Facts::Connection(connection) => connection.tuple.netns_id(),
            Facts::Socket(socket) => socket.tuple.netns_id(),
        }
    }

    /// The index of the device that the socket is bound to; 0 if it is not bound.
    #[must_use]
    pub fn ifindex(&self) -> u32 {
        match self.facts {
            Facts::Event(event) => event.ifindex,
            Facts::Connection(connection) => connection.tuple.ifindex,
            Facts::Socket(socket) => socket.tuple.ifindex,
        }
    }

    /// The token of the MPTCP connection; 0 for plain TCP.
    #[must_use]
    pub fn mptcp_token(&self) -> u32 {
        match self.facts {
            Facts::Event(event) => event.mptcp_token,
            Facts::Connection(connection) => connection.mptcp_token,
            Facts::Socket(_) => 0,
        }
    }

    /// The user ID of the socket.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        let uid = match self.facts {
            Facts::Event(event) => event.uid,
            Facts::Connection(connection) => connection.uid,
            Facts::Socket(socket) => socket.uid?,
        };
        (self.flags & flag::BARE == 0 && uid != UID_UNKNOWN).then_some(uid)
    }

    /// The cgroup's ID; 0 if the kernel lacks it.
    #[must_use]
    pub fn cgroup(&self) -> u64 {
        match self.facts {
            Facts::Event(event) => event.cgroup,
            Facts::Connection(connection) => connection.cgroup,
            Facts::Socket(socket) => socket.cgroup,
        }
    }

    /// What tells in which cgroup the socket's owner runs.
    #[must_use]
    pub fn owner(&self) -> SocketOwner {
        match self.facts {
            Facts::Event(event) => SocketOwner { cgroup: event.cgroup, ..SocketOwner::UNKNOWN },
            Facts::Connection(connection) => connection.socket_owner(),
            Facts::Socket(socket) => socket.owner(self.time_ns),
        }
    }

    /// The counters. Those that an event does not have are 0.
    #[must_use]
    pub fn counters(&self) -> Counters {
        match self.facts {
            Facts::Event(event) => Counters::of(event),
            Facts::Connection(connection) => connection.counters,
            Facts::Socket(socket) => counters(socket),
        }
    }

    /// The role; unknown with `--raw`.
    #[must_use]
    pub fn role(&self) -> Role {
        self.connection().map(|connection| connection.role).unwrap_or_default()
    }
}

/// The counters of a socket that was found. Those that it does not have are 0.
fn counters(socket: &ListedSocket) -> Counters {
    let info = socket.info.unwrap_or_default();
    Counters {
        bytes_acked: info.bytes_acked,
        received: info.bytes_received,
        srtt_us: info.srtt_us,
        retransmits: info.retransmits,
        recv_queue: socket.recv_queue,
        send_queue: socket.send_queue,
    }
}

/// The two ends of a connection, with the device that it is bound to: on the local end, as `ss` does it, and on
/// the other end if its address means something only on that device (RFC 4007).
#[must_use]
pub fn ends(tuple: &Tuple, context: &Context) -> (Endpoint, Endpoint) {
    let mut local = Endpoint::of(tuple.local_addr, tuple.local_port);
    let mut remote = Endpoint::of(tuple.remote_addr, tuple.remote_port);
    local.device = context.interfaces.device(tuple);
    if matches!(remote.addr, IpAddr::V6(addr) if addr.is_unicast_link_local()) {
        remote.device = local.device;
    }
    (local, remote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{time::clock::Clock, track::Tracker};
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

    fn tracked(event: &Event) -> Transition {
        let mut found = None;
        Tracker::new(false).event(event, &mut |transition| found = Some(*transition));
        found.unwrap()
    }

    #[test]
    fn a_mapped_connection_is_ipv4_unless_raw() {
        let mut event = event(AF_INET6, "10.0.0.1", "10.0.0.2");
        event.remote_port = 5000;
        event.new_state = state::ESTABLISHED;
        let (context, transition) = (Context::new(Clock::fixed(0, 0)), tracked(&event));
        let row = Row::transition(&transition, &context, &NO_REASONS);
        assert_eq!((row.family, row.local.addr.to_string()), (Family::Ipv4, "10.0.0.1".into()));
        let row = Row::raw(&event, &context);
        assert_eq!((row.family, row.local.addr.to_string()), (Family::Ipv6, "::ffff:10.0.0.1".into()));
    }

    #[test]
    fn a_listener_has_no_peer_unless_raw() {
        let mut event = event(AF_INET, "10.0.0.1", "0.0.0.0");
        event.old_state = state::CLOSE;
        event.new_state = state::LISTEN;
        let (context, transition) = (Context::new(Clock::fixed(0, 0)), tracked(&event));
        assert_eq!(Row::of(&transition.connection, 0, &context).remote, None);
        let remote = Row::raw(&event, &context).remote.unwrap();
        assert_eq!((remote.addr.to_string(), remote.port), ("0.0.0.0".into(), None));
    }
}
