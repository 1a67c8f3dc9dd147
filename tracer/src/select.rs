//! What passes the filters once more is known than the kernel knew.
//!
//! A client's `CLOSE -> SYN_SENT` has no local port yet. If the filter depends on it, the event
//! waits here until the connection's next event tells the port, so that a filter never hides the
//! beginning of a connection whose end it shows.

use std::collections::{HashMap, VecDeque};

use tracer_common::Event;

use crate::filter::{Filter, Verdict, ports::Marks};

/// How many beginnings may wait. The next event of a connection that the kernel's filter keeps
/// back never comes, so the oldest have to go some time; they are counted.
const CAPACITY: usize = 65_536;

/// Decides what the kernel's filters could not.
#[derive(Debug)]
pub struct Select {
    filter: Filter,
    marks: Option<Marks>,
    waiting: HashMap<u64, Event>,
    arrivals: VecDeque<u64>,
    filtered: u64,
}

impl Select {
    /// `hold_open`: whether beginnings wait for their port. Without, they are judged as they are.
    #[must_use]
    pub fn new(filter: Filter, hold_open: bool) -> Self {
        let marks = (hold_open && filter.active().ports != 0).then(|| Marks::new(&filter.ports, false));
        Self { filter, marks, waiting: HashMap::new(), arrivals: VecDeque::new(), filtered: 0 }
    }

    /// The events to show now that `event` is known: at most the connection's beginning and
    /// `event` itself.
    pub fn pass(&mut self, event: &Event) -> impl Iterator<Item = Event> + use<> {
        let Some(marks) = &self.marks else {
            return [None, Some(*event)].into_iter().flatten();
        };
        let verdict = self.filter.judge_ports(marks, event);
        let beginning = if self.waiting.is_empty() { None } else { self.waiting.remove(&event.cookie) };
        let shown = match verdict {
            Verdict::Pass => [beginning, Some(*event)],
            Verdict::Fail => {
                self.filtered += 1 + u64::from(beginning.is_some());
                [None, None]
            }
            Verdict::Undecided => {
                self.filtered += u64::from(beginning.is_some());
                self.wait(*event);
                [None, None]
            }
        };
        shown.into_iter().flatten()
    }

    fn wait(&mut self, event: Event) {
        while self.arrivals.len() >= CAPACITY {
            if let Some(oldest) = self.arrivals.pop_front() {
                self.filtered += u64::from(self.waiting.remove(&oldest).is_some());
            }
        }
        self.arrivals.push_back(event.cookie);
        self.waiting.insert(event.cookie, event);
    }

    /// Events kept back in user space, those that still wait included.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.filtered + self.waiting.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Ends;
    use tracer_common::state;
    use zerocopy::FromZeros as _;

    fn event(cookie: u64, old_state: u8, new_state: u8, local_port: u16) -> Event {
        let mut event = Event::new_zeroed();
        event.cookie = cookie;
        event.old_state = old_state;
        event.new_state = new_state;
        event.local_port = local_port;
        event.remote_port = 443;
        event
    }

    fn select(local: &str) -> Select {
        let ports = Ends::new(vec![], vec![local.parse().unwrap()], vec![]);
        Select::new(Filter { ports, ..Filter::default() }, true)
    }

    #[test]
    fn a_beginning_comes_out_with_its_port() {
        let mut select = select("5000");
        let begin = event(1, state::CLOSE, state::SYN_SENT, 0);
        assert_eq!(select.pass(&begin).count(), 0);
        let next = event(1, state::SYN_SENT, state::ESTABLISHED, 5000);
        assert_eq!(select.pass(&next).collect::<Vec<_>>(), [begin, next]);
        assert_eq!(select.filtered(), 0);
    }

    #[test]
    fn a_beginning_that_never_gets_a_port_is_filtered() {
        let mut select = select("5000");
        assert_eq!(select.pass(&event(1, state::CLOSE, state::SYN_SENT, 0)).count(), 0);
        assert_eq!(select.pass(&event(1, state::SYN_SENT, state::CLOSE, 0)).count(), 0);
        assert_eq!(select.filtered(), 2);
    }

    #[test]
    fn memory_is_bounded_and_nothing_goes_uncounted() {
        let mut select = select("5000");
        let total = CAPACITY as u64 + 1000;
        for cookie in 0..total {
            assert_eq!(select.pass(&event(cookie, state::CLOSE, state::SYN_SENT, 0)).count(), 0);
        }
        assert!(select.waiting.len() <= CAPACITY && select.arrivals.len() <= CAPACITY);
        assert_eq!(select.filtered(), total);
    }
}
