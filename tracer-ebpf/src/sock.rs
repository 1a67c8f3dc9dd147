//! Reading the facts out of a socket.

use aya_ebpf::helpers::generated as helpers;
use tracer_common::{
    event::{AF_INET, flag},
    helper::Helper,
    member::{ABSENT, Member, SockFlag},
    state,
};

use crate::kernel::{copy, flag_bit, follow, has, load, offset};

/// `shutdown` has both sides in its two low bits; newer kernels may keep other things above.
const SHUTDOWN_MASK: u8 = 3;

/// The addresses, ports and family that identify a connection, in host byte order but for the
/// addresses.
#[derive(Clone, Copy, Default)]
pub struct Ends {
    pub local_addr: [u32; 4],
    pub remote_addr: [u32; 4],
    pub local_port: u16,
    pub remote_port: u16,
    pub family: u8,
}

impl Ends {
    /// A listener has no peer, whose port or address could be among those asked for.
    #[inline(always)]
    pub fn has_peer(&self) -> bool {
        self.remote_port != 0
    }
}

/// A TCP socket. The verifier allows loads only within the kernel's type that a pointer has.
#[derive(Clone, Copy)]
pub struct Sock {
    /// As a `sock`. The hook's own argument is one that the kernel trusts (since 6.2): a load through
    /// it is one instruction, where others are guarded by seven.
    sock: *const u8,
    /// As a `tcp_sock`, which begins with a `sock`.
    tcp: *const u8,
}

/// A socket's cookie; or, where tracing programs are not told, its address.
#[inline(always)]
pub(crate) fn identity(socket: *const u8) -> u64 {
    if has(Helper::SocketCookie) {
        // SAFETY: a valid socket; the helper gives it a cookie if it has none.
        return unsafe { helpers::bpf_get_socket_cookie(socket.cast_mut().cast()) };
    }
    // The verifier lets nobody calculate with an address, but with a copy.
    let address = copy::<u64>((&raw const socket).cast()).unwrap_or_default();
    // Sockets lie in steps of cache lines; tables want numbers that differ in their low bits.
    address.rotate_right(6)
}

impl Sock {
    /// The socket of the hook's argument, if it is TCP's: the hook fires for MPTCP and SCTP too.
    #[inline(always)]
    pub fn of_hook(sk: *const core::ffi::c_void) -> Option<Self> {
        Self::tcp(sk).map(|sock| Self { sock: sk.cast(), ..sock })
    }

    /// The socket, if it is a full one of TCP's.
    #[inline(always)]
    pub fn tcp(sk: *const core::ffi::c_void) -> Option<Self> {
        // SAFETY: the program's argument is a valid socket; the helper checks what it is.
        let tcp = unsafe { helpers::bpf_skc_to_tcp_sock(sk.cast_mut()) };
        if tcp.is_null() {
            return None;
        }
        let tcp: *const u8 = tcp.cast_const().cast();
        Some(Self { sock: tcp, tcp })
    }

    #[inline(always)]
    pub fn ends(self) -> Ends {
        let family = load!(self.sock, Family as u16) as u8;
        let (local_addr, remote_addr) = if family == AF_INET {
            (mapped(load!(self.tcp, LocalV4 as u32)), mapped(load!(self.sock, RemoteV4 as u32)))
        } else {
            (address(self.sock, Member::LocalV6), address(self.sock, Member::RemoteV6))
        };
        Ends {
            local_addr,
            remote_addr,
            local_port: self.local_port(),
            remote_port: self.remote_port(),
            family,
        }
    }

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
    pub fn netns(self) -> u32 {
        follow!(self.sock, Net, NetInum as u32)
    }

    #[inline(always)]
    pub fn net_cookie(self) -> u64 {
        follow!(self.sock, Net, NetCookie as u64)
    }

