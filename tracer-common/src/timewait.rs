//! What a transition to CLOSE really is. The tracepoint never shows TIME_WAIT: a small timewait socket
//! replaces the full one, which goes to CLOSE (`tcp_time_wait`, called from `tcp_fin`,
//! `tcp_rcv_state_process` and `__tcp_close` in `net/ipv4/`).

use crate::{
    event::flag,
    state::{CLOSE, CLOSING, FIN_WAIT1, FIN_WAIT2},
};

/// Whether a transition is really one into TIME_WAIT (RFC 9293, 3.6): both sides have closed, and there is no
/// error.
///
/// `error`, `flags` and `send_queue` are those of an [`Event`](crate::Event); [`flag::DONE`] says that the
/// peer's FIN has arrived. This side's FIN takes up a sequence number, so while it is not acknowledged the send
/// queue is not empty. `tcp_rcv_state_process` leaves CLOSING in order only when `snd_una == write_seq`, and
/// does so at once: with something in the queue the owner has aborted the connection.
///
/// ```
/// use tracer_common::{event::flag, state::{CLOSE, CLOSING, FIN_WAIT2}, timewait::becomes_time_wait};
///
/// assert!(becomes_time_wait(FIN_WAIT2, CLOSE, 0, flag::DONE, 0));
/// // Reset by the peer: ECONNRESET.
/// assert!(!becomes_time_wait(FIN_WAIT2, CLOSE, 104, flag::DONE, 0));
/// // Aborted by its owner: the FIN is not acknowledged.
/// assert!(!becomes_time_wait(CLOSING, CLOSE, 0, flag::DONE, 1));
/// ```
#[inline(always)]
#[must_use]
pub const fn becomes_time_wait(
    old_state: u8,
    new_state: u8,
    error: u16,
    flags: u16,
    send_queue: u32,
) -> bool {
    let in_order = new_state == CLOSE && error == 0;
    match old_state {
        CLOSING => in_order && send_queue == 0,
        FIN_WAIT1 | FIN_WAIT2 => in_order && flags & flag::DONE != 0,
        _ => false,
    }
}

/// Whether the connection is still in FIN_WAIT2: no process holds the socket any more, so the kernel lets a
/// timewait socket wait for the peer's FIN. Not with a negative `linger2` ([`Event::linger2`](crate::Event::linger2)):
/// then it is given up at once.
#[inline(always)]
#[must_use]
pub const fn stays_in_fin_wait2(old_state: u8, new_state: u8, error: u16, flags: u16, linger2: i32) -> bool {
    leaves_orphan(old_state, new_state, error, flags) && linger2 >= 0
}

/// Whether an orphan is given up in FIN_WAIT2 without any wait, because its `linger2` is negative.
#[inline(always)]
#[must_use]
pub const fn may_not_wait(old_state: u8, new_state: u8, error: u16, flags: u16, linger2: i32) -> bool {
    leaves_orphan(old_state, new_state, error, flags) && linger2 < 0
}

#[inline(always)]
const fn leaves_orphan(old_state: u8, new_state: u8, error: u16, flags: u16) -> bool {
    old_state == FIN_WAIT2
        && new_state == CLOSE
        && error == 0
        && flags & flag::DONE == 0
        && flags & flag::DEAD != 0
}

/// `TCP_TIMEWAIT_LEN` in seconds. A full socket waits for what is above it.
const LONGEST_S: u64 = 60;

/// How long the timewait socket of an orphan may wait in FIN_WAIT2, if the orphan may wait `fin_time_ns` in all
/// (`tcp_fin_time`, `tcp_keepalive_timer`), in nanoseconds. Then it also takes no less than three and a half
/// retransmission timeouts, each of which is at least `rto_ns` (`tcp_time_wait`).
#[must_use]
pub const fn orphan_time_ns(fin_time_ns: u64, rto_ns: u64) -> u64 {
    let longest_ns = LONGEST_S * 1_000_000_000;
    let share_ns = if fin_time_ns > longest_ns { fin_time_ns - longest_ns } else { fin_time_ns };
    let least_ns = rto_ns.saturating_mul(7) / 2;
    if share_ns < least_ns { least_ns } else { share_ns }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ESTABLISHED, LAST_ACK};

    const ECONNRESET: u16 = 104;

    #[test]
    fn the_peers_fin_makes_time_wait() {
        for old_state in [FIN_WAIT1, FIN_WAIT2] {
            assert!(becomes_time_wait(old_state, CLOSE, 0, flag::DONE, 0));
            assert!(!becomes_time_wait(old_state, CLOSE, 0, flag::DEAD, 0));
            assert!(!becomes_time_wait(old_state, CLOSE, ECONNRESET, flag::DONE, 0));
        }
        assert!(becomes_time_wait(CLOSING, CLOSE, 0, 0, 0));
        assert!(!becomes_time_wait(CLOSING, CLOSE, ECONNRESET, 0, 0));
        assert!(!becomes_time_wait(CLOSING, CLOSE, 0, flag::DONE, 1), "the FIN is not acknowledged");
        assert!(!becomes_time_wait(FIN_WAIT1, FIN_WAIT2, 0, flag::DONE, 0));
        assert!(!becomes_time_wait(ESTABLISHED, CLOSE, 0, flag::DONE, 0));
        assert!(!becomes_time_wait(LAST_ACK, CLOSE, 0, flag::DONE, 0));
    }

    #[test]
    fn an_orphan_without_the_peers_fin_stays() {
        assert!(stays_in_fin_wait2(FIN_WAIT2, CLOSE, 0, flag::DEAD, 0));
        assert!(!stays_in_fin_wait2(FIN_WAIT2, CLOSE, 0, flag::DEAD | flag::DONE, 0));
        assert!(!stays_in_fin_wait2(FIN_WAIT2, CLOSE, 0, 0, 0), "somebody holds it");
        assert!(!stays_in_fin_wait2(FIN_WAIT2, CLOSE, ECONNRESET, flag::DEAD, 0));
        assert!(!stays_in_fin_wait2(FIN_WAIT1, CLOSE, 0, flag::DEAD, 0));
        assert!(!stays_in_fin_wait2(FIN_WAIT2, CLOSE, 0, flag::DEAD, -1), "it may not wait");
        assert!(may_not_wait(FIN_WAIT2, CLOSE, 0, flag::DEAD, -1));
        assert!(!may_not_wait(FIN_WAIT2, CLOSE, 0, flag::DEAD | flag::DONE, -1));
    }

    #[test]
    fn what_is_above_a_minute_is_waited_for_twice() {
        let wait_ms =
            |fin_s: u64, rto_ms: u64| orphan_time_ns(fin_s * 1_000_000_000, rto_ms * 1_000_000) / 1_000_000;
        assert_eq!([wait_ms(2, 200), wait_ms(60, 200), wait_ms(62, 200)], [2000, 60_000, 2000]);
        assert_eq!([wait_ms(61, 400), wait_ms(1, 1000)], [1400, 3500]);
    }
}
