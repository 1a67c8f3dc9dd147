//! What the kernel's `-> CLOSE` really is. Where only waiting is left to do, the full socket closes
//! and a small timewait socket takes its place, of which the tracepoint says nothing (`tcp_time_wait`
//! and `tcp_fin` in `net/ipv4/`).

use crate::{
    event::flag,
    state::{CLOSE, CLOSING, FIN_WAIT1, FIN_WAIT2},
};

/// Whether it is a transition into TIME_WAIT: no `error` (`sk_err`), and the peer's FIN is there,
/// as the `flags` of an event say.
#[inline(always)]
#[must_use]
pub const fn becomes_time_wait(old_state: u8, new_state: u8, error: u16, flags: u16) -> bool {
    let in_order = new_state == CLOSE && error == 0;
    match old_state {
        CLOSING => in_order,
        FIN_WAIT1 | FIN_WAIT2 => in_order && flags & flag::DONE != 0,
        _ => false,
    }
}

/// Whether it is none at all: the socket's process has closed it, and the timewait socket goes on
/// waiting for the peer's FIN, in FIN_WAIT2.
#[inline(always)]
#[must_use]
pub const fn stays_in_fin_wait2(old_state: u8, new_state: u8, error: u16, flags: u16) -> bool {
    old_state == FIN_WAIT2
        && new_state == CLOSE
        && error == 0
        && flags & flag::DONE == 0
        && flags & flag::DEAD != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ESTABLISHED, LAST_ACK};

    const ECONNRESET: u16 = 104;

    #[test]
    fn the_peers_fin_makes_time_wait() {
        for old_state in [FIN_WAIT1, FIN_WAIT2] {
            assert!(becomes_time_wait(old_state, CLOSE, 0, flag::DONE));
            assert!(!becomes_time_wait(old_state, CLOSE, 0, flag::DEAD));
            assert!(!becomes_time_wait(old_state, CLOSE, ECONNRESET, flag::DONE));
        }
        assert!(becomes_time_wait(CLOSING, CLOSE, 0, 0));
        assert!(!becomes_time_wait(CLOSING, CLOSE, ECONNRESET, 0));
        assert!(!becomes_time_wait(FIN_WAIT1, FIN_WAIT2, 0, flag::DONE));
        assert!(!becomes_time_wait(ESTABLISHED, CLOSE, 0, flag::DONE));
        assert!(!becomes_time_wait(LAST_ACK, CLOSE, 0, flag::DONE));
    }

    #[test]
    fn an_orphan_without_the_peers_fin_stays() {
        assert!(stays_in_fin_wait2(FIN_WAIT2, CLOSE, 0, flag::DEAD));
        assert!(!stays_in_fin_wait2(FIN_WAIT2, CLOSE, 0, flag::DEAD | flag::DONE));
        assert!(!stays_in_fin_wait2(FIN_WAIT2, CLOSE, 0, 0), "somebody holds it");
        assert!(!stays_in_fin_wait2(FIN_WAIT2, CLOSE, ECONNRESET, flag::DEAD));
        assert!(!stays_in_fin_wait2(FIN_WAIT1, CLOSE, 0, flag::DEAD));
    }
}
