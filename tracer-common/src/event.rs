//! What the kernel programs report: hits of `sock:inet_sock_set_state`, sockets that are there, and what other
//! hooks tell.

/// Flag bits of [`Event::flags`].
///
/// The kernel program translates the running kernel's `enum sock_flags` into these, so that a
/// kernel that renumbers its flags changes nothing here.
pub mod flag {
    /// `sk_lock.owned`: a task was working on this very socket, so the event's pid is its owner's.
    /// Clear in softirq and timers, where the current task is there by accident.
    pub const OWNED: u16 = 1 << 0;
    /// `SOCK_DONE`: the peer's FIN has arrived.
    pub const DONE: u16 = 1 << 1;
    /// `SOCK_DEAD`: no process holds the socket any more.
    pub const DEAD: u16 = 1 << 2;
    /// `SOCK_LINGER` with a linger time of zero: closing means abort (RFC 9293, 3.10.5).
    pub const LINGER_ZERO: u16 = 1 << 3;
    /// `SOCK_KEEPOPEN`: `SO_KEEPALIVE` is on.
    pub const KEEPALIVE: u16 = 1 << 4;
    /// Only in a sighting: no full socket any more but a timewait socket, which the kernel puts in
    /// the place of one that has nothing left to do but to wait. Its states are what it waits in.
    pub const TIME_WAIT: u16 = 1 << 5;
    /// The local port is not chosen yet (`skc_num` is 0 at `CLOSE -> SYN_SENT`). `inet_sport` may
    /// then hold the port of the connection that the socket had before.
    pub const UNBOUND: u16 = 1 << 6;
    /// No segment was ever sent on this socket (`segs_out` is 0): a connect that failed before its
    /// SYN.
    pub const UNSENT: u16 = 1 << 7;
    /// No full socket: nothing is told but time, CPU, ends, namespace, state, and the cookie if there
    /// is one.
    pub const BARE: u16 = 1 << 8;
}

/// What a record tells of: [`Event::kind`]. What is no transition has both states the same.
pub mod kind {
    /// A transition, or the sighting of a socket that is there.
    pub const TRANSITION: u8 = 0;
    /// An RST was sent; [`super::Event::detail`] is its reason.
    pub const RESET_SENT: u8 = 1;
    /// An RST has arrived.
    pub const RESET_RECEIVED: u8 = 2;
    /// A segment was sent again.
    pub const RETRANSMIT: u8 = 3;
    /// A SYN-ACK was sent again.
    pub const RETRANSMIT_SYNACK: u8 = 4;
    /// A process has accepted the connection; the record's is it.
    pub const ACCEPTED: u8 = 5;
    /// A timewait socket is in TIME_WAIT, perhaps after FIN_WAIT2.
    pub const TIME_WAIT: u8 = 6;
    /// A timewait socket goes; [`super::Event::detail`] is one of [`super::gone`].
    pub const TIME_WAIT_GONE: u8 = 7;
    /// A half-open connection begins.
    pub const REQUEST: u8 = 8;
    /// It goes without having become a connection; [`super::Event::detail`] is one of [`super::gone`].
    pub const REQUEST_GONE: u8 = 9;
    /// The last of them.
    pub const LAST: u8 = REQUEST_GONE;
}

/// Why a half-open connection or a timewait socket goes.
pub mod gone {
    /// An RST has come, or something else that ends it.
    pub const DROPPED: u8 = 0;
    /// Its time is over.
    pub const TIMEOUT: u8 = 1;
    /// Its listener has closed.
    pub const LISTENER_GONE: u8 = 2;
}

/// Bytes of a task's name, the terminating zero included (`TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;

