//! Receive and send queue.

use tracer_common::state;

use crate::{kernel::load, sock::Sock};

impl Sock {
    /// Receive and send queue in bytes, as `ss` shows them (`tcp_diag_get_info`); for a listener the accept
    /// queue and its limit. 0 when a connection begins: its sequence numbers are still those of the listener,
    /// or of the socket's previous connection.
    #[inline(always)]
    pub fn queues(self, old_state: u8, new_state: u8) -> (u32, u32) {
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
}

/// Whether a transition is a listener's: into LISTEN, or from there to CLOSE. `LISTEN -> SYN_RECV` is a new
/// connection's.
#[inline(always)]
pub fn is_listener(old_state: u8, new_state: u8) -> bool {
    new_state == state::LISTEN || (old_state == state::LISTEN && new_state == state::CLOSE)
}

/// Bytes from one sequence number to another (RFC 9293, 3.4); 0 if the second is the older one.
#[inline(always)]
fn distance(from: u32, to: u32) -> u32 {
    let distance = u32::wrapping_sub(to, from);
    if distance > i32::MAX as u32 { 0 } else { distance }
}
