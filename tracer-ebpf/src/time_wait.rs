//! Timewait sockets.

use crate::{
    kernel::{follow, load},
    record::Bare,
    sock::{common_ends, identity},
};
use aya_ebpf::helpers::generated as helpers;

/// A socket that is no full one any more: the kernel keeps only what TIME_WAIT needs.
#[derive(Clone, Copy)]
pub struct TimeWait {
    socket: *const u8,
    waiting: *const u8,
}

impl TimeWait {
    /// The timewait socket, if it is one of TCP's.
    #[inline(always)]
    pub fn tcp(socket: *const core::ffi::c_void) -> Option<Self> {
        // SAFETY: the iterator's argument is a valid socket; the helper checks what it is.
        let waiting = unsafe { helpers::bpf_skc_to_tcp_timewait_sock(socket.cast_mut()) };
        if waiting.is_null() {
            return None;
        }
        Some(Self { socket: socket.cast(), waiting: waiting.cast_const().cast() })
    }

    #[inline(always)]
    pub fn substate(self) -> u8 {
        load!(self.waiting, TimeWaitSubstate as u8)
    }

    #[inline(always)]
    pub fn cookie(self) -> u64 {
        identity(self.socket)
    }

    #[inline(always)]
    pub fn bare(self) -> Bare {
        Bare {
            cookie: self.cookie(),
            ends: common_ends(self.socket),
            netns: follow!(self.socket, Net, NetInum as u32),
            state: self.substate(),
        }
    }
}
