//! What the kernel knows of a TCP connection (`struct tcp_info`). Kernels append to it, so each member is read for
//! itself: an older kernel's is shorter.

use tracer_common::state;

use crate::facts::listing::{ConnectionInfo, ListedSocket};

/// The attribute that has it.
pub(super) const INFO: u16 = 2;

// Offsets (`include/uapi/linux/tcp.h`).
const RTO: usize = 8;
const LAST_DATA_SENT: usize = 44;
const LAST_ACK_RECEIVED: usize = 56;
const RTT: usize = 68;
const TOTAL_RETRANS: usize = 100;
const BYTES_ACKED: usize = 120;
const BYTES_RECEIVED: usize = 128;

/// The longest that a stamp may be older than it says: a jiffy of 10 ms, and what rounding adds.
const STAMP_ERROR_MS: u32 = 11;

pub(super) struct Info<'a>(pub(super) &'a [u8]);

impl Info<'_> {
    fn u32(&self, offset: usize) -> u32 {
        let bytes = self.0.get(offset..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    fn u64(&self, offset: usize) -> u64 {
        let bytes = self.0.get(offset..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    /// What is shown of it; `None` for a listener, which has no connection.
    pub(super) fn connection(&self, state: u8) -> Option<ConnectionInfo> {
        (!matches!(state, state::LISTEN | state::CLOSE)).then(|| ConnectionInfo {
            srtt_us: self.u32(RTT),
            retransmits: self.u32(TOTAL_RETRANS),
            bytes_acked: self.u64(BYTES_ACKED),
            bytes_received: self.u64(BYTES_RECEIVED),
        })
    }

    /// How long the connection has been established, at least: since the older one of two stamps that are set when it is, or
    /// later. In other states none of these stamps proves anything: an ACK that overtakes a FIN is older than CLOSE_WAIT,
    /// and what is sent again in FIN_WAIT1 renews them.
    pub(super) fn in_state_ns(&self, state: u8) -> Option<u64> {
        let since_ms = self.u32(LAST_DATA_SENT).max(self.u32(LAST_ACK_RECEIVED));
        (state == state::ESTABLISHED).then(|| at_least_ns(since_ms))
    }
}

/// How long it has been closing at least, if the FIN is all that is not acknowledged, and was sent again: its first timer ran
/// for half of the present one or longer, because each is at most twice as long as the one before (`tcp_retransmit_timer`).
/// It began with the FIN, and so with FIN_WAIT1 or LAST_ACK; CLOSING begins later. Nothing else is proven: a timer that runs
/// may be shortened by TCP_USER_TIMEOUT, and how many there were may include those for data before the FIN.
pub(super) fn closing_ns(socket: &ListedSocket, info: &Info<'_>) -> Option<u64> {
    let is_closing = matches!(socket.state, state::FIN_WAIT1 | state::LAST_ACK);
    let is_only_fin = socket.send_queue == 1;
    let is_sent_again =
        socket.timer.is_some_and(|timer| timer.kind == RETRANSMISSION && timer.unanswered > 0);
    let least_ms = info.u32(RTO) / 1000 / 2;
    (is_closing && is_only_fin && is_sent_again).then(|| at_least_ns(least_ms))
}

/// The timer for retransmissions.
const RETRANSMISSION: u8 = 1;

/// Nanoseconds since a stamp that is so many milliseconds old, at least.
pub(super) fn at_least_ns(ms: u32) -> u64 {
    u64::from(ms.saturating_sub(STAMP_ERROR_MS)) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::listing::{Protocol, SocketTimer},
        tcp::endpoint::Tuple,
    };

    fn socket() -> ListedSocket {
        ListedSocket { cookie: 1, ..ListedSocket::new(Protocol::Tcp, 2, Tuple::default()) }
    }

    #[test]
    fn an_older_kernel_s_is_shorter() {
        let mut bytes = [0; 136];
        bytes[RTT..][..4].copy_from_slice(&250_u32.to_ne_bytes());
        bytes[TOTAL_RETRANS..][..4].copy_from_slice(&3_u32.to_ne_bytes());
        bytes[BYTES_RECEIVED..][..8].copy_from_slice(&(1_u64 << 40).to_ne_bytes());
        let whole = Info(&bytes).connection(state::ESTABLISHED).unwrap();
        assert_eq!((whole.srtt_us, whole.retransmits, whole.bytes_received), (250, 3, 1 << 40));
        let short = Info(&bytes[..104]).connection(state::ESTABLISHED).unwrap();
        assert_eq!((short.retransmits, short.bytes_received), (3, 0));
        assert_eq!(Info(&bytes[..70]).connection(state::ESTABLISHED), Some(ConnectionInfo::default()));
        assert_eq!(Info(&bytes).connection(state::LISTEN), None);
    }

    #[test]
    fn a_fin_that_was_sent_again_proves_an_age() {
        let mut bytes = [0; 104];
        bytes[RTO..][..4].copy_from_slice(&8_000_000_u32.to_ne_bytes());
        let age = |state, send_queue, kind, unanswered| {
            let timer = Some(SocketTimer { kind, unanswered, rest_ms: 1 });
            closing_ns(&ListedSocket { state, send_queue, timer, ..socket() }, &Info(&bytes))
        };
        for state in [state::FIN_WAIT1, state::LAST_ACK] {
            assert_eq!(age(state, 1, 1, 3), Some(3_989_000_000));
            assert_eq!(age(state, 1, 1, 0), None, "not sent again");
            assert_eq!(age(state, 2, 1, 3), None, "there are data before it");
            assert_eq!(age(state, 1, 4, 3), None, "the peer's window is closed");
        }
        for state in [state::CLOSING, state::ESTABLISHED] {
            assert_eq!(age(state, 1, 1, 3), None);
        }
    }

    #[test]
    fn only_established_has_stamps_that_prove_something() {
        let mut bytes = [0; 104];
        bytes[LAST_DATA_SENT..][..4].copy_from_slice(&2_000_u32.to_ne_bytes());
        bytes[LAST_ACK_RECEIVED..][..4].copy_from_slice(&5_000_u32.to_ne_bytes());
        assert_eq!(Info(&bytes).in_state_ns(state::ESTABLISHED), Some(4_989_000_000));
        assert_eq!(Info(&bytes).in_state_ns(state::CLOSE_WAIT), None);
    }
}
