//! Full TCP sockets (`struct tcp_sock`).
//!
//! # Layout
//!
//! * `connect`, `flags`, `found`, `origin`, `queues`: the facts that are computed. All others are here.

mod connect;
pub(crate) mod flags;
mod found;
mod origin;
pub mod queues;

use aya_ebpf::helpers::generated as helpers;
use tracer_common::{
    event::AF_INET,
    helper::Helper,
    member::{ABSENT, Member},
};

use crate::{
    endpoints::{Endpoints, address, mapped},
    kernel::{copy, follow, has, load, offset},
    netns::Netns,
};

/// The two bits of `sk_shutdown`, RCV_SHUTDOWN and SEND_SHUTDOWN. A newer kernel may use the bits above.
const SHUTDOWN_MASK: u8 = 3;

/// A full TCP socket. The verifier knows a kernel type for each pointer and allows loads only within it.
#[derive(Clone, Copy)]
pub struct Sock {
    /// As a `sock`. The kernel trusts the tracepoint's own argument (since 6.2): a load through it is one
    /// instruction, where a load through another pointer is guarded by seven.
    sock: *const u8,
    /// As a `tcp_sock`, which begins with a `sock`.
    tcp: *const u8,
}

/// A socket's cookie; or its address, where tracing programs cannot ask for the cookie (before 5.12).
#[inline(always)]
pub(crate) fn identity(socket: *const u8) -> u64 {
    if has(Helper::SocketCookie) {
        // SAFETY: a valid socket; the helper gives it a cookie if it has none.
        return unsafe { helpers::bpf_get_socket_cookie(socket.cast_mut().cast()) };
    }
    // The verifier forbids arithmetic on the pointer, but not on a copy of it.
    let address = copy::<u64>((&raw const socket).cast()).unwrap_or_default();
    // Sockets are aligned to cache lines; hash tables need numbers that differ in their low bits.
    address.rotate_right(6)
}

impl Sock {
    /// The socket that the tracepoint passes. `None` for MPTCP and SCTP, for which it fires too.
    #[inline(always)]
    pub fn of_hook(sk: *const core::ffi::c_void) -> Option<Self> {
        Self::tcp(sk).map(|sock| Self { sock: sk.cast(), ..sock })
    }

    /// `None` if the socket is not TCP's, or is no full socket.
    #[inline(always)]
    pub fn tcp(sk: *const core::ffi::c_void) -> Option<Self> {
        // SAFETY: the program's argument is a valid socket; the helper checks its kind.
        let tcp = unsafe { helpers::bpf_skc_to_tcp_sock(sk.cast_mut()) };
        if tcp.is_null() {
            return None;
        }
        let tcp: *const u8 = tcp.cast_const().cast();
        Some(Self { sock: tcp, tcp })
    }

    #[inline(always)]
    pub fn endpoints(self) -> Endpoints {
        let family = load!(self.sock, Family as u16) as u8;
        let (local_addr, remote_addr) = if family == AF_INET {
            (mapped(load!(self.tcp, LocalV4 as u32)), mapped(load!(self.sock, RemoteV4 as u32)))
        } else {
            (address(self.sock, Member::LocalV6), address(self.sock, Member::RemoteV6))
        };
        Endpoints {
            local_addr,
            remote_addr,
            local_port: self.local_port(),
            remote_port: self.remote_port(),
            ifindex: load!(self.sock, BoundDevice as u32),
            family,
        }
    }

    /// From `inet_sport`, which is kept to the end.
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        u16::from_be(load!(self.tcp, LocalPort as u16))
    }

    #[inline(always)]
    pub fn remote_port(self) -> u16 {
        u16::from_be(load!(self.sock, RemotePort as u16))
    }

    #[inline(always)]
    pub fn state(self) -> u8 {
        load!(self.sock, State as u8)
    }

    #[inline(always)]
    pub fn cookie(self) -> u64 {
        identity(self.sock)
    }

    #[inline(always)]
    pub fn netns(self) -> Netns {
        Netns::of_socket(self.sock)
    }

    /// Cookie of the network namespace (since 5.12); 0 if the kernel has none.
    #[inline(always)]
    pub fn net_cookie(self) -> u64 {
        follow!(self.sock, Net, NetCookie as u64)
    }

    /// First and last ephemeral port of its namespace (`net.ipv4.ip_local_port_range`).
    #[inline(always)]
    pub fn ephemeral_ports(self) -> Option<(u16, u16)> {
        let range: u32 = follow!(self.sock, Net, NetLocalPorts as u32);
        (range != 0).then_some((range as u16, (range >> 16) as u16))
    }

    /// Id of the socket's cgroup (v2): the inode number of its directory.
    #[inline(always)]
    pub fn cgroup(self) -> u64 {
        let offset = offset(Member::Cgroup);
        if offset == ABSENT {
            return 0;
        }
        // SAFETY: as in `load`.
        let cgroup: *const u8 = unsafe { self.sock.add(offset as usize).cast::<*const u8>().read() };
        follow!(cgroup, CgroupNode, NodeId as u64)
    }

    #[inline(always)]
    pub fn uid(self) -> u32 {
        load!(self.sock, Uid as u32)
    }

    #[inline(always)]
    pub fn error(self) -> u16 {
        load!(self.sock, Err as u32) as u16
    }

    #[inline(always)]
    pub fn shutdown(self) -> u8 {
        load!(self.sock, Shutdown as u8) & SHUTDOWN_MASK
    }

    #[inline(always)]
    pub fn bytes_acked(self) -> u64 {
        load!(self.tcp, BytesAcked as u64)
    }

    #[inline(always)]
    pub fn bytes_received(self) -> u64 {
        load!(self.tcp, BytesReceived as u64)
    }

    #[inline(always)]
    pub fn srtt_us(self) -> u32 {
        // The kernel keeps eighths of a microsecond.
        load!(self.tcp, Srtt as u32) >> 3
    }

    #[inline(always)]
    pub fn retransmits(self) -> u32 {
        load!(self.tcp, TotalRetrans as u32)
    }

    /// Jiffies since a segment with data was last sent or received, or since the handshake if there was none.
    #[inline(always)]
    pub fn idle_jiffies(self) -> u32 {
        // SAFETY: returns a number, of which the kernel's stamps have the lower half.
        let now = unsafe { helpers::bpf_jiffies64() } as u32;
        let since_sent = now.wrapping_sub(load!(self.tcp, LastSent as u32));
        let since_received = now.wrapping_sub(load!(self.tcp, LastReceived as u32));
        since_sent.min(since_received)
    }

    /// `TCP_LINGER2` in jiffies.
    #[inline(always)]
    pub fn linger2(self) -> i32 {
        load!(self.tcp, Linger2 as u32) as i32
    }

    /// Token of the MPTCP connection that this socket is a subflow of; 0 for plain TCP.
    #[inline(always)]
    pub fn mptcp_token(self) -> u32 {
        let (connection, token) = (offset(Member::SubflowConnection), offset(Member::MptcpToken));
        if load!(self.tcp, IsMptcp as u8) == 0 || connection == ABSENT || token == ABSENT {
            return 0;
        }
        // A void pointer, which the verifier does not follow.
        let context: u64 = load!(self.tcp, UlpData as u64);
        let connection: Option<u64> = copy((context + u64::from(connection)) as *const u8);
        connection
            .and_then(|connection| copy((connection + u64::from(token)) as *const u8))
            .unwrap_or_default()
    }

    /// Whether no local port is chosen yet.
    #[inline(always)]
    pub fn is_unbound(self) -> bool {
        load!(self.sock, Num as u16) == 0
    }
}
