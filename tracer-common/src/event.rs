//! What the kernel programs report: transitions (`sock:inet_sock_set_state`, since 4.16), existing sockets,
//! and what other hooks tell.
//!
//! Kernel functions and members are those of Linux 6.18, below `net/ipv4/` and `include/net/` if nothing else
//! is said.

use crate::state;

/// Flag bits of [`Event::flags`].
///
/// The kernel program translates the running kernel's `enum sock_flags` into these, so that a kernel that
/// renumbers its flags changes nothing here.
pub mod flag {
    /// A task was operating on this very socket (`sk_lock.owned`, set by `lock_sock`), so
    /// [`super::Event::pid`] is that of its owner. Clear in softirqs and timers, where the task on the CPU
    /// has nothing to do with the socket.
    pub const OWNED: u16 = 1 << 0;
    /// The peer's FIN has arrived (`SOCK_DONE`, set by `tcp_fin`).
    pub const DONE: u16 = 1 << 1;
    /// No process holds the socket any more (`SOCK_DEAD`, set by `sock_orphan`).
    pub const DEAD: u16 = 1 << 2;
    /// `SO_LINGER` with a time of zero: closing means ABORT (RFC 9293, 3.10.5), so an RST is sent instead of
    /// a FIN.
    pub const LINGER_ZERO: u16 = 1 << 3;
    /// `SO_KEEPALIVE` is on (`SOCK_KEEPOPEN`).
    pub const KEEPALIVE: u16 = 1 << 4;
    /// Only in snapshots: a timewait socket, which has replaced the full one (`tcp_time_wait`). Both states
    /// are the one that it waits in, TIME_WAIT or FIN_WAIT2.
    pub const TIME_WAIT: u16 = 1 << 5;
    /// The local port is not chosen yet: `skc_num` is 0 at `CLOSE -> SYN_SENT`, because `tcp_v4_connect` sets
    /// the state before `inet_hash_connect` chooses the port. [`super::Event::local_port`] may then be that
    /// of the socket's previous connection.
    pub const UNBOUND: u16 = 1 << 6;
    /// No segment was ever sent on this socket (`segs_out` is 0): a connect that failed before its SYN.
    pub const UNSENT: u16 = 1 << 7;
    /// No full socket: only the time, CPU, addresses, ports, network namespace and state are known, and the
    /// cookie if there is one. Everything else is 0.
    pub const BARE: u16 = 1 << 8;
    /// With [`OWNED`] and [`crate::filter::Active::story`]: that task works for somebody else. It is a kernel thread
    /// (`PF_KTHREAD`), which closes the sockets of a killed process's io_uring and those that AF_UNIX's garbage
    /// collection finds (delayed `fput`), and works for MPTCP and kTLS; or it is the tracer itself, whose iterator
    /// has looked at the file while its process closed it.
    pub const KERNEL_THREAD: u16 = 1 << 9;
    /// Only into and out of SYN_SENT, and in snapshots: `TCP_FASTOPEN_CONNECT` is set, so the SYN may have
    /// waited for the first data (`tcp_fastopen_defer_connect`).
    pub const FASTOPEN_CONNECT: u16 = 1 << 10;
    /// Only at `SYN_RECV -> ESTABLISHED`: the peer has sent data (`data_segs_in`). If no Fast Open took it with
    /// the SYN, it came with the ACK that ends the handshake.
    pub const DATA_BEFORE: u16 = 1 << 11;
    /// Only at `SYN_SENT -> CLOSE`: the socket has never had a connection with a local port, so `connect` has found
    /// none, or the one that it was bound to is taken (`inet_hash_connect`).
    pub const NO_PORT: u16 = 1 << 12;
    /// Only in transitions of listeners, at the births of their connections, and in snapshots: `IP_TRANSPARENT` is set. Such
    /// a listener may get connections to other ports than its own (TPROXY), which have the mark, too.
    pub const TRANSPARENT: u16 = 1 << 13;
    /// In the same places: a BPF program chooses listeners in this namespace
    /// (`BPF_SK_LOOKUP`, since 5.9).
    pub const LOOKUP: u16 = 1 << 14;
    /// Only in snapshots: it has a port of its own, from `bind` or `connect`, and so comes out of no listener.
    pub const CONNECTED: u16 = 1 << 11;
    /// Only in snapshots: it comes out of a listener.
    pub const ACCEPTED: u16 = 1 << 12;
    /// Only in snapshots: the peer's window is zero, and data waits for it.
    pub const WINDOW_ZERO: u16 = 1 << 15;
    /// Only in snapshots, of a listener: `IPV6_V6ONLY` is set, so its wildcard takes no IPv4.
    pub const V6ONLY: u16 = 1 << 15;
    /// Only with [`BARE`], for an RST that was sent without a socket: it answers a SYN without ACK, and so belongs to no
    /// connection that has been.
    pub const ANSWERS_SYN: u16 = 1 << 11;
}

