//! The two endpoints of a connection.

use tracer_common::{
    event::AF_INET,
    member::{ABSENT, Member},
};

use crate::kernel::{load, offset};

/// Local and remote address and port, bound device, and the address family. Ports are in host byte order; addresses in
/// network byte order, IPv4 as v4-mapped IPv6.
#[derive(Clone, Copy, Default)]
pub struct Endpoints {
    pub local_addr: [u32; 4],
    pub remote_addr: [u32; 4],
    pub local_port: u16,
    pub remote_port: u16,
    /// Device that the socket is bound to; 0 for none.
    pub ifindex: u32,
    pub family: u8,
}

impl Endpoints {
    /// From the part that all kinds of sockets begin with (`struct sock_common`). Request and timewait
    /// sockets have no `inet_sport`, so the local port is `skc_num`.
    #[inline(always)]
    pub(crate) fn of_common(socket: *const u8) -> Self {
        let family = load!(socket, Family as u16) as u8;
        let (local_addr, remote_addr) = if family == AF_INET {
            (mapped(load!(socket, BoundV4 as u32)), mapped(load!(socket, RemoteV4 as u32)))
        } else {
            (address(socket, Member::LocalV6), address(socket, Member::RemoteV6))
        };
        Self {
            local_addr,
            remote_addr,
            local_port: load!(socket, Num as u16),
            remote_port: u16::from_be(load!(socket, RemotePort as u16)),
            ifindex: load!(socket, BoundDevice as u32),
            family,
        }
    }

    /// A listener has no peer, so filters on the remote side do not look at it.
    #[inline(always)]
    pub fn has_peer(&self) -> bool {
        self.remote_port != 0
    }
}

/// An IPv6 address, loaded as words: the verifier checks each load.
#[inline(always)]
pub(crate) fn address(base: *const u8, member: Member) -> [u32; 4] {
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

/// An IPv4 address as `::ffff:a.b.c.d`, as the tracepoint itself prints it.
#[inline(always)]
pub(crate) fn mapped(address: u32) -> [u32; 4] {
    [0, 0, 0xffff_u32.to_be(), address]
}
