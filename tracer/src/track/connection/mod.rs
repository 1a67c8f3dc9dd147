//! The record of a connection: what is known of a socket while it lives.
//!
//! # Layout
//! - [`Connection`]: the record
//! - `times`, `spent`: time in its state, and in those that it has left
//! - `counters`, `role`, `idle`: parts of it

mod counters;
mod idle;
mod role;
mod spent;
mod times;

use tracer_common::{
    Event,
    event::{REASON_UNKNOWN, UID_UNKNOWN, flag, kind},
    state as number,
};

pub use counters::Counters;
pub use role::{FirstFin, Role};

use crate::{
    facts::process_cgroups::SocketOwner,
    tcp::{endpoint::Tuple, reset::Reset},
    track::{
        connection::spent::Spent,
        owner::{Evidence, Owner},
    },
};

/// Its birth was seen.
const BORN: u16 = 1;
/// `since_ns` is when it entered its state, not merely when it was found there.
const SINCE_KNOWN: u16 = 2;
/// See [`Connection::is_bare`].
const BARE: u16 = 4;
/// Its SYN may be waiting for the first data.
const MAY_WAIT: u16 = 8;
/// `IP_TRANSPARENT` is set.
const TRANSPARENT: u16 = 16;
/// See [`Connection::lacks_timewait`].
const LACKS_TIMEWAIT: u16 = 32;
/// See [`Connection::doubt_owner`].
const DOUBTFUL: u16 = 64;
/// See [`Connection::set_gap`].
const GAP: u16 = 128;
/// See [`Connection::is_window_zero`].
const WINDOW_ZERO: u16 = 256;
/// See [`Connection::is_v6_only`].
const V6_ONLY: u16 = 512;
/// Its end has told when data was last sent or received.
const IDLE_AT_END: u16 = 1024;
/// What an event shows while a SYN waits.
const WAITS: u16 = flag::FASTOPEN_CONNECT | flag::UNSENT;

/// What is known of a socket. The table may hold a million of these records, so their size matters.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Connection {
    /// Socket cookie: its identity, the number that `ss -e` prints as `sk:`.
    pub cookie: u64,
    /// When it entered its state; without [`SINCE_KNOWN`], since when it is there at least.
    since_ns: u64,
    /// When it was born; without [`BORN`], when it was first seen.
    seen_ns: u64,
    /// Time of the last event or snapshot that showed it.
    pub last_ns: u64,
    /// When it last retransmitted a segment; 0 if that was not seen.
    pub retransmitted_ns: u64,
    /// Id of the socket's cgroup (v2).
    pub cgroup: u64,
    /// Its counters at the last event or snapshot.
    pub counters: Counters,
    /// Time in the states that it has left.
    spent: Spent,
    /// SYNs and connections that a listener had dropped when it was last looked at; else 0.
    pub drops: u32,
    /// Addresses, ports and network namespace.
    pub tuple: Tuple,
    /// User id of the socket; see [`Connection::known_uid`].
    pub uid: u32,
    /// The process that owns it.
    pub owner: Owner,
    /// When data was last sent or received, in milliseconds of the kernel's monotonic clock without the upper
    /// half; 0 if it is not known.
    last_data_ms: u32,
    /// Token of the MPTCP connection that it is a subflow of; 0 for plain TCP.
    pub mptcp_token: u32,
    /// In SYN_SENT: how long after it entered it the socket was last seen not to have sent its SYN, in
    /// milliseconds. Later: duration of the handshake in microseconds; 0 if it was not measured. In LISTEN: half-open
    /// connections.
    opening: u32,
    /// How often the timer for retransmissions or window probes had been doubled when the socket was last looked at.
    pub backoff: u8,
    /// Its state, as the kernel numbers it.
    pub state: u8,
    /// Address family of the socket: `AF_INET` or `AF_INET6`.
    pub family: u8,
    /// Client, server or listener.
    pub role: Role,
    /// Which side closed first.
    pub first_fin: FirstFin,
    /// The constants above: [`BORN`] and others.
    marks: u16,
    /// The kernel has replaced the full socket by a timewait socket.
    pub is_timewait: bool,
    /// Its end for the processes has been emitted; only a timewait socket is left.
    pub is_ended: bool,
    /// The state in which it was reported as stuck; 0 if it was not.
    pub stuck_reported_in: u8,
    /// The direction of its last RST.
    pub reset: Reset,
    /// The state in which it was when that RST was sent or received.
    pub reset_in: u8,
    /// The kernel's number for why that RST was sent: see [`crate::tcp::reset::ResetReasons`].
    pub reset_reason: u8,
}

