//! What a snapshot's record tells besides. It is in fields of [`Event`] that have a meaning only in events.

use crate::{Event, event::flag, event::kind, state};

/// [`Event::linger2`] of a listener whose half-open connections were not counted.
pub const HALF_OPEN_UNKNOWN: i32 = i32::MIN;

impl Event {
    /// Whether it is an existing socket of a snapshot.
    #[must_use]
    pub const fn is_found(&self) -> bool {
        self.kind == kind::TRANSITION && self.old_state == self.new_state
    }

    /// How often the timer for retransmissions or window probes has been doubled (`icsk_backoff`).
    #[must_use]
    pub const fn backoff(&self) -> u8 {
        self.detail
    }

    /// Whether the peer's window is zero while data waits for it.
    #[must_use]
    pub const fn is_window_zero(&self) -> bool {
        self.new_state != state::LISTEN && self.flags & flag::WINDOW_ZERO != 0
    }

    /// Whether it is a listener that takes no IPv4 although its address is that of IPv6's wildcard.
    #[must_use]
    pub const fn is_v6_only(&self) -> bool {
        self.new_state == state::LISTEN && self.flags & flag::V6ONLY != 0
    }

    /// SYNs and connections that a listener has dropped since it exists (`sk_drops`); 0 for other sockets.
    #[must_use]
    pub const fn drops(&self) -> u32 {
        if self.new_state == state::LISTEN { self.idle_jiffies } else { 0 }
    }

    /// Half-open connections of a listener that have not answered its first SYN-ACK in time; `None` for other sockets, and if
    /// they were not counted.
    #[must_use]
    pub const fn half_open(&self) -> Option<u32> {
        if self.new_state != state::LISTEN || self.linger2 == HALF_OPEN_UNKNOWN {
            return None;
        }
        // The two numbers whose difference it is are not read at the same moment.
        Some(if self.linger2 > 0 { self.linger2.cast_unsigned() } else { 0 })
    }

    /// Jiffies since a segment with data was last sent or received, or since the handshake if there was none. 0 for a
    /// listener.
    #[must_use]
    pub const fn data_jiffies(&self) -> u32 {
        if self.new_state == state::LISTEN { 0 } else { self.linger2.cast_unsigned() }
    }

    /// How long the socket has been in its state at least, in milliseconds; 0 if nothing proves that.
    #[must_use]
    pub const fn in_state_at_least_ms(&self) -> u32 {
        if self.new_state == state::LISTEN { 0 } else { self.idle_jiffies }
    }
}