/// One state transition with the facts that stood in the socket at that moment; or, with both
/// states the same, the sighting of a socket that is there, or something else that happened to it
/// ([`kind`]).
///
/// All numbers are in host byte order. A fact that the running kernel does not offer is 0; which
/// ones those are is constant for a kernel and known from the member offsets
/// ([`crate::member`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Event {
    /// `CLOCK_MONOTONIC` in nanoseconds, taken right after the ring buffer's space was reserved.
    pub time_ns: u64,
    /// Socket cookie: the identity that `ss -e` prints as `sk:`.
    pub cookie: u64,
    /// Id of the socket's own cgroup (v2), `sk_cgrp_data.cgroup->kn->id`.
    pub cgroup: u64,
    /// Payload bytes acknowledged by the peer; SYN and FIN count as one each.
    pub bytes_acked: u64,
    /// Bytes received in order; the peer's FIN counts as one.
    pub bytes_received: u64,
    /// Local address as IPv6 in network byte order; an IPv4 socket's is v4-mapped.
    pub local_addr: [u8; 16],
    /// Remote address, as [`Event::local_addr`]; zero for a listener.
    pub remote_addr: [u8; 16],
    /// Name of the task that was on the CPU, zero-terminated; where stories are told, of its
    /// process, which is the name of its first thread.
    pub comm: [u8; COMM_LEN],
    /// Process id (tgid) of the task that was on the CPU. It is the socket's owner only if
    /// [`flag::OWNED`] is set.
    pub pid: u32,
    /// Thread id of that task.
    pub tid: u32,
    /// Inode number of the socket's network namespace.
    pub netns: u32,
    /// User id that the socket belongs to, right in any context.
    pub uid: u32,
    /// Smoothed round-trip time in microseconds; 0 before the first measurement.
    pub srtt_us: u32,
    /// Segments retransmitted since the connection began.
    pub retransmits: u32,
    /// As `ss` shows it: bytes received and not yet read; for a listener the length of its accept queue.
    pub recv_queue: u32,
    /// As `ss` shows it: bytes written and not yet acknowledged; for a listener the accept queue's limit.
    pub send_queue: u32,
    /// `sk_err`, a positive errno; 0 for none.
    pub error: u16,
    /// The CPU that the event happened on.
    pub cpu: u16,
    /// Local port from `inet_sport`, which unlike `skc_num` lasts to the end; see [`flag::UNBOUND`].
    pub local_port: u16,
    /// Remote port; 0 for a listener.
    pub remote_port: u16,
    /// Bits of [`flag`].
    pub flags: u16,
    /// The socket's `AF_INET` or `AF_INET6`; the latter also for v4-mapped connections.
    pub family: u8,
    /// State before, numbered as in the kernel; see [`crate::state`].
    pub old_state: u8,
    /// State after.
    pub new_state: u8,
    /// `sk_shutdown`: 1 the receiving side is shut, 2 the sending side.
    pub shutdown: u8,
    /// One of [`kind`].
    pub kind: u8,
    /// Of an RST that was sent: its `enum sk_rst_reason`, or [`REASON_UNTOLD`]. Of what goes without a
    /// transition: one of [`gone`].
    pub detail: u8,
}

/// [`Event::detail`] where the kernel gives no reason (it does since 6.10), or a number beyond.
pub const REASON_UNTOLD: u8 = u8::MAX;

/// What an event takes up in the ring buffer: the record's header (`BPF_RINGBUF_HDR_SZ`) and itself.
pub const RECORD_SIZE: u64 = 8 + size_of::<Event>() as u64;

const _: () = assert!(size_of::<Event>() == 136, "no padding, no surprise");
const _: () = assert!(align_of::<Event>() == 8, "what the ring buffer guarantees");

/// A timewait socket that is there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Waiting {
    /// Cookie of the socket whose place it took.
    pub cookie: u64,
    /// What it waits in: TIME_WAIT or FIN_WAIT2.
    pub state: u64,
}

/// `AF_INET`
pub const AF_INET: u8 = 2;
/// `AF_INET6`
pub const AF_INET6: u8 = 10;

/// What the kernel program counts, per CPU.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum Counter {
    /// Transitions, and what proves some, for which their CPU's ring buffer had no room.
    Lost,
    /// Events that a filter kept out of the ring buffer, or out of what is folded.
    Filtered,
    /// Events during another one on the same CPU, which the kernel kept from the first program and
    /// the second has reported or folded.
    Nested,
    /// Sockets whose place among those with a known state was given to another.
    Evicted,
    /// Counts by port for which the table had no room.
    NoRoom,
    /// Resets and retransmissions for which the ring buffer had no room.
    LostIncidents,
}

/// How many [`Counter`]s there are.
pub const COUNTERS: u32 = 6;
