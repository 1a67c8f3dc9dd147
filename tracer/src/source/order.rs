//! Time order across CPUs.
//!
//! The kernel takes an event's time right after it has reserved the event's place in its ring.
//! So what the reader has not seen when it looks gets a later time than that look, and sorting
//! what it has seen up to that moment is enough. Most of it is in order already
//! ([`crate::source::merge`]): not what an interrupt has reported in the middle of another event. Only a CPU that
//! is stopped in the middle of its record (a stolen virtual CPU) hides what lies behind it:
//! [`SETTLE_NS`] is the patience for that.

use tracer_common::Event;

/// Events younger than this wait for the next look.
pub const SETTLE_NS: u64 = 1_000_000;

/// Events that may still be overtaken.
#[derive(Debug, Default)]
pub struct Order {
    held: Vec<Event>,
}

impl Order {
    /// Takes an event in the order of arrival.
    pub fn push(&mut self, event: &Event) {
        self.held.push(*event);
    }

    /// Whether events wait.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Hands out, in time order, the events that nothing can overtake any more: those up to
    /// `until_ns`. They take the place of what was in `settled`.
    pub fn settle(&mut self, until_ns: u64, settled: &mut Vec<Event>) {
        if !self.held.is_sorted_by_key(|event| event.time_ns) {
            // Stable: events of one time stay as they came.
            self.held.sort_by_key(|event| event.time_ns);
        }
        let count = self.held.partition_point(|event| event.time_ns <= until_ns);
        // What stays is little, if anything.
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
    fn what_came_out_of_order_leaves_in_order() {
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
