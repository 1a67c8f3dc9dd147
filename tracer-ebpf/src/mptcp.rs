//! MPTCP sockets (`struct mptcp_sock`, since 5.6). A process holds one for the whole connection; the TCP sockets
//! below it are its subflows.

use core::ffi::c_void;

use tracer_common::member::{ABSENT, Member};

use crate::kernel::{copy, load, offset};

/// `IPPROTO_MPTCP` (`include/uapi/linux/in.h`).
const IPPROTO_MPTCP: u16 = 262;

/// What relates an MPTCP socket to its subflows.
pub struct Mptcp {
    /// The connection's token; 0 for a listener.
    pub token: u32,
    /// Cookie of the first subflow, or of the listening one; 0 if it has none.
    pub first_cookie: u64,
}

impl Mptcp {
    /// `None` if the socket is not MPTCP's.
    #[inline(always)]
    pub fn of(sk: *const c_void) -> Option<Self> {
        let sk: *const u8 = sk.cast();
        let (token, first) = (offset(Member::MptcpToken), offset(Member::MptcpFirst));
        let cookie = offset(Member::Cookie);
        if load!(sk, Protocol as u16) != IPPROTO_MPTCP
            || token == ABSENT
            || first == ABSENT
            || cookie == ABSENT
        {
            return None;
        }
        // The verifier takes the pointer for one to a `sock`, which is shorter.
        let first: u64 = copy(sk.wrapping_add(first as usize))?;
        Some(Self {
            token: copy(sk.wrapping_add(token as usize))?,
            first_cookie: copy((first + u64::from(cookie)) as *const u8).unwrap_or_default(),
        })
    }
}
