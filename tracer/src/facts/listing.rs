//! The sockets that are there now, as `tracer list` shows them.

use tracer_common::{event::Holder, state};

use crate::{facts::process_cgroups::SocketOwner, tcp::endpoint::Tuple, time::clock::Anchor};

/// What kind of socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// A socket of this host (`AF_UNIX`).
    Unix,
}

impl Protocol {
    /// The name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
        }
    }
}

/// The timer that runs for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketTimer {
    /// The kernel's number: 1 for retransmissions, 2 keepalive, 3 TIME_WAIT, 4 window probes.
    pub kind: u8,
    /// Retransmissions or probes without an answer so far.
    pub unanswered: u8,
    /// Milliseconds until it expires.
    pub rest_ms: u32,
}

impl SocketTimer {
    /// The name of its kind, as `ss` and netstat have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.kind {
            1 => "on",
            2 => "keepalive",
            3 => "timewait",
            4 => "probe",
            _ => "unknown",
        }
    }
}

/// What the kernel knows of a TCP connection (`struct tcp_info`), as far as it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Smoothed round-trip time in microseconds; 0 before the first measurement.
    pub srtt_us: u32,
    /// Segments retransmitted so far.
    pub retransmits: u32,
    /// Bytes acknowledged by the peer.
    pub bytes_acked: u64,
    /// Bytes received in order.
    pub bytes_received: u64,
}

/// What only a socket of this host has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixFacts {
    /// The kernel's number of its type: 1 for a stream, 2 datagrams, 5 packets in order.
    pub kind: u8,
    /// References to it, as `/proc/net/unix` counts them.
    pub refcount: Option<u32>,
    /// Its escaped path, or `@` and its escaped abstract name.
    pub path: Option<String>,
    /// Inode number of the socket that it is connected to.
    pub peer_inode: Option<u32>,
}

impl UnixFacts {
    /// The name of its type.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self.kind {
            1 => "STREAM",
            2 => "DGRAM",
            3 => "RAW",
            4 => "RDM",
            5 => "SEQPACKET",
            _ => "UNKNOWN",
        }
    }
}

/// What became of a socket since the list before (`--watch`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// It is as it was, or there was no list before.
    #[default]
    None,
    /// It was not there.
    New,
    /// Its state, its queues or its holders are others.
    Changed,
    /// It is not there any more: this is how it was.
    Gone,
}

impl Change {
    /// The word in output.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::New => Some("new"),
            Self::Changed => Some("changed"),
            Self::Gone => Some("gone"),
        }
    }
}

/// A socket.
#[derive(Clone, Debug)]
pub struct ListedSocket {
    /// What kind of socket it is.
    pub protocol: Protocol,
    /// The kernel's number of its address family.
    pub family: u8,
    /// The kernel's number of its state, for all kinds of sockets that of TCP.
    pub state: u8,
    /// Its ends, network namespace and device.
    pub tuple: Tuple,
    /// Its cookie.
    pub cookie: u64,
    /// Inode number; 0 for a socket that no process can hold.
    pub inode: u32,
    /// User id; `None` for a socket that has none, such as one in TIME_WAIT.
    pub uid: Option<u32>,
    /// Bytes received and not read yet; for a listener its accept queue.
    pub recv_queue: u32,
    /// Bytes written and not acknowledged yet; for a listener its accept queue's limit.
    pub send_queue: u32,
    /// Whether these are the queues of that moment, and not of an earlier one.
    pub knows_queues: bool,
    /// The timer that runs.
    pub timer: Option<SocketTimer>,
    /// How long it has been in its state at least, in nanoseconds; `None` if nothing proves that.
    pub in_state_ns: Option<u64>,
    /// Whether it was seen to enter it, so that this is how long.
    pub knows_age: bool,
    /// What the kernel knows of the connection.
    pub info: Option<ConnectionInfo>,
    /// Id of its cgroup; 0 if it is not known.
    pub cgroup: u64,
    /// The directions that are shut down.
    pub shutdown: u8,
    /// Whether a listener is for IPv6 only.
    pub is_v6_only: bool,
    /// The rest of a socket of this host.
    pub unix: Option<Box<UnixFacts>>,
    /// The processes that hold it; `None` if they were not searched, or may not be seen.
    pub holders: Option<Box<[Holder]>>,
    /// What became of it.
    pub change: Change,
}

impl ListedSocket {
    /// A socket of which nothing else is known.
    #[must_use]
    pub fn new(protocol: Protocol, family: u8, tuple: Tuple) -> Self {
        Self {
            protocol,
            family,
            state: 0,
            tuple,
            cookie: 0,
            inode: 0,
            uid: None,
            recv_queue: 0,
            send_queue: 0,
            knows_queues: true,
            timer: None,
            in_state_ns: None,
            knows_age: false,
            info: None,
            cgroup: 0,
            shutdown: 0,
            is_v6_only: false,
            unix: None,
            holders: None,
            change: Change::None,
        }
    }

    /// What tells in which cgroup its owner ran at this time, in nanoseconds of the kernel's monotonic clock.
    #[must_use]
    pub fn owner(&self, at_ns: u64) -> SocketOwner {
        let holders = self.holders.as_deref().unwrap_or_default();
        // systemd keeps the sockets that it has made for the services that it starts.
        let holder = holders.iter().find(|holder| holder.pid != 1).or(holders.first());
        let pid = holder.map_or(0, |holder| holder.pid);
        SocketOwner { cgroup: self.cgroup, pid, is_sure: holder.is_some(), from_ns: at_ns, at_ns }
    }

    /// Whether it waits for others: a listener; of UDP one without a peer.
    #[must_use]
    pub fn is_listener(&self) -> bool {
        match self.protocol {
            Protocol::Tcp | Protocol::Unix => self.state == state::LISTEN,
            Protocol::Udp => self.state != state::ESTABLISHED,
        }
    }
}

/// The sockets that were there when they were listed.
#[derive(Clone, Debug)]
pub struct Listing {
    /// When it was begun.
    pub at: Anchor,
    /// They, as the kernel gives them.
    pub sockets: Vec<ListedSocket>,
    /// What could not be found, and why.
    pub missing: Vec<String>,
}

impl Listing {
    /// Nothing is listed yet.
    #[must_use]
    pub fn begun(at: Anchor) -> Self {
        Self { at, sockets: Vec::new(), missing: Vec::new() }
    }
}

/// Since when a socket is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSince {
    /// The state.
    pub state: u8,
    /// Since when, in nanoseconds of the kernel's monotonic clock.
    pub from_ns: u64,
    /// It has not been there for longer.
    pub is_exact: bool,
}