    /// The first and the last port that a client in its namespace can get without asking for one.
    #[inline(always)]
    pub fn ports_to_choose_from(self) -> Option<(u16, u16)> {
        let range: u32 = follow!(self.sock, Net, NetLocalPorts as u32);
        (range != 0).then_some((range as u16, (range >> 16) as u16))
    }

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
        load!(self.tcp, Srtt as u32) >> 3
    }

    #[inline(always)]
    pub fn retransmits(self) -> u32 {
        load!(self.tcp, TotalRetrans as u32)
    }

    /// Whether the socket has no local port of its own.
    #[inline(always)]
    pub fn is_unbound(self) -> bool {
        load!(self.sock, Num as u16) == 0
    }

    /// Receive and send queue as `ss` shows them; a listener's are its accept queue and that
    /// queue's limit. A connection that begins has none: its sequence numbers are still those of
    /// the listener, or of the connection that the socket had before.
    #[inline(always)]
    pub(crate) fn queues(self, old_state: u8, new_state: u8) -> (u32, u32) {
        if is_listener(old_state, new_state) {
            return (load!(self.sock, AckBacklog as u32), load!(self.sock, MaxAckBacklog as u32));
        }
        if new_state == state::SYN_SENT || old_state == state::LISTEN {
            return (0, 0);
        }
        let received = load!(self.tcp, RcvNxt as u32);
        let read = load!(self.tcp, CopiedSeq as u32);
        let written = load!(self.tcp, WriteSeq as u32);
        let acked = load!(self.tcp, SndUna as u32);
        (distance(read, received), distance(acked, written))
    }

    #[inline(always)]
    pub fn flags(self) -> u16 {
        let kernel: u64 = load!(self.sock, Flags as u64);
        let is_set = |flag: SockFlag| (kernel >> flag_bit(flag)) & 1;
        let owned: u32 = load!(self.sock, LockOwned as u32);
        let linger_time: u64 = load!(self.sock, LingerTime as u64);
        let mut flags = 0;
        if owned != 0 {
            flags |= flag::OWNED;
        }
        if is_set(SockFlag::Done) != 0 {
            flags |= flag::DONE;
        }
        if is_set(SockFlag::Dead) != 0 {
            flags |= flag::DEAD;
        }
        let knows_linger = offset(Member::LingerTime) != ABSENT;
        if knows_linger && is_set(SockFlag::Linger) != 0 && linger_time == 0 {
            flags |= flag::LINGER_ZERO;
        }
        if offset(Member::SegsOut) != ABSENT && load!(self.tcp, SegsOut as u32) == 0 {
            flags |= flag::UNSENT;
        }
        if is_set(SockFlag::KeepOpen) != 0 {
            flags |= flag::KEEPALIVE;
        }
        flags
    }
}

/// An IPv6 address as its words, which the verifier checks one by one.
#[inline(always)]
fn address(base: *const u8, member: Member) -> [u32; 4] {
    let offset = offset(member);
    if offset == ABSENT {
        return [0; 4];
    }
    // SAFETY: as in `load`, four words of an `in6_addr`.
    unsafe {
        let words = base.add(offset as usize).cast::<u32>();
        [words.read(), words.add(1).read(), words.add(2).read(), words.add(3).read()]
    }
}

/// The ends where all kinds of sockets have them: those without an `inet_sport`, too.
#[inline(always)]
pub(crate) fn common_ends(socket: *const u8) -> Ends {
    let family = load!(socket, Family as u16) as u8;
    let (local_addr, remote_addr) = if family == AF_INET {
        (mapped(load!(socket, BoundV4 as u32)), mapped(load!(socket, RemoteV4 as u32)))
    } else {
        (address(socket, Member::LocalV6), address(socket, Member::RemoteV6))
    };
    Ends {
        local_addr,
        remote_addr,
        local_port: load!(socket, Num as u16),
        remote_port: u16::from_be(load!(socket, RemotePort as u16)),
        family,
    }
}

/// Whether a socket is a listener: when it enters LISTEN, is in it, or leaves it for CLOSE. What
/// leaves it for SYN_RECV is a new connection.
#[inline(always)]
pub fn is_listener(old_state: u8, new_state: u8) -> bool {
    new_state == state::LISTEN || (old_state == state::LISTEN && new_state == state::CLOSE)
}

/// Bytes between two sequence numbers (RFC 9293, 3.4); 0 if they are the wrong way round.
#[inline(always)]
fn distance(from: u32, to: u32) -> u32 {
    let distance = u32::wrapping_sub(to, from);
    if distance > i32::MAX as u32 { 0 } else { distance }
}

/// An IPv4 address as `::ffff:a.b.c.d`, which is also how the tracepoint itself puts it.
#[inline(always)]
pub(crate) fn mapped(address: u32) -> [u32; 4] {
    [0, 0, 0xffff_u32.to_be(), address]
}
