//! The kernel's members that the kernel program reads, and where user space finds their offsets.
//!
//! Offsets differ between kernels. User space looks them up in the running kernel's BTF and hands
//! them over as read-only globals, which the verifier treats as constants.

/// Offset of a member that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Where a member is found, and what is expected there.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Name of the C structure.
    pub container: &'static str,
    /// Path of member names inside it, through structures that are embedded, not pointed to.
    pub path: &'static str,
    /// Size in bytes that the kernel program reads.
    pub size: u32,
    /// Whether the tracer is useless without it.
    pub required: bool,
    /// Whether it is told to users; what is not only makes the kernel program faster.
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

        /// What each is, in the order of [`Member`].
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
    /// Address family.
    Family = "sock" "__sk_common.skc_family" 2 required;
    /// Local IPv6 address.
    LocalV6 = "sock" "__sk_common.skc_v6_rcv_saddr" 16 optional;
    /// Remote IPv6 address.
    RemoteV6 = "sock" "__sk_common.skc_v6_daddr" 16 optional;
    /// Remote IPv4 address.
    RemoteV4 = "sock" "__sk_common.skc_daddr" 4 required;
    /// State.
    State = "sock" "__sk_common.skc_state" 1 required;
    /// Local port, in host byte order; not kept to the end, but timewait sockets have it too.
    Num = "sock" "__sk_common.skc_num" 2 required;
    /// Local IPv4 address, where timewait sockets have it too.
    BoundV4 = "sock" "__sk_common.skc_rcv_saddr" 4 required;
    /// Remote port, in network byte order.
    RemotePort = "sock" "__sk_common.skc_dport" 2 required;
    /// Network namespace.
    Net = "sock" "__sk_common.skc_net.net" 8 optional;
    /// Its inode number.
    NetInum = "net" "ns.inum" 4 optional;
    /// Its cookie: a number that no other namespace gets as long as the host runs.
    NetCookie = "net" "net_cookie" 8 faster;
    /// Its range of ports for clients that ask for none: the last in the upper half, the first in the
    /// lower one. Two numbers before 6.8.
    NetLocalPorts = "net" "ipv4.ip_local_ports.range" 4 faster;
    /// `enum sock_flags` as bits.
    Flags = "sock" "__sk_common.skc_flags" 8 required;
    /// Whether a task works on the socket.
    LockOwned = "sock" "sk_lock.owned" 4 required;
    /// Pending error.
    Err = "sock" "sk_err" 4 required;
    /// User id.
    Uid = "sock" "sk_uid" 4 required;
    /// Sides that are shut down. A bit field before 5.6.
    Shutdown = "sock" "sk_shutdown" 1 optional;
    /// `SO_LINGER` time in jiffies.
    LingerTime = "sock" "sk_lingertime" 8 optional;
    /// Accept queue.
    AckBacklog = "sock" "sk_ack_backlog" 4 optional;
    /// Its limit.
    MaxAckBacklog = "sock" "sk_max_ack_backlog" 4 optional;
    /// The socket's cgroup; a union of pointer and flags before 5.15.
    Cgroup = "sock" "sk_cgrp_data.cgroup" 8 optional;
    /// The cgroup's directory.
    CgroupNode = "cgroup" "kn" 8 optional;
    /// The directory's id, which is the cgroup's. A union before 5.5.
    NodeId = "kernfs_node" "id" 8 optional;
    /// Local IPv4 address.
    LocalV4 = "tcp_sock" "inet_conn.icsk_inet.inet_saddr" 4 required;
    /// Local port, in network byte order.
    LocalPort = "tcp_sock" "inet_conn.icsk_inet.inet_sport" 2 required;
    /// Smoothed round-trip time, in eighths of a microsecond.
    Srtt = "tcp_sock" "srtt_us" 4 optional;
    /// Bytes acknowledged.
    BytesAcked = "tcp_sock" "bytes_acked" 8 optional;
    /// Bytes received.
    BytesReceived = "tcp_sock" "bytes_received" 8 optional;
    /// Retransmitted segments.
    TotalRetrans = "tcp_sock" "total_retrans" 4 optional;
    /// Segments sent.
    SegsOut = "tcp_sock" "segs_out" 4 optional;
    /// Next sequence number expected.
    RcvNxt = "tcp_sock" "rcv_nxt" 4 optional;
    /// First byte not yet read by the process.
    CopiedSeq = "tcp_sock" "copied_seq" 4 optional;
    /// Sequence number after the last byte written by the process.
    WriteSeq = "tcp_sock" "write_seq" 4 optional;
    /// First byte not acknowledged.
    SndUna = "tcp_sock" "snd_una" 4 optional;
    /// What a timewait socket waits in: TIME_WAIT, or FIN_WAIT2.
    TimeWaitSubstate = "tcp_timewait_sock" "tw_sk.tw_substate" 1 optional;
    /// A request's listener.
    Listener = "sock" "__sk_common.skc_listener" 8 optional;
    /// A cookie; 0 if nobody has asked for it yet.
    Cookie = "sock" "__sk_common.skc_cookie.counter" 8 optional;
    /// The socket that a request has become.
    RequestSocket = "request_sock" "sk" 8 optional;
    /// A file's inode.
    FileInode = "file" "f_inode" 8 faster;
    /// What kind of file it is.
    InodeMode = "inode" "i_mode" 2 faster;
    /// Of a socket's file, the socket.
    FilePrivate = "file" "private_data" 8 faster;
    /// Where a segment's buffer begins.
    SegmentHead = "sk_buff" "head" 8 optional;
    /// Its IP header, from there.
    SegmentNetwork = "sk_buff" "network_header" 2 optional;
    /// Its TCP header, from there.
    SegmentTransport = "sk_buff" "transport_header" 2 optional;
    /// The device that it came through.
    SegmentDevice = "sk_buff" "dev" 8 optional;
    /// The device's network namespace.
    DeviceNet = "net_device" "nd_net.net" 8 optional;
    /// The sock of a socket.
    SocketSock = "socket" "sk" 8 optional;
    /// Process id.
    TaskTgid = "task_struct" "tgid" 4 optional;
    /// The process's first thread.
    TaskLeader = "task_struct" "group_leader" 8 optional;
    /// A thread's name.
    TaskComm = "task_struct" "comm" 16 optional;
}

/// How many members there are.
pub const COUNT: usize = SPECS.len();

/// A value of the kernel's `enum sock_flags`; the index of its bit number in the `FLAG_BITS`
/// global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum SockFlag {
    /// No process holds the socket.
    Dead,
    /// The peer's FIN has arrived.
    Done,
    /// `SO_LINGER` is set.
    Linger,
    /// `SO_KEEPALIVE` is set.
    KeepOpen,
}

/// The names of [`SockFlag`]s in the kernel, in their order.
pub const SOCK_FLAGS: [&str; 4] = ["SOCK_DEAD", "SOCK_DONE", "SOCK_LINGER", "SOCK_KEEPOPEN"];
