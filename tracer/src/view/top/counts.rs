//! The numbers around the list of `top`: sockets by state with their trend, and ends by reason.

use std::collections::{HashMap, VecDeque};

pub use tracer_common::aggregate::STATES;
use tracer_common::state as number;

use crate::{
    tcp::{netns::NetnsId, reason::Reason},
    track::{
        Transition,
        connection::{Connection, Role},
    },
};

/// Length of the history in seconds.
pub const SECONDS: usize = 60;

/// Number of reasons.
const REASONS: usize = Reason::ALL.len();

/// Number of sockets in each state.
pub type ByState = [u64; STATES];

/// The history of the counts, with one sample per second.
#[derive(Clone, Debug, Default)]
pub struct Trend(VecDeque<ByState>);

impl Trend {
    /// Adds the sample of this second.
    pub fn push(&mut self, now: ByState) {
        self.0.push_back(now);
        while self.0.len() > SECONDS {
            self.0.pop_front();
        }
    }

    /// The samples of a state, the oldest first.
    pub fn of(&self, state: usize) -> impl Iterator<Item = u64> {
        self.0.iter().map(move |sample| sample[state])
    }

    /// The highest sample of a state.
    #[must_use]
    pub fn highest(&self, state: usize) -> u64 {
        self.0.iter().map(|sample| sample[state]).max().unwrap_or_default()
    }
}

/// The last end of a connection for a reason, shown as an example.
#[derive(Clone, Copy, Debug)]
pub struct LastEnd {
    /// The connection.
    pub connection: Connection,
    /// When it ended, in nanoseconds of the kernel's monotonic clock.
    pub time_ns: u64,
}

/// Ends of connections by reason, over the last minute.
#[derive(Clone, Debug)]
pub struct RecentEnds {
    seconds: VecDeque<[u64; REASONS]>,
    last: [Option<LastEnd>; REASONS],
}

impl Default for RecentEnds {
    fn default() -> Self {
        Self { seconds: VecDeque::from([[0; REASONS]]), last: [None; REASONS] }
    }
}

impl RecentEnds {
    /// Counts the end of a connection.
    pub fn add(&mut self, transition: &Transition, reason: Reason) {
        let index = reason as usize;
        if let Some(second) = self.seconds.back_mut() {
            second[index] += 1;
        }
        self.last[index] = Some(LastEnd { connection: transition.connection, time_ns: transition.time_ns });
    }

    /// Starts the next second.
    pub fn tick(&mut self) {
        self.seconds.push_back([0; REASONS]);
        while self.seconds.len() > SECONDS {
            self.seconds.pop_front();
        }
    }

    /// Reason, count and last example, the highest count first.
    #[must_use]
    pub fn most(&self) -> Vec<(Reason, u64, LastEnd)> {
        let count = |index: usize| self.seconds.iter().map(|second| second[index]).sum::<u64>();
        let mut all: Vec<_> = Reason::ALL
            .iter()
            .enumerate()
            .filter_map(|(index, reason)| Some((*reason, count(index), self.last[index]?)))
            .filter(|(_, count, _)| *count > 0)
            .collect();
        all.sort_by_key(|(reason, count, _)| (u64::MAX - count, *reason as usize));
        all
    }
}

/// Counts over time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Sockets by state.
    pub trend: Trend,
    /// Ends of connections in the last minute.
    pub ends: RecentEnds,
    /// Transitions in the last full second.
    pub rate: u64,
    /// Transitions in the current second.
    transitions: u64,
}

impl Series {
    /// Counts a transition.
    pub fn note(&mut self, transition: &Transition) {
        self.transitions += u64::from(!transition.is_silent);
        if let Some(reason) = transition.reason {
            self.ends.add(transition, reason);
        }
    }

    /// Ends a second with these numbers of sockets.
    pub fn tick(&mut self, now: ByState) {
        self.rate = std::mem::take(&mut self.transitions);
        self.trend.push(now);
        self.ends.tick();
    }
}

/// Older readings of an accept queue are marked.
const FRESH_NS: u64 = 3_000_000_000;

/// A listener with its accept queue.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// The listener.
    pub listener: Connection,
    /// When its accept queue was read, in nanoseconds of the kernel's monotonic clock.
    pub read_ns: u64,
}

impl Gauge {
    /// How old the reading is, if it is not fresh.
    #[must_use]
    pub fn stale_ns(&self, now_ns: u64) -> Option<u64> {
        Some(now_ns.saturating_sub(self.read_ns)).filter(|age_ns| *age_ns > FRESH_NS)
    }
}

/// New connections of servers by network namespace and port, in a second.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    current: HashMap<(NetnsId, u16), u64>,
    last: HashMap<(NetnsId, u16), u64>,
    /// Connections that wait to be accepted at each port, as last read, and at the end of the last second.
    waiting: HashMap<(NetnsId, u16), u64>,
    waited: HashMap<(NetnsId, u16), u64>,
    accepted: HashMap<(NetnsId, u16), u64>,
}

impl Arrivals {
    /// Counts a connection that a server gets.
    pub fn note(&mut self, transition: &Transition) {
        let Transition { old_state, new_state, connection, .. } = transition;
        if (*old_state, *new_state) == (number::SYN_RECV, number::ESTABLISHED)
            && connection.role == Role::Server
        {
            *self.current.entry(place(connection)).or_default() += 1;
        }
    }

    /// Takes the accept queues of all listeners.
    pub fn note_queues<'a>(&mut self, listeners: impl Iterator<Item = &'a Connection>) {
        self.waiting.clear();
        for listener in listeners {
            *self.waiting.entry(place(listener)).or_default() += u64::from(listener.counters.recv_queue);
        }
    }

    /// Ends a second.
    pub fn tick(&mut self) {
        self.last = std::mem::take(&mut self.current);
        let waited = std::mem::replace(&mut self.waited, self.waiting.clone());
        let accepted = |(place, waiting): (&(NetnsId, u16), &u64)| {
            let new = self.last.get(place).copied().unwrap_or_default();
            (*place, (new + waited.get(place).unwrap_or(waiting)).saturating_sub(*waiting))
        };
        self.accepted = self.waiting.iter().map(accepted).collect();
    }

    /// How many were accepted at the port of a listener in the last full second: those that came, less the growth of
    /// its queue.
    #[must_use]
    pub fn accepted_at(&self, listener: &Connection) -> u64 {
        self.accepted.get(&place(listener)).copied().unwrap_or_default()
    }

    /// How many came to the port of a listener in the last full second.
    #[must_use]
    pub fn of(&self, listener: &Connection) -> u64 {
        self.last.get(&place(listener)).copied().unwrap_or_default()
    }
}

fn place(connection: &Connection) -> (NetnsId, u16) {
    (connection.tuple.netns_id(), connection.tuple.local_port)
}

/// How full a listener's accept queue is, in thousandths of its limit. Used for sorting.
#[must_use]
pub fn fullness(listener: &Connection) -> u64 {
    debug_assert!(listener.role == Role::Listener, "only listeners have one");
    let limit = u64::from(listener.counters.send_queue).max(1);
    u64::from(listener.counters.recv_queue) * 1000 / limit
}
