//! What the kernel knows of a TCP connection (`struct tcp_info`). Kernels append to it, so each member is read for
//! itself: an older kernel's is shorter.

use tracer_common::state;

use crate::source::inet_diag::{InetMessage, timer, u32_at};

/// How long the kernel keeps TIME_WAIT (`TCP_TIMEWAIT_LEN`), in milliseconds.
const TIME_WAIT_MS: u32 = 60_000;

// Offsets (`include/uapi/linux/tcp.h`).
const BACKOFF: usize = 4;
const RTO: usize = 8;
const LAST_DATA_SENT: usize = 44;
const LAST_DATA_RECEIVED: usize = 52;
const LAST_ACK_RECEIVED: usize = 56;
const RTT: usize = 68;
const TOTAL_RETRANS: usize = 100;
const BYTES_ACKED: usize = 120;
const BYTES_RECEIVED: usize = 128;
const SEGS_OUT: usize = 136;
/// Since 5.4.
const PEER_WINDOW: usize = 228;

/// The longest that a stamp may be older than it says: a jiffy of 10 ms, and what rounding adds.
const STAMP_ERROR_MS: u32 = 11;

/// A `struct tcp_info`; what is behind its end is 0.
pub(in crate::source) struct Info<'a>(pub(super) &'a [u8]);