// A record and its share of the table's index must stay below 250 bytes.
const _: () = assert!(size_of::<Connection>() <= 232);

impl Default for Connection {
    fn default() -> Self {
        Self {
            cookie: 0,
            since_ns: 0,
            marks: 0,
            seen_ns: 0,
            last_ns: 0,
            retransmitted_ns: 0,
            cgroup: 0,
            counters: Counters::default(),
            spent: Spent::default(),
            drops: 0,
            backoff: 0,
            tuple: Tuple::default(),
            uid: 0,
            owner: Owner::default(),
            last_data_ms: 0,
            mptcp_token: 0,
            opening: 0,
            state: number::CLOSE,
            family: 0,
            role: Role::Unknown,
            first_fin: FirstFin::Nobody,
            is_timewait: false,
            is_ended: false,
            stuck_reported_in: 0,
            reset: Reset::None,
            reset_in: 0,
            reset_reason: REASON_UNKNOWN,
        }
    }
}

impl Connection {
    /// A socket that is first seen in `event`, and older than it.
    #[must_use]
    pub fn first_seen(event: &Event) -> Self {
        let mut connection = Self {
            marks: if event.flags & flag::BARE != 0 { BARE } else { 0 },
            cookie: event.cookie,
            since_ns: event.time_ns,
            seen_ns: event.time_ns,
            last_ns: event.time_ns,
            state: event.old_state,
            family: event.family,
            ..Self::default()
        };
        connection.renew(event);
        connection.mark(TRANSPARENT, event.flags & flag::TRANSPARENT != 0);
        connection
    }

    /// A socket whose birth is `event`.
    #[must_use]
    pub fn born(event: &Event, role: Role) -> Self {
        let mut connection = Self { role, ..Self::first_seen(event) };
        connection.mark(BORN, true);
        connection
    }

    /// Takes over the facts of an event that may have changed since the last one.
    pub fn renew(&mut self, event: &Event) {
        self.tuple = Tuple::of(event);
        self.uid = event.uid;
        self.cgroup = event.cgroup;
        self.counters = Counters::of(event);
        // The kernel forgets it before the last transitions.
        if event.mptcp_token != 0 {
            self.mptcp_token = event.mptcp_token;
        }
        if event.kind == kind::TRANSITION {
            // Only a look at the socket tells.
            self.backoff = 0;
            self.mark(WINDOW_ZERO, false);
        }
        self.mark(BARE, event.flags & flag::BARE != 0);
        self.mark(MAY_WAIT, event.new_state == number::SYN_SENT && event.flags & WAITS == WAITS);
    }

    fn mark(&mut self, mark: u16, is_set: bool) {
        self.marks = if is_set { self.marks | mark } else { self.marks & !mark };
    }

    pub(super) fn is_owner_in_doubt(&self) -> bool {
        self.has(DOUBTFUL)
    }

    fn has(&self, mark: u16) -> bool {
        self.marks & mark != 0
    }

    /// Takes over what only a snapshot or another look at the socket tells.
    pub fn note_found(&mut self, socket: &Event) {
        (self.backoff, self.drops) = (socket.backoff(), socket.drops());
        if self.state == number::LISTEN {
            self.opening = socket.half_open().unwrap_or(self.opening);
        }
        self.mark(WINDOW_ZERO, socket.is_window_zero());
        self.mark(V6_ONLY, socket.is_v6_only());
    }

