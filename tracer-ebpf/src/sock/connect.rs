//! Why a connect has failed, beyond the pending error.

use tracer_common::{
    event::flag,
    member::{ABSENT, Member},
};

use crate::{
    kernel::{copy, is_nonzero, load, offset},
    sock::Sock,
};

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` (`include/uapi/linux/errqueue.h`)
const ICMP: [u8; 2] = [2, 3];

/// Reads a member of the first entry (`struct sock_exterr_skb`) in the error queue. It lies in the segment's `cb`.
macro_rules! first_error {
    ($sock:expr, $member:ident as $type:ty) => {{
        let segment = load!($sock, ErrorQueueFirst as *const u8);
        let at = segment as u64 + u64::from(offset(Member::SegmentCb)) + u64::from(offset(Member::$member));
        copy::<$type>(at as *const u8).unwrap_or_default()
    }};
}

impl Sock {
    /// [`flag::NO_PORT`], for a socket that leaves SYN_SENT. `tcp_v4_connect` and `tcp_v6_connect` choose a hash for
    /// the connection once it has a port, and never before.
    #[inline(always)]
    pub fn no_port(self) -> u16 {
        let is_known = offset(Member::TxHash) != ABSENT && offset(Member::SegsOut) != ABSENT;
        let has = is_nonzero((load!(self.sock, TxHash as u32) | load!(self.tcp, SegsOut as u32)).into());
        if is_known { (1 - has) * flag::NO_PORT } else { 0 }
    }

    /// The errno that an ICMP message has left for `SO_ERROR`, or 0. While a task works on the socket, as in
    /// `connect` itself, `tcp_v4_err` does not end the connection. It leaves the error as a soft one, which
    /// `SO_ERROR` reads away, and in the error queue (since 5.19), where few look.
    #[inline(always)]
    pub fn soft_error(self) -> u8 {
        let soft = load!(self.sock, ErrSoft as u32);
        if soft != 0 {
            return soft as u8;
        }
        if load!(self.sock, ErrorQueueLen as u32) == 0 || offset(Member::SegmentCb) == ABSENT {
            return 0;
        }
        let origin = first_error!(self.sock, ErrorOrigin as u8);
        if ICMP.contains(&origin) { first_error!(self.sock, ErrorNumber as u32) as u8 } else { 0 }
    }
}