impl Info<'_> {
    fn u32(&self, offset: usize) -> u32 {
        u32_at(self.0, offset).unwrap_or_default()
    }

    fn u64(&self, offset: usize) -> u64 {
        let bytes = self.0.get(offset..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    /// Whether the kernel has told none.
    pub(in crate::source) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Smoothed round-trip time in microseconds.
    pub(in crate::source) fn srtt_us(&self) -> u32 {
        self.u32(RTT)
    }

    /// Segments sent again since the connection began.
    pub(in crate::source) fn retransmits(&self) -> u32 {
        self.u32(TOTAL_RETRANS)
    }

    /// Bytes that the peer has acknowledged.
    pub(in crate::source) fn bytes_acked(&self) -> u64 {
        self.u64(BYTES_ACKED)
    }

    /// Bytes received in order.
    pub(in crate::source) fn bytes_received(&self) -> u64 {
        self.u64(BYTES_RECEIVED)
    }

    /// How often the timer for retransmissions or window probes has been doubled.
    pub(in crate::source) fn backoff(&self) -> u8 {
        self.0.get(BACKOFF).copied().unwrap_or_default()
    }

    /// Whether nothing was ever sent.
    pub(in crate::source) fn is_unsent(&self) -> bool {
        u32_at(self.0, SEGS_OUT) == Some(0)
    }

    /// Whether the peer's window is zero.
    pub(in crate::source) fn is_window_zero(&self) -> bool {
        u32_at(self.0, PEER_WINDOW) == Some(0)
    }

    /// Milliseconds since data were last sent or received, or since the handshake if there were none.
    pub(in crate::source) fn since_data_ms(&self) -> u32 {
        self.u32(LAST_DATA_SENT).min(self.u32(LAST_DATA_RECEIVED))
    }

    /// How long the connection has been established, at least: since the older one of two stamps that are set when it is, or
    /// later. In other states none of these stamps proves anything: an ACK that overtakes a FIN is older than CLOSE_WAIT,
    /// and what is sent again in FIN_WAIT1 renews them.
    fn established_ns(&self) -> u64 {
        at_least_ns(self.u32(LAST_DATA_SENT).max(self.u32(LAST_ACK_RECEIVED)))
    }

    /// How long it has been closing at least, if the FIN is all that is not acknowledged, and was sent again: its first timer
    /// ran for half of the present one or longer, because each is at most twice as long as the one before
    /// (`tcp_retransmit_timer`). It began with the FIN, and so with FIN_WAIT1 or LAST_ACK; CLOSING begins later. Nothing else
    /// is proven: a timer that runs may be shortened by TCP_USER_TIMEOUT, and how many there were may include those for data
    /// before the FIN.
    fn closing_ns(&self, message: &InetMessage) -> Option<u64> {
        let is_only_fin = message.send_queue == 1;
        let is_sent_again = message.timer == timer::RETRANSMISSION && message.retransmits > 0;
        (is_only_fin && is_sent_again).then(|| at_least_ns(self.u32(RTO) / 1000 / 2))
    }

    /// How long the socket has been in its state at least, in nanoseconds; `None` if nothing proves that.
    pub(in crate::source) fn in_state_ns(&self, message: &InetMessage) -> Option<u64> {
        match message.state {
            // A late segment starts its timer again.
            state::TIME_WAIT => TIME_WAIT_MS.checked_sub(message.expires_ms).map(at_least_ns),
            state::ESTABLISHED if !self.is_empty() => Some(self.established_ns()),
            state::FIN_WAIT1 | state::LAST_ACK if !self.is_empty() => self.closing_ns(message),
            _ => None,
        }
    }
}

/// Nanoseconds since a stamp that is so many milliseconds old, at least.
fn at_least_ns(ms: u32) -> u64 {
    u64::from(ms.saturating_sub(STAMP_ERROR_MS)) * 1_000_000
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;

    #[test]
    fn an_older_kernel_s_is_shorter() {
        let mut bytes = [0; 232];
        bytes[TOTAL_RETRANS..][..4].copy_from_slice(&3_u32.to_ne_bytes());
        bytes[BYTES_RECEIVED..][..8].copy_from_slice(&(1_u64 << 40).to_ne_bytes());
        let of = |length: usize| {
            let info = Info(&bytes[..length]);
            (info.retransmits(), info.bytes_received(), info.is_unsent(), info.is_window_zero())
        };
        assert_eq!(of(232), (3, 1 << 40, true, true));
        assert_eq!(of(231), (3, 1 << 40, true, false));
        assert_eq!(of(104), (3, 0, false, false), "what is not told is not zero");
        assert_eq!(of(100), (0, 0, false, false));
    }

    #[test]
    fn a_fin_that_was_sent_again_proves_an_age() {
        let mut bytes = [0; 104];
        bytes[RTO..][..4].copy_from_slice(&8_000_000_u32.to_ne_bytes());
        let age = |state, send_queue, timer, retransmits| {
            let message = InetMessage { state, timer, retransmits, send_queue, ..InetMessage::new_zeroed() };
            Info(&bytes).in_state_ns(&message)
        };
        for state in [state::FIN_WAIT1, state::LAST_ACK] {
            assert_eq!(age(state, 1, 1, 3), Some(3_989_000_000));
            assert_eq!(age(state, 1, 1, 0), None, "not sent again");
            assert_eq!(age(state, 2, 1, 3), None, "there are data before it");
            assert_eq!(age(state, 1, 4, 3), None, "the peer's window is closed");
        }
        assert_eq!(age(state::CLOSING, 1, 1, 3), None);
    }

    #[test]
    fn only_established_has_stamps_that_prove_something() {
        let mut bytes = [0; 104];
        bytes[LAST_DATA_SENT..][..4].copy_from_slice(&2_000_u32.to_ne_bytes());
        bytes[LAST_ACK_RECEIVED..][..4].copy_from_slice(&5_000_u32.to_ne_bytes());
        let age =
            |state, info: &[u8]| Info(info).in_state_ns(&InetMessage { state, ..InetMessage::new_zeroed() });
        assert_eq!(age(state::ESTABLISHED, &bytes), Some(4_989_000_000));
        assert_eq!(age(state::ESTABLISHED, &[]), None, "it was not asked for");
        assert_eq!(age(state::CLOSE_WAIT, &bytes), None);
    }

    #[test]
    fn time_wait_tells_its_age_itself() {
        let age = |expires_ms| {
            let message = InetMessage { state: state::TIME_WAIT, expires_ms, ..InetMessage::new_zeroed() };
            Info(&[]).in_state_ns(&message)
        };
        assert_eq!(age(50_000), Some(9_989_000_000));
        assert_eq!(age(70_000), None);
    }
}
