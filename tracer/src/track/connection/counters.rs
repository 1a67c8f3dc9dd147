//! Counters of a socket.

use tracer_common::{Event, event::flag, state as number};

use crate::track::connection::Role;

/// A socket's counters, as the kernel keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Bytes acknowledged by the peer, its SYN and FIN included: see [`Counters::sent`].
    pub bytes_acked: u64,
    /// Bytes of data received in order. The peer's FIN, which the kernel counts as one byte, is taken off.
    pub received: u64,
    /// Smoothed round-trip time in microseconds.
    pub srtt_us: u32,
    /// Retransmitted segments.
    pub retransmits: u32,
    /// Bytes received and not read yet; for a listener, the length of its accept queue.
    pub recv_queue: u32,
    /// Bytes written and not acknowledged yet; for a listener, the limit of its accept queue.
    pub send_queue: u32,
}

impl Counters {
    /// The counters in an event or a snapshot's record.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let received = if event.listener_cookie() == 0 { event.bytes_received } else { 0 };
        Self {
            bytes_acked: event.bytes_acked,
            received: received.saturating_sub(u64::from(event.flags & flag::DONE != 0)),
            srtt_us: event.srtt_us,
            retransmits: event.retransmits,
            recv_queue: event.recv_queue,
            send_queue: event.send_queue,
        }
    }

    /// Bytes of data that the peer has acknowledged. The kernel counts a client's SYN and an acknowledged FIN
    /// as one byte each; they are taken off. `state` is the socket's state when these counters were read.
    #[must_use]
    pub fn sent(&self, role: Role, state: u8) -> u64 {
        let fin_is_sent = matches!(
            state,
            number::FIN_WAIT1 | number::FIN_WAIT2 | number::CLOSING | number::LAST_ACK | number::TIME_WAIT
        );
        let fin_is_acked = fin_is_sent && self.send_queue == 0;
        let not_data = u64::from(role == Role::Client) + u64::from(fin_is_acked);
        self.bytes_acked.saturating_sub(not_data)
    }
}