    /// Takes over what a look at the socket shows while it stays in its state.
    pub fn refresh(&mut self, socket: &Event) {
        self.counters = Counters::of(socket);
        self.note_found(socket);
        // The kernel chooses a client's port after `CLOSE -> SYN_SENT`.
        if self.tuple.local_port == 0 {
            self.tuple = Tuple::of(socket);
        }
        if self.has(MAY_WAIT) && socket.flags & flag::UNSENT == 0 {
            self.mark(MAY_WAIT, false);
        } else if self.has(MAY_WAIT) {
            let unsent_for_ns = socket.time_ns.saturating_sub(self.since_ns);
            self.opening = u32::try_from(unsent_for_ns / 1_000_000).unwrap_or(u32::MAX);
        }
    }

    /// Whether a look at the socket is needed before it can be called stuck: its port is not known yet, or
    /// nothing may have been sent.
    #[must_use]
    pub fn needs_a_look(&self) -> bool {
        self.state == number::SYN_SENT && (self.tuple.local_port == 0 || self.has(MAY_WAIT))
    }

    /// Whether the peer's window was zero, and data waited for it, when the socket was last looked at.
    #[must_use]
    pub fn is_window_zero(&self) -> bool {
        self.has(WINDOW_ZERO)
    }

    /// Whether it is a listener of IPv6 that takes no IPv4 (`IPV6_V6ONLY`), when it was last looked at.
    #[must_use]
    pub fn is_v6_only(&self) -> bool {
        self.has(V6_ONLY)
    }

    /// Whether it is a full socket with queues, which change without any event.
    #[must_use]
    pub fn has_queues(&self) -> bool {
        !self.is_timewait && !self.is_bare()
    }

    /// What tells in which cgroup its owner runs.
    #[must_use]
    pub fn socket_owner(&self) -> SocketOwner {
        let is_sure = self.owner.evidence > Evidence::Listener;
        SocketOwner {
            cgroup: self.cgroup,
            pid: self.owner.pid,
            is_sure,
            from_ns: self.seen_ns,
            at_ns: self.last_ns,
        }
    }

    /// User id of the socket, if it is known.
    #[must_use]
    pub fn known_uid(&self) -> Option<u32> {
        (!self.is_bare() && self.uid != UID_UNKNOWN).then_some(self.uid)
    }

    /// Whether it is a transparent listener, or comes out of one.
    #[must_use]
    pub fn is_transparent(&self) -> bool {
        self.has(TRANSPARENT)
    }

    /// Marks its owner as doubtful: who holds it now could not be found out in time.
    pub(super) fn doubt_owner(&mut self) {
        self.mark(DOUBTFUL, true);
    }

    /// Whether only its addresses, ports and state are known, because the kernel had no full socket to read:
    /// a half-open connection, for example.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.has(BARE)
    }

    /// Whether the kernel could make no timewait socket for it.
    #[must_use]
    pub fn lacks_timewait(&self) -> bool {
        self.has(LACKS_TIMEWAIT)
    }

    /// Notes that the kernel could make no timewait socket for it.
    pub(super) fn set_lacks_timewait(&mut self) {
        self.mark(LACKS_TIMEWAIT, true);
    }

    /// Notes whether a transition into its state is missing. Returns whether one was missing before.
    pub(super) fn set_gap(&mut self, has_gap: bool) -> bool {
        let had_gap = self.has(GAP);
        self.mark(GAP, has_gap);
        had_gap
    }

    /// Takes over the birth of `before`, the half-open connection that it was.
    pub(super) fn inherit_birth(&mut self, before: &Self) {
        self.seen_ns = before.seen_ns;
        self.mark(BORN, before.has(BORN));
        self.retransmitted_ns = before.retransmitted_ns;
    }

    /// When it was born, if that was seen.
    #[must_use]
    pub fn born_ns(&self) -> Option<u64> {
        self.has(BORN).then_some(self.seen_ns)
    }

    /// When it was first seen.
    #[must_use]
    pub fn seen_ns(&self) -> u64 {
        self.seen_ns
    }

    /// Whether it has sent an RST in FIN_WAIT2. So ends an orphan that got no timewait socket, because its
    /// last ACK came while `close` was running: its timer (`tcp_keepalive_timer`) sends an RST when the time
    /// in FIN_WAIT2 is over.
    #[must_use]
    pub fn has_reset_in_fin_wait2(&self) -> bool {
        self.reset == Reset::Sent && self.reset_in == number::FIN_WAIT2
    }
}
