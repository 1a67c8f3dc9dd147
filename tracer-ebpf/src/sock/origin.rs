//! Where a connection comes from: a `connect` of its own, or a listener.

use tracer_common::{
    event::flag,
    member::{ABSENT, Member},
    state::LISTEN,
};

use crate::{
    kernel::{load, load_bit, offset},
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
        role | self.listener_marks()
    }

    /// The bits of [`flag`] about listeners, for a listener's transition or the birth of its connection.
    #[inline(always)]
    pub fn listener_flags(self, old_state: u8, new_state: u8) -> u16 {
        if old_state == LISTEN || new_state == LISTEN { self.listener_marks() } else { 0 }
    }

    #[inline(always)]
    fn listener_marks(self) -> u16 {
        let mut flags = if load_bit!(self.tcp, Transparent) != 0 { flag::TRANSPARENT } else { 0 };
        if self.has_lookup_program() {
            flags |= flag::LOOKUP;
        }
        flags
    }

    /// Whether a BPF program chooses the listeners of its namespace (`BPF_SK_LOOKUP`).
    #[inline(always)]
    fn has_lookup_program(self) -> bool {
        let (net, programs) = (offset(Member::Net), offset(Member::NetPrograms));
        if net == ABSENT || programs == ABSENT {
            return false;
        }
        // SAFETY: as in `load`; an array of two pointers.
        unsafe {
            let net: *const u8 = self.sock.add(net as usize).cast::<*const u8>().read();
            net.add(programs as usize).cast::<u64>().add(SK_LOOKUP).read() != 0
        }
    }
}
