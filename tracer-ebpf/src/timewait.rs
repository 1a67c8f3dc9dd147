//! Timewait sockets (`struct tcp_timewait_sock`).

use aya_ebpf::helpers::generated as helpers;
use tracer_common::{
    event::REST_UNKNOWN,
    member::{ABSENT, Member},
    state::TIME_WAIT,
};

/// How long a socket stays in TIME_WAIT, in nanoseconds (`TCP_TIMEWAIT_LEN`, which no setting changes).
const LENGTH_NS: u64 = 60_000_000_000;

use crate::{
    endpoints::Endpoints,
    kernel::{load, offset, tick_ns},
    netns::Netns,
    sock::identity,
    subject::Bare,
};

/// The small socket that replaces a full one (`tcp_time_wait`): the kernel keeps only what is needed to wait
/// in TIME_WAIT, or in FIN_WAIT2 when no process holds the connection any more.
#[derive(Clone, Copy)]
pub struct Timewait {
    /// As a `sock_common`, which it begins with.
    common: *const u8,
    /// As a `tcp_timewait_sock`.
    timewait: *const u8,
}

impl Timewait {
    /// `None` if the socket is none of TCP's timewait sockets.
    #[inline(always)]
    pub fn tcp(socket: *const core::ffi::c_void) -> Option<Self> {
        // SAFETY: the program's argument is a valid socket; the helper checks its kind.
        let timewait = unsafe { helpers::bpf_skc_to_tcp_timewait_sock(socket.cast_mut()) };
        if timewait.is_null() {
            return None;
        }
        Some(Self { common: socket.cast(), timewait: timewait.cast_const().cast() })
    }

    /// TIME_WAIT or FIN_WAIT2.
    #[inline(always)]
    pub fn substate(self) -> u8 {
        load!(self.timewait, TimeWaitSubstate as u8)
    }

    /// Jiffies until its timer ends it.
    #[inline(always)]
    pub fn rest_jiffies(self) -> u32 {
        if offset(Member::TimeWaitExpires) == ABSENT {
            return REST_UNKNOWN;
        }
        let expires: u64 = load!(self.timewait, TimeWaitExpires as u64);
        // SAFETY: reads the kernel's counter of jiffies.
        let rest = expires.wrapping_sub(unsafe { helpers::bpf_jiffies64() });
        // Its timer may be late.
        if rest > u64::from(u32::MAX >> 1) { 0 } else { rest as u32 }
    }

    /// Milliseconds that it has been in its state at least: in TIME_WAIT since its timer was last started, which late
    /// segments do again. How long that of FIN_WAIT2 runs is not known here.
    #[inline(always)]
    pub fn in_state_ms(self) -> u32 {
        let rest = self.rest_jiffies();
        if self.substate() != TIME_WAIT || rest == REST_UNKNOWN || tick_ns() == 0 {
            return 0;
        }
        let rest_ns = (u64::from(rest) + 1) * tick_ns();
        (LENGTH_NS.saturating_sub(rest_ns) / 1_000_000) as u32
    }

    /// The cookie of the full socket that it replaced.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        identity(self.common)
    }

    #[inline(always)]
    pub fn bare(self) -> Bare {
        Bare {
            cookie: self.cookie(),
            endpoints: Endpoints::of_common(self.common),
            netns: Netns::of_socket(self.common),
            state: self.substate(),
            listener_cookie: 0,
            flags: 0,
        }
    }
}
