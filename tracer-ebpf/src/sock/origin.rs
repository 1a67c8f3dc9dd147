//! Where a connection comes from: a `connect` of its own, or a listener.

use tracer_common::{
    event::flag,
    member::{ABSENT, Member},
};

use crate::{
    kernel::{copy, is_nonzero, load, load_bit, offset},
    sock::Sock,
};

/// Bits of `sk_userlocks` (`include/net/sock.h`), macros: `SOCK_BINDPORT_LOCK`, the process has chosen the port;
/// `SOCK_CONNECT_BIND`, `connect` has chosen it (in newer kernels).
const OWN_PORT: u8 = 8 | 16;

/// Index of `NETNS_BPF_SK_LOOKUP` among a namespace's BPF programs (`enum netns_bpf_attach_type`, since 5.9).
const SK_LOOKUP: usize = 1;

impl Sock {
    /// The bits of [`flag`] that tell which role a socket has in a snapshot. A connection that comes out of a
    /// listener is a copy of it: `sk_clone_lock` clears the mark of a chosen port, and nobody clears the limit of
    /// the accept queue, which only `listen` sets.
    #[inline(always)]
    pub fn role_flags(self) -> u16 {
        let has_own_port = load!(self.sock, UserLocks as u8) & OWN_PORT != 0;
        let limit: u32 = load!(self.sock, MaxAckBacklog as u32);
        let role = if has_own_port {
            flag::CONNECTED
        } else if limit != 0 {
            flag::ACCEPTED
        } else {
            0
        };
        role | self.listener_flags()
    }

    /// The bits of [`flag`] about listeners, of a listener or of a connection that has just come out of one.
    #[inline(always)]
    pub(super) fn listener_flags(self) -> u16 {
        u16::from(load_bit!(self.tcp, Transparent)) * flag::TRANSPARENT
            | is_nonzero(self.lookup_programs()) * flag::LOOKUP
    }

    /// The address of the BPF programs that choose the listeners of its namespace (`BPF_SK_LOOKUP`); 0 for none.
    #[inline(always)]
    fn lookup_programs(self) -> u64 {
        let (net, programs) = (offset(Member::Net), offset(Member::NetPrograms));
        if net == ABSENT || programs == ABSENT {
            return 0;
        }
        // SAFETY: as in `load`.
        let net: *const u8 = unsafe { self.sock.add(net as usize).cast::<*const u8>().read() };
        // Copied: the verifier allows no arithmetic on a pointer.
        copy(net.wrapping_add(programs as usize + SK_LOOKUP * size_of::<u64>())).unwrap_or_default()
    }
}
