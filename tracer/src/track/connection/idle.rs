//! How long a connection has been idle, or was before it ended.

use tracer_common::{Event, event::flag, state as number};

use crate::track::connection::{Connection, IDLE_AT_END, Role};

/// Longer times do not fit: milliseconds are kept in 32 bits, as jiffies are in the kernel.
const LONGEST_MS: u64 = 1 << 31;

/// Rounding to milliseconds, in nanoseconds.
const ROUNDING_NS: u64 = 1_000_000;

impl Connection {
    /// Takes from its end when data was last sent or received. `tick_ns` is the length of a jiffy.
    pub(in crate::track) fn note_idle(&mut self, event: &Event, tick_ns: u64) {
        if event.new_state != number::CLOSE
            || event.flags & flag::BARE != 0
            || tick_ns == 0
            || !self.has_data()
        {
            return;
        }
        self.mark(IDLE_AT_END, true);
        self.set_last_data(event.idle_jiffies, event.time_ns, tick_ns);
    }

    /// Takes from a look at the socket when data was last sent or received.
    pub(in crate::track) fn note_idle_so_far(&mut self, socket: &Event, tick_ns: u64) {
        if matches!(socket.new_state, number::LISTEN | number::SYN_SENT | number::CLOSE)
            || socket.flags & flag::BARE != 0
            || tick_ns == 0
            || !self.has_data()
        {
            return;
        }
        self.set_last_data(socket.data_jiffies(), socket.time_ns, tick_ns);
    }

    fn set_last_data(&mut self, jiffies: u32, time_ns: u64, tick_ns: u64) {
        let idle_ms = u64::from(jiffies).saturating_mul(tick_ns) / 1_000_000;
        self.last_data_ms = if idle_ms < LONGEST_MS {
            low_half((time_ns / 1_000_000).saturating_sub(idle_ms)).max(1)
        } else {
            0
        };
    }

    /// [`Connection::idle_ns`], if the end itself has told it: data may have come since an earlier look.
    #[must_use]
    pub fn idle_before_end_ns(&self, now_ns: u64, tick_ns: u64) -> Option<(u64, u64)> {
        self.idle_ns(now_ns, tick_ns).filter(|_| self.has(IDLE_AT_END))
    }

    /// Whether data went in either direction. A SYN or a FIN is none; with a client older than the tracer the
    /// SYN cannot be told apart from a byte.
    fn has_data(&self) -> bool {
        let not_data = u64::from(self.role == Role::Unknown);
        self.counters.received > 0
            || self.counters.sent(self.role, self.state) > not_data
            || self.counters.send_queue > 1
    }

    /// The time from the last data, as far as it is known, to `now_ns`, and how far it may be off, in nanoseconds. The kernel stamps in
    /// jiffies of `tick_ns`.
    #[must_use]
    pub fn idle_ns(&self, now_ns: u64, tick_ns: u64) -> Option<(u64, u64)> {
        let idle_ms = low_half(now_ns / 1_000_000).wrapping_sub(self.last_data_ms);
        let is_known = self.last_data_ms != 0 && u64::from(idle_ms) < LONGEST_MS;
        is_known.then(|| (u64::from(idle_ms) * 1_000_000, tick_ns + ROUNDING_NS))
    }
}

fn low_half(ms: u64) -> u32 {
    u32::try_from(ms & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;

    fn ended(idle_jiffies: u32, time_ns: u64, bytes_received: u64) -> Connection {
        let event = Event {
            time_ns,
            idle_jiffies,
            bytes_received,
            old_state: number::LAST_ACK,
            new_state: number::CLOSE,
            ..Event::new_zeroed()
        };
        let mut connection = Connection::first_seen(&event);
        connection.note_idle(&event, 4_000_000);
        connection
    }

    #[test]
    fn the_time_since_the_last_data() {
        let second = 1_000_000_000;
        let connection = ended(250, 100 * second, 1);
        assert_eq!(connection.idle_ns(100 * second, 4_000_000), Some((second, 5_000_000)));
        assert_eq!(connection.idle_ns(102 * second, 4_000_000), Some((3 * second, 5_000_000)));
        // The clock's lower half begins anew every 49 days.
        let later = 5_000_000_000_000_000;
        assert_eq!(ended(250, later, 1).idle_ns(later, 4_000_000), Some((second, 5_000_000)));
    }

    #[test]
    fn what_a_look_tells_is_not_told_at_the_end() {
        let second = 1_000_000_000;
        let mut connection = ended(250, 100 * second, 1);
        connection.mark(IDLE_AT_END, false);
        assert_eq!(connection.idle_before_end_ns(100 * second, 4_000_000), None);
        let socket = Event {
            time_ns: 200 * second,
            linger2: 500,
            new_state: number::ESTABLISHED,
            ..Event::new_zeroed()
        };
        connection.note_idle_so_far(&socket, 4_000_000);
        assert_eq!(connection.idle_ns(200 * second, 4_000_000), Some((2 * second, 5_000_000)));
        assert_eq!(connection.idle_before_end_ns(200 * second, 4_000_000), None);
    }

    #[test]
    fn without_data_or_after_too_long_it_is_not_known() {
        assert_eq!(ended(250, 100_000_000_000, 0).idle_ns(100_000_000_000, 4_000_000), None);
        let year = 31_536_000_000_000_000;
        assert_eq!(ended(u32::MAX, year, 1).idle_ns(year, 4_000_000), None);
    }
}
