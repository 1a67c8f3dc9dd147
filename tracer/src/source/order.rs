//! Sorting events of several CPUs by time.
//!
//! The kernel program takes an event's time right after it has reserved the event's space in the ring. So an
//! event that the reader does not find has a later time than that read, and it is enough to sort the events
//! found up to then. Most are in order already ([`crate::source::merge`]), except those that an interrupt
//! has reported in the middle of another event. Only a CPU that stops in the middle of writing a record (a
//! virtual CPU whose time is stolen) hides the records behind it: [`SETTLE_NS`] is how long to wait for
//! that.

use tracer_common::Event;

/// Events younger than this, in nanoseconds, are held back until the next read.
pub const SETTLE_NS: u64 = 1_000_000;

/// Events that an older one may still precede.
#[derive(Debug, Default)]
pub struct Order {
    held: Vec<Event>,
}

impl Order {
    /// Adds an event, in order of arrival.
    pub fn push(&mut self, event: &Event) {
        self.held.push(*event);
    }

    /// Whether no event is held back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Moves the events up to `until_ns`, which no older one can precede any more, to `settled`, in time
    /// order. Replaces what was in `settled`.
    pub fn settle(&mut self, until_ns: u64, settled: &mut Vec<Event>) {
        if !self.held.is_sorted_by_key(|event| event.time_ns) {
            // A stable sort: events of the same time keep their order.
            self.held.sort_by_key(|event| event.time_ns);
        }
        let count = self.held.partition_point(|event| event.time_ns <= until_ns);
        // Few events stay, so those are copied, and the vectors are swapped.
        settled.clear();
        settled.extend_from_slice(&self.held[count..]);
        self.held.truncate(count);
        std::mem::swap(&mut self.held, settled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros as _;

    fn at(time_ns: u64, cookie: u64) -> Event {
        let mut event = Event::new_zeroed();
        event.time_ns = time_ns;
        event.cookie = cookie;
        event
    }

    fn settled(order: &mut Order, until_ns: u64) -> Vec<(u64, u64)> {
        let mut events = Vec::new();
        order.settle(until_ns, &mut events);
        events.iter().map(|event| (event.time_ns, event.cookie)).collect()
    }

    #[test]
    fn events_leave_in_time_order() {
        let mut order = Order::default();
        for (time_ns, cookie) in [(3, 1), (1, 2), (2, 3), (1, 4)] {
            order.push(&at(time_ns, cookie));
        }
        assert_eq!(settled(&mut order, 2), [(1, 2), (1, 4), (2, 3)]);
        order.push(&at(2, 5));
        assert_eq!(settled(&mut order, u64::MAX), [(2, 5), (3, 1)]);
        assert!(order.is_empty());
    }
}