/// What a record tells of: [`Event::kind`]. Except for transitions both states are the same.
pub mod kind {
    /// A transition; or an existing socket in a snapshot, with both states the same.
    pub const TRANSITION: u8 = 0;
    /// An RST was sent (tracepoint `tcp_send_reset`); [`super::Event::detail`] is the reason.
    pub const RESET_SENT: u8 = 1;
    /// An RST was received (tracepoint `tcp_receive_reset`).
    pub const RESET_RECEIVED: u8 = 2;
    /// A segment was retransmitted (tracepoint `tcp_retransmit_skb`).
    pub const RETRANSMIT: u8 = 3;
    /// A SYN-ACK was retransmitted (tracepoint `tcp_retransmit_synack`).
    pub const RETRANSMIT_SYNACK: u8 = 4;
    /// The task on the CPU has accepted the connection (`inet_csk_accept`).
    pub const ACCEPTED: u8 = 5;
    /// A timewait socket's timer was started again, in TIME_WAIT (`__inet_twsk_schedule`): it came there from
    /// FIN_WAIT2, or the peer's FIN was received again.
    pub const TIME_WAIT: u8 = 6;
    /// A timewait socket ended (`inet_twsk_kill`); [`super::Event::detail`] is one of [`super::gone`].
    pub const TIME_WAIT_GONE: u8 = 7;
    /// A half-open connection began (`inet_csk_reqsk_queue_hash_add`).
    pub const REQUEST: u8 = 8;
    /// A half-open connection ended without an ESTABLISHED one (`tcp_v4_reqsk_destructor`,
    /// `tcp_v6_reqsk_destructor`); [`super::Event::detail`] is one of [`super::gone`].
    pub const REQUEST_GONE: u8 = 9;
    /// No timewait socket could be made (`inet_twsk_alloc`): there are too many, or there is no memory. The next
    /// transition of that socket, to CLOSE, is its end.
    pub const NO_TIME_WAIT: u8 = 10;
    /// The largest of them.
    pub const LAST: u8 = NO_TIME_WAIT;

    /// Whether it tells of an RST.
    #[must_use]
    pub const fn is_reset(kind: u8) -> bool {
        matches!(kind, RESET_SENT | RESET_RECEIVED)
    }

    /// Whether it tells of a retransmission.
    #[must_use]
    pub const fn is_retransmit(kind: u8) -> bool {
        matches!(kind, RETRANSMIT | RETRANSMIT_SYNACK)
    }

    /// Whether transitions can follow from it although the tracepoint reports none.
    #[must_use]
    pub const fn implies_transition(kind: u8) -> bool {
        matches!(kind, ACCEPTED | TIME_WAIT | TIME_WAIT_GONE | REQUEST | REQUEST_GONE | NO_TIME_WAIT)
    }
}

/// Why a half-open connection or a timewait socket ended.
pub mod gone {
    /// By an RST, or by anything else than the two below.
    pub const DROPPED: u8 = 0;
    /// In its timer (`reqsk_timer_handler`, `tw_timer_handler`).
    pub const TIMEOUT: u8 = 1;
    /// Its listener is no longer in LISTEN.
    pub const LISTENER_GONE: u8 = 2;
}

/// Bytes of a task's name, with the terminating zero (`TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;

