//! Members of kernel structures that the kernel programs read.
//!
//! Their offsets differ between kernels. User space looks them up in the running kernel's BTF and passes them
//! to the programs as read-only globals, which the verifier takes for constants.

/// Offset of a member that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Where a member is in the kernel's types, and what is expected there.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Name of the C structure.
    pub container: &'static str,
    /// Names of the members on the way to it, through embedded structures only, not through pointers.
    pub path: &'static str,
    /// Number of bytes that the kernel programs read; 0 for a bit field of one bit, whose offset is in bits.
    pub size: u32,
    /// Whether the tracer refuses kernels without it.
    pub required: bool,
    /// Whether `tracer check` names it when it is absent. Not if it only makes the kernel programs faster.
    pub told: bool,
}

macro_rules! members {
    ($($(#[$doc:meta])* $name:ident = $container:literal $path:literal $size:literal $need:ident;)*) => {
        /// A member of a kernel structure; the index of its offset in the `OFFSETS` global.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Member { $($(#[$doc])* $name,)* }

        impl Member {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }

        /// The specification of each, in the order of [`Member`].
        pub const SPECS: &[Spec] = &[$(Spec {
            container: $container,
            path: $path,
            size: $size,
            required: members!($need is required),
            told: members!($need is told),
        },)*];
    };
    (required is required) => { true };
    ($need:ident is required) => { false };
    (faster is told) => { false };
    ($need:ident is told) => { true };
}

members! {
    /// Address family, `AF_INET` or `AF_INET6`.
    Family = "sock" "__sk_common.skc_family" 2 required;
    /// Local IPv6 address; v4-mapped for an IPv4 connection of an IPv6 socket. Absent in kernels without
    /// IPv6.
    LocalV6 = "sock" "__sk_common.skc_v6_rcv_saddr" 16 optional;
    /// Remote IPv6 address, as [`Member::LocalV6`].
    RemoteV6 = "sock" "__sk_common.skc_v6_daddr" 16 optional;
    /// Remote IPv4 address.
    RemoteV4 = "sock" "__sk_common.skc_daddr" 4 required;
    /// State ([`crate::state`]).
    State = "sock" "__sk_common.skc_state" 1 required;
    /// Local port in host byte order; 0 before it is chosen and after CLOSE. Timewait and request sockets
    /// have it, too.
    Num = "sock" "__sk_common.skc_num" 2 required;
    /// Local IPv4 address, where timewait and request sockets have it, too.
    BoundV4 = "sock" "__sk_common.skc_rcv_saddr" 4 required;
    /// Remote port, in network byte order.
    RemotePort = "sock" "__sk_common.skc_dport" 2 required;
    /// Network namespace.
    Net = "sock" "__sk_common.skc_net.net" 8 optional;
    /// Inode number of a network namespace, as in `/proc/PID/ns/net`.
    NetInum = "net" "ns.inum" 4 optional;
    /// Cookie of a network namespace, which no other gets until the host restarts (since 5.12).
    NetCookie = "net" "net_cookie" 8 faster;
    /// BPF programs of a network namespace: one that dissects flows, and one that chooses listeners (since 5.9).
    NetPrograms = "net" "bpf.run_array" 16 faster;
    /// Range of ephemeral ports of a network namespace (`net.ipv4.ip_local_port_range`): the last in the
    /// upper half, the first in the lower. Two numbers before 6.8, so absent.
    NetLocalPorts = "net" "ipv4.ip_local_ports.range" 4 faster;
    /// Index of the device that a socket is bound to; timewait and request sockets have it, too.
    BoundDevice = "sock" "__sk_common.skc_bound_dev_if" 4 required;
    /// `enum sock_flags` as bits.
    Flags = "sock" "__sk_common.skc_flags" 8 required;
    /// Whether a task is operating on the socket (`lock_sock`).
    LockOwned = "sock" "sk_lock.owned" 4 required;
    /// Pending error: a positive errno, or 0.
    Err = "sock" "sk_err" 4 required;
    /// Error of an ICMP message that did not end the connection.
    ErrSoft = "sock" "sk_err_soft" 4 faster;
    /// `IPV6_V6ONLY`.
    V6Only = "sock_common" "skc_ipv6only" 0 faster;
    /// Length of the error queue.
    ErrorQueueLen = "sock" "sk_error_queue.qlen" 4 faster;
    /// First segment in it.
    ErrorQueueFirst = "sock" "sk_error_queue.next" 8 faster;
    /// What a segment's holder keeps in it; in the error queue a `sock_exterr_skb`.
    SegmentCb = "sk_buff" "cb" 48 faster;
    /// Where an error in the queue comes from.
    ErrorOrigin = "sock_exterr_skb" "ee.ee_origin" 1 faster;
    /// Its errno.
    ErrorNumber = "sock_exterr_skb" "ee.ee_errno" 4 faster;
    /// Hash of a connection; 0 before its port is chosen for the first time.
    TxHash = "sock" "sk_txhash" 4 faster;
    /// User id.
    Uid = "sock" "sk_uid" 4 required;
    /// What the process has set itself (`SOCK_BINDPORT_LOCK` and others). A bit field in older kernels, so absent.
    UserLocks = "sock" "sk_userlocks" 1 faster;
    /// `IP_TRANSPARENT`: a bit of `inet_flags`, or before 6.6 a bit field.
    Transparent = "inet_sock" "transparent" 0 faster;
    /// Directions that are shut down. A bit field before 5.6, so absent.
    Shutdown = "sock" "sk_shutdown" 1 optional;
    /// Time of `SO_LINGER`, in jiffies.
    LingerTime = "sock" "sk_lingertime" 8 optional;
    /// Connections in a listener's accept queue.
    AckBacklog = "sock" "sk_ack_backlog" 4 optional;
    /// Limit of that queue.
    MaxAckBacklog = "sock" "sk_max_ack_backlog" 4 optional;
    /// SYNs and connections that a listener has dropped.
    Drops = "sock" "sk_drops.counter" 4 optional;
    /// Half-open connections of a listener.
    HalfOpen = "tcp_sock" "inet_conn.icsk_accept_queue.qlen.counter" 4 optional;
    /// Those of them whose SYN-ACK was sent only once.
    HalfOpenYoung = "tcp_sock" "inet_conn.icsk_accept_queue.young.counter" 4 optional;
    /// The socket's cgroup (v2). Before 5.15 a union of a pointer and flags, so absent.
    Cgroup = "sock" "sk_cgrp_data.cgroup" 8 optional;
    /// Directory of a cgroup.
    CgroupNode = "cgroup" "kn" 8 optional;
    /// Id of that directory, which is the cgroup's. A union before 5.5, so absent.
    NodeId = "kernfs_node" "id" 8 optional;
    /// Hierarchy of a cgroup.
    CgroupRoot = "cgroup" "root" 8 faster;
    /// Number of that hierarchy: 0 for the one of v2.
    HierarchyId = "cgroup_root" "hierarchy_id" 4 faster;
    /// Local IPv4 address.
    LocalV4 = "tcp_sock" "inet_conn.icsk_inet.inet_saddr" 4 required;
    /// Local port in network byte order, kept after CLOSE.
    LocalPort = "tcp_sock" "inet_conn.icsk_inet.inet_sport" 2 required;
    /// Smoothed round-trip time (RFC 6298), in eighths of a microsecond.
    Srtt = "tcp_sock" "srtt_us" 4 optional;
    /// Bytes acknowledged by the peer (RFC 4898).
    BytesAcked = "tcp_sock" "bytes_acked" 8 optional;
    /// Bytes received in order (RFC 4898).
    BytesReceived = "tcp_sock" "bytes_received" 8 optional;
    /// Segments retransmitted since the connection began.
    TotalRetrans = "tcp_sock" "total_retrans" 4 optional;
    /// Segments sent (RFC 4898).
    SegsOut = "tcp_sock" "segs_out" 4 optional;
    /// Segments with data received, the one that is being processed included.
    DataSegsIn = "tcp_sock" "data_segs_in" 4 optional;
    /// `TCP_FASTOPEN_CONNECT`: the SYN may wait for the first data.
    FastopenConnect = "tcp_sock" "fastopen_connect" 0 optional;
    /// Next sequence number expected from the peer: RCV.NXT of RFC 9293, 3.3.1.
    RcvNxt = "tcp_sock" "rcv_nxt" 4 optional;
    /// Sequence number of the first byte that the process has not read.
    CopiedSeq = "tcp_sock" "copied_seq" 4 optional;
    /// Sequence number after the last byte that the process has written.
    WriteSeq = "tcp_sock" "write_seq" 4 optional;
    /// Oldest sequence number that the peer has not acknowledged: SND.UNA of RFC 9293, 3.3.1.
    SndUna = "tcp_sock" "snd_una" 4 optional;
    /// When a segment with data was last sent, in jiffies.
    LastSent = "tcp_sock" "lsndtime" 4 optional;
    /// When one was last received, in jiffies.
    LastReceived = "tcp_sock" "inet_conn.icsk_ack.lrcvtime" 4 optional;
    /// When an acknowledgement was last received, in jiffies.
    LastAck = "tcp_sock" "rcv_tstamp" 4 optional;
    /// When a segment was last received or sent, or a timer ran, in microseconds of `CLOCK_MONOTONIC`.
    LastSegment = "tcp_sock" "tcp_mstamp" 8 optional;
    /// In SYN_SENT when the first SYN was sent, in milliseconds of `CLOCK_MONOTONIC`.
    SynSent = "tcp_sock" "retrans_stamp" 4 optional;
    /// Whether that stamp is in microseconds (since 6.7, where a route asks for it).
    MicrosecondStamps = "tcp_sock" "tcp_usec_ts" 0 faster;
    /// How often the timer for retransmissions or window probes was doubled.
    Backoff = "tcp_sock" "inet_conn.icsk_backoff" 1 optional;
    /// The peer's window in bytes: SND.WND of RFC 9293, 3.3.1.
    PeerWindow = "tcp_sock" "snd_wnd" 4 optional;
    /// `TCP_LINGER2` in jiffies.
    Linger2 = "tcp_sock" "linger2" 4 optional;
    /// Whether the socket is a subflow of MPTCP. Since 5.6, and only in kernels with MPTCP.
    IsMptcp = "tcp_sock" "is_mptcp" 1 faster;
    /// What a socket's upper layer protocol keeps: with MPTCP the `mptcp_subflow_context`.
    UlpData = "tcp_sock" "inet_conn.icsk_ulp_data" 8 faster;
    /// MPTCP connection of a subflow.
    SubflowConnection = "mptcp_subflow_context" "conn" 8 faster;
    /// Protocol of a socket; a bit field before 5.6, so absent.
    Protocol = "sock" "sk_protocol" 2 faster;
    /// First subflow of an MPTCP connection; of an MPTCP listener the one that listens.
    MptcpFirst = "mptcp_sock" "first" 8 faster;
    /// Token of an MPTCP connection.
    MptcpToken = "mptcp_sock" "token" 4 faster;
    /// What a timewait socket waits in: TIME_WAIT or FIN_WAIT2.
    TimeWaitSubstate = "tcp_timewait_sock" "tw_sk.tw_substate" 1 optional;
    /// When a timewait socket's timer is due, in jiffies.
    TimeWaitExpires = "tcp_timewait_sock" "tw_sk.tw_timer.expires" 8 optional;
    /// Listener of a request socket.
    Listener = "sock" "__sk_common.skc_listener" 8 optional;
    /// Socket cookie; 0 until somebody has asked for it.
    Cookie = "sock" "__sk_common.skc_cookie.counter" 8 optional;
    /// Full socket that a request socket has become.
    RequestSocket = "request_sock" "sk" 8 optional;
    /// Inode of a file.
    FileInode = "file" "f_inode" 8 faster;
    /// Type and permissions of an inode (inode(7)).
    InodeMode = "inode" "i_mode" 2 faster;
    /// For a socket's file, the `struct socket`.
    FilePrivate = "file" "private_data" 8 faster;
    /// Start of a segment's buffer.
    SegmentHead = "sk_buff" "head" 8 optional;
    /// Offset of its IP header in the buffer.
    SegmentNetwork = "sk_buff" "network_header" 2 optional;
    /// Offset of its TCP header in the buffer.
    SegmentTransport = "sk_buff" "transport_header" 2 optional;
    /// Device that it was received on.
    SegmentDevice = "sk_buff" "dev" 8 optional;
    /// Network namespace of a device.
    DeviceNet = "net_device" "nd_net.net" 8 optional;
    /// The `struct sock` of a `struct socket`.
    SocketSock = "socket" "sk" 8 optional;
    /// Process id.
    TaskTgid = "task_struct" "tgid" 4 optional;
    /// First thread of the process.
    TaskLeader = "task_struct" "group_leader" 8 optional;
    /// Flags of a task (`PF_*`).
    TaskFlags = "task_struct" "flags" 4 optional;
    /// Name of a thread.
    TaskComm = "task_struct" "comm" 16 optional;
}

/// Number of members.
pub const COUNT: usize = SPECS.len();

/// A value of the kernel's `enum sock_flags` (`include/net/sock.h`); the index of its bit number in the
/// `FLAG_BITS` global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum SockFlag {
    /// `SOCK_DEAD`: no process holds the socket.
    Dead,
    /// `SOCK_DONE`: the peer's FIN has arrived.
    Done,
    /// `SOCK_LINGER`: `SO_LINGER` is set.
    Linger,
    /// `SOCK_KEEPOPEN`: `SO_KEEPALIVE` is set.
    KeepOpen,
}

/// The kernel's names of the [`SockFlag`]s, in their order.
pub const SOCK_FLAGS: [&str; 4] = ["SOCK_DEAD", "SOCK_DONE", "SOCK_LINGER", "SOCK_KEEPOPEN"];