/// One state transition, with the facts that were in the socket at that moment; or an existing socket in a
/// snapshot; or something else that happened to a socket ([`kind`]).
///
/// Numbers are in host byte order. A fact that the running kernel does not offer is 0 in all records; which
/// ones those are, the member offsets tell ([`crate::member`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Event {
    /// Nanoseconds of `CLOCK_MONOTONIC` of the initial time namespace (`bpf_ktime_get_ns`), taken right after
    /// the space in the ring buffer was reserved.
    pub time_ns: u64,
    /// Socket cookie (`bpf_get_socket_cookie`, since 5.12), which `ss -e` prints as `sk:`. No two sockets of
    /// a host have the same one until it restarts. Before 5.12 a number made of the socket's address, which
    /// the next socket may get.
    pub cookie: u64,
    /// Id of the socket's cgroup (v2): `sk_cgrp_data.cgroup->kn->id`, the inode number of its directory.
    /// Since 5.15. An accepted connection has its listener's.
    pub cgroup: u64,
    /// Bytes that the peer has acknowledged (`tcp_sock.bytes_acked`, `tcpEStatsAppHCThruOctetsAcked` of RFC
    /// 4898). SYN and FIN count as one each; the SYN of an accepted connection does not.
    pub bytes_acked: u64,
    /// Bytes received in order (`tcp_sock.bytes_received`, `tcpEStatsAppHCThruOctetsReceived` of RFC 4898).
    /// The peer's FIN counts as one. A birth has none yet: see [`Event::listener_cookie`].
    pub bytes_received: u64,
    /// Cookie of the socket's network namespace (`net_cookie`, since 5.12), which no other gets until the host
    /// restarts; 0 if the kernel has none.
    pub netns_cookie: u64,
    /// Local address as IPv6 in network byte order; IPv4 is v4-mapped (RFC 4291, 2.5.5.2).
    pub local_addr: [u8; 16],
    /// Remote address, in the form of [`Event::local_addr`]; unspecified (0) for a listener.
    pub remote_addr: [u8; 16],
    /// Name of the task on the CPU, ended by a zero; with [`crate::filter::Active::story`] that of its
    /// process, which is the name of its first thread. In a snapshot the name of the process that holds the
    /// socket.
    pub comm: [u8; COMM_LEN],
    /// Process id (tgid, in the initial pid namespace) of the task on the CPU. It is the socket's owner only
    /// with [`flag::OWNED`]. In a snapshot the process that holds the socket.
    pub pid: u32,
    /// Thread id of that task.
    pub tid: u32,
    /// Inode number of the socket's network namespace (`/proc/PID/ns/net`). The kernel uses it again when the
    /// namespace is gone.
    pub netns: u32,
    /// User id of the socket (`sk_uid`), the same in any context. An accepted connection has its listener's
    /// until `accept`. [`UID_UNKNOWN`] in a snapshot of a socket that no process holds, if the kernel does not tell.
    pub uid: u32,
    /// Smoothed round-trip time in microseconds (RFC 6298; `tcp_sock.srtt_us` / 8); 0 before the first
    /// measurement. At `SYN_RECV -> ESTABLISHED` the time from SYN-ACK to ACK.
    pub srtt_us: u32,
    /// Segments retransmitted since the connection began (`tcp_sock.total_retrans`).
    pub retransmits: u32,
    /// Bytes received and not yet read by the process (`rcv_nxt - copied_seq`); for a listener the
    /// connections that wait for `accept`. As `ss` shows it (`tcp_diag_get_info`); 0 in records of resets and
    /// accepted connections.
    pub recv_queue: u32,
    /// Bytes written and not yet acknowledged (`write_seq - snd_una`); for a listener the limit of its accept
    /// queue. As [`Event::recv_queue`].
    pub send_queue: u32,
    /// Index of the network device that the socket is bound to (`sk_bound_dev_if`): by `SO_BINDTODEVICE`, by its
    /// VRF, or because its link-local address is only unique there (RFC 4007). 0 if it is not bound.
    pub ifindex: u32,
    /// With an MPTCP subflow the token of its connection (`mptcp_sock.token`, RFC 8684, 3.2), which
    /// `ss -M` prints. Since 5.6. 0 for plain TCP, and as long as the kernel has chosen none.
    pub mptcp_token: u32,
    /// At a transition to CLOSE the jiffies since a segment with data was last sent or received (`lsndtime` and
    /// `lrcvtime`), or since the handshake if there was none. In a snapshot other facts: see [`crate::found`]. Else 0.
    pub idle_jiffies: u32,
    /// `TCP_LINGER2` in jiffies: how long an orphan may stay in FIN_WAIT2; 0 for the namespace's
    /// `tcp_fin_timeout`, negative for not at all.
    pub linger2: i32,
    /// Pending error of the socket (`sk_err`): a positive errno, or 0.
    pub error: u16,
    /// The CPU that it happened on; 0 in a snapshot.
    pub cpu: u16,
    /// Local port (`inet_sport`, which unlike `skc_num` is kept after CLOSE). See [`flag::UNBOUND`].
    pub local_port: u16,
    /// Remote port; 0 for a listener.
    pub remote_port: u16,
    /// [`AF_INET`] or [`AF_INET6`]; the latter also for v4-mapped connections.
    pub family: u8,
    /// State before; see [`crate::state`].
    pub old_state: u8,
    /// State after.
    pub new_state: u8,
    /// Directions that are shut down (`sk_shutdown`): bit 0 receiving, bit 1 sending. Since 5.6.
    pub shutdown: u8,
    /// One of [`kind`].
    pub kind: u8,
    /// For [`kind::RESET_SENT`] the reason (`enum sk_rst_reason`, since 6.10), or [`REASON_UNKNOWN`]. For
    /// [`kind::TIME_WAIT_GONE`] and [`kind::REQUEST_GONE`] one of [`gone`]. At `SYN_SENT -> CLOSE` the errno of an
    /// ICMP message that did not end the connection, or 0. In a snapshot see [`Event::backoff`]. Else without a
    /// meaning.
    pub detail: u8,
    /// Bits of [`flag`].
    pub flags: u16,
}

impl Event {
    /// At the birth of a server's connection, and where there is no full socket, the cookie of the listener that it
    /// comes from, whose port may be another one; 0 if the kernel does not tell. It is in the place of
    /// [`Event::bytes_received`].
    #[must_use]
    pub const fn listener_cookie(&self) -> u64 {
        let is_birth = self.old_state == state::LISTEN && self.new_state == state::SYN_RECV;
        if is_birth || self.flags & flag::BARE != 0 { self.bytes_received } else { 0 }
    }
}

/// [`Event::uid`] if it is not known. No user has this number (`uid_valid`).
pub const UID_UNKNOWN: u32 = u32::MAX;

/// [`Event::detail`] if the kernel gives no reason (before 6.10), or a number that does not fit.
pub const REASON_UNKNOWN: u8 = u8::MAX;

/// Bytes that an event takes in the ring buffer: the kernel's header (`BPF_RINGBUF_HDR_SZ`) and the event.
pub const RECORD_SIZE: u64 = 8 + size_of::<Event>() as u64;

const _: () = assert!(size_of::<Event>() == 160, "no padding, no surprise");
const _: () = assert!(align_of::<Event>() == 8, "what the ring buffer guarantees");

/// An existing timewait socket, in a snapshot of those alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct TimewaitSocket {
    /// Cookie of the full socket that it replaced.
    pub cookie: u64,
    /// TIME_WAIT or FIN_WAIT2 ([`crate::state`]).
    pub state: u32,
    /// Jiffies until its timer ends it; [`REST_UNKNOWN`] if that cannot be read.
    pub rest_jiffies: u32,
}

/// [`TimewaitSocket::rest_jiffies`] if the kernel does not tell.
pub const REST_UNKNOWN: u32 = u32::MAX;

/// A process that holds a socket: it has a file descriptor of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Holder {
    /// Cookie of the socket, as [`Event::cookie`]. For an MPTCP socket that of its first subflow, because a file
    /// descriptor refers to the whole connection.
    pub cookie: u64,
    /// Name of the process, as [`Event::comm`].
    pub comm: [u8; COMM_LEN],
    /// Process id.
    pub pid: u32,
    /// Token of the MPTCP connection, as [`Event::mptcp_token`]; all its subflows have it.
    pub mptcp_token: u32,
}

/// `AF_INET`: an IPv4 socket.
pub const AF_INET: u8 = 2;
/// `AF_INET6`: an IPv6 socket, perhaps with v4-mapped addresses.
pub const AF_INET6: u8 = 10;

/// What the kernel programs count, per CPU: the index into their map.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum Counter {
    /// Records lost because the CPU's ring buffer was full: transitions, and others that tell of a
    /// connection's state.
    Lost,
    /// Transitions that a filter kept back, from the ring buffer or from what is counted in the kernel.
    Filtered,
    /// Transitions during another one on the same CPU. The kernel skipped the first program for them (since
    /// 6.2), and the second has reported or counted them.
    Nested,
    /// Sockets whose place in the kernel's table of states was given to another socket.
    Evicted,
    /// Counts by service port that were lost because the table was full.
    NoRoom,
    /// Records of resets and retransmissions lost because the CPU's ring buffer was full.
    LostIncidents,
}

/// How many [`Counter`]s there are.
pub const COUNTERS: u32 = 6;
